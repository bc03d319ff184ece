import io
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
import torch

from paxion.actionbench import human_clips
from paxion.actionbench.human_clips import encode_mp4, read_footage
from paxion.records import PaxionError
from paxion.video.encode import write_clip

BOUNDS = {"side": 320, "fps": 12, "seconds": 20}


def ramp(count, height=48, width=64):
    """Frames that grow brighter: frame i has the level 5 * i."""
    levels = torch.arange(count, dtype=torch.uint8) * 5
    return levels[:, None, None, None].expand(count, height, width, 3).contiguous()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """48 frames at 24 a second: two seconds."""
    path = tmp_path_factory.mktemp("clips") / "ramp.mp4"
    write_clip(path, ramp(48), fps=24)
    return path


def numbers(frames):
    return np.asarray(frames).mean(axis=(1, 2, 3)) / 5


def decoded(mp4):
    """(frame numbers, seconds at which they are shown, seconds in all, which packets are key frames, streams)."""
    with av.open(io.BytesIO(mp4)) as container:
        stream = container.streams.video[0]
        keys = [packet.is_keyframe for packet in container.demux(stream) if packet.size]
        container.seek(0)
        frames = list(container.decode(stream))
        shown = numbers([frame.to_ndarray(format="rgb24") for frame in frames])
        times = [float(frame.pts * frame.time_base) for frame in frames]
        return shown, times, float(stream.duration * stream.time_base), keys, len(container.streams)


def test_real_speed_at_a_lower_rate(clip):
    footage = read_footage(clip, **BOUNDS)
    assert len(footage.frames) == 24 and footage.whole == pytest.approx(2) and not footage.cut
    assert footage.edges[0] == 0 and footage.edges[-1] == pytest.approx(2)
    # Every frame is shown around its own time: frame k of the file belongs to k/24 s.
    middles = [(a + b) / 2 for a, b in pairwise(footage.edges)]
    assert numbers(footage.frames) / 24 == pytest.approx(middles, abs=0.05)
    shown, times, length, _, streams = decoded(encode_mp4(footage))
    assert shown == pytest.approx(numbers(footage.frames), abs=0.6)
    assert times == pytest.approx(footage.edges[:-1], abs=1e-4) and length == pytest.approx(2, abs=0.002)
    assert streams == 1


def test_no_more_frames_than_there_are(clip):
    footage = read_footage(clip, **BOUNDS | {"fps": 60})
    assert numbers(footage.frames) == pytest.approx(np.arange(48), abs=0.6)


def test_windows_are_honoured(clip):
    footage = read_footage(clip, 0.5, 1.0, **BOUNDS)
    assert footage.whole == pytest.approx(0.5) and not footage.cut
    assert numbers(footage.frames).min() > 11 and numbers(footage.frames).max() < 24
    with pytest.raises(PaxionError, match="no frame"):
        read_footage(clip, 5.0, 6.0, **BOUNDS)


def test_long_clips_are_cut_to_their_middle(clip):
    footage = read_footage(clip, **BOUNDS | {"seconds": 1})
    assert footage.cut and footage.whole == pytest.approx(2) and footage.edges[-1] == pytest.approx(1)
    assert numbers(footage.frames).min() > 11 and numbers(footage.frames).max() < 36.5
    assert decoded(encode_mp4(footage))[2] == pytest.approx(1, abs=0.002)


def test_backwards_is_the_mirror_and_is_coded_alike(clip):
    footage = read_footage(clip, 0.2, 1.7, **BOUNDS)
    forward, backward = decoded(encode_mp4(footage)), decoded(encode_mp4(footage.reversed()))
    assert backward[0] == pytest.approx(forward[0][::-1], abs=0.6) and (np.diff(backward[0]) < 0).all()
    # Frame i ends at forward time t: its mirror begins as long before the end.
    ends = [*forward[1][1:], forward[2]]
    assert backward[1] == pytest.approx([forward[2] - end for end in ends[::-1]], abs=0.002)
    assert forward[2:] == backward[2:], "length, key frames and streams tell nothing"
    assert forward[3][0] and not any(forward[3][1:])


def test_a_varying_frame_rate_keeps_its_time(tmp_path):
    path, times = tmp_path / "varying.mp4", [0, 40, 80, 120, 160, 200, 1000, 1040, 1900, 1940]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"bf": "0"}
        for pixels, pts in zip(ramp(10).numpy() * 4, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    footage = read_footage(path, **BOUNDS)
    assert len(footage.frames) == 10
    for a, b, pts in zip(footage.edges, footage.edges[1:], times, strict=False):
        assert a <= pts / 1000 <= b
    assert footage.reversed().reversed().edges == pytest.approx(footage.edges)


@pytest.mark.parametrize(("size", "shown"), [((90, 500), (56, 320)), ((500, 90), (320, 56)), ((31, 47), (30, 46))])
def test_sides_are_small_and_even(tmp_path, size, shown):
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:  # a lossless codec that takes odd sides
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = *size, "bgr0"
        for pixels in ramp(12, *size).numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    footage = read_footage(path, **BOUNDS)
    assert footage.frames.shape[1:] == (*shown, 3)
    assert len(decoded(encode_mp4(footage))[0]) == len(footage.frames)


def test_large_frames_are_read_in_pieces(clip, monkeypatch):
    whole = read_footage(clip, 0.3, 1.8, **BOUNDS)
    monkeypatch.setattr(human_clips, "HELD_BYTES", 5 * 48 * 64 * 3)
    pieces = read_footage(clip, 0.3, 1.8, **BOUNDS)
    assert len(whole.frames) <= len(pieces.frames) <= len(whole.frames) + 3
    assert pieces.edges[-1] == whole.edges[-1] and (np.diff(numbers(pieces.frames)) > 0.5).all()
    middles = [(a + b) / 2 for a, b in pairwise(pieces.edges)]
    assert numbers(pieces.frames) / 24 - 0.3 == pytest.approx(middles, abs=0.06)


def test_a_single_frame_is_no_clip(tmp_path, clip):
    path = tmp_path / "still.mp4"
    write_clip(path, ramp(1))
    for arguments in ((path,), (clip, 0.5, 0.51)):
        with pytest.raises(PaxionError, match="single frame"):
            read_footage(*arguments, **BOUNDS)
