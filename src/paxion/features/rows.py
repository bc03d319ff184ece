"""Reading rows of files: advice to the kernel first, then each row straight into the memory of a tensor.

Reading through a memory map takes a page fault for every few pages; on a cold disk that is many times slower.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from paxion.features.shards import State, state_of
from paxion.files import unreadable
from paxion.records import PaxionError

FILES = 128
"""Files held open at most, by all stores of a process."""
ADVICE = 2**20
"""Bytes that one piece of advice is about: kernels cut longer ones short."""


@dataclass(frozen=True)
class RowFile:
    """A file of rows."""

    path: str
    state: State
    """The state that it was found in."""
    offset: int
    """Where the first row begins, bytes."""
    size: int
    """Bytes per row."""
    shape: tuple[int, ...]
    """Of a row."""
    number: torch.dtype


Rows = Sequence[tuple[RowFile, int]]
"""Rows, each by its file and its place in it."""


def advise(rows: Iterable[tuple[RowFile, int]]) -> None:
    """Tell the kernel what is read soon; returns at once. Raises PaxionError for a file that is gone or has changed."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file, row in rows:
        held = _open(file)  # as long as it is read from: another thread may drop it meanwhile
        begin = file.offset + row * file.size
        for start in range(begin, begin + file.size, ADVICE):
            os.posix_fadvise(held.number, start, min(ADVICE, begin + file.size - start), os.POSIX_FADV_WILLNEED)


def read_rows(rows: Rows, orders: Tensor | None = None) -> Tensor:
    """Rows of one shape and kind as a tensor (B, ...).

    orders: (B, T), permutations of the places along the first axis of each row. The kernel puts each piece where it
    belongs: a reversed clip takes no longer than the clip.
    Raises PaxionError for a file that is gone, has changed, or is too short.
    """
    first = rows[0][0]
    values = torch.empty(len(rows), *first.shape, dtype=first.number)
    memory = values.view(torch.uint8).view(len(rows), -1).numpy()
    into = [[row.data] for row in memory]
    if orders is not None:
        frames = memory.reshape(*orders.shape, -1)
        backs = orders.argsort(1).tolist()
        into = [[row[place].data for place in back] for row, back in zip(frames, backs, strict=True)]
    for index in sorted(range(len(rows)), key=lambda index: (rows[index][0].path, rows[index][1])):
        file, row = rows[index]
        try:
            _fill(_open(file), file.offset + row * file.size, into[index])
        except (OSError, EOFError) as error:
            raise _damaged(file, error) from None
    return values


def _fill(file: _OpenFile, offset: int, into: list[memoryview]) -> None:
    """Fill pieces of memory from `offset` on. Raises EOFError when the file is too short."""
    if os.preadv(file.number, into, offset) == sum(piece.nbytes for piece in into):
        return
    for piece in into:  # a short read, which network file systems are free to give
        while piece:
            got = os.preadv(file.number, [piece], offset)
            if not got:
                raise EOFError(f"it ends at byte {offset}")
            piece, offset = piece[got:], offset + got


class _OpenFile:
    """A file to read from, closed when nothing refers to it any more. No position: threads and forks can share it."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "number"):
            close(self.number)


def _open(file: RowFile) -> _OpenFile:
    try:
        return _opened(file.path, file.state)
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from None


@lru_cache(maxsize=FILES)
def _opened(path: str, state: State) -> _OpenFile:
    """The open file of a path. Raises OSError when it is not there, and ValueError when it has changed."""
    file = _OpenFile(path)
    found = state_of(os.fstat(file.number))
    if found != state:
        changed = f"{found[0]} bytes, expected {state[0]}" if found[0] != state[0] else "a file that is not the same"
        raise ValueError(f"got {changed}")
    return file


def _damaged(file: RowFile, error: Exception) -> PaxionError:
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return unreadable(Path(file.path), error)
    reason = getattr(error, "strerror", None) or error
    return PaxionError(f"{file.path} is damaged ({reason}); paxion features make encodes the clips of that shard again")
