"""How small a difference a set of clips could have shown: no difference found is not the same as none there."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paxion.evaluation.statistics import Floats, clustered, finite, t_quantile


def detectable_difference(
    differences: Floats, groups: Sequence[str], alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The least true difference that a two-sided test at `alpha` finds with probability `power`, on clips like these.

    differences: (N,) of two models' credits on the same samples, or credits of one model to be told from a fixed level.
    (t(1 - alpha/2) + t(power)) · standard error, both quantiles Student's with G - 1 degrees of freedom and the error
    clustered by group, as `paired.paired_difference` has it. None for one group, or where nothing varies: then clips
    like these say nothing about it. Raises PaxionError without samples.
    """
    finite(differences)
    _, variance, count = clustered(differences, groups)
    if count == 1 or variance < 1e-15:
        return None
    return (t_quantile(1 - alpha / 2, count - 1) + t_quantile(power, count - 1)) * math.sqrt(variance)
