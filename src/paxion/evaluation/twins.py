"""Twins: a clip and its reversal, each asked to choose between the caption and the antonym.

Accuracy cannot tell a model that sees the action half of the time from one that answers clip and reversal alike; what
the two answers have in common can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

from paxion.evaluation.methods import TIE
from paxion.evaluation.statistics import Floats, estimate
from paxion.records import TWINS, Row, Sample, Score
from paxion.results import Missed

TURNED = "#reversed"
"""What follows a clip's id in the row of its reversal."""
CHANCE = {"accuracy": 1 / 2, "both_right": 1 / 4, "same_answer": 1 / 2, "text": 1 / 4, "video": 1 / 4, "group": 1 / 6}
"""What independent coins (for group: four scores in any order) give for each metric."""


def twin_rows(
    scores: Tensor,
    samples: Sequence[Sample],
    *,
    model: str,
    data: str,
    control: str = "none",
    seed: int = 0,
) -> list[Row]:
    """Two rows a twin: the clip, for which the caption is right, and its reversal, for which the antonym is.

    scores: (N, 2, 2), one entry a sample: clip and reversal by caption and antonym.
    """
    rows = []
    for sample, (clip, turned) in zip(samples, scores.tolist(), strict=True):
        for name, right, wrong in ((sample.id, clip[0], clip[1]), (sample.id + TURNED, turned[1], turned[0])):
            credit = 0.5 if abs(right - wrong) <= TIE else float(right > wrong)
            rows.append(Row(name, sample.group, model, data, TWINS[0], control, seed, right, wrong, credit))
    return rows


def twin_scores(rows: Sequence[Row], scored: bool = True) -> list[Score]:
    """The metrics of twins from their rows, of one model, data set, control and seed; n counts twins.

    accuracy      mean of the two credits
    both_right    the caption is chosen for the clip and the antonym for its reversal
    same_answer   the same text is chosen for both: what a model does that does not see the order
    text, video, group   as in Winoground (Thrush et al. 2022): every clip prefers its text; every text prefers its
                  clip; both. Only where `scored`: the rows' `right` and `wrong` are scores that compare between clips.
                  text is both_right then.

    A tie is a coin of its own: the metrics are their expectations. Rows without their twin are left out (`unpaired`).
    No twins, no scores. Raises ValueError for rows of several models, data sets, controls or seeds.
    """
    kinds = {(row.model, row.data, row.control, row.seed) for row in rows}
    if len(kinds) > 1:
        raise ValueError(f"got rows of {sorted(kinds)}, expected those of one model, data set, control and seed")
    pairs = list(paired(rows))
    if not pairs:
        return []
    clip, turned = (np.array([pair[i].credit for pair in pairs]) for i in (0, 1))
    found = {
        "accuracy": (clip + turned) / 2,
        "both_right": clip * turned,
        "same_answer": clip * (1 - turned) + (1 - clip) * turned,
    }
    if scored:
        table = np.array([[first.right, first.wrong, second.wrong, second.right] for first, second in pairs])
        video = _credits(table[:, 0], table[:, 2]) * _credits(table[:, 3], table[:, 1])
        found |= {"text": clip * turned, "video": video, "group": clip * turned * video}
    groups, ties = [first.group for first, _ in pairs], int(np.sum((clip == 0.5) | (turned == 0.5)))
    row = rows[0]
    scores = []
    for metric, values in found.items():
        e = estimate(values, groups, ties)
        interval = e.value, e.low, e.high, e.n, e.ties
        scores.append(Score(row.model, row.data, TWINS[0], row.control, metric, *interval, row.seed))
    return scores


def paired(rows: Iterable[Row]) -> Iterable[tuple[Row, Row]]:
    """Each clip's row with that of its reversal, in the clips' order."""
    by_id = {row.id: row for row in rows}
    for name, row in by_id.items():
        if not name.endswith(TURNED) and name + TURNED in by_id:
            yield row, by_id[name + TURNED]


def unpaired(rows: Sequence[Row], data: str) -> list[Missed]:
    """The rows without their twin, as one miss."""
    names = {row.id for row in rows}
    alone = [name for name in names if (name[: -len(TURNED)] if name.endswith(TURNED) else name + TURNED) not in names]
    return [Missed(data, TWINS[0], "its twin is missing", len(alone), tuple(sorted(alone)[:5]))] if alone else []


def _credits(right: Floats, wrong: Floats) -> Floats:
    return np.where(np.abs(right - wrong) <= TIE, 0.5, (right > wrong).astype(np.float64))
