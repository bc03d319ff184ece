"""Subcommands that look at single clips: inspect and score. One dataclass each; heavy imports elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Inspect:
    """Look at single samples of a run: the clip both ways, every text, every model's scores.

    Prints them, and writes inspect.html.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a run of paxion probe, evaluate or quickstart."""
    sample: tuple[str, ...] = ()
    """Ids to look at."""
    worst: int = 0
    """Look at so many samples that a model gets most wrong. Default: 5, without --sample."""
    task: str | None = None
    """What the worst are the worst in. Default: the first task of the run."""
    model: str | None = None
    """Whose worst. Default: the patched model that the page is about, else the first."""
    top: int = 5
    """How many captions and actions to list that fit best, where the run has retrieval tasks; 0: none."""
    out: Path | None = None
    """The page. Default: inspect.html in the folder of the run."""


@dataclass(frozen=True)
class Score:
    """Score a clip of your own against texts: paxion score clip.mp4 "opening the door" "closing the door"."""

    video: Annotated[Path, tyro.conf.Positional]
    texts: Annotated[tuple[str, ...], tyro.conf.Positional]
    """The texts."""
    model: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """`backbone`, a name of a backbone (see paxion models), or a folder made by paxion patch or fuse. Give it again for
    another model. Default: backbone."""
    start: float | None = None
    """Where in the video the clip begins, seconds."""
    end: float | None = None
    """Where it ends."""
    sampler: str | None = None
    """Which frames are taken. Default: those that the adapters were trained on, else midpoint."""
    backbone: str | None = None
    """What `backbone` stands for, and what adapters are put on. Default: what an adapter was trained on, else world."""


INSPECT_FUNCTIONS: dict[type, str] = {Inspect: "inspect_run", Score: "score"}
"""The function of inspect_commands.py behind each subcommand; its arguments are the fields."""
