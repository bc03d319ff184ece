"""Plain tables of the page, as data. Nothing heavy is imported: tables of experiments import the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paxion.records import PROBES, QUESTIONS, RETRIEVALS, TWINS, Score
from paxion.report.table import CHANCE, percent

MAIN = {*PROBES, *RETRIEVALS, *QUESTIONS}
"""Tasks whose usual metrics are in the tables above."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell: what is shown, and what it is sorted by."""

    text: str
    value: float | None = None
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A plain table: a label and entries a row."""

    title: str
    heads: tuple[str, ...]
    """Of the entries."""
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]
    note: str = ""
    first: str = "model"
    """Heading of the labels."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page."""

    name: str
    """Its anchor."""
    title: str
    text: tuple[str, ...]
    grids: tuple[Grid, ...]


def headline(scores: Sequence[Score]) -> list[str]:
    """The verdict where no probe, retrieval or question was asked: twins, else accuracy."""
    found = {(score.model, score.data, score.task, score.metric): score for score in scores if score.control == "none"}
    said = []
    for model, data in dict.fromkeys((model, data) for model, data, _, _ in found if model != CHANCE):
        both, same = (found.get((model, data, TWINS[0], metric)) for metric in ("both_right", "same_answer"))
        if both and same:
            said.append(
                f"{model} is right on both a clip and its reversal in {percent(both.value)} % of {both.n} twins, and "
                f"gives both the same answer in {percent(same.value)} %; coins have 25.0 % and 50.0 %."
            )
            continue
        own = [score for key, score in found.items() if key[:2] == (model, data) and key[3] == "accuracy"]
        said += [f"{model} is right in {percent(s.value)} % of {s.n} ({s.task.replace('_', ' ')})." for s in own[:1]]
    return said
