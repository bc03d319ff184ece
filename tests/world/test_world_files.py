"""A world on disk: files that decode to what was drawn, and a manifest that holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from paxion.manifest import find_problems, read_manifest, video_path
from paxion.records import PaxionError
from paxion.video.decode import read_clip
from paxion.world.generate import FRAMES, Clip, WorldPlan, draw_world, write_world

PLAN = WorldPlan(train=21, val=21, test=21)


@pytest.fixture(scope="module")
def drawn() -> dict[str, Clip]:
    return {clip.sample.id: clip for clip in draw_world(PLAN)}


def test_the_manifest_holds_and_lists_every_file(tiny_manifest: Path, drawn):
    assert list(find_problems(tiny_manifest, check_files=True)) == []
    samples = read_manifest(tiny_manifest)
    assert samples == [clip.sample for clip in drawn.values()]
    on_disk = {path.relative_to(tiny_manifest.parent).as_posix() for path in tiny_manifest.parent.rglob("*.mp4")}
    assert on_disk == {sample.video for sample in samples}
    assert not list(tiny_manifest.parent.rglob(".*"))  # No temporary file is left.


@pytest.mark.parametrize(("source", "bound"), [("world-A", 8.0), ("world-B", 15.0)])
def test_files_decode_to_the_frames_drawn(tiny_manifest: Path, drawn, source, bound):
    """The bound is on the mean absolute difference of 0..255; what is lost is the noise in the colours."""
    for clip in [clip for clip in drawn.values() if clip.sample.source == source][::4]:
        found = read_clip(video_path(tiny_manifest, clip.sample), "midpoint", FRAMES)
        assert (found.total, found.indices) == (FRAMES, tuple(range(FRAMES)))
        frames = clip.frames(PLAN.size).float()
        assert (found.frames.float() - frames).abs().mean((1, 2, 3)).max() < bound


def test_twins_on_disk_are_the_exact_flip_of_each_other(tiny_manifest: Path, drawn):
    """Also after encoding: a model that is blind to order scores chance because it has nothing else to go by."""
    pairs = 0
    for name, clip in drawn.items():
        twin = drawn.get(name.replace("-forward", "-backward"))
        if name.endswith("-forward") and twin is not None and clip.sample.split == "test" and clip.sample.reversible:
            there, back = (
                read_clip(video_path(tiny_manifest, c.sample), "midpoint", FRAMES).frames for c in (clip, twin)
            )
            assert torch.equal(there, back.flip(0))
            pairs += 1
    assert pairs == 34


def test_ticks_count_every_clip_and_threads_are_left_alone(tmp_path: Path):
    ticks: list[int] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        write_world(tmp_path, replace(PLAN, train=3, val=2, test=1, size=32), workers=1, tick=ticks.append)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert sum(ticks) == len(draw_world(replace(PLAN, train=3, val=2, test=1)))
    first = read_manifest(tmp_path / "manifest.jsonl")[0]
    assert read_clip(video_path(tmp_path / "manifest.jsonl", first), "midpoint", FRAMES).frames.shape[1:] == (32, 32, 3)


def test_processes_write_what_one_process_writes(tiny_manifest: Path, tmp_path: Path):
    write_world(tmp_path, PLAN, workers=2)
    for sample in read_manifest(tiny_manifest):
        assert (tmp_path / sample.video).read_bytes() == (tiny_manifest.parent / sample.video).read_bytes()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PaxionError, match="give another folder"):
        write_world(tmp_path / "file" / "world", PLAN, workers=1)
