"""Controlled clips: encoded as such where they cannot be derived, and no more of them than is needed."""

from __future__ import annotations

import json

import pytest
import torch
from neighbour import NeighbourBackbone
from scratch import assert_same, from_scratch

from paxion.backbones.base import Features, normalise
from paxion.features.extract import extract
from paxion.records import PaxionError
from paxion.video.controls import CONTROLS

ORDERS = [control for control in CONTROLS if control not in ("none", "blind")]


@pytest.mark.parametrize("control", CONTROLS)
def test_variants_of_a_backbone_that_sees_neighbours(tiny_manifest, tiny_samples, tmp_path, control):
    """Its features cannot be reordered, so each controlled clip is encoded as such."""
    backbone, samples = NeighbourBackbone(), tiny_samples[:6]
    found = extract(backbone, tiny_manifest, samples, tmp_path / "s", controls=ORDERS)
    assert not found.store.reorderable
    keys = list(found.keys.values())
    assert_same(found.store.read(keys, control), from_scratch(backbone, tiny_manifest, samples, control, keys))
    if control == "reversed":
        plain = found.store.read(keys)
        assert (plain.tokens.flip(1) - found.store.read(keys, control).tokens).abs().max() > 0.05


def test_a_variant_asked_for_later_is_encoded_then(tiny_manifest, tiny_samples, tmp_path):
    backbone, samples = NeighbourBackbone(), tiny_samples[:4]
    found = extract(backbone, tiny_manifest, samples, tmp_path / "s")
    keys = list(found.keys.values())
    with pytest.raises(PaxionError, match="4 clips are not in the store"):
        found.store.read(keys, "first")
    ticks: list[int] = []
    found = extract(backbone, tiny_manifest, samples, tmp_path / "s", controls=("reversed", "first"), tick=ticks.append)
    assert ticks == [0, 4]
    for control in ("none", "reversed", "first"):
        assert_same(found.store.read(keys, control), from_scratch(backbone, tiny_manifest, samples, control, keys))
    extract(backbone, tiny_manifest, samples, tmp_path / "s", controls=("reversed", "first"), tick=ticks.append)
    assert ticks[2:] == [4]
    rows = [key for path in found.store.folder.glob("shard-*.json") for key in json.loads(path.read_text())["keys"]]
    assert len(rows) == len(set(rows)) == 1 + 3 * 4  # The blind clip, and nothing twice.


def test_frame_vectors_are_no_leave_to_reorder_tokens_that_see_neighbours(tiny_manifest, tiny_samples, tmp_path):
    backbone, samples = NeighbourBackbone(vectors=True), tiny_samples[:3]
    found = extract(backbone, tiny_manifest, samples, tmp_path / "s")
    keys = list(found.keys.values())
    assert_same(found.store.read(keys, "reversed"), from_scratch(backbone, tiny_manifest, samples, "reversed", keys))


class OrderedVector(NeighbourBackbone):
    """Tokens of a frame are its own, the vector of a clip depends on the order: as InternVideo. Counts its passes."""

    per_frame = True

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def encode_video(self, video: torch.Tensor) -> Features:
        self.passes += 1
        places = video.unflatten(-1, (2, 16)).unflatten(-3, (2, 16)).mean((-1, -3))
        tokens = places.flatten(-2).transpose(-1, -2) @ self.token
        return Features(normalise(tokens.mean(2).flatten(1) @ self.pool), tokens)


def test_only_the_vector_of_a_reversed_clip_is_encoded_where_its_tokens_can_be_derived(
    tiny_manifest, tiny_samples, tmp_path
):
    backbone, samples = OrderedVector(), tiny_samples[:12]
    found = extract(backbone, tiny_manifest, samples, tmp_path, controls=(), batch=4, workers=0)
    keys = list(found.keys.values())
    assert backbone.passes == 1 + 3 and len(found.store) == 1 + 12
    before = set(found.store.folder.glob("*.tokens.npy"))
    with pytest.raises(PaxionError, match="12 clips are not in the store"):
        found.store.read(keys, "reversed")
    for _ in range(2):
        found = extract(backbone, tiny_manifest, samples, tmp_path, controls=("reversed", "last"), batch=4, workers=0)
        assert backbone.passes == 1 + 3 + 2 * 3
    assert set(found.store.folder.glob("*.tokens.npy")) == before
    for control in ("none", "reversed", "last"):
        assert_same(found.store.read(keys, control), from_scratch(backbone, tiny_manifest, samples, control, keys))


def test_a_truncated_shard_is_encoded_again_and_no_other(tiny_manifest, tiny_samples, tmp_path):
    backbone = OrderedVector()
    options = {"controls": (), "batch": 4, "shard": 4, "workers": 0}
    found = extract(backbone, tiny_manifest, tiny_samples[:12], tmp_path, **options)
    files = {path: path.read_bytes() for path in found.store.folder.iterdir()}
    cut = max(files, key=lambda path: len(files[path]))
    cut.write_bytes(files[cut][:-100])
    backbone.passes = 0
    again = extract(backbone, tiny_manifest, tiny_samples[:12], tmp_path, **options)
    assert backbone.passes == 1 and again.keys == found.keys
    assert {path: path.read_bytes() for path in again.store.folder.iterdir()} == files
