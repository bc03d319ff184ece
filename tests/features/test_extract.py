"""Extraction: every clip encoded once, nothing lost by a kill, nothing substituted, and controls that are exact."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from neighbour import NeighbourBackbone
from scratch import assert_same, from_scratch

from paxion.features.extract import Left, extract
from paxion.features.jobs import Job, Piece
from paxion.features.store import FeatureStore, spec_of
from paxion.manifest import video_path, write_manifest
from paxion.records import PaxionError, Sample
from paxion.video.controls import CONTROLS
from paxion.video.encode import write_clip


@pytest.fixture
def copied(tiny_manifest: Path, tiny_samples: list[Sample], tmp_path: Path) -> tuple[Path, list[Sample]]:
    """Twelve samples of the tiny world with files of their own."""
    samples = tiny_samples[:12]
    for sample in samples:
        target = tmp_path / "world" / sample.video
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video_path(tiny_manifest, sample), target)
    write_manifest(tmp_path / "world" / "manifest.jsonl", samples)
    return tmp_path / "world" / "manifest.jsonl", samples


def test_every_clip_is_there(tiny_features, tiny_samples, tiny_backbone):
    assert tiny_features.missed == {}
    assert list(tiny_features.keys) == [sample.id for sample in tiny_samples]
    assert len(set(tiny_features.keys.values())) == len(tiny_samples)
    found = tiny_features.store.read(list(tiny_features.keys.values()))
    assert found.tokens.shape == (len(tiny_samples), 9, tiny_backbone.tokens_per_frame, tiny_backbone.token_width)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_on_features_is_the_control_on_pixels(
    tiny_features, tiny_manifest, tiny_samples, tiny_backbone, control
):
    samples = tiny_samples[::20]
    keys = [tiny_features.keys[sample.id] for sample in samples]
    found = tiny_features.store.read(keys, control)
    assert_same(found, from_scratch(tiny_backbone, tiny_manifest, samples, control, keys))


def test_the_shuffled_order_follows_the_seed(tiny_features, tiny_manifest, tiny_samples, tiny_backbone):
    samples = tiny_samples[:4]
    keys = [tiny_features.keys[sample.id] for sample in samples]
    one, other = (tiny_features.store.read(keys, "shuffled", [f"{s.id}/{seed}" for s in samples]) for seed in (0, 1))
    expected = from_scratch(tiny_backbone, tiny_manifest, samples, "shuffled", [f"{s.id}/0" for s in samples])
    assert_same(one, expected)
    assert not torch.equal(one.tokens, other.tokens)


def test_a_second_extraction_does_nothing(tiny_backbone, copied, tmp_path):
    manifest, samples = copied
    ticks: list[int] = []
    first = extract(tiny_backbone, manifest, samples, tmp_path / "s", tick=ticks.append)
    assert ticks[0] == 0 and sum(ticks) == len(samples)
    written = {path: path.stat().st_mtime_ns for path in first.store.folder.iterdir()}
    ticks.clear()
    second = extract(tiny_backbone, manifest, samples, tmp_path / "s", tick=ticks.append)
    assert ticks == [len(samples)]
    assert written == {path: path.stat().st_mtime_ns for path in first.store.folder.iterdir()}
    assert first.keys == second.keys


def test_a_run_that_was_killed_goes_on(tiny_backbone, copied, tmp_path):
    manifest, samples = copied

    class KilledError(Exception):
        pass

    def kill(done: int) -> None:
        if done == 2:
            raise KilledError

    with pytest.raises(KilledError):
        extract(tiny_backbone, manifest, samples, tmp_path / "s", batch=2, workers=1, tick=kill)
    extract(tiny_backbone, manifest, samples[:5], tmp_path / "s")
    ticks: list[int] = []
    found = extract(tiny_backbone, manifest, samples, tmp_path / "s", tick=ticks.append)
    assert ticks[0] == 5 and sum(ticks) == len(samples)
    whole = extract(tiny_backbone, manifest, samples, tmp_path / "other")
    keys = list(whole.keys.values())
    assert keys == list(found.keys.values())
    assert_same(found.store.read(keys), whole.store.read(keys, "none"))


def test_processes_give_what_one_process_gives(tiny_backbone, copied, tmp_path):
    """Three groups and more are decoded in other processes; their order must not matter."""
    manifest, samples = copied
    threads = torch.get_num_threads()
    many = extract(tiny_backbone, manifest, samples, tmp_path / "many", batch=2, workers=2)
    assert torch.get_num_threads() == threads
    one = extract(tiny_backbone, manifest, samples, tmp_path / "one", batch=32)
    keys = list(one.keys.values())
    torch.testing.assert_close(many.store.read(keys).pooled, one.store.read(keys).pooled, rtol=0, atol=1e-5)


def test_a_clip_that_cannot_be_read_is_missed_and_no_other(tiny_backbone, copied, tmp_path):
    manifest, samples = copied
    broken, missing, cut = (video_path(manifest, samples[number]) for number in (2, 5, 7))
    broken.write_bytes(b"this is not a video" * 100)
    missing.unlink()
    cut.write_bytes(cut.read_bytes()[:300])
    ticks: list[int] = []
    found = extract(tiny_backbone, manifest, samples, tmp_path / "s", tick=ticks.append)
    assert sum(ticks) == len(samples)
    assert set(found.missed) == {samples[number].id for number in (2, 5, 7)}
    assert set(found.keys) == {sample.id for sample in samples} - set(found.missed)
    for number, path in ((2, broken), (5, missing), (7, cut)):
        assert str(path) in found.missed[samples[number].id]
    left = [sample for sample in samples if sample.id in found.keys]
    keys = [found.keys[sample.id] for sample in left]
    assert_same(found.store.read(keys), from_scratch(tiny_backbone, manifest, left, "none", keys))


def test_a_missing_clip_that_appears_is_encoded(tiny_backbone, copied, tmp_path):
    manifest, samples = copied
    path = video_path(manifest, samples[0])
    content = path.read_bytes()
    path.unlink()
    assert list(extract(tiny_backbone, manifest, samples, tmp_path / "s").missed) == [samples[0].id]
    path.write_bytes(content)
    assert extract(tiny_backbone, manifest, samples, tmp_path / "s").missed == {}


@pytest.mark.parametrize("workers", [0, 2])
def test_videos_that_are_away_for_a_while_are_not_missed(tiny_backbone, copied, tmp_path, workers):
    manifest, samples = copied
    videos = video_path(manifest, samples[0]).parent
    assert all(video_path(manifest, sample).parent == videos for sample in samples)
    away, ticks = tmp_path / "away", list[int]()

    def leave(count: int) -> None:
        ticks.append(count)
        if sum(ticks) == 2:
            videos.rename(away)

    sizes = {"batch": 1 + (workers == 0), "shard": 4}
    with pytest.raises(PaxionError, match=rf"{videos}/\S+: the file .*vanished.* the same command goes on") as caught:
        extract(tiny_backbone, manifest, samples, tmp_path / "s", workers=workers, tick=leave, **sizes)
        videos.rename(away)  # all were decoded ahead
        raise PaxionError("not told")
    assert "\n" not in str(caught.value)
    kept = sum(ticks)
    assert 2 <= kept < len(samples)
    away.rename(videos)
    ticks.clear()
    found = extract(tiny_backbone, manifest, samples, tmp_path / "s", workers=0, tick=ticks.append, **sizes)
    assert found.missed == found.store.missed == {} and len(found.keys) == sum(ticks) == len(samples)


def test_a_video_that_is_replaced_meanwhile_is_not_stored_under_the_key_of_the_old_one(tiny_backbone, copied, tmp_path):
    manifest, samples = copied
    last, done = video_path(manifest, samples[11]), 0

    def swap(count: int) -> None:
        nonlocal done
        done += count
        if done == 4:
            write_clip(last, torch.full((9, 64, 64, 3), 200, dtype=torch.uint8))

    with pytest.raises(PaxionError, match=rf"{last}: the file changed"):
        extract(tiny_backbone, manifest, samples, tmp_path / "s", workers=0, batch=4, tick=swap)
    found = extract(tiny_backbone, manifest, samples, tmp_path / "s", workers=0, batch=4)
    expected = from_scratch(tiny_backbone, manifest, samples[11:], "none", [""])
    assert found.missed == {}
    assert_same(found.store.read([found.keys[samples[11].id]]), expected)


def test_a_clip_that_is_done_in_each_of_its_pieces_counts_once(tiny_backbone, tmp_path):
    jobs = [Job(f"clip{number}", tmp_path / "a.mp4", None, None) for number in range(4)]
    pieces, ticks = [Piece(tuple(jobs)), Piece(tuple(jobs[:3]), pooled=True)], list[int]()
    left = Left(FeatureStore(tmp_path / "s", spec_of(tiny_backbone)), pieces, 7, ticks.append)
    assert ticks == [3] and left.clips == 4
    for done, counts in (([0], []), ([3, 1], [1]), ([2, 0], [1]), ([0, 3], []), ([1, 2], [2])):
        ticks.clear()
        left.done([jobs[number] for number in done])
        assert ticks == counts
    assert left.clips == 0


def test_only_unreadable_clips(tiny_backbone, copied, tmp_path):
    manifest, samples = copied
    for sample in samples:
        video_path(manifest, sample).write_bytes(b"")
    for _ in range(2):
        found = extract(tiny_backbone, manifest, samples, tmp_path / "s")
        assert (len(found.missed), found.keys) == (len(samples), {})


def test_a_changed_file_is_encoded_again(tiny_backbone, copied, tmp_path):
    manifest, samples = copied
    before = extract(tiny_backbone, manifest, samples, tmp_path / "s")
    write_clip(video_path(manifest, samples[3]), torch.full((9, 64, 64, 3), 200, dtype=torch.uint8))
    after = extract(tiny_backbone, manifest, samples, tmp_path / "s")
    assert [s.id for s in samples if before.keys[s.id] != after.keys[s.id]] == [samples[3].id]
    keys = [after.keys[samples[3].id]]
    assert_same(after.store.read(keys), from_scratch(tiny_backbone, manifest, samples[3:4], "none", keys))


def test_a_touched_file_counts_as_changed(tiny_backbone, copied, tmp_path):
    """The key holds the time of change: an edit that keeps the size must not go unseen."""
    manifest, samples = copied
    before = extract(tiny_backbone, manifest, samples, tmp_path / "s").keys
    os.utime(video_path(manifest, samples[1]), ns=(1, 1))
    after = extract(tiny_backbone, manifest, samples, tmp_path / "s").keys
    assert [name for name in before if before[name] != after[name]] == [samples[1].id]


def test_windows_of_one_file_are_clips_of_their_own_and_equal_ones_share(tiny_backbone, copied, tmp_path):
    manifest, samples = copied
    whole, start, again = samples[0], replace(samples[0], id="b", end=0.5), replace(samples[0], id="c", end=0.5)
    ticks: list[int] = []
    found = extract(tiny_backbone, manifest, [whole, start, again], tmp_path / "s", tick=ticks.append)
    assert found.keys[start.id] == found.keys[again.id] != found.keys[whole.id]
    assert sum(ticks) == 3
    one, other = (found.store.read([found.keys[s.id]]).tokens for s in (whole, start))
    assert not torch.equal(one, other)


def test_features_that_are_not_numbers_are_refused(tiny_manifest, tiny_samples, tmp_path):
    backbone = NeighbourBackbone()
    for value in (float("nan"), 1e6):
        backbone.token.data[0, 0] = value
        with pytest.raises(PaxionError, match="expected finite ones"):
            extract(backbone, tiny_manifest, tiny_samples[:2], tmp_path / str(value))


def test_another_backbone_revision_or_sampler_has_a_store_of_its_own(tiny_backbone):
    neighbour, other = NeighbourBackbone(), NeighbourBackbone()
    other.revision = "r2"
    specs = [spec_of(tiny_backbone), spec_of(neighbour), spec_of(other), spec_of(neighbour, "first")]
    assert len({spec.folder for spec in specs}) == len(specs)
    assert not any(set("/:") & set(spec.folder) for spec in specs)


def test_the_store_is_found_again_from_its_specification(tiny_features, tiny_backbone):
    again = FeatureStore(tiny_features.store.folder.parent, spec_of(tiny_backbone))
    keys = list(tiny_features.keys.values())[:3]
    assert all(key in again for key in keys)
    assert torch.equal(again.read(keys).tokens, tiny_features.store.read(keys).tokens)


def test_sampler_and_precision_are_those_asked_for(tiny_backbone, tiny_manifest, tiny_samples, tmp_path):
    samples = tiny_samples[:3]
    wide = extract(tiny_backbone, tiny_manifest, samples, tmp_path, dtype="float32")
    narrow = extract(tiny_backbone, tiny_manifest, samples, tmp_path, dtype="int8")
    other = extract(tiny_backbone, tiny_manifest, samples, tmp_path, sampler="endpoints", dtype="float32")
    one, two, three = (found.store.read(list(found.keys.values())).tokens for found in (wide, narrow, other))
    torch.testing.assert_close(one, two, rtol=0, atol=float(one.abs().max()) / 100)
    assert not torch.equal(one, two) and len({found.store.folder for found in (wide, narrow, other)}) == 3
    expected = from_scratch(tiny_backbone, tiny_manifest, samples, "none", ["", "", ""]).tokens
    torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-5)
    assert one.shape == three.shape


@pytest.mark.parametrize("sizes", [{"batch": 0}, {"shard": 0}, {"workers": -1}])
def test_sizes_that_make_no_sense_are_refused(tiny_backbone, tiny_manifest, tiny_samples, tmp_path, sizes):
    with pytest.raises(PaxionError, match=rf"got .*{next(iter(sizes))}.*expected"):
        extract(tiny_backbone, tiny_manifest, tiny_samples, tmp_path / "s", **sizes)
    assert not (tmp_path / "s").exists()
