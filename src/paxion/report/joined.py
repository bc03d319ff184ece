"""Several runs as one, for one page: models under names of their own, and what is common to the runs once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paxion.comparing.agreement import check
from paxion.comparing.reading import read_runs
from paxion.comparing.runs import Run
from paxion.evaluation.breakdowns import Strata
from paxion.records import Row, Score
from paxion.results import Results, read_results


@dataclass(frozen=True)
class Joined:
    """Several runs as one."""

    results: Results
    rows: list[Row]
    strata: Strata
    runs: list[Run]
    """One a model; the first is the baseline."""


def joined(folders: Sequence[Path]) -> Joined:
    """The runs of some folders. What guessing and readers of texts score is taken from the first run that has it.

    Raises PaxionError for a folder that is no run, and for runs that were not asked the same (see `agreement.check`).
    """
    runs = read_runs([str(folder) for folder in folders])
    check(runs)
    names = {(run.folder, run.model): run.name for run in runs}
    scores: list[Score] = []
    known: set[tuple[str, str, str, str, str]] = set()
    for folder in folders:
        for score in read_results(folder).scores:
            own = names.get((str(folder), score.model))
            key = (score.model, score.data, score.task, score.control, score.metric)
            if own is not None:
                scores.append(replace(score, model=own))
            elif key not in known:
                known.add(key)
                scores.append(score)
    rows = [replace(row, model=run.name) for run in runs for row in run.rows]
    runs = [replace(run, rows=[row for row in rows if row.model == run.name]) for run in runs]
    strata = {name: facts for run in reversed(runs) for name, facts in run.strata.items()}
    return Joined(Results(_provenance(folders, runs), scores), rows, strata, runs)


def _provenance(folders: Sequence[Path], runs: Sequence[Run]) -> dict[str, Any]:
    """That of the first run, with what the others add."""
    each = {run.folder: run.provenance for run in runs}
    first = dict(next(iter(each.values())))
    on = {
        run.name: run.provenance["models_on"][run.model]
        for run in runs
        if isinstance(run.provenance.get("models_on"), Mapping) and run.model in run.provenance["models_on"]
    }
    commands = [told["command"] for told in each.values() if isinstance(told.get("command"), str)]
    return first | {
        "runs": [str(folder) for folder in folders],
        "models": [run.name for run in runs],
        "models_on": on,
        "command": commands,
        "notes": list(dict.fromkeys(note for told in each.values() for note in told.get("notes") or ())),
        "missed": [
            {**miss, "reason": f"{Path(folder).name}: {miss['reason']}"}
            for folder, told in each.items()
            for miss in told.get("missed") or ()
        ],
    }
