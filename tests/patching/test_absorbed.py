"""Attention without keys, values or gradients of the size of the tokens: equal to the textbook form."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from paxion.patching import absorbed
from paxion.patching.absorbed import attend
from paxion.patching.patcher import KnowledgePatcher, PatcherConfig
from paxion.patching.plain import plain_attention, plain_patcher


def textbook(queries, tokens, codes, eps=1e-5):
    media = (tokens + codes[:, None]).flatten(2, 3)
    normed = F.layer_norm(media, media.shape[-1:], eps=eps)
    return (queries @ normed.transpose(-1, -2)).softmax(-1) @ normed


def drawn(seed, directions, own_directions, own_clips, clips, frames, places, own_places, queries, width):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    asked = normal(directions if own_directions else 1, clips if own_clips else 1, queries, width)
    codes = normal(directions, frames, places if own_places else 1, width)
    tokens = normal(clips, frames, places, width) * 3 + normal(1)
    return asked.requires_grad_(), tokens, codes.requires_grad_(), normal(directions, clips, queries, width)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(1, 2), st.booleans(), st.booleans(), st.integers(1, 5),
    st.integers(1, 4), st.integers(1, 5), st.booleans(), st.integers(1, 6), st.integers(2, 9), st.booleans(),
)  # fmt: skip
def test_values_and_gradients_equal_the_textbooks(
    seed, directions, own_directions, own_clips, clips, frames, places, own_places, queries, width, cut
):
    asked, tokens, codes, toward = drawn(
        seed, directions, own_directions, own_clips, clips, frames, places, own_places, queries, width
    )
    room = absorbed.CHUNK["cpu"]
    try:
        absorbed.CHUNK["cpu"] = 2 * tokens[0].numel() * 4 if cut else room
        got, want = attend(asked, tokens, codes), textbook(asked, tokens, codes)
        found = torch.autograd.grad((got * toward).sum(), (asked, codes))
    finally:
        absorbed.CHUNK["cpu"] = room
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(found, torch.autograd.grad((want * toward).sum(), (asked, codes)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("own_places", [False, True])
def test_a_large_mean_loses_no_more_than_in_the_textbook_form(own_places):
    asked, tokens, codes, _ = drawn(0, 2, False, False, 3, 4, 5, own_places, 6, 64)
    tokens = tokens + 300
    exact = textbook(asked, tokens, codes)
    single = [values.detach().float() for values in (asked, tokens, codes)]
    allowed = (textbook(*single) - exact).abs().max()
    assert (attend(*single) - exact).abs().max() <= 3 * allowed


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_tokens_are_read_as_they_are(stored):
    asked, tokens, codes, _ = drawn(1, 1, False, False, 3, 4, 5, True, 6, 32)
    tokens = tokens.to(stored)
    got = attend(asked.float(), tokens, codes.float())
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, textbook(asked, tokens.double(), codes).float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("own_places", [False, True])
def test_under_autocast_the_products_are_of_half_precision_and_near(own_places):
    asked, tokens, codes, toward = drawn(2, 2, False, False, 3, 4, 5, own_places, 6, 64)
    asked, codes = (values.detach().float().requires_grad_() for values in (asked / 8, codes))
    exact = textbook(asked, tokens.float(), codes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near = attend(asked, tokens.half(), codes)
    assert near.dtype == torch.float32 and 1e-5 < (near - exact).abs().max() < 0.1
    want = torch.autograd.grad((exact * toward).sum(), (asked, codes))
    for mine, theirs in zip(torch.autograd.grad((near * toward).sum(), (asked, codes)), want, strict=True):
        assert (mine - theirs).abs().max() < 0.05 * theirs.abs().max()


def test_tokens_that_want_a_gradient_are_refused():
    with pytest.raises(ValueError, match="require a gradient"):
        attend(torch.ones(1, 1, 2, 3), torch.ones(1, 1, 2, 3, requires_grad=True), torch.ones(1, 1, 1, 3))


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation gives."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor) and not func.is_view:
                self.numbers = max(self.numbers, value.numel())
        return result


def test_nothing_of_the_size_of_the_tokens_is_made(monkeypatch):
    clips, frames, places, width = 16, 2, 60, 96
    asked, codes = torch.randn(1, 1, 4, width).requires_grad_(), torch.randn(2, frames, places, width).requires_grad_()
    tokens = torch.randn(clips, frames, places, width)
    monkeypatch.setitem(absorbed.CHUNK, "cpu", 1)
    with Largest() as seen:
        attend(asked, tokens, codes).sum().backward()
    assert seen.numbers <= codes.numel() < tokens.numel() / 4  # two directions of one clip
    with Largest() as plainly:
        textbook(asked, tokens, codes).sum().backward()
    assert plainly.numbers >= 2 * tokens.numel()


CONFIG = PatcherConfig(dim=12, token_width=32, frames=4, tokens_per_frame=5, heads=2, dim_head=8, latents=3)


def patchers():
    found = []
    changes = [{}, {"depth": 2}, {"spatial_embedding": True}, {"temporal_embedding": False}, {"pooled": True}]
    for change in changes:
        torch.manual_seed(0)
        patcher = KnowledgePatcher(PatcherConfig(**{**vars(CONFIG), **change})).double()
        for parameter in patcher.parameters():
            torch.nn.init.normal_(parameter)
        found.append(pytest.param(patcher, id="-".join(change) or "paper"))
    return found


@pytest.mark.parametrize("patcher", patchers())
@pytest.mark.parametrize("training", [False, True])
def test_the_patcher_equals_its_plain_form(patcher, training):
    tokens = torch.randn(3, 4, 5, 32, dtype=torch.float64)
    patcher.train(training)
    torch.manual_seed(1)
    got = patcher(tokens)
    torch.manual_seed(1)
    want = plain_patcher(patcher, tokens)
    want = want.mean(1, keepdim=True) if patcher.config.pooled else want
    torch.testing.assert_close(got, want)
    trained = [parameter for name, parameter in patcher.named_parameters() if name != "temperature"]
    toward = torch.randn_like(got)
    for mine, theirs in zip(
        torch.autograd.grad((got * toward).sum(), trained),
        torch.autograd.grad((want * toward).sum(), trained),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("patcher", [*patchers(), pytest.param("differences", id="differences")])
def test_both_directions_are_the_clip_and_its_reversal(patcher):
    if patcher == "differences":
        torch.manual_seed(0)
        patcher = KnowledgePatcher(PatcherConfig(**{**vars(CONFIG), "difference_tokens": True})).double()
    tokens = torch.randn(3, 4, 5, 32, dtype=torch.float64)
    patcher.eval()
    forwards, backwards = patcher.both(tokens)
    torch.testing.assert_close(forwards, patcher(tokens))
    torch.testing.assert_close(backwards, patcher(tokens.flip(1)))
    patcher.train()
    dropped = patcher.config.temporal_embedding
    assert dropped != torch.equal(patcher.both(tokens)[0], patcher.both(tokens)[0])  # each call draws its own dropout
    with torch.no_grad():
        torch.testing.assert_close(patcher.eval().both(tokens)[1], backwards)


def test_gradients_of_tokens_are_still_to_be_had():
    patcher = KnowledgePatcher(CONFIG).double().eval()
    tokens = torch.randn(2, 4, 5, 32, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(patcher(tokens).square().sum(), tokens)
    (want,) = torch.autograd.grad(plain_patcher(patcher, tokens).square().sum(), tokens)
    torch.testing.assert_close(found, want)


def test_attention_over_media_equals_its_plain_form():
    attention = KnowledgePatcher(CONFIG).double().perceiver.layers[0].attention
    x, media = torch.randn(2, 3, 12, dtype=torch.float64), torch.randn(2, 7, 32, dtype=torch.float64)
    torch.testing.assert_close(attention(x, media), plain_attention(attention, x, media))


@pytest.mark.parametrize("own_places", [False, True])
def test_half_precision_keeps_what_tells_tokens_of_a_large_mean_apart(own_places):
    asked, tokens, codes, toward = drawn(3, 2, False, False, 3, 4, 5, own_places, 6, 64)
    asked, tokens = (asked.detach() / 8).float().requires_grad_(), tokens.float() + 100
    codes = codes.detach().float().requires_grad_()
    exact = textbook(asked, tokens, codes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near = attend(asked, tokens, codes)
    assert (near - exact).abs().max() < 0.1
    want = torch.autograd.grad((exact * toward).sum(), (asked, codes))
    for mine, theirs in zip(torch.autograd.grad((near * toward).sum(), (asked, codes)), want, strict=True):
        assert (mine - theirs).abs().max() < 0.05 * theirs.abs().max()


def test_no_clips_give_no_mixtures():
    asked, codes = torch.randn(1, 1, 2, 8).requires_grad_(), torch.randn(2, 3, 4, 8).requires_grad_()
    none = attend(asked, torch.zeros(0, 3, 4, 8), codes)
    none.sum().backward()
    assert none.shape == (2, 0, 2, 8) and not asked.grad.any() and not codes.grad.any()
