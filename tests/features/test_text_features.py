"""Text features: each string is encoded once for a store, whoever asks, and damage is not believed."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from neighbour import NeighbourBackbone
from toy_store import SPEC, contents

from paxion.backbones.base import text_vectors
from paxion.features.store import FeatureStore
from paxion.features.texts import text_features, write_texts
from paxion.records import PaxionError

TEXTS = ["pushing a cup", "", "größer — 大", "pulling a cup", "\ud800 alone", 'a "quote"\n']


class Counting(NeighbourBackbone):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode_texts(self, texts):
        self.asked += texts
        return super().encode_texts(texts)


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    return FeatureStore(tmp_path, SPEC)


def test_they_are_what_the_backbone_says(store):
    found = text_features(store, NeighbourBackbone(), [*TEXTS, TEXTS[0]], batch=2)
    expected = text_vectors(NeighbourBackbone(), TEXTS, batch=2)
    assert list(found) == TEXTS
    for text in TEXTS:
        assert torch.equal(found[text], expected[text]) and found[text].dtype == torch.float32
    assert text_features(store, NeighbourBackbone(), []) == {}


def test_every_string_is_encoded_once(tmp_path, store):
    backbone = Counting()
    first = text_features(store, backbone, TEXTS[:4])
    text_features(store, backbone, TEXTS[2:])
    third = text_features(FeatureStore(tmp_path, SPEC), backbone, reversed(TEXTS))
    assert sorted(backbone.asked) == sorted(TEXTS)
    assert all(torch.equal(third[text], first[text]) for text in first)
    assert sorted(path.suffix for path in store.folder.glob("texts-*")) == [".json", ".json", ".npy", ".npy"]


def test_half_precision_is_brought_to_unit_length(store):
    class Half(Counting):
        def encode_texts(self, texts):
            return super().encode_texts(texts).bfloat16()

    for _ in range(2):
        found = text_features(store, Half(), TEXTS)
        expected = text_vectors(Half(), TEXTS)
        assert all(torch.equal(found[text], expected[text]) for text in TEXTS)


@pytest.mark.parametrize("damage", ["numbers", "cut", "gone", "list", "rows", "number", "deep", "other"])
def test_what_is_damaged_is_encoded_again(store, damage):
    backbone = Counting()
    expected = text_features(store, backbone, TEXTS)
    before = contents(store.folder)
    (path,), (told,) = store.folder.glob("texts-*.npy"), store.folder.glob("texts-*.json")
    content = path.read_bytes()
    if damage == "numbers":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "cut":
        path.write_bytes(content[:60])
    elif damage == "gone":
        path.unlink()
    elif damage == "list":
        told.write_text(told.read_text()[:-9])
    elif damage == "rows":
        told.write_text(json.dumps(json.loads(told.read_text()) | {"texts": TEXTS[:3]}))
    elif damage == "number":
        told.write_text(json.dumps(json.loads(told.read_text()) | {"texts": [1, 2]}))
    elif damage == "deep":
        told.write_text("[" * 100_000)
    else:
        told.write_text(told.read_text().replace("pulling", "puling"))
    found = text_features(store, backbone, TEXTS)
    assert backbone.asked == TEXTS * 2
    assert all(torch.equal(found[text], expected[text]) for text in TEXTS)
    assert contents(store.folder) == before


def encode(root: Path, number: int) -> list[str]:
    backbone = Counting()
    texts = [f"text {n}" for n in range(number, number + 300)]
    found = text_features(FeatureStore(root, SPEC), backbone, texts, batch=8)
    expected = text_vectors(NeighbourBackbone(), texts, batch=8)
    assert all(torch.allclose(found[text], expected[text], atol=1e-6) for text in texts)
    return backbone.asked


def test_processes_that_ask_at_once_encode_nothing_twice(tmp_path):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        asked = pool.starmap(encode, [(tmp_path, number) for number in (0, 100, 50, 0)])
    together = [text for texts in asked for text in texts]
    assert sorted(together) == sorted({f"text {n}" for n in range(400)})


def test_the_files_are_plain(store):
    found = text_features(store, NeighbourBackbone(), TEXTS)
    (path,), (told,) = store.folder.glob("texts-*.npy"), store.folder.glob("texts-*.json")
    strings = json.loads(told.read_text())["texts"]
    vectors = np.load(path, allow_pickle=False)
    assert strings == TEXTS and vectors.dtype == np.float32
    assert all((vectors[row] == found[text].numpy()).all() for row, text in enumerate(strings))


def test_a_folder_that_is_gone_is_said(store):
    store.folder.rmdir()
    store.folder.write_text("x")
    with pytest.raises(PaxionError, match="cannot write"):
        text_features(store, NeighbourBackbone(), TEXTS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_vectors_that_are_not_finite_are_not_kept(store, value):
    class Broken(NeighbourBackbone):
        def encode_texts(self, texts):
            found = super().encode_texts(texts)
            found[1, 0] = value
            return found

    with pytest.raises(PaxionError, match=r"text vectors of toy with nan or inf .*check its weights") as caught:
        text_features(store, Broken(), TEXTS)
    assert "\n" not in str(caught.value) and list(store.folder.glob("texts-*")) == []


def test_vectors_that_are_not_finite_count_as_not_there(store):
    expected = text_features(store, NeighbourBackbone(), TEXTS)
    vectors = torch.stack([expected[text] for text in TEXTS])
    vectors[3, 0] = float("nan")
    write_texts(store.folder, TEXTS, vectors)
    backbone = Counting()
    found = text_features(store, backbone, TEXTS)
    assert backbone.asked == TEXTS and all(torch.equal(found[text], expected[text]) for text in TEXTS)
