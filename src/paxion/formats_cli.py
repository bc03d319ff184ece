"""The subcommand `paxion world formats`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Formats:
    """Write a manifest as the files of the published data sets, with videos in their layout (docs/formats.md)."""

    manifest: Annotated[Path, tyro.conf.Positional]
    """Of a world, or any other."""
    out: Path
    """Folder to write to, a folder in it for each format."""
    split: str = "test"
    """Split whose rows go into the part that the paper evaluates on."""
    source: str | None = None
    """Only the rows of this source, world-A or world-B. Default: all."""
    formats: tuple[str, ...] = ()
    """Some of ssv2, temporal, nextqa, moments, kinetics, ego4d. Default: all."""


FORMATS_FUNCTIONS: dict[type, str] = {Formats: "write_formats"}
"""The function of formats_commands.py behind it; its arguments are the fields."""
