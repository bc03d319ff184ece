"""CLIP-ViP against the numbers of the published code, and the files it reads and refuses."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from published import (
    Trap,
    absent,
    assert_close,
    assert_refused,
    clip_vocabulary,
    fill,
    inputs,
    outputs,
    shapes,
    synthetic,
    video,
)
from torch import Tensor

from paxion.backbones.base import normalise, token_projection
from paxion.backbones.clip_text import TextConfig
from paxion.backbones.clip_vip import ClipVip, ClipVipConfig, attend_by_proxy, load_clip_vip, published_state, sizes
from paxion.backbones.load import load_backbone
from paxion.backbones.published import Checkpoint
from paxion.records import PaxionError
from paxion.testing import check_encoder
from paxion.video.transform import Transform, squashed

CASE, FULL = "f_clipvip_tiny", "f_clipvip_b32_full"
TINY = ClipVipConfig(TextConfig(40, 3, 2, 96, 24), width=32, layers=3, heads=2, hidden=72, patch=8, size=32)
# Heads of the usual width, for a file that says all sizes.
FILED = ClipVipConfig(TextConfig(128, 2, 2, 80, 24), 64, 3, 1, 72, patch=8, size=32, proxies=2, moments=5)
VISION, TEXT = "clipmodel.vision_model.", "clipmodel.text_model."


def no_words(texts: object) -> Tensor:
    raise AssertionError("this test has no tokenizer")


def on_meta(config: ClipVipConfig) -> ClipVip:
    with torch.device("meta"):
        return ClipVip(config, no_words)


def named(model: ClipVip) -> dict[str, Tensor]:
    return {f"clipmodel.{name}": value for name, value in published_state(model).items()}


@pytest.fixture(scope="module")
def tiny() -> ClipVip:
    model = ClipVip(TINY, lambda texts: inputs(CASE)["input_ids"][: len(texts)]).eval().requires_grad_(False)
    fill(named(model), f"{CASE}/")
    return model


def clips(frames: int = 8) -> Tensor:
    return video(f"{CASE}/in/v{frames}", (2, frames, 3, 32, 32))


@pytest.mark.parametrize("frames", [8, 12])
def test_a_clip_is_encoded_as_published(tiny, frames):
    """The temporal embedding has twelve places: for eight frames it is interpolated."""
    features = tiny.encode_video(clips(frames))
    assert_close(features.pooled, outputs(CASE)[f"t{frames}/encode_video_feat"])
    assert_close(features.tokens.permute(2, 0, 1, 3), outputs(CASE)[f"t{frames}/encode_video_tokens_pbnd"])


def test_texts_are_encoded_as_published(tiny):
    ids, present, want = inputs(CASE)["input_ids"], inputs(CASE)["attention_mask"].bool(), outputs(CASE)
    assert_close(tiny.text(ids), want["text_feat"])
    assert_close(tiny.text.tokens(ids)[present], want["text_tokens"][present])
    assert_close(tiny.encode_texts(["a"] * 4), want["vidclip_forward_text_normalised"])


@pytest.mark.parametrize("frames", [1, 3, 8])
def test_attention_by_proxy_is_attention_with_a_mask(frames):
    torch.manual_seed(0)
    proxies, places = 4, 5
    query, key, value = torch.randn(3, 2, 3, proxies + frames * places, 8, dtype=torch.float64)
    owner = torch.arange(frames).repeat_interleave(places)
    allowed = torch.ones(query.shape[2], query.shape[2], dtype=torch.bool)
    allowed[proxies:, proxies:] = owner[:, None] == owner
    want = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    torch.testing.assert_close(attend_by_proxy(proxies, frames)(query, key, value), want)


def test_frames_see_each_other_and_their_order(tiny):
    there, back = tiny.encode_video(clips()), tiny.encode_video(clips().flip(1))
    assert (back.tokens.flip(1) - there.tokens).abs().max() > 0.1
    assert (there.pooled - back.pooled).abs().max() > 0.01


def test_a_clip_does_not_depend_on_the_others_of_its_batch(tiny):
    both, one = tiny.encode_video(clips()), tiny.encode_video(clips()[1:])
    assert_close(one.pooled, both.pooled[1:], 1e-6)
    assert_close(one.tokens, both.tokens[1:], 1e-6)


@pytest.mark.parametrize("frames", [1, 16])
def test_clips_of_other_lengths_are_encoded(tiny, frames):
    features = tiny.encode_video(torch.randn(2, frames, 3, 32, 32))
    assert features.tokens.shape == (2, frames, 16, 32) and features.tokens.isfinite().all()


def test_the_projection_is_the_last_step_of_the_pooled_vector(tiny):
    pooled = token_projection(tiny)(tiny.last_norm(tiny.hidden(clips())[:, 0]))
    assert torch.equal(pooled, tiny.encode_video(clips()).pooled)


def test_clips_of_another_shape_are_refused(tiny):
    with pytest.raises(ValueError, match=r"^got clips \(2, 8, 3, 24, 24\), expected \(B, T, 3, 32, 32\)$"):
        tiny.encode_video(torch.zeros(2, 8, 3, 24, 24))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_takes_clips_in_full(dtype):
    model = ClipVip(TINY, lambda texts: inputs(CASE)["input_ids"][: len(texts)]).eval().requires_grad_(False)
    fill(named(model), f"{CASE}/")
    features = model.to(dtype).encode_video(clips())
    assert features.pooled.dtype == features.tokens.dtype == dtype
    assert_close(features.pooled.float(), outputs(CASE)["t8/encode_video_feat"], 0.03)


# Files


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    return partial(load_clip_vip, vocabulary=str(clip_vocabulary(tmp_path_factory.mktemp("vocabulary"))))


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """What a published file holds, from the days when transformers kept the counts of places in it."""
    torch.manual_seed(0)
    places = {f"{tower}embeddings.position_ids": torch.arange(77)[None] for tower in (VISION, TEXT)}
    return synthetic(named(on_meta(FILED))) | places


LAYOUTS = {
    "published": lambda state: state,
    "whole model": lambda state: {
        "model": {f"vl_backbone.{name}": value for name, value in state.items()} | {"temp": torch.ones(())}
    },
    "without places": lambda state: {name: value for name, value in state.items() if "position_ids" not in name},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoint_is_read_whole(layout, state, load, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save(LAYOUTS[layout](state), path)
    model = load(str(path))
    for name, value in named(model).items():
        assert torch.equal(value, state[name].float()), name
    assert model.config == FILED
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())
    assert (model.dim, model.token_width, model.tokens_per_frame, model.frames) == (24, 64, 16, 8)
    assert model.transform == Transform(32)


def test_the_options_of_a_name_are_heard(state, load, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save(state, path)
    name = f"clip-vip:{path},vocabulary={load.keywords['vocabulary']}"
    model = load_backbone(f"{name},frames=5,preprocessing=paper")
    assert (model.name, model.frames, model.transform) == ("clip-vip", 5, squashed(32))
    assert model.revision == load_backbone(name).revision
    assert model.encode_video(torch.zeros(1, 5, 3, 32, 32)).tokens.shape == (1, 5, 16, 64)
    texts = model.encode_texts(["opens", "the"])
    assert_close(texts, normalise(texts), 1e-6)
    assert model.encode_texts([]).shape == (0, 24)


def test_another_size_has_its_places_interpolated(state, load, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save(LAYOUTS["published"](state), path)
    model = load(str(path), size=48)
    assert (model.tokens_per_frame, model.transform.size) == (36 + 0, 48)
    report = check_encoder(model)
    assert report.failures() == []
    with pytest.raises(PaxionError, match="got size=30, expected a multiple of the patch of 8 pixels"):
        load(str(path), size=30)


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        (f"{VISION}embeddings.class_embedding", None, "missing key"),
        (f"{VISION}embeddings.class_embedding", [65], r"has shape \(65,\), expected a multiple of 64"),
        (f"{VISION}embeddings.temporal_embedding", [5, 64], r"has shape \(5, 64\), expected 3 dimensions"),
        (f"{VISION}embeddings.position_embedding.weight", [19, 64], "has 19 places, expected one more than a square"),
        (f"{VISION}encoder.layers.1.self_attn.k_proj.weight", None, r"missing key .*, expected \(64, 64\)"),
        (f"{VISION}encoder.layers.2.self_attn.v_proj.bias", [32], r"has shape \(32,\), expected \(64,\)"),
        (f"{TEXT}encoder.layers.0.self_attn.q_proj.weight", [128, 64], r"has shape \(128, 64\), expected \(128, 128\)"),
        (f"{TEXT}encoder.layers.0.mlp.fc1.bias", None, "missing key"),
        (f"{TEXT}embeddings.token_embedding.weight", [9, 128], r"has shape \(9, 128\), expected \(49408, 128\)"),
        (f"{TEXT}embeddings.position_id", [9], "unexpected key"),
        ("clipmodel.text_projection.bias", [24], "unexpected key"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_published_name(name, shape, reason, state, load, tmp_path):
    path = tmp_path / "checkpoint.pt"
    changed = {key: value for key, value in state.items() if key != name}
    torch.save(changed if shape is None else changed | {name: torch.zeros(shape)}, path)
    assert_refused(load, path, reason)
    assert_refused(load, path, f"'{name}'")


def test_a_file_that_is_cut_short_or_holds_code_is_refused(state, load, tmp_path):
    path, mark = tmp_path / "checkpoint.pt", tmp_path / "it ran"
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-1000])
    assert_refused(load, path, "truncated")
    torch.save(state | {"more": Trap(mark)}, path)
    assert_refused(load, path, "which is code")
    assert not mark.exists()


def test_numbers_that_are_not_finite_are_refused(state, load, tmp_path):
    path, name = tmp_path / "checkpoint.pt", f"{VISION}encoder.layers.1.self_attn.k_proj.bias"
    torch.save(state | {name: torch.full((64,), torch.nan)}, path)
    assert_refused(load, path, f"'{name}' holds numbers that are not finite")


# Full size


@pytest.mark.parametrize("patch", [32, 16])
def test_the_sizes_are_told_from_the_shapes(patch):
    config = ClipVipConfig(patch=patch)
    assert sizes(Checkpoint(Path("file"), "clipmodel.", named(on_meta(config)))) == config


@absent
def test_the_names_and_shapes_are_the_published_ones():
    theirs = {name: shape for name, shape in shapes(FULL).items() if not name.endswith("position_ids")}
    assert {name: list(value.shape) for name, value in named(on_meta(ClipVipConfig())).items()} == theirs


def test_the_full_model_is_read_and_encodes_a_clip_as_published(load, tmp_path):
    path = tmp_path / "pretrain_clipvip_base_32.pt"
    torch.save(synthetic(named(on_meta(ClipVipConfig()))), path)
    model = load(str(path))
    assert sum(parameter.numel() for parameter in model.parameters()) == 151_288_833
    fill(named(model), f"{FULL}/")
    clip, want = video(f"{FULL}/in/video", (1, 8, 3, 224, 224)), outputs(FULL)
    with torch.inference_mode():
        features, text = model.encode_video(clip), model.text(inputs(FULL)["input_ids"])
    assert_close(features.pooled, want["video_feat"])
    assert_close(features.tokens.permute(2, 0, 1, 3)[:4, ..., :32], want["tokens_slice_p0to3_d0to32"])
    assert_close(text, want["text_feat"])
