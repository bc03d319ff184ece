"""ViLMA: {item: {"scores": [caption, foil, ...]}}, with the annotation file beside it for sources and validity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paxion.records import PaxionError
from paxion.rescoring.predictions import SCORED, Prediction, Predictions, number, parse_json, read_text

TIE = 1e-12


def looks_like(content: Any) -> bool:
    """Whether JSON content has this layout."""
    first = next(iter(content.values()), None) if isinstance(content, dict) else None
    return isinstance(first, dict) and isinstance(first.get("scores"), list)


def read_vilma(
    path: Path, content: Any, model: str, annotations: Path | None = None, lower_is_better: bool = False
) -> Predictions:
    """Read a result file. The caption must score above every foil; with perplexities, below (lower_is_better).

    annotations: the file of captions and foils that was scored. With it, groups are source videos, only the items that
    ViLMA's evaluation counts are kept (two of three people judged them right, and the proficiency test too), and items
    without a result are counted as missing.
    """
    known = _annotations(annotations) if annotations else None
    sign = -1.0 if lower_is_better else 1.0
    task = "vilma" if annotations is None else annotations.stem.lower().replace("_", "-")
    found: list[Prediction] = []
    bad: dict[str, list[str]] = {}
    for name, item in content.items():
        facts: Mapping[str, Any] = {}
        if known is not None:
            if name not in known:
                bad.setdefault(f"unknown to {annotations}", []).append(name)
                continue
            facts = known[name]
            if not _valid(facts):
                bad.setdefault("not validated by people, as in ViLMA's own evaluation", []).append(name)
                continue
        scores = item.get("scores") if isinstance(item, dict) else None
        values = [number(score) for score in scores] if isinstance(scores, list) else []
        if len(values) < 2:
            bad.setdefault("no score of a caption and a foil", []).append(name)
            continue
        clean = [sign * value for value in values if value is not None]
        if len(clean) < len(values):
            bad.setdefault("a score that is no finite number", []).append(name)
            continue
        right, wrong = clean[0], max(clean[1:])
        tied = sum(abs(score - right) <= TIE for score in clean[1:])
        credit = 1 / (1 + tied) if abs(right - wrong) <= TIE else float(right > wrong)
        group = str(facts.get("youtube_id") or facts.get("video_file") or name)
        strata = {"kind": str(facts["linguistic_phenomena"])} if facts.get("linguistic_phenomena") else {}
        found.append(Prediction(name, group, task, credit, right, wrong, strata=strata))
    if known is not None and (
        absent := [name for name, facts in known.items() if _valid(facts) and name not in content]
    ):
        bad["no prediction"] = absent
    return Predictions(path, "vilma", model, "vilma", SCORED, found, bad)


def with_proficiency(main: Predictions, test: Predictions) -> Predictions:
    """The main test with its proficiency test: further tasks "... proficiency" and "... combined" (P+T), in which an
    item is right when both tests are; of two choices of two, 0.25 is guessing. Items without the one or the other are
    counted as missing.
    """
    other = {item.id: item for item in test.items}
    added, lost = [], []
    for item in main.items:
        if item.id not in other:
            lost.append(item.id)
            continue
        known = other[item.id]
        added.append(replace(known, task=f"{item.task} proficiency", group=item.group, strata=item.strata))
        both = item.credit * known.credit
        added.append(Prediction(item.id, item.group, f"{item.task} combined", both, strata=item.strata))
    mine = {item.id for item in main.items}
    unknown = [name for name in other if name not in mine]
    bad = {**main.bad, **{f"proficiency: {why}": ids for why, ids in test.bad.items()}}
    bad |= {"no proficiency test": lost} if lost else {}
    bad |= {"a proficiency test without a main test": unknown} if unknown else {}
    return replace(main, items=[*main.items, *added], bad=bad)


def _annotations(path: Path) -> Mapping[str, Any]:
    content = parse_json(read_text(path), str(path))
    if not isinstance(content, dict) or not all(
        isinstance(item, dict) and "foils" in item for item in content.values()
    ):
        raise PaxionError(f"{path} holds no items with foils, expected the annotation file of ViLMA that was scored")
    return content


def _valid(item: Mapping[str, Any]) -> bool:
    """Items that nobody judged are kept."""
    judged = item.get("mturk")
    proficiency = (item.get("proficiency") or {}).get("human") if isinstance(item.get("proficiency"), dict) else None
    main = not isinstance(judged, dict) or judged.get("caption", 0) >= 2
    return main and (not isinstance(proficiency, dict) or proficiency.get("caption", 0) == 1)
