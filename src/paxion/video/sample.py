"""Which frames of a clip to take: pure functions from the number of frames there are to the numbers of those taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paxion.records import PaxionError, unknown_name


def midpoint(total: int, frames: int) -> tuple[int, ...]:
    """The middle frame of each of `frames` equal stretches. With `frames` == `total`, every frame."""
    return tuple((2 * i + 1) * total // (2 * frames) for i in range(frames))


def endpoints(total: int, frames: int) -> tuple[int, ...]:
    """Evenly spaced from the first frame to the last, both included; a single frame is the first."""
    return tuple(i * (total - 1) // max(frames - 1, 1) for i in range(frames))


def paper(total: int, frames: int) -> tuple[int, ...]:
    """As published: evenly spaced from frame 1 (frame 0 is skipped) to the last, rounded down.

    A clip of one frame gives that frame (the published code failed and took another sample). The published code did
    not skip a frame where a clip is a window of a longer video; this function does, as it knows no window.
    """
    first = min(1, total - 1)
    # NumPy's own rounding is part of what was published.
    return tuple(np.linspace(first, total - 1, frames, dtype=int).tolist())


SAMPLERS: dict[str, Callable[[int, int], tuple[int, ...]]] = {
    "midpoint": midpoint,
    "endpoints": endpoints,
    "paper": paper,
}


def sample_indices(name: str, total: int, frames: int) -> tuple[int, ...]:
    """The `frames` frame numbers, ascending in 0 .. `total` - 1, that the named sampler takes of `total` frames.

    Numbers repeat when there are fewer frames than are taken. Raises PaxionError for an unknown name, or unless
    `total` and `frames` are at least 1.
    """
    if name not in SAMPLERS:
        raise unknown_name("sampler", name, SAMPLERS)
    if total < 1 or frames < 1:
        raise PaxionError(f"cannot take {frames} frames of {total}: both must be at least 1")
    return SAMPLERS[name](total, frames)
