"""A manifest as the files of the published data sets: which formats there are, and writing them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from paxion.data.publishing.ego4d import write_ego4d
from paxion.data.publishing.kinetics import write_kinetics, write_temporal
from paxion.data.publishing.moments import write_moments
from paxion.data.publishing.nextqa import write_nextqa
from paxion.data.publishing.rows import Parts, Written, entries_of, parts_of, write_json
from paxion.data.publishing.ssv2 import write_ssv2
from paxion.manifest import read_manifest
from paxion.records import Split, unknown_name

WRITERS: dict[str, Callable[[Path, Parts], list[Written]]] = {
    "ssv2": write_ssv2,
    "temporal": write_temporal,
    "nextqa": write_nextqa,
    "moments": write_moments,
    "kinetics": write_kinetics,
    "ego4d": write_ego4d,
}
"""The folder of a format to the function that writes it."""


def publish(
    manifest: Path,
    out: Path,
    *,
    evaluated: Split = "test",
    source: str | None = None,
    formats: Sequence[str] = tuple(WRITERS),
    names: Mapping[str, str] | None = None,
    tick: Callable[[int], object] = lambda count: None,
) -> dict[str, list[Written]]:
    """Write the rows of a manifest in the given formats, a folder each; gives what each file got.

    evaluated: the split whose rows go where the paper evaluates. source: only the rows of this one. names: the one text
    of each action, by its label (see `rows.entries_of`). tick: called as rows are looked at.
    Raises PaxionError for an unknown format or source, a video that cannot be read, and an empty split.
    """
    for name in formats:
        if name not in WRITERS:
            raise unknown_name("format", name, WRITERS)
    entries = entries_of(manifest, read_manifest(manifest), source, names or {}, tick)
    parts = parts_of(entries, evaluated)
    write_json(out / "ids.json", {str(entry.number): entry.sample.id for entry in entries})
    return {name: WRITERS[name](out / name, parts) for name in formats}
