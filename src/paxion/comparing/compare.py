"""Comparing models sample by sample: how far apart they are on each task, and whether that could be luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from paxion.comparing.agreement import check
from paxion.comparing.comparison import Comparison as Comparison
from paxion.comparing.comparison import Line, Paired, StratumLine
from paxion.comparing.credits import Asked, Credits, credits_of
from paxion.comparing.joining import Joined, asked_for, described, join
from paxion.comparing.runs import Run
from paxion.evaluation.breakdowns import Strata, missing, parts, require_fact
from paxion.evaluation.detectable import detectable_difference
from paxion.evaluation.multiple import holm
from paxion.evaluation.paired import mcnemar, paired_difference, permutation
from paxion.evaluation.statistics import Floats
from paxion.evaluation.strata import STRATA
from paxion.records import RETRIEVALS, PaxionError, unknown_name

DRAWN = ("frozen", "shuffled", "other")
"""Controls that are drawn from a run's seed."""


def compare(
    runs: Sequence[Run],
    *,
    tasks: Sequence[str] = (),
    controls: Sequence[str] = ("none",),
    by: str | None = None,
    seed: int = 0,
    allow: Sequence[str] = (),
) -> Comparison:
    """Compare every run with the first one, on each data set, task and control that both have.

    runs: two or more, under names of their own (`reading.read_runs`, `runs.named`). tasks, controls: those wanted; no
    task given is every task, and the control "all" every control. by: one of `strata.STRATA`, for a breakdown.
    seed: of permutation tests that cannot count every exchange. allow: facts that may differ (`agreement.FACTS`).
    Credits of several seeds are averaged by sample. Samples that one of two runs has alone are listed and in no number.
    Raises PaxionError for fewer than two runs, runs that differ in what they were asked, no samples in common, samples
    that occur twice or belong to other groups, credits that are no number, unknown names, and a `by` of no sample.
    """
    if len(runs) < 2:
        only = f"one model ({runs[0].name})" if runs else "none"
        raise PaxionError(f"got {only} to compare, expected two or more: give another run, or one of several models")
    if by is not None and by not in STRATA:
        raise unknown_name("stratum", by, STRATA)
    allowed, notes = check(runs, allow)
    held = [credits_of(run) for run in runs]
    wanted = asked_for(held, tasks, controls)
    found: list[tuple[Run, Joined]] = []
    for run, theirs in zip(runs[1:], held[1:], strict=True):
        joined, said = join(runs[0], held[0], run, theirs, wanted)
        found += [(run, each) for each in joined]
        notes += said
    if not found:
        raise PaxionError(
            f"the runs have no samples in common: {_holdings(runs, held)}; expected runs of the same clips"
        )
    datas = list(dict.fromkeys(asked[0] for asked in wanted))
    found.sort(key=lambda pair: datas.index(pair[1].asked[0]))  # stable: within a data set, run after run
    lines = [_line(run, joined, seed) for run, joined in found]
    notes += [note for run in runs[1:] if (note := _drawn(runs[0], run, lines))]
    adjusted = holm([line.paired.p for line in lines])
    lines = [replace(line, paired=replace(line.paired, holm=p)) for line, p in zip(lines, adjusted, strict=True)]
    if by is not None:
        strata = {run.name: {**run.strata, **runs[0].strata} for run in runs[1:]}
        facts = {name: known for each in strata.values() for name, known in each.items()}
        require_fact({name for _, joined in found for name in joined.ids}, facts, by)
        broken = [_strata(joined, strata[run.name], by, seed) for run, joined in found]
        lines = [replace(line, strata=each) for line, each in zip(lines, broken, strict=True)]
        notes += [note for line in lines if (note := _unnamed(line, by))]
    models = tuple(run.name for run in runs[1:])
    return Comparison(runs[0].name, models, tuple(lines), by, seed, tuple(allowed), tuple(dict.fromkeys(notes)))


def paired(ours: Floats, theirs: Floats, groups: Sequence[str], seed: int = 0) -> Paired:
    """A model's credits (N,) against the baseline's, `theirs` (N,). Of one test by itself: `holm` is its p."""
    difference, of = ours - theirs, paired_difference(ours, theirs, groups)
    p = permutation(difference, groups, seed)
    least = detectable_difference(difference, groups)
    means = float(np.mean(theirs)), float(np.mean(ours))
    return Paired(*means, of.value, of.low, of.high, of.n, of.groups, p, p, mcnemar(ours, theirs), least)


def _line(run: Run, joined: Joined, seed: int) -> Line:
    data, task, control = joined.asked
    return Line(
        run.name, data, task, control,
        "R@1" if task.partition(":")[0] in RETRIEVALS else "accuracy",
        paired(joined.model, joined.baseline, joined.groups, seed),
        joined.only_baseline, joined.only_model, joined.seeds,
    )  # fmt: skip


def _strata(joined: Joined, strata: Strata, by: str, seed: int) -> tuple[StratumLine, ...]:
    """The strata of a line, first the one in which the model does worst against the baseline."""
    place = {name: i for i, name in enumerate(joined.ids)}
    found = []
    for name, ids in parts(joined.ids, strata, by).items():
        chosen = [place[each] for each in ids]
        groups = [joined.groups[i] for i in chosen]
        found.append(StratumLine(name, paired(joined.model[chosen], joined.baseline[chosen], groups, seed)))
    adjusted = holm([each.paired.p for each in found])
    found = [replace(each, paired=replace(each.paired, holm=p)) for each, p in zip(found, adjusted, strict=True)]
    return tuple(sorted(found, key=lambda each: (each.paired.difference, each.paired.model, each.name)))


def _drawn(baseline: Run, run: Run, lines: Sequence[Line]) -> str | None:
    """What is to be said where a control has drawn other frames or clips for the one run than for the other."""
    controls = dict.fromkeys(line.control for line in lines if line.model == run.name and line.control in DRAWN)
    ours, theirs = baseline.provenance.get("seed"), run.provenance.get("seed")
    if not controls or ours == theirs:
        return None
    seeds = f"seed {ours} for {baseline.name} and {theirs} for {run.name}"
    return f"{', '.join(controls)}: drawn by {seeds}: other frames or clips"


def _unnamed(line: Line, by: str) -> str | None:
    """What a line's samples without the fact are shown as, if there are any."""
    count = next((each.paired.n for each in line.strata if each.name == missing(by)), 0)
    if not count:
        return None
    return f"{described(line.data, line.task, line.control)}: {count} of {line.paired.n} have no {by}: {missing(by)}"


def _holdings(runs: Sequence[Run], held: Sequence[dict[Asked, Credits]]) -> str:
    said = []
    for run, found in zip(runs, held, strict=True):
        of = list(dict.fromkeys(f"{task} of {data} under {control}" for data, task, control in found))
        first = next((name for credits in found.values() for name in credits.credit), "none")
        said.append(f"{run.name} has {', '.join(of[:3])}{' ...' if len(of) > 3 else ''} (first id {first})")
    return "; ".join(said)
