"""Videos whose frames carry their number as a pattern of black and white squares that survives lossy compression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet

WIDTH, HEIGHT = 64, 96
FPS = 12
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Video:
    """A video file and what is in it."""

    path: Path
    numbers: Sequence[int]
    """The number that each shown frame carries."""
    times: Sequence[float]
    """When each one is shown, seconds since the first."""


def picture(number: int) -> Picture:
    """(96, 64, 3). The upper half holds 12 bits in squares of 16; the noise below makes every frame cost some bytes."""
    bits = np.array([number >> bit & 1 for bit in range(12)], dtype=np.uint8).reshape(3, 4) * 255
    squares = bits.repeat(16, axis=0).repeat(16, axis=1)
    noise = np.random.default_rng(number).integers(0, 255, (6, 8), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    return np.vstack([squares, noise])[..., None].repeat(3, axis=2)


def read_number(pixels: Picture) -> int:
    """The number in a picture (H, W, 3) of any size."""
    height, width = pixels.shape[:2]
    number = 0
    for bit in range(12):
        row, column = divmod(bit, 4)
        y, x = int((row + 0.5) * height / 6), int((column + 0.5) * width / 4)
        number |= int(pixels[y - 3 : y + 4, x - 3 : x + 4].mean() > 127) << bit
    return number


def encode(
    path: Path,
    codec: str = "libx264",
    count: int = 40,
    *,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    scale: int = 1,
    sound: bool = False,
) -> Video:
    """Write frames 0 .. count - 1 at 12 a second, or at `times` in milliseconds."""
    with av.open(str(path), "w", options=muxing or {}) as container:
        stream = container.add_stream(codec, rate=FPS, options={"threads": "1"} | (options or {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH * scale, HEIGHT * scale, "yuv420p"
        base = Fraction(1, FPS) if times is None else Fraction(1, 1000)
        stream.codec_context.time_base = base
        if sound:
            add_sound(container)
        ticks = list(range(count)) if times is None else list(times)
        for number, tick in enumerate(ticks):
            pixels = picture(number).repeat(scale, axis=0).repeat(scale, axis=1)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = tick, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Video(path, range(len(ticks)), [float((tick - ticks[0]) * base) for tick in ticks])


def add_sound(container: av.container.OutputContainer) -> None:
    """Write one second of silence."""
    stream = container.add_stream("aac", rate=8000)
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.float32), format="fltp", layout="mono")
    silence.sample_rate, silence.pts = 8000, 0
    container.mux(stream.encode(silence))
    container.mux(stream.encode(None))


def packets(path: Path) -> list[Packet]:
    """The packets of the video stream in the order of decoding."""
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(container.streams.video[0]) if packet.size]


def remux(source: Path, target: Path, change: Callable[[int, Packet], Packet], muxing: dict[str, str]) -> None:
    """Copy the packets without decoding them, each one changed."""
    with av.open(str(source)) as reading, av.open(str(target), "w", options=muxing) as writing:
        stream = writing.add_stream_from_template(reading.streams.video[0])
        for number, packet in enumerate(reading.demux(reading.streams.video[0])):
            if packet.size:
                changed = change(number, packet)
                changed.stream = stream
                writing.mux(changed)


def truncate(video: Video, kept: int) -> Video:
    """Cut the file in the middle of packet number `kept`; the frames of the packets before it are left."""
    stored = packets(video.path)
    position = stored[kept].pos
    assert position is not None
    content = video.path.read_bytes()
    assert len(content) > position + stored[kept].size // 2
    video.path.write_bytes(content[: position + stored[kept].size // 2])
    shown = sorted(packet.pts or 0 for packet in stored)
    numbers = sorted(shown.index(packet.pts or 0) for packet in stored[:kept])
    return Video(video.path, numbers, [video.times[number] for number in numbers])
