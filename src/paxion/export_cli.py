"""The subcommands `paxion export adapter, lmms-eval, vlmevalkit, dataset`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from paxion.model_cli import Export


@dataclass(frozen=True)
class ExportLmmsEval:
    """Write a manifest's probes as tasks for lmms-eval's --include_path: every choice in both orders, every reversal as
    a clip and its twin (docs/export.md).
    """

    manifest: Annotated[Path, tyro.conf.Positional]
    """JSONL file, one captioned clip a line."""
    out: Path
    """Folder to make; it must not be there, or be empty."""
    split: str = "test"
    """Split whose rows are asked about."""
    tasks: tuple[str, ...] = ("antonym", "reversal", "object")
    """Some of antonym, reversal, object."""
    seed: int = 0
    """Decides the succession of the questions, and which of two orders comes first."""
    link: bool = False
    """Link to video files instead of copying them. Parts of files and reversals are always written."""


@dataclass(frozen=True)
class ExportVlmevalkit:
    """Write a manifest's antonym and object probes as tables for VLMEvalKit, with eight frames of each clip as
    pictures.
    """

    manifest: Annotated[Path, tyro.conf.Positional]
    """JSONL file, one captioned clip a line."""
    out: Path
    """Folder to make; it must not be there, or be empty."""
    split: str = "test"
    """Split whose rows are asked about."""
    tasks: tuple[str, ...] = ("antonym", "object")
    """Some of antonym, object."""
    seed: int = 0
    """Decides the succession of the questions, and which of two orders comes first."""
    frames: int = 8
    """Frames of a clip: the middle ones of so many equal stretches."""


@dataclass(frozen=True)
class ExportDataset:
    """Write a manifest and its videos as a Hugging Face dataset folder with a card."""

    manifest: Annotated[Path, tyro.conf.Positional]
    """JSONL file, one captioned clip a line."""
    out: Path
    """Folder to make; it must not be there, or be empty."""
    split: tuple[str, ...] = ("train", "val", "test")
    """Splits to write; those without rows are passed over."""
    license: str = "unknown"
    """Licence that the card names, for example cc-by-4.0."""
    link: bool = False
    """Link to video files instead of copying them."""


@dataclass(frozen=True)
class ExportCommand:
    """Write an adapter in the published layout (`paxion export adapter RUN`, or just `paxion export RUN`), or a
    manifest for other tools.
    """

    what: (
        Annotated[Export, tyro.conf.subcommand("adapter")]
        | Annotated[ExportLmmsEval, tyro.conf.subcommand("lmms-eval")]
        | Annotated[ExportVlmevalkit, tyro.conf.subcommand("vlmevalkit")]
        | Annotated[ExportDataset, tyro.conf.subcommand("dataset")]
    )


EXPORT_FUNCTIONS: dict[type, str] = {
    ExportLmmsEval: "lmms_eval",
    ExportVlmevalkit: "vlmevalkit",
    ExportDataset: "dataset",
}
"""The function of export_commands.py behind each subcommand; its arguments are the fields."""
