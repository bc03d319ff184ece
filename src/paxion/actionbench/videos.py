"""Whether the video of a row can be read, and lasts as long as the row says."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from paxion.records import PaxionError, Sample
from paxion.video.decode import read_clip

WINDOW_SLACK = 0.5
"""Seconds by which a window may outlast its video: annotations are rounded."""


def video_flaw(sample: Sample, folder: Path) -> str | None:
    """Why a row's video does not fit the row, or None: it cannot be read, or its window lies beyond the end."""
    seconds = _length(os.path.normpath(folder / sample.video))
    if isinstance(seconds, str):
        return seconds
    for name, value in (("start", sample.start), ("end", sample.end)):
        if value is not None and value > seconds + WINDOW_SLACK:
            return f"{name}: got {value:g} s, expected at most {seconds:.2f}, where the video ends"
    return None


@lru_cache(maxsize=1 << 12)
def _length(path: str) -> float | str:
    """The length of a video in seconds, or why it cannot be read."""
    try:
        clip = read_clip(path, "endpoints", 2)
    except PaxionError as error:
        return str(error)
    # The last frame is shown as long as the others are on average.
    return clip.timestamps[-1] * clip.total / max(1, clip.total - 1)
