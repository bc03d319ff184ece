"""What the other tests of this folder leave out: names, shards that are short, controls that would be the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from paxion.backbones.base import Features
from paxion.backbones.world import WorldBackbone
from paxion.features.extract import Extracted, extract
from paxion.features.store import BLIND, FeatureStore
from paxion.records import PaxionError
from paxion.video.controls import CONTROLS


def test_controls_differ_from_each_other(tiny_features, tiny_samples):
    key = tiny_features.keys[tiny_samples[20].id]
    tokens = [tiny_features.store.read([key], control).tokens for control in CONTROLS]
    for one in range(len(tokens)):
        for other in range(one):
            assert not torch.equal(tokens[one], tokens[other]), (CONTROLS[one], CONTROLS[other])


def test_an_unknown_control_is_said(tiny_features, tiny_samples):
    with pytest.raises(PaxionError, match="did you mean 'shuffled'"):
        tiny_features.store.read([tiny_features.keys[tiny_samples[0].id]], "shufled")


def test_a_shard_with_fewer_rows_than_the_index_says_is_damaged(tiny_features: Extracted, tiny_samples, tmp_path: Path):
    shutil.copytree(tiny_features.store.folder, tmp_path / tiny_features.store.folder.name)
    store = FeatureStore(tmp_path, tiny_features.store.spec)
    path = store.folder / "shard-00001.pooled.npy"
    np.save(path, np.load(path)[:1])
    with pytest.raises(PaxionError, match=r"shard-00001\.pooled\.npy is damaged .*extract again"):
        store.read([tiny_features.keys[sample.id] for sample in tiny_samples])


def test_the_index_is_plain_json_and_lists_every_row(tiny_features):
    stored = json.loads((tiny_features.store.folder / "store.json").read_text())
    for number, keys in enumerate(stored["shards"]):
        assert len(np.load(tiny_features.store.folder / f"shard-{number:05d}.pooled.npy")) == len(keys)
    assert {key for keys in stored["shards"] for key in keys} == {BLIND, *tiny_features.keys.values()}


class Broken(WorldBackbone):
    """A backbone whose weights went wrong."""

    def encode_video(self, video: torch.Tensor) -> Features:
        features = super().encode_video(video)
        assert features.tokens is not None
        return Features(features.pooled, features.tokens * float("nan"), features.frame_vectors)


def test_a_backbone_that_gives_nan_leaves_no_shard(tiny_backbone, tiny_manifest, tiny_samples, tmp_path):
    broken = Broken(tiny_backbone.config).eval().requires_grad_(False)
    with pytest.raises(PaxionError, match=r"check its weights|cannot hold"):
        extract(broken, tiny_manifest, tiny_samples[:2], tmp_path)
    assert not list(tmp_path.glob("*/*.tokens.npy")) and not list(tmp_path.glob("*/store.json"))
