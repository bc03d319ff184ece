"""What paxion experiment does: plan, run what is missing, write the tables. Returns the exit status."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from paxion.experiment.checking import find_problems
from paxion.experiment.digests import digests, done_at, hashing, state
from paxion.experiment.parts import Experiment
from paxion.experiment.planning import plan
from paxion.experiment.reading import find_experiment, read_experiment
from paxion.experiment.running import experiment_lock, run
from paxion.experiment.stages import Plan
from paxion.records import PaxionError

STATES = {"done": "done", "begun": "goes on", "changed": "again", "new": "to do"}


def experiment(
    console: Console,
    experiment: str,
    out: Path | None,
    set: tuple[str, ...],
    jobs: int | None,
    dry_run: bool,
    tables_only: bool,
    show: bool,
) -> int:
    """Run an experiment."""

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    file = find_experiment(experiment)
    if show:
        sys.stdout.write(file.read_text(encoding="utf-8"))
        return 0
    if jobs is not None and jobs < 1:
        raise PaxionError(f"got jobs {jobs}, expected at least 1")
    read = read_experiment(file, set)
    _refuse(find_problems(read), file)
    folder, planned = out or Path("runs") / read.name, plan(read)
    if dry_run:
        with hashing(folder) as hash_of:
            states = _states(planned, digests(planned, hash_of), folder)
        for name, stage in planned.stages.items():
            say(f"{STATES[states[name]]:<8} {shlex.join(['paxion', *stage.line(folder)])}")
        return 0
    with experiment_lock(folder):
        with hashing(folder) as hash_of:
            found = digests(planned, hash_of)
        if tables_only:
            return _tables(read, planned, folder, found, str(file), say)
        return _run(read, planned, folder, found, jobs, file, say)


def _refuse(problems: list[str], file: Path) -> None:
    """Raise with every problem in a line of its own."""
    if problems:
        raise PaxionError("\npaxion: ".join(f"{file}: {line}" for line in problems))


def _states(planned: Plan, found: dict[str, str], folder: Path) -> dict[str, str]:
    return {name: state(folder, stage, found[name]) for name, stage in planned.stages.items()}


def _run(
    read: Experiment,
    planned: Plan,
    folder: Path,
    found: dict[str, str],
    jobs: int | None,
    file: Path,
    say: Callable[[str], None],
) -> int:
    states = _states(planned, found, folder)
    todo = [stage for name, stage in planned.stages.items() if states[name] != "done"]
    if not todo:
        say(f"all {len(states)} stages are done: nothing to do")
        return _tables(read, planned, folder, found, str(file), say)
    check_trainable(read, file)
    jobs = jobs or _jobs()
    say(f"{len(todo)} of {len(states)} stages to do, {jobs} at a time; the folder: {folder}")
    outcome = run(todo, found, folder, jobs, say)
    status = _tables(read, planned, folder, found, str(file), say)
    if outcome.left:
        say(f"stopped: {len(outcome.left)} stages are left; what they have done is kept")
        raise KeyboardInterrupt
    if outcome.failed:
        skipped = f", {len(outcome.skipped)} that need them skipped" if outcome.skipped else ""
        first, why = next(iter(outcome.failed.items()))
        raise PaxionError(
            f"{len(outcome.failed)} stages failed{skipped}; the first: {first}: {why}; mend that, and run again"
        )
    return status


def _tables(
    read: Experiment, planned: Plan, folder: Path, found: dict[str, str], source: str, say: Callable[[str], None]
) -> int:
    """Write the tables unless they are those of what is done."""
    from paxion.experiment.scores import measured
    from paxion.experiment.writing import FILES, up_to_date, write_tables

    done = done_at(folder, found)
    groups = {backbone.name: backbone.group for backbone in read.backbones.values()}
    shown = repr((read.name, read.about, read.tables, groups))
    made_of = {"stages": done, "tables": shown, "seeds": list(read.seeds)}
    if not up_to_date(folder, made_of):
        write_tables(folder, read, measured(planned, folder, done), made_of, source)
    missing = "" if len(done) == len(found) else f" (of {len(done)} of {len(found)} stages)"
    say(f"the tables{missing}: {', '.join(str(folder / name) for name in FILES)}")
    return 0


def check_trainable(read: Experiment, file: Path) -> None:
    """Refuse backbones and recipes that are not known; looked at only when something is to be run.

    Raises PaxionError with every problem in a line of its own.
    """
    from paxion.backbones.load import parse
    from paxion.patching.recipes import RECIPES
    from paxion.records import unknown_name

    found: list[str] = []
    for backbone in read.backbones.values():
        try:
            parse(backbone.load or "world")
        except PaxionError as error:
            found.append(f"backbones.{backbone.name}.load: {error}")
    for model in read.models.values():
        if not model.command:
            continue
        name = model.options.get("recipe", "patcher" if model.command != "fuse" else "fuser")
        known = [key for key, recipe in RECIPES.items() if (recipe.fuser is not None) == (model.command == "fuse")]
        try:
            if name not in known:
                raise unknown_name("recipe", name, known)
            replace(RECIPES[name], **model.options.get("change", {}))
        except PaxionError as error:
            found.append(f"models.{model.name}: {error}")
    _refuse(found, file)


def _jobs() -> int:
    import torch

    return 1 if torch.cuda.is_available() else min(2, os.cpu_count() or 1)
