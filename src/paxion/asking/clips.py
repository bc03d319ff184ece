"""What a generative model is shown: which frames of which clip, in what order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from paxion.manifest import video_path
from paxion.records import PaxionError, Sample
from paxion.video.controls import frame_order
from paxion.video.decode import read_clip


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a video file."""

    path: Path
    start: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class View:
    """What is shown with a prompt: the frames of a clip in some order."""

    clip: Clip | None
    """None: no picture at all."""
    order: tuple[int, ...] = ()
    """Which of the T sampled frames each place shows. Controls that show the same are the same view."""


BLIND = View(None)


def view_of(sample: Sample, clip: Clip, control: str, frames: int, seed: int, turned: bool = False) -> View:
    """What a sample's clip, or with `turned` its reversal, becomes under a control of its own frames.

    blind is no picture at all here, not a grey one. A frozen clip is its own reversal; under any other control the
    reversal of the clip is what is controlled, as in `evaluation.evaluate`.
    """
    if control == "blind":
        return BLIND
    order = frame_order(control, frames, f"{sample.id}/{seed}")
    if turned and control != "frozen":
        order = frames - 1 - order
    return View(clip, tuple(order.tolist()))


def clip_of(manifest: Path, sample: Sample) -> Clip:
    """The clip of a sample."""
    return Clip(video_path(manifest, sample), sample.start, sample.end)


def clip_key(clip: Clip) -> str:
    """What a clip is known by in the cache: path, size and time of its file, and the stretch; absent files have one."""
    try:
        found = clip.path.stat()
        file = f"{found.st_size}/{found.st_mtime_ns}"
    except OSError:
        file = "absent"
    told = f"{clip.path.absolute()}\n{file}\n{clip.start}\n{clip.end}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def reader(sampler: str, frames: int) -> Callable[[Clip], Tensor | str]:
    """A function that decodes a clip to (T, H, W, 3) uint8, or says why it cannot be read."""

    def read(clip: Clip) -> Tensor | str:
        try:
            return read_clip(clip.path, sampler, frames, clip.start, clip.end).frames
        except PaxionError as error:
            return str(error)

    return read
