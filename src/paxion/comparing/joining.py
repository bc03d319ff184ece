"""The samples that a run and the baseline share, and those that one of them has alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paxion.comparing.credits import Asked, Credits
from paxion.comparing.runs import Run
from paxion.evaluation.statistics import Floats
from paxion.records import RETRIEVALS, PaxionError, unknown_name

NAMED = 3
"""Ids that a note or an error names."""


@dataclass(frozen=True)
class Joined:
    """The N samples that a run and the baseline were both asked under one data set, task and control."""

    asked: Asked
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    baseline: Floats
    """(N,) credits."""
    model: Floats
    """(N,)"""
    only_baseline: tuple[str, ...]
    only_model: tuple[str, ...]
    seeds: tuple[int, int]


def asked_for(held: Sequence[Mapping[Asked, Credits]], tasks: Sequence[str], controls: Sequence[str]) -> list[Asked]:
    """What some run has, of the tasks and controls wanted (none: every task; "all": every control), in order.

    Data sets, tasks and controls come as they first appear. Raises PaxionError for a name that no run has.
    """
    found = list(dict.fromkeys(asked for run in held for asked in run))
    places = [{name: i for i, name in enumerate(dict.fromkeys(asked[part] for asked in found))} for part in range(3)]
    for kind, wanted, known in (("task", tasks, places[1]), ("control", controls, {**places[2], "all": 0})):
        for name in wanted:
            if name not in known and found:
                raise unknown_name(kind, name, known)
    kept = [
        asked for asked in found if (not tasks or asked[1] in tasks) and ("all" in controls or asked[2] in controls)
    ]
    return sorted(kept, key=lambda asked: [place[name] for place, name in zip(places, asked, strict=True)])


def join(
    baseline: Run, ours: Mapping[Asked, Credits], run: Run, theirs: Mapping[Asked, Credits], wanted: Sequence[Asked]
) -> tuple[list[Joined], list[str]]:
    """Where both have samples, these; and what is in no number or needs a word, a line each.

    Raises PaxionError where a sample belongs to another group in the one run than in the other.
    """
    joined, notes = [], []
    for asked in wanted:
        what = described(*asked)
        first, second = ours.get(asked), theirs.get(asked)
        if first is None or second is None:
            held, alone = (first, baseline) if first else (second, run)
            if held is not None:
                notes.append(f"{what}: only {alone.name} has it ({_count(held.credit)}): not compared")
            continue
        ids = tuple(name for name in first.credit if name in second.credit)
        lost = tuple(name for name in first.credit if name not in second.credit)
        extra = tuple(name for name in second.credit if name not in first.credit)
        notes += [
            f"{what}: only {alone.name} has {some(missing)}: in no number"
            for alone, missing in ((baseline, lost), (run, extra))
            if missing
        ]
        if asked[1].partition(":")[0] in RETRIEVALS and (lost or extra):
            notes.append(f"{what}: the candidates differ by these samples too, and fewer are easier to choose from")
        notes += [
            f"{what}: {_count(of.short)} of {each.name} lack some of its {len(of.seeds)} seeds"
            for each, of in ((baseline, first), (run, second))
            if of.short
        ]
        if not ids:
            notes.append(f"{what}: {baseline.name} and {run.name} have no samples in common: not compared")
            continue
        moved = [name for name in ids if first.group[name] != second.group[name]]
        if moved:
            raise PaxionError(
                f"{what}: {run.name} has {some(moved)} in other groups than {baseline.name}, expected the same source "
                "for the same id; are they the same clips?"
            )
        groups = tuple(first.group[name] for name in ids)
        ours_of, theirs_of = (np.array([of.credit[name] for name in ids]) for of in (first, second))
        seeds = len(first.seeds), len(second.seeds)
        joined.append(Joined(asked, ids, groups, ours_of, theirs_of, lost, extra, seeds))
    return joined, notes


def described(data: str, task: str, control: str) -> str:
    """What was asked, in words."""
    return f"{task} on {data}" + ("" if control == "none" else f" under {control}")


def some(ids: Sequence[str]) -> str:
    """How many, and the first of them."""
    named = ", ".join(ids[:NAMED])
    return f"{_count(ids)} ({named}{', ...' if len(ids) > NAMED else ''})"


def _count(samples: int | Mapping[str, float] | Sequence[str]) -> str:
    count = samples if isinstance(samples, int) else len(samples)
    return f"{count} sample{'' if count == 1 else 's'}"
