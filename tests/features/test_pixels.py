"""Pixels are what decoding gives, whether they were kept, decoded ahead, or decoded anew."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from paxion.features.decoding import decode
from paxion.features.jobs import job_of
from paxion.features.pixels import Pixels
from paxion.features.spec import spec_of
from paxion.records import PaxionError


@pytest.fixture(scope="module")
def jobs(tiny_manifest, tiny_samples):
    return [job_of(tiny_manifest, sample) for sample in tiny_samples[:7]]


@pytest.fixture(scope="module")
def spec(tiny_backbone):
    return spec_of(tiny_backbone)


@pytest.mark.parametrize("clips", [0, 3, 100])
def test_what_is_read_depends_on_nothing_but_the_keys(jobs, spec, clips):
    whole = {job.key: torch.from_numpy(clip) for job, clip in zip(jobs, decode(jobs, spec), strict=True)}
    size = next(iter(whole.values())).numel()
    keys = [job.key for job in jobs]
    batches = [keys[:4], keys[4:6] + keys[:1], keys[3:], keys[::-1], [keys[0], keys[0]]]
    with Pixels(jobs, spec, memory=clips * size + 1, workers=0) as pixels:
        for batch, after in zip(batches, [*batches[1:], []], strict=True):
            pixels.expect([after])
            assert torch.equal(pixels.read(batch), torch.stack([whole[key] for key in batch]))
            assert pixels.kept <= clips
        assert pixels.kept == min(clips, len(keys))


def test_batches_that_were_expected_are_decoded_once(jobs, spec, monkeypatch):
    with Pixels(jobs, spec, memory=0, workers=1) as pixels:
        asked: list[int] = []
        begin = pixels._begin
        monkeypatch.setattr(pixels, "_begin", lambda keys: asked.append(len(keys)) or begin(keys))
        keys = [job.key for job in jobs]
        pixels.expect([keys[:2], keys[2:4]])
        pixels.expect([keys[4:]])
        for batch in (keys[:2], keys[2:4], keys[4:]):
            found = pixels.read(batch)
        assert asked == [2, 2, 3]
    assert torch.equal(found, torch.stack([torch.from_numpy(clip) for clip in decode(jobs[4:], spec)]))


def test_a_clip_that_cannot_be_read_any_more_is_named(spec, tmp_path, tiny_samples):
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    job = job_of(tmp_path / "m.jsonl", replace(tiny_samples[0], video="clip.mp4"))
    with Pixels([job], spec, memory=1e9, workers=0) as pixels, pytest.raises(PaxionError, match=r"clip\.mp4.* changed"):
        pixels.read([job.key])


def test_memory_is_no_less_than_nothing(jobs, spec):
    with pytest.raises(PaxionError, match="expected 0 or more"):
        Pixels(jobs, spec, memory=-1)
