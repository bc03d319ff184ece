"""Singularity against the numbers of the published code, and the files it reads and refuses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from published import SHIPPED, absent, assert_close, fill, inputs, outputs, shapes, synthetic, video
from safetensors.torch import load_file
from torch import Tensor

from paxion.backbones.base import normalise, token_projection
from paxion.backbones.beit import TABLE, BeitConfig, resize_table, spline_weights
from paxion.backbones.bert import BertConfig
from paxion.backbones.load import load_backbone
from paxion.backbones.published import resize_positions
from paxion.backbones.singularity import (
    Singularity,
    SingularityConfig,
    fit_frames,
    load_singularity,
    published_state,
    time_embeddings,
)
from paxion.records import PaxionError
from paxion.video.transform import CLIP_MEAN, Transform

WORDS = (SHIPPED / "f_singularity_tiny" / "vocab.txt").read_text().split()
TEXTS = [
    "picks up the knife from the table",
    "opens the fridge door",
    "pushing something from left to right",
    "cuts the onion with a knife",
]
TINY = SingularityConfig(
    BeitConfig(width=32, layers=3, heads=2, hidden=72, patch=8, grid=4),
    BertConfig(width=32, layers=3, heads=2, hidden=72, words=len(WORDS), length=64),
    dim=24,
    layers=2,
)
GOLDEN = load_file(SHIPPED / "f_singularity_tiny" / "outputs.safetensors")
INTERPOLATED = load_file(SHIPPED / "f_singularity_interp" / "outputs.safetensors")
TO_INTERPOLATE = load_file(SHIPPED / "f_singularity_interp" / "inputs.safetensors")

State = dict[str, Tensor]


def tiny_state() -> State:
    """What a published file of the tiny model holds, by the names of the whole model of Paxion, less their prefix."""
    model = Singularity(TINY, lambda texts: (torch.zeros(0), torch.zeros(0)), 8, Transform(32))
    state = published_state(model)
    fill(state, "f_singularity_tiny/")
    fusing = {name.replace("layer.2", "layer.3"): value for name, value in state.items() if "encoder.layer.2" in name}
    return state | {name: value for name, value in fusing.items() if name.startswith("text_encoder.")} | {
        "text_encoder.encoder.layer.3.crossattention.self.query.weight": torch.ones(32, 32),
        "text_encoder.embeddings.position_ids": torch.arange(64)[None],
        f"vision_encoder.encoder.layer.0.{TABLE.replace('_bias_table', '_index')}": torch.zeros(17, 17).long(),
        "itm_head.weight": torch.ones(2, 32),
    }  # fmt: skip


def published(state: State) -> dict[str, object]:
    """As the authors of Singularity publish it: BERT within a model that predicts hidden words."""
    model = {name.replace("text_encoder.", "text_encoder.bert."): value for name, value in state.items()}
    return {"model": model | {"text_encoder.cls.predictions.bias": torch.ones(34)}, "epoch": 9}


def whole(state: State) -> dict[str, object]:
    """As Paxion publishes it: the backbone within a patched model."""
    model = {f"vl_backbone.{name}": value for name, value in state.items()}
    return {"model": model | {"temp": torch.tensor(0.07), "vision_perceiver.latents": torch.ones(2, 24)}}


LAYOUTS = pytest.mark.parametrize("layout", [published, whole])


def save(content: dict[str, object], folder: Path) -> str:
    """Write a checkpoint with its vocabulary beside it."""
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    torch.save(content, folder / "tiny.pth")
    return str(folder / "tiny.pth")


@pytest.fixture
def write(tmp_path: Path):
    return lambda content: save(content, tmp_path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Singularity:
    return load_singularity(save(published(tiny_state()), tmp_path_factory.mktemp("singularity")))


def clip(frames: int) -> Tensor:
    return video(f"f_singularity_tiny/in/v{frames}", (2, frames, 3, 32, 32))


@pytest.mark.parametrize("frames", [8, 4, 1, 10])
def test_a_clip_of_any_length_gives_the_published_numbers(tiny, frames):
    features = tiny.encode_video(clip(frames))
    assert_close(features.pooled, GOLDEN[f"t{frames}/encode_video_feat"])
    assert_close(features.tokens.permute(2, 0, 1, 3), GOLDEN[f"t{frames}/encode_video_tokens_pbfd"])


def test_texts_give_the_published_numbers(tiny):
    ids, mask = tiny.tokenize(TEXTS)
    assert_close(tiny.text(ids, mask), GOLDEN["text_tokens"])
    assert_close(tiny.encode_texts(TEXTS), normalise(GOLDEN["text_feat"]))


@LAYOUTS
def test_both_layouts_give_the_same_model(tiny, write, layout):
    model = load_singularity(write(layout(tiny_state())))
    assert model.config == tiny.config == TINY
    for (name, ours), (_, theirs) in zip(model.state_dict().items(), tiny.state_dict().items(), strict=True):
        assert torch.equal(ours, theirs), name


def test_the_contract_of_a_backbone(tiny):
    features = tiny.encode_video(clip(4))
    assert features.pooled.shape == (2, tiny.dim) and features.frame_vectors is None
    assert features.tokens.shape == (2, 4, tiny.tokens_per_frame, tiny.token_width)
    assert not tiny.training and not any(parameter.requires_grad for parameter in tiny.parameters())
    projection = token_projection(tiny)
    assert (projection.in_features, projection.out_features, projection.bias is None) == (32, 24, False)
    assert tiny.encode_texts([]).shape == (0, 24)
    assert_close(tiny.encode_texts(TEXTS).norm(dim=1), torch.ones(4))
    with pytest.raises(ValueError, match="expected"):
        tiny.encode_video(torch.zeros(1, 4, 3, 40, 40))


def test_what_else_is_in_the_batch_changes_nothing(tiny):
    both, one = tiny.encode_video(clip(8)), tiny.encode_video(clip(8)[1:])
    assert_close(both.tokens[1:], one.tokens)
    assert_close(both.pooled[1:], one.pooled)
    assert_close(tiny.encode_texts(TEXTS)[1:2], tiny.encode_texts(TEXTS[1:2]))


def test_only_tokens_know_the_order_of_frames(tiny):
    forward, backward = tiny.encode_video(clip(8)), tiny.encode_video(clip(8).flip(1))
    assert_close(backward.pooled, forward.pooled)
    assert (backward.tokens.flip(1) - forward.tokens).abs().max() > 0.1


def test_a_text_longer_than_the_positions_is_cut(tiny):
    assert torch.equal(tiny.encode_texts(["the knife " * 100]), tiny.encode_texts(["the knife " * 40]))


def test_half_precision_gives_nearly_the_same(write):
    model = load_backbone(f"singularity:{write(published(tiny_state()))},dtype=bf16")
    features = model.encode_video(clip(8))
    assert features.tokens.dtype == features.pooled.dtype == torch.bfloat16
    assert_close(features.tokens.float().permute(2, 0, 1, 3), GOLDEN["t8/encode_video_tokens_pbfd"], 0.05)


def test_moments_that_were_not_trained_have_zeros_for_an_embedding(write):
    state = tiny_state()
    state["temporal_embeddings"] = state["temporal_embeddings"][:, :4]
    model = load_singularity(write(published(state)), frames=6)
    assert model.frames == 6
    assert torch.equal(model.time[:, :4], state["temporal_embeddings"]) and not model.time[:, 4:].any()


def test_what_depends_on_frames_and_their_size_is_fitted_as_published():
    for old, new in ((4, 6), (6, 4), (14, 24)):
        assert_close(resize_table(TO_INTERPOLATE[f"table_{old}"], new), INTERPOLATED[f"table_{old}_to_{new}"])
    assert_close(resize_positions(TO_INTERPOLATE["pos_embed_4"], 6), INTERPOLATED["pos_embed_4_to_6"])
    trained = TO_INTERPOLATE["temporal_4"]
    assert_close(fit_frames(trained, 8), INTERPOLATED["temporal_4_to_8_zero_padded"])
    assert_close(fit_frames(trained, 2), INTERPOLATED["temporal_4_to_2_clipped"])
    assert_close(time_embeddings(trained, 10), INTERPOLATED["temporal_4_to_10_linear"])


def test_the_spline_goes_through_cubics_and_stays_level_beyond():
    places, wanted = np.array([-7.0, -3, -1, 0, 1, 3, 7]), np.array([-6.5, -2, 0.3, 7])

    def cubic(at: np.ndarray) -> np.ndarray:
        return at**3 - 2 * at**2 + at - 5

    np.testing.assert_allclose(spline_weights(places, wanted) @ cubic(places), cubic(wanted), rtol=1e-12)
    np.testing.assert_allclose(spline_weights(places, np.array([9.0])) @ cubic(places), cubic(places[-1:]))


def test_another_size_of_frame(write):
    path = write(published(tiny_state()))
    model = load_singularity(path, size=48)
    assert (model.tokens_per_frame, model.transform.size) == (37, 48)
    table = tiny_state()[f"vision_encoder.encoder.layer.1.{TABLE}"]
    assert torch.equal(model.vision.blocks[1].table, resize_table(table, 6))
    assert model.encode_video(torch.zeros(1, 2, 3, 48, 48)).tokens.shape == (1, 2, 37, 32)
    with pytest.raises(PaxionError, match="multiple of the patch of 8"):
        load_singularity(path, size=50)


def test_embeddings_of_places_are_read_where_there_are_some(tiny, write):
    state = tiny_state()
    state["vision_encoder.embeddings.position_embeddings"] = torch.zeros(1, 17, 32)
    model = load_singularity(write(published(state)))
    assert torch.equal(model.encode_video(clip(1)).tokens, tiny.encode_video(clip(1)).tokens)
    state["vision_encoder.embeddings.position_embeddings"] = torch.randn(1, 17, 32)
    model = load_singularity(write(published(state)), size=16)
    assert model.vision.position.shape == (1, 5, 32)


def test_both_ways_of_preparing_frames(write):
    path = write(published(tiny_state()))
    own, paper = load_singularity(path).transform, load_backbone(f"singularity:{path},preprocessing=paper").transform
    assert (own.mean, own.std, own.resize, own.interpolation) == ((0.5,) * 3, (0.5,) * 3, "exact", "bicubic")
    assert (paper.mean, paper.resize, paper.interpolation) == (CLIP_MEAN, "exact", "bicubic")


def change(state: State, key: str, value: Tensor | None) -> State:
    """A state with one key changed, or removed."""
    return {name: old for name, old in (state | {key: value}).items() if old is not None}


@LAYOUTS
@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("vision_proj.bias", None, "missing key"),
        ("text_encoder.encoder.layer.1.attention.self.key.weight", None, "missing key"),
        ("text_encoder.embeddings.word_embeddings.weight", None, "missing key"),
        ("vision_encoder.encoder.layer.1.lambda_2", None, "missing key"),
        (f"vision_encoder.encoder.layer.0.{TABLE}", None, "missing key"),
        ("temporal_embeddings", None, "missing key"),
        ("text_encoder.encoder.layer.2.output.dense.bias", torch.ones(31), "has shape"),
        ("temporal_embeddings", torch.ones(1, 8, 1, 31), "has shape"),
        ("vision_encoder.encoder.layer.0.output.dense.weight", torch.ones(32, 71), "has shape"),
        (f"vision_encoder.encoder.layer.0.{TABLE}", torch.ones(53, 2), "has shape"),
        (f"vision_encoder.encoder.layer.1.{TABLE}", torch.ones(52, 3), "has shape"),
        (f"vision_encoder.encoder.layer.1.{TABLE}", torch.ones(60, 2), "has shape"),
        ("text_encoder.embeddings.word_embeddings.weight", torch.ones(34, 31), "heads of 16"),
        ("vision_proj.weight", torch.ones(24), "has shape"),
        ("text_proj.weight", torch.full((24, 32), torch.nan), "not finite"),
        ("text_encoder.encoder.layer.0.crossing.weight", torch.ones(1), "unexpected key"),
        ("vision_encoder.embeddings.mask_token", torch.ones(1, 1, 32), "unexpected key"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_its_first_bad_key(write, layout, key, value, reason):
    path = write(layout(change(tiny_state(), key, value)))
    (named,) = layout({key: torch.ones(1)})["model"].keys() - layout({})["model"].keys()
    with pytest.raises(PaxionError, match=reason) as caught:
        load_singularity(path)
    message = str(caught.value)
    assert path in message and repr(named) in message and "\n" not in message


@LAYOUTS
def test_a_model_without_fusion_layers_is_refused(write, layout):
    key = "text_encoder.encoder.layer.3.crossattention.self.query.weight"
    with pytest.raises(PaxionError, match=r"missing key .*crossattention"):
        load_singularity(write(layout(change(tiny_state(), key, None))))


def test_a_file_that_is_cut_short_is_refused(write):
    path = write(published(tiny_state()))
    Path(path).write_bytes(Path(path).read_bytes()[:-2000])
    with pytest.raises(PaxionError, match=re.escape(path)):
        load_singularity(path)


def test_a_file_that_holds_code_is_refused(write):
    content = published(tiny_state()) | {"config": Path("pickled as a call")}
    with pytest.raises(PaxionError, match="is code and not weights, and was not run"):
        load_singularity(write(content))


def test_a_vocabulary_of_another_model_is_refused(write, tmp_path):
    path = write(published(tiny_state()))
    (tmp_path / "other.txt").write_text("\n".join(WORDS[:-1]))
    with pytest.raises(PaxionError, match="has 33 words, the checkpoint 34"):
        load_singularity(path, vocabulary=str(tmp_path / "other.txt"))


@absent
def test_the_published_size(tmp_path):
    case = "f_singularity_temporal_17m_full"
    state = synthetic(shapes(case) | {"temporal_embeddings": [1, 4, 1, 768]})
    torch.save(published(state), tmp_path / "singularity_temporal_17m.pth")
    (tmp_path / "vocab.txt").write_text("\n".join([*WORDS, *(f"word{number}" for number in range(30522 - len(WORDS)))]))
    model = load_singularity(str(tmp_path / "singularity_temporal_17m.pth"))
    assert sum(value.numel() for name, value in state.items() if not name.endswith(("_ids", "_index"))) == 216_320_963
    assert sum(parameter.numel() for parameter in model.parameters()) == 187_967_169
    assert model.config == SingularityConfig(BeitConfig(), BertConfig(), 256, 2)
    assert torch.equal(model.projection.bias, state["vision_proj.bias"].float())

    fill(published_state(model), f"{case}/")
    with torch.inference_mode():
        features = model.encode_video(video(f"{case}/in/video", (1, 8, 3, 224, 224)))
        tokens = model.text(*(inputs(case)[name] for name in ("input_ids", "attention_mask")))
    want = outputs(case)
    assert features.tokens.shape == (1, 8, 197, 768)
    assert_close(features.pooled, want["video_feat"])
    assert_close(features.tokens.permute(2, 0, 1, 3)[:4, ..., :32], want["tokens_slice_p0to3_d0to32"])
    assert_close(tokens[..., :16], want["text_tokens_slice_d0to16"])
    assert_close(model.text_projection(tokens[:, 0]), want["text_feat"])
