"""Tables in LaTeX, for the package booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from paxion.experiment.markdown import GAP, costs, gap, heads, interval, levels, number, spread
from paxion.experiment.tables import Line, Made, Part

SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "…": r"\dots{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}",
}  # fmt: skip
"""What is not to be taken for a command."""


def latex(title: str, tables: Sequence[Made]) -> str:
    """The tables, to be put into a document with \\input."""
    blocks = [f"% {' '.join(title.split())}: made by paxion experiment; needs \\usepackage{{booktabs}}"]
    return "\n\n".join([*blocks, *map(_table, tables)]) + "\n"


def escaped(text: str) -> str:
    """Text without commands."""
    return "".join(SIGNS.get(sign, sign) for sign in " ".join(text.split()))


def _table(table: Made) -> str:
    columns = heads(table)
    lines = [
        r"\begin{table}", r"\centering", r"\small", rf"\caption{{{escaped(table.title)}. {_notes(table)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\toprule", _row(["", *map(escaped, columns)]),
    ]  # fmt: skip
    for part in table.parts:
        lines += _part(table, part, len(columns) + 1)
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines)


def _part(table: Made, part: Part, width: int) -> list[str]:
    extra = ["", ""] if table.cost else []
    lines = [r"\midrule"]
    if len(table.parts) > 1:
        lines += [rf"\multicolumn{{{width}}}{{l}}{{\emph{{{escaped(part.group)}}}}} \\"]
    shown = [[escaped(line.label), *_cells(line), *(costs(line) if table.cost else [])] for line in part.lines]
    lines += [_row(row) for row in shown]
    lines += [r"\addlinespace", _row(["guessing", *map(escaped, levels(part)), *extra])]
    if part.differences:
        lines += [
            r"\addlinespace",
            rf"\multicolumn{{{width}}}{{l}}{{\emph{{less {escaped(table.reference or '')}}}}} \\",
            *(_row([escaped(line.label), *_cells(line, signed=True), *extra]) for line in part.differences),
        ]
    return lines


def _cells(line: Line, *, signed: bool = False) -> list[str]:
    texts = []
    for cell, asked in zip(line.cells, line.asked, strict=True):
        if cell is None:
            texts.append(escaped(gap(cell, asked)))
            continue
        value = number(cell, signed=signed).replace("-", "$-$").replace("+", "$+$")
        strong = cell.clear() if signed else cell.best
        text = rf"\textbf{{{value}}}" if strong else value
        text += rf"\,$\pm$\,{spread(cell)}" if spread(cell) else ""
        # In braces, since a bracket after \\ or at the start of a cell would be an argument.
        text += rf" {{\scriptsize {interval(cell).replace('-', '$-$')}}}" if interval(cell) else ""
        texts.append(text + (rf" {SIGNS[GAP]}" if gap(cell, asked) else ""))
    return texts


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _notes(table: Made) -> str:
    return " ".join(escaped(note) for note in table.notes)
