"""lmms-eval: samples_TASK.jsonl, one line a question, as written with --log_samples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paxion.evaluation.answers import read_choice, read_yes_no
from paxion.records import PaxionError
from paxion.rescoring.predictions import PARSED, SCORED, Prediction, Predictions, number, parse_json

_TASK = re.compile(r"(?:.*_)?samples_(.+)$")
_LISTS = ("candidates", "choices", "options")
_GROUPS = ("group", "video_id", "video_name", "video", "video_path", "videoID", "vid")
_KINDS = ("kind", "dim", "question_type", "task_type", "category", "type", "sub_category")
_LINE = re.compile(r"^\s*\(?([A-Z])[.):]\)?\s*(.+)$", re.M)


def looks_like(path: Path, first: Any) -> bool:
    """Whether the first line of a JSONL file has this layout."""
    return isinstance(first, dict) and "doc_id" in first and ("filtered_resps" in first or "resps" in first)


def read_lmms_eval(path: Path, text: str, model: str) -> Predictions:
    """Read a samples file. Choices by log-likelihood are told from the scores of all choices; answers in words are read
    strictly (`evaluation.answers`), whatever the task's own metric made of them.

    What `paxion export lmms-eval` has asked is known as such: the clip and its reversal are twins.
    Raises PaxionError for a file with both.
    """
    named = _TASK.match(path.stem)
    task = named.group(1) if named else path.stem
    found: list[Prediction] = []
    bad: dict[str, list[str]] = {}
    scored = 0
    for place, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        sample = parse_json(line, f"{path}:{place}")
        if not isinstance(sample, dict) or "doc_id" not in sample:
            bad.setdefault("a line that is no sample", []).append(f"line {place}")
            continue
        name = str(sample["doc_id"])
        doc = sample["doc"] if isinstance(sample.get("doc"), dict) else {}
        said = sample.get("filtered_resps", sample.get("resps"))
        said = said[0] if isinstance(said, list) and len(said) == 1 and isinstance(said[0], list) else said
        likelihoods = _likelihoods(said)
        common = {"group": _first(doc, _GROUPS) or name, "task": str(doc.get("task") or task)}
        kind = _first(doc, _KINDS)
        strata = {"kind": kind} if kind else {}
        if likelihoods is not None:
            right = _gold_place(sample.get("target"), doc, len(likelihoods))
            if right is None:
                bad.setdefault("a right answer that cannot be read", []).append(name)
            elif any(value is None for value in likelihoods):
                bad.setdefault("a score that is no finite number", []).append(name)
            else:
                values = [value for value in likelihoods if value is not None]
                scored += 1
                found.append(_scored(name, values, right, common, strata))
            continue
        answer = said[0] if isinstance(said, list) and said else said
        options, labels = _options(doc, sample.get("arguments"))
        gold = _answer(str(sample.get("target", "")), options, labels)
        if not isinstance(answer, str) or gold is None:
            bad.setdefault("no answer" if gold else "a right answer that cannot be read", []).append(name)
            continue
        given = _answer(answer, options, labels, gold in ("yes", "no"))
        half = doc.get("half")
        own = "pair" in doc and half in (0, 1)
        turned = own and half == 1 and gold in ("yes", "no")
        found.append(
            Prediction(
                f"{doc['pair']}/{half}" if own else name, common["group"], common["task"], float(given == gold),
                said=given, gold=gold, twin=f"{doc['pair']}/0" if turned else None, strata=strata,
            )
        )  # fmt: skip
    if 0 < scored < len(found):
        raise PaxionError(
            f"{path}: {scored} of {len(found)} samples have log-likelihoods and the others answers in words, expected "
            "one protocol a file; rescore them apart"
        )
    return Predictions(path, "lmms-eval", model, "lmms-eval", SCORED if scored else PARSED, found, bad)


def _scored(
    name: str, values: Sequence[float], right: int, common: Mapping[str, str], strata: Mapping[str, str]
) -> Prediction:
    own, best = values[right], max(value for place, value in enumerate(values) if place != right)
    tied = sum(value == own for value in values) - 1
    credit = 1 / (1 + tied) if own == best else float(own > best)
    chosen = max(range(len(values)), key=lambda place: values[place])
    said = None if list(values).count(values[chosen]) > 1 else str(chosen + 1)
    return Prediction(
        name,
        common["group"],
        common["task"],
        credit,
        own,
        best,
        said=said or "a tie",
        gold=str(right + 1),
        strata=strata,
    )


def _likelihoods(said: Any) -> list[float | None] | None:
    """The log-likelihoods of K >= 2 choices, each alone or with whether it is the greedy answer; else None."""
    if not isinstance(said, list) or len(said) < 2:
        return None
    values = [item[0] if isinstance(item, list) and item else item for item in said]
    return [number(value) for value in values] if all(isinstance(value, int | float) for value in values) else None


def _gold_place(target: Any, doc: Mapping[str, Any], count: int) -> int | None:
    if isinstance(target, int) and not isinstance(target, bool):
        return target if 0 <= target < count else None
    listed: list[Any] = next((doc[name] for name in _LISTS if isinstance(doc.get(name), list)), [])
    text = str(target)
    if text.isdigit() and int(text) < count:
        return int(text)
    place = read_choice(text, [str(option) for option in listed] or [""] * count)
    return place if place is not None and place < count else None


def _options(doc: Mapping[str, Any], arguments: Any) -> tuple[list[str], str]:
    """The texts of the options and their letters, from the document or else from the prompt."""
    listed = next((doc[name] for name in _LISTS if isinstance(doc.get(name), list)), None)
    if listed is not None and len(listed) > 1:
        return [str(option) for option in listed], "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lettered = [letter for letter in "ABCDEFGHIJ" if isinstance(doc.get(letter), str)]
    if len(lettered) > 1:
        return [str(doc[letter]) for letter in lettered], "".join(lettered)
    lines = _LINE.findall(_prompt(arguments))
    if len(lines) > 1 and len({letter for letter, _ in lines}) == len(lines):
        return [text.strip() for _, text in lines], "".join(letter for letter, _ in lines)
    return [], ""


def _prompt(arguments: Any) -> str:
    """The first long text among the arguments of the request."""
    while isinstance(arguments, list | dict) and arguments:
        arguments = arguments[0] if isinstance(arguments, list) else next(iter(arguments.values()))
    return arguments if isinstance(arguments, str) else ""


def _answer(text: str, options: Sequence[str], labels: str, words: bool = True) -> str | None:
    """ "yes", "no", or the place of an option from 1."""
    if words and (said := read_yes_no(text)):
        return said
    place = read_choice(text, options or [""] * 26, labels or "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return None if place is None else str(place + 1)


def _first(doc: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((str(doc[name]) for name in names if isinstance(doc.get(name), str | int)), None)
