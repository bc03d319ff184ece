"""Gains on the terminal: what a score owes to guessing, to the clip and to the order of its frames."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from paxion.evaluation.gains import GAINS, Gain


def print_gains(console: Console, gains: Sequence[Gain]) -> None:
    """A table for each data set, a line for each model and task; nothing where no gain is known."""
    for data in dict.fromkeys(gain.data for gain in gains):
        table = Table(title=f"{data}: gains, in points", box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
        table.add_column("model", no_wrap=True)
        table.add_column("task", no_wrap=True)
        kinds = [kind for kind in GAINS if any(gain.kind == kind for gain in gains if gain.data == data)]
        for kind in kinds:
            table.add_column(kind, justify="right")
        found = {(gain.model, gain.task, gain.kind): gain for gain in gains if gain.data == data}
        for model, task in dict.fromkeys((gain.model, gain.task) for gain in gains if gain.data == data):
            cells = [found.get((model, task, kind)) for kind in kinds]
            table.add_row(model, task.replace("_", " "), *(_cell(cell) if cell else "" for cell in cells))
        console.print(table)


def _cell(gain: Gain) -> str:
    return f"{100 * gain.value:+.1f} ±{50 * (gain.high - gain.low):.1f}"
