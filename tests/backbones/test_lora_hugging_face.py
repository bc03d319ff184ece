"""Low-rank updates of Hugging Face's models and of the published ones: found, trained, merged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny_hf import FAMILIES, write_tiny

from paxion.backbones.clip_text import TextConfig
from paxion.backbones.hugging_face import load_hugging_face
from paxion.backbones.internvideo import InternVideo, InternVideoConfig
from paxion.backbones.low_rank import CARD, load_low_rank
from paxion.patching.lora import Lora, chosen_layers, inject, save_low_rank
from paxion.patching.recipes import RECIPES
from paxion.records import PaxionError

pytest.importorskip("peft", reason="needs the extra lora")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "align"])
def test_every_family_is_trained_and_loaded_again(family, tmp_path):
    folder = write_tiny(family, tmp_path / family)
    plain, backbone = load_hugging_face(str(folder)), load_hugging_face(str(folder))
    clip = torch.randn(2, backbone.frames, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    lora, towards = Lora(rank=2, alpha=6.0, towers="both"), torch.linspace(0, 9, backbone.dim).sin()
    model = inject(backbone, lora, seed=0)
    assert torch.equal(backbone.encode_video(clip).pooled, plain.encode_video(clip).pooled)
    assert not any("embed" in name or name.endswith("_projection") for name in model.layers)

    optimiser = torch.optim.SGD(model.values, 0.5)
    for _ in range(2):  # the first step moves B alone
        seen, said = backbone.encode_video(clip).pooled, backbone.encode_texts(["a person opens the door"])
        ((seen + said) * towards).sum().backward()
        optimiser.step()
    assert all(value.grad is not None for value in model.values)
    save_low_rank(tmp_path / "lora", model, backbone, lora, RECIPES["patcher-vtc"], {}, f"hf:{folder}")

    merged = load_low_rank(str(tmp_path / "lora"))
    for function, given in (("encode_video", clip), ("encode_texts", ["the door opens"])):
        got, expected, before = (getattr(one, function)(given) for one in (merged, backbone, plain))
        got, expected, before = (getattr(one, "pooled", one) for one in (got, expected, before))
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.detach().abs().max().clamp(min=1)))
        assert not torch.equal(got, before)
    assert not any(value.requires_grad for value in merged.parameters())
    assert merged.pinned == str(tmp_path / "lora")


def test_a_tower_without_linear_layers_is_refused(tmp_path):
    backbone = load_hugging_face(str(write_tiny("align", tmp_path)))
    with pytest.raises(PaxionError, match=r"the vision tower of hf:.* has no linear layers to update"):
        chosen_layers(backbone, Lora())


def test_weights_that_are_read_without_a_call_get_no_update():
    config = InternVideoConfig(TextConfig(64, 2, 1, 256, 24), width=64, layers=5, heads=1, patch=8, size=32)
    torch.manual_seed(0)
    backbone = InternVideo(config, lambda texts: torch.zeros(len(texts), 3, dtype=torch.long)).eval()
    layers = chosen_layers(backbone, Lora())
    assert {name.rpartition(".")[2] for name in layers} <= {"qkv", "out"} and len(layers) >= 10
    with pytest.raises(PaxionError, match=r"got target 'expand', expected auto or linear layers of internvideo: qkv"):
        chosen_layers(backbone, Lora(targets=("expand",)))


def test_a_folder_says_which_backbone_it_needs(tmp_path):
    folder = write_tiny("clip", tmp_path / "clip")
    backbone = load_hugging_face(str(folder))
    model = inject(backbone, Lora(), seed=0)
    save_low_rank(tmp_path, model, backbone, Lora(), replace(RECIPES["patcher-vtc"]), {}, f"hf:{folder}")
    folder.rename(tmp_path / "moved")
    with pytest.raises(PaxionError, match=r"needs its backbone: .* or name it with --backbone"):
        load_low_rank(str(tmp_path))
    found = load_low_rank(str(tmp_path), base=f"hf:{tmp_path / 'moved'}")
    assert found.revision == json.loads((tmp_path / CARD).read_text())["revision"]
    card = json.loads((tmp_path / CARD).read_text())
    card["backbone"]["source"] = None
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(PaxionError, match="does not say what its backbone is loaded from; name it with --backbone"):
        load_low_rank(str(tmp_path))
    assert all(value.dtype == torch.float32 for value in load_file(tmp_path / "lora.safetensors").values())
