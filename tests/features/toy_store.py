"""A small store of made-up features, in shards as extraction writes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from paxion.backbones.base import Features, normalise
from paxion.features.store import BLIND, FeatureStore, StoreSpec
from paxion.video.transform import Transform

SPEC = StoreSpec("toy", "1", "midpoint", frames=5, transform=Transform(32))
NAMES = [f"clip{number}" for number in range(10)]


def features(count: int, seed: int = 0, vectors: bool = True, tokens: bool = True) -> Features:
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(count, 5, 4, generator=generator)
    return Features(
        normalise(found.mean(1)),
        torch.randn(count, 5, 3, 8, generator=generator) if tokens else None,
        found if vectors else None,
    )


def part(whole: Features, rows: slice | list[int]) -> Features:
    return Features(*(None if values is None else values[rows] for values in vars(whole).values()))


def filled(root: Path, spec: StoreSpec = SPEC, **kinds: bool) -> tuple[FeatureStore, Features]:
    """Ten clips in two shards and the blind one in a third; their features."""
    store, whole = FeatureStore(root, spec), features(11, **kinds)
    for names, rows in (([BLIND], slice(0, 1)), (NAMES[:4], slice(1, 5)), (NAMES[4:], slice(5, 11))):
        store.append(names, part(whole, rows), {})
    return store, part(whole, slice(1, None))


def with_dtype(dtype: str) -> StoreSpec:
    return replace(SPEC, dtype=dtype)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
