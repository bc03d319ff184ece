"""The subcommand `paxion ask`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Ask:
    """Ask generative models about the clips of a manifest: likelihoods, choices in every order, yes and no.

    Answers are kept: an interrupted run goes on where it stopped, and nothing is asked twice (docs/generative.md).
    """

    manifest: Annotated[Path, tyro.conf.Positional]
    models: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--model"])]
    """hf:ID-or-folder[,frames=8,dtype=bfloat16], endpoint:URL,model=NAME[,frames=8,key_env=OPENAI_API_KEY]."""
    out: Path = Path("runs/ask")
    """Folder of the run: results.json, samples.jsonl, strata.jsonl, report.html."""
    how: tuple[str, ...] = ("likelihood", "choice", "yes-no")
    """Some of likelihood, choice, yes-no."""
    tasks: tuple[str, ...] = ("antonym", "object", "reversal", "twins")
    """Some of antonym, object, reversal, twins, questions."""
    controls: tuple[str, ...] = ("none",)
    """none, reversed, first, middle, last, frozen, shuffled, blind (no picture at all), other (another clip),
    antonym_said (the antonym as caption, for reversal); or `all`."""
    split: str = "test"
    """train, val or test."""
    cache: Path = Path("answers")
    """Folder of the answers, shared by runs."""
    batch: int = 8
    """Prompts that a model is given at a time."""
    frames: int | None = None
    """Frames of a clip that are shown. Default: what the model says (8)."""
    prompt_file: Path | None = None
    """JSON with other texts for some of caption, answer, choice, question, yes_no."""
    sampler: str = "midpoint"
    """Which frames are taken: midpoint, endpoints or paper."""
    seed: int = 0
    """Draws what the controls `shuffled`, `frozen` and `other` show, and is named in the results."""


ASK_FUNCTIONS: dict[type, str] = {Ask: "ask_models"}
"""The function of ask_commands.py behind the subcommand; its arguments are the fields."""
