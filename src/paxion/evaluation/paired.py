"""Two models asked the same samples: how far apart they are, and whether that could be luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from paxion.evaluation.statistics import Floats, clustered, finite, t_quantile

CHUNK = 2**22
"""Random signs that are held at a time."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean difference of two models' credits with its interval, all fractions."""

    value: float
    """First model minus second."""
    low: float
    high: float
    n: int
    """Number of samples that both were asked."""
    groups: int


def paired_difference(ours: Floats, theirs: Floats, groups: Sequence[str], confidence: float = 0.95) -> Difference:
    """Mean of ours - theirs, both (N,), with an interval clustered by group.

    The variance is the cluster-robust one of `statistics.clustered_interval`, the quantile Student's with G - 1 degrees
    of freedom. One group says nothing about others: its interval is -1 to 1. Where
    all groups have the same mean difference the formula has no width, which few groups do not warrant: see
    `permutation` for the p. Raises PaxionError without samples, and for a credit that is no finite number.
    """
    value, variance, count = clustered(_differences(ours, theirs), groups)
    if count == 1:
        return Difference(value, -1.0, 1.0, len(ours), 1)
    margin = t_quantile((1 + confidence) / 2, count - 1) * math.sqrt(variance)
    return Difference(value, max(-1.0, value - margin), min(1.0, value + margin), len(ours), count)


def mcnemar(ours: Floats, theirs: Floats) -> float:
    """Exact two-sided p of McNemar's test: where two models differ, each is as often the better one.

    ours, theirs: credits (N,). Ties are half right, so a sample on which one model is right and the other ties counts
    as one on which they differ: with ties this is the sign test of the differences. Samples are taken to be
    independent: clips of one source are not, and then the p is too small (see `permutation`). 1 where none differ.
    """
    difference = _differences(ours, theirs)
    better, worse = int(np.sum(difference > 0)), int(np.sum(difference < 0))
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def permutation(differences: Floats, groups: Sequence[str], seed: int = 0, draws: int = 20_000) -> float:
    """Two-sided p of the paired permutation test: in each group by itself, the two models might be exchanged.

    differences: (N,). The statistic is their sum. Where 2**G is at most `draws`, every exchange is counted, which makes
    the p exact; else so many are drawn by the seed and p = (1 + at least as far) / (1 + draws). Raises PaxionError
    without samples.
    """
    clustered(differences, groups)
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(index, weights=differences)
    # A group in which nothing differs is the same either way.
    sums = sums[np.abs(sums) > 1e-12]
    # Sums of credits are whole halves, but means over seeds are not: rounding must not make an equal sum a smaller one.
    reached = abs(sums.sum()) - 1e-9 * max(1.0, float(np.abs(sums).sum()))
    if 2 ** min(len(sums), 63) <= draws:
        flips = (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1
        return float(np.mean(np.abs((1 - 2 * flips) @ sums) >= reached))
    random, hits = np.random.default_rng(seed), 0
    step = max(1, CHUNK // len(sums))
    for start in range(0, draws, step):
        signs = 1 - 2 * random.integers(0, 2, (min(step, draws - start), len(sums)), dtype=np.int8)
        hits += int(np.sum(np.abs(signs @ sums) >= reached))
    return (1 + hits) / (1 + draws)


def _differences(ours: Floats, theirs: Floats) -> Floats:
    if len(ours) != len(theirs):
        raise ValueError(f"got {len(ours)} and {len(theirs)} credits, expected one of each model for every sample")
    differences = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    finite(differences)
    return differences
