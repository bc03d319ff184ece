"""What lmms-eval calls for the tasks beside this file: pictures, prompts, and how answers are scored.

This file was written by `paxion export lmms-eval` and needs the standard library only. An answer that is not plainly
one of the two that were asked for is counted as unparsed and wrong: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
_LETTER = re.compile(r"(?:the |final |correct )*(?:(?:answer|option)(?: is)?\s*:?\s*)?\(?([ab])\)?[.:]?", re.IGNORECASE)
_WORD = re.compile(r"(?:answer\s*:\s*)?(yes|no)[.!]?", re.IGNORECASE)


def doc_to_visual(doc: Mapping[str, Any]) -> list[str]:
    """The path of the clip."""
    return [str(FOLDER / doc["video"])]


def doc_to_text(doc: Mapping[str, Any], kwargs: Mapping[str, str] | None = None) -> str:
    """The prompt. kwargs: `pre_prompt` and `post_prompt` of the task, where given."""
    kwargs = kwargs or {}
    return f"{kwargs.get('pre_prompt', '')}{doc['prompt']}{kwargs.get('post_prompt', '')}"


def doc_to_target(doc: Mapping[str, Any]) -> str:
    """The right answer: A or B, yes or no."""
    return str(doc["answer"])


def parse(doc: Mapping[str, Any], text: str) -> str | None:
    """Which of the two answers the model gave; None when it gave neither, both, or more words than that.

    Taken are: the letter or word alone, in brackets or with a full stop, after "Answer:"; the letter with its text; the
    text alone.
    """
    said = " ".join(text.split()).strip("\"'*` ")
    if doc["task"] == "reversal":
        found = _WORD.fullmatch(said)
        return found.group(1).lower() if found else None
    found = _LETTER.fullmatch(said)
    if found:
        return found.group(1).upper()
    options = {letter: " ".join(str(doc[letter]).split()).casefold().rstrip(".") for letter in ("A", "B")}
    said = said.casefold().rstrip(".")
    matched = [
        letter
        for letter, option in options.items()
        if said in (option, *(f"{start}{option}" for start in _starts(letter.lower())))
    ]
    return matched[0] if len(matched) == 1 else None


def _starts(letter: str) -> tuple[str, ...]:
    return f"{letter}. ", f"{letter}: ", f"{letter}) ", f"({letter}) "


def process_results(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """What each metric needs of one answer. `score` is what standard errors are made of, clustered by `group`."""
    answer = parse(doc, str(results[0]))
    first = "yes" if doc["task"] == "reversal" else "A"
    asked = {"pair": doc["pair"], "group": doc["group"], "half": doc["half"]}
    given = {**asked, "answer": answer, "right": answer == doc["answer"], "parsed": answer is not None}
    given["same"] = answer if doc["task"] == "reversal" else None if answer is None else str(doc[answer])
    agreement = "same_answer" if doc["task"] == "reversal" else "consistent"
    return {
        "accuracy": {**given, "score": float(given["right"])},
        "both_right": given,
        agreement: given,
        "answered_first": {**given, "first": answer == first},
        "unparsed": {**given, "score": float(answer is None)},
    }


def mean_score(items: Sequence[Mapping[str, Any]]) -> float:
    """Mean of `score`: accuracy (chance 0.5), or the share of answers that cannot be read."""
    return _share([item["score"] for item in items])


def both_right(items: Sequence[Mapping[str, Any]]) -> float:
    """Share of pairs with both answers right; chance 0.25. Pairs of which one half was not asked do not count."""
    return _share([a["right"] and b["right"] for a, b in _pairs(items)])


def agreement(items: Sequence[Mapping[str, Any]]) -> float:
    """Share of pairs with the same answer twice.

    Two orders: the same text was chosen in both (1 is best). Clip and reversal: the same was said of both (0 is best).
    Unparsed answers agree with nothing.
    """
    return _share([a["parsed"] and b["parsed"] and a["same"] == b["same"] for a, b in _pairs(items)])


def answered_first(items: Sequence[Mapping[str, Any]]) -> float:
    """Share of the readable answers that are A, or yes: 0.5 without a leaning."""
    return _share([item["first"] for item in items if item["parsed"]])


def _pairs(items: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    halves: dict[str, dict[int, Mapping[str, Any]]] = {}
    for item in items:
        halves.setdefault(item["pair"], {})[item["half"]] = item
    return [(found[0], found[1]) for found in halves.values() if len(found) == 2]


def _share(values: Sequence[Any]) -> float:
    return sum(map(float, values)) / len(values) if values else float("nan")
