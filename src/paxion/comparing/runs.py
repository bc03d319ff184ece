"""What is compared: one model of one run folder, with its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paxion.evaluation.breakdowns import Strata
from paxion.records import Row


@dataclass(frozen=True)
class Run:
    """One model of one run."""

    name: str
    """What the comparison calls it; unique among the runs of a comparison."""
    model: str
    """As its rows have it."""
    folder: str
    """Where it was read from."""
    provenance: Mapping[str, Any]
    rows: Sequence[Row]
    """Those of the model, of all data sets, tasks, controls and seeds."""
    strata: Strata
    """Sample id to its facts; empty where the run has no strata.jsonl."""


def runs_of(provenance: Mapping[str, Any], rows: Sequence[Row], strata: Strata, folder: str = "") -> list[Run]:
    """A run for each model of one folder's rows, in order of appearance, called as the model is."""
    by_model: dict[str, list[Row]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
    return [Run(model, model, folder, provenance, found, strata) for model, found in by_model.items()]


def named(runs: Sequence[Run]) -> list[Run]:
    """The runs under names of their own: the model's, or FOLDER:MODEL where several have it."""
    for names in (
        [run.model for run in runs],
        [f"{Path(run.folder).name}:{run.model}" for run in runs],
        [f"{run.folder}:{run.model}" for run in runs],
    ):
        if len(set(names)) == len(names):
            return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]
    seen: Counter[str] = Counter()
    found = []
    for run, name in zip(runs, names, strict=True):
        seen[name] += 1
        found.append(replace(run, name=name if seen[name] == 1 else f"{name} #{seen[name]}"))
    return found
