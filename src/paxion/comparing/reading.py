"""Reading what is compared: run folders by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from paxion.comparing.agreement import check
from paxion.comparing.runs import Run, named, runs_of
from paxion.records import PaxionError, unknown_name
from paxion.results import RESULTS, read_results, read_rows, read_strata

TEXT = "text:"
"""Models of this prefix read texts only; they are compared when they are asked for by name."""


def read_runs(names: Sequence[str]) -> list[Run]:
    """The runs of `RUN` or `RUN:MODEL`, in that order; a RUN alone gives all its models but text-only ones.

    A name is a folder if there is such a folder; else what stands before one of its colons is (the last that fits), and
    the rest is the model. So models may have a colon in their name, and so may folders: write `RUN/:MODEL` where
    `RUN:MODEL` is itself a folder. `RUN+RUN+RUN`, each with one model, is one model that was trained or asked several
    times (see `trained_several_times`). Each folder is read once.
    Raises PaxionError for a folder that is not there or holds no rows, and for a model that is not in it.
    """
    held: dict[Path, dict[str, Run]] = {}
    found: list[Run] = []
    for given in names:
        pieces = [given] if "+" not in given or _is_one(given, held) else given.split("+")
        parts = [_read(piece, held) for piece in pieces]
        if several := [piece for piece, part in zip(pieces, parts, strict=True) if len(pieces) > 1 < len(part)]:
            raise PaxionError(f"{several[0]} has several models, expected one in {given}: write {several[0]}:MODEL")
        found += parts[0] if len(parts) == 1 else [trained_several_times([part for (part,) in parts])]
    return named(found)


def trained_several_times(runs: Sequence[Run]) -> Run:
    """The runs of one model with several seeds as one, under seeds 0, 1, 2 ..., to be averaged by sample.

    Called by the model's name and how often, "patcher x3", or by all names. Raises PaxionError for runs that were not
    asked the same.
    """
    check(runs)
    names = list(dict.fromkeys(run.model for run in runs))
    name = f"{names[0]} x{len(runs)}" if len(names) == 1 else "+".join(names)
    numbers: dict[tuple[int, int], int] = {}
    rows = [
        replace(row, model=name, seed=numbers.setdefault((place, row.seed), len(numbers)))
        for place, run in enumerate(runs)
        for row in run.rows
    ]
    return replace(runs[0], name=name, model=name, folder="+".join(run.folder for run in runs), rows=rows)


def _read(given: str, held: dict[Path, dict[str, Run]]) -> list[Run]:
    folder, model = split_name(given)
    models = _models(folder, held)
    if model is not None and model not in models:
        raise unknown_name(f"model of {folder}", model, models)
    seeing = [run for run in models.values() if not run.model.startswith(TEXT)] or list(models.values())
    return seeing if model is None else [models[model]]


def _is_one(given: str, held: dict[Path, dict[str, Run]]) -> bool:
    """Whether a name with a plus is that of one folder or model."""
    try:
        folder, model = split_name(given)
    except PaxionError:
        return False
    return model is None or model in _models(folder, held)


def _models(folder: Path, held: dict[Path, dict[str, Run]]) -> dict[str, Run]:
    if folder not in held:
        read = read_results(folder).provenance, read_rows(folder), read_strata(folder), str(folder)
        held[folder] = {run.model: run for run in runs_of(*read)}
    if not held[folder]:
        raise PaxionError(f"{folder} has no rows of any model, expected a run of probe, evaluate, ask or rescore")
    return held[folder]


def split_name(given: str) -> tuple[Path, str | None]:
    """The folder and the model of `RUN` or `RUN:MODEL` (see `read_runs`)."""
    if Path(given).is_dir() or Path(given).name == RESULTS:
        return Path(given) if Path(given).is_dir() else Path(given).parent, None
    ends = [place for place, mark in enumerate(given) if mark == ":"]
    for end in reversed(ends):
        if given[:end] and Path(given[:end]).is_dir():
            return Path(given[:end]), given[end + 1 :]
    raise PaxionError(f"got {given!r}, expected the folder of a run, or RUN:MODEL: there is no such folder")
