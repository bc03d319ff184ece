"""A comparison in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paxion.comparing.comparison import Comparison, Line, Paired
from paxion.comparing.wording import HEADS, LEVEL, asked, cells, conclusions, legend, percent, signed

SHOWN = 12
"""Strata of a line that are shown; the files have them all."""


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print a table for each data set and model, the strata of each line, and what the columns mean."""
    for data in dict.fromkeys(line.data for line in comparison.lines):
        for model in comparison.models:
            lines = [line for line in comparison.lines if (line.data, line.model) == (data, model)]
            if lines:
                _print(console, f"{data}: {model} against {comparison.baseline}", "percent", _rows(lines))
            for line in lines:
                shown = [(each.name, each.paired) for each in line.strata[:SHOWN]]
                if shown:
                    _print(console, f"{asked(line)} by {comparison.by}, worst first", comparison.by or "", shown)
                if len(line.strata) > SHOWN:
                    _say(console, f"{len(line.strata) - SHOWN} more are in comparison.json (--out FOLDER).\n")
    for differing in comparison.allowed:
        text = f"allowed to differ: {differing.fact} is {differing.baseline} of {comparison.baseline}"
        _say(console, f"{text}, {differing.value} of {differing.run}")
    for note in (*comparison.notes, *conclusions(comparison)):
        _say(console, note)
    for sentence in legend(comparison):
        console.print(sentence, style="dim", highlight=False, markup=False)


def _rows(lines: Sequence[Line]) -> list[tuple[str, Paired]]:
    return [(asked(line), line.paired) for line in lines]


def _print(console: Console, title: str, first: str, rows: Sequence[tuple[str, Paired]]) -> None:
    # All columns have to fit into 80 characters.
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    table.add_column(first, overflow="fold")
    for head in ("base\nline", "model", "differ-\nence", *HEADS[1:-1]):
        table.add_column(head, justify="right", no_wrap=True)
    for name, paired in rows:
        _, *rest, _ = cells(paired)
        difference = Text(signed(paired.difference), style="bold" if paired.holm < LEVEL else "")
        difference.append(f" ±{percent((paired.high - paired.low) / 2):<4}", style="not bold dim")
        table.add_row(Text(name), percent(paired.baseline), percent(paired.model), difference, *rest)
    console.print(table)
    console.print()


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
