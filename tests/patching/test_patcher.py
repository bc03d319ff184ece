"""The Knowledge Patcher: published numbers and sizes, and what it does and does not see of the order of the frames."""

import dataclasses

import pytest
import torch
from golden import FORWARD, assert_close, cases, load, perceiver_sizes
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.backbones.base import normalise
from paxion.patching.official import patcher_from_official
from paxion.patching.patcher import KnowledgePatcher, PatcherConfig, frame_differences

SMALL = PatcherConfig(dim=12, token_width=10, frames=4, tokens_per_frame=3, heads=3, dim_head=4, latents=5)


def load_patcher(case):
    _, frames, places, _ = case.inputs["raw_visual_embeddings"].shape
    sizes = perceiver_sizes(case.constructor["vision_perceiver_config"])
    pooled = case.constructor.get("if_pooling_perceiver_features", False)
    patcher = KnowledgePatcher(PatcherConfig(frames=frames, tokens_per_frame=places, pooled=pooled, **sizes))
    patcher.load_state_dict(patcher_from_official(case.weights))
    return patcher.eval()


def make(seed=0, **changes):
    torch.manual_seed(seed)
    return KnowledgePatcher(dataclasses.replace(SMALL, **changes)).eval()


def some_tokens(seed=0, batch=2):
    return torch.randn(batch, 4, 3, 10, generator=torch.Generator().manual_seed(seed))


@cases("b_patcher_temporal", "b_patcher_depth2", "b_patcher_pooled")
def test_patcher_equals_the_published_one(case):
    case = load(case)
    patcher = load_patcher(case)
    tokens = case.inputs["raw_visual_embeddings"]
    want = case.outputs
    latents, backwards = patcher(tokens), patcher(tokens.flip(1))
    if want["ret1_perceiver"].ndim == 2:
        assert latents.shape[1] == 1
        latents, backwards = latents[:, 0], backwards[:, 0]
    assert_close(latents, want["ret1_perceiver"], FORWARD)
    assert_close(normalise(latents), want["ret1_normalised"], FORWARD)
    assert_close(backwards, want["ret1_reversed_frames"], FORWARD)


@cases("b_patcher_temporal_dropout_train")
def test_patcher_with_a_dropped_code_equals_the_published_one(case):
    case = load(case)
    patcher = load_patcher(case)
    media = case.inputs["raw_visual_embeddings"] + case.inputs["dropped_temporal_embedding"]
    assert_close(patcher.perceiver(media.flatten(1, 2)), case.outputs["ret1_perceiver"], FORWARD)


def test_dropout_masks_every_token_by_itself_and_scales_the_rest():
    config = PatcherConfig(dim=12, token_width=32, frames=4, tokens_per_frame=50, temporal_dropout=0.25)
    patcher = KnowledgePatcher(config)
    code, whole = patcher.code(), patcher.temporal_embedding[:, None].expand(4, 50, 32)
    dropped = code == 0
    torch.testing.assert_close(code[~dropped], whole[~dropped] / 0.75)
    assert 0.2 < dropped.float().mean() < 0.3
    assert not torch.equal(dropped[0, 0], dropped[0, 1])
    assert not torch.equal(patcher.code(), code)
    torch.testing.assert_close(patcher.eval().code().expand_as(whole), whole)


@pytest.mark.parametrize(
    ("backbone", "dim", "width", "places", "perceiver", "total"),
    [
        ("InternVideo", 768, 1024, 257, 4_213_248, 4_221_441),
        ("CLIP-ViP", 512, 768, 49, 2_372_096, 2_378_241),
        ("Singularity", 256, 768, 197, 1_317_888, 1_324_033),
    ],
)
def test_parameter_counts_are_the_published_ones(backbone, dim, width, places, perceiver, total):
    patcher = KnowledgePatcher(PatcherConfig(dim=dim, token_width=width, frames=8, tokens_per_frame=places))
    assert sum(parameter.numel() for parameter in patcher.perceiver.parameters()) == perceiver
    assert sum(parameter.numel() for parameter in patcher.parameters()) == total


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), spatial=st.booleans())
def test_without_temporal_code_the_order_of_the_frames_is_invisible(seed, spatial):
    patcher, tokens = make(seed, temporal_embedding=False, spatial_embedding=spatial), some_tokens(seed)
    torch.testing.assert_close(patcher(tokens.flip(1)), patcher(tokens), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"temporal_embedding": False, "difference_tokens": True}])
def test_temporal_code_or_differences_make_the_order_visible(changes):
    patcher, tokens = make(**changes), some_tokens()
    assert (patcher(tokens.flip(1)) - patcher(tokens)).abs().max() > 1e-2


def test_without_spatial_code_the_order_of_the_places_is_invisible():
    tokens = some_tokens()
    swapped = tokens.flip(2)
    plain, spatial = make(), make(spatial_embedding=True)
    torch.testing.assert_close(plain(swapped), plain(tokens), rtol=1e-5, atol=1e-5)
    assert (spatial(swapped) - spatial(tokens)).abs().max() > 1e-2


def test_differences_are_central_and_one_sided_at_the_ends():
    tokens = torch.tensor([1.0, 2.0, 4.0, 8.0]).view(1, 4, 1, 1)
    torch.testing.assert_close(frame_differences(tokens).flatten(), torch.tensor([1.0, 1.5, 3.0, 4.0]))


def test_reversal_flips_the_sign_of_the_differences():
    tokens = some_tokens()
    torch.testing.assert_close(frame_differences(tokens.flip(1)), -frame_differences(tokens).flip(1))


def test_difference_tokens_by_hand():
    """A token and how it changes, through two layers, with the code of its place and frame."""
    patcher, tokens = make(difference_tokens=True, spatial_embedding=True), some_tokens()
    change = torch.empty_like(tokens)
    change[:, 1:-1] = (tokens[:, 2:] - tokens[:, :-2]) / 2
    change[:, 0], change[:, -1] = tokens[:, 1] - tokens[:, 0], tokens[:, -1] - tokens[:, -2]
    first, _, last = patcher.difference
    hidden = torch.cat([tokens, change], -1) @ first.weight.T + first.bias
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))
    media = torch.cat([tokens, hidden @ last.weight.T + last.bias], 1) + patcher.code().repeat(2, 1, 1)
    torch.testing.assert_close(patcher(tokens), patcher.perceiver(media.flatten(1, 2)), rtol=1e-5, atol=1e-5)


def test_pooled_is_the_mean_over_the_latents():
    pooled, whole = make(pooled=True), make()
    torch.testing.assert_close(pooled(some_tokens()), whole(some_tokens()).mean(1, keepdim=True))


def test_clips_of_a_batch_do_not_touch_each_other():
    patcher, tokens = make(difference_tokens=True), some_tokens(batch=3)
    torch.testing.assert_close(patcher(tokens)[1:2], patcher(tokens[1:2]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_patcher_runs_in_other_precisions(dtype):
    patcher, tokens = make(difference_tokens=True, spatial_embedding=True), some_tokens()
    want = patcher(tokens)
    got = patcher.to(dtype)(tokens)
    assert got.dtype == dtype
    assert_close(got.float(), want, 0.05 if dtype == torch.bfloat16 else 1e-5)


def test_half_precision_features_are_read_at_the_patchers_precision():
    patcher, tokens = make(), some_tokens().half()
    torch.testing.assert_close(patcher(tokens), patcher(tokens.float()), rtol=0, atol=0)


def test_every_parameter_but_the_temperature_gets_a_gradient():
    patcher = make(difference_tokens=True, spatial_embedding=True).train()
    normalise(patcher(some_tokens())).pow(3).sum().backward()
    without = [key for key, value in patcher.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == ["temperature"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 5, 3, 10), r"got tokens \(2, 5, 3, 10\), expected \(B, 4, 3, 10\): the patcher was made for 4 frames"),
        ((2, 4, 2, 10), r"got tokens \(2, 4, 2, 10\), expected \(B, 4, 3, 10\)"),
        ((2, 4, 3, 9), r"expected \(B, 4, 3, 10\)"),
        ((4, 3, 10), r"got tokens \(4, 3, 10\)"),
    ],
)
def test_patcher_refuses_other_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        make()(torch.randn(shape))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latents": 0}, "got latents 0, expected at least 1"),
        ({"frames": 1, "difference_tokens": True}, "expected at least 2 frames"),
        ({"temperature": 0.0}, "expected above 0"),
        ({"temporal_dropout": 5.0}, "expected 0 or more, below 1"),
    ],
)
def test_config_refuses_what_cannot_work(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)
