"""The folder of an export: it appears whole or not at all, and says what is in it, what is not, and why."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from paxion import __version__
from paxion.data.publishing.videos import Shot, look_at
from paxion.files import write_text
from paxion.manifest import manifest_hash, read_manifest, video_path
from paxion.records import SPLITS, PaxionError, Sample, unknown_name

NOTE = "export.json"
"""What the folder says of itself."""


@dataclass(frozen=True)
class Clips:
    """The clips of a manifest that can be exported, and those that cannot."""

    manifest: Path
    samples: tuple[tuple[int, Sample, Shot], ...]
    """(place in the manifest from 0, sample, its clip as it was found)."""
    missed: Mapping[str, str]
    """Why a video cannot be read, by the id of its sample."""


@dataclass
class Exported:
    """What became of a manifest."""

    rows: dict[str, int]
    """Rows of each file or split."""
    missed: dict[str, str]
    """Why a clip is not in it, by the id of its sample."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Why further rows do not take part ("antonym: no foil"), and how many."""


def readable_clips(manifest: Path, splits: Sequence[str], tick: Callable[[int], object] = lambda done: None) -> Clips:
    """Look at every clip of these splits.

    tick: called with 1 for each. Raises PaxionError for an unknown split, splits without rows, or when no clip can be
    read.
    """
    for split in splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    rows = [(number, row) for number, row in enumerate(read_manifest(manifest)) if row.split in splits]
    if not rows:
        raise PaxionError(f"no row of {manifest} is in the split {' or '.join(splits)}: choose another by --split")
    found, missed = [], {}
    for number, sample in rows:
        try:
            found.append((number, sample, look_at(video_path(manifest, sample), sample.start, sample.end)))
        except PaxionError as error:
            missed[sample.id] = str(error)
        tick(1)
    if not found:
        raise PaxionError(f"none of the {len(rows)} clips can be read; the first: {next(iter(missed.values()))}")
    return Clips(manifest, tuple(found), missed)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out` to fill; it becomes `out` when the block ends well, else it is removed.

    Raises PaxionError when `out` is there and not an empty folder, or cannot be written.
    """
    taken = PaxionError(f"{out} is there already and not empty: give another --out, or remove it")
    filled: Path | None = None
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise taken
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        filled = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.absolute().parent))
        filled.chmod(0o755)
        yield filled
        if out.is_dir():
            out.rmdir()  # refuses what was put there in the meantime
        filled.rename(out)
    except OSError as error:
        raise PaxionError(
            f"cannot write {out}: {error.strerror or error}; give a folder that can be written and has space"
        ) from error
    finally:
        if filled is not None:
            shutil.rmtree(filled, ignore_errors=True)


def write_note(folder: Path, manifest: Path, command: str, exported: Exported) -> None:
    """Write `export.json`: what was made from what, and every clip that is missing."""
    note = {
        "command": command,
        "manifest": str(manifest),
        "manifest_hash": manifest_hash(manifest),
        "paxion": __version__,
        "rows": exported.rows,
        "left_out": dict(exported.left_out),
        "missed": exported.missed,
    }
    write_text(folder / NOTE, json.dumps(note, ensure_ascii=False, indent=1) + "\n")


def json_lines(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
