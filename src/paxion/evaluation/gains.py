"""What a score owes to guessing, to the clip and to the order of its frames: differences between controls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from paxion.evaluation.paired import Difference, paired_difference, permutation
from paxion.evaluation.statistics import Floats
from paxion.records import RETRIEVALS, Row, Score

GAINS = {"Blind Gap": ("blind", None), "Visual Gain": ("none", "blind"), "Order Gain": ("none", "shuffled")}
"""Of each gain, the control that is looked at and the one that is subtracted; None: the level of guessing."""
GUESS = 0.5
"""The level of guessing of every task that is a choice of two."""
CHANCE = "chance"
"""The model whose scores are what guessing gives where that is not GUESS."""


@dataclass(frozen=True, slots=True)
class Gain:
    """How far apart the mean credits of one model are under two controls, on the same samples; all fractions."""

    model: str
    data: str
    task: str
    kind: str
    """Blind Gap: without a clip, above guessing. Visual Gain: with the clip, above without. Order Gain: with the frames
    in order, above with the frames shuffled."""
    value: float
    low: float
    high: float
    n: int
    """Samples that were scored under both controls."""
    p: float
    """Of no difference, by permutation within groups (`paired.permutation`)."""


def gains_of(rows: Sequence[Row], scores: Sequence[Score] = ()) -> list[Gain]:
    """Every gain that the rows allow, in the order of their models, data sets and tasks.

    rows: of any models, tasks, controls and seeds; a sample's credits over several seeds are averaged. scores: those
    of the model "chance" say what guessing gives in retrieval and questions, which have no Blind Gap without them.
    Intervals and p are clustered by group.
    """
    credits: dict[tuple[str, str, str], dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    groups: dict[tuple[str, str], str] = {}
    wanted = {control for pair in GAINS.values() for control in pair if control}
    for row in rows:
        if row.control in wanted:
            credits[row.model, row.data, row.task][row.control].setdefault(row.id, []).append(row.credit)
            groups[row.data, row.id] = row.group
    levels = {(score.data, score.task): score.value for score in scores if score.model == CHANCE and _main(score)}
    found = []
    for (model, data, task), under in credits.items():
        for kind, (ours, theirs) in GAINS.items():
            level = _level(data, task, levels)
            if ours not in under or (theirs not in under if theirs else level is None):
                continue
            ids = [name for name in under[ours] if theirs is None or name in under[theirs]]
            if not ids:
                continue
            first = np.array([fmean(under[ours][name]) for name in ids])
            second = (
                np.full(len(ids), level) if theirs is None else np.array([fmean(under[theirs][name]) for name in ids])
            )
            difference, p = _difference(first, second, [groups[data, name] for name in ids])
            low, high = difference.low, difference.high
            found.append(Gain(model, data, task, kind, difference.value, low, high, len(ids), p))
    return found


def _difference(ours: Floats, theirs: Floats, groups: Sequence[str]) -> tuple[Difference, float]:
    return paired_difference(ours, theirs, groups), permutation(ours - theirs, groups)


def _level(data: str, task: str, levels: Mapping[tuple[str, str], float]) -> float | None:
    choice_of_more = task in RETRIEVALS or task.startswith("questions")
    return levels.get((data, task)) if choice_of_more else GUESS


def _main(score: Score) -> bool:
    return score.metric in ("accuracy", "R@1") and score.control == "none"
