"""What several rooms test on: a tiny world on disk, a tiny untrained backbone, and its features of that world."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from paxion.backbones.world import WorldBackbone, WorldConfig
from paxion.features.extract import Extracted, extract
from paxion.manifest import read_manifest
from paxion.records import Sample
from paxion.world.captions import vocabulary
from paxion.world.generate import WorldPlan, write_world

TINY = WorldPlan(train=21, val=21, test=21)
# Tensors are tiny here: threads that share a busy core cost ten times what they gain.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a world of 21 scenes a split, with its videos beside it. Read only."""
    return write_world(tmp_path_factory.mktemp("world"), TINY, workers=1)


@pytest.fixture(scope="session")
def tiny_samples(tiny_manifest: Path) -> list[Sample]:
    return read_manifest(tiny_manifest)


@pytest.fixture(scope="session")
def tiny_backbone() -> WorldBackbone:
    torch.manual_seed(0)
    config = WorldConfig(tuple(vocabulary()), width=32, heads=2, frame_blocks=2, text_blocks=1, dim=16)
    return WorldBackbone(config).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_features(
    tiny_backbone: WorldBackbone,
    tiny_manifest: Path,
    tiny_samples: list[Sample],
    tmp_path_factory: pytest.TempPathFactory,
) -> Extracted:
    """Features of every clip of the tiny world. Read only."""
    return extract(tiny_backbone, tiny_manifest, tiny_samples, tmp_path_factory.mktemp("features"), batch=128)
