"""Tables as one HTML page that needs nothing else, readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from paxion.experiment.markdown import costs, gap, heads, interval, levels, number, spread
from paxion.experiment.tables import Line, Made, Part

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #59636e; --rule: #d1d9e0; --best: #0a5c36; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #10151b; --soft: #9aa5b1; --rule: #353d47; --best: #6fd6a0; }
}
body { margin: 2rem auto; max-width: 78rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0 }
th, td { padding: .3rem .7rem; text-align: right; vertical-align: top; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
thead th { border-bottom: 2px solid var(--rule); font-weight: 600 }
tbody + tbody tr:first-child > * { border-top: 1px solid var(--rule) }
tbody th { font-weight: 400 } tbody th.part { font-weight: 600; padding-top: .8rem }
small, .soft { color: var(--soft) } td small { display: block; font-size: .8em }
b { color: var(--best) }
ul { color: var(--soft); padding-left: 1.2rem; max-width: 60rem; font-size: .9em }
"""


def page(title: str, about: str, tables: Sequence[Made]) -> str:
    """The page."""
    body = "\n".join(map(_table, tables)) or "<p>No tables.</p>"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n<p>{escape(about)}</p>\n{body}\n"
        "</body>\n</html>\n"
    )


def _table(table: Made) -> str:
    columns = heads(table)
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in columns)
    parts = "".join(_part(table, part, len(columns) + 1) for part in table.parts)
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    return (
        f'<h2>{escape(table.title)}</h2>\n<div class="wide"><table>\n<thead><tr><td></td>{head}</tr></thead>\n{parts}'
        f"</table></div>\n<ul>{notes}</ul>"
    )


def _part(table: Made, part: Part, width: int) -> str:
    extra = ["", ""] if table.cost else []
    bodies = [[_row(line.label, [*_cells(line), *(costs(line) if table.cost else [])]) for line in part.lines]]
    if len(table.parts) > 1:
        bodies[0].insert(0, _band(part.group, width))
    bodies.append([_row("guessing", [*levels(part), *extra], "soft"), _row("n", [*part.counts, *extra], "soft")])
    if part.differences:
        less = [_row(line.label, [*_cells(line, signed=True), *extra]) for line in part.differences]
        bodies.append([_band(f"less {table.reference}", width), *less])
    return "".join(f"<tbody>\n{''.join(rows)}</tbody>\n" for rows in bodies)


def _band(text: str, width: int) -> str:
    return f'<tr><th class="part" colspan="{width}" scope="rowgroup">{escape(text)}</th></tr>\n'


def _row(label: str, cells: Sequence[str], kind: str = "") -> str:
    opening = f'<tr class="{kind}">' if kind else "<tr>"
    return f'{opening}<th scope="row">{escape(label)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'


def _cells(line: Line, *, signed: bool = False) -> list[str]:
    texts = []
    for cell, asked in zip(line.cells, line.asked, strict=True):
        if cell is None:
            texts.append(gap(cell, asked))
            continue
        strong = cell.clear() if signed else cell.best
        value = number(cell, signed=signed)
        around = " ".join(part for part in (f"± {spread(cell)}" if spread(cell) else "", gap(cell, asked)) if part)
        below = f"<small>{interval(cell)}</small>" if interval(cell) else ""
        tag = "strong" if signed else "b"  # a difference that is clear may be one for the worse: no colour
        texts.append(f"<{tag}>{value}</{tag}> {around}{below}" if strong else f"{value} {around}{below}")
    return texts
