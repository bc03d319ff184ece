"""What a cell or a JSON value says: text, seconds, a list of strings. What it cannot say is a RowError."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from paxion.data.rows import RowError
from paxion.records import Split

SLACK = 0.5
"""Seconds that a window may reach beyond a video whose length is known; it is cut there."""
_CLOCK = re.compile(r"(?:(\d{1,6}):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)", re.ASCII)
_LONGEST_LIST = 20_000  # Characters. Longer literals are not lists of words, and deep ones exhaust the parser.
_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def text(row: Mapping[str, Any], name: str) -> str | None:
    """The text of a field as written; a whole number is taken as text (ids). None when absent, null, NaN or blank."""
    value = row.get(name)
    if isinstance(value, str):
        return value if value.strip() else None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if type(value) is int:
        return str(value)
    raise RowError(f"{name}: got {shown(value)}, expected text")


def needed_text(row: Mapping[str, Any], name: str) -> str:
    """The text of a field that must say something."""
    value = text(row, name)
    if value is None:
        raise RowError(f"{name}: got nothing, expected text")
    return value


def number(value: object, name: str, expected: str = "a finite number") -> float | None:
    """The number of a field, given as a number or as text. None when absent or blank; NaN is refused."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        # Python reads "1_0" as 10, no data set means that.
        if (isinstance(value, str) and "_" not in value) or (
            isinstance(value, int | float) and type(value) is not bool
        ):
            found = float(value)
        else:
            found = math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise RowError(f"{name}: got {shown(value)}, expected {expected}")
    return found


def seconds(value: object, name: str) -> float | None:
    """Seconds from a number or from text: "12.5", "1:02.5" or "00:01:02.50". None when absent or blank.

    NaN, infinities and clocks with more than 59 minutes or seconds are refused.
    """
    if isinstance(value, str) and (match := _CLOCK.fullmatch(value.strip())):
        hours, minutes, rest = match.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)
    return number(value, name, "seconds")


def window(start: float | None, end: float | None, duration: float | None = None) -> tuple[float | None, float | None]:
    """Start and end of a clip in its file, seconds; None means from the start, to the end.

    duration: of the file, when the annotation tells it. What reaches beyond the file by up to SLACK is then cut off.
    """
    slack = 0.0 if duration is None else SLACK
    if start is not None and start < -slack:
        raise RowError(f"start: got {start:g}, expected 0 seconds or more")
    if duration is not None:
        if end is not None and end > duration + slack:
            raise RowError(f"end: got {end:g}, expected at most the {duration:g} seconds of the video")
        start = None if start is None else max(start, 0.0)
        end = None if end is None else min(end, duration)
    last = end if end is not None else duration
    if last is not None and last <= (start or 0.0):
        raise RowError(f"end: got {last:g}, expected more than start ({start or 0.0:g} seconds)")
    return start, end


def strings(value: object, name: str) -> tuple[str, ...] | None:
    """A list of strings, given as a list or written as a Python or JSON literal. None when absent, blank or empty."""
    if value is None or (isinstance(value, str) and not value.strip()) or value != value:
        return None
    items: object = value
    if isinstance(value, str):
        try:
            items = ast.literal_eval(value.strip()) if len(value) <= _LONGEST_LIST else None
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            items = None
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) and item.strip() for item in items):
        raise RowError(f"{name}: got {shown(value)}, expected a list of strings")
    return tuple(items) or None


def split_named(name: str) -> Split | None:
    """The split that a word of a data set means: "validation" is val. None when it is none."""
    return _SPLITS.get(name.strip().lower())


def phrases(caption: str, wanted: Iterable[str]) -> tuple[str, ...] | None:
    """The wanted phrases as the caption writes them, in its order; what is not in it as whole words is left out.

    A phrase that is wanted twice is taken from two places.
    """
    low = caption.lower()
    if len(low) != len(caption):  # A few letters change length; then only what is written alike is found.
        low = caption
    spans: list[tuple[int, int]] = []
    for phrase in wanted:
        span = _place(low, phrase.strip().lower(), spans)
        if span is not None:
            spans.append(span)
    return tuple(caption[start:end] for start, end in sorted(spans)) or None


def shown(value: object) -> str:
    """The value in a message, cut short."""
    written = json.dumps(value, ensure_ascii=False, default=repr)
    return written if len(written) <= 60 else written[:57] + "..."


def _place(low: str, phrase: str, taken: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The first place of the phrase as whole words where nothing is taken yet."""
    start = low.find(phrase) if phrase else -1
    while start >= 0:
        end = start + len(phrase)
        whole = not (start and low[start - 1].isalnum()) and not low[end : end + 1].isalnum()
        if whole and all(end <= first or last <= start for first, last in taken):
            return start, end
        start = low.find(phrase, start + 1)
    return None
