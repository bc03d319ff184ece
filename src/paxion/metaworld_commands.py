"""What `paxion world metaworld` does."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from paxion.commands import say
from paxion.progress import progress
from paxion.records import PaxionError
from paxion.world.metaworld import MetaworldPlan, write_metaworld


def make_metaworld(
    console: Console, out: Path, episodes: int, seed: int, size: int, frames: int, workers: int | None
) -> int:
    """Render episodes of the simulated robot."""
    if workers is not None and workers < 1:
        raise PaxionError(f"got workers {workers}, expected 1 or more")
    plan = MetaworldPlan(episodes, seed, size, frames)
    with progress(console, "episodes", episodes) as tick:
        written = write_metaworld(out, plan, workers=workers, tick=tick)
    dropped = sum(written.dropped.values())
    say(console, f"{written.clips} clips of {episodes} episodes; {dropped} left out")
    for reason, count in written.dropped.items():
        say(console, f"  {reason}: {count}")
    say(console, f"the manifest: {written.manifest}")
    return 0
