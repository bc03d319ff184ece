"""Exact frames of a video file.

The frame count in a file's header is often wrong (variable frame rate, edit lists, truncated files), so it is never
read. The packets are listed first, which needs no decoding; then the frames are decoded and checked one by one against
that list. Where the two disagree, what the decoder really gives is counted and sampled instead.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
import torch
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from torch import Tensor

from paxion.records import PaxionError
from paxion.video.sample import sample_indices

HELD_BYTES = 64 * 2**20
"""The packets of a file up to this size are kept in memory, so that it is read once; a larger file is read twice."""

# Decoding may start anew at a keyframe only where the keyframe flags and timestamps are known to be reliable. VP8 is
# missing because its hidden frames are packets of their own: a stretch that is skipped could not be counted.
SEEKABLE_CODECS = {"h264", "hevc", "vp9", "av1"}
SEEKABLE_FORMATS = {"mp4", "matroska"}

# Metadata in a wrong encoding must not keep a file from being read. PyAV 19 never minds it and has no such option.
OPEN_OPTIONS: dict[str, Any] = {"metadata_errors": "ignore"} if hasattr(InputContainer, "metadata_errors") else {}


@dataclass(frozen=True)
class Clip:
    """Frames taken from a video file."""

    frames: Tensor
    """(T, H, W, 3) uint8, RGB, upright."""
    indices: tuple[int, ...]
    """Which frame of the file each one is, 0 = the first shown."""
    timestamps: tuple[float, ...]
    """When each one is shown, seconds since the first frame of the file."""
    total: int
    """Number of frames in the file."""


class _MismatchError(PaxionError):
    """The decoder gives other frames than the list of packets promised."""


@dataclass(frozen=True)
class _Source:
    """An open file: its video stream and a way to go through its packets, again from the first at every call."""

    path: Path
    stream: VideoStream
    packets: Callable[[], Iterable[Packet[VideoStream]]]


class _Key(NamedTuple):
    """A keyframe."""

    frame: int
    """Its number in the order in which frames are shown."""
    packet: int
    """Its number in the order in which they are stored."""


@dataclass(frozen=True)
class _Timeline:
    """The frames of a file in the order in which they are shown."""

    pts: Sequence[int | None]
    """Presentation time of each frame, in units of the stream's time base."""
    keys: Sequence[_Key] = ()
    """Where decoding may start anew, ascending."""


def read_clip(
    path: str | Path,
    sampler: str = "midpoint",
    frames: int = 8,
    start: float | None = None,
    end: float | None = None,
    *,
    seek: bool = True,
    threads: int = 1,
) -> Clip:
    """Read `frames` frames of a video, chosen by the named sampler (see `sample.SAMPLERS`).

    Only frames shown at `start` <= t < `end` are sampled, in seconds since the first frame of the file; None is no
    bound. A short clip gives some frames more than once. A display rotation by quarter turns is applied. A file
    without timestamps is timed by its nominal frame rate (25 a second where it names none).

    `seek` allows skipping to a later keyframe. It changes the time taken, never the frames, unless the file is damaged:
    damage in a part that is skipped goes unnoticed. `threads` is 1 because many workers usually decode side by side.

    Raises PaxionError when the file is missing, is not a video, holds no frame (in the window), or the sampler is
    unknown.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise PaxionError(f"no video file at {path}: check the path")
    try:
        with _open(path) as container:
            stream = _video_stream(path, container)
            stream.codec_context.thread_count = threads
            stream.codec_context.thread_type = "AUTO"
            source = _Source(path, stream, _replay(path, container, stream))
            try:
                return _read(source, _listed(source, seek), sampler, frames, start, end)
            except _MismatchError:
                return _read(source, _decoded(source), sampler, frames, start, end)
    except (av.FFmpegError, OSError) as error:
        raise PaxionError(f"cannot read {path} as a video ({error.strerror}): give a file that FFmpeg reads") from error


def _open(path: Path) -> InputContainer:
    container: InputContainer = av.open(str(path), "r", **OPEN_OPTIONS)
    return container


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    """The first video stream that is not the cover picture of a sound file."""
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.attached_pic:
            return stream
    raise PaxionError(f"no video in {path}, only other streams: give a file with a video stream")


def _replay(path: Path, container: InputContainer, stream: VideoStream) -> Callable[[], Iterable[Packet[VideoStream]]]:
    """A function that goes through the packets from the first: kept ones, or those of the file opened once more."""
    if path.stat().st_size <= HELD_BYTES:
        held = list(_demuxed(container, stream))
        return lambda: held

    def reopened() -> Iterator[Packet[VideoStream]]:
        with _open(path) as again:
            yield from _demuxed(again, _video_stream(path, again))

    return reopened


def _demuxed(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of the stream in the order of decoding, up to where the file is damaged."""
    try:
        for packet in container.demux(stream):
            if packet.size:  # the last one is empty and only means the end
                yield packet
    except av.FFmpegError:
        return


def _listed(source: _Source, seek: bool) -> _Timeline:
    """The timeline as the packets tell it. Raises _MismatchError where they do not give each frame its own time."""
    shown: list[int] = []
    keys: list[tuple[int, int]] = []
    for number, packet in enumerate(source.packets()):
        if packet.pts is None or packet.is_corrupt:
            raise _mismatch(source)
        if not packet.is_discard:  # decoded but not shown: outside of the edit list
            shown.append(packet.pts)
            if packet.is_keyframe:
                keys.append((packet.pts, number))
    shown.sort()
    if any(a == b for a, b in pairwise(shown)):
        raise _mismatch(source)
    formats = source.stream.container.format.name.split(",")
    if not (seek and source.stream.codec_context.name in SEEKABLE_CODECS and SEEKABLE_FORMATS.intersection(formats)):
        keys = []
    return _Timeline(shown, [_Key(bisect_left(shown, pts), number) for pts, number in sorted(keys)])


def _decoded(source: _Source) -> _Timeline:
    """The timeline as the decoder gives it: everything is decoded."""
    return _Timeline([frame.pts for _, frame in _frames(source, enumerate(source.packets()))])


def _mismatch(source: _Source) -> _MismatchError:
    return _MismatchError(f"{source.path} decodes differently every time: encode it anew")


def _read(
    source: _Source, timeline: _Timeline, sampler: str, frames: int, start: float | None, end: float | None
) -> Clip:
    """Sample the timeline and decode what was sampled. Raises _MismatchError if the frames are not as it says."""
    total = len(timeline.pts)
    if total == 0:
        raise PaxionError(f"no frame in {source.path} can be decoded: the file is empty or damaged")
    times = _seconds(source.stream, timeline.pts)
    first = 0 if start is None else bisect_left(times, start)
    stop = total if end is None else bisect_left(times, end)
    if first >= stop:
        raise PaxionError(
            f"no frame of {source.path} is shown from {start} s to before {end} s: "
            f"its {total} frames are shown at 0 to {times[-1]:.3f} s"
        )
    indices = tuple(first + index for index in sample_indices(sampler, stop - first, frames))
    pictures = _pictures(source, timeline, set(indices), stop)
    return Clip(
        frames=torch.from_numpy(np.stack([pictures[index] for index in indices])),
        indices=indices,
        timestamps=tuple(times[index] for index in indices),
        total=total,
    )


def _seconds(stream: VideoStream, shown: Sequence[int | None]) -> list[float]:
    """Seconds since the first frame, ascending."""
    known = sorted(pts for pts in shown if pts is not None)  # AVI mixes up the times of frames stored out of order
    base = stream.time_base
    if base and len(known) == len(shown):
        return [(pts - known[0]) * base.numerator / base.denominator for pts in known]
    rate = stream.codec_context.framerate or stream.guessed_rate or 25
    return [index * rate.denominator / rate.numerator for index in range(len(shown))]


def _pictures(source: _Source, timeline: _Timeline, wanted: set[int], stop: int) -> dict[int, npt.NDArray[np.uint8]]:
    """Decode the frames with the wanted numbers, (H, W, 3) each; every decoded frame is checked against the timeline.

    Decoding goes on to frame `stop` - 1: in a truncated file it is the last frames that are not there.
    """
    pictures: dict[int, npt.NDArray[np.uint8]] = {}
    convert = _converter()
    packets = iter(enumerate(source.packets()))
    decoded = _frames(source, packets)
    position, fed = 0, -1  # the number of the next frame, and of the last packet that the decoder was given
    skipped = False
    for target in sorted(wanted | {stop - 1}):
        key = _keyframe(timeline.keys, target)
        if key.frame > position and key.packet > fed:
            position, skipped = key.frame, True
            decoded = _frames(source, packets, first=key.packet)
        while position <= target:
            try:
                fed, frame = next(decoded)
            except StopIteration:
                raise _mismatch(source) from None
            if frame.pts == timeline.pts[position]:
                position, skipped = position + 1, False
            elif not skipped:
                raise _mismatch(source)
            # else: shown before the keyframe but stored after it; such a frame may need others that were skipped
        if target in wanted:
            pictures[target] = convert(frame)
    if stop == len(timeline.pts) and next(decoded, None) is not None:
        raise _mismatch(source)
    return pictures


def _keyframe(keys: Sequence[_Key], target: int) -> _Key:
    """The last keyframe that is not after frame `target`; the start of the file when there is none."""
    after = bisect_right(keys, target, key=lambda key: key.frame)
    return keys[after - 1] if after else _Key(0, 0)


def _frames(
    source: _Source, packets: Iterable[tuple[int, Packet[VideoStream]]], first: int = 0
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode the packets from number `first` on; give each frame with the number of the last packet that went in.

    A packet or a frame that is damaged (cut short, say) gives nothing, which the caller notices.
    """
    context = source.stream.codec_context
    context.flush_buffers()
    number = first
    for number, packet in packets:
        if number >= first:
            with suppress(av.FFmpegError):
                yield from ((number, frame) for frame in context.decode(packet) if not frame.is_corrupt)
    yield from ((number, frame) for frame in context.decode(None) if not frame.is_corrupt)


def _converter() -> Callable[[VideoFrame], npt.NDArray[np.uint8]]:
    """A function from a decoded frame to (H, W, 3) RGB, which gives all frames the size of the first it sees."""
    reformatter = VideoReformatter()  # keeps its scaler between frames, which is most of the cost of a small one
    size: tuple[int, int] | None = None

    def convert(frame: VideoFrame) -> npt.NDArray[np.uint8]:
        nonlocal size
        size = size or (frame.width, frame.height)
        array = reformatter.reformat(frame, *size, format="rgb24").to_ndarray()
        return np.rot90(array, round(frame.rotation / 90)).astype(np.uint8, copy=False)

    return convert
