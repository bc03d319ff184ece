"""Paired statistics against scipy, statsmodels and brute force."""

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests

from paxion.evaluation.detectable import detectable_difference
from paxion.evaluation.multiple import holm
from paxion.evaluation.paired import mcnemar, paired_difference, permutation
from paxion.evaluation.resampling import bootstrap_interval
from paxion.evaluation.statistics import mean_interval, normal_quantile, t_quantile, wilson
from paxion.records import PaxionError

CREDIT = st.sampled_from([0.0, 0.5, 1.0])
PAIRS = st.lists(st.tuples(CREDIT, CREDIT, st.sampled_from("abcdefg")), min_size=1, max_size=30)


def drawn(seed, clips=60, groups=12):
    random = np.random.default_rng(seed)
    ours, theirs = random.choice([0.0, 0.5, 1.0], clips), random.choice([0.0, 0.5, 1.0], clips)
    return ours, theirs, [f"g{i}" for i in random.integers(0, groups, clips)]


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_agrees_with_statsmodels_and_scipy(seed):
    random = np.random.default_rng(seed)
    ours, theirs = random.integers(0, 2, 90).astype(float), random.integers(0, 2, 90).astype(float)
    table = [[np.sum((ours == a) & (theirs == b)) for b in (1, 0)] for a in (1, 0)]
    assert mcnemar(ours, theirs) == pytest.approx(their_mcnemar(table, exact=True).pvalue, abs=1e-10)
    signs = np.sign(ours - theirs)
    assert mcnemar(ours, theirs) == pytest.approx(
        stats.binomtest(int(sum(signs > 0)), int(sum(signs != 0))).pvalue, abs=1e-10
    )


@given(st.lists(st.tuples(CREDIT, CREDIT), min_size=1, max_size=12))
def test_mcnemar_counts_every_exchange(pairs):
    """Brute force: of all ways that the differing samples might have fallen out, the share that is as uneven."""
    ours, theirs = (np.array(side) for side in zip(*pairs, strict=True))
    signs = np.sign(ours - theirs)[ours != theirs]
    ways = [abs(sum(way)) >= abs(signs.sum()) for way in itertools.product((-1, 1), repeat=len(signs))]
    assert mcnemar(ours, theirs) == pytest.approx(np.mean(ways), abs=1e-12)
    assert mcnemar(ours, theirs) == mcnemar(theirs, ours)


@given(PAIRS)
def test_permutation_enumerates_the_exchanges_of_whole_groups(pairs):
    difference = np.array([one - two for one, two, _ in pairs])
    groups = [group for *_, group in pairs]
    names = sorted(set(groups))
    sums = [sum(d for d, g in zip(difference, groups, strict=True) if g == name) for name in names]
    ways = [abs(np.dot(way, sums)) >= abs(sum(sums)) - 1e-12 for way in itertools.product((-1, 1), repeat=len(names))]
    assert permutation(difference, groups) == pytest.approx(np.mean(ways), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_permutation_agrees_with_scipy(seed):
    ours, theirs, _ = drawn(seed, clips=11)
    result = stats.permutation_test(
        (ours, theirs), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert permutation(ours - theirs, [str(i) for i in range(11)]) == pytest.approx(result.pvalue, abs=1e-10)


def test_drawn_permutations_come_near_the_exact_ones_and_repeat():
    ours, theirs, _ = drawn(3, clips=16)
    groups = [str(i) for i in range(16)]
    exact = permutation(ours - theirs, groups, draws=2**16)
    first = permutation(ours - theirs, groups, seed=1, draws=20_000)
    # Four standard errors of a share from 20,000 draws.
    assert abs(first - exact) < 4 * math.sqrt(exact * (1 - exact) / 20_000) + 1e-4
    assert first == permutation(ours - theirs, groups, seed=1, draws=20_000)


def test_models_that_never_differ():
    same, groups = np.array([1.0, 0, 0.5]), list("abc")
    assert mcnemar(same, same) == permutation(same - same, groups) == 1.0
    assert detectable_difference(same - same, groups) is None
    assert paired_difference(same, same, groups).value == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_paired_difference_agrees_with_clustered_least_squares(seed):
    ours, theirs, groups = drawn(seed)
    found = paired_difference(ours, theirs, groups)
    index = np.unique(groups, return_inverse=True)[1]
    # statsmodels scales by G/(G-1) · (N-1)/(N-k) with k = 1: the same.
    fitted = sm.OLS(ours - theirs, np.ones(len(ours))).fit(cov_type="cluster", cov_kwds={"groups": index}, use_t=True)
    low, high = fitted.conf_int()[0]
    assert (found.value, found.low, found.high) == pytest.approx((fitted.params[0], low, high), abs=1e-10)
    assert (found.n, found.groups) == (60, len(set(groups)))


def test_paired_difference_without_clusters_is_the_paired_t_interval():
    ours, theirs, _ = drawn(1, clips=30)
    found = paired_difference(ours, theirs, [str(i) for i in range(30)])
    low, high = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-10)


def test_one_group_says_nothing_about_others():
    found = paired_difference(np.array([1.0, 1]), np.array([0.0, 0]), ["a", "a"])
    assert (found.value, found.low, found.high) == (1.0, -1.0, 1.0)
    assert detectable_difference(np.array([1.0, 0]), ["a", "a"]) is None
    assert bootstrap_interval(np.array([1.0, 0]), ["a", "a"]) == (0.5, 0.0, 1.0)


def test_quantiles_agree_with_scipy():
    for freedom in (1, 2, 9, 200, 5000):
        assert t_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-10)
    assert normal_quantile(0.9) == pytest.approx(stats.norm.ppf(0.9), abs=1e-10)


@pytest.mark.parametrize(("right", "n"), [(0, 9), (5, 9), (9, 9), (400, 1000)])
def test_wilson_agrees_with_scipy(right, n):
    interval = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right / n, n, normal_quantile(0.975)) == pytest.approx((interval.low, interval.high), abs=1e-10)


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_holm_agrees_with_statsmodels(count):
    values = (np.random.default_rng(count).random(count) ** 3).tolist()
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1], abs=1e-12)


def test_holm_keeps_the_order_and_refuses_what_is_no_p():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
    for bad in (float("nan"), -0.1, 1.1):
        with pytest.raises(ValueError, match="expected a number from 0 to 1"):
            holm([0.1, bad])


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_bootstrap_comes_near_the_analytic_interval_and_repeats(seed):
    ours, _, _ = drawn(seed, clips=300)
    groups = [str(i // 3) for i in range(300)]
    value, low, high = bootstrap_interval(ours, groups, seed=seed)
    _, below, above = mean_interval(ours, groups)
    assert value == pytest.approx(ours.mean())
    assert (low, high) == pytest.approx((below, above), abs=0.25 * (above - below))
    assert bootstrap_interval(ours, groups, seed=seed) == (value, low, high)


def test_the_bootstrap_draws_whole_groups():
    """Three copies of every clip are no more evidence than one."""
    credits = np.array([1.0, 0, 1, 1, 0, 1, 0, 0, 1, 1])
    groups = [str(i) for i in range(10)]
    assert bootstrap_interval(np.tile(credits, 3), groups * 3) == pytest.approx(bootstrap_interval(credits, groups))


def test_the_detectable_difference_is_found_as_often_as_said():
    """Simulated: with that true difference, the interval leaves out zero in about 80 of 100 studies."""
    random, groups = np.random.default_rng(0), [str(i // 2) for i in range(80)]

    def study():
        return np.repeat(random.normal(0, 0.3, 40), 2) + random.normal(0, 0.4, 80)

    least = np.mean([detectable_difference(study(), groups) for _ in range(300)])
    found = [paired_difference(least + study(), np.zeros(80), groups).low > 0 for _ in range(1500)]
    # 0.8 give or take three standard errors of 1,500 studies.
    assert abs(np.mean(found) - 0.8) < 0.031


def test_a_credit_that_is_no_number_is_refused_not_dropped():
    credits, groups = np.array([1.0, float("nan"), 0.0]), list("abc")
    for ask in (
        lambda: mcnemar(credits, np.zeros(3)),
        lambda: paired_difference(credits, np.zeros(3), groups),
        lambda: permutation(credits, groups),
        lambda: bootstrap_interval(credits, groups),
        lambda: detectable_difference(credits, groups),
    ):
        with pytest.raises(PaxionError, match="got 1 of 3 values that are no finite numbers"):
            ask()


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="got 1 and 2 credits"):
        mcnemar(np.array([1.0]), np.array([1.0, 0]))
    with pytest.raises(PaxionError, match="no samples"):
        permutation(np.array([]), [])
