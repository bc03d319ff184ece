"""Temporal-SSv2 and Temporal-Kinetics: videos whose action only time can tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paxion.data.fields import needed_text, shown, window
from paxion.data.kinetics import clip_times
from paxion.data.rows import BadRow, RowError, read_columns
from paxion.data.samples import first_existing, to_samples
from paxion.data.ssv2 import without_brackets
from paxion.records import Sample, Split, unknown_name

SUBSETS = ("ssv2", "kinetics")


def read_temporal(
    path: Path, *, split: Split, videos: Path | None = None, subset: str | None = None
) -> Iterator[Sample | BadRow]:
    """Read val-v1.0.csv or val-v1.0-2.4k.csv. subset: only the rows of "ssv2" or of "kinetics".

    The text is caption, template and action. SSv2: `{id}.webm`. Kinetics (`class/YTID_SSSSSS_EEEEEE`): the window in
    the whole video `{YTID}.mp4`, or the cut clip `class/YTID_SSSSSS_EEEEEE.mp4` if that is what `videos` holds.
    Source: the splits that go back to Sevilla-Lara et al., "Only Time Can Tell" (2021).
    """
    if subset not in (None, *SUBSETS):
        raise unknown_name("subset", subset, SUBSETS)

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        dataset, name = needed_text(row, "dataset").strip().lower(), needed_text(row, "video_id").strip()
        if dataset not in SUBSETS:
            raise RowError(f"dataset: got {shown(row['dataset'])}, expected SSv2 or kinetics")
        if subset not in (None, dataset):
            return
        caption = without_brackets(needed_text(row, "text"))
        start = end = None
        if dataset == "ssv2":
            group, video = name, first_existing(videos, f"{name}.webm", f"{name}.mp4")
        else:
            times = clip_times(name.rpartition("/")[2])
            if times is None:
                raise RowError(f"video_id: got {shown(name)}, expected class/YTID_SSSSSS_EEEEEE")
            group, start, end = times
            window(start, end)
            video = first_existing(videos, f"{group}.mp4", f"{name}.mp4")
            if video != f"{group}.mp4":
                start = end = None
        yield Sample(
            id=name,
            video=video,
            caption=caption,
            split=split,
            group=group,
            template=caption,
            action=caption,
            start=start,
            end=end,
            source=f"temporal-{dataset}",
        )

    records = read_columns(Path(path), ("video_id", "text", "dataset"))
    yield from to_samples(Path(path), records, samples_of, unique=False)
