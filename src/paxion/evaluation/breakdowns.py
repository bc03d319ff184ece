"""Breakdowns: one score split by a fact of its samples, worst first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paxion.evaluation.statistics import estimate
from paxion.evaluation.strata import STRATA
from paxion.evaluation.twins import TURNED
from paxion.records import PaxionError, Row, unknown_name

Strata = Mapping[str, Mapping[str, str]]
"""Sample id to its facts, as `results.read_strata` gives them."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """The mean credit on the samples that share a fact, with its interval, all fractions."""

    name: str
    value: float
    low: float
    high: float
    n: int
    """Number of rows after seeds are averaged: samples, or clips and reversals of twins."""
    ties: int
    groups: int


def breakdown(rows: Sequence[Row], strata: Strata, by: str) -> list[Stratum]:
    """The strata of one score, worst first; together they are all its rows.

    rows: of one model, data set, task and control; credits of several seeds are averaged by sample. by: one of STRATA.
    Rows without the fact are the stratum `missing(by)`. Raises PaxionError for an unknown `by`, and where no row has
    the fact; ValueError for rows of several models, data sets, tasks or controls.
    """
    kinds = {(row.model, row.data, row.task, row.control) for row in rows}
    if len(kinds) > 1:
        raise ValueError(f"got rows of {sorted(kinds)[:3]}, expected those of one model, data set, task and control")
    credits: dict[str, list[float]] = defaultdict(list)
    groups: dict[str, str] = {}
    for row in rows:
        credits[row.id].append(row.credit)
        groups[row.id] = row.group
    require_fact(credits, strata, by)
    found = []
    for name, ids in parts(credits, strata, by).items():
        values = np.array([sum(credits[each]) / len(credits[each]) for each in ids])
        of = [groups[each] for each in ids]
        e = estimate(values, of)
        found.append(Stratum(name, e.value, e.low, e.high, e.n, e.ties, len(set(of))))
    return sorted(found, key=lambda stratum: (stratum.value, stratum.name))


def parts(ids: Iterable[str], strata: Strata, by: str) -> dict[str, list[str]]:
    """The ids by their stratum; those without one under `missing(by)`. Every id is in exactly one part."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in ids:
        found[stratum_of(each, strata, by)].append(each)
    return dict(found)


def require_fact(ids: Collection[str], strata: Strata, by: str) -> None:
    """Raise PaxionError for an unknown `by`, and where no id has the fact: it says which they have instead."""
    if by not in STRATA:
        raise unknown_name("stratum", by, STRATA)
    if all(stratum_of(each, strata, by) == missing(by) for each in ids):
        known = [name for name in STRATA if any(stratum_of(each, strata, name) != missing(name) for each in ids)]
        instead = f"give one of {', '.join(known)}" if known else "score a manifest that has such facts"
        raise PaxionError(
            f"none of the {len(ids)} samples has a {by}, expected some to break the score down by it; {instead}"
        )


def stratum_of(id: str, strata: Strata, by: str) -> str:
    """The stratum of one row; a twin's reversal has those of its clip. `missing(by)` where there is none."""
    facts = strata.get(id)
    if facts is None:
        facts = strata.get(id.removesuffix(TURNED), {})
    return facts.get(by) or missing(by)


def missing(by: str) -> str:
    """What the stratum of samples without the fact is called: "(no verb)"."""
    return f"(no {by})"
