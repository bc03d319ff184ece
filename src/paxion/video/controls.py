"""Controls: what a clip becomes when information is taken out of it.

All but "blind" are orders of the frames, so for a backbone that works frame by frame they apply to features as well.
"""

from __future__ import annotations

from hashlib import sha256

import torch
from torch import Tensor

from paxion.records import unknown_name

CONTROLS = ("none", "reversed", "first", "middle", "last", "frozen", "shuffled", "blind")
"""What is done to the frames of one clip."""
OTHER = "other"
"""The clip of another sample is shown in the place of its own."""
ANTONYM_SAID = "antonym_said"
"""The clip is left as it is, and its antonym is said to be its caption: a control of the reversal probe alone."""
MEASURED = (*CONTROLS, OTHER, ANTONYM_SAID)
"""Every control that models are measured under."""
GREY = 127


def frame_order(control: str, frames: int, key: str) -> Tensor:
    """The frame that each of the T = `frames` places shows under a control: (T,) int64.

    none      0 .. T-1
    reversed  T-1 .. 0
    first     frame 0 everywhere
    middle    frame (T-1)//2 everywhere. The reversed clip has the same middle frame only when T is odd, so only then
              is this an exact control of the reversal probe.
    last      frame T-1 everywhere
    frozen    one frame everywhere, drawn from `key` (e.g. sample id and seed): the film is stopped, so that the
              reversal of a frozen clip is that clip
    shuffled  a permutation that depends on `key` (e.g. sample id and seed) and on nothing else; from T = 3 on it is
              neither the clip nor its reversal

    Raises ValueError for "blind", which is no order (see `blind_clip`), and PaxionError for an unknown control.
    """
    places = torch.arange(frames)
    match control:
        case "none":
            return places
        case "reversed":
            return places.flip(0)
        case "first":
            return torch.zeros_like(places)
        case "middle":
            return torch.full_like(places, (frames - 1) // 2)
        case "last":
            return torch.full_like(places, frames - 1)
        case "frozen":
            return torch.full_like(places, int(sha256(f"frozen\n{key}".encode()).hexdigest(), 16) % max(1, frames))
        case "shuffled":
            return torch.tensor(_shuffled(frames, key), dtype=torch.int64)
        case "blind":
            raise ValueError("blind is not an order of the frames: use blind_clip")
    raise unknown_name("control", control, CONTROLS)


def blind_clip(frames: int, height: int, width: int) -> Tensor:
    """A clip that shows nothing: (T, height, width, 3) uint8, mid-grey."""
    return torch.full((frames, height, width, 3), GREY, dtype=torch.uint8)


def apply(control: str, frames: Tensor, key: str) -> Tensor:
    """The clip `frames` (T, H, W, 3) uint8 under a control. Raises PaxionError for an unknown control."""
    if control == "blind":
        return blind_clip(*frames.shape[:3])
    return frames[frame_order(control, len(frames), key)]


def _shuffled(frames: int, key: str) -> list[int]:
    """The places sorted by their digests: the same on every machine and with every version of every library."""
    straight = list(range(frames))
    attempt = 0
    while True:
        order = sorted(straight, key=lambda place: sha256(f"{key}\n{attempt}\n{place}".encode()).digest())
        if frames < 3 or order not in (straight, straight[::-1]):
            return order
        attempt += 1
