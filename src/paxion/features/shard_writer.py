"""Writing one shard, batch by batch, so that a killed process can go on with the rows that are not done.

    shard-<name>.<part>.part   what becomes the .npy
    shard-<name>.journal       a line with the keys, then one for each batch that is written, with its crc32

The journal is locked by its writer, and the kernel lets go of the lock when the process dies. What the journal says is
believed as far as the sums are right, so that not even a crash of the machine can leave wrong numbers.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from paxion.backbones.base import Features
from paxion.features.locks import locked
from paxion.features.numbers import PARTS, array, encoded, number
from paxion.features.part_writer import PartWriter, write_all
from paxion.features.shards import PREFIX, part_file, sealed, shard_file, shard_name, sum_of
from paxion.features.spec import StoreSpec
from paxion.files import replacing, unreadable
from paxion.records import PaxionError

JOURNAL = ".journal"


def journal_file(folder: Path, name: str) -> Path:
    """The journal of a shard that is being written."""
    return folder / f"{PREFIX}{name}{JOURNAL}"


def begun_keys(journal: Path) -> list[str] | None:
    """The keys of a shard that was begun, from its journal; None when that does not tell them.

    Raises PaxionError when the journal cannot be read.
    """
    try:
        with journal.open("rb") as file:
            keys = list(json.loads(file.readline())["keys"])
        return keys if journal == journal_file(journal.parent, shard_name(keys)) else None
    except (FileNotFoundError, IsADirectoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    except OSError as error:
        raise unreadable(journal, error) from error


def begin(
    folder: Path, spec: StoreSpec, keys: Sequence[str], finished: Callable[[], object], *, anew: bool = False
) -> ShardWriter | None:
    """Begin the shard of these keys, or go on with it; None when it is complete or another process writes it.

    finished: called when the shard is complete. anew: what is there is damaged, and is written again.
    """
    name = shard_name(keys)
    path, complete = journal_file(folder, name), shard_file(folder, name)
    try:
        journal = locked(path)
        if journal is None:
            return None
        if anew:
            complete.unlink(missing_ok=True)
        if complete.is_file():
            path.unlink()
            os.close(journal)
            return None
        try:
            return ShardWriter(folder, spec, list(keys), journal, finished)
        except OSError:
            os.close(journal)
            raise
    except OSError as error:
        raise _unwritable(path, error) from error


class ShardWriter:
    """Writes one shard; made by `begin`. A context manager: at its end the shard is let go of.

    What `write` has returned from is not lost when the process is killed: the next writer of the same keys has those
    rows `done`. The finished files are the same bytes whatever happened in between.
    """

    def __init__(
        self, folder: Path, spec: StoreSpec, keys: list[str], journal: int, finished: Callable[[], object]
    ) -> None:
        self.keys = keys
        self._folder, self._spec, self._name = folder, spec, shard_name(keys)
        self._journal, self._finished = journal, finished
        self._written: set[int] = set()
        self._missed: dict[int, str] = {}
        self._arrays: dict[str, PartWriter] = {}
        self._resume()

    @property
    def done(self) -> list[bool]:
        """Of each row, whether it is written, or known to be missed."""
        return [row in self._written or row in self._missed for row in range(len(self.keys))]

    def write(self, rows: Sequence[int], features: Features | None, missed: Mapping[int, str] | None = None) -> None:
        """Write the features of the clips of some rows, and for others the reason why they are missed.

        Raises PaxionError for numbers that the store cannot hold, and when they cannot be written: what was written
        before is kept. Raises ValueError for rows that are done, or are none.
        """
        missed, done = dict(missed or {}), self.done
        if any(not 0 <= row < len(done) or done[row] for row in (*rows, *missed)):
            raise ValueError(f"got rows {[*rows, *missed]}, expected some of {len(done)} that are not done")
        parts = {} if features is None else encoded(features, self._spec.dtype, self._spec.backbone)
        values = {name: array(part) for name, part in parts.items()}
        if any(len(part) != len(rows) for part in values.values()) or (rows and not parts):
            raise ValueError(f"got {len(rows)} rows, and features of another number of clips")
        try:
            if rows and not self._arrays:
                for name, part in values.items():
                    kind, shape = number(name, self._spec.dtype).disk, (len(self.keys), *part.shape[1:])
                    self._arrays[name] = PartWriter.made(self._part(name), kind, shape)
            for name, one in self._arrays.items() if rows else ():
                if name not in values or values[name].shape[1:] != one.shape[1:] or len(values) != len(self._arrays):
                    raise ValueError("got features of other parts or shapes than those of the rows before")
                one.write(rows, values[name])
            sums = {name: zlib.crc32(np.ascontiguousarray(part).data) for name, part in values.items() if rows}
            line = {"rows": list(map(int, rows)), "missed": missed, "crc32": sums}
            write_all(self._journal, json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise self._stopped(error) from error
        self._written.update(rows)
        self._missed.update(missed)

    def finish(self) -> None:
        """Make the shard complete. Raises ValueError when rows are not done."""
        if not all(self.done):
            raise ValueError(f"{self.done.count(False)} of {len(self.keys)} rows are not done")
        missed = {self.keys[row]: self._missed[row] for row in sorted(self._missed)}
        parts = {}
        try:
            for name, one in sorted(self._arrays.items()):
                os.fsync(one.file)
                size = one.offset + one.shape[0] * one.size
                parts[name] = {"bytes": size, "crc32": sum_of(one.path), "shape": one.shape}
            for name, one in self._arrays.items():
                one.path.rename(part_file(self._folder, self._name, name))
            keys = [None if row in self._missed else key for row, key in enumerate(self.keys)]
            with replacing(shard_file(self._folder, self._name)) as temporary:
                told = {"keys": keys, "missed": missed, "parts": parts}
                temporary.write_bytes(sealed(json.dumps(told).encode()))
                _sync(temporary)
            _sync(self._folder)
            journal_file(self._folder, self._name).unlink()
        except OSError as error:
            raise self._stopped(error) from error
        self._release()
        self._finished()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the shard."""
        self.close()

    def close(self) -> None:
        """Let go of the shard. One without a row leaves nothing behind."""
        if self._journal >= 0 and not any(self.done):
            self._discard()
            journal_file(self._folder, self._name).unlink(missing_ok=True)
        self._release()

    def _part(self, name: str) -> Path:
        return self._folder / f"{PREFIX}{self._name}.{name}.part"

    def _release(self) -> None:
        for one in self._arrays.values():
            os.close(one.file)
        self._arrays = {}
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1

    def _discard(self) -> None:
        """Remove the parts."""
        for one in self._arrays.values():
            os.close(one.file)
        self._arrays = {}
        for name in PARTS:
            self._part(name).unlink(missing_ok=True)

    def _stopped(self, error: OSError) -> PaxionError:
        kept = f"the {sum(self.done)} of its {len(self.keys)} clips that are written, and all shards before, are kept"
        return PaxionError(f"{_unwritable(self._folder / f'{PREFIX}{self._name}', error)}; {kept}")

    def _resume(self) -> None:
        """Find the rows that an earlier writer left, as far as their sums are right."""
        for name in PARTS:
            final = part_file(self._folder, self._name, name)
            if final.is_file():  # killed after this part had its name, and before the shard was told to be complete
                final.rename(self._part(name))
            with suppress(FileNotFoundError, IsADirectoryError, ValueError):
                kind = number(name, self._spec.dtype).disk
                self._arrays[name] = PartWriter.found(self._part(name), kind, len(self.keys))
        for path in self._folder.glob(f".{PREFIX}{self._name}-*"):  # killed while that was told
            path.unlink(missing_ok=True)
        header = json.dumps({"keys": self.keys}).encode() + b"\n"
        content = os.pread(self._journal, os.fstat(self._journal).st_size, 0)
        good = len(header) if content.startswith(header) else 0
        for line in content[good:].splitlines(keepends=True) if good else ():
            if not self._believed(line):
                break
            good += len(line)
        os.ftruncate(self._journal, good)
        os.lseek(self._journal, 0, os.SEEK_END)
        if not self._written:
            self._discard()
        if not good:
            write_all(self._journal, header)

    def _believed(self, line: bytes) -> bool:
        """Take over a line of the journal, if what it says is there."""
        try:
            told = json.loads(line)
            rows, sums = list(map(int, told["rows"])), dict(told["crc32"])
            missed = {int(row): str(reason) for row, reason in told["missed"].items()}
            if not line.endswith(b"\n") or any(not 0 <= row < len(self.keys) for row in (*rows, *missed)):
                return False
            if rows and (set(sums) != set(self._arrays) or any(self._arrays[n].sum(rows) != sums[n] for n in sums)):
                return False
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return False
        self._written.update(rows)
        self._missed.update(missed)
        return True


def _unwritable(path: Path, error: OSError) -> PaxionError:
    reason = error.strerror or str(error)
    return PaxionError(f"cannot write {path} ({reason}); make space or give another folder: the same command goes on")


def _sync(path: Path) -> None:
    """Let a file, or the names in a folder, outlast a crash of the machine."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
