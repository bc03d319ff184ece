"""Every family of Hugging Face dual encoders, tiny and random: the same numbers as the library's own model gives."""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tiny_hf import DIM, FAMILIES, PATCH, SIZE, WIDTH, close, pooled, write_tiny
from torch import Tensor, nn

from paxion.backbones.base import normalise, token_projection
from paxion.backbones.hf_transform import patches
from paxion.backbones.hugging_face import HuggingFaceBackbone, by_frame, load_hugging_face
from paxion.backbones.load import load_backbone
from paxion.cli import main
from paxion.records import PaxionError
from paxion.testing import check_encoder

PROMISED = ("clip", "siglip", "naflex", "metaclip2", "xclip", "videoprism")
VIDEO = ("xclip", "videoprism")
LONG_TEXTS = ("siglip", "naflex", "videoprism", "align")
TEXTS = ["a person opens the door", "a person closes the door", "a door"]


@dataclass
class Tiny:
    family: str
    folder: Path
    backbone: HuggingFaceBackbone
    model: Any
    """Loaded by itself."""


@pytest.fixture(scope="module", params=list(FAMILIES))
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = write_tiny(request.param, tmp_path_factory.mktemp("hf") / request.param)
    backbone = load_backbone(f"hf:{folder}")
    assert isinstance(backbone, HuggingFaceBackbone)
    return Tiny(request.param, folder, backbone, hf.AutoModel.from_pretrained(folder).eval())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny("clip", tmp_path_factory.mktemp("hf") / "clip")


def clips(backbone: HuggingFaceBackbone, count: int = 2, frames: int | None = None) -> Tensor:
    shape = (count, frames or backbone.frames, 3, SIZE, SIZE)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_video_is_what_the_model_gives(tiny: Tiny) -> None:
    backbone, video = tiny.backbone, clips(tiny.backbone)
    got = backbone.encode_video(video)
    assert got.tokens is not None
    vectors, states = [], []
    if tiny.family in VIDEO:
        tower = tiny.model.video_model if tiny.family == "videoprism" else tiny.model.vision_model
        for one in video:
            vectors.append(pooled(tiny.model.get_video_features(one[None])).flatten())
            states.append(tower(one[None] if tiny.family == "videoprism" else one).last_hidden_state)
        close(got.pooled, torch.stack(vectors))
        assert got.frame_vectors is None
    else:
        for frame in video.flatten(0, 1):
            inputs = {"pixel_values": frame[None]} if tiny.family != "naflex" else patches(frame[None], PATCH)
            vectors.append(normalise(pooled(tiny.model.get_image_features(**inputs)))[0])
            if "spatial_shapes" in inputs and hf.__version__.startswith("4."):
                inputs["attention_mask"] = inputs.pop("pixel_attention_mask")
            states.append(tiny.model.vision_model(**inputs).last_hidden_state)
        each = torch.stack(vectors).unflatten(0, video.shape[:2])
        assert got.frame_vectors is not None
        close(got.frame_vectors, each)
        close(got.pooled, normalise(each.mean(1)))
    expected = torch.stack(states)
    if expected.ndim == 5:  # a map
        expected = expected.flatten(3).transpose(2, 3)
    close(got.tokens, expected.reshape(2, backbone.frames, -1, expected.shape[-1]))
    assert got.tokens.shape[2:] == (backbone.tokens_per_frame, backbone.token_width)
    assert not torch.allclose(got.pooled[0], got.pooled[1], atol=1e-3)


@torch.inference_mode()
def test_texts_are_what_the_model_gives_with_the_padding_of_its_training(tiny: Tiny) -> None:
    tokenizer = hf.AutoTokenizer.from_pretrained(tiny.folder)
    expected = []
    for text in TEXTS:
        full = {"padding": "max_length", "max_length": 64, "padding_side": "right"} if tiny.family in LONG_TEXTS else {}
        inputs = tokenizer([text], return_tensors="pt", **full)
        keep = ("input_ids",) if tiny.family in ("siglip", "naflex") else ("input_ids", "attention_mask")
        expected.append(normalise(pooled(tiny.model.get_text_features(**{name: inputs[name] for name in keep})))[0])
    got = tiny.backbone.encode_texts(TEXTS)
    close(got, torch.stack(expected))
    assert (got[0] - got[1]).abs().max() > 1e-3
    assert tiny.backbone.encode_texts([]).shape == (0, tiny.backbone.dim)


def test_the_contract(tiny: Tiny) -> None:
    """Shapes, determinism, batch invariance, per_frame as declared, precision."""
    backbone = tiny.backbone
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "hf:naflex reads 64 tokens")  # letters, of a long sentence
        assert check_encoder(backbone).failures() == []
    assert backbone.name == f"hf:{tiny.folder.name}"
    assert backbone.per_frame == (tiny.family not in VIDEO)
    assert backbone.frames == (4 if tiny.family in VIDEO else 8)
    assert not any(weight.requires_grad for weight in backbone.parameters())
    if backbone.per_frame:
        video = clips(backbone, frames=5)
        there, back = backbone.encode_video(video), backbone.encode_video(video.flip(1))
        assert there.tokens is not None and back.tokens is not None
        close(back.tokens.flip(1), there.tokens)


def test_a_video_model_is_measured_without_a_look_at_a_clip(tiny: Tiny) -> None:
    """One clip takes a published video model half a minute on a CPU."""
    again = copy.deepcopy(tiny.backbone)
    tower, runs = getattr(again.model, "video_model", None) or again.model.vision_model, []
    tower.register_forward_hook(lambda module, inputs, output: runs.append(1))
    again.dim = again.token_width = again.tokens_per_frame = -1
    again._measure()
    for name in ("dim", "token_width", "tokens_per_frame"):
        assert getattr(again, name) == getattr(tiny.backbone, name)
    assert len(runs) == (tiny.family not in VIDEO)
    assert all(weight.device.type == "cpu" for weight in again.parameters())


def test_the_projection_is_the_model_s(tiny: Tiny) -> None:
    found = token_projection(tiny.backbone)
    if tiny.family in ("siglip", "naflex", "videoprism", "align"):
        assert found is None
    else:
        assert isinstance(found, nn.Linear) and (found.in_features, found.out_features) == (WIDTH, DIM)


@pytest.mark.parametrize("layer", [0, 1, -2])
def test_tokens_of_a_layer(tiny: Tiny, layer: int) -> None:
    backbone = load_hugging_face(str(tiny.folder), layer=layer)
    assert backbone.revision == f"{tiny.backbone.revision}-layer{layer}"
    video = clips(backbone)
    name = {"videoprism": "video_model"}.get(tiny.family, "vision_model")
    tower, seen = getattr(backbone.model, name), []
    tower.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        got, whole = backbone.encode_video(video), tiny.backbone.encode_video(video)
    assert len(seen) == 1  # the tower runs once
    expected = seen[0].hidden_states[layer]
    if expected.ndim == 4:
        expected = expected.flatten(2).transpose(1, 2)
    assert got.tokens is not None and whole.tokens is not None
    assert torch.equal(got.tokens.flatten(0, 1), expected)
    assert (backbone.tokens_per_frame, backbone.token_width) == got.tokens.shape[2:]
    close(got.pooled, whole.pooled)
    assert got.tokens.shape != whole.tokens.shape or not torch.allclose(got.tokens, whole.tokens, atol=1e-2)


@pytest.mark.parametrize("layer", [3, -4, 40])
def test_a_layer_that_is_not_there(clip: Path, layer: int) -> None:
    with pytest.raises(PaxionError, match=rf"got layer {layer}, expected one of -3 \.\. 2"):
        load_hugging_face(str(clip), layer=layer)


@pytest.mark.skipif("videoprism" not in FAMILIES, reason="this transformers has no VideoPrism")
def test_a_layer_over_time_is_not_taken_for_frames(tmp_path: Path) -> None:
    folder = write_tiny("videoprism", tmp_path / "model")
    with pytest.raises(PaxionError, match=r"layer 3 of hf:model cannot be told apart by frame") as caught:
        config = json.loads((folder / "config.json").read_text())
        config["vision_config"]["num_temporal_layers"] = 2  # so that layer 3 is the first of two over time
        weights = load_file(folder / "model.safetensors")
        layers = {name: value for name, value in weights.items() if "temporal_layers.0" in name}
        save_file(
            {**weights, **{name.replace("layers.0", "layers.1"): value + 0 for name, value in layers.items()}},
            folder / "model.safetensors",
            metadata={"format": "pt"},
        )
        (folder / "config.json").write_text(json.dumps(config))
        load_hugging_face(str(folder), layer=3)
    assert "\n" not in str(caught.value)


def test_states_by_frame() -> None:
    frame_major = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5)
    for states in (frame_major.flatten(0, 1), frame_major.flatten(1, 2)):
        got = by_frame(states, 2, 3)
        assert got is not None and torch.equal(got, frame_major)
    assert by_frame(torch.zeros(8, 3, 5), 2, 3) is None
    assert by_frame(torch.zeros(2, 13, 5), 2, 3) is None
    assert by_frame(torch.zeros(2, 5), 2, 3) is None


def test_frames(tiny: Tiny) -> None:
    if tiny.family in VIDEO:
        assert load_hugging_face(str(tiny.folder), frames=4).frames == 4
        with pytest.raises(PaxionError, match="got frames=8, expected 4"):
            load_hugging_face(str(tiny.folder), frames=8)
        with pytest.raises(PaxionError, match="got clips of 3 frames, expected 4"):
            tiny.backbone.encode_video(clips(tiny.backbone, frames=3))
    else:
        assert load_hugging_face(str(tiny.folder), frames=3).frames == 3


def test_precision_is_the_model_s(tiny: Tiny) -> None:
    half = load_backbone(f"hf:{tiny.folder},dtype=bf16")
    got, full = half.encode_video(clips(tiny.backbone)), tiny.backbone.encode_video(clips(tiny.backbone))
    assert got.pooled.dtype == torch.bfloat16 and half.encode_texts(TEXTS).dtype == torch.bfloat16
    similar = torch.nn.functional.cosine_similarity(got.pooled.float(), full.pooled)
    assert similar.min() > 0.99


def test_siglip_reads_lower_case(tmp_path: Path) -> None:
    """It was trained so; the tokenizer here keeps the case, like that of the first SigLIP 2 checkpoints."""
    for family, same in (("siglip", True), ("clip", False)):
        backbone = load_hugging_face(str(write_tiny(family, tmp_path / family)))
        upper, lower = backbone.encode_texts(["A Person Opens the door", "a person opens the door"])
        assert torch.allclose(upper, lower, atol=1e-6) == same


def test_a_padding_side_that_the_folder_tells_is_kept(tmp_path: Path) -> None:
    folder = write_tiny("naflex", tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    sides = []
    for told in ({}, {"padding_side": "left"}, {"padding_side": "right"}):
        (folder / "tokenizer_config.json").write_text(json.dumps({**settings, **told}))
        sides.append(load_hugging_face(str(folder)).tokenizer.padding_side)
    assert sides == ["right", "left", "right"]


def test_a_cut_text_is_told_once(clip: Path) -> None:
    backbone = load_hugging_face(str(clip))
    long = "a person opens the door " * 20
    with pytest.warns(UserWarning, match=r"hf:clip reads 77 tokens and cuts what is longer, first of all 'a person"):
        first = backbone.encode_texts(["a door", long])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = backbone.encode_texts(["a door", long])
        load_hugging_face(str(clip)).encode_texts(["a " * 75])
    assert torch.equal(first, again) and torch.isfinite(first).all()


def test_the_tokenizer_s_own_limit_counts(tmp_path: Path) -> None:
    backbone = load_hugging_face(str(write_tiny("clip", tmp_path / "model", length=5)))
    with pytest.warns(UserWarning, match="reads 5 tokens"):
        long, short = backbone.encode_texts(["a person opens the door", "a person opens"])
    assert torch.allclose(long, short, atol=1e-6)


def test_probe_end_to_end(tiny: Tiny, tiny_manifest: Path, tmp_path: Path) -> None:
    if tiny.family not in PROMISED:
        pytest.skip("one of the others: nothing here depends on the family")
    name = ["--backbone", f"hf:{tiny.folder}", "--tasks", "antonym", "reversal"]
    code = main(
        ["probe", str(tiny_manifest), *name, "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    )
    assert code == 0
    scores = json.loads((tmp_path / "out" / "results.json").read_text())["scores"]
    found = {score["task"]: score for score in scores if score["metric"] == "accuracy"}
    assert set(found) == {"antonym", "reversal"} and all(score["n"] > 0 for score in scores)
    if tiny.family not in VIDEO:
        assert found["reversal"]["ties"] == found["reversal"]["n"]  # a mean over frames cannot tell
