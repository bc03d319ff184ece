"""The subcommand `paxion world metaworld`; heavy imports elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Metaworld:
    """Render scripted episodes of a simulated robot (Meta-World) to MP4 files, with a manifest.

    Eleven pairs of opposite tasks: three are held out, the test split of the others has seeds never trained on. Needs
    pip install 'paxion[metaworld]' and apt-get install libosmesa6. An interrupted run goes on where it stopped.
    """

    out: Path = Path("metaworld")
    """Folder to write to."""
    episodes: int = 440
    """Episodes over all tasks; those that the expert fails are left out, and counted."""
    seed: int = 0
    """Decides where things and goals are, and what is said."""
    size: int = 224
    """Side of the picture in pixels, even."""
    frames: int = 17
    """Frames of a clip, evenly spaced from the start of the episode to its success."""
    workers: int | None = None
    """Processes, one core each. Default: as many as there are cores."""


METAWORLD_FUNCTIONS: dict[type, str] = {Metaworld: "make_metaworld"}
"""The function of metaworld_commands.py behind the subcommand; its arguments are the fields."""
