"""Manifests: JSON Lines files of captioned clips. Reading, writing, and finding what is wrong, line by line."""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from paxion.files import replacing
from paxion.records import SPLITS, PaxionError, Sample

T = TypeVar("T")
FOILS = ("antonym", "replaced")
_TYPE_NAMES = {
    str: "a string",
    bool: "true or false",
    float: "a finite number",
    int: "a whole number",
    tuple: "a list of strings",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a manifest."""

    line: int
    """1-based line of the file."""
    field: str
    """The field of the row, or "row" when the whole line is meant."""
    message: str
    """What was got, what was expected, and how to fix it where that is not plain."""


def read_manifest(path: Path | str) -> list[Sample]:
    """Read the samples of a manifest, in the order of the file. Video paths are kept as written (see `video_path`).

    Blank lines, a byte order mark and Windows line ends are accepted; null means absent.
    Raises PaxionError at the first problem; `find_problems` (or `paxion validate`) lists them all.
    """
    return list(read_rows(path))


def read_rows(path: Path | str) -> Iterator[Sample]:
    """Give the samples of a manifest one by one, as `read_manifest` does, for files too large to hold."""
    path = Path(path)
    for found in _scan(_lines(path), None):
        if isinstance(found, Problem):
            raise PaxionError(
                f"{path}:{found.line}: {found.field}: {found.message} (paxion validate {path} lists all problems)"
            )
        yield found


def write_manifest(path: Path | str, samples: Iterable[Sample]) -> int:
    """Write samples to a manifest, as they come; gives how many. One object a line, keys in the order of `Sample`.

    Nulls are left out. The file appears whole or not at all. Raises PaxionError for samples that `read_manifest` would
    refuse.
    """
    path = Path(path)
    count = 0
    with replacing(path) as temporary, temporary.open("wb") as file:

        def rows() -> Iterator[tuple[int, Any, None]]:
            for number, sample in enumerate(samples, 1):
                row = {name: value for name in _types(Sample) if (value := getattr(sample, name)) is not None}
                file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
                yield number, row, None

        for found in _check(rows(), None):
            count += 1
            if isinstance(found, Problem):
                raise PaxionError(f"cannot write {path}: sample {found.line}: {found.field}: {found.message}")
    return count


def find_problems(path: Path | str, *, check_files: bool = False) -> Iterator[Problem]:
    """Give every problem of a manifest, in the order of the file.

    check_files: also look whether each video file exists.
    Raises PaxionError when the manifest itself cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        # Now, not at the first problem.
        next(_lines(path))
    folder = path.parent if check_files else None
    return (found for found in _scan(_lines(path), folder) if isinstance(found, Problem))


def video_path(manifest_path: Path | str, sample: Sample) -> Path:
    """Where the sample's video lies: relative to the manifest's folder unless it is absolute."""
    return Path(manifest_path).parent / sample.video


def manifest_hash(path: Path | str) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the file's content. Raises PaxionError when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise _unreadable(Path(path), error) from error


def field_problems(record: type, row: object) -> Iterator[tuple[str, str]]:
    """Give (field, message) for each way in which a JSON value is not one `record`, a dataclass of plain fields.

    Looks at missing and unknown fields, types, empty strings and numbers that are not finite.
    """
    if not isinstance(row, dict):
        yield "row", f"got {_shown(row)}, expected an object {{...}}"
        return
    known = _types(record)
    for name in row:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "remove it"
            yield name, f"got an unknown field, expected one of {', '.join(known)}; {hint}"
    for name, (kind, optional, required) in known.items():
        if name not in row:
            if required:
                yield name, f"got no such field, expected {_TYPE_NAMES[kind]}; add it"
        elif row[name] is None and optional:
            continue
        elif not _is_a(kind, row[name]):
            yield name, f"got {_shown(row[name])}, expected {_TYPE_NAMES[kind]}{' or null' if optional else ''}"
        elif kind is tuple and not row[name]:
            yield name, "got an empty list, expected strings; leave the field out when there are none"
        elif kind is str and not row[name].strip():
            instead = "; leave the field out when there is none" if optional else ""
            yield name, f"got an empty string, expected text{instead}"


def from_json(record: type[T], row: dict[str, Any]) -> T:
    """The record of a JSON object in which `field_problems` finds nothing."""
    # JSON writes a whole float without a point, and knows no tuples.
    kinds = {name: kind for name, (kind, _, _) in _types(cast(type, record)).items() if kind in (float, tuple)}
    return record(**{name: kinds[name](v) if name in kinds and v is not None else v for name, v in row.items()})


@cache
def _types(record: type) -> dict[str, tuple[type, bool, bool]]:
    """(type, may be null, must be there) of each field of a dataclass of plain fields or tuples of strings."""
    hints = get_type_hints(record)
    types = {}
    for field in fields(record):
        options = get_args(hints[field.name]) or (hints[field.name],)
        options = tuple(get_origin(option) or option for option in options)
        # The options of a union are types; those of a Literal are its values.
        kinds = [option if isinstance(option, type) else type(option) for option in options]
        kind = next(kind for kind in kinds if kind is not type(None))
        types[field.name] = (kind, type(None) in kinds, field.default is MISSING)
    return types


def _is_a(kind: type, value: object) -> bool:
    if kind is float:
        # False for NaN and infinities, and for whole numbers too large for a float.
        return isinstance(value, (int, float)) and type(value) is not bool and abs(value) <= sys.float_info.max
    if kind is tuple:
        return isinstance(value, list | tuple) and all(type(item) is str and item.strip() for item in value)
    return type(value) is kind


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


def _unreadable(path: Path, error: OSError) -> PaxionError:
    return PaxionError(f"cannot read {path}: {error.strerror or error}; expected a manifest, one JSON object a line")


def _lines(path: Path) -> Iterator[bytes]:
    # Bytes are split at line feeds alone: a JSON string may hold other separators. Carriage returns are white space.
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file):
                yield line if number else line.removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise _unreadable(path, error) from error


def _scan(lines: Iterable[bytes], folder: Path | None) -> Iterator[Problem | Sample]:
    """Give, line by line, the problems of a row, or its sample when it has none. `folder`: where videos must exist."""
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    return _check(((number, *_parse(line)) for number, line in numbered), folder)


def _check(rows: Iterable[tuple[int, Any, tuple[str, str] | None]], folder: Path | None) -> Iterator[Problem | Sample]:
    """The same for (line number, JSON value, what is wrong with the line itself)."""
    id_lines: dict[str, int] = {}
    group_splits: dict[str, tuple[str, int]] = {}
    empty = True
    for number, row, broken in rows:
        empty = False
        problems = [broken] if broken else [*field_problems(Sample, row)]
        if not problems:
            sample = from_json(Sample, row)
            problems = [*_contradictions(sample), *_clashes(sample, number, id_lines, group_splits)]
            if folder is not None and not (folder / sample.video).is_file():
                problems.append(("video", f"got {sample.video}, expected a file; nothing at {folder / sample.video}"))
            if not problems:
                yield sample
        for field, message in problems:
            yield Problem(number, field, message)
    if empty:
        yield Problem(1, "row", "got an empty manifest, expected one JSON object a line")


def _parse(line: bytes) -> tuple[Any, tuple[str, str] | None]:
    """The JSON value of a line, or (field, message) when there is none."""
    twice: list[str] = []

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(pairs)

    try:
        row = json.loads(line.decode("utf-8"), object_pairs_hook=unique)
    except UnicodeDecodeError as error:
        return None, ("row", f"got bytes that are not UTF-8 (byte {error.start + 1}); save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        return None, ("row", f"got a line that is not JSON ({error}), expected one JSON object")
    return row, (twice[0], "got the field twice, expected it once; remove one") if twice else None


def _contradictions(sample: Sample) -> Iterator[tuple[str, str]]:
    """What cannot be true within one row."""
    if sample.split not in SPLITS:
        near = difflib.get_close_matches(sample.split.lower(), SPLITS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        yield "split", f"got {_shown(sample.split)}, expected one of {', '.join(SPLITS)}{hint}"
    for name in FOILS:
        foil = getattr(sample, name)
        # Case and spacing do not make a foil: most tokenizers drop both.
        if foil is not None and _folded(foil) == _folded(sample.caption):
            yield name, f"got the caption itself ({_shown(foil)}), expected another text; leave the field out"
    if sample.start is not None and sample.start < 0:
        yield "start", f"got {sample.start:g}, expected 0 seconds or more"
    if sample.answer is not None and not 0 <= sample.answer < len(sample.choices or ()):
        yield (
            "answer",
            f"got {sample.answer}, expected the place of one of the {len(sample.choices or ())} choices, from 0",
        )
    if sample.end is not None and sample.end <= (sample.start or 0.0):
        yield "end", f"got {sample.end:g}, expected more than start ({sample.start or 0.0:g} seconds)"


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _clashes(
    sample: Sample, number: int, id_lines: dict[str, int], group_splits: dict[str, tuple[str, int]]
) -> Iterator[tuple[str, str]]:
    """What contradicts an earlier row. Notes the sample in `id_lines` and `group_splits`."""
    first = id_lines.setdefault(sample.id, number)
    if first != number:
        yield "id", f"got {_shown(sample.id)} again (first on line {first}), expected ids that are unique"
    if sample.split not in SPLITS:
        return
    split, first = group_splits.setdefault(sample.group, (sample.split, number))
    if split != sample.split:
        yield (
            "group",
            f"got {_shown(sample.group)} in {sample.split} on line {number} and in {split} on line {first}, "
            "expected a group to stay within one split; move all its rows to one",
        )
