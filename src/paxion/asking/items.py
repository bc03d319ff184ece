"""What is asked about a sample, and what all scorers make of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from paxion.asking.clips import View
from paxion.asking.model import Failed, Likelihood
from paxion.evaluation.questions import questions_of
from paxion.evaluation.statistics import estimate
from paxion.records import Row, Sample, Score
from paxion.results import Missed

ASKABLE = ("antonym", "object", "reversal", "twins", "questions")
"""Tasks that a generative model can be asked about."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a model. Equal requests are asked once."""

    view: View
    prompt: str
    continuation: str | None = None
    """The text whose log-likelihood is asked for; None: what the model says itself."""


Outcome = str | Likelihood | Failed
Outcomes = Callable[[Request], Outcome]


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample and what is shown with it under a control."""

    sample: Sample
    straight: View
    turned: View
    """The same of its reversal."""


@dataclass(frozen=True, slots=True)
class About:
    """What rows and scores say of where they come from."""

    model: str
    data: str
    task: str
    control: str
    seed: int

    def row(self, sample: Sample, credit: float, right: float, wrong: float, name: str | None = None) -> Row:
        """The row of a sample. name: its id, by default the sample's."""
        told = name or sample.id, sample.group, self.model, self.data, self.task, self.control, self.seed
        return Row(*told, right, wrong, credit)

    def score(self, metric: str, values: Sequence[float], groups: Sequence[str], ties: int = 0) -> Score:
        """The mean of values in [0, 1], with an interval clustered by group."""
        e = estimate(np.array(values, dtype=np.float64), groups, ties)
        found = e.value, e.low, e.high, e.n, e.ties
        return Score(self.model, self.data, self.task, self.control, metric, *found, self.seed)


def eligible(shown: Sequence[Shown], task: str, data: str, antonyms: bool = True) -> tuple[list[Shown], list[Missed]]:
    """The samples that a task can ask about, and how many it cannot and why. antonyms: whether twins need them."""
    if task == "questions":
        asked = questions_of([each.sample for each in shown], data)
        return [shown[i] for i in asked.places], list(asked.missed)
    kept: list[Shown] = []
    out: dict[str, list[str]] = {}
    for each in shown:
        why = _unasked(each.sample, task, antonyms)
        if why is None:
            kept.append(each)
        else:
            out.setdefault(why, []).append(each.sample.id)
    return kept, [Missed(data, task, why, len(ids), tuple(ids[:5])) for why, ids in out.items()]


def failures(found: Iterable[tuple[str, Sequence[Outcome]]], about: About) -> tuple[set[str], list[Missed]]:
    """The ids with a failed outcome, and a miss for each reason. found: the outcomes of each id."""
    reasons: dict[str, list[str]] = {}
    for name, outcomes in found:
        if reason := next((each.reason for each in outcomes if isinstance(each, Failed)), None):
            reasons.setdefault(reason, []).append(name)
    failed = {name for names in reasons.values() for name in names}
    # The model is named: others may have answered.
    missed = [
        Missed(about.data, f"{about.task}, {about.control}, {about.model}", why, len(names), tuple(names[:5]))
        for why, names in reasons.items()
    ]
    return failed, missed


def unread_note(about: About, names: Sequence[str], asked: int) -> list[str]:
    """A line on the answers that cannot be parsed: they count as wrong. names: ids, one an answer."""
    if not names:
        return []
    examples = list(dict.fromkeys(names))
    more = " ..." if len(examples) > 5 else ""
    return [
        f"{about.data}: {len(names)} of {asked} answers of {about.model} ({about.task}, {about.control}) cannot be "
        f"parsed and count as wrong: {', '.join(examples[:5])}{more}"
    ]


def _unasked(sample: Sample, task: str, antonyms: bool) -> str | None:
    if (task == "antonym" or (task == "twins" and antonyms)) and sample.antonym is None:
        return "no antonym"
    if task == "object" and sample.replaced is None:
        return "no replaced"
    if task in ("reversal", "twins") and sample.reversible is False:
        return "not reversible"
    return None
