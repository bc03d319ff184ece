"""Every sampled frame is the right one, in files of many kinds, checked by the number that each frame carries."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import pytest
import torch
from av.packet import Packet
from numbered import FPS, Video, add_sound, encode, packets, picture, read_number, remux, truncate

from paxion.records import PaxionError
from paxion.video import decode
from paxion.video.decode import Clip, read_clip
from paxion.video.sample import SAMPLERS, sample_indices

VP9 = {"cpu-used": "8", "deadline": "realtime", "b": "400k"}
UNEVEN = [sum([40, 33, 200, 41, 90][i % 5] for i in range(n)) for n in range(40)]


def edit_list(path: Path) -> Video:
    """A trim without new encoding: the first seven frames are in the file but are not to be shown."""
    whole = encode(path.with_name("whole.mp4"))

    def earlier(_: int, packet: Packet) -> Packet:
        assert packet.pts is not None and packet.dts is not None
        cut = round(7 / FPS / packet.time_base)
        packet.pts, packet.dts = packet.pts - cut, packet.dts - cut
        return packet

    remux(whole.path, path, earlier, {"avoid_negative_ts": "disabled"})
    assert sum(packet.is_discard for packet in packets(path)) == 7
    return Video(path, range(7, 40), whole.times[: 40 - 7])


def hidden_frames(path: Path) -> Video:
    """VP8 whose every fifth frame has its show bit cleared: a packet that gives no frame."""
    whole = encode(path.with_name("whole.webm"), "libvpx", options={"deadline": "realtime", "auto-alt-ref": "0"})

    def hide(number: int, packet: Packet) -> Packet:
        content = bytearray(bytes(packet))
        if number % 5 == 3:
            content[0] &= ~0x10
        changed = Packet(bytes(content))
        changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
        changed.is_keyframe = packet.is_keyframe
        return changed

    remux(whole.path, path, hide, {})
    shown = [number for number in range(40) if number % 5 != 3]
    return Video(path, shown, [whole.times[number] for number in shown])


def late_start(path: Path) -> Video:
    video = encode(path, times=[5000 + 80 * i for i in range(40)])
    assert min(packet.pts * packet.time_base for packet in packets(path) if packet.pts is not None) == 5
    return video


RECIPES: dict[str, Callable[[Path], Video]] = {
    "long_gop.mp4": lambda path: encode(path, options={"g": "250", "bf": "3"}),
    "short_gop.mp4": lambda path: encode(path, count=70, options={"g": "15", "bf": "3"}),
    "open_gop.mp4": lambda path: encode(path, count=70, options={"x264-params": "open-gop=1:keyint=15:bframes=3"}),
    "intra_refresh.mp4": lambda path: encode(path, count=70, options={"x264-params": "intra-refresh=1:keyint=15"}),
    "every_frame_a_keyframe.mp4": lambda path: encode(path, options={"g": "1"}),
    "h264.mkv": lambda path: encode(path, options={"g": "15"}),
    "hevc.mp4": lambda path: encode(path, "libx265", options={"x265-params": "log-level=0:keyint=15:open-gop=1"}),
    "av1.mp4": lambda path: encode(path, "libsvtav1", 24, options={"preset": "12", "g": "8", "svtav1-params": "lp=1"}),
    "vp9.webm": lambda path: encode(path, "libvpx-vp9", options=VP9),
    "vp9_short_gop.webm": lambda path: encode(path, "libvpx-vp9", options=VP9 | {"g": "10"}),
    "vp8.webm": lambda path: encode(path, "libvpx", options={"deadline": "realtime"}),
    "vp8_hidden.webm": hidden_frames,
    "mpeg4.avi": lambda path: encode(path, "mpeg4", options={"bf": "0"}),
    "mpeg4_b_frames.avi": lambda path: encode(path, "mpeg4", options={"bf": "2"}),
    "h264_b_frames.avi": lambda path: encode(path),
    "uneven.mp4": lambda path: encode(path, times=UNEVEN),
    "uneven.webm": lambda path: encode(path, "libvpx-vp9", options=VP9, times=UNEVEN),
    "transport.ts": lambda path: encode(path, options={"g": "15"}),
    "late_start.mp4": late_start,
    "edit_list.mp4": edit_list,
    "with_sound.mp4": lambda path: encode(path, sound=True),
    "one_frame.mp4": lambda path: encode(path, count=1),
    "five_frames.mp4": lambda path: encode(path, count=5),
    "five_frames.webm": lambda path: encode(path, "libvpx-vp9", 5, options=VP9),
    "truncated.webm": lambda path: truncate(encode(path, "libvpx-vp9", options=VP9), 26),
    "truncated.mp4": lambda path: truncate(encode(path, muxing={"movflags": "+faststart"}), 26),
    "truncated.avi": lambda path: truncate(encode(path, "mpeg4", options={"bf": "0"}), 26),
}


@pytest.fixture(scope="module", params=RECIPES)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Video:
    return RECIPES[request.param](tmp_path_factory.mktemp("video") / request.param)


def numbers(clip: Clip) -> list[int]:
    return [read_number(frame) for frame in clip.frames.numpy()]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampled_frame_is_exact(video: Video, sampler: str) -> None:
    total = len(video.numbers)
    for frames in (1, 3, 8, 13, total):
        clip = read_clip(video.path, sampler, frames)
        assert clip.total == total
        assert clip.indices == sample_indices(sampler, total, frames)
        assert numbers(clip) == [video.numbers[index] for index in clip.indices]
        # WebM rounds times to milliseconds.
        assert clip.timestamps == pytest.approx([video.times[index] for index in clip.indices], abs=1.1e-3)
        assert clip.frames.shape == (frames, 96, 64, 3) and clip.frames.dtype == torch.uint8


def test_seeking_and_keeping_packets_change_nothing(video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    for frames in (2, 3, 5, 8):
        clip = read_clip(video.path, "endpoints", frames)
        forward = read_clip(video.path, "endpoints", frames, seek=False)
        with monkeypatch.context() as patch:
            patch.setattr(decode, "HELD_BYTES", 0)
            read_twice = read_clip(video.path, "endpoints", frames)
        for other in (forward, read_twice):
            assert torch.equal(clip.frames, other.frames)
            assert (clip.indices, clip.timestamps, clip.total) == (other.indices, other.timestamps, other.total)


def test_seeking_skips_what_is_not_needed(tmp_path: Path) -> None:
    """Damage to frames before the keyframe that is sought does not show; without seeking it does."""
    path = encode(tmp_path / "video.mp4", count=60, options={"g": "15"}).path
    content = bytearray(path.read_bytes())
    for packet in packets(path)[20:25]:
        assert packet.pos is not None
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    sought = read_clip(path, start=46 / FPS)
    assert sought.total == 60
    assert numbers(sought) == list(sought.indices)
    forward = read_clip(path, start=46 / FPS, seek=False)
    assert forward.total < 60
    assert [round(time * FPS) for time in forward.timestamps] == numbers(forward)


def test_frames_are_compared_with_what_was_written(tmp_path: Path) -> None:
    clip = read_clip(encode(tmp_path / "video.mp4", options={"crf": "1"}).path, frames=40)
    for number, frame in enumerate(clip.frames.numpy()):
        assert abs(frame.astype(int) - picture(number)).mean() < 3


@pytest.mark.parametrize("name", ["uneven.mp4", "uneven.webm", "short_gop.mp4", "truncated.mp4", "transport.ts"])
@pytest.mark.parametrize(("start", "end"), [(0.5, 1.0), (None, 0.75), (1.25, None), (0.0, 0.01), (-1.0, 99.0)])
def test_window(tmp_path: Path, name: str, start: float | None, end: float | None) -> None:
    video = RECIPES[name](tmp_path / name)
    inside = [
        index
        for index, time in enumerate(video.times)
        if (start is None or time >= start) and (end is None or time < end)
    ]
    clip = read_clip(video.path, "endpoints", len(inside), start, end)
    assert list(clip.indices) == inside
    assert numbers(clip) == [video.numbers[index] for index in inside]
    assert clip.total == len(video.numbers)
    few = read_clip(video.path, "midpoint", 3, start, end)
    assert few.indices == tuple(inside[i] for i in sample_indices("midpoint", len(inside), 3))


def test_more_threads_give_the_same_frames(tmp_path: Path) -> None:
    path = encode(tmp_path / "video.mp4").path
    assert torch.equal(read_clip(path).frames, read_clip(path, threads=2).frames)


@pytest.mark.parametrize(("quarters", "matrix"), [(1, (0, -1, 1, 0)), (2, (-1, 0, 0, -1)), (3, (0, 1, -1, 0))])
def test_display_rotation_is_applied(tmp_path: Path, quarters: int, matrix: tuple[int, ...]) -> None:
    """A telephone held upright stores its frames lying down and says in the file how to turn them."""
    path = encode(tmp_path / "video.mp4").path
    upright = read_clip(path).frames
    content = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    assert torch.equal(read_clip(path).frames, upright.rot90(quarters, (1, 2)))


def test_without_timestamps_the_nominal_rate_counts(tmp_path: Path) -> None:
    clip = read_clip(encode(tmp_path / "raw.h264").path, frames=40)
    assert numbers(clip) == list(range(40))
    assert clip.timestamps == pytest.approx([index / FPS for index in range(40)])


def test_a_change_of_size_gives_all_frames_the_size_of_the_first(tmp_path: Path) -> None:
    small, large = encode(tmp_path / "a.h264", count=9), encode(tmp_path / "b.h264", count=9, scale=2)
    both = tmp_path / "both.h264"
    both.write_bytes(small.path.read_bytes() + large.path.read_bytes())
    clip = read_clip(both, frames=18)
    assert clip.frames.shape == (18, 96, 64, 3)
    assert numbers(clip) == [*range(9), *range(9)]


def test_metadata_in_a_wrong_encoding_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLE"
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height = 64, 96
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(5), format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"TITLE", b"\xff\xfe\xff\xfe\xff"))
    assert numbers(read_clip(path, frames=1)) == [5]


def nothing(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("not a video\n" * 100)


def header_only(path: Path) -> None:
    encode(path, muxing={"movflags": "+faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 8])


def damaged(path: Path) -> None:
    encode(path, muxing={"movflags": "+faststart"})
    content = path.read_bytes()
    begin = content.index(b"mdat") + 4
    path.write_bytes(content[:begin] + bytes(len(content) - begin))


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        add_sound(container)


def sound_with_cover(path: Path) -> None:
    with av.open(str(path), "w") as container:
        cover = container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 64, 96, "rgb24"
        cover.disposition = cover.disposition.attached_pic
        add_sound(container)
        container.mux(cover.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
        container.mux(cover.encode(None))
    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition & cover.disposition.attached_pic


@pytest.mark.parametrize("write", [nothing, text, header_only, damaged, sound_only, sound_with_cover, Path.mkdir, None])
def test_what_is_no_video_is_an_error_of_one_line(tmp_path: Path, write: Callable[[Path], None] | None) -> None:
    path = tmp_path / "video.mp4"
    if write:
        write(path)
    with pytest.raises(PaxionError) as caught:
        read_clip(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and ": " in message


def test_an_empty_window_is_an_error(tmp_path: Path) -> None:
    path = encode(tmp_path / "video.mp4").path
    for start, end in ((10.0, None), (1.0, 1.0), (2.0, 1.0), (None, 0.0)):
        with pytest.raises(PaxionError, match=r"shown at 0 to 3\.250 s$"):
            read_clip(path, start=start, end=end)


def test_an_unknown_sampler_is_an_error(tmp_path: Path) -> None:
    path = encode(tmp_path / "video.mp4", count=2).path
    with pytest.raises(PaxionError, match="did you mean 'midpoint'"):
        read_clip(path, "midpiont")
