"""Opening a store: what is damaged or of other features is said, never guessed at, and is written again."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_store import NAMES, SPEC, contents, features, filled, part

from paxion.backbones.base import Features
from paxion.backbones.world import WorldBackbone
from paxion.features.extract import extract
from paxion.features.shards import sealed, shard_name
from paxion.features.spec import differences, open_spec, spec_of
from paxion.features.store import BLIND, FeatureStore
from paxion.records import PaxionError
from paxion.video.transform import Transform

SECOND = shard_name(NAMES[4:])
OTHERS = {
    "backbone": "other",
    "revision": "2",
    "sampler": "first",
    "frames": 6,
    "tokens": "pool2",
    "per_frame": True,
    "dtype": "int8",
    "transform": Transform(64),
}


def test_misses_are_remembered(tmp_path):
    store = FeatureStore(tmp_path, SPEC)
    store.append([], None, {"a": "no file"})
    again = FeatureStore(tmp_path, SPEC)
    assert again.missed == {"a": "no file"}
    assert "a" not in again and "a" not in list(again)
    again.append(["a", "b"], features(2), {})  # with its file mended, say
    assert again.missed == {} and FeatureStore(tmp_path, SPEC).missed == {}


def test_a_store_sees_what_others_have_finished(tmp_path):
    one, other = FeatureStore(tmp_path, SPEC), FeatureStore(tmp_path, SPEC)
    one.append(NAMES, features(10), {})
    assert NAMES[0] not in other
    other.refresh()
    assert torch.equal(other.read(NAMES).tokens, one.read(NAMES).tokens)


@pytest.mark.parametrize("part_", ["pooled", "tokens", "vectors", "json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "long"])
def test_a_damaged_shard_is_left_out_and_written_again(tmp_path, part_, damage):
    store, whole = filled(tmp_path)
    before = contents(store.folder)
    path = store.folder / (f"shard-{SECOND}.json" if part_ == "json" else f"shard-{SECOND}.{part_}.npy")
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:-9], "empty": b"", "long": content + b"x"}[damage])
    again = FeatureStore(tmp_path, SPEC)
    assert set(again) == {BLIND, *NAMES[:4]} and len(again.read(NAMES[:4]).pooled) == 4
    unlisted = part_ == "json" and damage == "gone"
    assert (SECOND in again.damaged) is not unlisted
    with pytest.raises(PaxionError, match="6 clips are not in the store") as caught:
        again.read(NAMES)
    assert (path.name in str(caught.value)) is not unlisted and "\n" not in str(caught.value)
    if part_ != "json":
        assert again.unfinished() == [NAMES[4:]]
    again.append(NAMES[4:], part(whole, slice(4, 10)), {})
    assert again.damaged == {} and contents(store.folder) == before
    assert torch.equal(again.read(NAMES).tokens, whole.tokens.half())


@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_damage_after_opening_names_the_file(tmp_path, damage):
    """Training goes on for hours after a store was opened."""
    store, _ = filled(tmp_path)
    path = store.folder / f"shard-{SECOND}.tokens.npy"
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    else:
        path.write_bytes(path.read_bytes())
        os.utime(path, ns=(1, 1))
    with pytest.raises(PaxionError, match=rf"{path} is damaged .*paxion features make encodes") as caught:
        store.read(NAMES)
    assert "\n" not in str(caught.value)
    assert len(store.read(NAMES[:4]).pooled) == 4


def test_a_file_that_is_cut_while_it_is_open_is_said(tmp_path):
    store, _ = filled(tmp_path)
    store.read(NAMES)
    os.truncate(store.folder / f"shard-{SECOND}.tokens.npy", 500)
    with pytest.raises(PaxionError, match="is damaged"):
        store.read(NAMES)


@pytest.mark.parametrize(
    "change",
    [
        {"keys": ["a", "b"]},
        {"keys": [*NAMES[4:], "more"]},
        {"keys": [None, *NAMES[5:]]},
        {"missed": {"a": "b"}},
        {"parts": {}},
        {"parts": {"pooled": {"bytes": 224, "crc32": 0, "shape": [5, 4]}}},
        {"parts": {"pooled": {"bytes": 10, "crc32": 0, "shape": [6, 4]}}},
        {"parts": {"pooled": 3}},
        {"parts": {"../../x": {"bytes": 224, "crc32": 0, "shape": [6, 4]}}},
    ],
)
def test_a_list_that_does_not_fit_is_damaged(tmp_path, change):
    store, _ = filled(tmp_path)
    path = store.folder / f"shard-{SECOND}.json"
    told = json.loads(path.read_text())
    del told["crc32"]
    path.write_bytes(sealed(json.dumps(told).encode()))
    assert len(FeatureStore(tmp_path, SPEC)) == 11
    path.write_bytes(sealed(json.dumps(told | change).encode()))
    again = FeatureStore(tmp_path, SPEC)
    assert list(again.damaged) == [SECOND] and len(again) == 5


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"spec": 3}', "{}", "\xff", "[" * 100_000])
def test_a_damaged_specification_is_said_and_written_again(tmp_path, content):
    store, _ = filled(tmp_path)
    index = store.folder / "store.json"
    before = index.read_bytes()
    index.write_bytes(content.encode("latin-1"))
    with pytest.raises(PaxionError, match=r"store.json is damaged .*delete that file") as caught:
        FeatureStore(tmp_path, SPEC)
    assert "\n" not in str(caught.value)
    index.unlink()
    again = FeatureStore(tmp_path, SPEC)
    assert len(again) == 11
    again.append(["new"], features(1), {})
    assert index.read_bytes() == before


@pytest.mark.parametrize("field", OTHERS)
def test_features_made_otherwise_are_refused_with_the_field(tmp_path, field):
    store, _ = filled(tmp_path)
    other = replace(SPEC, **{field: OTHERS[field]})
    name, got, expected = (
        ("transform.size", 32, 64) if field == "transform" else (field, getattr(SPEC, field), OTHERS[field])
    )
    with pytest.raises(PaxionError) as caught:
        FeatureStore(store.folder, other)
    assert f"with {name} (got {got}, expected {expected}); give" in str(caught.value)
    # Under the parent there is room for both.
    assert FeatureStore(tmp_path, other).folder != store.folder
    line = differences(tmp_path, other)
    assert line is None if field == "backbone" else f"{name} (got {got}, expected {expected})" in line
    with pytest.raises(PaxionError, match="1 clips are not in the store") as caught:
        FeatureStore(tmp_path, other).read(NAMES[:1])
    assert line is None or line in str(caught.value)
    assert differences(tmp_path, SPEC) is None and differences(tmp_path / "none", SPEC) is None


def test_the_folder_of_a_store_will_do(tmp_path):
    store, _ = filled(tmp_path)
    again = FeatureStore(store.folder, SPEC)
    assert again.folder == store.folder and len(again) == 11
    (store.folder / "store.json").unlink()
    assert FeatureStore(store.folder, SPEC).folder == store.folder  # It is told by its name.
    moved = tmp_path / "moved"
    store.append(["new"], features(1), {})
    FeatureStore(tmp_path, SPEC).folder.rename(moved)
    assert len(FeatureStore(moved, SPEC)) == 12


def test_a_specification_is_read_as_it_was_written(tmp_path, tiny_features, tiny_backbone):
    assert open_spec(tiny_features.store.folder) == spec_of(tiny_backbone)
    store, _ = filled(tmp_path)
    assert open_spec(store.folder) == SPEC


def test_a_store_of_an_older_version_is_not_mixed_up(tmp_path):
    (tmp_path / "store.json").write_text(json.dumps({"spec": {"backbone": "toy"}, "shards": [["a"]], "missed": {}}))
    with pytest.raises(PaxionError, match=r"another version of paxion \(layout 1, expected 2\): delete it"):
        FeatureStore(tmp_path, SPEC)


def test_an_unknown_dtype_is_said(tiny_backbone):
    with pytest.raises(PaxionError, match=r"unknown dtype of a feature store 'flaot16' .did you mean 'float16'"):
        spec_of(tiny_backbone, dtype="flaot16")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PaxionError, match="give another folder"):
        FeatureStore(tmp_path / "file", SPEC)


class Broken(WorldBackbone):
    """A backbone whose weights went wrong."""

    def encode_video(self, video: torch.Tensor) -> Features:
        features = super().encode_video(video)
        assert features.tokens is not None
        return Features(features.pooled, features.tokens * float("nan"), features.frame_vectors)


def test_a_backbone_that_gives_nan_leaves_no_shard(tiny_backbone, tiny_manifest, tiny_samples, tmp_path):
    broken = Broken(tiny_backbone.config).eval().requires_grad_(False)
    with pytest.raises(PaxionError, match="check its weights"):
        extract(broken, tiny_manifest, tiny_samples[:2], tmp_path)
    assert [path.name for path in tmp_path.glob("*/*")] == ["store.json"]


def test_every_row_is_in_a_plain_file(tiny_features):
    folder = tiny_features.store.folder
    listed = []
    for path in folder.glob("shard-*.json"):
        keys = json.loads(path.read_text())["keys"]
        assert len(np.load(path.with_suffix(".pooled.npy"), allow_pickle=False)) == len(keys)
        listed += keys
    assert sorted(listed) == sorted([BLIND, *tiny_features.keys.values()])
