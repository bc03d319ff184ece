"""Features without a store: clips are decoded ahead, and the backbone encodes them whenever they are read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from paxion.backbones.base import Backbone, Features
from paxion.features.decoding import Decoded, Frames, check_workers, decoders
from paxion.features.encoding import encode, encode_blind
from paxion.features.jobs import Job, job_of
from paxion.features.numbers import number
from paxion.features.readable import unreadable
from paxion.features.spec import BLIND, spec_of
from paxion.processes import this_process
from paxion.records import PaxionError, Sample
from paxion.video.controls import frame_order

BATCH = 32
"""Clips that the backbone takes at a time, as in extraction."""
HELD = 256
"""Clips whose pixels are held at most, or twice those of a read: those read last, and those that are decoded ahead. 8
frames of 224 x 224 are 1.2 MB."""

PATIENCE = 8
"""Reads after which clips that were prefetched are not waited for any more."""
SOON = 10.0
"""Seconds of a read that tell how long the next ones take."""


class LiveFeatures:
    """A feature source (features/source.py) that encodes clips when they are read; a context manager.

    What it gives is what a store in float32 would. `prefetch` begins to decode in other processes. The clips read last
    keep their pixels, so that reading their reversals costs another pass, no other decoding; where the backbone's
    features can be reordered it does not even cost that.

    It may be read by one thread while another calls `prefetch`.
    """

    def __init__(
        self,
        backbone: Backbone,
        clips: Iterable[Job],
        *,
        sampler: str = "midpoint",
        device: str = "cpu",
        workers: int | None = None,
    ) -> None:
        """clips: those that can be read (features/readable.py).

        workers: decoding processes (default: a share of the cores; 0: decode in this one, when it is needed).
        Raises PaxionError for a number of workers below 0.
        """
        self.backbone, self.device = backbone, device
        self.spec = spec_of(backbone, sampler, "float32")
        self._clips = {job.key: job for job in clips}
        self._workers = check_workers(workers, device)
        self._open = ExitStack()
        self._decode = self._open.enter_context(decoders(self._workers))
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._most, self._reads = HELD, 0
        self._changing = threading.Lock()
        self._last: tuple[tuple[str, ...], Features] | None = None
        self._took = (0.0, 0)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the decoding processes."""
        self._open.close()

    def __contains__(self, key: str) -> bool:
        """Whether a clip is one of those that the source was made for."""
        return key in self._clips

    @cached_property
    def reorderable(self) -> bool:
        """As in features/source.py."""
        return self.spec.per_frame and self._blind.frame_vectors is not None

    def prefetch(self, keys: Sequence[str]) -> None:
        """Begin to decode what is read next, as far as there is room."""
        for group in _grouped([key for key in keys if key in self]):
            with self._changing:
                if self._workers and group not in self._groups and self._room(len(group), unread=False):
                    self._begin(group)

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        """As in features/source.py, on the device; the tokens have the precision of the backbone.

        Raises PaxionError for no clips, and when one is none of the source's, or cannot be read (any more).
        """
        absent = [key for key in keys if key not in self]
        if absent:
            raise PaxionError(f"{len(absent)} of {len(keys)} clips are not in the source: leave out what was missed")
        if control == BLIND:
            return _each(self._blind, lambda part: part.expand(len(keys), *part.shape[1:]))
        if not self.reorderable:
            # As in a store, which holds one shuffled clip: the seed is the key.
            return self._encoded(keys, control)
        if self._last is None or self._last[0] != tuple(keys):
            self._last = tuple(keys), self._encoded(keys, "none")
        orders = [frame_order(control, self.spec.frames, seed) for seed in (seeds or keys)]
        # Also without a control, as in a store: a clip and its reversal differ by no rounding of only one of them.
        return self._last[1].reordered(torch.stack(orders).to(self.device))

    def seconds_a_clip(self) -> float:
        """What a clip takes, decoding included, as it was when clips were read last.

        Some are read anew if that was soon over: the start of the decoding processes may have been most of it.
        """
        if self._took[0] < SOON:
            self._groups.clear()
            self._encoded(list(self._clips)[-BATCH:], "none")
        seconds, clips = self._took
        return seconds / clips

    def _encoded(self, keys: Sequence[str], control: str) -> Features:
        """The clips under a control through the backbone, a group at a time, with the next ones being decoded."""
        if not keys:
            raise PaxionError("got no clips to read, expected at least one: can none of the manifest be read?")
        began, groups, parts = time.perf_counter(), _grouped(keys), []
        self._most, self._reads = max(self._most, 2 * len(keys)), self._reads + 1
        for place, group in enumerate(groups):
            for later in groups[place + 1 : place + 2 + 2 * self._workers]:
                self.prefetch(later)
            orders = [frame_order(control, self.spec.frames, key) for key in group]
            clips = [torch.from_numpy(clip)[order] for clip, order in zip(self._pixels(group), orders, strict=True)]
            parts.append(encode(self.backbone, torch.stack(clips), self.device))
        self._took = (time.perf_counter() - began, len(keys))
        return _joined(parts)

    @cached_property
    def _blind(self) -> Features:
        return encode_blind(self.backbone, self.device)

    def _pixels(self, keys: tuple[str, ...]) -> list[Frames]:
        """The pixels of a group, each (T, 3, size, size)."""
        with self._changing:
            if keys not in self._groups:
                self._room(len(keys), unread=True)
                self._begin(keys)
            group = self._groups[keys]
        if group.clips is None:
            try:
                clips = group.decoded()
                for key, clip in zip(keys, clips, strict=True):
                    if isinstance(clip, str):
                        raise PaxionError(f"{clip}; it could be read before: has {self._clips[key].video} changed?")
            except BaseException:
                with self._changing:  # it is decoded anew when it is read again
                    self._groups.pop(keys, None)
                raise
            group.clips = [clip for clip in clips if not isinstance(clip, str)]
        return group.clips

    def _begin(self, keys: tuple[str, ...]) -> None:
        self._groups[keys] = _Group(self._decode(self._jobs(keys), self.spec), self._reads + PATIENCE)

    def _jobs(self, keys: Sequence[str]) -> list[Job]:
        return [self._clips[key] for key in keys]

    def _room(self, clips: int, unread: bool) -> bool:
        """Whether there is room for so many clips more, after letting go of the oldest that nobody waits for.

        unread: let go of those that are waited for, too.
        """
        held = sum(map(len, self._groups))
        for keys in sorted(self._groups, key=self._waited_for):
            if held + clips <= self._most or (self._waited_for(keys) and not unread):
                break
            held -= len(keys)
            del self._groups[keys]
        return held + clips <= self._most

    def _waited_for(self, keys: tuple[str, ...]) -> bool:
        group = self._groups[keys]
        return group.clips is None and self._reads < group.until


@dataclass
class _Group:
    """Clips that were asked for together."""

    decoded: Decoded
    until: int
    """The read from which on they are not waited for."""
    clips: list[Frames] | None = None
    """None: not read yet."""


def _grouped(keys: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(keys[begin : begin + BATCH]) for begin in range(0, len(keys), BATCH)]


def _each(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    tokens, vectors = (None if part is None else change(part) for part in (features.tokens, features.frame_vectors))
    return Features(change(features.pooled), tokens, vectors)


def _joined(parts: Sequence[Features]) -> Features:
    def join(values: list[Tensor | None]) -> Tensor | None:
        present = [value for value in values if value is not None]
        return torch.cat(present) if present else None

    pooled = torch.cat([part.pooled for part in parts])
    return Features(pooled, join([part.tokens for part in parts]), join([part.frame_vectors for part in parts]))


@dataclass(frozen=True)
class OnTheFly:
    """What `on_the_fly` gives: the source, the key of each sample, and the samples that cannot be read."""

    source: LiveFeatures
    keys: dict[str, str]
    """From sample id to key; samples that cannot be read are not in it."""
    missed: dict[str, str]
    """From sample id to the reason."""


def on_the_fly(
    backbone: Backbone,
    manifest: Path,
    samples: Sequence[Sample],
    notes: Path,
    *,
    sampler: str = "midpoint",
    device: str = "cpu",
    workers: int | None = None,
    tick: Callable[[int], object] | None = None,
) -> OnTheFly:
    """A source of the features of all samples that can be read: every clip is decoded once to find out.

    Use the source as a context manager. notes: a file that keeps what was found out, see features/readable.py. tick:
    called with the number of clips looked at since the last call.
    """
    jobs = {sample.id: job_of(manifest, sample) for sample in samples}
    spec = spec_of(backbone, sampler, "float32")
    lost = unreadable(list(jobs.values()), spec, notes, workers=workers, tick=tick)
    left = [job for job in jobs.values() if job.key not in lost]
    source = LiveFeatures(backbone, left, sampler=sampler, device=device, workers=workers)
    missed = {name: lost[job.key] for name, job in jobs.items() if job.key in lost}
    return OnTheFly(source, {name: job.key for name, job in jobs.items() if name not in missed}, missed)


def what_a_store_would_save(
    source: LiveFeatures, clips: int, epochs: int, command: str, *, both: bool = True, dtype: str = "float16"
) -> str:
    """One line on what training on the fly costs, and what a store would: to be said once some clips have been read.

    clips: how many an epoch encodes, all processes together. both: their reversals are trained on too. command: what
    makes the store.
    """
    epoch = (1 + (both and not source.spec.per_frame)) * clips * source.seconds_a_clip() / this_process().world
    stored = f"a store would take {_bytes(store_bytes(source, clips, both=both, dtype=dtype))}"
    if epochs == 1:
        what = f"the epoch encodes {clips:,} clips (about {_time(epoch)}); {stored} and save that in every later run"
    else:
        saved = f"save {_time((epochs - 1) * epoch)} over {epochs} epochs"
        what = f"each epoch encodes {clips:,} clips again (about {_time(epoch)}); {stored} and {saved}"
    return f"{what}: {command}"


def store_bytes(source: LiveFeatures, clips: int, *, both: bool = True, dtype: str = "float16") -> int:
    """What the features of so many clips, and of their reversals where these have any of their own, take on disk."""
    spec, backbone = source.spec, source.backbone
    pooled, places = 4 * backbone.dim, spec.frames * backbone.tokens_per_frame
    tokens = places * backbone.token_width * number("tokens", dtype).memory.itemsize
    if dtype == "int8":
        tokens += places * number("scales", dtype).memory.itemsize
    if source.reorderable:
        return clips * (pooled + tokens + spec.frames * backbone.dim * number("vectors", dtype).memory.itemsize)
    return clips * (pooled + tokens + both * (pooled + (0 if spec.per_frame else tokens)))


def _time(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.1f} s"


def _bytes(size: float) -> str:
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1000:.0f} kB"
