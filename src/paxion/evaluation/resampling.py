"""Intervals by the bootstrap: what other draws of source videos would have given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paxion.evaluation.statistics import Floats, clustered, finite

CHUNK = 2**22
"""Draws of groups that are held at a time."""


def bootstrap_interval(
    credits: Floats, groups: Sequence[str], confidence: float = 0.95, draws: int = 2_000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of credits (N,) with a percentile interval over draws of whole groups: (value, low, high).

    As many groups as there are come with replacement, each with all its samples. It asks nothing of the distribution,
    and is a check of the analytic intervals; with thirty groups or fewer it is too narrow (docs/statistics.md), more so
    than those. One group: (value, 0, 1). Raises PaxionError without samples.
    """
    finite(credits)
    value, _, count = clustered(credits, groups)
    if count == 1:
        return value, 0.0, 1.0
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums, sizes = np.bincount(index, weights=credits), np.bincount(index).astype(np.float64)
    random, means = np.random.default_rng(seed), []
    step = max(1, CHUNK // count)
    for start in range(0, draws, step):
        times = random.multinomial(count, np.full(count, 1 / count), min(step, draws - start))
        means.append((times @ sums) / (times @ sizes))
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return value, float(low), float(high)
