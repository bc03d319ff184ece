from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.records import PaxionError
from paxion.video.sample import SAMPLERS, sample_indices

totals = st.integers(1, 100_000)
counts = st.integers(1, 64)


@given(st.sampled_from(sorted(SAMPLERS)), totals, counts)
def test_samples_are_ascending_in_range_and_as_many_as_asked(name: str, total: int, frames: int) -> None:
    indices = sample_indices(name, total, frames)
    assert len(indices) == frames
    assert list(indices) == sorted(indices)
    assert indices[0] >= 0 and indices[-1] < total
    assert all(type(index) is int for index in indices)


@given(totals, counts)
def test_midpoint_is_the_middle_of_each_stretch(total: int, frames: int) -> None:
    exact = [(i + Fraction(1, 2)) * total / frames for i in range(frames)]
    assert sample_indices("midpoint", total, frames) == tuple(int(value) for value in exact)


@given(totals, st.integers(2, 64))
def test_endpoints_include_both_ends(total: int, frames: int) -> None:
    indices = sample_indices("endpoints", total, frames)
    assert indices[0] == 0 and indices[-1] == total - 1
    gaps = [b - a for a, b in pairwise(indices)]
    assert max(gaps) - min(gaps) <= 1


@given(st.sampled_from(["midpoint", "endpoints"]), st.integers(1, 64))
def test_as_many_as_there_are_gives_every_frame(name: str, total: int) -> None:
    assert sample_indices(name, total, total) == tuple(range(total))


def test_paper_skips_the_first_frame_and_ends_on_the_last() -> None:
    assert sample_indices("paper", 16, 8) == (1, 3, 5, 7, 9, 11, 13, 15)
    assert sample_indices("paper", 10, 8) == (1, 2, 3, 4, 5, 6, 7, 9)
    assert sample_indices("paper", 5, 8) == (1, 1, 1, 2, 2, 3, 3, 4)
    assert sample_indices("paper", 2, 8) == (1,) * 8
    assert sample_indices("paper", 1, 8) == (0,) * 8


def test_an_unknown_name_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(PaxionError, match=r"unknown sampler 'endpoint' \(did you mean 'endpoints'\?\): give one of "):
        sample_indices("endpoint", 10, 8)
    with pytest.raises(PaxionError, match=r"unknown sampler 'xyz': give one of midpoint, endpoints, paper"):
        sample_indices("xyz", 10, 8)


@pytest.mark.parametrize(("total", "frames"), [(0, 8), (10, 0), (10, -1)])
def test_nothing_to_sample_is_an_error(total: int, frames: int) -> None:
    with pytest.raises(PaxionError, match="at least 1"):
        sample_indices("midpoint", total, frames)
