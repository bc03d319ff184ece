"""InternVideo against the numbers of the published code, and the files it reads and refuses."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
import torch
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

from paxion.backbones.base import token_projection
from paxion.backbones.clip_text import TextConfig
from paxion.backbones.internvideo import (
    InternVideo,
    InternVideoConfig,
    load_internvideo,
    published_state,
    sizes,
)
from paxion.backbones.load import load_backbone
from paxion.backbones.published import Checkpoint
from paxion.records import PaxionError
from paxion.testing import check_encoder
from paxion.video.transform import Transform, squashed

CASE, FULL = "f_internvideo_tiny", "f_internvideo_l14_full"
TINY = InternVideoConfig(TextConfig(40, 2, 2, 160, 24), width=32, layers=5, heads=2, patch=8, size=32)
# Heads of the usual width, for a file that says all sizes.
FILED = InternVideoConfig(TextConfig(128, 2, 2, 512, 24), 64, layers=3, heads=1, patch=8, size=32, extractors=2)
B16 = InternVideoConfig(TextConfig(dim=512), width=768, layers=12, heads=12, patch=16)


def no_words(texts: object) -> Tensor:
    raise AssertionError("this test has no tokenizer")


def on_meta(config: InternVideoConfig) -> InternVideo:
    with torch.device("meta"):
        return InternVideo(config, no_words)


@pytest.fixture(scope="module")
def tiny() -> InternVideo:
    model = InternVideo(TINY, lambda texts: inputs(CASE)["text_ids"][: len(texts)]).eval().requires_grad_(False)
    fill(published_state(model), f"{CASE}/")
    return model


def clips(frames: int = 8) -> Tensor:
    return video(f"{CASE}/in/v{frames}", (2, 3, frames, 32, 32)).transpose(1, 2)


@pytest.mark.parametrize("frames", [4, 8])
def test_a_clip_is_encoded_as_published(tiny, frames):
    features = tiny.encode_video(clips(frames))
    assert_close(features.pooled, outputs(CASE)[f"video_t{frames}_feat"])
    assert_close(features.tokens.permute(2, 0, 1, 3), outputs(CASE)[f"video_t{frames}_tokens"])


def test_a_picture_is_a_clip_of_one_frame(tiny):
    features = tiny.encode_video(video(f"{CASE}/in/im", (3, 3, 1, 32, 32)).transpose(1, 2))
    assert_close(features.pooled, outputs(CASE)["image_feat"])
    assert_close(features.tokens.permute(2, 0, 1, 3), outputs(CASE)["image_tokens"])


def test_texts_are_encoded_as_published(tiny):
    ids, want = inputs(CASE)["text_ids"], outputs(CASE)
    assert_close(tiny.text(ids), want["text_feat"])
    assert_close(tiny.text.tokens(ids), want["text_tokens"])
    assert_close(tiny.encode_texts(["a"] * 3), torch.nn.functional.normalize(want["text_feat"], dim=-1))


def test_padding_does_not_change_a_text(tiny):
    ids = inputs(CASE)["text_ids"]
    longest = int(ids.argmax(1).max()) + 1
    assert longest < 12
    assert_close(tiny.text(ids[:, :longest]), tiny.text(ids), 1e-6)
    padded = ids.clone()
    padded[padded == 0] = int(ids.max())  # As Hugging Face pads: with the end-of-text id.
    assert_close(tiny.text(padded), tiny.text(ids), 1e-6)


def test_tokens_follow_their_frames_and_the_pooled_vector_the_order(tiny):
    there, back = tiny.encode_video(clips()), tiny.encode_video(clips().flip(1))
    assert torch.equal(back.tokens, there.tokens.flip(1))
    assert (there.pooled - back.pooled).abs().max() > 0.01


def test_a_clip_does_not_depend_on_the_others_of_its_batch(tiny):
    both, one = tiny.encode_video(clips()), tiny.encode_video(clips()[1:])
    assert_close(one.pooled, both.pooled[1:], 1e-6)
    assert_close(one.tokens, both.tokens[1:], 1e-6)


def test_the_projection_is_the_last_step_of_the_pooled_vector(tiny):
    seen = []
    handle = tiny.last_norm.register_forward_hook(lambda module, args, output: seen.append(output))
    pooled = tiny.encode_video(clips()).pooled
    handle.remove()
    assert torch.equal(token_projection(tiny)(seen[0]), pooled)


@pytest.mark.parametrize("shape", [(2, 8, 3, 24, 24), (8, 3, 32, 32), (2, 0, 3, 32, 32), (2, 3, 8, 32, 32)])
def test_clips_of_another_shape_are_refused(tiny, shape):
    with pytest.raises(ValueError, match=r"expected \(B, T, 3, 32, 32\)$"):
        tiny.encode_video(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_takes_clips_in_full(dtype):
    model = InternVideo(TINY, lambda texts: inputs(CASE)["text_ids"][: len(texts)]).eval().requires_grad_(False)
    fill(published_state(model), f"{CASE}/")
    features = model.to(dtype).encode_video(clips())
    assert features.pooled.dtype == features.tokens.dtype == dtype
    assert_close(features.pooled.float(), outputs(CASE)["video_t8_feat"], 0.03)


# Files


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory) -> str:
    return str(clip_vocabulary(tmp_path_factory.mktemp("vocabulary")))


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return synthetic(published_state(on_meta(FILED)))


def named(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


LAYOUTS = {
    "published": lambda state: {"state_dict": named(state, "clip.") | {"head.weight": torch.ones(2)}, "epoch": 1},
    "whole model": lambda state: {"model": named(state, "vl_backbone.") | {"temp": torch.ones(())}, "epoch": 1},
    "whole model beside another state": lambda state: {
        "state_dict": {"other": torch.ones(2)},
        "model": named(state, "vl_backbone."),
    },
    "flat": lambda state: state,
    "flat, prefixed": lambda state: named(state, "clip."),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoint_is_read_whole(layout, state, vocabulary, tmp_path):
    path = tmp_path / "checkpoint.ckpt"
    torch.save(LAYOUTS[layout](state), path)
    model = load_internvideo(str(path), vocabulary=vocabulary)
    for name, value in published_state(model).items():
        assert torch.equal(value, state[name].float()), name
    assert model.config == FILED
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())
    assert (model.dim, model.token_width, model.tokens_per_frame, model.frames) == (24, 64, 17, 8)
    assert model.transform == Transform(32)


def test_the_options_of_a_name_are_heard(state, vocabulary, tmp_path):
    path = tmp_path / "checkpoint.ckpt"
    torch.save({"state_dict": named(state, "clip.")}, path)
    model = load_backbone(f"internvideo:{path},frames=5,preprocessing=paper,vocabulary={vocabulary}")
    assert (model.name, model.frames, model.transform) == ("internvideo", 5, squashed(32))
    assert model.revision == load_backbone(f"internvideo:{path},vocabulary={vocabulary}").revision
    assert model.encode_video(torch.zeros(1, 5, 3, 32, 32)).tokens.shape == (1, 5, 17, 64)
    assert model.encode_texts([]).shape == (0, 24)


def test_another_size_has_its_places_interpolated(state, vocabulary, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save(LAYOUTS["published"](state), path)
    model = load_internvideo(str(path), vocabulary=vocabulary, size=48)
    assert (model.tokens_per_frame, model.transform.size) == (36 + 1, 48)
    report = check_encoder(model)
    assert report.failures() == []
    with pytest.raises(PaxionError, match="got size=30, expected a multiple of the patch of 8 pixels, at most 4096"):
        load_internvideo(str(path), vocabulary=vocabulary, size=30)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"visual_proj": None}, "missing key 'clip.visual_proj'"),
        ({"visual.class_embedding": None}, "missing key 'clip.visual.class_embedding'"),
        (
            {"visual.class_embedding": [65]},
            r"'clip.visual.class_embedding' has shape \(65,\), expected a multiple of 64",
        ),
        ({"visual.class_embedding": [128]}, r"'clip.visual_proj' has shape \(64, 24\), expected \(128, 24\)"),
        ({"visual.positional_embedding": [19, 64]}, "'clip.visual.positional_embedding' has 19 places"),
        ({"visual.positional_embedding": [1, 64]}, "'clip.visual.positional_embedding' has 1 place"),
        (
            {"visual.conv1.weight": [64, 3, 8, 8]},
            r"'clip.visual.conv1.weight' has shape \(64, 3, 8, 8\), expected 5 dim",
        ),
        (
            {"visual.transformer.resblocks.1.attn.in_proj_weight": [64, 64]},
            r"'clip.visual.transformer.resblocks.1.attn.in_proj_weight' has shape \(64, 64\), expected \(192, 64\)",
        ),
        ({"transformer.resblocks.99999999.ln_2.bias": [128]}, "missing key 'clip.transformer.resblocks.2.attn"),
        ({"transformer.resblocks.0.ln_2.bias": None}, "missing key 'clip.transformer.resblocks.0.ln_2.bias'"),
        ({"visual.transformer.dec.1.ln_3.weight": None}, "missing key 'clip.visual.transformer.dec.1.ln_3.weight'"),
        ({"token_embedding.weight": [9, 128]}, r"has shape \(9, 128\), expected \(49408, 128\)"),
        ({"visual.ln_post.bias": [64]}, "unexpected key 'clip.visual.ln_post.bias'"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_published_name(change, reason, state, vocabulary, tmp_path):
    path = tmp_path / "checkpoint.ckpt"
    changed = state | {name: torch.zeros(shape) for name, shape in change.items() if shape is not None}
    kept = {name: value for name, value in changed.items() if change.get(name, 0) is not None}
    torch.save({"state_dict": named(kept, "clip.")}, path)
    assert_refused(partial(load_internvideo, vocabulary=vocabulary), path, reason)


def test_a_file_that_is_cut_short_or_holds_code_is_refused(state, vocabulary, tmp_path):
    path, mark, load = (
        tmp_path / "checkpoint.ckpt",
        tmp_path / "it ran",
        partial(load_internvideo, vocabulary=vocabulary),
    )
    torch.save({"state_dict": named(state, "clip.")}, path)
    path.write_bytes(path.read_bytes()[:-1000])
    assert_refused(load, path, "truncated")
    torch.save({"state_dict": named(state, "clip."), "callbacks": Trap(mark)}, path)
    assert_refused(load, path, "which is code")
    assert not mark.exists()


def test_the_file_of_another_model_is_refused(vocabulary, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"model": {"vl_backbone.vision_encoder.weight": torch.zeros(2)}}, path)
    reason = re.escape("missing key 'vl_backbone.visual.class_embedding'")
    assert_refused(partial(load_internvideo, vocabulary=vocabulary), path, reason)


# Full size


@pytest.mark.parametrize("config", [InternVideoConfig(), B16], ids=["L/14", "B/16"])
def test_the_sizes_are_told_from_the_shapes(config):
    state = published_state(on_meta(config))
    assert sizes(Checkpoint(Path("file"), "clip.", named(state, "clip."))) == config


@absent
def test_the_names_and_shapes_are_the_published_ones():
    state = published_state(on_meta(InternVideoConfig()))
    assert {name: list(value.shape) for name, value in state.items()} == shapes(FULL)


def test_the_full_model_is_read_and_encodes_a_clip(vocabulary, tmp_path):
    path = tmp_path / "InternVideo-MM-L-14.ckpt"
    torch.save({"state_dict": named(synthetic(published_state(on_meta(InternVideoConfig()))), "clip.")}, path)
    model = load_internvideo(str(path), vocabulary=vocabulary)
    assert sum(parameter.numel() for parameter in model.parameters()) == 478_127_105
    # On a CPU this is four times as fast as full precision.
    with torch.inference_mode():
        features = model.bfloat16().encode_video(torch.randn(1, 8, 3, 224, 224))
        texts = model.encode_texts(["opens the fridge door"])
    assert features.pooled.shape == (1, 768) and features.tokens.shape == (1, 8, 257, 1024)
    assert features.pooled.isfinite().all() and features.tokens.isfinite().all()
    assert texts.shape == (1, 768) and texts.isfinite().all()


@absent
def test_the_full_model_encodes_as_published():
    model = on_meta(InternVideoConfig()).to_empty(device="cpu").eval().requires_grad_(False)
    fill(published_state(model), f"{FULL}/")
    clip, want = video(f"{FULL}/in/video", (1, 3, 8, 224, 224)).transpose(1, 2), outputs(FULL)
    with torch.inference_mode():
        features, text = model.encode_video(clip), model.text(inputs(FULL)["text_ids"])
    assert_close(features.pooled, want["video_feat"])
    tokens = features.tokens.permute(2, 0, 1, 3)
    assert_close(tokens[:4, ..., :32], want["tokens_slice_l0to3_d0to32"])
    assert_close(tokens[-1:, ..., :32], want["tokens_last_l_d0to32"])
    assert_close(text, want["text_feat"])
