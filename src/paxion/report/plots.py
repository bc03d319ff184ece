"""The plots of the report, as SVG text to be put inside a page.

Colours are CSS variables of the page (--paper, --ink, --faint, --rule, --mark-0, --mark-1), so that one drawing serves
the light and the dark theme. Each plot is drawn twice, panels side by side and stacked, for wide and narrow screens.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paxion.records import PROBES, Score
from paxion.report.roles import BACKBONE, roles_of
from paxion.report.table import CONTROLS, Cell, data_names, look_up, model_names, percent
from paxion.report.verbs import VerbTable
from paxion.report.verdict import patched_name

# Stand-ins that no drawing uses otherwise; `_inline` turns each into the variable of the page.
PAPER, INK, FAINT, RULE, MARKS = "#101112", "#010203", "#040506", "#070809", ("#0a0b0c", "#0d0e0f")
VARIABLES = {
    PAPER: "--paper",
    INK: "--ink",
    FAINT: "--faint",
    RULE: "--rule",
    MARKS[0]: "--mark-0",
    MARKS[1]: "--mark-1",
}
SHAPES = ("o", "D")
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "paxion",
    "font.size": 10.0,
    "text.parse_math": False,
    "axes.edgecolor": RULE,
    "text.color": INK,
    "xtick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.color": RULE,
    "ytick.labelcolor": INK,
}
CONTROL_LABELS = {
    "none": "whole clip",
    "shuffled": "frames shuffled",
    "last": "last frame only",
    "middle": "middle frame only",
    "first": "first frame only",
    "frozen": "one frame, frozen",
    "blind": "blank clip",
    "reversed": "reversed clip",
    "other": "another clip",
    "antonym_said": "antonym as caption",
}
LABEL = 24
"""Longest name at an axis, in characters: more would leave no room for the panels."""
LEGEND = 30
"""Longest names of a narrow drawing's marks that fit side by side, in characters together."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing for wide and one for narrow screens, and the words that go with it."""

    title: str
    """What it shows, with its main numbers."""
    wide: str
    narrow: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One set of axes: lines from top to bottom, and on each line one cell per series (None: not scored)."""

    title: str
    cells: tuple[tuple[Cell | None, ...], ...]


def accuracy_plot(scores: Sequence[Score]) -> Plot | None:
    """Antonym, reversal and object accuracy of every model with its interval, one mark per data name (the first two).

    None if no probe was scored.
    """
    datas = data_names(scores)[:2]
    models = model_names(scores)
    panels = [
        Panel(task, tuple(tuple(look_up(scores, model, data, task) for data in datas) for model in models))
        for task in PROBES
    ]
    panels = [panel for panel in panels if any(cell for line in panel.cells for cell in line)]
    if not panels:
        return None
    numbers = _numbers(scores, datas[0], [m for m in ("backbone", "patcher", "fuser") if m in models] or models[:3])
    title = f"Accuracy on {_join([panel.title for panel in panels])}"
    title += f". Antonyms on {datas[0]}: {numbers}" if numbers else ""
    return _plot("accuracy", title, panels, models, datas)


def controls_plot(scores: Sequence[Score], provenance: Mapping[str, object] | None = None) -> Plot | None:
    """Antonym accuracy of the backbone and the patched model on whole clips and under each control, a panel per data.

    Without a patched model, that of the backbones if they are one or two. None if no control was run.
    """
    datas = data_names(scores)[:2]
    roles = roles_of(model_names(scores), provenance)
    patched = patched_name(scores, datas[0], roles) if datas else None
    models = [roles.base(patched), patched] if patched else [*roles.plain] or [BACKBONE]
    models = [model for model in models if model]
    if len(models) > len(SHAPES):
        return None
    controls = [c for c in CONTROLS if any(_antonym(scores, m, d, c) for m in models for d in datas)]
    if not set(controls) - {"none"}:
        return None
    panels = [
        Panel(
            f"antonym, {data}",
            tuple(tuple(_antonym(scores, model, data, control) for model in models) for control in controls),
        )
        for data in datas
    ]
    title = "Antonym accuracy with less and less of the clip"
    best = [(cell.value, c) for c in controls if c != "none" and (cell := _antonym(scores, models[-1], datas[0], c))]
    full = _antonym(scores, models[-1], datas[0], "none")
    if full and best:
        value, control = max(best)
        title += f". {models[-1]} on {datas[0]}: {percent(full.value)} % on whole clips, "
        title += f"{percent(value)} % at most without ({CONTROL_LABELS[control]})"
    return _plot("controls", title, panels, [CONTROL_LABELS[control] for control in controls], models)


def verbs_plot(table: VerbTable, count: int = 15) -> Plot:
    """The `count` worst verbs of a table with their intervals, a panel per probe and a mark per model."""
    lines = table.lines[:count]
    wide = len(table.tasks)
    panels = [
        Panel(task, tuple(tuple(line.cells[place + wide * m] for m in range(len(table.models))) for line in lines))
        for place, task in enumerate(table.tasks)
    ]
    which = f"The {len(lines)} of {len(table.lines)} verbs" if len(lines) < len(table.lines) else "The verbs"
    title = f"{which} that {table.models[-1]} has least right on {table.data}, worst first"
    named = [f"{line.verb} ({line.clips})" for line in lines]
    return _plot(f"verbs-{_plain(table.data)}", title, panels, named, table.models)


def _plain(name: str) -> str:
    """A name as part of an id: what is no letter, digit or hyphen is written as its number."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign == "-") else f"_{ord(sign)}" for sign in name)


def _antonym(scores: Sequence[Score], model: str, data: str, control: str) -> Cell | None:
    return look_up(scores, model, data, "antonym", "accuracy", control)


def _numbers(scores: Sequence[Score], data: str, models: Sequence[str]) -> str:
    cells = {model: look_up(scores, model, data, "antonym") for model in models}
    return ", ".join(f"{model} {percent(cell.value)} %" for model, cell in cells.items() if cell)


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _plot(name: str, title: str, panels: Sequence[Panel], lines: Sequence[str], series: Sequence[str]) -> Plot:
    return Plot(
        title=title,
        wide=_draw(f"{name}-wide", title, panels, lines, series, stacked=False),
        narrow=_draw(f"{name}-narrow", title, panels, lines, series, stacked=True),
    )


def _draw(
    name: str, title: str, panels: Sequence[Panel], lines: Sequence[str], series: Sequence[str], *, stacked: bool
) -> str:
    """One SVG element. `name` keeps its ids apart from those of the other drawings of the page."""
    with matplotlib.rc_context(STYLE):
        grid = (len(panels), 1) if stacked else (1, len(panels))
        # Inches; 72 SVG units each. Every line of a panel takes 0.27, its title, ticks and legend the rest.
        tall = 0.27 * len(lines) + 0.75
        figure = Figure(figsize=(4.2, tall * grid[0] + 0.4) if stacked else (9.4, tall + 0.5), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        axes = figure.subplots(*grid, sharex=True, sharey=True, squeeze=False)
        bounds = [cell.low for panel in panels for line in panel.cells for cell in line if cell]
        left = min(0.4, *bounds, 1.0)
        for panel, place in zip(panels, axes.flat, strict=True):
            _draw_panel(place, panel, lines, left - 0.03)
        handles = [_mark(index, _short(label)) for index, label in enumerate(series)]
        handles.append(Line2D([], [], color=FAINT, linestyle=(0, (4, 3)), linewidth=1.2, label="guessing"))
        columns = 1 if stacked and sum(map(len, series)) > LEGEND else len(handles)
        figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False, handletextpad=0.4)
        figure.supxlabel("accuracy, %, with 95 % interval", fontsize=10)
        buffer = io.StringIO()
        # Without a date the same numbers give the same bytes.
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _inline(buffer.getvalue(), name, title)


def _short(name: str) -> str:
    """A model's name at most LABEL characters long: its end, which tells folders apart."""
    return name if len(name) <= LABEL else "…" + name[1 - LABEL :]


def _draw_panel(axes: Axes, panel: Panel, lines: Sequence[str], left: float) -> None:
    axes.set_title(panel.title, fontsize=11, fontweight="bold")
    axes.set_xlim(100 * left, 102)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_yticks(range(len(lines)), labels=[_short(line) for line in lines])
    axes.tick_params(length=0, labelbottom=True)
    axes.grid(axis="both", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.axvline(50, color=FAINT, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1.5)
    for line, cells in enumerate(panel.cells):
        for index, cell in enumerate(cells):
            if cell is None:
                continue
            height = line + (index - (len(cells) - 1) / 2) * 0.32
            axes.plot([100 * cell.low, 100 * cell.high], [height, height], color=MARKS[index], linewidth=1.8)
            axes.add_line(_mark(index, None, 100 * cell.value, height))


def _mark(index: int, label: str | None, x: float | None = None, y: float | None = None) -> Line2D:
    """The point of series `index`: it differs from the others in shape and fill, not in colour alone."""
    return Line2D(
        [] if x is None else [x],
        [] if y is None else [y],
        linestyle="none",
        marker=SHAPES[index],
        markersize=6,
        markeredgewidth=1.6,
        color=MARKS[index],
        markerfacecolor=MARKS[index] if index == 0 else PAPER,
        label=label,
    )


def _inline(svg: str, name: str, title: str) -> str:
    """A whole SVG file as one element that can stand in a page beside others."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    # The page's own font: the one measured by matplotlib is wider than most, so that labels keep their room.
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None, "matplotlib gives every SVG a viewBox"
    label = escape(f"{title}. The tables of this page have every number.")
    root = f'<svg role="img" aria-label="{label}" {view[0]} stroke-linejoin="round" stroke-linecap="butt">'
    return root + svg[svg.index(">") + 1 :].strip()
