"""VITATECS: captions of MSR-VTT and VATEX with counterfactuals that change one temporal aspect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from paxion.data.fields import needed_text
from paxion.data.json_rows import read_jsonl
from paxion.data.rows import BadRow
from paxion.data.samples import PUBLISHED, first_existing, to_samples
from paxion.records import Sample, Split


def read_vitatecs(path: Path, *, split: Split, videos: Path | None = None) -> Iterator[Sample | BadRow]:
    """Read a jsonl of VITATECS. The counterfactual is the `antonym`, its aspect the `kind`.

    All six aspects (Direction, Intensity, Sequence, Localization, Compositionality, Type) change what happens and keep
    what is seen, so none is an object replacement. Videos: `{src_dataset}/{video_name}`, or flat if `videos` holds
    them so. The format has no ids: rows are named by their video and numbered.
    """

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        dataset, name = needed_text(row, "src_dataset").strip(), needed_text(row, "video_name").strip()
        aspect = needed_text(row, "aspect").strip()
        yield Sample(
            id=f"{dataset}/{PurePosixPath(name).stem}",
            video=first_existing(videos, f"{dataset}/{name}", name),
            caption=needed_text(row, "caption"),
            split=split,
            group=f"{dataset}/{name}",
            antonym=needed_text(row, "counterfactual"),
            source=f"vitatecs-{aspect.lower()}",
            antonym_note=PUBLISHED,
            kind=aspect,
        )

    needed = ("src_dataset", "video_name", "caption", "counterfactual", "aspect")
    yield from to_samples(Path(path), read_jsonl(Path(path), needed), samples_of, unique=False)
