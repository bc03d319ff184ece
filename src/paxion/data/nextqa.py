"""NExT-QA: five-way questions about videos, with or without antonyms of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paxion.data.fields import needed_text, shown, strings, text
from paxion.data.rows import BadRow, RowError, read_columns
from paxion.data.samples import first_existing, to_samples
from paxion.records import PaxionError, Sample, Split

_CHOICES = ("a0", "a1", "a2", "a3", "a4")


def read_nextqa(
    path: Path, *, split: Split, videos: Path | None = None, ids: Path | None = None
) -> Iterator[Sample | BadRow]:
    """Read train, val or test csv of NExT-QA, or its ActionBench version.

    `kind` is the type of the question (CW, TN, ...), the caption the question with its right answer. Column
    `action_antonym_choices` (a written list, only the choices that have an antonym) becomes `antonym_choices`.
    ids: map_vid_vidorID.json, which says where a video lies ("1101/3397265196"); by default the one beside the csv.
    Without a map videos lie flat: `{video}.mp4`. A video that the map lacks is a BadRow.
    """
    path = Path(path)
    ids = ids or next(iter(sorted(path.parent.glob("*map_vid_vidorID.json"))), None)
    stems = {} if ids is None else _id_map(ids)

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        video, question = needed_text(row, "video").strip(), needed_text(row, "question").strip()
        if stems and video not in stems:
            raise RowError(f"video: got {shown(video)}, expected one that {ids} names")
        choices = tuple(needed_text(row, name) for name in _CHOICES)
        answer = needed_text(row, "answer").strip()
        if answer not in ("0", "1", "2", "3", "4"):
            raise RowError(f"answer: got {shown(answer)}, expected a number from 0 to 4")
        stem = stems.get(video, video)
        yield Sample(
            id=f"{video}_{needed_text(row, 'qid').strip()}",
            video=first_existing(videos, f"{stem}.mp4", f"{video}.mp4"),
            caption=f"{question.rstrip('? ')}? {choices[int(answer)]}",
            split=split,
            group=video,
            source="nextqa",
            question=question,
            choices=choices,
            answer=int(answer),
            antonym_choices=strings(row.get("action_antonym_choices"), "action_antonym_choices"),
            kind=text(row, "type"),
        )

    needed = ("video", "question", "answer", "qid", "type", *_CHOICES)
    yield from to_samples(path, read_columns(path, needed), samples_of, unique=True)


def _id_map(path: Path) -> dict[str, str]:
    try:
        stems = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise PaxionError(f"cannot read {path}: {error.strerror or error}; give map_vid_vidorID.json") from error
    except (ValueError, RecursionError):
        stems = None
    if not isinstance(stems, dict) or not stems or not all(isinstance(stem, str) for stem in stems.values()):
        raise PaxionError(f'{path} is no map of videos, expected {{"3397265196": "1101/3397265196", ...}}')
    return stems
