"""From the rows of a data set to samples: what every reader checks, and where videos lie."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from paxion.data.fields import shown
from paxion.data.rows import BadRow, Record, RowError
from paxion.records import Sample

PUBLISHED = "published"
"""The note of a foil that comes from the data set itself."""

# Up, from the root, to a drive; with either separator, since a data set may be read on another system.
_OUTSIDE = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\]|^[A-Za-z]:|\0")


def to_samples(
    path: Path,
    records: Iterable[Record | BadRow],
    samples_of: Callable[[dict[str, Any]], Iterable[Sample]],
    *,
    unique: bool,
    rooted: bool = True,
) -> Iterator[Sample | BadRow]:
    """Give the sound samples of each row, and one BadRow for a row that is not sound, in the order of the file.

    samples_of: gives the samples of a row, or raises RowError. unique: ids are the data set's own, so a second one is a
    BadRow; otherwise it gets a number ("a", "a#2"). rooted: videos must lie under the video root.
    An id is remembered by its 64-bit hash: two ids out of four million clash with probability 4e-7.
    """
    seen: dict[int, int] = {}
    line = place = 0
    for record in records:
        last, line = line, record.line if isinstance(record, BadRow) else record[0]
        # A whole json file may stand on one line.
        place = place + 1 if line == last else 1
        where = f"record {place} of the line: " if place > 1 else ""
        if isinstance(record, BadRow):
            yield replace(record, message=where + record.message)
            continue
        try:
            samples = list(samples_of(record[1]))
        except RowError as error:
            yield BadRow(str(path), line, f"{where}{error}")
            continue
        flaws = []
        for sample in samples:
            flaw = _flaw(sample, rooted)
            key = hash(sample.id)
            if not flaw and unique and key in seen:
                flaw = f"id: got {shown(sample.id)} again (first on line {seen[key]}), expected ids that are unique"
            if flaw:
                flaws.append(flaw)
            elif unique:
                seen[key] = line
                yield sample
            else:
                name = _numbered(seen, sample.id)
                yield sample if name == sample.id else replace(sample, id=name)
        if flaws:
            yield BadRow(str(path), line, where + flaws[0])


def first_existing(videos: Path | None, *candidates: str) -> str:
    """The first candidate that exists under `videos`; the first of all when none does, or `videos` is not given."""
    if videos is not None:
        for candidate in candidates:
            # os.path.exists is also sure of names that no file can have: too long, or with a zero byte.
            if os.path.exists(os.path.join(videos, candidate)):  # noqa: PTH110, PTH118
                return candidate
    return candidates[0]


def _numbered(seen: dict[int, int], name: str) -> str:
    count = seen[hash(name)] = seen.get(hash(name), 0) + 1
    # The new name may be that of another row too.
    return name if count == 1 else _numbered(seen, f"{name}#{count}")


def _flaw(sample: Sample, rooted: bool) -> str | None:
    """What makes a sample useless, as a message; None when it is sound. Windows are checked by `fields.window`."""
    for name in ("id", "video", "caption", "group"):
        if not getattr(sample, name).strip():
            return f"{name}: got nothing, expected text"
    if rooted and _OUTSIDE.search(sample.video):
        return f"video: got {shown(sample.video)}, expected a path under the folder of the videos"
    for name, foil in (("antonym", sample.antonym), ("replaced", sample.replaced)):
        if foil is not None and _folded(foil) == _folded(sample.caption):
            return f"{name}: got the caption itself ({shown(foil)}), expected another text"
    if sample.answer is not None and not 0 <= sample.answer < len(sample.choices or ()):
        return f"answer: got {sample.answer}, expected one of the {len(sample.choices or ())} choices, counted from 0"
    return None


def _folded(text: str) -> list[str]:
    return text.casefold().split()
