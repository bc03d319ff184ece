"""Subcommands about models: models, check, import and export. One dataclass each; heavy imports elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Models:
    """List the kinds of backbone, their options, and known models with their sizes."""

    cost: tuple[str, ...] | None = None
    """Instead: parameters and multiply-adds of these backbones and of what can be put on them. Without names: of the
    known ones, whose weights are never needed."""
    recipe: str = "paper-dvdm"
    """With --cost: whose sizes patcher and fuser have, see paxion patch."""
    rank: int = 8
    """With --cost: of the low-rank update, see paxion lora."""
    json: bool = False
    """With --cost: print a JSON list."""


@dataclass(frozen=True)
class Check:
    """Check that a model keeps the contract of a backbone, and whether its texts tell captions from antonyms."""

    model: Annotated[str, tyro.conf.Positional]
    """Name of a backbone (see paxion models), or folder of an adapter."""
    manifest: Path | None = None
    """Measure the antonym cosine on the captions of this manifest. Default: a built-in list of everyday actions."""
    backbone: str | None = None
    """What an adapter is put on. Default: what it was trained on."""
    seed: int = 0


@dataclass(frozen=True)
class Import:
    """Turn a checkpoint of the published Paxion code (patcher, fuser or KP-Transformer) into an adapter folder."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The published file. It may hold the whole model, backbone included."""
    backbone: str
    """The backbone that it was trained on, for example internvideo:InternVideo-MM-L-14.ckpt, or the checkpoint itself:
    internvideo:CHECKPOINT."""
    out: Path = Path("runs/imported")
    """Folder of the adapter."""
    heads: int | None = None
    """Attention heads, where they are not 64 wide as in every published model: shapes cannot tell."""
    pooled: bool = False
    """The patcher was trained to give the mean of its latents: nothing in the file tells."""


@dataclass(frozen=True)
class Export:
    """Write an adapter as a checkpoint in the layout of the published Paxion code, without the backbone."""

    adapter: Annotated[Path, tyro.conf.Positional]
    """Folder made by paxion patch, fuse or import."""
    out: Path = Path("exported.pth")
    """File to write."""


MODEL_FUNCTIONS: dict[type, str] = {
    Models: "list_models",
    Check: "check",
    Import: "import_checkpoint",
    Export: "export_checkpoint",
}
"""The function of model_commands.py behind each subcommand; its arguments are the fields."""
