"""The paper's baselines: the KP-Transformer and the pooled patcher."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_exchange import published
from torch import nn

from paxion.backbones.base import BackboneEncoder, token_projection
from paxion.patching.baselines import EncoderLayer, TransformerConfig, TransformerPatcher, transformer_config
from paxion.patching.beginning import beginning
from paxion.patching.data import training_data
from paxion.patching.model import PatchedEncoder, PatchedModel
from paxion.patching.official import transformer_to_official
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.train import train
from paxion.records import PaxionError
from paxion.similarity import similarity

SMALL = TransformerConfig(dim=6, token_width=12, heads=3, hidden=20, projection="frozen")
SHORT = replace(RECIPES["kp-transformer"], epochs=2, batch=16, warmup=2, rate=1e-3)


@pytest.fixture(scope="module")
def data(tiny_backbone, tiny_features, tiny_samples):
    return training_data(tiny_backbone, tiny_features.store, tiny_features.keys, tiny_samples[:48])


def make(config=SMALL, seed=0):
    torch.manual_seed(seed)
    return TransformerPatcher(config).eval()


def some_tokens(batch=2):
    return torch.randn(batch, 4, 3, 12, generator=torch.Generator().manual_seed(1))


def of_torch(patcher: TransformerPatcher) -> nn.TransformerEncoderLayer:
    """torch's own layer with the patcher's weights."""
    config = patcher.config
    layer = nn.TransformerEncoderLayer(config.token_width, config.heads, config.hidden, batch_first=True)
    prefix = "vision_adaptor.transformer_encoder.layers.0."
    state = transformer_to_official(patcher.state_dict())
    layer.load_state_dict(
        {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}, strict=True
    )
    return layer.eval()


def test_it_is_torchs_layer_then_the_mean_then_the_projection():
    patcher, tokens = make(), some_tokens()
    for parameter in patcher.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    layer, want_tokens = of_torch(patcher), tokens.clone().requires_grad_()
    want = layer(want_tokens.flatten(1, 2)).mean(1) @ patcher.projection.weight.T
    tokens.requires_grad_()
    got = patcher(tokens)
    assert got.shape == (2, 1, 6)
    torch.testing.assert_close(got[:, 0], want, rtol=1e-5, atol=1e-6)
    got.pow(3).sum().backward()
    want.pow(3).sum().backward()
    torch.testing.assert_close(tokens.grad, want_tokens.grad, rtol=1e-4, atol=1e-6)


def test_it_starts_like_torchs_layer():
    torch.manual_seed(0)
    ours, theirs = EncoderLayer(64, 4, 96, 0.1), nn.TransformerEncoderLayer(64, 4, 96)
    pairs = {
        "qkv": (ours.qkv, theirs.self_attn.in_proj_weight, theirs.self_attn.in_proj_bias),
        "out": (ours.out, theirs.self_attn.out_proj.weight, theirs.self_attn.out_proj.bias),
        "hidden": (ours.mlp[0], theirs.linear1.weight, theirs.linear1.bias),
    }
    for name, (layer, weight, bias) in pairs.items():
        torch.testing.assert_close(layer.weight.std(), weight.std(), rtol=0.05, atol=0, msg=name)
        torch.testing.assert_close(layer.bias.std(), bias.std(), rtol=0.3, atol=0, msg=name)


def test_dropout_is_live_in_training_only():
    patcher, tokens = make(), some_tokens()
    assert torch.equal(patcher(tokens), patcher(tokens))
    patcher.train()
    assert not torch.allclose(patcher(tokens), patcher(tokens))


def test_the_order_of_the_frames_and_places_is_invisible():
    patcher, tokens = make(), some_tokens()
    torch.testing.assert_close(patcher(tokens.flip(1)), patcher(tokens), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(patcher(tokens.flip(2)), patcher(tokens), rtol=1e-5, atol=1e-6)
    assert (patcher(tokens + 1) - patcher(tokens)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("dim", "width", "count"), [(768, 1024, 8_399_872), (512, 768, 3_940_096), (256, 768, 3_940_096)]
)
def test_parameter_counts_are_the_published_ones(dim, width, count):
    with torch.device("meta"):
        patcher = TransformerPatcher(transformer_config(dim, width, nn.Linear(width, dim, bias=False)))
    assert sum(parameter.numel() for parameter in patcher.parameters()) == count + 1


@pytest.mark.parametrize(("width", "heads"), [(768, 8), (12, 6), (10, 5), (7, 7), (26, 2), (11, 1)])
def test_heads_are_the_largest_divisor_up_to_eight(width, heads):
    assert transformer_config(6, width).heads == heads


def test_a_backbone_without_projection_gets_a_learned_one():
    patcher = make(transformer_config(6, 12))
    assert "projection.weight" in dict(patcher.named_parameters())
    with_bias = make(transformer_config(6, 12, nn.Linear(12, 6)))
    assert set(dict(with_bias.named_buffers())) == {"projection.weight", "projection.bias"}
    assert not any(name.startswith("projection") for name, _ in with_bias.named_parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_it_runs_in_other_precisions(dtype):
    patcher, tokens = make(), some_tokens()
    want = patcher(tokens)
    got = patcher.to(dtype)(tokens)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), want, rtol=0, atol=0.05 if dtype == torch.bfloat16 else 1e-6)


@pytest.mark.parametrize("shape", [(2, 4, 3, 11), (2, 12, 12), (12,)])
def test_tokens_of_another_width_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(B, T, P, 12\)"):
        make()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 0}, "got hidden 0, expected at least 1"),
        ({"heads": 5}, "got 5 heads, expected a divisor of the token width 12"),
        ({"projection": "none"}, "got projection 'none', expected one of frozen, learned"),
        ({"dropout": 1.0}, "got dropout 1.0"),
        ({"temperature": 0.0}, "temperature 0.0"),
    ],
)
def test_config_refuses_what_cannot_work(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)


def test_training_moves_the_layer_and_never_the_backbones_projection(tiny_backbone, data, tmp_path):
    before = beginning(SHORT, tiny_backbone)
    model = train(SHORT, tiny_backbone, data, tmp_path)
    projection = token_projection(tiny_backbone)
    assert model.patcher.config.projection == "frozen"
    assert torch.equal(model.patcher.projection.weight, projection.weight)
    assert torch.equal(before.patcher.projection.weight, projection.weight)
    assert not torch.equal(model.patcher.layer.qkv.weight, before.patcher.layer.qkv.weight)
    assert model.temperature.item() != pytest.approx(0.07, abs=1e-7)


def test_the_projection_is_a_copy(tiny_backbone):
    model = beginning(SHORT, tiny_backbone)
    model.patcher.projection.weight.zero_()
    assert token_projection(tiny_backbone).weight.abs().sum() > 0


def test_on_a_per_frame_backbone_a_clip_and_its_reversal_are_a_tie(tiny_backbone, data, tmp_path):
    encoder = PatchedEncoder("t", tiny_backbone, train(SHORT, tiny_backbone, data, tmp_path))
    text = data.texts[data.captions[:9]]
    there, back = (
        similarity(encoder.encode_clips(data.source.read(data.keys[:6], c)), text) for c in ("none", "reversed")
    )
    torch.testing.assert_close(there, back, rtol=0, atol=1e-5)
    plain = similarity(BackboneEncoder("b", tiny_backbone).encode_clips(data.source.read(data.keys[:6])), text)
    assert (there - plain).abs().max() > 1e-3


def test_the_pooled_recipe_gives_one_vector_a_clip(tiny_backbone, data):
    recipe = RECIPES["patcher-pooled"]
    model = beginning(recipe, tiny_backbone).eval()
    assert model.patcher.config.pooled and model(data.source.read(data.keys[:3])).shape == (3, 1, tiny_backbone.dim)
    assert replace(recipe, pooled=False) == RECIPES["patcher-dvdm"]


@pytest.mark.parametrize("recipe", ["kp-transformer", "patcher-pooled"])
@pytest.mark.parametrize("which", ["internvideo", "clip-vip", "singularity"])
def test_the_baselines_stand_on_the_papers_backbones(which, recipe):
    backbone, _ = published(which)
    torch.manual_seed(0)
    video = torch.randn(2, 4, 3, 16, 16)
    with torch.no_grad():
        features, backwards = backbone.encode_video(video), backbone.encode_video(video.flip(1))
    model = beginning(RECIPES[recipe], backbone)
    got = model(features)
    assert got.shape == (2, 1, backbone.dim)
    got.pow(3).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    model.eval()
    seen = (model(features) - model(backwards)).abs().max()
    # Only tokens that depend on the other frames tell the KP-Transformer the order.
    assert seen < 1e-5 if recipe == "kp-transformer" and backbone.per_frame else seen > 1e-4
    if recipe == "kp-transformer":
        assert torch.equal(model.patcher.projection.weight, token_projection(backbone).weight)


def test_a_transformer_has_no_codes():
    for part in ("spatial_embedding", "difference_tokens", "pooled"):
        with pytest.raises(PaxionError, match=f"got {part} with architecture transformer"):
            Recipe(architecture="transformer", **{part: True})
    with pytest.raises(PaxionError, match="got architecture 'tree', expected perceiver or transformer"):
        Recipe(architecture="tree")


def test_a_fuser_can_read_a_transformers_vector(tiny_backbone, data):
    recipe = replace(SHORT, fuser="xattn")
    model = beginning(recipe, tiny_backbone).eval()
    assert isinstance(model, PatchedModel) and model.fuser is not None
    assert model(data.source.read(data.keys[:3])).shape == (3, 1, tiny_backbone.dim)
