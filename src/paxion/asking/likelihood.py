"""Caption log-likelihood: which text a model would rather say of a clip, and of which clip it would rather say it.

Three rankings, each a model of its own in the results: "NAME [likelihood]", the sum over the text's tokens, which
favours short texts; "NAME [likelihood/token]", their mean; "NAME [likelihood-blind]", the sum less that of the same
text without any picture (pointwise mutual information), which takes away what the words alone make likely.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from paxion.asking.clips import BLIND, View
from paxion.asking.items import About, Outcomes, Request, Shown, eligible, failures
from paxion.asking.model import Likelihood
from paxion.asking.prompts import Prompts, filled
from paxion.evaluation.methods import TIE
from paxion.evaluation.scoring import Evaluation, auroc_score
from paxion.evaluation.twins import twin_rows, twin_scores
from paxion.records import PROBES, Sample
from paxion.results import Missed

RANKINGS: dict[str, Callable[[Likelihood, Likelihood], float]] = {
    "likelihood": lambda seen, _: seen.total,
    "likelihood/token": lambda seen, _: seen.total / max(1, seen.tokens),
    "likelihood-blind": lambda seen, blind: seen.total - blind.total,
}
"""The number that is compared, from the likelihoods with and without the clip."""


@dataclass(frozen=True, slots=True)
class Item:
    """One comparison: the right text (or clip) and the wrong ones. Of twins four: clip and reversal by both texts."""

    sample: Sample
    requests: tuple[Request, ...]


def items(shown: Sequence[Shown], task: str, prompts: Prompts, data: str) -> tuple[list[Item], list[Missed]]:
    """What is compared in a task, and what cannot be."""
    kept, missed = eligible(shown, task, data)
    return [Item(each.sample, tuple(_requests(each, task, prompts))) for each in kept], missed


def requests(item: Item) -> list[Request]:
    """All that is asked of an item: every text with its clip, and once without."""
    return [*item.requests, *(replace(request, view=BLIND) for request in item.requests)]


def results(found: Sequence[Item], outcomes: Outcomes, about: About) -> Evaluation:
    """Rows and scores of every ranking. about.model: the model's own name."""
    answers = {item.sample.id: [outcomes(request) for request in requests(item)] for item in found}
    failed, missed = failures(answers.items(), replace(about, model=f"{about.model} [likelihood]"))
    done = [item for item in found if item.sample.id not in failed]
    result = Evaluation(missed=missed)
    for ranking, value in RANKINGS.items():
        numbers = []
        for item in done:
            known = [each for each in answers[item.sample.id] if isinstance(each, Likelihood)]
            half = len(item.requests)
            numbers.append([value(a, b) for a, b in zip(known[:half], known[half:], strict=True)])
        named = replace(about, model=f"{about.model} [{ranking}]")
        if done:
            result.add(_ranked([item.sample for item in done], numbers, named))
    return result


def _ranked(samples: Sequence[Sample], numbers: Sequence[Sequence[float]], about: About) -> Evaluation:
    if about.task == "twins":
        table = torch.tensor(numbers, dtype=torch.float64).view(-1, 2, 2)
        named = {"model": about.model, "data": about.data, "control": about.control}
        twins = twin_rows(table, samples, seed=about.seed, **named)
        return Evaluation(twin_scores(twins), twins)
    rows, ties = [], 0
    for sample, (right, *wrong) in zip(samples, numbers, strict=True):
        best = max(wrong)
        equal = sum(abs(right - other) <= TIE for other in wrong)
        credit = 0.0 if best > right + TIE else 1 / (1 + equal)
        ties += 0 < credit < 1
        rows.append(about.row(sample, credit, right, best))
    scores = [about.score("accuracy", [row.credit for row in rows], [row.group for row in rows], ties)]
    return Evaluation(scores + ([auroc_score(rows)] if about.task in PROBES else []), rows)


def _requests(each: Shown, task: str, prompts: Prompts) -> list[Request]:
    sample = each.sample

    def said(view: View, text: str | None) -> Request:
        return Request(view, prompts.caption, text or "")

    match task:
        case "antonym":
            return [said(each.straight, sample.caption), said(each.straight, sample.antonym)]
        case "object":
            return [said(each.straight, sample.caption), said(each.straight, sample.replaced)]
        case "reversal":
            return [said(each.straight, sample.caption), said(each.turned, sample.caption)]
        case "twins":
            return [
                said(view, text) for view in (each.straight, each.turned) for text in (sample.caption, sample.antonym)
            ]
    choices, answer = list(sample.choices or ()), sample.answer or 0
    ordered = [choices[answer], *choices[:answer], *choices[answer + 1 :]]
    return [Request(each.straight, filled(prompts.answer, question=sample.question or ""), text) for text in ordered]
