"""Plain tables: CSV with a row a prediction."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from paxion.evaluation.answers import read_choice, read_yes_no
from paxion.evaluation.strata import STRATA
from paxion.records import PaxionError
from paxion.rescoring.predictions import PARSED, SCORED, Prediction, Predictions

SCORES, ANSWERS = ("right", "wrong"), ("answer", "prediction")
"""The columns of a table of scores, and of one of answers in words."""
COLUMNS = (*SCORES, *ANSWERS, "id", "model", "data", "task", "group", "twin", "options", "control", "protocol")
"""All columns that are read, beside those of `evaluation.strata.STRATA`."""


def read_table(path: Path, text: str, model: str) -> list[Predictions]:
    """Read a CSV with a column `id` and either `right` and `wrong` (scores) or `answer` (the right one) and
    `prediction`; one Predictions for each value of the column `model`. All columns: docs/rescore.md.

    Raises PaxionError for a table without them, with both kinds, with columns of other names, or of several protocols.
    """
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        rows = list(reader)
    except csv.Error as error:
        raise PaxionError(
            f"{path}: not CSV ({error}); expected a line of column names and a line a prediction"
        ) from error
    kinds = [kind for kind in (SCORES, ANSWERS) if set(kind) <= set(names)]
    if "id" not in names or len(kinds) != 1:
        raise PaxionError(
            f"{path} has the columns {', '.join(names) or 'none'}, expected id and either right and wrong (scores) or "
            "answer and prediction (docs/rescore.md)"
        )
    allowed = {*COLUMNS, *STRATA, *(name.replace(" ", "_") for name in STRATA)}
    if unknown := [name for name in names if name not in allowed]:
        raise PaxionError(f"{path} has the column {unknown[0]!r}, expected some of {', '.join(sorted(allowed))}")
    protocols = sorted({(row.get("protocol") or "").strip() for row in rows})
    if len(protocols) > 1:
        counts = ", ".join(f"{sum((r.get('protocol') or '').strip() == p for r in rows)} of {p!r}" for p in protocols)
        raise PaxionError(f"{path}: mixed protocols ({counts}), expected one a file; rescore them apart")
    judged = SCORED if kinds[0] == SCORES else PARSED
    judged += f" ({protocols[0]})" if protocols and protocols[0] else ""
    found: dict[tuple[str, str], Predictions] = {}
    for place, row in enumerate(rows, 2):
        cells = {name: (row.get(name) or "").strip() for name in names}
        key = cells.get("model") or model, cells.get("data") or "predictions"
        file = found.setdefault(key, Predictions(path, "csv", key[0], key[1], judged, []))
        if not cells["id"] or None in row:
            file.bad.setdefault("no id" if not cells["id"] else "more cells than columns", []).append(f"line {place}")
            continue
        read = _scored(cells) if kinds[0] == SCORES else _answered(cells)
        if isinstance(read, str):
            file.bad.setdefault(read, []).append(cells["id"])
        else:
            file.items.append(read)
    if not found:
        raise PaxionError(f"{path} has no predictions, expected a line each; is it the right file?")
    return list(found.values())


def _scored(cells: Mapping[str, str]) -> Prediction | str:
    """The prediction, or why there is none."""
    right, wrong = (_float(cells[name]) for name in SCORES)
    if right is None or wrong is None:
        return "a score that is no finite number"
    return _prediction(cells, 0.5 if right == wrong else float(right > wrong), right, wrong)


def _answered(cells: Mapping[str, str]) -> Prediction | str:
    options = [option.strip() for option in cells.get("options", "").split("|")] if cells.get("options") else []
    words = read_yes_no(cells["answer"])
    gold = words or _place(cells["answer"], options)
    if gold is None:
        return "a right answer that cannot be read"
    if not cells["prediction"]:
        return "no prediction"
    said = read_yes_no(cells["prediction"]) if words else _place(cells["prediction"], options)
    return _prediction(cells, float(said == gold), said=said, gold=gold)


def _prediction(
    cells: Mapping[str, str],
    credit: float,
    right: float | None = None,
    wrong: float | None = None,
    said: str | None = None,
    gold: str | None = None,
) -> Prediction:
    facts = {name: cells.get(name) or cells.get(name.replace(" ", "_")) or "" for name in STRATA}
    return Prediction(
        cells["id"], cells.get("group") or cells["id"], cells.get("task") or "predictions", credit, right, wrong,
        said, gold, cells.get("twin") or None, cells.get("control") or "none",
        {name: value for name, value in facts.items() if value},
    )  # fmt: skip


def _place(text: str, options: list[str]) -> str | None:
    place = read_choice(text, options or [""] * 26)
    return None if place is None else str(place + 1)


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0 else None
