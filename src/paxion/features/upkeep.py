"""What stores hold, and whether it is still what was written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paxion.features.locks import held, locked
from paxion.features.numbers import PARTS, number
from paxion.features.part_writer import header_of
from paxion.features.shard_writer import JOURNAL, journal_file
from paxion.features.shards import (
    NAME,
    PREFIX,
    DamageError,
    Shard,
    complete_shards,
    named,
    part_file,
    read_shard,
    shard_file,
    states,
    sum_of,
)
from paxion.features.spec import BLIND, StoreSpec, open_spec, stores
from paxion.features.store import FeatureStore
from paxion.features.texts import read_texts, text_files
from paxion.files import unreadable
from paxion.records import PaxionError

Tick = Callable[[int], object]
"""Called with the bytes read since the last call."""


@dataclass(frozen=True)
class Status:
    """What one store holds."""

    folder: Path
    spec: StoreSpec
    clips: int
    variants: int
    """Clips that were encoded under a control."""
    texts: int
    missed: dict[str, str]
    """From key to reason."""
    shards: int
    unfinished: int
    """Shards that were begun; those that are being written now are among them."""
    writing: int
    """Shards that are being written now."""
    damaged: dict[str, str]
    bytes: int
    """Of all files."""


@dataclass(frozen=True)
class Damage:
    """Something in a store that is not as it was written."""

    what: str
    """The file, and what is wrong with it."""
    shard: str | None = None
    """The shard that is to be written again."""
    texts: Path | None = None
    """The .json of the text features that are to be written again."""


def status(root: Path) -> Iterator[Status | PaxionError]:
    """What each store under `root` holds; an error in place of one whose store.json cannot be read."""
    for folder in stores(root):
        try:
            yield _status(folder, open_spec(folder))
        except PaxionError as error:
            yield error


def _status(folder: Path, spec: StoreSpec) -> Status:
    store = FeatureStore(folder, spec)
    journals = [path for path in named(folder, rf"{PREFIX}{NAME}\{JOURNAL}") if not path.with_suffix(".json").exists()]
    texts = 0
    for path in text_files(folder):
        try:
            texts += len(read_texts(path).strings)
        except DamageError:
            continue  # told by verify
    keys = list(store)
    variants = sum("#" in key for key in keys)
    return Status(
        folder=folder,
        spec=spec,
        clips=len(keys) - variants - (BLIND in store),
        variants=variants,
        texts=texts,
        missed=store.missed,
        shards=len(complete_shards(folder)),
        unfinished=len(journals),
        writing=sum(held(path) for path in journals),
        damaged=store.damaged,
        bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
    )


def verify(folder: Path, tick: Tick | None = None) -> Iterator[Damage]:
    """Read every file of a store, and give what is not as it was written.

    Raises PaxionError when a file cannot be read: that says nothing of what is in it.
    """
    spec = open_spec(folder)
    for name in sorted(complete_shards(folder)):
        try:
            shard = read_shard(folder, name, spec)
        except DamageError as error:
            yield Damage(f"{shard_file(folder, name)}: {error}", shard=name)
            continue
        wrong = _wrong(folder, shard, spec)
        if wrong:
            yield Damage(f"{folder}/{wrong}", shard=name)
        if tick is not None:
            tick(sum(part.bytes for part in shard.parts.values()))
    for path in text_files(folder):
        try:
            read_texts(path).vectors()
        except DamageError as error:
            yield Damage(f"{folder}/{error}", texts=path)
            continue
        if tick is not None:
            tick(path.with_suffix(".npy").stat().st_size)


def _wrong(folder: Path, shard: Shard, spec: StoreSpec) -> str | None:
    """The first thing that is wrong with the files of a shard."""
    try:
        states(folder, shard)
    except DamageError as error:
        return str(error)
    for name, part in shard.parts.items():
        path = part_file(folder, shard.name, name)
        try:
            if sum_of(path) != part.crc32:
                return f"{path.name}: its sum is wrong"
            shape, dtype, _ = header_of(path)
        except FileNotFoundError as error:
            return f"{path.name}: {error.strerror}"
        except OSError as error:
            raise unreadable(path, error) from error
        except ValueError as error:
            return f"{path.name}: {error}"
        if shape != part.shape or dtype != np.dtype(number(name, spec.dtype).disk):
            return f"{path.name}: got {dtype} {shape}, expected {number(name, spec.dtype).disk} {part.shape}"
    return None


def repair(folder: Path, damage: Damage) -> bool:
    """Drop what is damaged, so that it is written again; False when another process is at it."""
    if damage.shard is not None:
        return drop_shard(folder, damage.shard)
    if damage.texts is not None:
        drop_files([damage.texts, damage.texts.with_suffix(".npy")])
    return True


def drop_files(paths: Iterable[Path]) -> None:
    """Remove files, those that are there. What is a folder stays. Raises PaxionError when one cannot be removed."""
    for path in paths:
        try:
            if path.is_symlink() or path.is_file():
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _kept(path, error) from error


def _kept(path: Path, error: OSError) -> PaxionError:
    return PaxionError(f"cannot remove {path}: {error.strerror or error}; mend that, and run the same command again")


def drop_shard(folder: Path, name: str) -> bool:
    """Remove a shard, complete or not; False when another process writes it."""
    journal = journal_file(folder, name)
    try:
        lock = locked(journal)
    except OSError as error:
        raise _kept(journal, error) from error
    if lock is None:
        return False
    try:
        # First what says that it is complete.
        parts = [part_file(folder, name, part) for part in PARTS]
        drop_files([shard_file(folder, name), *parts, *(path.with_suffix(".part") for path in parts), journal])
    finally:
        os.close(lock)
    return True
