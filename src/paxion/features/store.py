"""The feature store: what the frozen backbone says about each clip, computed once and kept as plain .npy shards.

A store is a folder for one backbone revision, sampler and precision:

    store.json                    what made the features, and which clip lies where
    shard-00000.pooled.npy        (clips, D) float32
    shard-00000.tokens.npy        (clips, T, P, C)
    shard-00000.vectors.npy       (clips, T, D), for backbones that give frame vectors

A clip is keyed by its file (path, size, time of change) and window, so that a changed file is encoded again. A clip
that could not be read is listed with its reason. Shards are complete or absent: a killed run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paxion.backbones.base import Backbone, Features
from paxion.files import make_folder, replacing, write_text
from paxion.records import PaxionError, Sample
from paxion.video.controls import frame_order
from paxion.video.transform import Transform

BLIND = "blind"
"""Key of the one grey clip."""


@dataclass(frozen=True)
class StoreSpec:
    """What the features depend on besides the clips."""

    backbone: str
    revision: str
    sampler: str
    frames: int
    transform: Transform
    dtype: str = "float16"

    @property
    def folder(self) -> str:
        """A folder name that no other specification shares."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]
        return f"{self.backbone.replace('/', '--').replace(':', '--')}-{self.revision}-{digest}"


def spec_of(backbone: Backbone, sampler: str = "midpoint") -> StoreSpec:
    """The specification of a backbone's features."""
    return StoreSpec(backbone.name, backbone.revision, sampler, backbone.frames, backbone.transform)


def clip_key(video: Path, sample: Sample) -> str:
    """Identifies the clip of a sample: the file as it is now, and the window in it."""
    try:
        stat = video.stat()
        state = f"{stat.st_size}|{stat.st_mtime_ns}"
    except OSError:
        state = "missing"
    return hashlib.sha256(f"{video.resolve()}|{state}|{sample.start}|{sample.end}".encode()).hexdigest()[:20]


class FeatureStore:
    """A folder of features; see the module docstring. Rows are written by `append` and read by `read`."""

    def __init__(self, root: Path, spec: StoreSpec) -> None:
        self.spec, self.folder = spec, root / spec.folder
        make_folder(self.folder)
        self._index = self.folder / "store.json"
        self.missed: dict[str, str] = {}
        self._where: dict[str, tuple[int, int]] = {}
        self._shards: list[list[str]] = []
        self._open: dict[str, np.ndarray] = {}
        if self._index.exists():
            self._load()

    def _load(self) -> None:
        try:
            stored = json.loads(self._index.read_text(encoding="utf-8"))
            self._shards, self.missed = [list(keys) for keys in stored["shards"]], dict(stored["missed"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(self._index, error) from None
        for shard, keys in enumerate(self._shards):
            for row, key in enumerate(keys):
                self._where[key] = (shard, row)

    def _damaged(self, path: Path, error: Exception) -> PaxionError:
        return PaxionError(f"{path} is damaged ({error}); delete {self.folder} and extract again")

    def __contains__(self, key: str) -> bool:
        """Whether a clip's features are there."""
        return key in self._where

    def append(self, keys: Sequence[str], features: Features | None, missed: Mapping[str, str]) -> None:
        """Add a shard with one row per key, and the keys that could not be read with their reasons."""
        if features is not None and keys:
            arrays = {"pooled": features.pooled, "tokens": features.tokens, "vectors": features.frame_vectors}
            for name, values in arrays.items():
                if values is not None:
                    self._write(f"shard-{len(self._shards):05d}.{name}.npy", values)
            for row, key in enumerate(keys):
                self._where[key] = (len(self._shards), row)
            self._shards.append(list(keys))
        self.missed.update(missed)
        stored = {"spec": asdict(self.spec), "shards": self._shards, "missed": self.missed}
        write_text(self._index, json.dumps(stored))

    def _write(self, name: str, values: Tensor) -> None:
        dtype = "float32" if ".pooled." in name else self.spec.dtype
        array = values.detach().cpu().numpy().astype(dtype)
        if not np.isfinite(array).all():
            raise PaxionError(
                f"got features of {self.spec.backbone} beyond {dtype}, expected finite ones; check its weights"
            )
        with replacing(self.folder / name) as temporary:
            np.save(temporary, array)

    def _rows(self, part: str, keys: Sequence[str]) -> Tensor | None:
        """The rows of one array, or None where the backbone gives no such array."""
        if not (self.folder / f"shard-00000.{part}.npy").exists() and part != "pooled":
            return None
        places = [self._where[key] for key in keys]
        out: Tensor | None = None
        for shard in sorted({shard for shard, _ in places}):
            name = f"shard-{shard:05d}.{part}.npy"
            if name not in self._open:
                try:
                    array = np.load(self.folder / name, mmap_mode="r", allow_pickle=False)
                    if len(array) != len(self._shards[shard]):
                        raise ValueError(f"got {len(array)} rows, expected {len(self._shards[shard])}")
                    self._open[name] = array
                except (OSError, EOFError, ValueError) as error:
                    raise self._damaged(self.folder / name, error) from None
            wanted = [index for index, place in enumerate(places) if place[0] == shard]
            rows = torch.from_numpy(self._open[name][[places[index][1] for index in wanted]])
            if out is None:
                out = torch.empty(len(keys), *rows.shape[1:], dtype=rows.dtype)
            out[wanted] = rows
        return out

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        """The features of clips under a control (video/controls.py), in the precision of the store.

        seeds: what the shuffled order of each clip is drawn from (default: its key). Where the backbone's features
        cannot be reordered, the controlled clips must have been extracted as such (keys `key#control`).
        """
        if control == BLIND:
            keys, control = [BLIND] * len(keys), "none"
        elif control != "none" and not self.reorderable:
            keys, control = [variant(key, control) for key in keys], "none"
        absent = [key for key in keys if key not in self._where]
        if absent:
            raise PaxionError(f"{len(absent)} clips are not in the store {self.folder}; extract them first")
        pooled = self._rows("pooled", keys)
        assert pooled is not None
        features = Features(pooled, self._rows("tokens", keys), self._rows("vectors", keys))
        if not self.reorderable:
            return features
        # Also without a control: a clip and its reversal then differ by no rounding that only one of them has seen.
        orders = [frame_order(control, self.spec.frames, seed) for seed in (seeds or keys)]
        return features.reordered(torch.stack(orders))

    @property
    def reorderable(self) -> bool:
        """Whether reordered clips can be derived: true for per-frame backbones that give frame vectors."""
        return (self.folder / "shard-00000.vectors.npy").exists()


def variant(key: str, control: str) -> str:
    """The key of a clip that was encoded under a control."""
    return key if control == "none" else f"{key}#{control}"
