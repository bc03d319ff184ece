"""What `paxion world formats` does. Returns the exit status."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from paxion.commands import say
from paxion.data.publishing.publish import WRITERS, publish
from paxion.manifest import read_rows
from paxion.progress import progress
from paxion.records import SPLITS, unknown_name
from paxion.world.actions import ACTIONS
from paxion.world.captions import blank, label


def write_formats(
    console: Console, manifest: Path, out: Path, split: str, source: str | None, formats: tuple[str, ...]
) -> int:
    """Write a manifest in the published formats, and print what each file got."""
    if split not in SPLITS[1:]:
        raise unknown_name("split to evaluate on", split, SPLITS[1:])
    with progress(console, "videos", sum(1 for _ in read_rows(manifest))) as tick:
        written = publish(
            manifest,
            out,
            evaluated=split,
            source=source,
            formats=formats or tuple(WRITERS),
            names=action_names(),
            tick=tick,
        )
    for name, files in written.items():
        for file in files:
            reasons = ", ".join(f"{count} without {what}" for what, count in file.left_out.items())
            say(console, f"{name}/{file.file}: {file.rows}{f' (left out: {reasons})' if reasons else ''}")
    say(console, f"the files: {out}")
    return 0


def action_names() -> dict[str, str]:
    """The one text of each action of the world: its first paraphrase with the objects blanked."""
    return {
        label(action, forward): blank(texts[0])
        for action in ACTIONS
        for forward, texts in ((True, action.forward), (False, action.backward))
        if texts is not None
    }
