"""A sample of a run as a person looks at it: the clip, what came out, and what each model scores each text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paxion.evaluation.probes import TIE
from paxion.inspection.found import by_task, outcome
from paxion.inspection.one_clip import TextScore, best
from paxion.records import Row, Sample


@dataclass(frozen=True)
class View:
    """One sample of a run."""

    sample: Sample
    rows: list[Row]
    """Of all samples; those of this one are picked by id."""
    texts: dict[str, str]
    """Text to what it is, see `found.own_texts`."""
    scores: dict[str, list[TextScore]] = field(default_factory=dict)
    """Model to the scores of `texts`, in their order; empty when no model could be loaded."""
    nearest: dict[str, dict[str, list[TextScore]]] = field(default_factory=dict)
    """Retrieval task to model to the texts that fit best, the best first."""
    frames: NDArray[np.uint8] | None = None
    """(T, H, W, 3)"""

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What the manifest says of the clip."""
        known = ("video", "caption", "action", "verb", "group", "split", "source", "question", "kind")
        facts = [(name, str(value)) for name in known if (value := getattr(self.sample, name)) is not None]
        if self.sample.start is not None or self.sample.end is not None:
            facts.append(("window", f"{self.sample.start or 0:g} to {self.sample.end or 'the end'} s"))
        return facts

    @property
    def results(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """(models, [(task under control, what came out for each model)])."""
        found = by_task(self.rows, self.sample.id)
        models = list(dict.fromkeys(model for rows in found.values() for model in rows))
        lines = []
        for (task, control), rows in found.items():
            label = task if control == "none" else f"{task}, {control}"
            lines.append((label, [outcome(rows[model]) if model in rows else "-" for model in models]))
        return models, lines


def print_view(console: Console, view: View) -> None:
    """Print a sample as text."""
    console.print(Text(view.sample.id, style="bold"))
    for name, value in view.facts:
        console.print(Text(f"  {name}: {value}"), soft_wrap=True)
    models, lines = view.results
    if lines:
        table = Table(
            title="what came out (margin of the right answer)", title_justify="left", box=None, pad_edge=False
        )
        table.add_column("")
        for model in models:
            table.add_column(Text(model), justify="right", overflow="fold")
        for label, cells in lines:
            table.add_row(label, *cells)
        console.print(table)
    if view.scores:
        print_scores(console, list(view.texts), view.scores, view.texts)
    for task, by_model in view.nearest.items():
        for model, scores in by_model.items():
            console.print(Text(f"{task}: what {model} finds nearest", style="dim"))
            for place, score in enumerate(scores, 1):
                own = " (its own)" if score.text in (view.sample.caption, view.sample.template) else ""
                console.print(Text(f"  {place}. {score.forward:.3f}  {score.text}{own}"), soft_wrap=True)
    console.print()


def print_scores(
    console: Console, texts: Sequence[str], scores: Mapping[str, Sequence[TextScore]], notes: Mapping[str, str]
) -> None:
    """Print one line a text: each model's similarity, and that of the reversed clip; the best text of a model in bold.

    notes: what a text is, where known.
    """
    table = Table(title="similarity (of the reversed clip)", title_justify="left", box=None, pad_edge=False)
    table.add_column("text", overflow="fold")
    for model in scores:
        # A score and that of the reversal stay on one line, whatever becomes of the name.
        table.add_column(Text(model), justify="right", overflow="fold", min_width=15, max_width=28)
    tops = {model: set(best([score.forward for score in found])) for model, found in scores.items()}
    for place, text in enumerate(texts):
        label = Text(text)
        if notes.get(text):
            label.append(f"  [{notes[text]}]", style="dim")
        cells = []
        for model, found in scores.items():
            score = found[place]
            cell = Text(f"{score.forward:.3f}", style="bold" if place in tops[model] else "")
            same = abs(score.forward - score.backward) <= TIE
            cell.append(" (same)" if same else f" ({score.backward:.3f})", style="not bold dim")
            cells.append(cell)
        table.add_row(label, *cells)
    console.print(table)
