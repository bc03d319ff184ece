"""A run of ask: every model's answers and scores, the files it writes, and what it prints."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from paxion.asking.cache import Cache
from paxion.asking.model import Answerer
from paxion.asking.run import Plan, ask, chance
from paxion.commands import page_of, say
from paxion.evaluation.evaluate import Evaluation
from paxion.evaluation.gains import gains_of
from paxion.evaluation.strata import strata_by_id
from paxion.manifest import manifest_hash
from paxion.progress import progress
from paxion.records import PaxionError, Score
from paxion.report.table import percent
from paxion.results import RESULTS, Missed, Results, provenance, write_results, write_strata

METRICS = {
    "accuracy": "accuracy",
    "AUROC": "AUROC",
    "both_orders": "both orders",
    "both_right": "both right",
    "same_answer": "same answer",
    "consistency": "same text",
    "answered_first": "yes / first",
    "unparsed": "unparsed",
}
"""Columns of the printed table; the rest is in results.json and on the page."""
NOTES = 12
"""Printed at most."""


def ask_answerers(
    console: Console, answerers: Iterable[Answerer], plan: Plan, split: str, cache: Path, out: Path
) -> int:
    """Ask models, each loaded when its turn comes; write the run and print it. split: what the plan's samples are."""
    kept, evaluation = Cache(cache), chance(plan)
    described: dict[str, dict[str, Any]] = {}
    for answerer in answerers:
        if answerer.name in described:
            raise PaxionError(f"got two models that are called {answerer.name}, expected each once; leave one out")
        described[answerer.name] = {"revision": answerer.revision, "frames": answerer.frames}
        evaluation.add(_asked(console, answerer, plan, kept))
    told = {
        "seed": plan.seed,
        "protocol": "ask",
        "manifest": {"path": str(plan.manifest), "hash": manifest_hash(plan.manifest), "split": split},
        "sampler": plan.sampler,
        "engine": f"PyAV {metadata.version('av')}",
        "models": list(described),
        "answerers": described,
        "prompts": plan.prompts,
        "how": plan.how,
        "notes": evaluation.notes,
        "missed": evaluation.missed,
    }
    results = Results(provenance(**told), evaluation.scores)
    write_strata(out, strata_by_id(sample for samples in plan.by_data.values() for sample in samples))
    write_results(out, results, evaluation.rows)
    _show(console, evaluation)
    by_data = {data: list(samples) for data, samples in plan.by_data.items()}
    page_of(out, results, evaluation.rows, by_data, plan.manifest, plan.seed)
    say(console, f"the page: {out / 'report.html'}")
    return 0


def _asked(console: Console, answerer: Answerer, plan: Plan, cache: Cache) -> Evaluation:
    with ExitStack() as stack:
        return ask(answerer, plan, cache, lambda total: stack.enter_context(progress(console, answerer.name, total)))


def _show(console: Console, evaluation: Evaluation) -> None:
    """A table for each task and control, a row a model; then the gains, and what could not be scored."""
    scores = evaluation.scores
    asked = [score for score in scores if score.model != "chance"]
    if not asked:
        say(console, "no scores to show")
    for data, task, control in dict.fromkeys((score.data, score.task, score.control) for score in asked):
        found = {(s.model, s.metric): s for s in scores if (s.data, s.task, s.control) == (data, task, control)}
        metrics = [metric for metric in METRICS if any(key[1] == metric for key in found)]
        title = f"{data}: {task}" + ("" if control == "none" else f" under {control}")
        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
        table.add_column("percent", no_wrap=True)
        for name in (*(METRICS[metric] for metric in metrics), "n"):
            table.add_column(name, justify="right")
        for model in dict.fromkeys(key[0] for key in found):
            cells = [_cell(found.get((model, metric)), metric == "accuracy") for metric in metrics]
            table.add_row(model.replace("[", r"\["), *cells, str(found[model, "accuracy"].n))
        console.print(table)
    if asked:
        console.print("± half the 95 % interval, clustered by group.", style="dim")
    for gain in gains_of(evaluation.rows, scores):
        told = f"{percent(gain.value)} ({percent(gain.low)} to {percent(gain.high)})"
        say(console, f"{gain.kind} of {gain.model}, {gain.data}: {gain.task}: {told}, n {gain.n}, p {gain.p:.3g}")
    for note in evaluation.notes[:NOTES]:
        say(console, note)
    if len(evaluation.notes) > NOTES:
        say(console, f"{len(evaluation.notes) - NOTES} more notes are in {RESULTS}")
    for miss in evaluation.missed:
        say(console, _missed(miss))


def _cell(score: Score | None, interval: bool) -> str:
    if score is None:
        return ""
    return percent(score.value) + (f" ±{percent((score.high - score.low) / 2)}" if interval else "")


def _missed(miss: Missed) -> str:
    named = ", ".join(miss.examples) + (" ..." if miss.count > len(miss.examples) else "")
    return f"not scored: {miss.count} of {miss.data} ({miss.task}): {miss.reason}" + (
        f": {named}" if miss.examples else ""
    )
