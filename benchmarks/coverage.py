"""Do the 95 % intervals hold the truth in 95 of 100 studies, and do the tests cry wolf in 5? A simulation.

python benchmarks/coverage.py --studies 2000

Each study draws clips of source videos whose clips are alike: a source has its own chance of a right answer, drawn from
a beta distribution with the given correlation within a source. For the tests, two models of the same accuracy are asked
the same clips; where they differ follows the source too.
"""

from __future__ import annotations

import argparse

import numpy as np

from paxion.evaluation.paired import mcnemar, paired_difference, permutation
from paxion.evaluation.resampling import bootstrap_interval
from paxion.evaluation.statistics import clustered_interval, mean_interval, normal_quantile, wilson

SETTINGS = (
    # name, sources, least and most clips of a source, correlation within a source, true accuracy
    ("300 clips of their own", 300, 1, 1, 0.0, 0.5),
    ("150 sources of 2", 150, 2, 2, 0.3, 0.7),
    ("60 sources of 1 to 11", 60, 1, 11, 0.3, 0.5),
    ("60 sources of 1 to 11, high", 60, 1, 11, 0.3, 0.85),
    ("30 sources of 10, alike", 30, 10, 10, 0.6, 0.6),
    ("12 sources of 1 to 11", 12, 1, 11, 0.3, 0.5),
)


def labels(random: np.random.Generator, sources: int, least: int, most: int) -> np.ndarray:
    """Which source each clip is of."""
    return np.repeat(np.arange(sources), random.integers(least, most + 1, sources))


def rates(random: np.random.Generator, sources: int, correlation: float, share: float) -> np.ndarray:
    """The chance of a right answer of each source: mean `share`, correlation of two clips of a source as given."""
    if correlation == 0:
        return np.full(sources, share)
    weight = 1 / correlation - 1
    return random.beta(share * weight, (1 - share) * weight, sources)


def one_study(random: np.random.Generator, setting: tuple, draws: int) -> tuple[list[bool], list[bool]]:
    """Whether each interval holds the truth, and whether each test finds a difference where there is none."""
    _, sources, least, most, correlation, share = setting
    of = labels(random, sources, least, most)
    names = [str(name) for name in of]
    right = (random.random(len(of)) < rates(random, sources, correlation, share)[of]).astype(float)
    z = normal_quantile(0.975)
    intervals = (
        wilson(right.mean(), len(right), z),
        clustered_interval(right, names)[1:],
        mean_interval(right, names)[1:],
        bootstrap_interval(right, names, draws=draws, seed=int(random.integers(2**31)))[1:],
    )
    # The second model has the same accuracy, but sources of its own in which it is good.
    other = (random.random(len(of)) < rates(random, sources, correlation, share)[of]).astype(float)
    found = paired_difference(right, other, names)
    tests = (
        mcnemar(right, other) < 0.05,
        permutation(right - other, names, seed=int(random.integers(2**31)), draws=999) < 0.05,
        not found.low <= 0 <= found.high,
    )
    return [low <= share <= high for low, high in intervals], list(tests)


def main() -> None:
    """Print a table of shares, in percent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=500, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(
        f"{given.studies} studies a line; a share of 95 % is known to about "
        f"±{196 * (0.05 * 0.95 / given.studies) ** 0.5:.1f}"
    )
    print(
        "| clips | Wilson, no clusters | Wilson, clustered | t, clustered | bootstrap "
        "| McNemar | permutation | paired t |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for setting in SETTINGS:
        random = np.random.default_rng(given.seed)
        studies = [one_study(random, setting, given.draws) for _ in range(given.studies)]
        held, cried = (np.mean([study[side] for study in studies], axis=0) for side in (0, 1))
        print(f"| {setting[0]} | " + " | ".join(f"{100 * share:.1f}" for share in (*held, *cried)) + " |", flush=True)


if __name__ == "__main__":
    main()
