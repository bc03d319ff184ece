"""Adapters on disk: what comes back is what was saved, on the same backbone, or there is one clear line."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from paxion.backbones.world import WorldBackbone, WorldConfig
from paxion.patching.checkpoint import adapter_backbone, load_adapter, save_adapter
from paxion.patching.model import PatchedEncoder, PatchedModel
from paxion.patching.recipes import RECIPES, Recipe
from paxion.records import PaxionError
from paxion.world.captions import vocabulary


def drawn(recipe: Recipe, backbone: WorldBackbone) -> PatchedModel:
    torch.manual_seed(3)
    sizes = backbone.dim, backbone.token_width, backbone.frames, backbone.tokens_per_frame
    model = PatchedModel(recipe.patcher_config(*sizes), recipe.fuser_config(*sizes[:2]))
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture
def saved(tiny_backbone, tmp_path) -> Path:
    folder = tmp_path / "adapter"
    save_adapter(folder, "mine", drawn(RECIPES["patcher"], tiny_backbone), tiny_backbone, RECIPES["patcher"], {"a": 1})
    return folder


@pytest.mark.parametrize("name", list(RECIPES))
def test_an_adapter_comes_back_bit_by_bit(tiny_backbone, tiny_features, tmp_path, name):
    model = drawn(RECIPES[name], tiny_backbone)
    save_adapter(tmp_path, name, model, tiny_backbone, RECIPES[name], {})
    loaded = load_adapter(tmp_path, tiny_backbone)
    features = tiny_features.store.read(list(tiny_features.keys.values())[:5])
    assert loaded.name == name
    assert torch.equal(loaded.encode_clips(features), PatchedEncoder(name, tiny_backbone, model).encode_clips(features))
    assert torch.equal(loaded.encode_texts(["moving red ball up"]), tiny_backbone.encode_texts(["moving red ball up"]))
    assert not loaded.model.training and not any(p.requires_grad for p in loaded.model.parameters())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter.json", "adapter.safetensors"]


def test_an_adapter_of_the_shipped_size_is_small_and_holds_no_backbone(tmp_path):
    backbone = WorldBackbone(WorldConfig(tuple(vocabulary())))
    for name in ("patcher", "fuser"):
        save_adapter(tmp_path / name, name, drawn(RECIPES[name], backbone), backbone, RECIPES[name], {})
        assert sum(path.stat().st_size for path in (tmp_path / name).iterdir()) < 3e6
        keys = load_file(tmp_path / name / "adapter.safetensors")
        assert {key.split(".")[0] for key in keys} == {"patcher", name}


def test_the_card_says_where_the_adapter_comes_from(saved, tiny_backbone):
    card = json.loads((saved / "adapter.json").read_text())
    shown = card["backbone"].pop("transform"), card["backbone"].pop("frames")
    assert shown == (asdict(tiny_backbone.transform) | {"mean": [0.5] * 3, "std": [0.25] * 3}, 9)
    assert card["backbone"] == {"name": "world", "revision": tiny_backbone.revision, "source": None, "tokens": "all"}
    assert card["provenance"] == {"a": 1}
    assert card["recipe"]["antonym_pair"] == 1.0 and card["fuser"] is None


def test_other_pixels_are_refused_and_another_name_is_not(saved, tiny_backbone, monkeypatch):
    monkeypatch.setattr(tiny_backbone, "name", "renamed")
    assert load_adapter(saved, tiny_backbone).model is not None
    monkeypatch.setattr(tiny_backbone, "transform", replace(tiny_backbone.transform, resize="exact"))
    with pytest.raises(PaxionError, match="was trained with transform"):
        load_adapter(saved, tiny_backbone)


def test_an_adapter_finds_its_backbone(saved, tiny_backbone, tmp_path):
    assert adapter_backbone(saved) is None
    model, recipe = drawn(RECIPES["patcher"], tiny_backbone), RECIPES["patcher"]
    save_adapter(tmp_path / "b", "b", model, tiny_backbone, recipe, {}, source="internvideo:/w.pt,frames=8")
    assert adapter_backbone(tmp_path / "b") == "internvideo:/w.pt,frames=8"
    with pytest.raises(PaxionError, match="is no adapter"):
        adapter_backbone(tmp_path)


@pytest.mark.parametrize("name", ["patcher-dvdm", "fuser"])
def test_cards_of_older_versions_are_read(tiny_backbone, tiny_features, tmp_path, name):
    model = drawn(RECIPES[name], tiny_backbone)
    save_adapter(tmp_path, name, model, tiny_backbone, RECIPES[name], {})
    card = json.loads((tmp_path / "adapter.json").read_text())
    del card["patcher"]["kind"]
    for name_ in ("source", "frames", "transform", "tokens"):
        del card["backbone"][name_]
    if card["fuser"] is not None:
        del card["fuser"]["raw_pooled"]
    (tmp_path / "adapter.json").write_text(json.dumps(card))
    loaded = load_adapter(tmp_path, tiny_backbone)
    features = tiny_features.store.read(list(tiny_features.keys.values())[:5])
    assert torch.equal(loaded.encode_clips(features), PatchedEncoder(name, tiny_backbone, model).encode_clips(features))
    assert adapter_backbone(tmp_path) is None


def test_a_backbone_of_other_sizes_is_refused(saved, tiny_backbone):
    other = WorldBackbone(replace(tiny_backbone.config, frames=16))
    with pytest.raises(PaxionError, match="was trained on frames 9, got a backbone with 16; load it with frames=9"):
        load_adapter(saved, other)
    other = WorldBackbone(replace(tiny_backbone.config, width=64))
    with pytest.raises(PaxionError, match="was trained on token_width 32, got a backbone with 64; load another"):
        load_adapter(saved, other)


def test_another_revision_of_the_backbone_is_refused(saved, tiny_backbone):
    other = WorldBackbone(tiny_backbone.config)
    other.revision = "0123456789ab"
    with pytest.raises(PaxionError, match="was trained on world untrained, got world 0123456789ab; load that backbone"):
        load_adapter(saved, other)


@pytest.mark.parametrize("name", ["adapter.json", "adapter.safetensors"])
def test_a_missing_file_is_said(saved, tiny_backbone, name):
    (saved / name).unlink()
    with pytest.raises(PaxionError, match=name.replace(".", r"\.")) as error:
        load_adapter(saved, tiny_backbone)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_none_is_said(tmp_path, tiny_backbone):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "nothing", tmp_path / "file", tmp_path):
        with pytest.raises(PaxionError, match="is no adapter"):
            load_adapter(folder, tiny_backbone)


def damaged_cards() -> dict[str, object]:
    return {
        "empty": "",
        "no JSON": "{",
        "a list": "[]",
        "a number": "3",
        "no fields": "{}",
        "no backbone": {"backbone": None},
        "backbone is text": {"backbone": "world"},
        "backbone without revision": {"backbone": {"name": "world"}},
        "unknown size": {"patcher": {"depth_of": 3}},
        "patcher is text": {"patcher": "big"},
        "fuser is text": {"fuser": "yes"},
        "text for a number": {"patcher": {"dim": "x"}},
        "negative size": {"patcher": {"latents": -1}},
        "a size as text of a number": {"patcher": {"latents": "8"}},
        "a size with a fraction": {"patcher": {"dim": 16.5}},
        "a size as a switch": {"patcher": {"heads": True}},
        "a switch as text": {"patcher": {"pooled": "no"}},
        "dropout as text": {"patcher": {"temporal_dropout": "much"}},
        "a size beyond memory": {"patcher": {"dim": 10**15}},
        "a size beyond numbers": {"patcher": {"dim": 10**40}},
        "unknown kind of patcher": {"patcher": {"kind": "tree"}},
        "kind is a list": {"patcher": {"kind": []}},
        "another kind of patcher": {"patcher": {"kind": "transformer"}},
        "no patcher": {"patcher": None},
        "fuser of a kind unknown": {"fuser": {"kind": "sum", "dim": 16, "token_width": 32}},
        "raw_pooled as text": {"fuser": {"kind": "xattn", "dim": 16, "token_width": 32, "raw_pooled": "no"}},
        "backbone is a list": {"backbone": ["world", "untrained"]},
    }


@pytest.mark.parametrize("case", list(damaged_cards()))
def test_a_damaged_card_is_said(saved, tiny_backbone, case):
    damage = damaged_cards()[case]
    path = saved / "adapter.json"
    if isinstance(damage, dict):
        card = json.loads(path.read_text())
        for name, value in damage.items():
            card[name] = {**card[name], **value} if name == "patcher" and isinstance(value, dict) else value
        damage = json.dumps(card)
    path.write_text(str(damage))
    for read in (lambda: load_adapter(saved, tiny_backbone), lambda: adapter_backbone(saved)):
        with pytest.raises(PaxionError) as error:
            read()
        assert "is no adapter" in str(error.value) and "\n" not in str(error.value)


def test_a_damaged_card_of_a_transformer_is_said(tiny_backbone, tmp_path):
    recipe = RECIPES["kp-transformer"]
    save_adapter(tmp_path, "t", drawn(recipe, tiny_backbone), tiny_backbone, recipe, {})
    path = tmp_path / "adapter.json"
    good = json.loads(path.read_text())
    for damage in ({"heads": 5}, {"heads": 0}, {"hidden": None}, {"projection": 3}, {"dropout": -1.0}):
        path.write_text(json.dumps(good | {"patcher": good["patcher"] | damage}))
        with pytest.raises(PaxionError, match="is no adapter"):
            load_adapter(tmp_path, tiny_backbone)


def test_a_card_that_is_not_utf8_is_said(saved, tiny_backbone):
    (saved / "adapter.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PaxionError, match="is no adapter"):
        load_adapter(saved, tiny_backbone)


@pytest.mark.parametrize("case", ["empty", "cut", "foreign", "other shape", "not finite", "one missing"])
def test_damaged_weights_are_said(saved, tiny_backbone, case):
    path = saved / "adapter.safetensors"
    weights = load_file(path)
    first = next(iter(weights))
    if case == "empty":
        path.write_bytes(b"")
    elif case == "cut":
        path.write_bytes(path.read_bytes()[:-64])
    elif case == "foreign":
        path.write_bytes(b"no tensors here" * 100)
    elif case == "other shape":
        save_file({**weights, first: torch.zeros(2, 3, 5)}, path)
    elif case == "not finite":
        save_file({**weights, first: weights[first] / 0}, path)
    else:
        save_file({name: values for name, values in weights.items() if name != first}, path)
    says = {"other shape": f"key '{first}' has shape", "one missing": f"missing key '{first}'"}
    says |= {"not finite": f"key '{first}' holds numbers that are not finite"}
    with pytest.raises(PaxionError) as error:
        load_adapter(saved, tiny_backbone)
    assert says.get(case, "is no checkpoint, or is truncated") in str(error.value)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("sizes", [{"depth": 10**9}, {"latents": 5 * 10**7}, {"depth": 2000}])
def test_a_card_cannot_take_all_memory(saved, tiny_backbone, sizes):
    card = json.loads((saved / "adapter.json").read_text())
    (saved / "adapter.json").write_text(json.dumps(card | {"patcher": card["patcher"] | sizes}))
    for read in (lambda: load_adapter(saved, tiny_backbone), lambda: adapter_backbone(saved)):
        with pytest.raises(PaxionError, match="is no adapter") as error:
            read()
        assert len(str(error.value)) < 500


def test_a_folder_that_cannot_be_written_is_said(tiny_backbone, tmp_path):
    (tmp_path / "file").write_text("x")
    model = drawn(RECIPES["patcher"], tiny_backbone)
    with pytest.raises(PaxionError, match="give another folder"):
        save_adapter(tmp_path / "file" / "a", "a", model, tiny_backbone, RECIPES["patcher"], {})
