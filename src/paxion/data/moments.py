"""Moments in Time: one label a clip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from paxion.data.fields import needed_text, shown
from paxion.data.rows import BadRow, RowError, read_columns
from paxion.data.samples import first_existing, to_samples
from paxion.records import Sample, Split

_TIMES = re.compile(r"(?:_\d+)+$")


def read_moments(path: Path, *, split: Split, videos: Path | None = None) -> Iterator[Sample | BadRow]:
    """Read trainingSet.csv, validationSet.csv or a part of it: video, label, agreeing and disagreeing votes; no header.

    The label, with spaces for `+`, is caption, template and action. Videos lie as written (`clapping/x.mp4`), or under
    training/ or validation/ if that is what `videos` holds. The group is the name without the times of the clip.
    """

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        video, label = needed_text(row, "video").strip(), needed_text(row, "label").strip().replace("+", " ")
        for votes in ("agree", "disagree"):
            if not row[votes].strip().isdigit():
                raise RowError(f"{votes}: got {shown(row[votes])}, expected a number of votes")
        name = PurePosixPath(video)
        yield Sample(
            id=str(name.with_suffix("")) if name.name else video,
            video=first_existing(videos, video, f"training/{video}", f"validation/{video}"),
            caption=label,
            split=split,
            group=_TIMES.sub("", name.stem) or name.stem or video,
            template=label,
            action=label,
            source="moments",
        )

    records = read_columns(Path(path), names=("video", "label", "agree", "disagree"), delimiter=",")
    yield from to_samples(Path(path), records, samples_of, unique=True)
