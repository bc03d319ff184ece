"""What every format of published predictions is read into."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paxion.records import PaxionError

RATED, PARSED, SCORED = "published ratings", "answers parsed strictly", "published scores"
"""How it was told whether a prediction is right."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One prediction: what was asked, what is right, and what the model gave."""

    id: str
    """Unique in its task."""
    group: str
    """The source of the clip, for the statistics."""
    task: str
    credit: float
    """1 right, 0 wrong or not readable, 0.5 tie."""
    right: float | None = None
    """Score of the right answer, where scores were published."""
    wrong: float | None = None
    """Score of the best wrong answer."""
    said: str | None = None
    """The answer as read: "yes", "no", or the place of the chosen option from 1. None: not readable, or no answers."""
    gold: str | None = None
    """The right answer, in the same words. None where answers are not of this kind."""
    twin: str | None = None
    """Id of the same question about the clip of which this one's is the reversal, with the opposite answer."""
    control: str = "none"
    """What was done to the clip, where the file says it."""
    strata: Mapping[str, str] = field(default_factory=dict)
    """Facts for breakdowns, as `evaluation.strata` names them; `kind` is also scored on its own."""

    @property
    def unread(self) -> bool:
        """Whether there was an answer in words that could not be read."""
        return self.gold is not None and self.said is None


@dataclass(frozen=True)
class Predictions:
    """One file of predictions, of one model."""

    file: Path
    format: str
    model: str
    data: str
    judged: str
    """RATED, PARSED or SCORED."""
    items: list[Prediction]
    bad: dict[str, list[str]] = field(default_factory=dict)
    """Why entries could not be used, and their ids."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know of the file, a line each."""


def read_text(path: Path) -> str:
    """A file's text. Raises PaxionError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PaxionError(f"cannot read {path}: {reason}; expected a file of predictions (docs/rescore.md)") from error


def parse_json(text: str, where: str) -> Any:
    """Strict JSON but for NaN and Infinity, which predictions hold. Raises PaxionError; also for a key given twice with
    two values: which of them counts cannot be known.
    """
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, where))
    except ValueError as error:
        if isinstance(error, PaxionError):
            raise
        raise PaxionError(f"{where}: not JSON ({error}); expected a file of predictions (docs/rescore.md)") from error


def number(value: Any) -> float | None:
    """A finite number, or None: NaN, infinities, booleans and words are no scores."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def digest(path: Path) -> str:
    """Of a file's content, for the provenance."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _object(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise PaxionError(f"{where}: {key!r} is there twice with different content, expected each id once")
        found[key] = value
    return found
