"""Whether runs may be compared: what they were asked, of which clips, and how these were read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paxion.comparing.runs import Run
from paxion.records import PaxionError, unknown_name

FACTS: dict[str, tuple[str, ...]] = {
    "protocol": ("protocol",),
    "manifest": ("manifest", "hash"),
    "split": ("manifest", "split"),
    "sampler": ("sampler",),
    "engine": ("engine",),
    "labels": ("labels", "hash"),
    "prompts": ("prompts",),
    "question_text": ("question_text",),
}
"""What has to be the same, and where a run's provenance says it. Of rescored runs, the manifest's hash is that of the
questions."""


@dataclass(frozen=True, slots=True)
class Differing:
    """A fact in which a run is not as the baseline, and which was allowed to differ."""

    fact: str
    run: str
    baseline: str
    """What the baseline's provenance says."""
    value: str
    """What the run's says."""


def check(runs: Sequence[Run], allow: Sequence[str] = ()) -> tuple[list[Differing], list[str]]:
    """What differs between the first run and the others and is allowed to, and what cannot be checked, a line each.

    Raises PaxionError for a fact that differs and is not in `allow`, with both values; every such fact is in the line.
    """
    for name in allow:
        if name not in FACTS:
            raise unknown_name("--allow", name, FACTS)
    baseline, *others = runs
    allowed, notes = [], []
    for run in others:
        refused = []
        for fact, path in FACTS.items():
            ours, theirs = said(baseline.provenance, path), said(run.provenance, path)
            if ours == theirs:
                continue
            if ours is None or theirs is None:
                silent = baseline if ours is None else run
                notes.append(f"{silent.name} does not say its {fact}: not checked against {ours or theirs}")
            elif fact in allow:
                allowed.append(Differing(fact, run.name, ours, theirs))
            else:
                refused.append(f"{fact}: {ours} and {theirs}")
        if refused:
            facts = " ".join(line.partition(":")[0] for line in refused)
            raise PaxionError(
                f"{_where(baseline)} and {_where(run)} differ in {'; '.join(refused)}; expected runs that were asked "
                f"the same: score one of them again, or compare them all the same with --allow {facts}"
            )
    return allowed, list(dict.fromkeys(notes))


def said(provenance: Mapping[str, Any], path: Sequence[str]) -> str | None:
    """What a provenance says at a path of keys, as text; None where it says nothing."""
    value: Any = provenance
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False, default=str)


def _where(run: Run) -> str:
    return f"{run.folder}:{run.model}" if run.folder else run.name
