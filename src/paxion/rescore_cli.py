"""The subcommand `paxion rescore`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Rescore:
    """Score predictions that others published: TempCompass, ViLMA, lmms-eval samples, or a CSV (docs/rescore.md).

    No model is run: accuracy with intervals by source, twins of clip and reversal, AUROC, and how the model answers.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files of predictions, or folders of some: one format, any number of models."""
    out: Path = Path("runs/rescored")
    """Folder of the run: results.json, samples.jsonl, strata.jsonl, report.html."""
    format: str = "auto"
    """tempcompass, vilma, lmms-eval or csv. Default: told from the files."""
    models: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--model"])] = ()
    """What the model of each file is called. Default: its folder or file."""
    judge: str = "auto"
    """Of TempCompass: ratings (as published) or text (every answer read strictly). Default: ratings where there are."""
    annotations: Path | None = None
    """Of ViLMA: the file of captions and foils that was scored; it says sources, and which items count."""
    proficiency: tuple[Path, ...] = ()
    """Of ViLMA: the result files of the proficiency tests, in the order of the files; an item counts as right when both
    are."""
    lower_is_better: bool = False
    """Of ViLMA: the scores are perplexities."""
    manifest: Path | None = None
    """Which ids there should be, their sources and facts. Others are counted as unknown, absent ones as missing."""


RESCORE_FUNCTIONS: dict[type, str] = {Rescore: "rescore"}
"""The function of rescore_commands.py behind the subcommand; its arguments are the fields."""
