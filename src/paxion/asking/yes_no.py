"""Whether a text fits a clip, yes or no, in both polarities: a leaning to yes cannot pass for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paxion.asking.clips import View
from paxion.asking.items import About, Outcomes, Request, Shown, eligible, failures, unread_note
from paxion.asking.parsing import parse_yes_no
from paxion.asking.prompts import Prompts, filled
from paxion.evaluation.scoring import Evaluation
from paxion.evaluation.twins import TURNED, twin_scores
from paxion.records import TWINS, Sample
from paxion.results import Missed

DECIDABLE = ("antonym", "object", "reversal", "twins")
"""Tasks that yes and no decide: caption and foil of one clip, or one caption of a clip and its reversal."""


@dataclass(frozen=True, slots=True)
class Item:
    """Two questions about a sample: the first is to be answered yes, the second no."""

    sample: Sample
    requests: tuple[Request, Request]


def items(shown: Sequence[Shown], task: str, prompts: Prompts, data: str) -> tuple[list[Item], list[Missed]]:
    """What is asked in a task, and what cannot be. Reversal and twins ask the caption of the clip and its reversal."""
    kept, missed = eligible(shown, task, data, antonyms=False)

    def fits(view: View, text: str | None) -> Request:
        return Request(view, filled(prompts.yes_no, caption=text or ""))

    found = []
    for each in kept:
        sample = each.sample
        foil = {"antonym": sample.antonym, "object": sample.replaced}.get(task, sample.caption)
        view = each.straight if task in ("antonym", "object") else each.turned
        found.append(Item(sample, (fits(each.straight, sample.caption), fits(view, foil))))
    return found, missed


def requests(item: Item) -> tuple[Request, ...]:
    """Both questions."""
    return item.requests


def results(found: Sequence[Item], outcomes: Outcomes, about: About) -> Evaluation:
    """Rows and scores of a task. about.model: the model's own name.

    accuracy        share of right answers, half of which are yes: 1/2 by guessing
    both_right      yes and no where they should be: 1/4 by guessing, 0 for a model that always says the same
    answered_first  share of yes among the answers that can be parsed
    gold_yes, gold_no   accuracy where yes, where no is right
    unparsed        share of the answers that cannot be parsed; they count as wrong
    """
    about = replace(about, model=f"{about.model} [yes-no]")
    answers = {item.sample.id: [outcomes(request) for request in item.requests] for item in found}
    failed, missed = failures(answers.items(), about)
    done = [item.sample for item in found if item.sample.id not in failed]
    if not done:
        return Evaluation(missed=missed)
    said = [[parse_yes_no(str(answer)) for answer in answers[sample.id]] for sample in done]
    yes, no = [float(first is True) for first, _ in said], [float(second is False) for _, second in said]
    groups = [sample.group for sample in done]
    rows = []
    for sample, first, second in zip(done, yes, no, strict=True):
        if about.task in TWINS:
            rows.append(about.row(sample, first, first, 1 - first))
            rows.append(about.row(sample, second, second, 1 - second, sample.id + TURNED))
        else:
            mean = (first + second) / 2
            rows.append(about.row(sample, mean, mean, 1 - mean))
    if about.task in TWINS:
        scores = twin_scores(rows, scored=False)
    else:
        both = [first * second for first, second in zip(yes, no, strict=True)]
        scores = [
            about.score("accuracy", [row.credit for row in rows], groups),
            about.score("both_right", both, groups),
        ]
    every = [(answer, sample) for sample, pair in zip(done, said, strict=True) for answer in pair]
    parsed = [(float(answer), sample.group) for answer, sample in every if answer is not None]
    if parsed:
        scores.append(about.score("answered_first", [share for share, _ in parsed], [group for _, group in parsed]))
    scores += [about.score("gold_yes", yes, groups), about.score("gold_no", no, groups)]
    lost = [float(answer is None) for answer, _ in every]
    scores.append(about.score("unparsed", lost, [sample.group for _, sample in every]))
    notes = unread_note(about, [sample.id for answer, sample in every if answer is None], len(every))
    return Evaluation(scores, rows, missed, notes)
