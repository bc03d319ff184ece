"""EPIC-Kitchens-100: narrated actions in kitchens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paxion.data.fields import needed_text, phrases, seconds, strings, text, window
from paxion.data.rows import BadRow, RowError, read_columns
from paxion.data.samples import first_existing, to_samples
from paxion.records import Sample, Split


def read_epic(path: Path, *, split: Split, videos: Path | None = None) -> Iterator[Sample | BadRow]:
    """Read EPIC_100_train.csv or EPIC_100_validation.csv; the test csv has no narrations.

    `verb` is the column of that name, `action` the classes of verb and noun, `objects` the nouns as the narration
    writes them ("board:chopping" is a chopping board). Videos: `P01/videos/P01_01.MP4`, as the official downloader lays
    them out, or as `videos` holds them: in the folder of the participant, or flat. The group is the video.
    """

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        video, person = needed_text(row, "video_id").strip(), needed_text(row, "participant_id").strip()
        start = seconds(row["start_timestamp"], "start_timestamp")
        end = seconds(row["stop_timestamp"], "stop_timestamp")
        if start is None or end is None:
            raise RowError("start_timestamp, stop_timestamp: got nothing, expected HH:MM:SS.ss")
        start, end = window(start, end)
        caption = needed_text(row, "narration")
        yield Sample(
            id=needed_text(row, "narration_id").strip(),
            video=first_existing(
                videos,
                *(
                    f"{folder}{video}.{suffix}"
                    for folder in (f"{person}/videos/", f"{person}/", "")
                    for suffix in ("MP4", "mp4")
                ),
            ),
            caption=caption,
            split=split,
            group=video,
            verb=text(row, "verb"),
            action=f"verb {needed_text(row, 'verb_class').strip()}, noun {needed_text(row, 'noun_class').strip()}",
            start=start,
            end=end,
            source="epic",
            objects=_objects(caption, strings(row["all_nouns"], "all_nouns")),
        )

    needed = (
        *("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp"),
        *("narration", "verb", "verb_class", "noun_class", "all_nouns"),
    )
    yield from to_samples(Path(path), read_columns(Path(path), needed), samples_of, unique=True)


def _objects(caption: str, nouns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    spoken = []
    for noun in nouns or ():
        # The head of a compound comes first: "board:chopping". Narrations may say only the head.
        head, *rest = noun.split(":")
        whole = " ".join((*rest, head))
        spoken.append(whole if phrases(caption, (whole,)) else head)
    return phrases(caption, spoken)
