"""The Knowledge Fuser: published numbers, and what each kind starts as."""

import pytest
import torch
from golden import FORWARD, MODULE_GRADIENT, assert_close, assert_gradients, attention_sizes, cases, gradients, load
from test_patcher import load_patcher

from paxion.backbones.base import normalise
from paxion.patching.fuser import FuserConfig, KnowledgeFuser
from paxion.patching.official import fuser_from_official, fuser_to_official, patcher_to_official

KINDS = ["xattn", "gated_xattn", "xattn_v2", "side_tuning"]


def make(kind):
    torch.manual_seed(0)
    return KnowledgeFuser(FuserConfig(kind, dim=12, token_width=10, heads=3, dim_head=4))


def some_inputs():
    torch.manual_seed(1)
    return torch.randn(2, 12), torch.randn(2, 5, 12), torch.randn(2, 4, 3, 10)


@cases("d_fuser_xattn", "d_fuser_xattn_v2", "d_fuser_side_tuning")
def test_fuser_equals_the_published_one(case):
    case = load(case)
    width = case.inputs["raw_visual_embeddings"].shape[-1]
    sizes = attention_sizes(case.constructor["knowledge_fuser_config"])
    fuser = KnowledgeFuser(FuserConfig(case.constructor["knowledge_fuser_type"], token_width=width, **sizes))
    fuser.load_state_dict(fuser_from_official(case.weights))
    patcher = load_patcher(case)

    tokens = case.inputs["raw_visual_embeddings"]
    fused = fuser(case.inputs["raw_visual_feat"], patcher(tokens), tokens)
    want, cotangent = case.outputs["ret1_fused"], case.inputs["cotangent"]
    if want.ndim == 2:
        want, cotangent = want[:, None], cotangent[:, None]
    (fused * cotangent).sum().backward()
    assert_close(fused, want, FORWARD)
    assert_close(normalise(fused), case.outputs["ret1_fused_normalised"].view_as(fused), FORWARD)
    named = patcher_to_official(gradients(patcher)) | fuser_to_official(gradients(fuser))
    assert_gradients(named, case, MODULE_GRADIENT)


@pytest.mark.parametrize(
    ("dim", "width", "count"), [(768, 1024, 3_936_768), (512, 768, 2_100_224), (256, 768, 787_968)]
)
def test_parameter_counts_are_the_published_ones(dim, width, count):
    fuser = KnowledgeFuser(FuserConfig("xattn", dim=dim, token_width=width))
    assert sum(parameter.numel() for parameter in fuser.block.parameters()) == count


def test_gated_fuser_starts_as_the_backbone():
    pooled, latents, _ = some_inputs()
    torch.testing.assert_close(make("gated_xattn")(pooled, latents)[:, 0], pooled, rtol=0, atol=0)


def test_side_tuning_starts_half_way():
    pooled, latents, _ = some_inputs()
    side = latents.mean(1)
    want = pooled / pooled.norm(dim=1, keepdim=True) / 2 + side / side.norm(dim=1, keepdim=True) / 2
    torch.testing.assert_close(make("side_tuning")(pooled, latents)[:, 0], want)


def test_side_tuning_mixes_by_its_scalar():
    fuser = make("side_tuning")
    pooled, latents, _ = some_inputs()
    with torch.no_grad():
        fuser.mix.fill_(20.0)
    torch.testing.assert_close(fuser(pooled, latents)[:, 0], normalise(pooled))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_shapes_and_precisions(kind, dtype):
    pooled, latents, tokens = (part.to(dtype) for part in some_inputs())
    fused = make(kind).to(dtype)(pooled, latents, tokens)
    assert fused.shape == (2, 5 if kind == "xattn_v2" else 1, 12)
    assert fused.dtype == dtype and fused.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_kind_reads(kind):
    pooled, latents, tokens = some_inputs()
    fuser = make(kind)
    with torch.no_grad():
        for parameter in fuser.parameters():
            parameter.add_(0.1)  # opens the gates
    inputs = [part.requires_grad_() for part in (pooled, latents, tokens)]
    grads = torch.autograd.grad(fuser(*inputs).pow(3).sum(), inputs, allow_unused=True)
    read = [grad is not None and bool(grad.any()) for grad in grads]
    assert read == ([False, True, True] if kind == "xattn_v2" else [True, True, False])


def test_fuser_refuses_what_does_not_fit():
    pooled, latents, tokens = some_inputs()
    with pytest.raises(ValueError, match=r"expected \(B, 12\)"):
        make("xattn")(pooled[:, :11], latents)
    with pytest.raises(ValueError, match="got tokens None"):
        make("xattn_v2")(pooled, latents)
    with pytest.raises(ValueError, match=r"expected \(B, T, P, 10\)"):
        make("xattn_v2")(pooled, latents, tokens[..., :9])
    with pytest.raises(ValueError, match="got fuser kind 'sum', expected one of xattn"):
        FuserConfig("sum", dim=12, token_width=10)
