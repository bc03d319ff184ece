"""The subcommand experiment. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class RunExperiment:
    """Run a whole experiment from one TOML file, and write its tables.

    The file lists backbones, data, models, tasks and tables; what is missing is made, in order, by the commands that
    --dry-run prints. What is done stays done: the same command goes on after it was stopped, and after the file was
    changed does again what depends on the change.
    """

    experiment: Annotated[str, tyro.conf.Positional]
    """A TOML file, or the name of a shipped one: world, world-study, metaworld, paper."""
    out: Path | None = None
    """Folder of the experiment. Default: runs/ and its name."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TABLE.KEY=VALUE"), tyro.conf.UseAppendAction] = ()
    """A value in the place of the file's: --set data.ssv2.videos=/videos --set 'seeds=[0, 1]'."""
    jobs: int | None = None
    """Stages side by side. Default: 2 on two cores or more, 1 on a GPU."""
    dry_run: bool = False
    """Only print the commands, in order, and how far each is."""
    tables_only: bool = False
    """Only write the tables, of what is done."""
    show: bool = False
    """Only print the file, to be copied and changed: paxion experiment world --show > my.toml"""


EXPERIMENT_FUNCTIONS: dict[type, str] = {RunExperiment: "experiment"}
"""The function of experiment_commands.py behind the subcommand; its arguments are the fields."""
