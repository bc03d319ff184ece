"""The store: rows come back in the order asked, and a damaged folder is said, never guessed at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from paxion.backbones.base import Features, normalise
from paxion.features.store import BLIND, FeatureStore, StoreSpec
from paxion.records import PaxionError
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


def filled(root: Path, **kinds: bool) -> tuple[FeatureStore, Features]:
    """Ten clips in three shards, as extraction writes them: the blind one first."""
    store, whole = FeatureStore(root, SPEC), features(11, **kinds)
    for names, rows in (([BLIND], slice(0, 1)), (NAMES[:4], slice(1, 5)), (NAMES[4:], slice(5, 11))):
        part = Features(*(None if values is None else values[rows] for values in vars(whole).values()))
        store.append(names, part, {})
    return store, Features(*(None if values is None else values[1:] for values in vars(whole).values()))


@pytest.mark.parametrize("rows", [[0, 1, 2], [9, 0, 5, 4, 3], [7, 7, 0, 7], [6]])
@pytest.mark.parametrize("again", [False, True])
def test_rows_come_back_in_the_order_asked(tmp_path, rows, again):
    store, whole = filled(tmp_path)
    store = FeatureStore(tmp_path, SPEC) if again else store
    found = store.read([NAMES[row] for row in rows])
    assert torch.equal(found.tokens, whole.tokens[rows].half())
    assert torch.equal(found.frame_vectors, whole.frame_vectors[rows].half())
    torch.testing.assert_close(found.pooled, whole.pooled[rows], rtol=0, atol=1e-3)


def test_a_clip_and_its_reversal_have_the_same_rounding(tmp_path):
    """Both are derived from the rounded vectors, so that an order-blind model ties to the last bits."""
    store, whole = filled(tmp_path)
    there, back = store.read(NAMES), store.read(NAMES, "reversed")
    torch.testing.assert_close(there.pooled, back.pooled, rtol=0, atol=1e-6)
    assert torch.equal(there.tokens.flip(1), back.tokens)
    assert (there.pooled - whole.pooled).abs().max() > 1e-6  # The rounding is there.


def test_blind_is_the_one_grey_clip_for_all(tmp_path):
    store, _ = filled(tmp_path)
    found = store.read(NAMES[:3], BLIND)
    assert len(found.pooled) == 3
    assert torch.equal(found.tokens, store.read([BLIND] * 3).tokens)


def test_what_a_backbone_does_not_give_is_not_there(tmp_path):
    store, _ = filled(tmp_path, vectors=False, tokens=False)
    found = store.read(NAMES[:2])
    assert (found.tokens, found.frame_vectors) == (None, None)
    with pytest.raises(PaxionError, match="2 clips are not in the store"):
        store.read(NAMES[:2], "reversed")


def test_absent_clips_are_counted(tmp_path):
    store, _ = filled(tmp_path)
    with pytest.raises(PaxionError, match=r"2 clips are not in the store.*extract them first"):
        store.read([NAMES[0], "x", "y"])


def test_misses_are_remembered(tmp_path):
    store = FeatureStore(tmp_path, SPEC)
    store.append([], None, {"a": "no file"})
    again = FeatureStore(tmp_path, SPEC)
    assert again.missed == {"a": "no file"}
    assert "a" not in again


def test_shards_written_before_the_index_are_written_over(tmp_path):
    """A kill between the arrays and the index leaves arrays that nothing points to."""
    store, whole = filled(tmp_path)
    index = (store.folder / "store.json").read_text()
    store.append(["lost"], features(1, seed=1), {})
    (store.folder / "store.json").write_text(index)
    again = FeatureStore(tmp_path, SPEC)
    assert "lost" not in again
    again.append(["found"], features(1, seed=2), {})
    assert torch.equal(again.read(["found"]).tokens, features(1, seed=2).tokens.half())
    assert torch.equal(again.read(NAMES).tokens, whole.tokens.half())


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"shards": []}', '{"shards": 3, "missed": {}}', '{"shards": [1], "missed": {}}', "\xff"],
)
def test_a_damaged_index_is_said(tmp_path, content):
    store, _ = filled(tmp_path)
    (store.folder / "store.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(PaxionError, match=r"is damaged .*delete .* and extract again") as caught:
        FeatureStore(tmp_path, SPEC)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["pooled", "tokens", "vectors"])
@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_a_damaged_shard_is_said(tmp_path, part, damage):
    store, _ = filled(tmp_path)
    path = store.folder / f"shard-00002.{part}.npy"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 20 if damage == "cut" else 0])
    again = FeatureStore(tmp_path, SPEC)
    assert len(again.read(NAMES[:4]).pooled) == 4
    with pytest.raises(PaxionError, match=f"shard-00002.{part}.npy is damaged"):
        again.read(NAMES)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e6])
def test_numbers_that_cannot_be_held_are_refused_and_nothing_is_listed(tmp_path, bad):
    store, _ = filled(tmp_path)
    broken = features(2)
    broken.tokens[1, 2, 0, 3] = bad
    with pytest.raises(PaxionError, match="check its weights"):
        store.append(["a", "b"], broken, {})
    assert "a" not in FeatureStore(tmp_path, SPEC)
    assert "a" not in store


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PaxionError, match="give another folder"):
        FeatureStore(tmp_path / "file", SPEC)
