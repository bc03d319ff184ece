"""Clips made small for a web page: decoded, shrunk, and coded anew at their real speed, forwards or backwards."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from paxion.records import PaxionError
from paxion.video.decode import Clip, read_clip

HELD_BYTES = 256 * 2**20
"""Full-size frames held at once: a clip with more of them is read in pieces."""
CLOCK = 90_000
"""Ticks a second of the coded clips."""


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """The frames of a clip as they are shown."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB; H and W are even."""
    edges: tuple[float, ...]
    """T + 1 times in seconds, ascending from 0: frame i is shown from edges[i] to edges[i + 1]."""
    whole: float
    """Length of the clip in the manifest, seconds. More than edges[-1]: only the middle is kept."""

    @property
    def cut(self) -> bool:
        """Whether only the middle of the clip is kept."""
        return self.whole > self.edges[-1] + 1e-6

    def reversed(self) -> Footage:
        """The same frames played backwards, each shown for as long."""
        return replace(self, frames=self.frames[::-1], edges=tuple(self.edges[-1] - edge for edge in self.edges[::-1]))


def read_footage(
    path: Path, start: float | None = None, end: float | None = None, *, side: int, fps: float, seconds: float
) -> Footage:
    """Read a clip to show: at most `fps` frames a second, no side longer than `side` pixels, at its real speed.

    A clip longer than `seconds` is cut to its middle. Frames are spaced evenly by number; each is shown at its own
    time, also where the frame rate varies. Raises PaxionError as `read_clip` does, and for a clip of a single frame.
    """
    ends = read_clip(path, "endpoints", 2, start, end)
    count = ends.indices[1] - ends.indices[0] + 1
    if count < 2:
        raise PaxionError(f"{path} shows a single frame in the window, expected a clip; check start and end")
    first, span = ends.timestamps[0], ends.timestamps[1] - ends.timestamps[0]
    whole = span * count / (count - 1)  # the last frame is shown as long as the others
    kept = min(whole, seconds)
    begin = first + (whole - kept) / 2
    wanted = max(2, min(round(kept * fps), math.floor(count * kept / whole)))
    # Windows keep frames at start <= t < end; without a cut the bounds must not lose one to rounding.
    bounds = (first, end) if kept == whole else (begin, begin + kept)
    pixels, times = _frames(path, bounds, kept, wanted, ends, side)
    if len(times) < 2:
        raise PaxionError(f"{path} shows a single frame at {times[0]:.2f} s, expected a clip; check start and end")
    inner = [(a + b) / 2 - begin for a, b in pairwise(times)]
    return Footage(pixels, (0.0, *inner, kept), whole)


def encode_mp4(footage: Footage, quality: int = 26) -> bytes:
    """The footage as a silent H.264 mp4, which every current browser plays. quality: x264's crf, 0 best to 51 worst.

    Every frame but the first is predicted, from those shown before it; so forward and backward footage are coded by the
    same rule, and neither is a recording of the other played backwards. One thread, so that the same footage gives the
    same bytes.
    """
    ticks = [round(edge * CLOCK) for edge in footage.edges]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(len(footage.frames) * CLOCK, max(1, ticks[-1])))
        stream.height, stream.width = footage.frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, CLOCK)
        # No key frame but the first: others fall where a change is sudden, at other places forwards than backwards.
        coding = {"bf": "0", "g": str(len(ticks)), "sc_threshold": "0"}
        stream.options = {"preset": "medium", "crf": str(quality), "threads": "1", **coding}
        packets = []
        for pixels, tick in zip(footage.frames, ticks, strict=False):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, CLOCK)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        # The encoder does not know for how long the last frame is shown. Without B-frames, packets come in order.
        for packet, (tick, after) in zip(packets, pairwise(ticks), strict=True):
            packet.duration = after - tick
            container.mux(packet)
    return file.getvalue()


def _frames(
    path: Path, bounds: tuple[float, float | None], kept: float, wanted: int, ends: Clip, side: int
) -> tuple[NDArray[np.uint8], list[float]]:
    """About `wanted` different small frames (T, H, W, 3) of a window of `kept` seconds, and when each is shown."""
    begin, end = bounds
    pieces = max(1, math.ceil(wanted * ends.frames[0].numel() / HELD_BYTES))
    pixels: list[NDArray[np.uint8]] = []
    times: list[float] = []
    for piece in range(pieces):
        low = begin + piece * kept / pieces
        high = end if piece == pieces - 1 else begin + (piece + 1) * kept / pieces
        clip = read_clip(path, "midpoint", math.ceil(wanted / pieces), low, high)
        for frame, time in zip(clip.frames.numpy(), clip.timestamps, strict=True):
            if not times or time > times[-1]:
                pixels.append(_small(frame, side))
                times.append(time)
    return np.stack(pixels), times


def _small(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The frame (H, W, 3) shrunk so that no side is longer than `side`, both even."""
    height, width, _ = frame.shape
    longest = max(height, width)
    shown = min(side, longest)
    size = (max(2, width * shown // longest // 2 * 2), max(2, height * shown // longest // 2 * 2))
    if size == (width, height):
        return frame
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
