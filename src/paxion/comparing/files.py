"""A comparison as files: comparison.json with every number, comparison.md to be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from paxion.comparing.agreement import FACTS, said
from paxion.comparing.comparison import Comparison, Paired
from paxion.comparing.runs import Run
from paxion.comparing.wording import HEADS, asked, cells, conclusions, legend, percent
from paxion.files import write_text
from paxion.results import provenance

JSON, MARKDOWN = "comparison.json", "comparison.md"


def write_comparison(folder: Path, comparison: Comparison, runs: Sequence[Run]) -> None:
    """Write comparison.json and comparison.md to a folder, each whole or not at all."""
    write_text(folder / MARKDOWN, markdown(comparison))
    write_text(folder / JSON, to_json(comparison, runs) + "\n")


def to_json(comparison: Comparison, runs: Sequence[Run]) -> str:
    """Everything as JSON: what was compared, every line with its strata, and the ids that one run has alone."""
    about = [
        {
            "name": run.name,
            "model": run.model,
            "folder": run.folder,
            **{fact: said(run.provenance, path) for fact, path in FACTS.items()},
        }
        for run in runs
    ]
    content: dict[str, Any] = {
        "provenance": provenance(seed=comparison.seed),
        "runs": about,
        "holm": comparison.family,
        **asdict(comparison),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def markdown(comparison: Comparison) -> str:
    """The tables, and what the columns mean, in Markdown."""
    text = [f"# {', '.join(comparison.models)} against {comparison.baseline}", ""]
    text += [f"* {_plain(sentence)}" for sentence in conclusions(comparison)]
    text += ["", *_head("data", "task", "model"), *(
        _row((line.data, asked(line), line.model), line.paired) for line in comparison.lines
    )]  # fmt: skip
    for line in comparison.lines:
        if line.strata:
            title = f"{line.model}: {asked(line)} of {line.data} by {comparison.by}, worst first"
            text += ["", f"## {_plain(title)}", "", *_head(comparison.by or "")]
            text += [_row((each.name,), each.paired) for each in line.strata]
    notes = [
        f"Allowed to differ in {each.fact}: {each.run} ({each.baseline} and {each.value})"
        for each in comparison.allowed
    ]
    text += ["", *(f"* {_plain(note)}" for note in (*notes, *comparison.notes, *legend(comparison)))]
    return "\n".join(text) + "\n"


def _head(*first: str) -> list[str]:
    names = (*first, "baseline", "model's", *HEADS)
    return [f"| {' | '.join(names)} |", "|" + "---|" * len(first) + "--:|" * (len(names) - len(first))]


def _row(first: Sequence[str], paired: Paired) -> str:
    shown = (*map(_plain, first), percent(paired.baseline), percent(paired.model), *cells(paired))
    return f"| {' | '.join(shown)} |"


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is, in a table too."""
    return "".join("\\" + mark if mark in "\\|*_`<>[]" else mark for mark in " ".join(text.split()))
