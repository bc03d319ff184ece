"""Filling a feature store: every clip is encoded once, by however many processes, and nothing is done twice."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from paxion.backbones.base import Backbone
from paxion.features.decoding import check_guarded, check_workers, decoders
from paxion.features.encoding import encode_blind
from paxion.features.fill import PAUSE, fill
from paxion.features.jobs import Job, Piece, absent, clips_per_shard, job_of, kinds, plan
from paxion.features.store import BLIND, FeatureStore, spec_of
from paxion.processes import this_process
from paxion.records import PaxionError, Sample

Tick = Callable[[int], object]
"""Called with the number of clips done since the last call."""


@dataclass(frozen=True)
class Extracted:
    """What extraction gives: the store, the key of each sample, and the samples that could not be read."""

    store: FeatureStore
    keys: dict[str, str]
    """From sample id to key; samples that could not be read are not in it."""
    missed: dict[str, str]
    """From sample id to the reason."""


def extract(
    backbone: Backbone,
    manifest: Path,
    samples: Sequence[Sample],
    root: Path,
    *,
    sampler: str = "midpoint",
    dtype: str = "float16",
    controls: Sequence[str] = ("reversed",),
    device: str = "cpu",
    batch: int = 32,
    shard: int | None = None,
    workers: int | None = None,
    tick: Tick | None = None,
) -> Extracted:
    """Make sure the store under `root` holds the features of all samples; clips that it has already are skipped.

    Processes that run this at the same time, under torchrun or each by itself, share the work: each returns when all of
    it is done, and takes over what a process that died has left. What is written is the same, whoever writes it.

    dtype: how the store holds tokens, see features/numbers.py. controls: variants to encode for backbones whose
    features cannot be reordered (others derive them when reading). batch: clips in a pass. shard: clips in a file of
    the store (default: about 64 MB, 16 to 512 clips). workers: decoding processes (default: by the cores; 0: decode in
    this one).

    A clip that cannot be read is not tried again until its file changes. Raises PaxionError when a file changes or
    vanishes meanwhile; what was done is kept.
    """
    check_sizes(batch, shard)
    check_guarded()
    workers, process = check_workers(workers, device), this_process()
    store = FeatureStore(root, spec_of(backbone, sampler, dtype))
    jobs = {sample.id: job_of(manifest, sample) for sample in samples}
    distinct = list({job.key: job for job in jobs.values()}.values())
    with _stopped_by_sigterm():
        fill_blind(store, backbone, device)
        pieces = plan(store, distinct, controls, shard or clips_per_shard(backbone, dtype))
        # Processes begin at different places, so that they seldom meet.
        start = process.rank * len(pieces) // process.world
        pieces = pieces[start:] + pieces[:start]
        left = Left(store, pieces, len(jobs), tick)
        workers = 0 if left.clips <= 2 * batch else workers
        with left.told(), _threads_beside(workers), decoders(workers) as decode:
            fill(store, backbone, pieces, decode, device=device, batch=batch, workers=workers, done=left.done)
    return gathered(store, jobs, controls)


def check_sizes(batch: int, shard: int | None) -> None:
    """Raise PaxionError for a batch or a shard without clips."""
    for name, value in (("batch", batch), ("shard", shard)):
        if value is not None and value < 1:
            raise PaxionError(f"got {name} {value}, expected at least 1")


def gathered(store: FeatureStore, jobs: Mapping[str, Job], controls: Sequence[str]) -> Extracted:
    """What the store says of samples. jobs: by sample id."""
    wanted = [control for kind in kinds(store, controls) for control in kind.controls]
    missed = {}
    for name, job in jobs.items():
        lost = [key for key in replace(job, controls=tuple(wanted)).rows if key not in store]
        if lost:
            missed[name] = next(store.missed[key] for key in lost)
    return Extracted(store, {name: job.key for name, job in jobs.items() if name not in missed}, missed)


def fill_blind(store: FeatureStore, backbone: Backbone, device: str) -> None:
    """Put the one grey clip into the store; it also shows what the backbone gives, and that it can be stored."""
    while BLIND not in store:
        writer = store.writer([BLIND])
        if writer is None:  # another process is at it
            time.sleep(PAUSE[0])
            store.refresh()
            continue
        with writer:
            if not writer.done[0]:
                writer.write([0], encode_blind(backbone, device))
            writer.finish()


class Left:
    """The clips that are not done yet, counted while processes finish them."""

    def __init__(self, store: FeatureStore, pieces: Sequence[Piece], samples: int, tick: Tick | None) -> None:
        jobs = [job for piece in pieces for job in piece.jobs if any(absent(store, key) for key in job.rows)]
        self._pieces = Counter(job.key for job in jobs)
        self._samples, self._tick = samples, tick or (lambda count: None)
        self._tick(samples - self.clips)

    @property
    def clips(self) -> int:
        """How many there are."""
        return len(self._pieces)

    def done(self, jobs: Sequence[Job]) -> None:
        """These clips are done in one of the pieces that they are in."""
        before = self.clips
        for job in jobs:
            self._pieces[job.key] -= 1
            if self._pieces[job.key] <= 0:
                del self._pieces[job.key]
        if self.clips < before:
            self._tick(before - self.clips)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Make the error of a full disk say how many clips are kept."""
        try:
            yield
        except PaxionError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            kept = f"{self._samples - self.clips} of {self._samples} clips are kept"
            raise PaxionError(f"{error}; in all, {kept}") from error.__cause__


@contextmanager
def _threads_beside(workers: int) -> Iterator[None]:
    """Leave the decoding processes their cores: threads that share a busy core wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before - workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: files are closed, and no decoding process is left."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
