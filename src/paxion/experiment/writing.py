"""The files that an experiment ends in: its tables in four formats, and results.json with every score."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from paxion import __version__
from paxion.experiment.latex import latex
from paxion.experiment.markdown import markdown
from paxion.experiment.page import page
from paxion.experiment.parts import BACKBONE, Experiment
from paxion.experiment.scores import Measured, of_column
from paxion.experiment.tables import Made, make_tables
from paxion.files import write_text

FILES = ("tables.md", "tables.tex", "tables.csv", "tables.html")
RESULTS = "results.json"
"""Written last: it says what the tables were made of."""
TIDY = (
    "table", "group", "row", "model", "backbone", "seed", "data", "task", "score", "control", "metric", "value", "low",
    "high", "n", "ties", "trainable", "cpu_seconds",
)  # fmt: skip


def up_to_date(out: Path, made_of: Mapping[str, Any]) -> bool:
    """Whether the tables are there, and were made of these stages."""
    try:
        told = json.loads((out / RESULTS).read_text(encoding="utf-8"))["provenance"]["made_of"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(told == json.loads(json.dumps(made_of))) and all((out / name).exists() for name in FILES)


def write_tables(
    out: Path, experiment: Experiment, measured: Measured, made_of: Mapping[str, Any], source: str
) -> list[Made]:
    """Write all files of an experiment; returns the tables. source: the file that it was read from."""
    tables = make_tables(experiment, measured)
    title = experiment.name
    texts = (
        markdown(title, experiment.about, tables),
        latex(title, tables),
        _tidy(experiment, measured),
        page(title, experiment.about, tables),
    )
    for name, text in zip(FILES, texts, strict=True):
        write_text(out / name, text)
    groups = {backbone.name: backbone.group for backbone in experiment.backbones.values()}
    scores = [
        {**asdict(score), "backbone": backbone, "group": groups[backbone], "seed": seed, "asked": task}
        for (_, backbone, seed, task), found in measured.scores.items()
        for score in found
    ]
    missed = [
        {"asked": task, "data": data, "task": score, "reason": reason, "count": count}
        for (task, data, score, reason), count in measured.missed.items()
    ]
    costs = [
        {"model": model, "backbone": backbone, "seed": seed, "trainable": size, "cpu_seconds": seconds}
        for (model, backbone, seed), (size, seconds) in measured.costs.items()
    ]
    told = {
        "paxion": __version__, "experiment": experiment.name, "file": source, "made_of": made_of, "missed": missed,
        "costs": costs,
    }  # fmt: skip
    content = {"provenance": told, "scores": scores}
    write_text(out / RESULTS, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return tables


def _tidy(experiment: Experiment, measured: Measured) -> str:
    """Every number behind the tables, one a line: no means. With costs of the run where the table has them."""
    text = io.StringIO()
    file = csv.writer(text, lineterminator="\n")
    file.writerow(TIDY)
    for table in experiment.tables:
        for row in table.rows:
            for (model, backbone, seed, task), scores in measured.scores.items():
                columns = [column for column in table.columns if column.task == task and model in row.models]
                trained = experiment.models[model].trained if model != BACKBONE else model
                cost = measured.costs.get((trained, backbone, seed), ("", "")) if table.cost else ("", "")
                for column in columns:
                    for score in (score for score in scores if of_column(score, column)):
                        file.writerow([
                            table.title, experiment.backbones[backbone].group, row.label, model, backbone, seed,
                            score.data, task, score.task, score.control, score.metric, score.value, score.low,
                            score.high, score.n, score.ties, *cost,
                        ])  # fmt: skip
    return text.getvalue()
