"""Choices to put to a generative model: every one is asked both ways round, so that guessing by place shows."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from paxion.records import PaxionError, Sample, unknown_name

T = TypeVar("T")
FOIL_OF = {"antonym": "antonym", "object": "replaced"}
"""The field of the foil behind each probe that is a choice between two texts."""
QUESTION = "Which of the two describes what happens in the video?"
"""What is asked with the caption and its foil."""
YES_NO = "Does the video show this?"
"""What is asked of a clip and of its reversal."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A caption and its foil, in one of the two orders."""

    number: int
    """Place of the sample's row in the manifest, from 0: its files are named by it."""
    sample: Sample
    task: str
    order: int
    """0: the caption is A; 1: the caption is B."""
    a: str
    b: str

    @property
    def answer(self) -> str:
        """The letter of the caption."""
        return "AB"[self.order]


def has_foil(task: str, sample: Sample) -> bool:
    """The sample takes part in this probe."""
    return sample.reversible is not False if task == "reversal" else getattr(sample, FOIL_OF[task]) is not None


def both_orders(numbered: Iterable[tuple[int, Sample]], task: str, seed: int) -> list[Choice]:
    """The choices of the samples that have a foil, both orders of one after the other.

    seed: decides in which succession samples come, and which order of each is first, so that the first N lines are a
    fair draw. Raises PaxionError for a task without a foil.
    """
    if task not in FOIL_OF:
        raise unknown_name("task with a foil", task, FOIL_OF)
    pairs = []
    for number, sample in numbered:
        foil = getattr(sample, FOIL_OF[task])
        if foil is not None:
            texts = sample.caption, foil
            pairs.append([Choice(number, sample, task, order, texts[order], texts[1 - order]) for order in (0, 1)])
    return [choice for pair in drawn(pairs, task, seed) for choice in pair]


def drawn(pairs: Sequence[Sequence[T]], task: str, seed: int) -> list[list[T]]:
    """The pairs in a succession that the seed decides, each with either end first."""
    draw = random.Random(f"{seed} {task}")
    mixed = [list(pair) for pair in pairs]
    draw.shuffle(mixed)
    return [pair[::-1] if draw.random() < 0.5 else pair for pair in mixed]


def known_tasks(tasks: Sequence[str], known: Sequence[str]) -> list[str]:
    """The tasks, each once. Raises PaxionError for an unknown one, or none."""
    for task in tasks:
        if task not in known:
            raise unknown_name("task", task, known)
    if not tasks:
        raise PaxionError(f"got no task, expected some of {', '.join(known)}")
    return list(dict.fromkeys(tasks))
