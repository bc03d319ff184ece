"""The numbers as tables: looking scores up, putting them in rows, and printing them to a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paxion.records import PROBES, QUESTIONS, Score
from paxion.report.roles import roles_of

MODELS = ("backbone", "patcher-vtc", "patcher-dvdm", "patcher", "fuser", "side-tuning", "ensemble")
"""The order models are shown in; models of other names follow, then text-only rows."""
CONTROLS = ("none", "shuffled", "last", "middle", "first", "frozen", "blind", "reversed", "other", "antonym_said")
"""The order controls are shown in: less and less of the clip, then what is changed about it."""
CHANCE = "chance"
"""A score of this model, if there is one, is the chance level of its task; otherwise the level is derived."""
TEXT = "text:"
"""Models of this prefix read the texts only and never see a clip."""
DATA_NOTES = {
    "world-A": "test clips of the visual domain the patch was trained on",
    "world-B": "a visual domain never trained on (zero-shot)",
}
"""What the data names of the world are to a patched model."""

INDENT = 5 * "\N{NO-BREAK SPACE}"
"""In the terminal, what stands in place of "±2.0" so that the numbers above and below line up."""


@dataclass(frozen=True, slots=True)
class Column:
    """What one column of a table shows."""

    task: str
    metric: str
    label: str


MAIN = (
    Column("antonym", "accuracy", "antonym"),
    Column("reversal", "accuracy", "reversal"),
    Column("object", "accuracy", "object"),
    Column("text_to_video", "R@1", "text to video"),
    Column("video_to_text", "R@1", "video to text"),
    Column("video_to_action", "R@1", "video to action"),
)
RETRIEVAL = tuple(
    Column(task, metric, f"{label} {metric}")
    for task, label, metrics in (
        ("text_to_video", "text to video", ("R@1", "R@5", "R@10")),
        ("video_to_text", "video to text", ("R@1", "R@5", "R@10")),
        ("video_to_action", "video to action", ("R@1", "R@5", "mAP")),
    )
    for metric in metrics
)
ASKED = (
    Column("questions", "accuracy", "questions"),
    Column("questions:causal", "accuracy", "causal"),
    Column("questions:temporal", "accuracy", "temporal"),
    Column("questions:descriptive", "accuracy", "descriptive"),
    Column("questions:hard", "accuracy", "hard"),
)
CAPTIONS, ACTIONS = RETRIEVAL[:6], RETRIEVAL[6:]


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a table. Values and bounds are fractions; over several seeds all are means over the seeds."""

    value: float
    low: float
    high: float
    n: int
    ties: int
    seeds: int
    deviation: float | None
    """Standard deviation over the seeds; None with one seed."""

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval, a fraction."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class TableRow:
    """One model's cells, one for each column; None where it was not scored."""

    model: str
    cells: tuple[Cell | None, ...]
    best: tuple[bool, ...]
    """Whether the cell is the highest of its column, as printed, among two or more models that see the clips."""


def percent(fraction: float) -> str:
    """A fraction as a percentage with one decimal and no sign: 0.5 is "50.0"."""
    return f"{100 * fraction:.1f}"


def data_names(scores: Sequence[Score]) -> list[str]:
    """The data names in the scores, the known worlds first, the others in order of appearance."""
    seen = list(dict.fromkeys(score.data for score in scores))
    return [name for name in DATA_NOTES if name in seen] + [name for name in seen if name not in DATA_NOTES]


def model_names(scores: Sequence[Score], *, text: bool = True) -> list[str]:
    """The models in the scores in the order they are shown.

    With `text`, the text-only rows close the list: "text:best" alone where it exists, else all of them.
    """
    # A model that was asked under controls only is no row of the tables, unless all were.
    plain = [score for score in scores if score.control == "none"] or scores
    seen = list(dict.fromkeys(score.model for score in plain if score.model != CHANCE))
    seeing = [name for name in MODELS if name in seen]
    seeing += [name for name in seen if name not in MODELS and not name.startswith(TEXT)]
    reading = [name for name in seen if name.startswith(TEXT)] if text else []
    return seeing + ([f"{TEXT}best"] if f"{TEXT}best" in reading else reading)


def look_up(
    scores: Sequence[Score], model: str, data: str, task: str, metric: str = "accuracy", control: str = "none"
) -> Cell | None:
    """The number for one model, data, task, metric and control, joined over seeds; None if it was not scored."""
    key = (model, data, task, metric, control)
    found = [s for s in scores if (s.model, s.data, s.task, s.metric, s.control) == key and not math.isnan(s.value)]
    if not found:
        return None
    values = [score.value for score in found]
    return Cell(
        value=fmean(values),
        low=fmean(score.low for score in found),
        high=fmean(score.high for score in found),
        n=found[0].n,
        ties=round(fmean(score.ties for score in found)),
        seeds=len(found),
        deviation=stdev(values) if len(values) > 1 else None,
    )


def chance(scores: Sequence[Score], data: str, task: str, metric: str) -> float | None:
    """What guessing gives, a fraction: 1/2 for a probe, k/gallery for R@k; None where the gallery is not known.

    The gallery of one retrieval direction is the set of queries of the other one. A score of the model "chance" wins.
    """
    given = look_up(scores, CHANCE, data, task, metric)
    if given is not None:
        return given.value
    if task in PROBES:
        return 0.5
    other = {"text_to_video": "video_to_text", "video_to_text": "text_to_video"}.get(task)
    if other is None or not metric.startswith("R@"):
        return None
    sizes = [score.n for wanted in (other, task) for score in scores if (score.data, score.task) == (data, wanted)]
    return min(1.0, int(metric[2:]) / sizes[0]) if sizes and sizes[0] else None


def main_table(scores: Sequence[Score], data: str, columns: Sequence[Column] = MAIN) -> list[TableRow]:
    """The models (rows) by `columns` for one data name, without controls. Models with no number are left out."""
    grid = {
        model: tuple(look_up(scores, model, data, column.task, column.metric) for column in columns)
        for model in model_names(scores)
    }
    grid = {model: cells for model, cells in grid.items() if any(cells)}
    tops: list[str | None] = []
    for index in range(len(columns)):
        rivals = [
            cell.value
            for model, cells in grid.items()
            if not model.startswith(TEXT) and (cell := cells[index]) is not None
        ]
        tops.append(percent(max(rivals)) if len(rivals) > 1 else None)
    return [
        TableRow(
            model,
            cells,
            tuple(
                cell is not None and not model.startswith(TEXT) and percent(cell.value) == top
                for cell, top in zip(cells, tops, strict=True)
            ),
        )
        for model, cells in grid.items()
    ]


def columns_with_numbers(scores: Sequence[Score], data: str, columns: Sequence[Column] = MAIN) -> list[Column]:
    """Those of `columns` for which some model has a number on `data`, without any control."""
    names = model_names(scores)
    return [c for c in columns if any(look_up(scores, name, data, c.task, c.metric) for name in names)]


def tables_of(scores: Sequence[Score], data: str) -> list[list[Column]]:
    """The columns of each table of one data name, as few as fit 80 characters side by side.

    Where probes were scored, they and the first ranks are the main table; a run of downstream tasks alone shows all.
    """
    probed = any(score.data == data and score.task in PROBES for score in scores)
    wanted = (MAIN, ASKED) if probed else (CAPTIONS, ACTIONS, ASKED)
    return [found for columns in wanted if (found := columns_with_numbers(scores, data, columns))]


def parts_of(scores: Sequence[Score], data: str, task: str) -> list[str]:
    """The parts that a task was scored on, but those in a table: its actions, or the kinds of its questions."""
    shown = {column.task for column in ASKED}
    names = dict.fromkeys(score.task for score in scores if score.data == data and score.control == "none")
    return [name.removeprefix(f"{task}:") for name in names if name.startswith(f"{task}:") and name not in shown]


def is_downstream(scores: Sequence[Score]) -> bool:
    """Whether the scores are of retrieval, actions and questions alone: no probe is among them."""
    tasks = {score.task.partition(":")[0] for score in scores}
    return bool(tasks & {*QUESTIONS, *(column.task for column in RETRIEVAL)}) and not tasks & set(PROBES)


def change(after: Cell, before: Cell) -> Literal["up", "same", "down"]:
    """Whether `after` is clearly above or below `before`: only if the two intervals do not overlap."""
    return "up" if after.low > before.high else "down" if after.high < before.low else "same"


def counts(scores: Sequence[Score], data: str, task: str, metric: str) -> str:
    """The number of samples behind a column: "800", or "795 to 800" where models differ."""
    cells = [look_up(scores, name, data, task, metric) for name in model_names(scores)]
    sizes = {cell.n for cell in cells if cell is not None}
    if not sizes:
        return "-"
    return str(min(sizes)) if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"


def print_table(console: Console, scores: Sequence[Score], provenance: Mapping[str, object] | None = None) -> None:
    """Print one table per data name: models by tasks, in percent, with chance and counts; best of a column in bold."""
    patched = roles_of(model_names(scores), provenance).patched
    if not scores:
        console.print("No scores to show.")
    for data in data_names(scores):
        groups = tables_of(scores, data)
        if not groups:
            console.print(f"{data}: no scores without a control.", markup=False)
        note = DATA_NOTES.get(data) if patched else None
        title = Text(data if note is None else f"{data}: {note}", style="bold")
        for columns in groups:
            _print_columns(console, scores, data, title, columns)
    if any(cell.deviation is not None for data in data_names(scores) for cell in _cells(scores, data)):
        console.print("Means over seeds; ± half the 95 % interval, clustered by group; sd over seeds.", style="dim")
    elif scores:
        console.print("± half the 95 % interval, clustered by group.", style="dim")


def _print_columns(
    console: Console, scores: Sequence[Score], data: str, title: Text, columns: Sequence[Column]
) -> None:
    # Seven columns have to fit into 80 characters.
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("percent", overflow="fold")
    for column in columns:
        metric = "" if column.metric == "accuracy" else f"\n{column.metric}"
        label = column.label.removesuffix(f" {column.metric}").replace(" to ", " to\n")
        table.add_column(label + metric, justify="right", no_wrap=True)
    for row in main_table(scores, data, columns):
        shown = (_terminal_cell(cell, best) for cell, best in zip(row.cells, row.best, strict=True))
        table.add_row(Text(row.model), *shown)
    levels = (chance(scores, data, column.task, column.metric) for column in columns)
    table.add_section()
    table.add_row("guessing", *(("-" if level is None else percent(level)) + INDENT for level in levels))
    table.add_row("n", *(counts(scores, data, c.task, c.metric) + INDENT for c in columns), style="dim")
    console.print(table)
    console.print()


def _cells(scores: Sequence[Score], data: str) -> list[Cell]:
    tables = [main_table(scores, data, columns) for columns in tables_of(scores, data)]
    return [cell for table in tables for row in table for cell in row.cells if cell is not None]


def _terminal_cell(cell: Cell | None, best: bool) -> Text:
    if cell is None:
        return Text("-" + INDENT, style="dim")
    text = Text(percent(cell.value), style="bold" if best else "")
    text.append(f" ±{percent(cell.half):<3}", style="not bold dim")
    if cell.deviation is not None:
        text.append(f"\nsd {percent(cell.deviation):<3}", style="not bold dim")
    return text
