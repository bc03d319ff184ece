"""What `paxion export lmms-eval, vlmevalkit, dataset` do. Each returns the exit status."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from paxion.commands import say, say_missed
from paxion.exporting.dataset_folder import export_dataset
from paxion.exporting.folder import NOTE, Exported
from paxion.exporting.lmms_eval import export_lmms_eval
from paxion.exporting.vlmevalkit import export_vlmevalkit
from paxion.manifest import read_rows
from paxion.progress import progress


def lmms_eval(
    console: Console, manifest: Path, out: Path, split: str, tasks: tuple[str, ...], seed: int, link: bool
) -> int:
    """Write tasks for lmms-eval."""
    exported = _shown(
        console,
        manifest,
        out,
        (split,),
        lambda tick: export_lmms_eval(
            manifest, out, split=split, tasks=tasks, seed=seed, link=link, command=shlex.join(sys.argv), tick=tick
        ),
    )
    say(console, f"lmms-eval --include_path {out} --tasks {','.join(exported.rows)}")
    return 0


def vlmevalkit(
    console: Console, manifest: Path, out: Path, split: str, tasks: tuple[str, ...], seed: int, frames: int
) -> int:
    """Write tables for VLMEvalKit."""
    exported = _shown(
        console,
        manifest,
        out,
        (split,),
        lambda tick: export_vlmevalkit(
            manifest, out, split=split, tasks=tasks, seed=seed, frames=frames, command=shlex.join(sys.argv), tick=tick
        ),
    )
    say(console, f"LMUData={out} python run.py --data {' '.join(exported.rows)} --model NAME")
    return 0


def dataset(console: Console, manifest: Path, out: Path, split: tuple[str, ...], license: str, link: bool) -> int:
    """Write a Hugging Face dataset folder."""
    _shown(
        console,
        manifest,
        out,
        split,
        lambda tick: export_dataset(
            manifest, out, splits=split, license=license, link=link, command=shlex.join(sys.argv), tick=tick
        ),
    )
    return 0


def _shown(
    console: Console,
    manifest: Path,
    out: Path,
    splits: tuple[str, ...],
    export: Callable[[Callable[[int], object]], Exported],
) -> Exported:
    """Export with a bar, then say what became of the rows."""
    clips = sum(row.split in splits for row in read_rows(manifest))
    with progress(console, "clips", clips) as tick:
        exported = export(tick)
    for name, rows in exported.rows.items():
        say(console, f"{name}: {rows} rows")
    for reason, count in exported.left_out.items():
        say(console, f"left out: {count} ({reason})")
    if exported.missed:
        say_missed(console, exported.missed, clips)
        say(console, f"every one of them is named in {out / NOTE}")
    say(console, f"the folder: {out}")
    return exported
