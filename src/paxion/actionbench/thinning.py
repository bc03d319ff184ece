"""A subset of the pairs on which wording no longer tells: for a set that an audit found wanting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from paxion.actionbench.audit import Audit, audit
from paxion.actionbench.findings import CHANCE, too_small
from paxion.actionbench.separability import FOLDS, SCORERS, assign_folds, held_out
from paxion.evaluation.probes import TIE
from paxion.evaluation.statistics import estimate
from paxion.evaluation.text_only import Foil, pair_credits
from paxion.evaluation.text_scorers import count_pairs, folded
from paxion.records import PaxionError, Sample

STEP = 0.25
"""Share of the surplus of right choices that a round drops. The scorers then learn anew from what is left."""
CALM = 3
"""So many draws of folds in a row must leave nothing to drop."""
ROUNDS = 100
LITTLE = 400
"""With fewer pairs a 95 % interval around chance is wider than 5 points on either side."""
FRESH = 1_000_003
"""Added to the seed for the audit of what is left: folds that no round has drawn."""


@dataclass(frozen=True, slots=True)
class Thinned:
    """What is left, and what it cost."""

    samples: tuple[Sample, ...]
    """In their old order; rows without the foil are not among them."""
    available: int
    """Pairs that there were."""
    closed: int
    """Pairs left that come both ways equally often within their split: both texts are captions as often as foils."""
    open: int
    """Other pairs left, by the rounds."""
    rounds: int
    after: Audit | None
    """The audit of what is left, with fresh folds; None when nothing is."""
    warnings: tuple[str, ...]


def thin(
    samples: Sequence[Sample],
    field: Foil = "antonym",
    *,
    seed: int = 0,
    folds: int = FOLDS,
    tell: Callable[[str], object] = lambda line: None,
) -> Thinned:
    """Keep as many pairs as text-only scorers leave at chance.

    Pairs that come both ways within their split are kept in equal numbers of each, and the surplus is dropped. Among
    the others, round after round, the pairs that the best scorer tells most clearly, having learned from other groups
    only, are dropped (adversarial filtering, after AFLite), until CALM draws of folds show no scorer whose interval
    lies above chance. Too few pairs to be judged are dropped altogether.
    What is left is at chance for scorers like these; a reader who knows more about the world may still find cues.
    The same seed gives the same pairs. tell: called with a line a round.
    Raises PaxionError when no row has the foil.
    """
    kept = [index for index, sample in enumerate(samples) if getattr(sample, field) is not None]
    if not kept:
        raise PaxionError(f"got no row with the foil {field}, expected pairs to balance; give the other foil")
    closed, rest = split_closed(samples, kept, field, seed)
    rounds = calm = 0
    while rest and calm < CALM and rounds < ROUNDS:
        drop = surplus(samples, closed, rest, field, folds, (seed, rounds))
        calm = 0 if drop else calm + 1
        rounds += 1
        rest = [index for index in rest if index not in drop]
        tell(f"round {rounds}: dropped {len(drop)}, {len(closed) + len(rest)} of {len(kept)} pairs left")
    left = tuple(samples[index] for index in sorted(closed + rest))
    even = {samples[index].id for index in closed}
    after = audit(left, field, folds=folds, seed=seed + FRESH, cap=len(left), closed=even) if left else None
    return Thinned(left, len(kept), len(closed), len(rest), rounds, after, _warnings(len(left), len(kept), after))


def split_closed(samples: Sequence[Sample], kept: Sequence[int], field: Foil, seed: int) -> tuple[list[int], list[int]]:
    """Indices of the pairs that come both ways, evened out within each split, and of those that come one way only."""
    random = np.random.default_rng(seed)
    ways: dict[tuple[str, str, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for index in kept:
        caption, foil = folded(samples[index].caption), folded(cast(str, getattr(samples[index], field)))
        first, second = sorted((caption, foil))
        if first != second:
            ways[samples[index].split, first, second][caption == second].append(index)
    closed: list[int] = []
    rest: list[int] = []
    # What comes one way in this split may come the other way in another one: a reader of both would know it.
    for way in ways.values():
        fewest = min(map(len, way))
        if fewest:
            closed += [way[side][place] for side in (0, 1) for place in random.permutation(len(way[side]))[:fewest]]
        else:
            rest += way[0] + way[1]
    return closed, sorted(rest)


def surplus(
    samples: Sequence[Sample],
    closed: Sequence[int],
    rest: Sequence[int],
    field: Foil,
    folds: int,
    seed: tuple[int, int],
) -> set[int]:
    """The indices to drop from `rest` in one round: all when too few are left to be judged, none when all is well.

    The scorers learn from `closed` as well, since whoever reads what is left can.
    """
    groups = [samples[index].group for index in (*rest, *closed)]
    if too_small(len(rest), len(set(groups[: len(rest)]))):
        return set(rest)
    pairs = count_pairs([(samples[index].caption, getattr(samples[index], field)) for index in (*rest, *closed)])
    drawn = assign_folds(pairs, groups, folds, seed)
    margins = {name: margin[: len(rest)] for name, margin in held_out(pairs, drawn, SCORERS).items()}
    found = {name: estimate(pair_credits(margin), groups[: len(rest)]) for name, margin in margins.items()}
    telling = {name: e for name, e in found.items() if e.low > CHANCE}
    if not telling:
        return set()
    best = max(telling, key=lambda name: telling[name].value)
    count = int(np.ceil(STEP * (2 * telling[best].value - 1) * len(rest)))
    margin, judge = margins[best], drawn.judge[: len(rest)]
    # Margins of two folds have two scales, but ranks within a fold do not.
    rank = np.zeros(len(rest))
    for k in range(drawn.count):
        places = np.flatnonzero(judge == k)
        rank[places[np.argsort(margin[places], kind="stable")]] = (np.arange(len(places)) + 1) / max(1, len(places))
    right = np.flatnonzero(margin > TIE)
    return {rest[place] for place in right[np.argsort(-rank[right], kind="stable")][:count]}


def _warnings(left: int, available: int, after: Audit | None) -> tuple[str, ...]:
    if after is None:
        return (f"nothing is left of {available} pairs: wording gives away all that can be judged; write other foils",)
    found = []
    if after.separability is None:
        found.append(after.verdict)
    elif after.separability.nested.low > CHANCE:
        found.append(f"what is left can still be told by its wording: {after.verdict}")
    if left < LITTLE:
        found.append(
            f"{left} of {available} pairs are left: an interval around chance is wider than 5 points on either side"
        )
    return tuple(found)
