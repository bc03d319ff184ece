"""The tables of an experiment as records, from which all formats are written: nothing is computed after this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from paxion.experiment.intervals import Run, over_runs, paired_samples
from paxion.experiment.parts import BACKBONE, Backbone, Column, Experiment, Row, Table
from paxion.experiment.scores import Measured
from paxion.records import Score

Kind = Literal["runs", "sample"]


@dataclass(frozen=True)
class Cell:
    """A number of a table, a fraction: a mean over runs, or a difference of means."""

    value: float
    deviation: float | None
    low: float | None
    high: float | None
    kind: Kind | None
    """Of what the interval is: over runs, or with one run over samples. None: there is none."""
    runs: int
    wanted: int
    """How many runs there will be when all is done."""
    freedom: int
    n: tuple[int, int]
    """Fewest and most samples of a run."""
    best: bool = False

    def clear(self) -> bool:
        """Whether zero is outside of the interval."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Line:
    """A row: a model's cells, None where there is nothing (yet)."""

    label: str
    cells: tuple[Cell | None, ...]
    asked: tuple[bool, ...]
    """Whether the experiment has something for the cell at all: otherwise its absence is no gap."""
    cost: tuple[int, float] | None = None


@dataclass(frozen=True)
class Part:
    """The rows of one group of backbones."""

    group: str
    lines: tuple[Line, ...]
    levels: tuple[float | None, ...]
    """What guessing gives."""
    counts: tuple[str, ...]
    differences: tuple[Line, ...]
    """To the reference, run by run."""


@dataclass(frozen=True)
class Made:
    """A whole table."""

    title: str
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    reference: str | None
    cost: bool
    notes: tuple[str, ...]


def make_tables(experiment: Experiment, measured: Measured) -> list[Made]:
    """All tables of an experiment."""
    return [_made(experiment, table, measured) for table in experiment.tables]


def _made(experiment: Experiment, table: Table, measured: Measured) -> Made:
    groups = dict.fromkeys(backbone.group for backbone in experiment.backbones.values())
    parts = tuple(_part(experiment, table, measured, group) for group in groups)
    return Made(table.title, table.columns, parts, table.reference, table.cost, tuple(_notes(table, parts, measured)))


def _part(experiment: Experiment, table: Table, measured: Measured, group: str) -> Part:
    backbones = [backbone for backbone in experiment.backbones.values() if backbone.group == group]
    runs = [(backbone.name, seed) for backbone in backbones for seed in experiment.seeds]
    grid = {
        row.label: [_scores(experiment, measured, row, column, runs) for column in table.columns] for row in table.rows
    }
    lines = []
    for row in table.rows:
        wanted = [
            0 if measured.absent(column) else _wanted(experiment, row, column, backbones) for column in table.columns
        ]
        cells = [_cell(found, count) for found, count in zip(grid[row.label], wanted, strict=True)]
        lines.append(
            Line(row.label, tuple(cells), tuple(map(bool, wanted)), _cost(experiment, table, row, measured, runs))
        )
    levels = tuple(
        next((level for b in backbones if (level := measured.level(b.name, column)) is not None), None)
        for column in table.columns
    )
    counts = tuple(_counts([line.cells[index] for line in lines]) for index in range(len(table.columns)))
    differences: tuple[Line, ...] = ()
    if table.reference is not None:
        reference = next(row for row in table.rows if row.label == table.reference)
        differences = tuple(
            _difference(experiment, measured, table, row, reference, grid, runs)
            for row in table.rows
            if row.label != table.reference
        )
    return Part(group, _best(lines), levels, counts, differences)


def _model_of(experiment: Experiment, row: Row, column: Column, backbone: Backbone) -> str | None:
    """Which of a row's models a column's task asks on a backbone."""
    asked = experiment.tasks[column.task].models
    there = (n for n in row.models if n in asked and (n == BACKBONE or experiment.models[n].on(backbone)))
    return next(there, None)


def _scores(
    experiment: Experiment, measured: Measured, row: Row, column: Column, runs: Sequence[Run]
) -> dict[Run, Score]:
    found: dict[Run, Score] = {}
    for run in runs:
        model = _model_of(experiment, row, column, experiment.backbones[run[0]])
        if model is not None:
            found |= measured.values(model, column, [run])
    return found


def _wanted(experiment: Experiment, row: Row, column: Column, backbones: Sequence[Backbone]) -> int:
    models = [_model_of(experiment, row, column, backbone) for backbone in backbones]
    return sum(0 if m is None else 1 if m == BACKBONE else len(experiment.seeds) for m in models)


def _cell(found: Mapping[Run, Score], wanted: int) -> Cell | None:
    if not found:
        return None
    summary = over_runs({run: score.value for run, score in found.items()})
    sizes = [score.n for score in found.values()]
    low, high, kind = summary.low, summary.high, "runs"
    if low is not None and high is not None:
        low, high = max(0.0, low), min(1.0, high)  # no score is outside of these
    if len(found) == 1:
        (score,) = found.values()
        low, high, kind = score.low, score.high, "sample"
    size = min(sizes), max(sizes)
    return Cell(summary.mean, summary.deviation, low, high, kind, summary.runs, wanted, summary.freedom, size)  # type: ignore[arg-type]


def _difference(
    experiment: Experiment,
    measured: Measured,
    table: Table,
    row: Row,
    reference: Row,
    grid: Mapping[str, list[dict[Run, Score]]],
    runs: Sequence[Run],
) -> Line:
    """A row less the reference, run by run. The backbone has one run for all seeds: all are compared with it."""
    cells: list[Cell | None] = []
    asked: list[bool] = []
    backbones = [experiment.backbones[name] for name in dict.fromkeys(backbone for backbone, _ in runs)]
    for index, column in enumerate(table.columns):
        wanted = [min(_wanted(experiment, one, column, [b]) for one in (row, reference)) for b in backbones]
        wanted = [
            max(_wanted(experiment, one, column, [b]) for one in (row, reference)) if fewest else 0
            for b, fewest in zip(backbones, wanted, strict=True)
        ]
        ours, theirs = grid[row.label][index], grid[reference.label][index]
        pairs = {run: (_at(ours, run), _at(theirs, run)) for run in {**ours, **theirs}}
        both = {run: pair for run, pair in pairs.items() if pair[0] is not None and pair[1] is not None}
        asked.append(sum(wanted) > 0 and not measured.absent(column))
        if not both:
            cells.append(None)
            continue
        summary = over_runs({run: a.value - b.value for run, (a, b) in both.items()})  # type: ignore[union-attr]
        low, high, kind, size = summary.low, summary.high, "runs" if summary.low is not None else None, (0, 0)
        if len(both) == 1:
            ((run, (a, b)),) = both.items()
            size = (a.n, a.n)  # type: ignore[union-attr]
            credits = [
                measured.samples(one.model, (run[0], run[1] if one.model != BACKBONE else experiment.seeds[0]), column)
                for one in (a, b)
                if one is not None
            ]
            interval = paired_samples(credits[0], credits[1])
            # The same samples as the two scores, or no interval: what is shown has to be of what is shown.
            if interval is not None and interval[2] == size[0]:
                low, high, kind = interval[0], interval[1], "sample"
        cell = Cell(
            summary.mean, summary.deviation, low, high, kind, summary.runs, sum(wanted), summary.freedom, size,  # type: ignore[arg-type]
        )  # fmt: skip
        cells.append(cell)
    return Line(row.label, tuple(cells), tuple(asked))


def _at(found: Mapping[Run, Score], run: Run) -> Score | None:
    """The score of a run; of the backbone, that of its first seed."""
    if run in found:
        return found[run]
    of_backbone = [s for (backbone, _), s in found.items() if backbone == run[0] and s.model == BACKBONE]
    return of_backbone[0] if of_backbone else None


def _cost(
    experiment: Experiment, table: Table, row: Row, measured: Measured, runs: Sequence[Run]
) -> tuple[int, float] | None:
    """Mean trained parameters and seconds of those models of a row that the table shows; a method's are its model's."""
    if not table.cost:
        return None
    names = {_model_of(experiment, row, c, experiment.backbones[run[0]]) for c in table.columns for run in runs}
    trained = {experiment.models[name].trained for name in names if name is not None and name != BACKBONE}
    sums: dict[Run, float] = {}
    sizes: list[int] = []
    for run in runs:
        costs = [measured.costs[name, *run] for name in trained if (name, *run) in measured.costs]
        if costs:
            sums[run] = sum(seconds for _, seconds in costs)
            sizes += [size for size, _ in costs]
    return (max(sizes), fmean(sums.values())) if sums else None


def _best(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Mark the highest of each column, as printed, among two or more."""
    marked = [list(line.cells) for line in lines]
    for index in range(len(marked[0]) if marked else 0):
        column = [cells[index] for cells in marked]
        values = [round(100 * cell.value, 1) for cell in column if cell is not None]
        for cells, cell in zip(marked, column, strict=True):
            if cell is not None and len(values) > 1 and round(100 * cell.value, 1) == max(values):
                cells[index] = replace(cell, best=True)
    return tuple(
        Line(line.label, tuple(cells), line.asked, line.cost) for line, cells in zip(lines, marked, strict=True)
    )


def _counts(cells: Sequence[Cell | None]) -> str:
    sizes = [size for cell in cells if cell is not None for size in cell.n]
    if not sizes:
        return "-"
    return str(min(sizes)) if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"


def _notes(table: Table, parts: Sequence[Part], measured: Measured) -> list[str]:
    """What a reader has to know: of what the intervals are, what is not there yet, what could not be scored."""
    notes = ["Percent."]
    every = [cell for part in parts for line in (*part.lines, *part.differences) for cell in line.cells if cell]
    freedoms = sorted({cell.freedom for cell in every if cell.kind == "runs"})
    if freedoms:
        degrees = " or ".join(map(str, freedoms))
        runs = " or ".join(map(str, sorted({cell.runs for cell in every if cell.kind == "runs"})))
        notes.append(
            f"± standard deviation over {runs} runs (backbones and seeds); in brackets the 95 % interval of the mean "
            f"over runs, clustered by backbone where there are several, Student's t with {degrees} degrees of freedom."
        )
    if any(cell.kind == "sample" for cell in every):
        only = "In brackets of one run:" if freedoms else "One run: in brackets"
        notes.append(f"{only} the 95 % interval over its samples, clustered by group; it says nothing of other runs.")
    if any(cell.kind is None for cell in every):
        notes.append("Without brackets: one run, whose samples are not kept for this metric.")
    if table.reference is not None:
        notes.append(
            f"Second block: differences to {table.reference}, run by run; bold where the interval is off zero."
        )
    if table.cost:
        notes.append(
            "Parameters: trained ones. Seconds: CPU time of training, with that of the models it goes on from, without "
            "encoding the clips."
        )
    gaps = sum(
        asked and (cell is None or cell.runs < cell.wanted)
        for part in parts
        for line in part.lines
        for cell, asked in zip(line.cells, line.asked, strict=True)
    )
    if gaps:
        notes.append(f"Not complete: {gaps} cells lack some or all of their runs (marked …).")
    for column in filter(measured.absent, table.columns):
        told = {s.data for (_, _, _, task), scores in measured.scores.items() if task == column.task for s in scores}
        of = f" of {column.data}" if column.data else ""
        notes.append(
            f"{column.label}: no single {column.score} {column.metric}{of} (control {column.control}) in what task "
            f"{column.task} gave; its data: {', '.join(sorted(told))}."
        )
    asked = {(column.task, column.score.partition(":")[0], column.data) for column in table.columns}
    for (task, data, score, reason), count in measured.missed.items():
        # A clip that cannot be read is missed by whatever is asked: its score is called "all".
        if any(
            of == task and score.partition(":")[0] in (what, "all") and where in (None, data)
            for of, what, where in asked
        ):
            notes.append(f"Not scored: {count} of {data} ({score}): {reason}.")
    return notes
