"""What the tests of training share: short recipes, and how two models and a log are looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from paxion.backbones.world import WorldBackbone, load_world
from paxion.features.extract import extract
from paxion.manifest import read_manifest
from paxion.patching.data import TrainingData, training_data
from paxion.patching.model import PatchedModel
from paxion.patching.recipes import RECIPES
from paxion.records import Sample

SHORT = replace(RECIPES["patcher"], epochs=4, batch=16, warmup=4)
FUSER = replace(RECIPES["fuser"], epochs=2, batch=16, warmup=1)


def same(one: PatchedModel, other: PatchedModel) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def apart(one: PatchedModel, other: PatchedModel) -> float:
    """The largest difference between two models' weights."""
    right = other.state_dict()
    return max(float((values - right[name]).abs().max()) for name, values in one.state_dict().items())


def killed_after(epoch: float) -> Callable[[dict[str, float]], None]:
    """A tick that ends a run right after it has logged an epoch, before it has kept anything of it."""

    def tick(line: dict[str, float]) -> None:
        if line["epoch"] == epoch:
            raise KeyboardInterrupt

    return tick


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def load(manifest: Path, weights: Path, features: Path, clips: int) -> tuple[WorldBackbone, TrainingData, list[Sample]]:
    """What a process of its own needs to train on the first clips of a world."""
    torch.set_num_threads(1)
    backbone, samples = load_world(weights), read_manifest(manifest)[:clips]
    extracted = extract(backbone, manifest, samples, features, workers=0)
    return backbone, training_data(backbone, extracted.store, extracted.keys, samples), samples
