"""Results of a run: results.json (provenance and scores), samples.jsonl (one row per sample), strata.jsonl (facts)."""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any, TypeVar

from paxion.files import write_text
from paxion.manifest import field_problems, from_json
from paxion.records import PaxionError, Row, Score

T = TypeVar("T")
RESULTS = "results.json"
SAMPLES = "samples.jsonl"
STRATA = "strata.jsonl"
_ROW = tuple(each.name for each in fields(Row))


@dataclass(frozen=True, slots=True)
class Missed:
    """Clips that were asked for and could not be scored, and why. Collected into provenance["missed"]."""

    data: str
    """The data set, as in `Score.data`."""
    task: str
    reason: str
    """Why, in words, e.g. "no such file"."""
    count: int
    """How many samples."""
    examples: tuple[str, ...] = ()
    """Ids of a few of them."""


@dataclass(frozen=True)
class Results:
    """What results.json holds."""

    provenance: dict[str, Any]
    """Where the scores come from (see `provenance`). The key "missed" lists what could not be scored."""
    scores: list[Score] = field(default_factory=list)


def provenance(**extra: Any) -> dict[str, Any]:
    """What is needed to get a result again: versions, machine, date (UTC), command line; then the entries of `extra`.

    Entries may be anything JSON holds, paths, and dataclasses such as `Missed`.
    """
    import torch

    return {
        "paxion": metadata.version("paxion"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        **extra,
    }


def write_results(folder: Path | str, results: Results, rows: Iterable[Row]) -> None:
    """Write results.json and samples.jsonl to `folder`, each whole or not at all; results.json last.

    Raises PaxionError for a score or row that is not a valid one (a NaN, say): nothing is written then.
    """
    folder = Path(folder)
    scores = [_plain(score, f"score {score.model} / {score.data} / {score.task}") for score in results.scores]
    lines = [_plain(row, f"row {row.id} / {row.model} / {row.task}") for row in rows]
    try:
        text = json.dumps(
            {"provenance": results.provenance, "scores": scores},
            indent=1,
            ensure_ascii=False,
            allow_nan=False,
            default=_jsonable,
        )
    except ValueError as error:
        raise PaxionError(f"cannot write the provenance: {error}; expected finite numbers only") from error
    write_text(folder / SAMPLES, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    write_text(folder / RESULTS, text + "\n")


def read_results(path: Path | str) -> Results:
    """Read results.json, given the file or its folder. Raises PaxionError when it is missing or not one."""
    path = _inside(path, RESULTS)
    content = _json(_text(path), str(path))
    if not (
        isinstance(content, dict)
        and isinstance(content.get("provenance"), dict)
        and isinstance(content.get("scores"), list)
    ):
        raise PaxionError(f'{path}: expected an object with "provenance" and "scores"; give a {RESULTS} of paxion')
    scores = [_record(Score, score, f"{path}: score {i}") for i, score in enumerate(content["scores"], 1)]
    return Results(content["provenance"], scores)


def read_rows(path: Path | str) -> list[Row]:
    """Read samples.jsonl, given the file or its folder. Raises PaxionError when it is missing or a line is no row."""
    path = _inside(path, SAMPLES)
    rows = []
    for number, line in _lines(path):
        raw = _json(line, f"{path}:{number}")
        rows.append(_usual_row(raw) or _record(Row, raw, f"{path}:{number}"))
    return rows


def _usual_row(raw: Any) -> Row | None:
    """The row of a line as `write_results` writes it; None for any other line, which is looked at field by field."""
    if not isinstance(raw, dict) or tuple(raw) != _ROW:
        return None
    *names, seed, right, wrong, credit, rank = raw.values()
    numbers = (right, wrong, credit) if rank is None else (right, wrong, credit, rank)
    if not all(type(name) is str and name.strip() for name in names) or type(seed) is not int:
        return None
    if not all(type(number) is float and math.isfinite(number) for number in numbers):
        return None
    # Names recur in every row: a million rows share a few thousand.
    name, group, model, data, task, control = map(sys.intern, names)
    return Row(name, group, model, data, task, control, seed, right, wrong, credit, rank)


def write_strata(folder: Path | str, strata: Mapping[str, Mapping[str, str]]) -> None:
    """Write strata.jsonl to `folder`, whole or not at all: the facts of each sample id (see `evaluation.strata`)."""
    lines = [{"id": name, "strata": dict(facts)} for name, facts in strata.items()]
    write_text(Path(folder) / STRATA, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def read_strata(path: Path | str) -> dict[str, dict[str, str]]:
    """Read strata.jsonl, given the file or its folder: sample id to its facts. Empty where there is no such file.

    Raises PaxionError for a line that is not as `write_strata` writes it, and for an id that is there twice.
    """
    path = _inside(path, STRATA)
    found: dict[str, dict[str, str]] = {}
    for number, line in enumerate(_text(path).split("\n") if path.exists() else (), 1):
        if not line.strip():
            continue
        content = _json(line, f"{path}:{number}")
        facts = content.get("strata") if isinstance(content, dict) and set(content) == {"id", "strata"} else None
        if not (
            isinstance(facts, dict)
            and isinstance(content["id"], str)
            and all(isinstance(fact, str) and fact for fact in facts.values())
        ):
            raise PaxionError(f'{path}:{number}: expected {{"id": "...", "strata": {{"verb": "...", ...}}}} of strings')
        if content["id"] in found:
            raise PaxionError(f"{path}:{number}: the id {content['id']!r} is there twice, expected each sample once")
        found[content["id"]] = facts
    return found


def _plain(record: Score | Row, what: str) -> dict[str, Any]:
    plain = asdict(record)
    for name, message in field_problems(type(record), plain):
        raise PaxionError(f"cannot write {what}: {name}: {message}")
    return plain


def _record(kind: type[T], raw: Any, where: str) -> T:
    for name, message in field_problems(kind, raw):
        raise PaxionError(f"{where}: {name}: {message}; was it written by another version of paxion?")
    return from_json(kind, raw)


def _inside(path: Path | str, name: str) -> Path:
    path = Path(path)
    return path / name if path.is_dir() else path


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not empty, with their numbers; the file is not held as a whole."""
    try:
        # Only a line feed ends a line: captions may hold other separators.
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PaxionError(f"cannot read {path}: {reason}; expected a file that a paxion run has written") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PaxionError(f"cannot read {path}: {reason}; expected a file that a paxion run has written") from error


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise PaxionError(f"{where}: not JSON ({error}); expected a file that a paxion run has written") from error


def _jsonable(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"provenance holds a {type(value).__name__}: give JSON values, paths or dataclasses")
