"""TempCompass: {video: {aspect: [{question, answer, prediction, rating}]}}, one file a model and kind of question."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from paxion.evaluation.answers import read_choice, read_yes_no
from paxion.rescoring.predictions import PARSED, RATED, Prediction, Predictions

KINDS = ("yes_no", "multi-choice", "caption_matching", "captioning")
"""The published files."""
REVERSED = "_reverse"
"""What follows the id of a clip in that of its reversal."""
_GOLD, _SAID = ("gt-answer", "answer"), ("video-llm-prediction", "prediction")
_OPTION = re.compile(
    r"^\s*(?:\(?([A-Z])[.):]|(?:option|caption|sentence|choice)\s+([0-9]+|[A-Z])\s*[:.)])\s*(.*)$", re.I | re.M
)


def looks_like(content: Any) -> bool:
    """Whether JSON content has this layout."""
    first = next(iter(content.values()), None) if isinstance(content, dict) else None
    lists = [value for value in first.values() if isinstance(value, list)] if isinstance(first, dict) else []
    return any(_first(item, _SAID) is not None for listed in lists for item in listed)


def read_tempcompass(path: Path, content: Any, model: str, judged: str | None = None) -> Predictions:
    """Read a file of predictions. judged: RATED takes the published rating (0 or 1) of each, PARSED reads the answers
    strictly (`evaluation.answers`); default: ratings where most predictions have one. Of captioning, ratings are all
    there is. A prediction without a rating, where ratings count, is not used: it would be of another protocol.

    A question that is asked in the same words, and of the same aspect, about a clip and about its reversal with
    opposite answers makes twins. Clips cut, joined or reversed from one video are one group.
    """
    kind = _kind(path)
    asked = list(_asked(content))
    rated = sum("rating" in item for _, _, _, item in asked if isinstance(item, dict))
    if judged is None:
        judged = RATED if 2 * rated > len(asked) else PARSED
    found: list[Prediction] = []
    bad: dict[str, list[str]] = {}
    against = 0
    for name, video, aspect, item in asked:
        gold, said = (_first(item, names) for names in (_GOLD, _SAID))
        if not isinstance(item, dict) or not isinstance(gold, str) or not isinstance(said, str):
            bad.setdefault("no answer or no prediction", []).append(name)
            continue
        right, answer = _read(kind, str(item.get("question", "")), gold, said)
        credit = float(answer is not None and answer == right)
        if judged == RATED:
            rating = str(item.get("rating", "none")).strip()
            if rating == "none":
                bad.setdefault("no rating, where ratings count (mixed protocols)", []).append(name)
                continue
            if rating not in ("0", "1", "0.0", "1.0", "True", "False"):
                bad.setdefault("a rating that is neither 0 nor 1", []).append(name)
                continue
            against += answer is not None and right is not None and credit != float(rating in ("1", "1.0", "True"))
            credit = float(rating in ("1", "1.0", "True"))
        elif right is None:
            bad.setdefault("a right answer that cannot be read", []).append(name)
            continue
        found.append(
            Prediction(name, video.split("_")[0], kind, credit, said=answer, gold=right, strata={"kind": aspect})
        )
    notes = [f"{against} ratings of {model} contradict the answer as it reads; the ratings count"] if against else []
    return Predictions(path, "tempcompass", model, "tempcompass", judged, _twinned(found), bad, notes)


def _asked(content: Any) -> Iterator[tuple[str, str, str, Any]]:
    """(id, video, aspect, item) of everything that was asked; a question asked again of a clip gets a number."""
    for video, aspects in content.items():
        if not isinstance(aspects, dict):
            yield f"{video}", video, "", None
            continue
        for aspect, items in aspects.items():
            times: Counter[str] = Counter()
            for item in items if isinstance(items, list) else [None]:
                question = str(item.get("question", "")) if isinstance(item, dict) else ""
                times[question] += 1
                again = f" ({times[question]})" if times[question] > 1 else ""
                yield f"{video}/{aspect}/{question}{again}", video, aspect, item


def _twinned(found: list[Prediction]) -> list[Prediction]:
    """The predictions, with those about reversals pointing to those about their clips."""
    by_id = {item.id: item for item in found}
    pointing = []
    for item in found:
        video, _, rest = item.id.partition("/")
        clip = by_id.get(f"{video.removesuffix(REVERSED)}/{rest}") if video.endswith(REVERSED) else None
        opposite = clip is not None and {item.gold, clip.gold} == {"yes", "no"}
        pointing.append(replace(item, twin=clip.id) if clip is not None and opposite else item)
    return pointing


def _read(kind: str, question: str, gold: str, said: str) -> tuple[str | None, str | None]:
    """(right answer, answer) as a word, or the place of an option from 1; None where it cannot be read."""
    if kind == "yes_no" or gold.strip().lower().rstrip(".") in ("yes", "no"):
        return read_yes_no(gold), read_yes_no(said)
    options = [(found[0] or found[1]).upper() for found in _OPTION.findall(question)]
    texts = [found[2].strip() for found in _OPTION.findall(question)]
    if len(texts) < 2:
        return None, None
    labels = "".join(options) if all(len(option) == 1 and option.isalpha() for option in options) else "ABCDEFGHIJ"
    right, answer = (read_choice(text, texts, labels) for text in (gold, said))
    return None if right is None else str(right + 1), None if answer is None else str(answer + 1)


def _kind(path: Path) -> str:
    """What kind of question a file holds, by its name."""
    name = path.stem.lower().replace(" ", "_")
    for kind in KINDS:
        if kind in name or kind.replace("-", "_") in name.replace("-", "_"):
            return kind
    return "questions"


def _first(item: Any, names: tuple[str, ...]) -> Any:
    return next((item[name] for name in names if name in item), None) if isinstance(item, dict) else None
