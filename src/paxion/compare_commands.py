"""What `paxion compare` does. It returns the exit status."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from paxion.commands import say
from paxion.comparing.compare import compare
from paxion.comparing.files import JSON, to_json, write_comparison
from paxion.comparing.reading import read_runs
from paxion.comparing.tables import print_comparison


def compare_runs(
    console: Console,
    runs: tuple[str, ...],
    by: str | None,
    tasks: tuple[str, ...],
    controls: tuple[str, ...],
    allow: tuple[str, ...],
    seed: int,
    out: Path | None,
    json: bool,
) -> int:
    """Compare models of run folders, print what was found, and write it."""
    read = read_runs(runs)
    found = compare(read, tasks=tasks, controls=controls, by=by, seed=seed, allow=allow)
    if out is not None:
        write_comparison(out, found, read)
    if json:
        say(console, to_json(found, read))
    else:
        print_comparison(console, found)
        if out is not None:
            say(console, f"the comparison: {out / JSON}")
    return 0
