"""Intervals that respect groups: clips cut from one source are not independent evidence."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from paxion.records import PaxionError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval, all fractions."""

    value: float
    low: float
    high: float
    n: int
    """Number of samples or queries."""
    ties: int
    """How many of them were ties."""


def clustered_interval(credits: Floats, groups: Sequence[str], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of credits (N,) in [0, 1] with a Wilson interval for clustered samples: (value, low, high).

    The variance of the mean is the cluster-robust one, G/(G-1) · Σ_g (Σ_{i in g} (c_i - p))² / N², with G groups. It is
    turned into the number of independent samples that would have it, n_eff = p (1 - p) / variance, for which the Wilson
    interval is taken; so the bounds stay within [0, 1]. The quantile is Student's with G - 1 degrees of freedom, which
    keeps the promise with ten groups too. With one sample a group, n_eff is N - 1.

    Conventions where that says nothing:
    all credits one half: (0.5, 0.5, 0.5), since ties are no chance event;
    one group: (value, 0, 1), since one source says nothing about others;
    all groups have the same mean (all right, all wrong): n_eff = G and the normal quantile.
    Raises PaxionError without samples.
    """
    value, variance, count = clustered(credits, groups)
    if np.all(credits == 0.5):
        return 0.5, 0.5, 0.5
    if count == 1:
        return value, 0.0, 1.0
    tail = (1 + confidence) / 2
    # Rounding must not turn "no variance" into an n_eff of millions of millions.
    if variance < 1e-12:
        return value, *wilson(value, count, normal_quantile(tail))
    return value, *wilson(value, value * (1 - value) / variance, t_quantile(tail, count - 1))


def mean_interval(values: Floats, groups: Sequence[str], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of values (N,) in [0, 1] that are no proportions (average precision), with a t interval: (value, low, high).

    Same clustered variance, G - 1 degrees of freedom, clipped to [0, 1]. One group: (value, 0, 1).
    Raises PaxionError without values.
    """
    value, variance, count = clustered(values, groups)
    if count == 1:
        return value, 0.0, 1.0
    margin = t_quantile((1 + confidence) / 2, count - 1) * math.sqrt(variance)
    return value, max(0.0, value - margin), min(1.0, value + margin)


def estimate(credits: Floats, groups: Sequence[str], ties: int | None = None) -> Estimate:
    """Mean credit (N,) with its 95 % clustered interval. ties: how many; by default the credits of one half."""
    counted = int(np.sum(credits == 0.5)) if ties is None else ties
    return Estimate(*clustered_interval(credits, groups), n=len(credits), ties=counted)


def wilson(value: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson interval (low, high) of a proportion seen in `n` (not necessarily whole) independent samples.

    quantile: half the width in standard errors, 1.96 for 95 % confidence.
    """
    weight = quantile**2 / n
    centre = (value + weight / 2) / (1 + weight)
    margin = math.sqrt(value * (1 - value) * weight + weight**2 / 4) / (1 + weight)
    # The ends are exact at 0 and 1; rounding would leave them a hair away.
    return (0.0 if value == 0 else max(0.0, centre - margin)), (1.0 if value == 1 else min(1.0, centre + margin))


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution."""
    return statistics.NormalDist().inv_cdf(probability)


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t distribution with `freedom` degrees of freedom."""
    return float(stdtrit(freedom, probability))


def finite(values: Floats) -> None:
    """Raise PaxionError where a value of (N,) is no finite number: dropping or counting it would change the answer."""
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise PaxionError(
            f"got {len(bad)} of {len(values)} values that are no finite numbers (first at place {bad[0]}), "
            "expected numbers only; leave such samples out and count them as missed"
        )


def clustered(values: Floats, groups: Sequence[str]) -> tuple[float, float, int]:
    """(mean of the values (N,), cluster-robust variance of that mean, number of groups). One group's variance is 0.

    Raises PaxionError without values, and for a value that is no finite number.
    """
    finite(values)
    if len(values) != len(groups):
        raise ValueError(f"got {len(values)} values and {len(groups)} groups, expected as many")
    if not len(values):
        raise PaxionError("got no samples to score, expected at least one; check foils and missing clips")
    mean = float(np.mean(values))
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(index, weights=values - mean)
    count = len(sums)
    return mean, float(np.sum(sums**2) / len(values) ** 2 * count / max(1, count - 1)), count
