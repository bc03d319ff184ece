"""What a stage depends on, as a digest, and what its folder says has been done."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from paxion import __version__
from paxion.experiment.stages import Plan, Stage
from paxion.files import make_folder, unreadable, write_text
from paxion.records import PaxionError

DONE, BEGUN, LOG = "stage.json", "begun.json", "stage.log"
LOCK = "experiment.lock"
"""What every folder of an experiment has."""
HASHES = "hashes.json"
State = Literal["done", "begun", "changed", "new"]
"""done: nothing to do. begun: it goes on. changed: done with other data or options, and done anew. new: never begun."""
FILES_AT_MOST = 200
"""A folder with more files is known by its place alone."""


def digests(plan: Plan, hash_of: Callable[[str], str]) -> dict[str, str]:
    """The digest of every stage: of its command, files, the digests of what it needs, and paxion's version."""
    found: dict[str, str] = {}
    for name, stage in plan.stages.items():
        words = [word if isinstance(word, str) else [word.before, word.stage, word.path] for word in stage.command]
        inputs = {path: hash_of(path) for path in stage.inputs}
        content = [__version__, words, inputs, {need: found[need] for need in stage.needs}]
        found[name] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return found


@contextmanager
def hashing(out: Path) -> Iterator[Callable[[str], str]]:
    """Hashes of files and folders, kept in the folder of the experiment as long as size and time of change stay."""
    kept = _json(out / HASHES)
    before = dict(kept)

    def hash_of(path: str) -> str:
        at = Path(path)
        if not at.is_dir():
            return _file_hash(at, kept)
        files = sorted(one for one in at.rglob("*") if one.is_file())
        if len(files) > FILES_AT_MOST:  # videos: what is in them is looked at by the feature store
            return hashlib.sha256(str(at.resolve()).encode()).hexdigest()
        parts = [(str(one.relative_to(at)), _file_hash(one, kept)) for one in files]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    yield hash_of
    if kept != before and (out / LOCK).exists():  # a dry run leaves nothing in a folder of something else
        write_text(out / HASHES, json.dumps(kept))


def _file_hash(path: Path, kept: dict[str, Any]) -> str:
    try:
        told = path.stat()
        stamp = [told.st_size, told.st_mtime_ns, told.st_ino]
        known = kept.get(str(path.resolve()))
        if isinstance(known, list) and known[:-1] == stamp:
            return str(known[-1])
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error
    kept[str(path.resolve())] = [*stamp, found]
    return found


def state(out: Path, stage: Stage, digest: str) -> State:
    """How far a stage is."""
    folder = out / stage.name
    done = _json(folder / DONE)
    if done:
        whole = all((out / path).exists() for path in done.get("product", ()))
        return "done" if done.get("digest") == digest and whole else "changed"
    begun = _json(folder / BEGUN)
    if begun:
        return "begun" if begun.get("digest") == digest else "changed"
    return "new"


def begin(out: Path, stage: Stage, digest: str) -> None:
    """Make the folder of a stage ready: as it was left, if it was begun with this digest; else empty."""
    folder = out / stage.name
    if state(out, stage, digest) == "begun":
        return
    # What says that the folder is good for something goes first: a kill in between leaves nothing that could be mixed.
    try:
        for name in (DONE, BEGUN):
            (folder / name).unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
        for product in stage.product:
            if product.stage != stage.name:
                (out / product.stage / product.path).unlink(missing_ok=True)
    except OSError as error:
        raise PaxionError(f"cannot clear {folder}: {error.strerror or error}; remove it and run again") from error
    make_folder(folder)
    write_text(folder / BEGUN, json.dumps({"digest": digest}))


def finish(out: Path, stage: Stage, digest: str, seconds: float) -> None:
    """Write that a stage is done. Raises PaxionError when its command has not made what it should."""
    for product in stage.product:
        if not (out / product.stage / product.path).exists():
            raise PaxionError(f"the command ended well, and there is no {out / product.stage / product.path}")
    about = {
        "stage": stage.name, "digest": digest, "command": ["paxion", *stage.line(out)], "paxion": __version__,
        "seconds": round(seconds, 1), "product": [f"{one.stage}/{one.path}" for one in stage.product],
    }  # fmt: skip
    write_text(out / stage.name / DONE, json.dumps(about, indent=1) + "\n")


def done_at(out: Path, stages: Mapping[str, str]) -> dict[str, Any]:
    """Which of these stages are done, with their digests and when: what tables that are made of them depend on."""
    return {
        name: [digest, (out / name / DONE).stat().st_mtime_ns]
        for name, digest in stages.items()
        if _json(out / name / DONE).get("digest") == digest
    }


def _json(path: Path) -> dict[str, Any]:
    """An object, or an empty one when there is no such file or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
