"""What a run has found out about single samples: its rows, the worst of them, and the texts that belong to a clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from paxion.manifest import read_rows as manifest_rows
from paxion.patching.checkpoint import CARD
from paxion.records import PaxionError, Row, Sample, unknown_name
from paxion.report.roles import roles_of
from paxion.report.table import CHANCE, TEXT
from paxion.results import Results, read_results, read_rows

QUESTION_TEXT = "{question}? {choice}"
"""How question and choice make one text, where the run does not say."""


@dataclass(frozen=True)
class Run:
    """A run folder: its results, its rows, and the samples that they are about."""

    folder: Path
    results: Results
    rows: list[Row]
    manifest: Path
    samples: dict[str, Sample]
    """By id; those of the split that was scored."""

    @property
    def models(self) -> list[str]:
        """The models of the rows that see clips, in order of appearance."""
        names = dict.fromkeys(row.model for row in self.rows)
        return [name for name in names if name != CHANCE and not name.startswith(TEXT)]

    @property
    def loadable(self) -> list[str]:
        """What the run's models were loaded from: the names given then, or the adapters in its own folder."""
        given = self.results.provenance.get("models")
        if isinstance(given, list) and given:
            return [str(name) for name in given]
        own = sorted(path.parent for path in (self.folder / "models").glob(f"*/{CARD}"))
        return ["backbone", *map(str, own)]


def read_run(folder: Path) -> Run:
    """Read a run of probe, evaluate or quickstart. Raises PaxionError when it is none, or its manifest is gone."""
    results = read_results(folder)
    rows = read_rows(folder)
    origin: Mapping[str, Any] = results.provenance.get("manifest") or {}
    manifest = Path(str(origin.get("path", "")))
    if not manifest.is_file():
        raise PaxionError(
            f"{folder} was made from {manifest}, which is not there; inspect it where the run was made, "
            "with the clips in place"
        )
    split = origin.get("split")
    samples = {sample.id: sample for sample in manifest_rows(manifest) if split in (None, sample.split)}
    return Run(folder, results, rows, manifest, samples)


def asked_for(run: Run, name: str) -> Sample:
    """The sample of an id. Raises PaxionError for an unknown one, or one that the run has not scored."""
    if name not in run.samples:
        near = get_close_matches(name, run.samples, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise PaxionError(f"got sample {name!r}{meant}, expected an id of {run.manifest}; --worst 5 shows some")
    if not any(row.id == name for row in run.rows):
        raise PaxionError(f"the run has no result of {name!r}: its clip was missed, or it is of another split")
    return run.samples[name]


def worst(run: Run, count: int, task: str | None = None, model: str | None = None) -> list[Sample]:
    """The samples that a model gets most wrong in a task: least credit first, then the smallest margin.

    task: default, the first that was scored. model: default, the patched one that the page is about, else the first.
    Raises PaxionError for an unknown task or model, a count below 1, and when there is no such row.
    """
    if count < 1:
        raise PaxionError(f"got worst {count}, expected at least 1")
    plain = [row for row in run.rows if row.control == "none" and row.id in run.samples]
    tasks = list(dict.fromkeys(row.task for row in plain))
    if task is not None and task not in tasks:
        raise unknown_name("task", task, tasks)
    if model is not None and model not in run.models:
        raise unknown_name("model", model, run.models)
    if not plain:
        raise PaxionError(f"{run.folder} has no rows without a control; give --sample ID")
    roles = roles_of(run.models, run.results.provenance)
    model = model or roles.subject(run.models) or run.models[0]
    task = task or tasks[0]
    rows = [row for row in plain if (row.task, row.model) == (task, model)]
    if not rows:
        raise PaxionError(f"{run.folder} has no rows of {model} on {task}; give another --task or --model")
    rows.sort(key=lambda row: (row.credit, row.right - row.wrong, -(row.rank or 0.0), row.id))
    return [run.samples[name] for name in dict.fromkeys(row.id for row in rows)][:count]


def own_texts(sample: Sample, question_text: str = QUESTION_TEXT) -> dict[str, str]:
    """Every text that belongs to a sample, and what it is: from text to "caption", "antonym", "choice 2, right" ..."""
    named: list[tuple[str | None, str]] = [
        (sample.caption, "caption"),
        (sample.antonym, "antonym"),
        (sample.replaced, "replaced"),
        (sample.template, "template"),
    ]
    question = (sample.question or "").rstrip("? ")
    for place, choice in enumerate(sample.choices or ()):
        right = ", right" if place == sample.answer else ""
        named.append((question_text.format(question=question, choice=choice), f"choice {place + 1}{right}"))
    texts: dict[str, str] = {}
    for text, what in named:
        if text is not None:
            texts[text] = f"{texts[text]}; {what}" if text in texts else what
    return texts


def candidates(run: Run, sample: Sample) -> dict[str, list[str]]:
    """For the retrieval tasks of the run, the distinct texts that a clip like this one was ranked against."""
    tasks = {row.task for row in run.rows}
    peers = [other for other in run.samples.values() if other.source == sample.source]
    found: dict[str, Iterable[str | None]] = {}
    if "video_to_action" in tasks:
        found["video_to_action"] = (other.template for other in peers)
    if "video_to_text" in tasks:
        found["video_to_text"] = (other.caption for other in peers)
    return {task: list(dict.fromkeys(text for text in texts if text)) for task, texts in found.items()}


def outcome(row: Row) -> str:
    """A row in a word or two: right, wrong or tie with the margin, or the rank."""
    if row.rank is not None and row.task != "questions":
        return f"rank {row.rank:g}"
    word = {1.0: "right", 0.0: "wrong"}.get(row.credit, "tie")
    return f"{word} {row.right - row.wrong:+.3f}"


def by_task(rows: Sequence[Row], name: str) -> dict[tuple[str, str], dict[str, Row]]:
    """The rows of a sample: (task, control) to model to row, of each model's first seed."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if row.id == name:
            found.setdefault((row.task, row.control), {}).setdefault(row.model, row)
    return found
