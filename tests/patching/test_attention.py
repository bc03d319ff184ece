"""The absorbed cross-attention equals the textbook one, and the published numbers."""

import json
import math

import pytest
import torch
from golden import (
    FORWARD,
    MODULE_GRADIENT,
    SHARED,
    assert_close,
    assert_gradients,
    attention_sizes,
    cases,
    gradients,
    load,
    perceiver_sizes,
)
from torch.nn import functional as F

from paxion.patching.attention import CrossAttention, CrossAttentionBlock
from paxion.patching.official import fuser_from_official, fuser_to_official, patcher_from_official, patcher_to_official
from paxion.patching.perceiver import Perceiver


def load_block(case, gated):
    block = CrossAttentionBlock(
        media_width=case.constructor["k_v_dim"], gated=gated, **attention_sizes(case.constructor)
    )
    state = {f"knowledge_fuser.{key}": value for key, value in case.weights.items()}
    state = fuser_from_official(state | {"temp": torch.tensor(0.07)})
    block.load_state_dict({key.removeprefix("block."): value for key, value in state.items() if key != "temperature"})
    return block


def load_perceiver(weights, constructor):
    perceiver = Perceiver(**perceiver_sizes(constructor))
    state = {f"vision_perceiver.{key}": value for key, value in weights.items()}
    state = patcher_from_official(state | {"temp": torch.tensor(0.07)})
    perceiver.load_state_dict(
        {key.removeprefix("perceiver."): value for key, value in state.items() if key != "temperature"}
    )
    return perceiver


def official(renamed, ours, theirs, state):
    """Published names for the entries of one part of a module."""
    named = renamed({f"{ours}{key}": value for key, value in state.items()} | {"temperature": torch.tensor(0.07)})
    return {key.removeprefix(theirs): value for key, value in named.items()}


@cases("a_cross_attention_block", "a_gated_cross_attention_block")
def test_block_equals_the_published_one(case):
    gated = "gated" in case.name
    case = load(case)
    block = load_block(case, gated)
    x, media = case.inputs["x"].requires_grad_(), case.inputs["k_v3"].requires_grad_()
    y = block(x, media)
    (y * case.inputs["cotangent"]).sum().backward()

    assert_close(y, case.outputs["y"], FORWARD)
    assert_close(block(x, case.inputs["k_v4"].flatten(1, 2)), case.outputs["y_kv4"], FORWARD)
    assert_close(block.attention(x, media), case.outputs["attn_only"], FORWARD)
    assert_close(block.feed_forward(x), case.outputs["ff_only"], FORWARD)
    got = official(fuser_to_official, "block.", "knowledge_fuser.", gradients(block))
    assert_gradients(got, case, MODULE_GRADIENT, "y/grad/")
    assert_gradients({"x": x.grad, "k_v3": media.grad}, case, MODULE_GRADIENT, "y/grad_input/")


@cases("a_perceiver_depth1")
def test_perceiver_equals_the_published_one(case):
    case = load(case)
    perceiver = load_perceiver(case.weights, case.constructor)
    tokens = case.inputs["x3"].requires_grad_()
    y = perceiver(tokens)
    (y * case.inputs["cotangent_x3"][:, 0]).sum().backward()

    assert_close(y, case.outputs["y_x3"][:, 0], FORWARD)
    assert_close(perceiver(case.inputs["x4"]), case.outputs["y_x4"], FORWARD)
    assert_close(perceiver(tokens, case.inputs["latents"][:, 0]), case.outputs["y_x3_latents"][:, 0], FORWARD)
    guided = perceiver(tokens, guidance=case.inputs["attn_guidance"])
    assert_close(guided, case.outputs["y_x3_guided"][:, 0], FORWARD)
    got = official(patcher_to_official, "perceiver.", "vision_perceiver.", gradients(perceiver))
    assert_gradients(got, case, MODULE_GRADIENT, "y_x3/grad/")
    assert_gradients({"x3": tokens.grad}, case, MODULE_GRADIENT, "y_x3/grad_input/")


@cases("a_perceiver_depth1")
def test_perceiver_steps_equal_the_published_ones(case):
    case = load(case)
    perceiver = load_perceiver(case.weights, case.constructor)
    layer = perceiver.layers[0]
    attended = layer.attention(perceiver.latents, case.inputs["x3"])
    latents = attended + perceiver.latents
    assert_close(attended, case.outputs["y_x3/layer0/attn"][:, 0], FORWARD)
    assert_close(layer.feed_forward(latents), case.outputs["y_x3/layer0/ff"][:, 0], FORWARD)
    assert_close(latents + layer.feed_forward(latents), case.outputs["y_x3/layer0/latents"][:, 0], FORWARD)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the golden data is not beside the repository")
def test_perceiver_of_the_published_size(monkeypatch):
    monkeypatch.syspath_prepend(str(SHARED))
    from detweights import det_array, det_weight

    name = "a_perceiver_fullsize"
    meta = json.loads((SHARED / name / "case.json").read_text())
    ours = Perceiver(**perceiver_sizes(meta["constructor"])).state_dict()
    shapes = official(patcher_to_official, "perceiver.", "vision_perceiver.", ours)
    del shapes["temp"]
    weights = {key: torch.from_numpy(det_weight(key, value.shape, f"{name}/")) for key, value in shapes.items()}
    perceiver = load_perceiver(weights, meta["constructor"])
    tokens = torch.from_numpy(det_array(f"{name}/in/x", (1, 2056, 1024)) * math.sqrt(3)).float()
    with torch.no_grad():
        y = perceiver(tokens).flatten()
    digest = meta["digest"]["y"]
    assert_close(y[:32], torch.tensor(digest["first32"]), 1e-4)
    assert_close(y[digest["strided64_idx"]], torch.tensor(digest["strided64"]), 1e-4)
    assert abs(float(y.double().sum()) - digest["sum"]) <= 1e-5 * digest["abs_sum"]


def textbook(attention, x, media, guidance=None):
    """Keys and values for every token, one einsum per step."""
    heads, width = attention.heads, attention.dim_head
    media = attention.norm_media(media)
    key, value = (media @ attention.key_value.weight.T).chunk(2, -1)
    query = attention.norm_query(x) @ attention.query.weight.T
    query, key, value = (t.reshape(*t.shape[:-1], heads, width) for t in (query, key, value))
    logits = torch.einsum("bqhd,bnhd->bhqn", query, key) / math.sqrt(width)
    if guidance is not None:
        logits = (logits - logits.max(-1, keepdim=True).values) * guidance[:, None, None]
    mixed = torch.einsum("bhqn,bnhd->bqhd", F.softmax(logits, -1), value)
    return mixed.flatten(2) @ attention.out.weight.T


@pytest.mark.parametrize("guided", [False, True])
def test_absorbed_attention_equals_the_textbook(guided):
    torch.manual_seed(0)
    attention = CrossAttention(12, 10, heads=3, dim_head=4).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 5, 12, dtype=torch.double, requires_grad=True)
    media = torch.randn(2, 7, 10, dtype=torch.double, requires_grad=True)
    guidance = torch.rand(2, 7, dtype=torch.double) if guided else None
    cotangent = torch.randn(2, 5, 12, dtype=torch.double)
    leaves = [x, media, *attention.parameters()]
    one, other = attention(x, media, guidance), textbook(attention, x, media, guidance)
    torch.testing.assert_close(one, other)
    for got, want in zip(
        torch.autograd.grad(one, leaves, cotangent), torch.autograd.grad(other, leaves, cotangent), strict=True
    ):
        torch.testing.assert_close(got, want)


def test_shared_queries_equal_repeated_ones():
    torch.manual_seed(0)
    attention = CrossAttention(12, 10, heads=3, dim_head=4)
    x, media = torch.randn(5, 12), torch.randn(2, 7, 10)
    torch.testing.assert_close(attention(x, media), attention(x.expand(2, -1, -1), media))


def test_gated_block_starts_as_the_identity():
    block = CrossAttentionBlock(12, 10, heads=3, dim_head=4, gated=True)
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(block(x, torch.randn(2, 7, 10)), x, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(2, 7, 9), (7, 10)])
def test_perceiver_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"expected \(B, N, 10\)"):
        Perceiver(12, 10, heads=3, dim_head=4, latents=5)(torch.randn(shape))
