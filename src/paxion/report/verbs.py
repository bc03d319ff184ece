"""Accuracy by verb, worst first: which actions a model does not see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from paxion.evaluation.statistics import estimate
from paxion.records import Row, Sample
from paxion.report.roles import Roles, roles_of
from paxion.report.sheets import compared
from paxion.report.table import CHANCE, TEXT, Cell

FEWEST = 5
"""Verbs of fewer clips say too little to be in the table; they are counted beside it."""
ASKED = ("antonym", "reversal")
"""The probes that ask for the action."""


@dataclass(frozen=True, slots=True)
class VerbLine:
    """One verb: a cell per probe within each model; None where the model was not asked it."""

    verb: str
    clips: int
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class VerbTable:
    """The verbs of one data name, worst first by what the last model has on the first probe."""

    data: str
    models: tuple[str, ...]
    tasks: tuple[str, ...]
    lines: tuple[VerbLine, ...]
    rare: int
    """Verbs of fewer than FEWEST clips, which are left out."""
    unnamed: int
    """Clips without a verb in the manifest."""


def verb_tables(
    rows: Sequence[Row], samples: Mapping[str, Sequence[Sample]], provenance: Mapping[str, object] | None = None
) -> list[VerbTable]:
    """A table for each data name, of whole clips: the patched model after its backbone, else the first backbone.

    samples: data name to its samples. Credits of several seeds are averaged by sample; intervals are clustered by
    group. A data name without two verbs of FEWEST clips has no table.
    """
    asked = [row for row in rows if row.control == "none" and row.task in ASKED and not row.model.startswith(TEXT)]
    names = list(dict.fromkeys(row.model for row in asked if row.model != CHANCE))
    shown = _shown(names, roles_of(names, provenance))
    credits: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in asked:
        if row.model in shown:
            credits[row.data, row.model, row.task][row.id].append(row.credit)
    tables = (_table(data, listed, shown, credits) for data, listed in samples.items())
    return [table for table in tables if len(table.lines) > 1]


def _shown(names: Sequence[str], roles: Roles) -> tuple[str, ...]:
    base, patched = compared(names, roles)
    return tuple(name for name in (base, patched) if name)


def _table(
    data: str,
    samples: Sequence[Sample],
    models: Sequence[str],
    credits: Mapping[tuple[str, str, str], Mapping[str, Sequence[float]]],
) -> VerbTable:
    tasks = tuple(task for task in ASKED if any((data, model, task) in credits for model in models))
    models = tuple(model for model in models if any((data, model, task) in credits for task in tasks))
    scored = {name for model in models for task in tasks for name in credits.get((data, model, task), ())}
    by_verb: dict[str, list[Sample]] = defaultdict(list)
    unnamed = 0
    for sample in samples:
        if sample.id in scored and sample.verb:
            by_verb[sample.verb].append(sample)
        else:
            unnamed += sample.id in scored
    lines = [
        VerbLine(
            verb,
            len(listed),
            tuple(_cell(credits.get((data, model, task), {}), listed) for model in models for task in tasks),
        )
        for verb, listed in by_verb.items()
        if len(listed) >= FEWEST
    ]
    judged = len(tasks) * (len(models) - 1)
    lines.sort(key=lambda line: (cell.value if (cell := line.cells[judged]) else 2.0, line.verb))
    return VerbTable(data, models, tasks, tuple(lines), len(by_verb) - len(lines), unnamed)


def _cell(credits: Mapping[str, Sequence[float]], samples: Sequence[Sample]) -> Cell | None:
    kept = [sample for sample in samples if sample.id in credits]
    if not kept:
        return None
    means = np.array([fmean(credits[sample.id]) for sample in kept])
    found = estimate(means, [sample.group for sample in kept])
    seeds = max(len(credits[sample.id]) for sample in kept)
    return Cell(found.value, found.low, found.high, found.n, found.ties, seeds, None)
