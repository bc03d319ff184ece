"""Means over runs with their intervals. A run is a pair of backbone and seed; runs on one backbone are no strangers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from paxion.evaluation.paired import paired_difference
from paxion.evaluation.statistics import t_quantile

Run = tuple[str, int]
"""Backbone and seed."""


@dataclass(frozen=True)
class Summary:
    """A mean of runs."""

    mean: float
    deviation: float | None
    """Standard deviation over the runs; None with one."""
    low: float | None
    """Lower end of the 95 % interval of the mean over runs; None where one run says nothing about others."""
    high: float | None
    runs: int
    freedom: int
    """Degrees of freedom of Student's t; 0 without an interval."""


def over_runs(values: Mapping[Run, float], confidence: float = 0.95) -> Summary:
    """Mean, standard deviation and interval over runs.

    On several backbones, the variance of the mean is the cluster-robust one,
    G/(G-1) · Σ_g (Σ_{i in g} (x_i - m))² / N², with G backbones, and the quantile is that of Student's t with G - 1
    degrees of freedom. It is not taken to be less than that of N runs which are strangers: a few backbones may have the
    same mean by chance. On one backbone, runs are its seeds: the usual t interval with N - 1. Raises ValueError without
    runs.
    """
    if not values:
        raise ValueError("got no runs to average, expected at least one")
    given, mean, count = list(values.values()), fmean(values.values()), len(values)
    if count == 1:
        return Summary(mean, None, None, None, 1, 0)
    backbones = list(dict.fromkeys(backbone for backbone, _ in values))
    clusters = backbones if len(backbones) > 1 else list(values)
    at = [clusters.index(run[0] if len(backbones) > 1 else run) for run in values]  # type: ignore[arg-type]
    sums = np.bincount(at, weights=np.asarray(given) - mean)
    freedom = len(clusters) - 1
    variance = float(np.sum(sums**2)) / count**2 * len(clusters) / freedom
    variance = max(variance, stdev(given) ** 2 / count)
    margin = t_quantile((1 + confidence) / 2, freedom) * math.sqrt(variance)
    return Summary(mean, stdev(given), mean - margin, mean + margin, count, freedom)


def paired_samples(
    ours: Mapping[str, tuple[str, float]], theirs: Mapping[str, tuple[str, float]], confidence: float = 0.95
) -> tuple[float, float, int] | None:
    """Interval of the mean difference between two models asked the same samples: (low, high, number of samples).

    ours, theirs: from sample id to its group and credit. The variance is clustered by group, the quantile Student's
    with groups - 1 degrees of freedom. None when fewer than two groups are in both.
    """
    both = [name for name in ours if name in theirs]
    if len({ours[name][0] for name in both}) < 2:
        return None
    found = paired_difference(
        np.array([ours[name][1] for name in both]),
        np.array([theirs[name][1] for name in both]),
        [ours[name][0] for name in both],
        confidence,
    )
    return found.low, found.high, found.n
