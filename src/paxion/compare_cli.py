"""The subcommand that sets models beside each other: compare. Heavy imports elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Compare:
    """Compare models sample by sample: paired differences with intervals and corrected p-values (docs/compare.md).

    Runs that differ in protocol, manifest, sampler or engine are refused.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders that probe, evaluate, ask, rescore or quickstart made, with all their models; RUN:MODEL is one of them,
    RUN+RUN+RUN one model of several seeds, averaged. The first model is the baseline; every other is compared with
    it."""
    by: str | None = None
    """Break the differences down, worst first, by verb, "verb pair", template, source, salience, "caption length" or
    kind."""
    tasks: tuple[str, ...] = ()
    """Default: every task that the runs share."""
    controls: tuple[str, ...] = ("none",)
    """none, first, middle, last, shuffled, blind and so on; or `all`."""
    allow: tuple[str, ...] = ()
    """Facts that may differ: protocol, manifest, split, sampler, engine, labels, prompts, question_text. What does is
    printed and written into the output."""
    seed: int = 0
    """Of the permutation tests."""
    out: Path | None = None
    """Folder for comparison.json and comparison.md."""
    json: bool = False
    """Print comparison.json instead of tables."""


COMPARE_FUNCTIONS: dict[type, str] = {Compare: "compare_runs"}
"""The function of compare_commands.py behind the subcommand; its arguments are the fields."""
