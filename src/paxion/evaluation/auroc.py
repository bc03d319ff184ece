"""AUROC: how well one threshold, the same for all clips, tells right texts from wrong ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paxion.evaluation.statistics import Estimate, Floats, estimate, finite


def auroc(right: Floats, wrong: Floats, groups: Sequence[str]) -> Estimate:
    """The chance that the right answer of some sample scores above the wrong answer of any, equal scores half.

    right, wrong: (N,) scores; groups: (N,) of the samples. A probe compares the two scores of one sample; this compares
    those of all samples with each other, as a threshold must.

    The variance is that of clustered placement values (Obuchowski 1997; DeLong et al. 1988 with one sample a group),
    the interval the one of `statistics.clustered_interval` for it.
    Raises PaxionError without samples, and for a score that is no finite number.
    """
    if len(right) != len(wrong):
        raise ValueError(f"got {len(right)} right and {len(wrong)} wrong scores, expected one of each a sample")
    finite(right)
    finite(wrong)
    if not len(right):
        return estimate(right, groups)
    above = _share_below(right, wrong)
    under = 1 - _share_below(wrong, right)
    # One value a sample whose mean is the AUROC, and whose clustered variance is Obuchowski's.
    return estimate(above + under - float(np.mean(above)), groups, ties=0)


def _share_below(values: Floats, others: Floats) -> Floats:
    """For each of the values (N,), the share of the others (M,) that are below it, equal ones half."""
    ordered = np.sort(others)
    places = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(places / (2 * len(others)), dtype=np.float64)
