"""Fewer tokens of any backbone: means and picks that are exact, in the name, the store and the adapter's card."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.backbones.base import Features, token_projection
from paxion.backbones.load import lasting, load_backbone
from paxion.backbones.reduced import kept_tokens, reduce_tokens, reduced
from paxion.features.extract import extract
from paxion.features.store import spec_of
from paxion.patching.checkpoint import load_adapter, save_adapter
from paxion.patching.model import PatchedModel
from paxion.patching.recipes import RECIPES
from paxion.records import PaxionError
from paxion.testing import check_encoder, random_clips

WAYS = ("pool2", "every2", "every3")


def means(tokens: torch.Tensor, side: int) -> torch.Tensor:
    """Each 2 x 2 of a grid (B, T, side², C), place by place."""
    grid = tokens.unflatten(2, (side, side))
    places = [(y, x) for y in range(0, side, 2) for x in range(0, side, 2)]
    return torch.stack([grid[:, :, y : y + 2, x : x + 2].mean((2, 3)) for y, x in places], 2)


@settings(max_examples=60, deadline=None)
@given(side=st.integers(1, 9), first=st.booleans(), seed=st.integers(0, 99))
def test_pool2_is_the_mean_of_what_there_is(side, first, seed):
    if side == 1 and first:
        return  # two tokens: a grid of one, or a class token and one; the same either way
    tokens = torch.randn(2, 3, side * side + first, 4, generator=torch.Generator().manual_seed(seed))
    found = reduce_tokens(tokens, "pool2")
    expected = torch.cat((tokens[:, :, :first], means(tokens[:, :, int(first) :], side)), 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 60), step=st.integers(2, 70))
def test_every_k_takes_every_kth_token(count, step):
    tokens = torch.arange(count, dtype=torch.float32).expand(2, 3, count)[..., None]
    assert reduce_tokens(tokens, f"every{step}")[0, 0, :, 0].tolist() == list(range(0, count, step))


def test_half_precision_stays_and_is_averaged_in_single():
    tokens = torch.randn(1, 2, 50, 8).bfloat16()
    found = reduce_tokens(tokens, "pool2")
    assert found.dtype == torch.bfloat16 and found.shape == (1, 2, 1 + 16, 8)
    assert torch.equal(found[:, :, 1:], means(tokens[:, :, 1:].float(), 7).bfloat16())


@pytest.mark.parametrize("how", WAYS)
def test_a_reduced_backbone_is_a_backbone(tiny_backbone, how):
    small = reduced(tiny_backbone, how)
    report = check_encoder(small)
    assert report.failures() == []
    clips = random_clips(small, 2)
    found, whole = small.encode_video(clips), tiny_backbone.encode_video(clips)
    assert torch.equal(found.pooled, whole.pooled) and torch.equal(found.frame_vectors, whole.frame_vectors)
    assert torch.equal(found.tokens, reduce_tokens(whole.tokens, how))
    assert found.tokens.shape[2] == small.tokens_per_frame < tiny_backbone.tokens_per_frame
    assert torch.equal(small.encode_texts(["a"]), tiny_backbone.encode_texts(["a"]))
    assert token_projection(small) is tiny_backbone.projection
    assert (small.name, small.revision, small.frames, small.per_frame) == ("world", tiny_backbone.revision, 9, True)


def test_all_is_the_backbone_itself(tiny_backbone):
    assert reduced(tiny_backbone, "all") is tiny_backbone


def test_it_is_an_option_of_every_name():
    plain, small = load_backbone("world"), load_backbone("world,tokens=pool2")
    assert (kept_tokens(plain), kept_tokens(small)) == ("all", "pool2")
    assert lasting("world,tokens=pool2", small) == "world,tokens=pool2"
    half = load_backbone("world,dtype=bf16,tokens=every4")
    found = half.encode_video(random_clips(half, 1))
    assert found.tokens.dtype == torch.bfloat16 and found.tokens.shape[2] == -(-plain.tokens_per_frame // 4)
    for wrong in ("pool3", "every1", "every", "every-2", "every02x", ""):
        with pytest.raises(PaxionError, match=f"got tokens={wrong}, expected one of all, pool2, every2"):
            load_backbone(f"world,tokens={wrong}")


class Odd(torch.nn.Module):
    """A backbone with any number of tokens, or none; not all of them are modules of torch."""

    name, revision, dim, token_width, frames, per_frame = "odd", "1", 4, 4, 2, True

    def __init__(self, count: int) -> None:
        super().__init__()
        self.tokens_per_frame, self.transform = count, None

    def encode_video(self, video: torch.Tensor) -> Features:
        return Features(torch.ones(len(video), 4))


@pytest.mark.parametrize("count", [3, 8, 14, 51])
def test_what_is_no_square_is_refused(count):
    with pytest.raises(PaxionError, match=f"tokens=pool2 for odd with {count} tokens a frame, expected a square"):
        reduced(Odd(count), "pool2")
    assert reduced(Odd(count), "every2").tokens_per_frame == -(-count // 2)


def test_without_tokens_there_is_nothing_to_reduce():
    for how in WAYS:
        with pytest.raises(PaxionError, match="odd, which gives no tokens"):
            reduced(Odd(0), how)


def test_the_store_is_another_and_smaller(tiny_backbone, tiny_manifest, tiny_samples, tmp_path):
    small = reduced(tiny_backbone, "pool2")
    found = [extract(one, tiny_manifest, tiny_samples[:4], tmp_path) for one in (tiny_backbone, small)]
    assert found[0].store.folder != found[1].store.folder and spec_of(small).tokens == "pool2"
    keys = list(found[0].keys.values())
    one, other = (part.store.read(keys, "reversed") for part in found)
    torch.testing.assert_close(other.tokens.float(), reduce_tokens(one.tokens.float(), "pool2"), rtol=0, atol=2e-3)
    assert torch.equal(one.pooled, other.pooled)


def test_an_adapter_goes_onto_the_tokens_that_it_was_trained_on(tiny_backbone, tmp_path):
    small, recipe = reduced(tiny_backbone, "pool2"), RECIPES["patcher"]
    for name, one in (("all", tiny_backbone), ("small", small)):
        config = recipe.patcher_config(one.dim, one.token_width, one.frames, one.tokens_per_frame, None)
        save_adapter(tmp_path / name, name, PatchedModel(config).eval(), one, recipe, {})
        assert load_adapter(tmp_path / name, one).name == name
    with pytest.raises(PaxionError, match="trained with tokens=pool2, got tokens=all; load it with tokens=pool2"):
        load_adapter(tmp_path / "small", tiny_backbone)
    with pytest.raises(PaxionError, match="trained with tokens=all, got tokens=every2; load it with tokens=all"):
        load_adapter(tmp_path / "all", reduced(tiny_backbone, "every2"))
