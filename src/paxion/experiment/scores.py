"""What the stages that are done have measured: scores, what could not be scored, single samples, and costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from paxion.experiment.intervals import Run
from paxion.experiment.parts import Column
from paxion.experiment.planning import CARDS
from paxion.experiment.stages import Asked, Plan
from paxion.records import Row, Score
from paxion.report.table import CHANCE, chance
from paxion.results import Results, read_results, read_rows

Cost = tuple[int, float]
"""Trained parameters; seconds of CPU, or of the clock where these are not known."""


@dataclass
class Measured:
    """Everything that is known so far."""

    scores: dict[tuple[str, str, int, str], list[Score]] = field(default_factory=dict)
    """By model, backbone, seed and task; the model of each is called as in the experiment."""
    levels: dict[tuple[str, str], list[Score]] = field(default_factory=dict)
    """By backbone and task: all scores of one results.json, from which the level of guessing follows."""
    missed: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    """By task, data, score and reason: how many samples could not be scored."""
    costs: dict[tuple[str, str, int], Cost] = field(default_factory=dict)
    """By model, backbone and seed."""
    asked: Mapping[tuple[str, str, int, str], Asked] = field(default_factory=dict)
    out: Path = Path()
    rows: dict[str, list[Row]] = field(default_factory=dict)
    """By stage, once they have been read."""

    def values(self, model: str, column: Column, runs: list[Run]) -> dict[Run, Score]:
        """The score of a model in a column, by run. Nothing where the data of the column are several."""
        found = {}
        for backbone, seed in runs:
            scores = [s for s in self.scores.get((model, backbone, seed, column.task), []) if of_column(s, column)]
            if len(scores) == 1:
                found[backbone, seed] = scores[0]
        return found

    def absent(self, column: Column) -> bool:
        """Whether a column's task has been asked, and gave no number of it, or several of several data."""
        given = [scores for (_, _, _, task), scores in self.scores.items() if task == column.task and scores]
        return bool(given) and all(sum(of_column(score, column) for score in scores) != 1 for scores in given)

    def samples(self, model: str, run: Run, column: Column) -> dict[str, tuple[str, float]]:
        """Group and credit of every sample of a score that is a mean of credits; nothing for other metrics."""
        asked = self.asked.get((model, *run, column.task))
        first = (
            "R@1"
            if column.score.partition(":")[0] not in ("antonym", "reversal", "object", "questions")
            else "accuracy"
        )
        if asked is None or column.metric != first:
            return {}
        if asked.stage not in self.rows:
            self.rows[asked.stage] = read_rows(self.out / asked.stage)
        return {
            row.id: (row.group, row.credit)
            for row in self.rows[asked.stage]
            if (row.model, row.task, row.control) == (asked.called, column.score, column.control)
            and column.data in (None, row.data)
        }

    def level(self, backbone: str, column: Column) -> float | None:
        """What guessing gives in a column."""
        scores = [s for s in self.levels.get((backbone, column.task), []) if column.data in (None, s.data)]
        given = [s.value for s in scores if s.model == CHANCE and (s.task, s.metric) == (column.score, column.metric)]
        if given:
            return given[0]
        data = {s.data for s in scores if s.task == column.score}
        return chance(scores, data.pop(), column.score, column.metric) if len(data) == 1 else None


def of_column(score: Score, column: Column) -> bool:
    """Whether a score is of a column."""
    wanted = (column.score, column.metric, column.control)
    return (score.task, score.metric, score.control) == wanted and column.data in (None, score.data)


def measured(plan: Plan, out: Path, done: Mapping[str, Any]) -> Measured:
    """What has been measured in the stages that are done. Raises PaxionError when what they wrote cannot be read."""
    found, results = Measured(asked=plan.asked, out=out), dict[str, Results]()
    for (model, backbone, seed, task), asked in plan.asked.items():
        if asked.stage not in done:
            continue
        if asked.stage not in results:
            results[asked.stage] = read = read_results(out / asked.stage)
            found.levels.setdefault((backbone, task), []).extend(read.scores)
            for miss in read.provenance.get("missed") or []:
                key = (task, str(miss["data"]), str(miss["task"]), str(miss["reason"]))
                found.missed[key] = max(found.missed.get(key, 0), int(miss["count"]))
        of = [score for score in results[asked.stage].scores if score.model == asked.called]
        found.scores[model, backbone, seed, task] = [_renamed(score, model) for score in of]
    for trained, stage in plan.trained.items():
        if stage in done and (cost := _cost(out / stage)) is not None:
            found.costs[trained] = cost
    return found


def _renamed(score: Score, model: str) -> Score:
    return Score(**(asdict(score) | {"model": model}))


def _cost(folder: Path) -> Cost | None:
    """What a training has cost, with the trainings that it was started from, as its card says."""
    try:
        card = next(path for name in CARDS.values() if (path := folder / name).exists())
        training = json.loads(card.read_text(encoding="utf-8"))["provenance"]
        trainable, seconds = int(training["cost"]["trainable"]), 0.0
        while training is not None:
            seconds += float(training["cost"]["cpu_seconds"])
            training = training.get("started_from")
        return trainable, seconds
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None
