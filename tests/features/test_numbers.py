"""How numbers are held: what each dtype promises, for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from toy_store import features, with_dtype

from paxion.backbones.base import Features
from paxion.features.numbers import DTYPES, array, decoded, encoded, quantised
from paxion.features.store import FeatureStore
from paxion.records import PaxionError

NUMBERS = hnp.arrays(np.float32, (2, 1, 3, 5), elements=st.floats(-8e6, 8e6, width=32))
TINY = np.full((2, 1, 3, 5), 3e-9, np.float32)


@settings(max_examples=300, deadline=None)
@given(NUMBERS)
@example(TINY)
@example(TINY * 1e3)
@example(np.zeros_like(TINY))
@example(np.full_like(TINY, -65504 * 127))
def test_int8_is_off_by_half_a_scale_at_most(numbers):
    tokens = torch.from_numpy(numbers)
    whole, scales = quantised(tokens)
    assert scales.dtype == torch.float16 and scales.shape == tokens.shape[:-1] and scales.isfinite().all()
    assert whole.abs().max() <= 127
    back = decoded({"pooled": torch.zeros(2, 1), "tokens": whole, "scales": scales}).tokens
    error = (back.double() - tokens.double()).abs()
    assert (error <= scales.double()[..., None] * (0.5 + 1e-5)).all()
    # The scale is not wasteful: float16 rounds up by a thousandth, and has a smallest number.
    assert (scales.double() <= tokens.double().abs().amax(-1) / 127 * 1.001 + 6e-8).all()


@settings(max_examples=200, deadline=None)
@given(NUMBERS, st.sampled_from(["float16", "bfloat16", "float32"]))
def test_floats_are_rounded_to_nearest(numbers, dtype):
    tokens = torch.from_numpy(numbers).clamp(-65000, 65000)
    found = decoded(encoded(Features(torch.zeros(2, 1), tokens), dtype, "toy")).tokens
    bits, smallest = {"float16": (11, 2**-24), "bfloat16": (8, 2**-133), "float32": (24, 2**-149)}[dtype]
    allowed = (tokens.double().abs() * 2.0**-bits).clamp_min(smallest / 2)
    assert ((found.double() - tokens.double()).abs() <= allowed).all()
    assert found.dtype == getattr(torch, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_store_gives_what_its_dtype_holds(tmp_path, dtype):
    spec, given_ = with_dtype(dtype), features(6)
    FeatureStore(tmp_path, spec).append(list("abcdef"), given_, {})
    found = FeatureStore(tmp_path, spec).read(list("fca"))
    expected = decoded(encoded(given_, dtype, "toy"))
    assert torch.equal(found.tokens, expected.tokens[[5, 2, 0]])
    # Vectors are small beside tokens: only the default halves them.
    assert found.frame_vectors.dtype == (torch.float16 if dtype == "float16" else torch.float32)
    assert torch.equal(found.frame_vectors, expected.frame_vectors[[5, 2, 0]])
    assert found.pooled.dtype == torch.float32
    torch.testing.assert_close(found.pooled, given_.pooled[[5, 2, 0]], rtol=0, atol=1e-3)


def test_bfloat16_lies_on_disk_as_uint16(tmp_path):
    store = FeatureStore(tmp_path, with_dtype("bfloat16"))
    store.append(["a"], features(1), {})
    raw = np.load(next(store.folder.glob("*.tokens.npy")))
    assert raw.dtype == np.uint16
    assert (raw == array(features(1).tokens.bfloat16()).view(np.uint16)).all()


def test_int8_takes_half_of_float16(tmp_path):
    sizes = {}
    for dtype in DTYPES:
        given_ = Features(torch.zeros(4, 8), torch.randn(4, 5, 50, 768))
        store = FeatureStore(tmp_path, with_dtype(dtype))
        store.append(list("abcd"), given_, {})
        sizes[dtype] = sum(path.stat().st_size for path in store.folder.iterdir())
    assert sizes["float32"] / sizes["float16"] > 1.99
    assert sizes["bfloat16"] / sizes["float16"] == pytest.approx(1, abs=0.01)
    assert sizes["float16"] / sizes["int8"] > 1.98


def test_what_a_dtype_cannot_hold_is_refused_with_how_large_it_is():
    large = Features(torch.zeros(1, 2), torch.full((1, 1, 1, 2), 7e4))
    with pytest.raises(PaxionError, match=r"got tokens of toy up to 7e\+04, beyond float16, .*take dtype bfloat16"):
        encoded(large, "float16", "toy")
    for dtype in ("bfloat16", "int8", "float32"):
        found = decoded(encoded(large, dtype, "toy")).tokens
        torch.testing.assert_close(found.float(), large.tokens, rtol=5e-3, atol=0)
    with pytest.raises(PaxionError, match="beyond int8"):
        encoded(Features(torch.zeros(1, 2), torch.full((1, 1, 1, 2), 1e7)), "int8", "toy")


def test_half_precision_features_are_kept_as_they_are():
    tokens = torch.randn(2, 1, 3, 5).half()
    parts = encoded(Features(torch.randn(2, 4).bfloat16(), tokens), "float16", "toy")
    assert torch.equal(parts["tokens"], tokens) and parts["pooled"].dtype == torch.float32
