"""Tables as they come: csv and tab-separated files. A row that cannot be read is a BadRow, never a crash."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paxion.records import PaxionError

_BOM = b"\xef\xbb\xbf"
_QUOTED_LINES = 50  # A quote that is still open after so many lines is a stray one, not a long cell.


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of a data file that gives no sample."""

    file: str
    line: int
    """1-based line on which the row starts; in a folder, the place of the entry; 0: the whole file is meant."""
    message: str
    """What was got, what was expected."""

    def __str__(self) -> str:
        """The line for a person: where, and what."""
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class RowError(ValueError):
    """Why a row gives no sample. Raised by what looks at one row; whoever knows its line makes it a BadRow."""


Record = tuple[int, dict[str, Any]]
"""The line on which a row starts, and its values by column or field."""


def read_columns(
    path: Path, needed: Sequence[str] = (), *, names: Sequence[str] | None = None, delimiter: str | None = None
) -> Iterator[Record | BadRow]:
    """Give the rows of a csv or tab-separated file, as strings by column.

    needed: columns that must be there. names: the columns of a file without a header; otherwise the first line is the
    header. delimiter: as the first line shows it (see `columns_of`). Cells of a csv may be quoted and then hold line
    ends; in a tab-separated file a line is a row. Empty cells beyond the last named column are dropped.
    Raises PaxionError when the file cannot be read, is empty, or lacks a needed column.
    """
    found, shown = columns_of(path)
    delimiter = delimiter or shown
    columns = list(names or found)
    for name in needed:
        if columns.count(name) != 1:
            times = "twice" if name in columns else "nowhere"
            raise PaxionError(
                f"{path} has the column {name!r} {times}, expected it once; it has the columns {listed(columns)}"
            )
    lines = file_lines(path)
    if names is None:
        next(lines)
    empty = True
    rows = _tab_rows(path, lines) if delimiter == "\t" else _csv_rows(path, lines, delimiter, len(columns))
    for row in rows:
        empty = False
        if isinstance(row, BadRow):
            yield row
            continue
        line, cells = row
        if len(cells) == len(columns) or _fits(cells, len(columns)):
            yield line, dict(zip(columns, cells, strict=False))
        else:
            yield BadRow(str(path), line, f"got {len(cells)} columns, expected {len(columns)}")
    if empty:
        raise PaxionError(f"{path} has a header ({listed(columns)}) but no rows, expected some")


def columns_of(path: Path) -> tuple[list[str], str]:
    """The cells of the first line of a table, and its delimiter: comma, `;` or tab, whichever comes first.

    Raises PaxionError when the file cannot be read, is empty, or its first line is not text in UTF-8.
    """
    _, raw = next(file_lines(path))
    try:
        text = raw.decode().rstrip("\r\n")
        delimiter = next((mark for mark in text if mark in ",;\t"), ",")
        cells = _unquoted(text.split("\t")) if delimiter == "\t" else next(csv.reader([text], delimiter=delimiter), [])
    except UnicodeDecodeError as error:
        raise PaxionError(f"{path}:1: got bytes that are not UTF-8, expected a header; save it as UTF-8") from error
    except csv.Error as error:
        raise PaxionError(f"{path}:1: got a line that is no header ({error}), expected names of columns") from error
    columns = [cell.strip() for cell in cells]
    # A table saved with an empty last column has a delimiter at the end of each line.
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise PaxionError(f"{path}:1: got an empty line, expected a header with the names of the columns")
    return columns, delimiter


def file_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers from 1, without a byte order mark, line ends kept.

    Raises PaxionError when the file cannot be read or is empty.
    """
    line = 0
    try:
        with path.open("rb") as file:
            for line, raw in enumerate(file, 1):
                yield line, raw.removeprefix(_BOM) if line == 1 else raw
    except OSError as error:
        raise PaxionError(f"cannot read {path}: {error.strerror or error}; give an annotation file") from error
    if not line:
        raise PaxionError(f"{path} is empty, expected an annotation file")


def listed(names: Iterable[str]) -> str:
    """Names of columns or fields in a message: on one line, and cut short."""
    text = "".join(mark if mark.isprintable() else "?" for mark in ", ".join(names))
    return (text if len(text) <= 300 else text[:297] + "...") or "(none)"


def not_utf8(path: Path, line: int, error: UnicodeDecodeError) -> BadRow:
    """The BadRow for a line that is not UTF-8."""
    return BadRow(str(path), line, f"got bytes that are not UTF-8 (byte {error.start + 1} of the line)")


def _tab_rows(path: Path, lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, list[str]] | BadRow]:
    for line, raw in lines:
        try:
            text = raw.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield not_utf8(path, line, error)
            continue
        if text.strip():
            cells = text.split("\t")
            yield line, _unquoted(cells) if '"' in text else cells


def _csv_rows(
    path: Path, lines: Iterator[tuple[int, bytes]], delimiter: str, columns: int
) -> Iterator[tuple[int, list[str]] | BadRow]:
    waiting: deque[tuple[int, bytes]] = deque()

    def following() -> tuple[int, bytes] | None:
        return waiting.popleft() if waiting else next(lines, None)

    while (item := following()) is not None:
        line, raw = item
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            yield not_utf8(path, line, error)
            continue
        if not text.strip():
            continue
        if '"' not in text:
            yield line, text.rstrip("\r\n").split(delimiter)
            continue
        swallowed: list[tuple[int, bytes]] = []
        try:
            cells = next(csv.reader(_one_row(text, following, swallowed), delimiter=delimiter, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            cells = None
            yield BadRow(str(path), line, f"got a quoted cell that cannot be read ({error}), expected it to be closed")
        if cells is not None and (not swallowed or len(cells) == columns or _fits(cells, columns)):
            yield line, cells
            continue
        if cells is not None:
            yield BadRow(str(path), line, f"got {len(cells)} columns up to line {swallowed[-1][0]}, expected {columns}")
        # A stray quote has run into the rows after it: they are read on their own.
        waiting.extendleft(reversed(swallowed))


def _one_row(
    first: str, following: Callable[[], tuple[int, bytes] | None], swallowed: list[tuple[int, bytes]]
) -> Iterator[str]:
    """Lines for the csv reader, which asks for another one while a quote is open. Notes those after the first."""
    yield first
    while len(swallowed) < _QUOTED_LINES and (item := following()) is not None:
        swallowed.append(item)
        yield item[1].decode()


def _unquoted(cells: list[str]) -> list[str]:
    """The cells of a tab-separated row without the quotes that some writers put round a cell."""
    return [cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell for cell in cells]


def _fits(cells: list[str], columns: int) -> bool:
    """Whether the row has all columns, and nothing beyond the last of them."""
    return len(cells) >= columns and not any(cells[columns:])
