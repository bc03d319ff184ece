"""Videos in the layout of a published data set: links to the manifest's files, or several clips in one file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from paxion.files import replacing
from paxion.records import PaxionError
from paxion.video.decode import read_clip

TICKS = 90_000
"""Parts of a second in which frames are timed."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A clip in a file, and what there is to see in it."""

    path: Path
    start: float | None
    end: float | None
    frames: int
    width: int
    height: int
    seconds: float
    """From its first frame to the end of its last one."""

    @property
    def whole(self) -> bool:
        """It is all of its file."""
        return self.start is None and self.end is None


def look_at(path: Path, start: float | None, end: float | None) -> Shot:
    """Open a clip. Raises PaxionError when it cannot be read, or nothing of it is shown between start and end."""
    ends = read_clip(path, "endpoints", 2, start, end)
    frames = ends.indices[1] - ends.indices[0] + 1
    apart = (ends.timestamps[1] - ends.timestamps[0]) / max(frames - 1, 1)
    height, width = ends.frames.shape[1:3]
    return Shot(path, start, end, frames, width, height, (apart or 1.0) * frames)


def put(shot: Shot, target: Path) -> None:
    """Let `target` be the clip: a symbolic link to its file, else a hard link, else a copy; a part of a file is cut.

    A feature store knows a clip by the file that a link points to: what is encoded once serves every format.

    Raises PaxionError when the target cannot be written.
    """
    if not shot.whole:
        join([shot], [0], target)
        return
    source = shot.path.resolve()
    folder: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(source):
            return
        folder = tempfile.mkdtemp(prefix=".link-", dir=target.parent)
        temporary = Path(folder) / "video"
        beside = os.path.relpath(source, target.parent.resolve())  # so that both can be moved together
        for link, what in ((os.symlink, beside), (os.link, source), (shutil.copyfile, source)):
            try:
                link(what, temporary)
                break
            except OSError:
                temporary.unlink(missing_ok=True)
        temporary.replace(target)
    except OSError as error:
        raise PaxionError(
            f"cannot write {target}: {error.strerror or error}; give a folder that can be written and has space"
        ) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def join(shots: Sequence[Shot], lengths: Sequence[int], target: Path) -> list[tuple[float, float]]:
    """Write the frames of all shots into one file, without loss, and give where each starts and ends, seconds.

    lengths: whole seconds that each shot is to last, its frames evenly spread; 0 for its own length. Its window holds
    exactly its frames. Shots must have the same width and height.
    """
    if len({(shot.width, shot.height) for shot in shots}) != 1:
        raise PaxionError(f"cannot join clips of different sizes in {target}")
    windows = []
    clock = 0
    with replacing(target) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        # RGB without loss: what is read back is what was read, to the bit.
        stream = container.add_stream("libx264rgb", rate=Fraction(8))
        stream.width, stream.height, stream.pix_fmt = shots[0].width, shots[0].height, "rgb24"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        stream.options = {"preset": "ultrafast", "qp": "0", "g": "1", "threads": "1"}
        for shot, length in zip(shots, lengths, strict=True):
            span = length * TICKS or max(round(shot.seconds * TICKS), shot.frames)
            pixels = read_clip(shot.path, "midpoint", shot.frames, shot.start, shot.end).frames.numpy()
            for number, picture in enumerate(pixels):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = clock + span * number // shot.frames, Fraction(1, TICKS)
                container.mux(stream.encode(frame))
            windows.append((clock / TICKS, (clock + span) / TICKS))
            clock += span
        container.mux(stream.encode(None))
    return windows
