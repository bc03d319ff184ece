"""Splits by source video: exclusive, stable, of the shares asked for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.actionbench.splits import GroupSplits, check_groups, draw_split, fraction
from paxion.records import SPLITS, PaxionError


@given(st.text(), st.integers(0, 1000))
def test_the_split_of_a_group_depends_on_its_name_and_the_seed_alone(group, seed):
    assert draw_split(group, seed=seed) == draw_split(group, seed=seed)
    assert draw_split(group, seed=seed) in SPLITS


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)])
def test_the_shares_are_those_asked_for(shares):
    drawn = Counter(draw_split(f"video {number}", shares) for number in range(20_000))
    for split, share in zip(SPLITS, shares, strict=True):
        # Four standard errors of a binomial share.
        assert abs(drawn[split] / 20_000 - share) <= 4 * (share * (1 - share) / 20_000) ** 0.5


def test_another_seed_draws_another_split():
    assert [draw_split(str(n), seed=0) for n in range(50)] != [draw_split(str(n), seed=1) for n in range(50)]


def test_the_parts_of_a_fraction_do_not_run_together():
    assert fraction("a", "bc") != fraction("ab", "c")
    assert 0 <= fraction("x") < 1


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.2), (-0.1, 0.6, 0.5), (0.1, 0.1, 0.1)])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(PaxionError, match="expected three that add up to 1"):
        draw_split("a", shares)


def test_groups_that_cross_are_named():
    groups = GroupSplits()
    for group, split in [("a", "train"), ("b", "train"), ("a", "train"), ("b", "test"), ("c", "val")]:
        groups.add(group, split)
    assert groups.crossing() == ["b"]
    with pytest.raises(PaxionError, match=r"1 source videos in more than one split \('b'.*--resplit"):
        check_groups(groups.crossing())
    check_groups([])
