"""The rows of a manifest as the writers of published formats see them, and what becomes of each."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paxion.data.publishing.videos import Shot, look_at
from paxion.data.rows import listed
from paxion.files import write_text
from paxion.manifest import video_path
from paxion.records import SPLITS, PaxionError, Sample, Split, unknown_name

FIRST_ID = 100_001
"""The id of the first row of a manifest; the next ones follow."""
SHOWN = 3
_SLOT = re.compile(r"\bsomething\b", re.IGNORECASE)
_FIRST = re.compile(r"\b([Ss]omething)\b")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that is to be written."""

    number: int
    """Its id in the published files. It depends on the place of the row in the manifest only."""
    group: int
    """The number of the first row of its group."""
    place: int
    """Its place within the group, from 0."""
    sample: Sample
    shot: Shot
    name: str | None
    """The one text of its action."""


@dataclass
class Written:
    """What one file got."""

    file: str
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Why rows are not in it, and how many."""


@dataclass(frozen=True)
class Parts:
    """Which rows go where. Published sets name their parts differently, but each is evaluated on one of them."""

    train: Sequence[Entry]
    evaluated: Sequence[Entry]
    """For the part that the paper evaluates on."""
    spare: Sequence[Entry]
    """For the third part, where there is one."""


def entries_of(
    manifest: Path,
    samples: Sequence[Sample],
    source: str | None,
    names: Mapping[str, str],
    tick: Callable[[int], object],
) -> list[Entry]:
    """The rows of one source (None: of all), with their videos looked at.

    names: the text of an action, by its label; an action that is not in it is called as its rows' commonest template,
    or by its label. tick: called with 1 for each row. Raises PaxionError when the source has no rows, or a video cannot
    be read.
    """
    called = _names(samples) | dict(names)
    numbered = [(number, sample) for number, sample in enumerate(samples, FIRST_ID) if source in (None, sample.source)]
    if not numbered:
        raise unknown_name("source", source or "", sorted({sample.source for sample in samples if sample.source}))
    missing = [sample.video for _, sample in numbered if not video_path(manifest, sample).is_file()]
    if missing:
        raise PaxionError(
            f"{len(missing)} of {len(numbered)} rows of {manifest} have no video file ({listed(missing[:SHOWN])}): "
            f"paxion validate {manifest} --check-files lists them all"
        )
    groups: dict[str, list[int]] = {}
    entries = []
    for number, sample in numbered:
        group = groups.setdefault(sample.group, [])
        group.append(number)
        shot = look_at(video_path(manifest, sample), sample.start, sample.end)
        name = called.get(sample.action) if sample.action else None
        entries.append(Entry(number, group[0], len(group) - 1, sample, shot, name))
        tick(1)
    return entries


def parts_of(entries: Iterable[Entry], evaluated: Split) -> Parts:
    """The rows by what they are for. Raises PaxionError when none are in the split to evaluate on."""
    by_split: dict[str, list[Entry]] = {split: [] for split in SPLITS}
    for entry in entries:
        by_split[entry.sample.split].append(entry)
    if not by_split[evaluated]:
        held = [split for split, found in by_split.items() if found]
        raise PaxionError(f"no row is in the split {evaluated}, the rows are in {listed(held)}: choose one by --split")
    spare: Split = "val" if evaluated == "test" else "test"
    return Parts(by_split["train"], by_split[evaluated], by_split[spare])


def keep(
    entries: Iterable[Entry], file: str, wants: Mapping[str, Callable[[Entry], object]]
) -> tuple[list[Entry], Written]:
    """The entries that have all that a file wants, and the count of the others. wants: what is missing to a test."""
    written, kept = Written(file), []
    for entry in entries:
        lacking = next((what for what, has in wants.items() if not has(entry)), None)
        if lacking is None:
            kept.append(entry)
            written.rows += 1
        else:
            written.left_out[lacking] += 1
    return kept, written


def youtube_id(number: int) -> str:
    """Eleven characters, as YouTube's, that stand for the row of this number."""
    return f"p{number - FIRST_ID + 1:010d}"


def write_json(path: Path, rows: Sequence[object] | Mapping[str, object]) -> None:
    """Write a JSON list or object, an item a line."""
    if isinstance(rows, Mapping):
        items = [f"{json.dumps(key, ensure_ascii=False)}: {json_of(value)}" for key, value in rows.items()]
        opening, closing = "{", "}"
    else:
        items = [json_of(row) for row in rows]
        opening, closing = "[", "]"
    write_lines(path, [opening, *(f"{item}," for item in items[:-1]), items[-1], closing] if items else [])


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a text file. Without a line there is none: a former one goes, as readers refuse empty files."""
    if lines:
        write_text(path, "".join(f"{line}\n" for line in lines))
    else:
        path.unlink(missing_ok=True)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a csv; no header: rows only."""
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([*([header] if header and rows else []), *rows])
    write_lines(path, lines.getvalue().splitlines())


def json_of(value: object) -> str:
    """The JSON of a value, NaN as NaN."""
    return json.dumps(value, ensure_ascii=False)


def placeholders(template: str | None, caption: str) -> tuple[str, ...] | None:
    """What a caption puts in the place of each "something" of a template; None when it does not fit the template."""
    parts = [re.escape(part) for part in _SLOT.split(template or "")]
    found = re.fullmatch("(.+?)".join(parts), caption, re.IGNORECASE) if len(parts) > 1 else None
    return found.groups() if found else None


def bracketed(template: str) -> str:
    """The template with its slots in brackets: "Holding something" is "Holding [something]"."""
    return _FIRST.sub(r"[\1]", template)


def capital(text: str) -> str:
    """The text with a capital letter at its start."""
    return text[:1].upper() + text[1:]


def blanked(text: str, objects: Iterable[str]) -> str:
    """The text with "something" for each of the objects, found as whole words."""
    for words in sorted(set(objects), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(words)}(?!\w)", "something", text, flags=re.IGNORECASE)
    return text


def _names(samples: Iterable[Sample]) -> dict[str, str]:
    templates: dict[str, Counter[str]] = {}
    for sample in samples:
        if sample.action is not None:
            counted = templates.setdefault(sample.action, Counter())
            if sample.template is not None:
                counted[sample.template] += 1
    # The first of the commonest, as the manifest has them.
    return {action: max(counted, key=counted.__getitem__, default=action) for action, counted in templates.items()}
