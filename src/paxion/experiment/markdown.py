"""Tables as text: what a cell says, and Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from paxion.experiment.tables import Cell, Line, Made, Part

GAP, NOTHING = "…", "-"
"""A cell that is yet to come, and one that the experiment does not fill."""


def heads(table: Made) -> list[str]:
    """The heads of the columns after the first."""
    return [column.label for column in table.columns] + (["parameters", "CPU s"] if table.cost else [])


def number(cell: Cell, *, signed: bool = False) -> str:
    """The mean of a cell in percent."""
    # A difference that rounds to nothing has no sign.
    value = round(100 * cell.value, 1) + 0.0
    return f"{value:+.1f}" if signed and value else f"{value:.1f}"


def spread(cell: Cell) -> str:
    """The standard deviation over runs; "" with one."""
    return "" if cell.deviation is None else f"{100 * cell.deviation:.1f}"


def interval(cell: Cell) -> str:
    """The interval in brackets; "" where there is none."""
    if cell.low is None or cell.high is None:
        return ""
    low, high = (round(100 * bound, 1) + 0.0 for bound in (cell.low, cell.high))
    return f"[{low:.1f}, {high:.1f}]"


def costs(line: Line) -> list[str]:
    """Trained parameters and seconds."""
    return (
        [NOTHING, NOTHING]
        if line.cost is None
        else [f"{line.cost[0]:,}", f"{line.cost[1]:,.{0 if line.cost[1] >= 10 else 1}f}"]
    )


def gap(cell: Cell | None, asked: bool) -> str:
    """The mark of a cell that is not complete."""
    if cell is None:
        return GAP if asked else NOTHING
    return GAP if cell.runs < cell.wanted else ""


def levels(part: Part) -> list[str]:
    """What guessing gives."""
    return [NOTHING if level is None else f"{100 * level:.1f}" for level in part.levels]


def markdown(title: str, about: str, tables: Sequence[Made]) -> str:
    """The tables in Markdown."""
    blocks = [f"# {title}", *([about] if about else [])]
    for table in tables:
        blocks.append(f"## {table.title}")
        for part in table.parts:
            if len(table.parts) > 1:
                blocks.append(f"### {part.group}")
            extra = ["", ""] if table.cost else []
            rows = [[_escaped(line.label), *_cells(line), *(costs(line) if table.cost else [])] for line in part.lines]
            rows += [["guessing", *levels(part), *extra], ["n", *part.counts, *extra]]
            blocks.append(_grid(["", *map(_escaped, heads(table))], rows))
            if part.differences:
                rows = [[_escaped(line.label), *_cells(line, signed=True)] for line in part.differences]
                columns = [_escaped(column.label) for column in table.columns]
                blocks.append(_grid([f"less {_escaped(table.reference or '')}", *columns], rows))
        blocks.append("\n".join(f"* {_escaped(note)}" for note in table.notes))
    return "\n\n".join(blocks) + "\n"


def _cells(line: Line, *, signed: bool = False) -> list[str]:
    texts = []
    for cell, asked in zip(line.cells, line.asked, strict=True):
        if cell is None:
            texts.append(gap(cell, asked))
            continue
        strong = cell.clear() if signed else cell.best
        value = number(cell, signed=signed)
        around = f"± {spread(cell)}" if spread(cell) else ""
        parts = (f"**{value}**" if strong else value, around, interval(cell), gap(cell, asked))
        texts.append(" ".join(part for part in parts if part))
    return texts


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """Text in which nothing is a table's or an emphasis."""
    return "".join(f"\\{sign}" if sign in r"\|*_`<>[]" else sign for sign in " ".join(text.split()))
