"""What one process does of an extraction: it takes pieces that no other has, and encodes their clips batch by batch.

Clips are decoded ahead, across the borders of pieces; on a GPU, features are written while the next batch is encoded.
A batch that is written is never encoded again, whenever the process is killed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from paxion.backbones.base import Backbone, Features
from paxion.features.decoding import CHUNK, Decode, Decoded, Frames
from paxion.features.encoding import encode, fetch
from paxion.features.jobs import Job, Piece
from paxion.features.shard_writer import ShardWriter
from paxion.features.store import FeatureStore
from paxion.video.controls import frame_order

WRITERS = 2
"""Threads that write features beside a GPU, a shard each: one completes its shard while the other goes on."""
UNWRITTEN = 4
"""Passes whose features wait to be written beside a GPU, at most."""
PAUSE = (0.05, 2.0)
"""Seconds between two looks at what other processes have finished: at first, and at most."""
Done = Callable[[Sequence[Job]], object]
Rows = dict[str, list[tuple[int, int]]]
"""By control: a row of the shard, and which of the clips of a batch it is of."""


@dataclass
class _Taken:
    """A piece that this process has taken."""

    piece: Piece
    writer: ShardWriter
    number: int
    passes: int = 0
    """Passes of the backbone that are not written yet."""


@dataclass(frozen=True)
class _Batch:
    """Clips that are being decoded, and the rows of their shard that are to be filled."""

    taken: _Taken
    jobs: list[Job]
    rows: Rows
    clips: Decoded


def fill(
    store: FeatureStore,
    backbone: Backbone,
    pieces: Sequence[Piece],
    decode: Decode,
    *,
    device: str = "cpu",
    batch: int = 32,
    workers: int = 0,
    threads: int | None = None,
    done: Done = lambda jobs: None,
) -> None:
    """Return when all pieces are complete: by this process, or by others that write to the same store.

    The pieces are taken in order. One that another process holds is waited for, and taken over if that process dies.
    workers: the processes behind `decode`; with more of them, more is decoded ahead. threads: those that write, while
    the next batch is encoded (default: some beside a GPU; a CPU has nothing to spare). done: called with clips that are
    finished, here or by others; pieces that share clips call it once each.
    """
    if threads is None:
        threads = WRITERS if torch.device(device).type == "cuda" else 0
    ahead = max(2, -(-2 * workers * CHUNK // batch)) if workers else 0
    waiting: deque[_Batch] = deque()
    saving: deque[tuple[Future[None], Sequence[Job]]] = deque()
    pause, longest = PAUSE

    def settle(most: int) -> None:
        while len(saving) > most:
            saved, jobs = saving.popleft()
            saved.result()
            done(jobs)

    def work(given: _Batch) -> None:
        clips = given.clips()
        for number, control in enumerate(given.rows, 1):
            save = _passed(backbone, given, control, clips, device, store.spec.dtype)
            lane = lanes[given.taken.number % len(lanes)] if lanes else None
            saving.append((_begun(lane, save), given.jobs if number == len(given.rows) else ()))
            settle(UNWRITTEN if lanes else 0)

    with ExitStack() as writers, ExitStack() as running:
        lanes = [running.enter_context(ThreadPoolExecutor(1)) for _ in range(threads)]
        for found in _batches(store, pieces, decode, batch, writers, done):
            if found is not None:
                waiting.append(found)
            if len(waiting) > ahead or (found is None and waiting):
                work(waiting.popleft())
                pause = PAUSE[0]
            elif found is None:
                settle(0)
                time.sleep(pause)
                pause = min(1.5 * pause, longest)
        while waiting:
            work(waiting.popleft())
        settle(0)


def _batches(
    store: FeatureStore, pieces: Sequence[Piece], decode: Decode, batch: int, writers: ExitStack, done: Done
) -> Iterator[_Batch | None]:
    """The batches of the pieces that no other process holds; None where others hold all that is left.

    A batch is being decoded when it is given. Ends when all pieces are complete or given.
    """
    left, count = list(pieces), 0
    while left:
        for piece in [piece for piece in left if piece.complete(store)]:
            left.remove(piece)
            done(piece.jobs)
        taken = _take(store, left, count)
        if taken is None:
            if left:
                yield None
                store.refresh()
            continue
        left.remove(taken.piece)
        count += 1
        writers.enter_context(taken.writer)
        cut = list(_cut(taken, batch, done))
        taken.passes = sum(len(rows) for _, rows in cut)
        if not cut:  # its last process was killed just before the end
            taken.writer.finish()
        for jobs, rows in cut:
            yield _Batch(taken, jobs, rows, decode(jobs, store.spec))


def _take(store: FeatureStore, pieces: Sequence[Piece], number: int) -> _Taken | None:
    """The first piece that no process holds."""
    for piece in pieces:
        writer = store.writer(piece.keys)
        if writer is not None:
            return _Taken(piece, writer, number)
    return None


def _cut(taken: _Taken, batch: int, done: Done) -> Iterator[tuple[list[Job], Rows]]:
    """What is to do of a piece, batch by batch; clips that are done are told.

    Batches are counted from the beginning of the piece, so that they are the same in every run.
    """
    written, row = taken.writer.done, 0
    for begin in range(0, len(taken.piece.jobs), batch):
        jobs: list[Job] = []
        rows: Rows = {}
        for job in taken.piece.jobs[begin : begin + batch]:
            absent = [(at, control) for at, control in enumerate(job.controls, row) if not written[at]]
            for at, control in absent:
                rows.setdefault(control, []).append((at, len(jobs)))
            if absent:
                jobs.append(job)
            else:
                done([job])
            row += len(job.controls)
        if jobs:
            yield jobs, rows


def _passed(
    backbone: Backbone, batch: _Batch, control: str, clips: Sequence[Frames | str], device: str, dtype: str
) -> Callable[[], None]:
    """Run the backbone on the clips of a batch under a control; the function that is given writes what it said."""
    taken, rows, missed = batch.taken, [], {}
    pixels: list[Tensor] = []
    for row, place in batch.rows[control]:
        clip = clips[place]
        if isinstance(clip, str):
            missed[row] = clip
            continue
        rows.append(row)
        frames = torch.from_numpy(clip)
        pixels.append(frames if control == "none" else frames[frame_order(control, len(clip), batch.jobs[place].key)])
    features = encode(backbone, torch.stack(pixels), device) if pixels else None
    if features is not None and taken.piece.pooled:
        features = Features(features.pooled)
    fetched = None if features is None else fetch(features, dtype)

    def save() -> None:
        taken.writer.write(rows, None if fetched is None else fetched(), missed)
        taken.passes -= 1
        if not taken.passes:
            taken.writer.finish()

    return save


def _begun(lane: ThreadPoolExecutor | None, function: Callable[[], None]) -> Future[None]:
    """Run a function in a thread; at once where there is none."""
    if lane is not None:
        return lane.submit(function)
    function()
    future: Future[None] = Future()
    future.set_result(None)
    return future
