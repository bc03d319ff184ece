"""Samples of a run as one HTML file that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray

from paxion.files import write_text
from paxion.inspection.one_clip import best
from paxion.inspection.view import View
from paxion.report.sheets import contact_sheet, data_uri

WIDTH = 1600
"""A strip is never wider than this, in pixels."""
TALL = 160
"""Small frames are enlarged to about this height."""


def write_inspection(path: Path, title: str, views: Sequence[View], notes: Sequence[str] = ()) -> None:
    """Write the page: for each sample its strip forwards and backwards, what came out, and all scores.

    notes: lines said at the top, about models that could not be loaded for example.
    """
    template = resources.files("paxion.inspection").joinpath("inspect.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(template).render(
        title=title,
        notes=notes,
        views=[
            {
                "view": view,
                "strips": [] if view.frames is None else _strips(view.frames),
                "results": view.results,
                "tops": {model: best([score.forward for score in found]) for model, found in view.scores.items()},
            }
            for view in views
        ],
    )
    write_text(path, text)


def _strips(frames: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """(what it shows, data URI) of the clip and of its reversal."""
    count, height, width, _ = frames.shape
    scale = min(max(1, TALL // height), WIDTH / (count * width))
    strips = ("as it is", frames), ("played backwards", frames[::-1])
    return [(what, data_uri(contact_sheet(shown, scale))) for what, shown in strips]
