"""The credits of one run, by what was asked: averaged over seeds, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from paxion.comparing.runs import Run
from paxion.records import PaxionError

Asked = tuple[str, str, str]
"""Data set, task and control."""


@dataclass(frozen=True)
class Credits:
    """What one run has under one data set, task and control."""

    credit: dict[str, float]
    """Sample id to its credit, the mean over the seeds."""
    group: dict[str, str]
    seeds: tuple[int, ...]
    short: int
    """Samples that some of the seeds do not have: their mean is over those that do."""


def credits_of(run: Run) -> dict[Asked, Credits]:
    """The credits of all that a run was asked.

    A model trained or drawn several times answers each clip several times: that is one clip, not several. Its credits
    are averaged first, so n counts clips and intervals are clustered over their sources; what other seeds would have
    given is not in the interval.
    Raises PaxionError for credits that are no finite number and for samples that occur twice, by count and id.
    """
    parts: dict[Asked, dict[int, dict[str, float]]] = {}
    groups: dict[Asked, dict[str, str]] = {}
    twice: list[str] = []
    bad: list[str] = []
    for row in run.rows:
        asked = row.data, row.task, row.control
        part = parts.setdefault(asked, {}).setdefault(row.seed, {})
        if row.id in part:
            twice.append(row.id)
        part[row.id] = row.credit
        groups.setdefault(asked, {})[row.id] = row.group
        if not math.isfinite(row.credit):
            bad.append(row.id)
    where = f"{run.folder or 'the run'}: {run.model}"
    if bad:
        raise PaxionError(f"{where}: {_named(bad)} with a credit that is no finite number, expected 0 to 1")
    if twice:
        raise PaxionError(
            f"{where}: {_named(twice)} twice under one data set, task, control and seed, expected each sample once"
        )
    return {asked: _mean(seeds, groups[asked]) for asked, seeds in parts.items()}


def _mean(parts: dict[int, dict[str, float]], groups: dict[str, str]) -> Credits:
    if len(parts) == 1:
        ((seed, credit),) = parts.items()
        return Credits(credit, groups, (seed,), 0)
    held: dict[str, list[float]] = {}
    for part in parts.values():
        for name, credit_of in part.items():
            held.setdefault(name, []).append(credit_of)
    short = sum(len(found) < len(parts) for found in held.values())
    return Credits({name: sum(found) / len(found) for name, found in held.items()}, groups, tuple(sorted(parts)), short)


def _named(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in list(dict.fromkeys(ids))[:3])
    return f"{len(ids)} row{'s' if len(ids) > 1 else ''} ({shown}{', ...' if len(set(ids)) > 3 else ''})"
