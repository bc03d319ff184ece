"""How a model answers, whatever is right: what it says, which place it prefers, what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from paxion.evaluation.statistics import Estimate, estimate
from paxion.rescoring.predictions import Prediction

PLACES = 5
"""Places of a right answer that are looked at on their own, at most."""


def habits(items: Sequence[Prediction]) -> Iterator[tuple[str, Estimate]]:
    """Metrics of answers in words, as far as there are any, each with an interval clustered by group.

    unparsed        share of the answers that cannot be read
    answered_first  share of the readable answers that are yes, or the first option: 0.5 of two without a leaning
    gold_yes, gold_no; gold_1, gold_2 ...   accuracy where yes (no, the first, the second option) is right
    """
    asked = [item for item in items if item.gold is not None]
    if not asked:
        return
    yield "unparsed", _share(asked, lambda item: item.unread)
    read = [item for item in asked if item.said is not None]
    golds = sorted({item.gold for item in asked if item.gold is not None}, key=lambda gold: (gold == "no", gold))
    if read:
        yield "answered_first", _share(read, lambda item: item.said in ("yes", "1"))
    if len(golds) > 1:
        for gold in golds[:PLACES]:
            under = [item for item in asked if item.gold == gold]
            e = estimate(np.array([item.credit for item in under]), [item.group for item in under])
            yield f"gold_{gold}", e


def _share(items: Sequence[Prediction], of: Callable[[Prediction], bool]) -> Estimate:
    return estimate(np.array([float(of(item)) for item in items]), [item.group for item in items], ties=0)
