import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.evaluation.statistics import (
    clustered_interval,
    estimate,
    mean_interval,
    t_quantile,
)
from paxion.records import PaxionError


def ordinary_wilson(right: int, n: int) -> tuple[float, float]:
    """The textbook form: solve (p - q)² = z² q (1 - q) / n for q."""
    z, p = 1.959963984540054, right / n
    a, b, c = 1 + z * z / n, -(2 * p + z * z / n), p * p
    root = math.sqrt(b * b - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@pytest.mark.parametrize(("right", "n"), [(2000, 4000), (3600, 4000), (40, 4000)])
def test_one_sample_a_group_gives_the_ordinary_wilson_interval(right, n):
    credits = np.repeat([1.0, 0.0], [right, n - right])
    value, low, high = clustered_interval(credits, [str(i) for i in range(n)])
    assert value == right / n
    # The factor G/(G-1) and Student's quantile widen it by less than a thousandth here.
    assert (low, high) == pytest.approx(ordinary_wilson(right, n), rel=1e-3)


@pytest.mark.parametrize("right", [0, 20])
def test_all_right_or_all_wrong_counts_groups_not_samples(right):
    credits, groups = np.full(60, right / 20), [str(i // 3) for i in range(60)]
    value, low, high = clustered_interval(credits, groups)
    assert (value, low, high) == pytest.approx((right / 20, *ordinary_wilson(right, 20)), abs=1e-12)
    assert low == 0 or high == 1


def test_copies_of_a_sample_add_no_evidence():
    credits, groups = np.array([1.0, 0, 1, 1, 0, 1, 1, 1]), list("abcdefgh")
    once = clustered_interval(credits, groups)
    assert clustered_interval(np.tile(credits, 5), groups * 5) == pytest.approx(once)
    naive = clustered_interval(np.tile(credits, 5), [str(i) for i in range(40)])
    assert naive[2] - naive[1] < 0.6 * (once[2] - once[1])


def test_all_ties_are_exactly_chance():
    assert clustered_interval(np.full(9, 0.5), list("abcabcabc")) == (0.5, 0.5, 0.5)
    found = estimate(np.full(9, 0.5), list("abcabcabc"))
    assert (found.value, found.low, found.high, found.n, found.ties) == (0.5, 0.5, 0.5, 9, 9)


def test_one_group_says_nothing_about_others():
    assert clustered_interval(np.array([1.0, 1, 0, 1]), list("aaaa")) == (0.75, 0.0, 1.0)
    assert mean_interval(np.array([0.2, 0.4]), list("aa")) == (pytest.approx(0.3), 0.0, 1.0)


def test_equal_group_means_do_not_claim_certainty():
    value, low, high = clustered_interval(np.array([1.0, 0] * 10), [str(i // 2) for i in range(20)])
    assert (value, low, high) == pytest.approx((0.5, *ordinary_wilson(5, 10)))


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from("abcde")), min_size=1, max_size=40))
def test_bounds_stay_within_the_unit_interval_and_around_the_value(drawn):
    credits, groups = np.array([c for c, _ in drawn]), [g for _, g in drawn]
    for interval in (clustered_interval, mean_interval):
        value, low, high = interval(credits, groups)
        assert 0 <= low <= value + 1e-12
        assert value - 1e-12 <= high <= 1
        assert value == pytest.approx(credits.mean())


@pytest.mark.parametrize(("groups", "share"), [(12, 0.5), (40, 0.5), (60, 0.85)])
def test_intervals_cover_the_truth_under_clustering(groups, share):
    """Groups share a rate (intra-class correlation 0.3) and differ in size; 95 % of intervals must hold the truth."""
    random = np.random.default_rng(groups)
    covered = []
    for _ in range(800):
        sizes = random.integers(1, 12, groups)
        rates = random.beta(share * 7 / 3, (1 - share) * 7 / 3, groups)
        labels = np.repeat(np.arange(groups), sizes)
        credits = (random.random(len(labels)) < rates[labels]).astype(float)
        _, low, high = clustered_interval(credits, [str(label) for label in labels])
        covered.append(low <= share <= high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_mean_interval_is_the_t_interval():
    values = np.array([0.1, 0.4, 0.5, 0.9, 0.6])
    value, low, high = mean_interval(values, list("abcde"))
    margin = 2.776445 * values.std(ddof=1) / math.sqrt(5)
    assert (value, low, high) == pytest.approx((0.5, 0.5 - margin, 0.5 + margin), abs=1e-6)


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.70620), (2, 4.30265), (5, 2.57058), (30, 2.04227), (1000, 1.96234), (10**6, 1.95996)],
)
def test_t_quantiles_are_those_of_the_tables(freedom, expected):
    assert t_quantile(0.975, freedom) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("interval", [clustered_interval, mean_interval, estimate])
def test_a_value_that_is_no_number_is_refused_by_place(interval, bad):
    with pytest.raises(PaxionError, match=r"got 1 of 3 values that are no finite numbers \(first at place 1\)"):
        interval(np.array([1.0, bad, 0.0]), ["a", "b", "c"])


def test_no_samples_is_an_error_not_a_nan():
    with pytest.raises(PaxionError, match="no samples to score"):
        clustered_interval(np.array([]), [])
