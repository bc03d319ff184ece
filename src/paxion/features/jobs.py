"""What extraction has to do: clips to encode, cut into pieces that each fill one shard of the store.

The cut is the same whatever is done already, and in every process: the clips that are in no complete shard, in the
order of the manifest, in pieces of one size. Complete shards are whole pieces: leaving them out moves no other border.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from paxion.backbones.base import Backbone
from paxion.features.numbers import number
from paxion.features.store import BLIND, FeatureStore, clip_key, variant
from paxion.manifest import video_path
from paxion.records import PaxionError, Sample
from paxion.video.controls import CONTROLS

SHARD_BYTES = 64 * 2**20
"""About as much lies in a shard: files of a handy size, and enough of them for many processes to share."""
FEWEST, MOST = 16, 512
"""Clips in a shard."""


@dataclass(frozen=True)
class Job:
    """One clip to decode, and the controls to encode it under."""

    key: str
    video: Path
    start: float | None
    end: float | None
    controls: tuple[str, ...] = ("none",)

    @property
    def rows(self) -> list[str]:
        """The keys that its features have in the store."""
        return [variant(self.key, control) for control in self.controls]


@dataclass(frozen=True)
class Kind:
    """What clips are encoded under, and whether only their vectors are kept: their tokens can be derived."""

    controls: tuple[str, ...]
    pooled: bool = False


@dataclass(frozen=True)
class Piece:
    """What a process does at a time: clips that fill one shard, in the order of its rows."""

    jobs: tuple[Job, ...]
    pooled: bool = False
    """Only the vectors of the clips are kept."""

    @cached_property
    def keys(self) -> list[str]:
        """The keys of the shard by row."""
        return [row for job in self.jobs for row in job.rows]

    def complete(self, store: FeatureStore) -> bool:
        """Whether nothing of it is left to do."""
        return not any(absent(store, key) for key in self.keys)


def absent(store: FeatureStore, key: str) -> bool:
    """Whether a clip is neither in the store nor known to be unreadable."""
    return key not in store and key not in store.missed


def clips_per_shard(backbone: Backbone, dtype: str) -> int:
    """A power of two, so that the usual batches fill shards without a rest."""
    size = backbone.frames * backbone.tokens_per_frame * backbone.token_width
    whole = max(1, SHARD_BYTES // max(1, size * number("tokens", dtype).memory.itemsize))
    return min(MOST, max(FEWEST, 1 << (whole.bit_length() - 1)))


def job_of(manifest: Path, sample: Sample) -> Job:
    """The clip of a sample."""
    video = video_path(manifest, sample)
    return Job(clip_key(video, sample), video, sample.start, sample.end)


def check_unchanged(job: Job, read: bool) -> None:
    """Raise PaxionError when the file of a clip is not, or no longer, the one that its key was made of.

    What was found out about another file must not be kept under that key. read: whether the clip could be read; if not,
    its file must at least be one that can be opened. A file that was missing all the time is unchanged.
    """
    what = "changed, appeared or vanished"
    same = clip_key(job.video, Sample("", str(job.video), "", "test", "", start=job.start, end=job.end)) == job.key
    if same and not read and job.video.is_file():
        try:
            with job.video.open("rb") as file:
                file.read(1)
        except OSError as error:
            same, what = False, f"could not be opened ({error.strerror or error})"
    if not same:
        raise PaxionError(
            f"{job.video}: the file {what} while clips were read, expected it to stay as it was; what was done is "
            "kept: the same command goes on"
        )


def kinds(store: FeatureStore, controls: Sequence[str]) -> list[Kind]:
    """What a clip is encoded for, when it is wanted under `controls`; the rest is derived when it is read.

    The blind clip must be in the store: it shows what can be derived.
    """
    others = tuple(name for name in CONTROLS if name in controls and name not in ("none", BLIND))
    if store.reorderable or not others:
        return [Kind(("none",))]
    if store.spec.per_frame:
        return [Kind(("none",)), Kind(others, pooled=True)]
    return [Kind(("none", *others))]


def plan(store: FeatureStore, jobs: Sequence[Job], controls: Sequence[str], size: int) -> list[Piece]:
    """The pieces that are left to do, in the order of the jobs, with `size` clips each.

    jobs: all clips that are wanted, done or not, no key twice. controls: what they are wanted under besides "none".
    """
    return [piece for kind in kinds(store, controls) for piece in _pieces(store, jobs, kind, size)]


def _pieces(store: FeatureStore, jobs: Sequence[Job], kind: Kind, size: int) -> list[Piece]:
    """The pieces of one kind: those that were begun, as they were, and those that are cut from the rest."""
    wanted = {
        variant(job.key, control): (place, control) for place, job in enumerate(jobs) for control in kind.controls
    }
    left = {row for row in wanted if absent(store, row)}
    begun: list[list[str]] = []
    taken: set[str] = set()
    for rows in store.unfinished():
        # A shard that overlaps another, or holds clips that nobody wants any more, was cut by some other command.
        if not left.isdisjoint(rows) and wanted.keys() >= set(rows) and taken.isdisjoint(rows):
            begun.append(rows)
            taken.update(rows)
    rest = list(_asked(jobs, [row for row in wanted if row in left and row not in taken], wanted))
    cut = [rest[first : first + size] for first in range(0, len(rest), size)]
    pieces = [Piece(tuple(part), kind.pooled) for part in (*(list(_asked(jobs, rows, wanted)) for rows in begun), *cut)]
    return sorted(pieces, key=lambda piece: wanted[piece.keys[0]][0])


def _asked(jobs: Sequence[Job], rows: Sequence[str], wanted: dict[str, tuple[int, str]]) -> Iterator[Job]:
    """The jobs that fill these rows, in their order."""
    first = 0
    while first < len(rows):
        place = wanted[rows[first]][0]
        stop = next((row for row in range(first, len(rows)) if wanted[rows[row]][0] != place), len(rows))
        yield replace(jobs[place], controls=tuple(wanted[row][1] for row in rows[first:stop]))
        first = stop
