"""The files of an export's clips: copies or links, parts cut out, twins (a clip and its reversal), single frames."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image
from torch import Tensor

from paxion.data.publishing.videos import Shot
from paxion.files import replacing
from paxion.records import PaxionError
from paxion.video.decode import read_clip
from paxion.video.encode import write_clip

HELD_BYTES = 2**31
"""A clip with more bytes of pixels is not encoded anew: all its frames would have to be in memory."""


def place(path: Path, target: Path, link: bool) -> None:
    """Copy a video file, or let `target` be a symbolic link to it. Raises OSError when that cannot be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        target.symlink_to(path.resolve())
    else:
        with replacing(target) as temporary:
            shutil.copyfile(path, temporary)


def write_part(shot: Shot, target: Path) -> None:
    """Write a window of a file as a file of its own, every frame of it. Raises PaxionError as `all_frames` does."""
    write_clip(target, all_frames(shot), rate_of(shot))


def write_twins(shot: Shot, forward: Path, backward: Path) -> None:
    """Write a clip and its reversal.

    Both are encoded anew in the same way, every frame by itself: a reversal beside the untouched file could be told by
    its coding alone. Raises PaxionError as `all_frames` does.
    """
    frames = all_frames(shot)
    write_clip(forward, frames, rate_of(shot))
    write_clip(backward, frames.flip(0), rate_of(shot))


def all_frames(shot: Shot) -> Tensor:
    """Every frame of a clip (T, H, W, 3) uint8; of an odd number of rows or columns the last is cut off.

    Raises PaxionError when the clip cannot be read or is too large to hold.
    """
    if shot.frames * shot.height * shot.width * 3 > HELD_BYTES:
        raise PaxionError(
            f"{shot.path}: got {shot.frames} frames of {shot.width} x {shot.height}, expected at most "
            f"{HELD_BYTES // 2**30} GiB of pixels to encode anew; give a shorter window (start, end)"
        )
    frames = read_clip(shot.path, "midpoint", shot.frames, shot.start, shot.end).frames
    return frames[:, : shot.height // 2 * 2, : shot.width // 2 * 2]


def rate_of(shot: Shot) -> int:
    """Frames a second, rounded; at least 1."""
    return max(1, round(shot.frames / shot.seconds))


def write_frames(shot: Shot, folder: Path, frames: int) -> list[str]:
    """Write `frames` midpoint frames of a clip as PNG, which loses nothing; gives their names in order."""
    names = [f"{place}.png" for place in range(frames)]
    clip = read_clip(shot.path, "midpoint", frames, shot.start, shot.end)
    for name, pixels in zip(names, clip.frames.numpy(), strict=True):
        with replacing(folder / name) as temporary:
            Image.fromarray(pixels).save(temporary, format="PNG")
    return names
