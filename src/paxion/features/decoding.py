"""Decoding clips beside the backbone: in processes of their own, each clip to the pixels that the backbone takes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from paxion.features.jobs import Job, check_unchanged
from paxion.features.spec import StoreSpec
from paxion.records import PaxionError
from paxion.video.decode import read_clip
from paxion.video.transform import fit

Frames = NDArray[np.uint8]
"""(T, 3, size, size); they cross from process to process as arrays: tensors would each hold a file descriptor open."""
Decoded = Callable[[], list[Frames | str]]
"""Waits for some clips; one that cannot be read gives the reason instead."""
Decode = Callable[[Sequence[Job], StoreSpec], Decoded]
"""Begins to decode some clips, with the sampler, frames and transform of a specification."""
GUARD = "In a script of your own put the call under `if __name__ == '__main__':`"
CHUNK = 4
"""Clips that a process decodes at a time: a batch is shared by several."""


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_workers(workers: int | None, device: str, share: int | None = None) -> int:
    """The decoding processes to use: those asked for, or what the cores suggest.

    share: the cores of this process (default: what torchrun's processes on this machine leave it). Raises PaxionError
    for a number below 0.
    """
    if workers is not None:
        if workers < 0:
            raise PaxionError(f"got {workers} workers, expected 0 (decode in this process) or more")
        return workers
    share = cores() // max(1, int(os.environ.get("LOCAL_WORLD_SIZE") or 1)) if share is None else share
    # Beside an accelerator the cores have nothing else to do; without one the backbone needs them too.
    return share // 2 if device == "cpu" else max(1, share - 1)


def check_guarded() -> None:
    """Raise PaxionError in a decoding process that is running the user's script anew, as it does when it begins.

    Its parent waits for it, and holds the shards that it would wait for.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise PaxionError(f"got a call from a process that has yet to begin; {GUARD}")


@contextmanager
def decoders(workers: int) -> Iterator[Decode]:
    """Give a function that decodes clips in `workers` processes, ahead of their use; 0: in this one, when needed."""
    if workers == 0:
        yield lambda jobs, spec: lambda: decode(jobs, spec)
        return
    # Spawned, and the decoders opened inside: forking a process that runs torch threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)

    def submit(jobs: Sequence[Job], spec: StoreSpec) -> Decoded:
        chunks = [jobs[first : first + CHUNK] for first in range(0, len(jobs), CHUNK)]
        try:
            waiting = [pool.submit(decode, chunk, spec) for chunk in chunks]
        except BrokenProcessPool:
            raise _died() from None

        def result() -> list[Frames | str]:
            try:
                return [clip for future in waiting for clip in future.result()]
            except BrokenProcessPool:
                raise _died() from None

        return result

    try:
        yield submit
    finally:
        pool.shutdown(cancel_futures=True)


def _died() -> PaxionError:
    return PaxionError(
        f"a decoding process died, expected none to: is there memory enough? {GUARD}; with 0 workers none is needed"
    )


def _begin() -> None:
    """What a decoding process does first: leave Ctrl-C to its parent, and see to it that it does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def decode(jobs: Sequence[Job], spec: StoreSpec) -> list[Frames | str]:
    """The pixels of some clips, in this process; a clip that cannot be read gives the reason instead.

    Raises PaxionError when a file is not the one any more that the key of its clip was made of.
    """
    clips: list[Frames | str] = []
    for job in jobs:
        try:
            clip = read_clip(job.video, spec.sampler, spec.frames, job.start, job.end)
            clips.append(fit(clip.frames, spec.transform).contiguous().numpy())
        except PaxionError as error:
            clips.append(str(error))
        check_unchanged(job, read=not isinstance(clips[-1], str))
    return clips
