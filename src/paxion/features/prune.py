"""Removing from stores what nobody needs. Only files with a store's own names are ever removed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paxion.features.locks import held
from paxion.features.numbers import PARTS
from paxion.features.shard_writer import begun_keys, journal_file
from paxion.features.shards import NAME, DamageError, named, read_shard, shard_file
from paxion.features.spec import BLIND, clip_key, open_spec
from paxion.features.upkeep import drop_files, drop_shard
from paxion.manifest import read_manifest, video_path
from paxion.records import PaxionError

OF_SHARD = re.compile(rf"shard-({NAME})\.(json|journal|({'|'.join(PARTS)})\.(npy|part))")
ORPHAN = re.compile(rf"texts-{NAME}\.npy")
TEMPORARY = re.compile(rf"\.(shard-{NAME}|texts-{NAME}|store)-[a-z0-9_]{{8}}\.(json|npy)")
"""What files.replacing leaves when a process is killed."""
OLD = 3600
"""Seconds after which such a file is nobody's: it takes a moment to write."""


@dataclass(frozen=True)
class Useless:
    """Files that nobody needs."""

    files: tuple[Path, ...]
    why: str
    shard: str | None = None

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(path.stat().st_size for path in self.files if path.exists())


def wanted_keys(manifests: Sequence[Path]) -> tuple[set[str], list[tuple[str, Path]]]:
    """The keys of all clips of some manifests, and those keys again whose video is not there, with its path."""
    wanted, absent = set(), []
    for manifest in manifests:
        for sample in read_manifest(manifest):
            path = video_path(manifest, sample)
            key = clip_key(path, sample)
            wanted.add(key)
            if not path.exists():
                absent.append((key, path))
    return wanted, absent


def useless(folder: Path, manifests: Sequence[Path]) -> list[Useless]:
    """What nobody needs of a store: what killed processes left, and shards none of whose clips are in the manifests.

    Without manifests, every complete shard is needed, and no shard that was begun is; with some, a shard that was begun
    on clips of theirs is needed too.

    Raises PaxionError when videos of the manifests are gone that were there when they were encoded: a clip is known by
    its file.
    """
    spec, (wanted, absent) = open_spec(folder), wanted_keys(manifests)
    shards: dict[str, list[Path]] = {}
    for path in named(folder, ".*"):
        if found := OF_SHARD.fullmatch(path.name):
            shards.setdefault(found[1], []).append(path)
    asked: dict[str, list[str] | None] = {}
    for name in shards:
        try:
            asked[name] = read_shard(folder, name, spec).asked
        except DamageError:
            asked[name] = begun_keys(journal_file(folder, name))
    known = {key for keys in asked.values() for key in keys or ()}
    gone = [path for key, path in absent if key not in known]
    if gone:
        raise PaxionError(
            f"got {len(gone)} clips without their video ({gone[0]}), expected all: the features of a clip are found by "
            "its file; mount or restore them, or prune without a manifest"
        )
    found_ = []
    for name, files in shards.items():
        why = _why(folder, name, asked[name], wanted, bool(manifests))
        if why:
            found_.append(Useless(tuple(files), why, name))
    return [*found_, *_leftovers(folder)]


def _why(folder: Path, name: str, keys: list[str] | None, wanted: set[str], choosing: bool) -> str | None:
    """Why nobody needs a shard; None where somebody may."""
    complete, journal = shard_file(folder, name).exists(), journal_file(folder, name)
    if held(journal) or (keys is None and complete):
        return None  # it is being written, or is damaged: that is for verify
    needed = choosing and any(key == BLIND or key.partition("#")[0] in wanted for key in keys or ())
    if complete:
        return "no clip of the manifests" if choosing and not needed else None
    return None if needed else "begun and not finished"


def _leftovers(folder: Path) -> Iterator[Useless]:
    """What killed processes left besides shards."""
    for path in named(folder, ".*"):
        if ORPHAN.fullmatch(path.name) and not path.with_suffix(".json").exists() and _old(path):
            yield Useless((path,), "texts without their list")
        elif TEMPORARY.fullmatch(path.name) and _old(path):
            yield Useless((path,), "left by a killed process")


def _old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > OLD


def remove(folder: Path, one: Useless) -> bool:
    """Remove what nobody needs; False when another process has taken it up since."""
    if one.shard is not None:
        return drop_shard(folder, one.shard)
    drop_files(one.files)
    return True
