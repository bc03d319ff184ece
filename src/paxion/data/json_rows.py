"""Files of JSON objects: JSON Lines as they come, a JSON list or object value by value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from paxion.data.rows import BadRow, Record, RowError, file_lines, listed, not_utf8
from paxion.records import PaxionError

_LOOK = 20  # So many rows without a needed field make it the wrong kind of file, not a few bad rows.
_SURROGATE = re.compile(r"\\u[dD]|[\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\r\n]*")


def read_jsonl(path: Path, needed: Sequence[str] = ()) -> Iterator[Record | BadRow]:
    """Give the objects of a JSON Lines file. NaN is read as a float, which `fields` takes for absent or refuses.

    needed: fields that a row must have. Raises PaxionError when the file cannot be read, is empty, or none of its first
    rows has the needed fields.
    """
    return _objects(path, _line_values(path), needed)


def read_json(path: Path, needed: Sequence[str] = ()) -> Iterator[Record | BadRow]:
    """Give the objects of a JSON list, or the values of a JSON object with their keys as the field "key".

    The text of the file is held in memory, its values are read one by one. needed: as for `read_jsonl`.
    Raises PaxionError when the file cannot be read, is not JSON (the rest of a broken list is lost, so it is no matter
    of one row), or none of its first rows has the needed fields.
    """
    return _objects(path, _file_values(path), needed)


def first_object(path: Path) -> dict[str, Any] | None:
    """The first object of a json or jsonl file, as its reader would give it; None when there is none among the first.

    Raises PaxionError when the file cannot be read, or is neither.
    """
    start = next(file_lines(path))[1].lstrip()
    if start.startswith(b"{"):
        for found in islice(_line_values(path), _LOOK):
            if not isinstance(found, BadRow) and isinstance(found[1], dict):
                row = found[1]
                values = [value for value in row.values() if isinstance(value, dict)]
                return values[0] if row and len(values) == len(row) else row
    for found in islice(read_json(path), _LOOK):
        if not isinstance(found, BadRow):
            return found[1]
    return None


def _objects(
    path: Path, values: Iterator[tuple[int, Any] | BadRow], needed: Sequence[str]
) -> Iterator[Record | BadRow]:
    """Keep the values that are objects with the needed fields; the others are bad rows."""
    fields = frozenset(needed)
    good = rows = 0
    lacking = ""
    for found in values:
        rows += 1
        if isinstance(found, BadRow):
            yield found
            continue
        line, row = found
        if not isinstance(row, dict):
            yield BadRow(str(path), line, f"got a value that is no object ({type(row).__name__}), expected {{...}}")
        elif fields <= row.keys():
            good += 1
            yield line, row
        else:
            missing = ", ".join(name for name in needed if name not in row)
            lacking = lacking or f"{missing}; it has the fields {listed(row)}"
            yield BadRow(str(path), line, f"got no field {missing}")
        if lacking and not good and rows == _LOOK:
            break
    if not rows:
        raise PaxionError(f"{path} is empty, expected rows")
    if lacking and not good:
        raise PaxionError(f"the rows of {path} lack the field {lacking}")


def _line_values(path: Path) -> Iterator[tuple[int, Any] | BadRow]:
    for line, raw in file_lines(path):
        try:
            text = raw.decode()
            if text.strip():
                yield line, _sound(text, _decode(text))
        except UnicodeDecodeError as error:
            yield not_utf8(path, line, error)
        except RowError as error:
            yield BadRow(str(path), line, str(error))
        except (ValueError, RecursionError) as error:
            yield BadRow(str(path), line, f"got a line that is not JSON ({error}), expected one object")


def _file_values(path: Path) -> Iterator[tuple[int, Any] | BadRow]:
    # Bytes that are not UTF-8 become lone surrogates, which spoil only the value they are in.
    text = b"".join(raw for _, raw in file_lines(path)).decode(errors="surrogateescape")
    place = _skip(text, 0)
    opening = text[place : place + 1]
    closing = {"[": "]", "{": "}"}.get(opening)
    if closing is None:
        raise PaxionError(f"{path} starts with {text[place : place + 20]!r}, expected JSON: a list [...] or an object")
    line, counted = 1, 0
    place = _skip(text, place + 1)
    first = True
    while text[place : place + 1] != closing:
        if not first:
            place = _skip(text, _after(path, text, place, ","))
        first = False
        line += text.count("\n", counted, place)
        counted = place
        key: Any = None
        if opening == "{":
            _after(path, text, place, '"')
            key, place = _value(path, text, place)
            place = _skip(text, _after(path, text, _skip(text, place), ":"))
        start = place
        value, place = _value(path, text, place)
        try:
            value = _sound(text[start:place], value)
            if isinstance(key, str):
                key = _sound(key, key)
        except RowError as error:
            yield BadRow(str(path), line, str(error))
        else:
            yield line, {**value, "key": key} if opening == "{" and isinstance(value, dict) else value
        place = _skip(text, place)
    end = _skip(text, place + 1)
    if end < len(text):
        where = text.count("\n", 0, end) + 1
        raise PaxionError(f"{path}:{where}: got more text after the end of the JSON, expected one list or object")


def _value(path: Path, text: str, place: int) -> tuple[Any, int]:
    try:
        return _JSON.raw_decode(text, place)
    except (ValueError, RecursionError) as error:
        at = error.pos if isinstance(error, json.JSONDecodeError) else place
        line = text.count("\n", 0, at) + 1
        why = getattr(error, "msg", error)
        raise PaxionError(f"{path}:{line}: got no JSON ({why}); is the file cut short? Get it again") from error


def _after(path: Path, text: str, place: int, mark: str) -> int:
    if text[place : place + 1] != mark:
        got = repr(text[place : place + 10]) if place < len(text) else "the end of the file"
        line = text.count("\n", 0, place) + 1
        raise PaxionError(f"{path}:{line}: got {got}, expected {mark!r}; is the file cut short? Get it again")
    return place + 1


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


class _Repeated(dict[str, Any]):
    """An object that names a field twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    return row if len(row) == len(pairs) else _Repeated(row)


_JSON = json.JSONDecoder(object_pairs_hook=_object)
_decode = _JSON.decode


def _sound(text: str, value: Any) -> Any:
    """The value, unless its text holds what no writer could write again. Raises RowError."""
    if isinstance(value, _Repeated):
        raise RowError("got a field twice in one object, expected each once")
    # Half of a surrogate pair: an escape of its own, or a byte that is not UTF-8.
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise RowError("got text with bytes or escapes that are not Unicode, expected UTF-8") from error
    return value
