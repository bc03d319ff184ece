"""One shard of a store on disk.

    shard-<name>.<part>.npy    the numbers, one row per clip; zeros for a clip that could not be read
    shard-<name>.json          {keys by row, missed, bytes, crc32 and shape of each part, crc32 of all that}, written
                               last: with it, all is there

The name is a digest of the keys: processes that write other clips never meet. How it is written: shard_writer.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from paxion.features.numbers import PARTS, number
from paxion.features.spec import StoreSpec
from paxion.files import unreadable

PREFIX, COMPLETE = "shard-", ".json"
NAME = "[0-9a-f]{16}"
"""The names of shards, and of files of texts: a file with another is the user's own."""
SEAL = b', "crc32": '
"""What the sum of a .json stands behind, at its end."""
ALIGNED = 64
"""Bytes that the header of a .npy file is filled up to a multiple of."""
CHUNK = 2**24
"""Bytes read at once to sum them up."""
State = tuple[int, int, int]
"""Size, time of change and number of a file: a file that was written again has another."""


class DamageError(Exception):
    """What is in a store is not what was written. Not for a file that cannot be read now: that is a PaxionError."""


@dataclass(frozen=True)
class Part:
    """One array of a shard."""

    bytes: int
    """Of the whole file."""
    crc32: int
    """Of the whole file."""
    shape: tuple[int, ...]
    """(clips, ...)"""


@dataclass(frozen=True)
class Shard:
    """A complete shard: what its .json says."""

    name: str
    keys: list[str | None]
    """By row; None for a clip that could not be read."""
    missed: dict[str, str]
    """From key to reason, in the order of the rows that are None."""
    parts: dict[str, Part]

    @property
    def asked(self) -> list[str]:
        """The keys that it was made for, by row."""
        lost = iter(self.missed)
        return [next(lost) if key is None else key for key in self.keys]


def shard_name(keys: Sequence[str]) -> str:
    """The name of the shard of these keys."""
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


def part_file(folder: Path, name: str, part: str) -> Path:
    """The file of one part of a complete shard."""
    return folder / f"{PREFIX}{name}.{part}.npy"


def shard_file(folder: Path, name: str) -> Path:
    """The file that says that a shard is complete."""
    return folder / f"{PREFIX}{name}{COMPLETE}"


def complete_shards(folder: Path) -> set[str]:
    """The names of the complete shards in a folder."""
    return {path.stem.removeprefix(PREFIX) for path in named(folder, rf"{PREFIX}{NAME}\{COMPLETE}")}


def named(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder whose whole names match, in order; none where there is no folder.

    Raises PaxionError when the folder cannot be read.
    """
    matches = re.compile(pattern).fullmatch
    try:
        with os.scandir(folder) as entries:
            # What a link leads to is looked at by those who read it.
            files = [one.name for one in entries if one.is_symlink() or one.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error
    return [folder / name for name in sorted(filter(matches, files))]


def sealed(content: bytes) -> bytes:
    """A JSON object with the sum of itself as its last field."""
    return content[:-1] + SEAL + str(zlib.crc32(content)).encode() + b"}"


def read_shard(folder: Path, name: str, spec: StoreSpec) -> Shard:
    """What a shard's .json says. Raises DamageError with what is wrong, and PaxionError when it cannot be read."""
    path = shard_file(folder, name)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DamageError(error.strerror) from None
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        stored = json.loads(content)
        if sealed(content.rpartition(SEAL)[0] + b"}") != content:
            raise ValueError("its sum is wrong")
        keys, missed = list(stored["keys"]), dict(stored["missed"])
        parts = {
            part: Part(int(told["bytes"]), int(told["crc32"]), tuple(map(int, told["shape"])))
            for part, told in stored["parts"].items()
        }
        shard = Shard(name, keys, missed, parts)
        if keys.count(None) != len(missed) or shard_name(shard.asked) != name:
            raise ValueError("its keys are not those of its name")
        if not set(parts) <= set(PARTS) or ("pooled" not in parts and len(missed) < len(keys)):
            raise ValueError(f"got parts {', '.join(parts)}, expected pooled and some of {', '.join(PARTS[1:])}")
        for part, told in parts.items():
            header = told.bytes - len(keys) * row_size(told, part, spec)
            if told.shape[0] != len(keys) or header <= 0 or header % ALIGNED:
                raise ValueError(f"got {part} of {told.bytes} bytes and shape {told.shape} for {len(keys)} keys")
        return shard
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise DamageError(" ".join(f"{kind}{error}".split())) from None


def row_size(part: Part, name: str, spec: StoreSpec) -> int:
    """Bytes of one clip in a part; the header of the file is what is left."""
    return prod(part.shape[1:]) * np.dtype(number(name, spec.dtype).disk).itemsize


def state_of(stat: os.stat_result) -> State:
    """The state of a file."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def states(folder: Path, shard: Shard) -> dict[str, State]:
    """The states of the files of a shard. Raises DamageError when one is missing or has another size than it should.

    Raises PaxionError when one cannot be looked at.
    """
    found = {}
    for part, told in shard.parts.items():
        path = part_file(folder, shard.name, part)
        try:
            found[part] = state_of(path.stat())
        except FileNotFoundError as error:
            raise DamageError(f"{path.name}: {error.strerror}") from None
        except OSError as error:
            raise unreadable(path, error) from error
        if found[part][0] != told.bytes:
            raise DamageError(f"{path.name}: got {found[part][0]} bytes, expected {told.bytes}")
    return found


def sum_of(path: Path) -> int:
    """The crc32 of a file."""
    total = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            total = zlib.crc32(chunk, total)
    return total
