"""Predictions as rows and scores, with all that is missing, given twice or unknown counted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from paxion.evaluation.auroc import auroc
from paxion.evaluation.scoring import Evaluation
from paxion.evaluation.statistics import Estimate, estimate
from paxion.evaluation.twins import TURNED, twin_scores
from paxion.records import TWINS, PaxionError, Row, Score
from paxion.rescoring.habits import habits
from paxion.rescoring.predictions import RATED, Prediction, Predictions
from paxion.results import Missed

SHOWN = 5
"""Ids that are named where some are counted."""
Asked = tuple[str, str, str]
"""(data, task, control)"""


@dataclass(frozen=True)
class Rescored:
    """What a run of rescore writes."""

    evaluation: Evaluation
    strata: dict[str, dict[str, str]]
    """Sample id to its facts."""
    questions: str
    """Hash of what was asked: ids, tasks, controls and right answers. Runs of it can be compared."""


def assembled(files: Sequence[Predictions], known: Iterable[str] | None = None) -> Rescored:
    """Everything that predictions allow: accuracy, by kind too, AUROC, twins, and how the models answer.

    known: the ids that there should be; without them, what any of the models was asked. Predictions given twice count
    once. Raises PaxionError for an id with two different predictions, and where there is nothing to score.
    """
    result = Evaluation(notes=[note for file in files for note in file.notes])
    for file in files:
        result.missed += [
            Missed(file.data, "all", f"{file.model}: {why} ({file.file.name})", len(ids), tuple(ids[:SHOWN]))
            for why, ids in file.bad.items()
        ]
    by_model: dict[str, dict[Asked, dict[str, Prediction]]] = {}
    for file in files:
        _take(file, by_model.setdefault(file.model, {}), result.notes)
    wanted: dict[Asked, dict[str, Prediction]] = {}
    for held in by_model.values():
        for asked, items in held.items():
            wanted[asked] = {**items, **wanted.get(asked, {})}
    if not any(wanted.values()):
        bad = sum(miss.count for miss in result.missed)
        first = f", the first: {result.missed[0].reason}" if result.missed else ""
        raise PaxionError(f"none of the {bad} predictions can be used{first}; expected some (docs/rescore.md)")
    expected = None if known is None else set(known)
    for model, held in by_model.items():
        for asked, items in held.items():
            _compare(model, asked, items, wanted[asked], expected, files[0].judged == RATED, result.missed)
            if expected is not None:
                items = {name: item for name, item in items.items() if name in expected}
            _score(model, asked, list(items.values()), result)
        for asked in wanted.keys() - held.keys():
            result.missed.append(Missed(asked[0], asked[1], f"{model} was not asked this task", len(wanted[asked])))
    if not result.scores:
        raise PaxionError(
            "none of the ids of the predictions is in the manifest, expected its samples; is it the right one?"
        )
    strata = {name: dict(item.strata) for items in wanted.values() for name, item in items.items() if item.strata}
    listed = sorted(
        f"{asked} {name} {item.gold} {item.twin}" for asked, items in wanted.items() for name, item in items.items()
    )
    return Rescored(result, strata, hashlib.sha256("\n".join(listed).encode()).hexdigest()[:16])


def _take(file: Predictions, held: dict[Asked, dict[str, Prediction]], notes: list[str]) -> None:
    """Put a file's predictions in their places; what is there already must be the same."""
    again: list[str] = []
    other: list[str] = []
    for item in file.items:
        items = held.setdefault((file.data, item.task, item.control), {})
        before = items.setdefault(item.id, item)
        if before is not item:
            (again if before == item else other).append(item.id)
    if other:
        raise PaxionError(
            f"{file.file}: {len(other)} ids have two different predictions of {file.model} (first {other[0]!r}), "
            "expected one each; leave the wrong ones out"
        )
    if again:
        named = ", ".join(repr(name) for name in again[:SHOWN])
        notes.append(
            f"{file.file.name}: {len(again)} predictions of {file.model} are given twice and count once: {named}"
        )


def _compare(
    model: str,
    asked: Asked,
    items: Mapping[str, Prediction],
    wanted: Mapping[str, Prediction],
    expected: set[str] | None,
    rated: bool,
    missed: list[Missed],
) -> None:
    """Count what a model has no prediction for, and what is unknown or cannot be read."""
    data, task, control = asked
    counted = "its published rating counts" if rated else "counted as wrong"
    under = "" if control == "none" else f" under {control}"
    lost = [name for name in (expected if expected is not None else wanted) if name not in items]
    unknown = [] if expected is None else [name for name in items if name not in expected]
    unread = [name for name, item in items.items() if item.unread]
    for why, names in (
        ("no prediction", sorted(lost)),
        ("an id that the manifest does not have", unknown),
        (f"an answer that cannot be read, {counted}", unread),
    ):
        if names:
            missed.append(Missed(data, task, f"{model}{under}: {why}", len(names), tuple(names[:SHOWN])))


def _score(model: str, asked: Asked, items: Sequence[Prediction], result: Evaluation) -> None:
    """Rows and scores of one model's answers to one task."""
    data, task, control = asked
    if not items:
        return
    parts = {task: list(items)}
    kinds = sorted({item.strata.get("kind", "none") for item in items})
    if len(kinds) > 1:
        parts |= {f"{task}:{kind}": [i for i in items if i.strata.get("kind", "none") == kind] for kind in kinds}

    def add(name: str, metric: str, e: Estimate) -> None:
        result.scores.append(Score(model, data, name, control, metric, e.value, e.low, e.high, e.n, e.ties, 0))

    for name, part in parts.items():
        groups = [item.group for item in part]
        add(name, "accuracy", estimate(np.array([item.credit for item in part]), groups))
        pairs = [(item.right, item.wrong) for item in part if item.right is not None and item.wrong is not None]
        if len(pairs) == len(part):
            right, wrong = np.array(pairs).T
            add(name, "AUROC", auroc(right, wrong, groups))
        for metric, e in habits(part):
            add(name, metric, e)
    result.rows += [_row(item, item.id, model, data, task) for item in items]
    by_id = {item.id: item for item in items}
    alone = [item.id for item in items if item.twin is not None and item.twin not in by_id]
    if alone:
        why = f"{model}: a reversal whose clip has no prediction"
        result.missed.append(Missed(data, TWINS[0], why, len(alone), tuple(alone[:SHOWN])))
    pairs_of = [(by_id[item.twin], item) for item in items if item.twin is not None and item.twin in by_id]
    rows = [row for clip, turned in pairs_of for row in _twins(clip, turned, model, data)]
    result.rows += rows
    result.scores += twin_scores(rows, scored=False)
    by_kind: dict[str, list[Row]] = {}
    for row in rows:
        by_kind.setdefault(by_id[row.id.removesuffix(TURNED)].strata.get("kind", "none"), []).append(row)
    for kind, turning in sorted(by_kind.items()) if len(by_kind) > 1 else ():
        result.scores += [replace(s, task=f"{TWINS[0]}:{kind}") for s in twin_scores(turning, scored=False)]


def _twins(clip: Prediction, turned: Prediction, model: str, data: str) -> tuple[Row, Row]:
    return (
        _row(clip, clip.id, model, data, TWINS[0]),
        replace(_row(turned, clip.id + TURNED, model, data, TWINS[0]), group=clip.group),
    )


def _row(item: Prediction, name: str, model: str, data: str, task: str) -> Row:
    right, wrong = item.right, item.wrong
    if right is None or wrong is None:
        right, wrong = item.credit, 1 - item.credit
    return Row(name, item.group, model, data, task, item.control, 0, right, wrong, item.credit)
