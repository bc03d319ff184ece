"""Filling a feature store: clips are decoded beside the backbone, each is encoded once, and nothing is done twice."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paxion.backbones.base import Backbone, Features
from paxion.features.store import BLIND, FeatureStore, clip_key, spec_of, variant
from paxion.manifest import video_path
from paxion.records import PaxionError, Sample
from paxion.video.controls import apply, blind_clip
from paxion.video.decode import read_clip
from paxion.video.transform import prepare

Frames = NDArray[np.uint8]
"""Pixels cross from process to process as arrays: tensors would each hold a file descriptor open."""
SHARD = 512
"""Clips per shard: what a killed run loses at most."""


@dataclass(frozen=True)
class Job:
    """One clip to decode: its key, file, window, and the controls to encode it under."""

    key: str
    video: Path
    sample: Sample
    controls: tuple[str, ...]


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
    controls: Sequence[str] = ("reversed",),
    device: str = "cpu",
    batch: int = 32,
    workers: int | None = None,
    tick: Callable[[int], object] | None = None,
) -> Extracted:
    """Make sure the store under `root` holds the features of all samples; clips that it has already are skipped.

    controls: variants to encode for backbones whose features cannot be reordered (others derive them when reading).
    workers: decoding processes (default: one for every two cores; 0: decode in this one).
    tick: called with the number of clips done since the last call.
    """
    store = FeatureStore(root, spec_of(backbone, sampler))
    keys = {sample.id: clip_key(video_path(manifest, sample), sample) for sample in samples}
    if BLIND not in store:
        grey = blind_clip(backbone.frames, backbone.transform.size, backbone.transform.size)
        store.append([BLIND], _encode(backbone, [_prepared(backbone, grey)], device), {})
    variants = [] if store.reorderable else [name for name in controls if name not in ("none", BLIND)]
    wanted = list(dict.fromkeys(("none", *variants)))
    todo = {}
    for sample in samples:
        key = keys[sample.id]
        absent = tuple(control for control in wanted if variant(key, control) not in store)
        if absent and key not in todo:
            todo[key] = Job(key, video_path(manifest, sample), sample, absent)
    if tick is not None:
        tick(len(samples) - len(todo))
    jobs = list(todo.values())
    groups = [jobs[begin : begin + batch] for begin in range(0, len(jobs), batch)]
    shard = _Shard(store)
    with _threads_beside(workers):
        for group, clips in zip(groups, _decoded(groups, backbone, sampler, workers), strict=True):
            videos: list[Tensor] = []
            for job, clip in zip(group, clips, strict=True):
                if isinstance(clip, str):
                    shard.missed[job.key] = clip
                    continue
                for control in job.controls:
                    shard.keys.append(variant(job.key, control))
                    videos.append(_prepared(backbone, apply(control, torch.from_numpy(clip), job.key)))
            if videos:
                shard.parts.append(_encode(backbone, videos, device))
            if len(shard.keys) + len(shard.missed) >= SHARD:
                shard.flush()
            if tick is not None:
                tick(len(group))
    shard.flush()
    missed = {
        sample.id: store.missed[keys[sample.id]]
        for sample in samples
        if any(variant(keys[sample.id], control) not in store for control in wanted)
    }
    return Extracted(store, {name: key for name, key in keys.items() if name not in missed}, missed)


class _Shard:
    """Rows that are not on disk yet."""

    def __init__(self, store: FeatureStore) -> None:
        self.store = store
        self._clear()

    def _clear(self) -> None:
        self.keys: list[str] = []
        self.parts: list[Features] = []
        self.missed: dict[str, str] = {}

    def flush(self) -> None:
        """Append the rows to the store."""
        if self.keys or self.missed:
            self.store.append(self.keys, _joined(self.parts) if self.parts else None, self.missed)
            self._clear()


@contextmanager
def _threads_beside(workers: int | None) -> Iterator[None]:
    """Leave the decoding processes their cores: threads that share a busy core wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before - _processes(workers)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _processes(workers: int | None) -> int:
    if workers is not None and workers < 0:
        raise PaxionError(f"got {workers} workers, expected 0 (decode in this process) or more")
    return max(1, (os.cpu_count() or 1) // 2) if workers is None else workers


def _prepared(backbone: Backbone, frames: Tensor) -> Tensor:
    return prepare(frames, backbone.transform)


@torch.inference_mode()
def _encode(backbone: Backbone, videos: list[Tensor], device: str) -> Features:
    features = backbone.encode_video(torch.stack(videos).to(device))
    # The store takes frame vectors as leave to reorder frames.
    frame_vectors = features.frame_vectors if backbone.per_frame else None
    tokens, vectors = (None if part is None else part.cpu().half() for part in (features.tokens, frame_vectors))
    return Features(features.pooled.float().cpu(), tokens, vectors)


def _joined(parts: list[Features]) -> Features:
    def join(values: list[Tensor | None]) -> Tensor | None:
        present = [value for value in values if value is not None]
        return torch.cat(present) if present else None

    pooled = torch.cat([part.pooled for part in parts])
    return Features(pooled, join([part.tokens for part in parts]), join([part.frame_vectors for part in parts]))


def _decoded(
    groups: Sequence[Sequence[Job]], backbone: Backbone, sampler: str, workers: int | None
) -> Iterator[list[Frames | str]]:
    """The frames of each group of clips, in order; a clip that cannot be read gives the reason instead."""
    count = _processes(workers)
    if count == 0 or len(groups) < 3:
        for group in groups:
            yield _decode(group, sampler, backbone.frames)
        return
    # Spawned, and the decoders opened inside: forking a process that runs torch threads can hang.
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[Future[list[Frames | str]]] = deque()
        try:
            for group in groups:
                waiting.append(pool.submit(_decode, group, sampler, backbone.frames))
                if len(waiting) > 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise PaxionError(
                "a decoding process died, expected none to; in a script of your own put the call under "
                "`if __name__ == '__main__':`, or give workers=0 to decode without processes"
            ) from None


def _decode(group: Sequence[Job], sampler: str, frames: int) -> list[Frames | str]:
    clips: list[Frames | str] = []
    for job in group:
        try:
            clips.append(read_clip(job.video, sampler, frames, job.sample.start, job.sample.end).frames.numpy())
        except PaxionError as error:
            clips.append(str(error))
    return clips
