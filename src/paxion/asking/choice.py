"""A choice between options by their letters, in every order: a leaning to a letter cannot pass for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paxion.asking.clips import View
from paxion.asking.items import About, Outcomes, Request, Shown, eligible, failures, unread_note
from paxion.asking.parsing import parse_choice
from paxion.asking.prompts import Prompts, filled, listed
from paxion.evaluation.scoring import Evaluation
from paxion.evaluation.twins import TURNED, twin_scores, unpaired
from paxion.records import TWINS, Sample, Score
from paxion.results import Missed

CHOOSABLE = ("antonym", "object", "twins", "questions")
"""Tasks with texts to choose from. The reversal probe chooses between clips."""


@dataclass(frozen=True, slots=True)
class Item:
    """One choice among K texts, asked once for each of its K rotations (two texts: both orders)."""

    sample: Sample
    id: str
    right: int
    orders: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """What an item's answers come to: which text each chose; None where that cannot be told."""

    item: Item
    letters: tuple[int | None, ...]

    @property
    def chosen(self) -> list[str | None]:
        """The text chosen in each order."""
        return [None if n is None else order[n] for n, order in zip(self.letters, self.item.orders, strict=True)]

    @property
    def hits(self) -> list[float]:
        """1 for each order in which the right text is chosen."""
        return [float(text == self.item.texts[self.item.right]) for text in self.chosen]

    @property
    def credit(self) -> float:
        """Mean over the orders."""
        return sum(self.hits) / len(self.hits)

    @property
    def consistent(self) -> float:
        """1 where the same text is chosen in every order."""
        return float(None not in self.chosen and len(set(self.chosen)) == 1)


def items(shown: Sequence[Shown], task: str, prompts: Prompts, data: str) -> tuple[list[Item], list[Missed]]:
    """What is asked in a task, and what cannot be."""
    kept, missed = eligible(shown, task, data)
    found: list[Item] = []
    same: list[str] = []
    for each in kept:
        sample = each.sample
        texts = _texts(sample, task)
        if len({text.casefold() for text in texts}) < len(texts):
            same.append(sample.id)
        elif task in TWINS:
            found.append(_item(sample, sample.id, texts, 0, each.straight, prompts.choice))
            found.append(_item(sample, sample.id + TURNED, texts, 1, each.turned, prompts.choice))
        elif task == "questions":
            found.append(_item(sample, sample.id, texts, sample.answer or 0, each.straight, prompts.question))
        else:
            found.append(_item(sample, sample.id, texts, 0, each.straight, prompts.choice))
    if same:
        missed.append(Missed(data, task, "two options are the same text", len(same), tuple(same[:5])))
    return found, missed


def requests(item: Item) -> tuple[Request, ...]:
    """One call an order."""
    return item.requests


def results(found: Sequence[Item], outcomes: Outcomes, about: About) -> Evaluation:
    """Rows and scores of a task. about.model: the model's own name."""
    about = replace(about, model=f"{about.model} [choice]")
    answers = {item.id: [outcomes(request) for request in item.requests] for item in found}
    failed, missed = failures(answers.items(), about)
    read = [
        Read(
            item,
            tuple(parse_choice(str(said), order) for said, order in zip(answers[item.id], item.orders, strict=True)),
        )
        for item in found
        if item.id not in failed
    ]
    if not read:
        return Evaluation(missed=missed)
    unread = [each.item.id for each in read for letter in each.letters if letter is None]
    rows = [about.row(each.item.sample, each.credit, each.credit, 1 - each.credit, each.item.id) for each in read]
    groups = [each.item.sample.group for each in read]
    twins = about.task in TWINS
    missed += unpaired(rows, about.data) if twins else []
    scores = twin_scores(rows, scored=False) if twins else [about.score("accuracy", [r.credit for r in rows], groups)]
    notes = unread_note(about, unread, sum(len(each.letters) for each in read))
    return Evaluation(scores + _habits(read, groups, about), rows, missed, notes)


def _habits(read: Sequence[Read], groups: Sequence[str], about: About) -> list[Score]:
    """How the model answers.

    both_orders     right in every order; consistency: the same text in every order
    answered_first  share of "A" among the answers that can be parsed: 1/K without a leaning
    gold_1, gold_2 ...   accuracy where the right text is listed first, second ...
    unparsed        share of the answers that cannot be parsed
    """
    letters = [(letter, group) for each, group in zip(read, groups, strict=True) for letter in each.letters]
    parsed = [(float(letter == 0), group) for letter, group in letters if letter is not None]
    found = {
        "both_orders": ([float(each.credit == 1) for each in read], groups),
        "consistency": ([each.consistent for each in read], groups),
        "answered_first": ([first for first, _ in parsed], [group for _, group in parsed]),
    }
    for place in range(min(len(each.letters) for each in read)):
        at = [each.hits[_order_with(each.item, place)] for each in read]
        found[f"gold_{place + 1}"] = (at, groups)
    found["unparsed"] = ([float(letter is None) for letter, _ in letters], [group for _, group in letters])
    return [about.score(metric, *values) for metric, values in found.items() if values[0]]


def _order_with(item: Item, place: int) -> int:
    """Which order lists the right text at a place."""
    return next(i for i, order in enumerate(item.orders) if order[place] == item.texts[item.right])


def _item(sample: Sample, name: str, texts: tuple[str, ...], right: int, view: View, prompt: str) -> Item:
    orders = tuple(texts[i:] + texts[:i] for i in range(len(texts)))
    asked = tuple(
        Request(view, filled(prompt, options=listed(order), question=sample.question or "")) for order in orders
    )
    return Item(sample, name, right, orders, texts, asked)


def _texts(sample: Sample, task: str) -> tuple[str, ...]:
    if task == "questions":
        return tuple(sample.choices or ())
    return sample.caption, (sample.replaced if task == "object" else sample.antonym) or ""
