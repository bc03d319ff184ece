"""The feature store: what the frozen backbone says about each clip, computed once and kept as plain .npy shards.

A store is a folder for one specification (spec.py), with a file `store.json` that holds it, and shards (shards.py),
each complete or not there. Any number of processes can write to a store: a shard has a name of its own, and there is no
list of shards but the folder. A clip is keyed by its file (path, size, time of change) and window, so that a changed
file is encoded again. A clip that could not be read is listed with its reason.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from paxion.backbones.base import Features
from paxion.features.numbers import PARTS, decoded, number
from paxion.features.rows import RowFile, advise, read_rows
from paxion.features.shard_writer import JOURNAL, ShardWriter, begin, begun_keys, journal_file
from paxion.features.shards import (
    NAME,
    PREFIX,
    DamageError,
    Shard,
    State,
    complete_shards,
    named,
    part_file,
    read_shard,
    row_size,
    shard_file,
    shard_name,
    states,
)
from paxion.features.spec import (
    BLIND,
    INDEX,
    StoreSpec,
    clip_key,
    differences,
    differing,
    read_spec,
    spec_of,
    store_folder,
    variant,
    write_spec,
)
from paxion.files import make_folder
from paxion.records import PaxionError
from paxion.video.controls import frame_order

__all__ = ["BLIND", "FeatureStore", "StoreSpec", "clip_key", "spec_of", "variant"]


class FeatureStore:
    """A folder of features; see the module docstring. Shards are written by `writer` or `append`, and read by `read`.

    It can be pickled, and shared by threads and forked processes.
    """

    def __init__(self, root: Path, spec: StoreSpec) -> None:
        """Open the store of `spec`, or begin one.

        root: a folder of stores, one for each specification; or a store itself, whose specification must be `spec`.
        Raises PaxionError for a store of another specification, with the fields that differ.
        """
        self.spec, self.folder = spec, store_folder(root, spec)
        self.missed: dict[str, str] = {}
        """From key to reason: clips that could not be read."""
        self.damaged: dict[str, str] = {}
        """From the name of a shard to what is wrong with it. Its clips are not in the store: they are encoded again."""
        self._files: list[dict[str, RowFile]] = []
        """Of each shard, by part."""
        self._starts: list[int] = []
        self._end = 0
        self._where: dict[str, int] = {}
        """Rows are counted through all shards; `_starts` has the first of each."""
        self._known: set[str] = set()
        self._redo: list[list[str]] = []
        """The keys of damaged shards, where these can be told."""
        self._lock = Lock()
        make_folder(self.folder)
        if (self.folder / INDEX).exists():
            other = differing(read_spec(self.folder), spec)
            if other:
                raise PaxionError(f"{self.folder} holds other features, with {other}; give another folder")
        self.refresh()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As it was, with a lock of its own."""
        vars(self).update(state, _lock=Lock())

    def __contains__(self, key: str) -> bool:
        """Whether a clip's features are there."""
        return key in self._where

    def __iter__(self) -> Iterator[str]:
        """The keys of all clips, and of their variants."""
        return iter(self._where)

    def __len__(self) -> int:
        """The number of clips, each variant counted, and the grey one."""
        return len(self._where)

    @property
    def reorderable(self) -> bool:
        """Whether reordered clips can be derived: true for per-frame backbones that give frame vectors."""
        return any("vectors" in files for files in self._files)

    def refresh(self) -> None:
        """Look for shards that others have finished since. Raises PaxionError when one cannot be read."""
        with self._lock:
            damaged, redo = {}, []
            for name in sorted(complete_shards(self.folder) - self._known):
                try:
                    shard = read_shard(self.folder, name, self.spec)
                except DamageError as error:
                    damaged[name] = f"{shard_file(self.folder, name).name}: {error}"
                    continue
                try:
                    self._add(shard, states(self.folder, shard))
                except DamageError as error:
                    damaged[name] = str(error)
                    redo.append(shard.asked)
            self.damaged, self._redo = damaged, redo
            for key in [key for key in self.missed if key in self._where]:
                del self.missed[key]

    def _add(self, shard: Shard, found: dict[str, State]) -> None:
        first, self._end = self._end, self._end + len(shard.keys)
        files = {}
        for name in (name for name in PARTS if name in shard.parts):
            part, path = shard.parts[name], str(part_file(self.folder, shard.name, name))
            size, kind = row_size(part, name, self.spec), number(name, self.spec.dtype).memory
            offset = part.bytes - len(shard.keys) * size
            files[name] = RowFile(path, found[name], offset, size, part.shape[1:], kind)
        self._files.append(files)
        self._starts.append(first)
        self._known.add(shard.name)
        self.missed.update(shard.missed)
        # All at once: a store may have millions of clips.
        keys = [key for key in shard.keys if key is not None]
        rows: Sequence[int] = range(first, self._end)
        if shard.missed:
            rows = [row for row, key in zip(rows, shard.keys, strict=True) if key is not None]
        self._where.update(zip(keys, rows, strict=True))

    def unfinished(self) -> list[list[str]]:
        """The keys of each shard that was begun and is not complete, or is damaged: `writer` takes them as they are.

        Whoever takes these up first redoes nothing that a killed process had done.
        """
        paths = named(self.folder, rf"{PREFIX}{NAME}\{JOURNAL}")
        begun = {shard_name(keys): keys for path in paths if (keys := begun_keys(path)) is not None}
        for name in begun.keys() & self._known:  # its writer was killed after its last word: the journal is removed
            writer = self.writer(begun[name])
            if writer is not None:
                writer.close()
        return [*self._redo, *(begun[name] for name in begun if name not in self._known and name not in self.damaged)]

    def writer(self, keys: Sequence[str]) -> ShardWriter | None:
        """A writer of the shard whose rows are `keys`; None when it is complete, or another process writes it.

        A journal that was left beside a complete shard is removed.
        """
        name = shard_name(keys)
        if name not in self._known:
            self.refresh()
        if name in self._known and not journal_file(self.folder, name).exists():
            return None
        write_spec(self.folder, self.spec)
        return begin(self.folder, self.spec, keys, self.refresh, anew=name in self.damaged)

    def append(self, keys: Sequence[str], features: Features | None, missed: Mapping[str, str]) -> None:
        """Add a shard with one row per key, and the keys that could not be read with their reasons."""
        writer = self.writer([*keys, *missed])
        if writer is None:
            return
        with writer:
            lost = dict(enumerate(missed.values(), len(keys)))
            if not all(writer.done):
                writer.write(range(len(keys)), features, lost)
            writer.finish()

    def prefetch(self, keys: Sequence[str]) -> None:
        """Tell the kernel what is read next; returns at once. What is not there is found out by `read`."""
        with suppress(PaxionError):
            places = [self._place(key) for key in keys if key in self._where]
            advise((file, row) for files, row in places for file in files.values())

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        """The features of clips under a control (video/controls.py), in the precision of the store.

        seeds: what the shuffled order of each clip is drawn from, where the store is reorderable (default: its key).
        Where it is not, the controlled clips must have been extracted as such (keys `key#control`, shuffled by key); of
        these, tokens that depend on their frame alone are taken from the clip itself.
        """
        if control == BLIND:
            keys, control = [BLIND] * len(keys), "none"
        if self.reorderable:
            # Also without a control: a clip and its reversal then differ by no rounding that only one of them has seen.
            return self._reordered(keys, self._orders(control, seeds or keys))
        if control == "none":
            return decoded(self._rows(keys))
        variants = [variant(key, control) for key in keys]
        if not self.spec.per_frame:
            return decoded(self._rows(variants))
        pooled = self._rows(variants, parts=("pooled",))
        return decoded(pooled | self._rows(keys, self._orders(control, keys), ("tokens", "scales")))

    def _orders(self, control: str, seeds: Sequence[str]) -> Tensor:
        """(B, T)"""
        return torch.stack([frame_order(control, self.spec.frames, seed) for seed in seeds])

    def _reordered(self, keys: Sequence[str], orders: Tensor) -> Features:
        features = decoded(self._rows(keys, orders))
        # The tokens lie in order already, and need not be copied.
        straight = replace(features, tokens=None).reordered(torch.arange(self.spec.frames))
        return replace(straight, tokens=features.tokens)

    def _rows(
        self, keys: Sequence[str], orders: Tensor | None = None, parts: Sequence[str] = PARTS
    ) -> dict[str, Tensor]:
        """Some parts of the rows of some keys; orders (B, T) of their frames, for what has frames."""
        absent = [key for key in keys if key not in self._where]
        if absent or not keys:
            why = next((f"{what} is damaged" for what in self.damaged.values()), None)
            if not self._where:
                why = differences(self.folder.parent, self.spec)
            raise PaxionError(
                f"{len(absent)} clips are not in the store {self.folder}{f' ({why})' if why else ''}; extract them "
                "first: paxion features make"
            )
        places = [self._place(key) for key in keys]
        first = places[0][0]
        for files, _ in places:
            if files.keys() != first.keys() or any(files[name].shape != first[name].shape for name in files):
                one, other = (next(iter(files.values())).path for files in (first, files))
                raise PaxionError(
                    f"{one} and {other} are of shards with other parts or shapes, expected the same: they are not of "
                    f"one backbone; delete {self.folder} and extract again"
                )
        names = [name for name in first if name in parts]
        advise((files[name], row) for files, row in places for name in names)
        return {name: self._part(name, places, orders if name != "pooled" else None) for name in names}

    def _part(self, name: str, places: Sequence[tuple[dict[str, RowFile], int]], orders: Tensor | None) -> Tensor:
        rows = [(files[name], row) for files, row in places]
        straight = torch.arange(self.spec.frames)
        if orders is None or torch.equal(orders.sort(1).values, straight.expand_as(orders)):
            return read_rows(rows, orders)
        return read_rows(rows)[torch.arange(len(rows))[:, None], orders]

    def _place(self, key: str) -> tuple[dict[str, RowFile], int]:
        """The files of the shard of a key, by part, and the row in them."""
        row = self._where[key]
        shard = bisect_right(self._starts, row) - 1
        return self._files[shard], row - self._starts[shard]
