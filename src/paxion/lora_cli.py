"""The subcommand that trains the backbone itself, by low-rank updates: lora. Heavy imports elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class TrainLora:
    """Train low-rank updates (LoRA) of a backbone on the train split of a manifest, by a patcher's objectives.

    What one would reach for instead of a patcher, to compare with: every step runs the backbone, forwards and
    backwards. It cannot give order to a backbone whose pooling ignores it. Needs the extra: pip install 'paxion[lora]'.
    A run that was stopped goes on where it was when the same command is given again.
    """

    manifest: Annotated[Path, tyro.conf.Positional]
    out: Path = Path("runs/lora")
    """Folder of the update, its log, its checkpoints and its config.json. paxion probe takes it as a model."""
    backbone: str = "world"
    """A name such as hf:openai/clip-vit-base-patch32; paxion models lists what there is."""
    recipe: str = "patcher-dvdm"
    """Whose objectives are trained on: patcher-dvdm (the paper's: VTC, VAC, ATM), patcher-vtc (VTC), patcher (ours), or
    another one of paxion patch. Its sizes of a patcher, and its noise on tokens, have no place here."""
    rank: int = 8
    """r of the update (alpha / r) B A."""
    alpha: float = 16.0
    targets: tuple[str, ...] = ("auto",)
    """Linear layers to update, by their names or how these end: qkv, self_attn.q_proj. auto: all of the tower but what
    maps to the joint space, and what embeds."""
    towers: Literal["vision", "both"] = "vision"
    """both: the text tower is trained too."""
    epochs: int | None = None
    """Times that every clip is seen. Default: the recipe's."""
    batch: int | None = None
    """Clips in a step; the others are the wrong answers of each. Default: the recipe's."""
    accumulate: int | None = None
    """Parts that a batch is cut in, for want of memory; they do not see each other. Default: the recipe's."""
    rate: float = 1e-3
    """Learning rate after the warm-up."""
    precision: Literal["float32", "bf16"] | None = None
    """What the backbone is computed in. Default: the recipe's."""
    sampler: str | None = None
    """Which frames are taken of a clip: midpoint, endpoints, or paper. Default: the recipe's."""
    workers: int | None = None
    """Decoding processes. Default: by the cores."""
    memory: float = 4.0
    """GB for pixels, which are decoded once as long as they fit; 1000 clips of 8 frames of 224 x 224 take 1.2."""
    seed: int = 0
    """Decides the first weights and the order of the clips."""
    save_every: float = 60.0
    """Seconds between two checkpoints; there is one at each epoch's end and on Ctrl-C or SIGTERM too."""


LORA_FUNCTIONS: dict[type, str] = {TrainLora: "lora"}
"""The function of lora_commands.py behind the subcommand; its arguments are the fields."""
