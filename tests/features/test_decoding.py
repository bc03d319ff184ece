"""Decoding beside the backbone: the same pixels in other processes, and reasons for clips that cannot be read."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from neighbour import NeighbourBackbone

from paxion.features.decoding import check_workers, cores, decode, decoders
from paxion.features.jobs import job_of
from paxion.features.spec import spec_of
from paxion.records import PaxionError
from paxion.video.decode import read_clip
from paxion.video.transform import normalise, prepare

SPEC = spec_of(NeighbourBackbone())
UNGUARDED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from neighbour import NeighbourBackbone
from paxion.features.extract import extract
from paxion.manifest import read_manifest

manifest = Path(sys.argv[1])
extract(NeighbourBackbone(), manifest, read_manifest(manifest), Path(sys.argv[2]), batch=4, workers=1)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_clips_come_in_their_order_with_the_reasons_of_those_that_cannot_be_read(
    tiny_manifest, tiny_samples, tmp_path, workers
):
    jobs = [job_of(tiny_manifest, sample) for sample in tiny_samples[:11]]
    jobs[6] = job_of(tmp_path / "manifest.jsonl", tiny_samples[6])
    with decoders(workers) as submit:
        first, rest = submit(jobs[:2], SPEC), submit(jobs[2:], SPEC)
        found = [*rest(), *first()]
    found = [*found[-2:], *found[:-2]]
    assert isinstance(found[6], str) and str(tmp_path) in found[6]
    for place in (0, 5, 10):
        frames = read_clip(jobs[place].video, SPEC.sampler, SPEC.frames).frames
        video = normalise(torch.from_numpy(found[place]), SPEC.transform.mean, SPEC.transform.std)
        assert found[place].shape == (9, 3, 32, 32) and found[place].dtype == np.uint8
        assert torch.equal(video, prepare(frames, SPEC.transform))


def test_a_window_is_decoded_alone(tiny_manifest, tiny_samples):
    start = job_of(tiny_manifest, replace(tiny_samples[0], start=0.0, end=0.1))
    (frames,) = decode([start], SPEC)
    assert all(np.array_equal(frame, frames[0]) for frame in frames)


def test_a_process_that_dies_is_said(tiny_manifest, tiny_samples, tmp_path):
    """As does every process of a script without a guard, which starts the script anew."""
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)
    ran = subprocess.run(
        [sys.executable, script, tiny_manifest, tmp_path, Path(__file__).parent],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "a decoding process died" in ran.stderr.splitlines()[-1] and "__main__" in ran.stderr.splitlines()[-1]


def test_the_processes_are_a_share_of_the_cores(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert check_workers(None, "cpu") == cores() // 2 and check_workers(3, "cpu") == 3 == check_workers(3, "cuda")
    assert check_workers(None, "cuda") == max(1, cores() - 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(cores()))
    assert check_workers(None, "cpu") == 0 and check_workers(None, "cuda:1") == 1
    assert check_workers(None, "cpu", 8) == 4 and check_workers(None, "cuda", 8) == 7
    with pytest.raises(PaxionError, match="got -1 workers"):
        check_workers(-1, "cpu")
