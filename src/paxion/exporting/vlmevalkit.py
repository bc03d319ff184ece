"""A tab-separated table of two-way choices over several frames, as VLMEvalKit reads it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from paxion.exporting.choices import FOIL_OF, QUESTION, both_orders, has_foil, known_tasks
from paxion.exporting.clips import write_frames
from paxion.exporting.folder import Exported, new_folder, readable_clips, write_note
from paxion.files import write_text
from paxion.records import PaxionError, Sample

COLUMNS = ("index", "id", "question", "A", "B", "answer", "image_path", "category", "group", "order")
FRAMES = 8
NOTHING = frozenset(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null".split("|")  # noqa: SIM905
)
"""Texts that pandas reads as no text at all, quoted or not."""


def export_vlmevalkit(
    manifest: Path,
    out: Path,
    *,
    split: str = "test",
    tasks: Sequence[str] = tuple(FOIL_OF),
    seed: int = 0,
    frames: int = FRAMES,
    command: str = "",
    tick: Callable[[int], object] = lambda done: None,
) -> Exported:
    """Write a table a task, and the clips' midpoint frames as PNG files. tick: called with 1 for each clip.

    Raises PaxionError when `out` is not empty, no clip can be read, or a task has no samples.
    """
    tasks = known_tasks(tasks, tuple(FOIL_OF))
    if frames < 1:
        raise PaxionError(f"got {frames} frames, expected 1 or more")
    with new_folder(out) as folder:
        clips = readable_clips(manifest, [split], tick)
        exported = Exported({}, dict(clips.missed))
        usable: dict[int, tuple[Sample, list[str]]] = {}
        for number, sample, shot in clips.samples:
            if not any(has_foil(task, sample) for task in tasks):
                continue
            try:
                names = write_frames(shot, folder / "frames" / str(number), frames)
            except PaxionError as error:
                exported.missed[sample.id] = str(error)
                continue
            usable[number] = sample, [str(out.absolute() / "frames" / str(number) / name) for name in names]
        for task in tasks:
            asked = []
            for number, sample, _ in clips.samples:
                if not has_foil(task, sample):
                    exported.left_out[f"{task}: no foil"] += 1
                elif {sample.caption, getattr(sample, FOIL_OF[task])} & NOTHING:
                    exported.left_out[f"{task}: a text that pandas reads as nothing"] += 1
                elif number in usable:
                    asked.append((number, sample))
            choices = both_orders(asked, task, seed)
            if not choices:
                raise PaxionError(f"no clip of {manifest} ({split}) takes part in {task}: leave it out of --tasks")
            rows = [
                (
                    index,
                    choice.sample.id,
                    QUESTION,
                    choice.a,
                    choice.b,
                    choice.answer,
                    json.dumps(usable[choice.number][1], ensure_ascii=False),
                    task,
                    choice.sample.group,
                    choice.order,
                )
                for index, choice in enumerate(choices)
            ]
            exported.rows[f"paxion_{task}"] = len(rows)
            write_text(folder / f"paxion_{task}.tsv", table(COLUMNS, rows))
        write_note(folder, manifest, command, exported)
    return exported


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Tab-separated text; a cell with tabs, line ends or quotes is quoted, so that it is read back as it was."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([columns, *rows])
    return text.getvalue()
