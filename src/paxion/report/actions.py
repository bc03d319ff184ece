"""Scores of the parts of a task: every action of video_to_action, every kind of question."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paxion.records import Score
from paxion.report.table import Column, columns_with_numbers, data_names, look_up, model_names, parts_of, percent

WORST = 10
"""Actions that are printed, the worst first."""
SEVERAL = 4
"""Models that fit beside the name of an action. Those under a method that puts the backbone beside come last."""


def details(scores: Sequence[Score], data: str) -> list[tuple[str, list[Column]]]:
    """The tables of parts of one data name: a title, and a column for every kind of question."""
    kinds = parts_of(scores, data, "questions")
    columns = columns_with_numbers(scores, data, [Column(f"questions:{kind}", "accuracy", kind) for kind in kinds])
    return [(f"Every kind of question on {data}", columns)] if columns else []


def worst_actions(scores: Sequence[Score], data: str) -> list[tuple[str, dict[str, float]]]:
    """The actions of a data name with the R@1 of every model, those with the lowest mean over the models first."""
    models = model_names(scores, text=False)
    found = []
    for action in parts_of(scores, data, "video_to_action"):
        cells = {name: look_up(scores, name, data, f"video_to_action:{action}", "R@1") for name in models}
        values = {name: cell.value for name, cell in cells.items() if cell is not None}
        if values:
            found.append((action, values))
    return sorted(found, key=lambda pair: (sum(pair[1].values()) / len(pair[1]), pair[0]))


def print_actions(console: Console, scores: Sequence[Score]) -> None:
    """Print the worst actions of each data name, if actions were scored on their own."""
    for data in data_names(scores):
        actions = worst_actions(scores, data)
        if not actions:
            continue
        models = [name for name in model_names(scores, text=False) if any(name in values for _, values in actions)]
        shown = sorted(models, key=lambda name: name.endswith("]"))[:SEVERAL]
        several = f"the {min(WORST, len(actions))} worst of " if len(actions) > WORST else ""
        title = Text(f"{data}: {several}{len(actions)} actions, R@1 in percent", style="bold")
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        table.add_column("action", overflow="fold", min_width=30)
        table.add_column("n", justify="right")
        for name in shown:
            table.add_column(Text(name), justify="right", overflow="fold")
        for action, values in actions[:WORST]:
            cell = look_up(scores, next(iter(values)), data, f"video_to_action:{action}", "R@1")
            numbers = (percent(values[name]) if name in values else "-" for name in shown)
            table.add_row(Text(action), str(cell.n if cell else 0), *numbers)
        console.print(table)
        left = len(models) - len(shown)
        more = f", and {left} more columns" if left else ""
        console.print(f"All actions{more} are in results.json.\n", style="dim")
