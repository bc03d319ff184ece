"""What `paxion rescore` does: read predictions, score them, write a run like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from paxion.commands import page_of, say
from paxion.evaluation.strata import strata_of
from paxion.files import make_folder
from paxion.manifest import read_manifest
from paxion.records import PaxionError, Score
from paxion.report.table import percent
from paxion.rescoring.assembly import Rescored, assembled
from paxion.rescoring.predictions import Predictions, digest
from paxion.rescoring.reading import read_predictions
from paxion.rescoring.vilma import with_proficiency
from paxion.results import Missed, Results, provenance, write_results, write_strata

METRICS = {
    "accuracy": "accuracy",
    "AUROC": "AUROC",
    "both_right": "both right",
    "same_answer": "same answer",
    "answered_first": "yes / first",
    "unparsed": "not readable",
}
"""Columns of the printed table; the rest is in results.json and on the page."""


def rescore(
    console: Console,
    files: tuple[Path, ...],
    out: Path,
    format: str,
    models: tuple[str, ...],
    judge: str,
    annotations: Path | None,
    proficiency: tuple[Path, ...],
    lower_is_better: bool,
    manifest: Path | None,
) -> int:
    """Score predictions and write results, rows, strata and the page."""
    read = read_predictions(files, models, format, judge, annotations, lower_is_better)
    if proficiency:
        read = _both_tests(read, proficiency, lower_is_better)
    rescored = assembled(read if manifest is None else [_placed(file, manifest) for file in read], _ids(manifest))
    make_folder(out)
    names = list(dict.fromkeys(file.model for file in read))
    results = Results(
        provenance(
            seed=0,
            protocol=f"rescored: {read[0].judged}",
            manifest={"path": str(manifest or files[0]), "hash": rescored.questions, "split": "as published"},
            sampler="as published",
            models=names,
            files=[{"path": str(f.file), "hash": digest(f.file), "format": f.format, "model": f.model} for f in read],
            notes=rescored.evaluation.notes,
            missed=rescored.evaluation.missed,
        ),
        rescored.evaluation.scores,
    )
    strata = rescored.strata
    if manifest is not None:
        strata = {sample.id: strata_of(sample) | strata.get(sample.id, {}) for sample in read_manifest(manifest)}
    write_strata(out, strata)
    write_results(out, results, rescored.evaluation.rows)
    _show(console, rescored)
    page_of(out, results, rescored.evaluation.rows, {}, Path(), 0)
    say(console, f"the page: {out / 'report.html'}")
    return 0


def _both_tests(main: Sequence[Predictions], files: Sequence[Path], lower_is_better: bool) -> list[Predictions]:
    if main[0].format != "vilma" or len(files) != len(main):
        raise PaxionError(
            f"got {len(files)} proficiency files for {len(main)} files of {main[0].format}, expected one for each file "
            "of vilma, in their order"
        )
    tests = read_predictions(files, [file.model for file in main], "vilma", lower_is_better=lower_is_better)
    return [with_proficiency(one, other) for one, other in zip(main, tests, strict=True)]


def _placed(file: Predictions, manifest: Path) -> Predictions:
    """The predictions with the groups of a manifest."""
    groups = {sample.id: sample.group for sample in read_manifest(manifest)}
    return replace(file, items=[replace(item, group=groups.get(item.id, item.group)) for item in file.items])


def _ids(manifest: Path | None) -> list[str] | None:
    return None if manifest is None else [sample.id for sample in read_manifest(manifest)]


def _show(console: Console, rescored: Rescored) -> None:
    """A table for each task, a row a model, then what is to be known of the files."""
    scores = rescored.evaluation.scores
    for data, task, control in dict.fromkeys((score.data, score.task, score.control) for score in scores):
        found = {(s.model, s.metric): s for s in scores if (s.data, s.task, s.control) == (data, task, control)}
        metrics = [metric for metric in METRICS if any(key[1] == metric for key in found)]
        title = f"{data}: {task}" + ("" if control == "none" else f" under {control}")
        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
        table.add_column("model")
        for name in (*(METRICS[metric] for metric in metrics), "n"):
            table.add_column(name, justify="right")
        for model in dict.fromkeys(key[0] for key in found):
            cells = [_cell(found.get((model, metric))) for metric in metrics]
            table.add_row(model, *cells, str(found[model, "accuracy"].n))
        console.print(table)
    for note in rescored.evaluation.notes:
        say(console, note)
    for miss in rescored.evaluation.missed:
        say(console, _missed(miss))


def _cell(score: Score | None) -> str:
    return "" if score is None else f"{percent(score.value)} ({percent(score.low)}-{percent(score.high)})"


def _missed(miss: Missed) -> str:
    named = ", ".join(repr(name) for name in miss.examples)
    more = " ..." if miss.count > len(miss.examples) else ""
    return f"{miss.count} of {miss.data} ({miss.task}): {miss.reason}" + (f": {named}{more}" if named else "")
