"""The report as one HTML file that needs nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from paxion.files import write_text
from paxion.records import PROBES, Score
from paxion.report.actions import details
from paxion.report.grids import MAIN, Section, headline
from paxion.report.plots import CONTROL_LABELS, Plot, accuracy_plot, controls_plot, verbs_plot
from paxion.report.roles import Roles, roles_of
from paxion.report.sheets import Example, ExampleScore, compared, contact_sheet, data_uri
from paxion.report.table import (
    CONTROLS,
    DATA_NOTES,
    RETRIEVAL,
    Cell,
    Column,
    chance,
    columns_with_numbers,
    counts,
    data_names,
    is_downstream,
    look_up,
    main_table,
    model_names,
    percent,
    tables_of,
)
from paxion.report.trust import trust
from paxion.report.verbs import FEWEST, VerbTable
from paxion.report.verdict import patched_name, verdict_sentences

SHEET_WIDTH = 1200
"""A contact sheet is never wider than this, in pixels: large frames are shrunk."""
MARKS = {1.0: ("✓", "right"), 0.0: ("✗", "wrong")}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a control table: what was shown, and a cell per model and task."""

    label: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class ControlTable:
    """Accuracy under the controls on one data name: lines are controls, columns are tasks within models."""

    data: str
    models: tuple[str, ...]
    tasks: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One example as the page shows it."""

    example: Example
    outcome: str
    image: str
    size: tuple[int, int]
    frames: int


def write_page(
    path: Path | str,
    *,
    scores: Sequence[Score],
    provenance: Mapping[str, object],
    examples: Sequence[Example] = (),
    verbs: Sequence[VerbTable] = (),
    sections: Sequence[Section] = (),
) -> None:
    """Write the report to `path`: verdict, tables, plots, verbs, further sections, contact sheets, provenance. It opens
    offline.

    The same input gives the same bytes. Raises PaxionError where the file cannot be written, ValueError for an example
    whose frames are not (T, H, W, 3) uint8.
    """
    page = render_page(scores=scores, provenance=provenance, examples=examples, verbs=verbs, sections=sections)
    write_text(Path(path), page)


def render_page(
    *,
    scores: Sequence[Score],
    provenance: Mapping[str, object],
    examples: Sequence[Example] = (),
    verbs: Sequence[VerbTable] = (),
    sections: Sequence[Section] = (),
) -> str:
    """The HTML of `write_page`. Everything that comes from the data is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = percent
    environment.filters["tied"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    source, script = (
        resources.files("paxion.report").joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "page.js")
    )
    datas = data_names(scores)
    models = model_names(scores, text=False)
    roles = roles_of(models, provenance)
    notes = DATA_NOTES if roles.patched else {}
    cards = [_card(example, roles) for example in examples]
    known = not scores or any(score.task.partition(":")[0] in MAIN for score in scores)
    return environment.from_string(source).render(
        title="Does the model understand actions?",
        about=_about(provenance, datas),
        verdict=verdict_sentences(scores, provenance) if known else headline(scores),
        trust=trust(scores, provenance),
        done=_done(models, roles),
        glosses=[(name, roles.gloss(name)) for name in models],
        tables=[
            (data, notes.get(data), _table(scores, data, columns))
            for data in datas
            for columns in tables_of(scores, data) or [[]]
        ],
        sets=len(datas),
        downstream=is_downstream(scores),
        known=known,
        asked=list(dict.fromkeys(score.task.partition(":")[0] for score in scores)),
        retrieval=[
            (data, _table(scores, data, RETRIEVAL))
            for data in datas
            if not is_downstream(scores) and _has(scores, data, RETRIEVAL)
        ],
        parts=[(title, _table(scores, data, columns)) for data in datas for title, columns in details(scores, data)],
        several=len({score.seed for score in scores}) > 1,
        accuracy=_drawing(accuracy_plot(scores)),
        controls_plot=_drawing(controls_plot(scores, provenance)),
        controls=[table for data in datas if (table := control_table(scores, data, roles)) is not None],
        controlled=any(score.control != "none" for score in scores),
        verbs=[(table, _drawing(verbs_plot(table))) for table in verbs],
        fewest=FEWEST,
        sections=sections,
        cards=cards,
        choices=_choices(cards),
        mark=mark,
        missed=_missed(provenance),
        commands=_commands(provenance),
        facts=flatten({key: value for key, value in provenance.items() if key != "missed"}),
        # The browser runs this script and no other: nothing in the data can become one.
        script=Markup(script),
        script_digest="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def control_table(scores: Sequence[Score], data: str, roles: Roles) -> ControlTable | None:
    """What backbone, patched model and fuser have on `data` under each control; None if none of them was controlled.

    Where the run has recorded what its models are, all of them are in the table.
    """
    known = (*roles.plain, patched_name(scores, data, roles), "fuser")
    named = (*roles.plain, *roles.patched) if roles.recorded else known
    controlled = {s.model for s in scores if s.data == data and s.control != "none" and s.metric == "accuracy"}
    models = tuple(name for name in named if name and name in controlled)
    found = {(s.task, s.control) for s in scores if s.data == data and s.model in models and s.metric == "accuracy"}
    tasks = tuple(task for task in PROBES if any(key[0] == task and key[1] != "none" for key in found))
    if not tasks:
        return None
    controls = [control for control in CONTROLS if any(key[1] == control for key in found)]
    lines = tuple(
        Line(
            CONTROL_LABELS[control],
            tuple(look_up(scores, model, data, task, control=control) for model in models for task in tasks),
        )
        for control in controls
    )
    return ControlTable(data, models, tasks, lines)


def flatten(value: object, key: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (dotted key, text) pairs in their own order; anything else is written as JSON or as text."""
    if isinstance(value, Mapping) and value:
        return [pair for name, inner in value.items() for pair in flatten(inner, f"{key}.{name}" if key else str(name))]
    if not key:
        return []
    return [(key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))]


def mark(score: ExampleScore) -> tuple[str, str]:
    """The sign and the word for one model's choice on an example."""
    return MARKS.get(score.credit, ("=", "tie"))


def _done(models: Sequence[str], roles: Roles) -> str:
    """What was done with the models that see clips."""
    if not models:
        return "No model that sees clips was scored."
    if len(models) == 1:
        patched = "It was patched, but its backbone was not asked" if roles.patched else "It was not patched"
        return f"One model was asked the questions. {patched}, so there is nothing to compare it with."
    if not roles.patched:
        return "Several models were asked the same questions." + (" None was patched." if roles.recorded else "")
    if roles.recorded:
        return (
            "Backbones were left as they are. Small networks that were trained beside one of them, in other runs, were "
            "put on it. All were asked the same questions."
        )
    return (
        "The backbone was left as it is. Small networks were trained beside it, on clips that are not among the test "
        "clips, to learn from the same captions what changes in time. All were then asked the same questions."
    )


def _has(scores: Sequence[Score], data: str, columns: Sequence[Column]) -> bool:
    return bool(columns_with_numbers(scores, data, columns))


def _table(scores: Sequence[Score], data: str, columns: Sequence[Column]) -> dict[str, object]:
    """What the table macro of the template needs."""
    shown = columns_with_numbers(scores, data, columns)
    return {
        "columns": shown,
        "rows": main_table(scores, data, shown),
        "chance": [chance(scores, data, column.task, column.metric) for column in shown],
        "n": [counts(scores, data, column.task, column.metric) for column in shown],
    }


def _drawing(plot: Plot | None) -> dict[str, str] | None:
    """A plot for the template. Its SVG is marked as safe: matplotlib has escaped every label that it drew."""
    if plot is None:
        return None
    return {"title": plot.title, "wide": Markup(plot.wide), "narrow": Markup(plot.narrow)}


def _card(example: Example, roles: Roles) -> Card:
    count, height, width, *_ = np.asarray(example.frames).shape
    scale = min(1.0, SHEET_WIDTH / (count * width))
    gap = 3
    image = data_uri(contact_sheet(example.frames, scale, gap))
    size = (count * max(1, round(width * scale)) + (count - 1) * gap, max(1, round(height * scale)))
    return Card(example, _outcome(example, roles), image, size, count)


def _choices(cards: Sequence[Card]) -> list[tuple[str, str, list[str]]]:
    """What clips can be chosen by: the attribute of a card, its label, and the values; only where there are several."""
    found = [
        ("outcome", "outcome", dict.fromkeys(card.outcome for card in cards)),
        ("task", "probe", dict.fromkeys(card.example.task for card in cards)),
        ("set", "data set", dict.fromkeys(card.example.data for card in cards)),
    ]
    return [(name, label, list(values)) for name, label, values in found if len(values) > 1]


def _outcome(example: Example, roles: Roles) -> str:
    """What became of an example, by the models that it was chosen by."""
    right = {score.model: score.credit == 1 for score in example.scores}
    base, patched = compared(list(right), roles)
    before, after = right.get(base), right[patched] if patched else None
    words = {
        (False, True): "Mended by the patch",
        (False, False): "Not right, before and after the patch",
        (True, False): "Broken by the patch",
        (True, True): "Right before and after the patch",
        (False, None): "Not right",
        (True, None): "Right",
    }
    if before is None:
        return "A clip"
    outcome = words[before, after]
    return outcome if patched or len(right) == 1 else f"{base}: {outcome.lower()}"


def _about(provenance: Mapping[str, object], datas: Sequence[str]) -> str:
    """The line above the title: version, data names, day."""
    parts = [f"paxion {provenance.get('paxion', '')}".strip(), *datas, str(provenance.get("date", ""))[:10]]
    return " · ".join(part for part in parts if part)


def _missed(provenance: Mapping[str, object]) -> list[dict[str, str]] | None:
    """Rows of the table of missed clips, from dicts or `results.Missed`; None if the provenance has none on record."""
    missed = provenance.get("missed")
    if not isinstance(missed, Sequence) or isinstance(missed, str):
        return None
    keys = ("data", "task", "reason", "count", "examples")
    rows = []
    for item in missed:
        found = {key: item.get(key, "") if isinstance(item, Mapping) else getattr(item, key, "") for key in keys}
        examples = found["examples"]
        if isinstance(examples, Sequence) and not isinstance(examples, str):
            found["examples"] = ", ".join(map(str, examples))
        rows.append({key: str(value) for key, value in found.items()})
    return rows


def _commands(provenance: Mapping[str, object]) -> list[str]:
    command = provenance.get("command")
    if isinstance(command, str):
        return [command]
    return [str(line) for line in command] if isinstance(command, Sequence) else []
