"""Writing one .npy file, row by row in any order."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


@dataclass(frozen=True)
class PartWriter:
    """An open .npy file that is being written: where its numbers begin, and how they lie."""

    path: Path
    file: int
    offset: int
    shape: tuple[int, ...]
    size: int
    """Bytes per row."""

    @classmethod
    def made(cls, path: Path, kind: str, shape: tuple[int, ...]) -> PartWriter:
        """A new file of the whole size, zeros so far, for numbers of a kind that .npy knows."""
        header = io.BytesIO()
        npy.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
        offset, size = len(header.getvalue()), prod(shape[1:]) * np.dtype(kind).itemsize
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.ftruncate(file, offset + shape[0] * size)
            write_all(file, header.getvalue(), 0)
        except OSError:
            os.close(file)
            raise
        return cls(path, file, offset, shape, size)

    @classmethod
    def found(cls, path: Path, kind: str, rows: int) -> PartWriter:
        """The part that an earlier writer left. Raises OSError or ValueError when it is none of these rows."""
        shape, dtype, offset = header_of(path)
        size = prod(shape[1:]) * dtype.itemsize
        if dtype.str != kind or shape[0] != rows or path.stat().st_size != offset + rows * size:
            raise ValueError(f"got {path} with shape {shape}, expected {rows} rows")
        return cls(path, os.open(path, os.O_RDWR), offset, shape, size)

    def write(self, rows: Sequence[int], values: NDArray[Any]) -> None:
        """Write the values (len(rows), ...) of some rows."""
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        for place, row in enumerate(rows):
            write_all(self.file, data[place * self.size : (place + 1) * self.size], self.offset + row * self.size)

    def sum(self, rows: Iterable[int]) -> int:
        """The crc32 of some rows, in that order."""
        total = 0
        for row in rows:
            total = zlib.crc32(os.pread(self.file, self.size, self.offset + row * self.size), total)
        return total


def header_of(path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """The shape, dtype and offset of the numbers of a .npy file as written here. Raises ValueError for any other."""
    with path.open("rb") as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError("got another version of .npy, expected 1.0")
        shape, fortran, dtype = npy.read_array_header_1_0(file)
        if fortran or dtype.hasobject or not shape:
            raise ValueError("got an array that is not laid out by rows of numbers")
        return shape, dtype, file.tell()


def write_all(file: int, data: bytes | memoryview, offset: int | None = None) -> None:
    """Write all bytes, where the kernel takes them in pieces; at `offset`, or where the file stands."""
    rest = memoryview(data)
    while rest:
        count = os.write(file, rest) if offset is None else os.pwrite(file, rest, offset)
        rest, offset = rest[count:], None if offset is None else offset + count
