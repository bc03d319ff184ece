"""Means over runs, against other ways of computing them."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.experiment.intervals import over_runs, paired_samples

stats = pytest.importorskip("scipy.stats")
numbers = st.floats(-1, 1, allow_nan=False).map(lambda value: round(value, 3))


def test_one_run_says_nothing_of_others():
    found = over_runs({("a", 0): 0.7})
    assert (found.mean, found.deviation, found.low, found.high, found.runs) == (0.7, None, None, None, 1)
    with pytest.raises(ValueError, match="no runs"):
        over_runs({})


@given(st.lists(numbers, min_size=2, max_size=8))
def test_on_one_backbone_it_is_the_t_interval(values):
    found = over_runs({("a", seed): value for seed, value in enumerate(values)})
    margin = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    assert found.mean == pytest.approx(fmean(values), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(
        (fmean(values) - margin, fmean(values) + margin), abs=1e-4, rel=1e-4
    )
    assert found.freedom == len(values) - 1


@given(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=2, max_size=4))
def test_on_several_it_is_that_of_their_means_unless_that_is_less_than_of_strangers(runs):
    found = over_runs({(str(g), seed): value for g, values in enumerate(runs) for seed, value in enumerate(values)})
    means, every = [fmean(values) for values in runs], [value for values in runs for value in values]
    error = max(stdev(means) / math.sqrt(len(runs)), stdev(every) / math.sqrt(len(every)))
    margin = stats.t.ppf(0.975, len(runs) - 1) * error
    assert found.high - found.mean == pytest.approx(margin, abs=1e-4, rel=1e-4)
    assert found.deviation == pytest.approx(stdev(every), abs=1e-12) and found.freedom == len(runs) - 1


def test_pairs_are_of_the_same_samples_and_groups_count():
    rng = np.random.default_rng(0)
    credits = rng.integers(0, 2, (40, 2)).astype(float)
    alone = {str(i): (str(i), credits[i, 0]) for i in range(40)}, {str(i): (str(i), credits[i, 1]) for i in range(40)}
    low, high, n = paired_samples(*alone)
    expected = stats.ttest_rel(credits[:, 0], credits[:, 1]).confidence_interval()
    assert (low, high, n) == pytest.approx((expected.low, expected.high, 40), abs=1e-4)
    # The same clips four times each are no more evidence than once.
    often = [{f"{i}-{k}": (str(i), side[str(i)][1]) for i in range(40) for k in range(4)} for side in alone]
    assert paired_samples(*often)[:2] == pytest.approx((low, high), abs=1e-9)
    assert paired_samples({"a": ("g", 1.0)}, {"a": ("g", 0.0)}) is None
