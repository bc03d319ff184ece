"""The work of one process: threads that write beside the backbone change nothing, and errors in them are not lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from neighbour import NeighbourBackbone
from test_extract_kill import sums

from paxion.backbones.base import Features
from paxion.features.extract import fill_blind
from paxion.features.fill import fill
from paxion.features.jobs import Job, plan
from paxion.features.store import FeatureStore, spec_of
from paxion.records import PaxionError

JOBS = [Job(f"clip{number:02}", Path(f"{number}.mp4"), None, None) for number in range(43)]
MISSED = {"clip07", "clip20", "clip21", "clip22", "clip23"}


def decode(jobs, spec):
    """Random pixels by key."""

    def result():
        size = (spec.frames, 3, spec.transform.size, spec.transform.size)
        draws = {job.key: np.random.default_rng(int(job.key[4:])) for job in jobs}
        return [
            f"{key} is gone" if key in MISSED else draw.integers(0, 256, size, dtype=np.uint8)
            for key, draw in draws.items()
        ]

    return result


def filled(root: Path, backbone: NeighbourBackbone, **options) -> tuple[FeatureStore, Counter[str]]:
    store, done = FeatureStore(root, spec_of(backbone)), Counter[str]()
    fill_blind(store, backbone, "cpu")
    pieces = plan(store, JOBS, ("reversed",), 8)
    fill(store, backbone, pieces, decode, batch=4, done=lambda jobs: done.update(job.key for job in jobs), **options)
    return store, done


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 3}, {"workers": 2}, {"threads": 2, "workers": 9}])
def test_threads_and_what_is_decoded_ahead_change_nothing(tmp_path, options):
    plain, done = filled(tmp_path / "plain", NeighbourBackbone())
    assert done == Counter(job.key for job in JOBS)
    store, done = filled(tmp_path / "other", NeighbourBackbone(), **options)
    assert done == Counter(job.key for job in JOBS)
    assert sums(store.folder) == sums(plain.folder)
    assert {key.partition("#")[0] for key in store.missed} == MISSED
    assert store.missed["clip07"] == store.missed["clip07#reversed"] == "clip07 is gone"
    assert len(store) == 1 + 2 * (len(JOBS) - len(MISSED))


class Breaking(NeighbourBackbone):
    """Fails for good at its n-th pass."""

    def __init__(self, passes: int) -> None:
        super().__init__()
        self.left = passes

    def encode_video(self, video: torch.Tensor) -> Features:
        features = super().encode_video(video)
        self.left -= 1
        return features if self.left > 0 else Features(features.pooled * float("nan"), features.tokens)


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_in_a_thread_ends_the_work_and_what_was_written_is_kept(tmp_path, threads):
    with pytest.raises(PaxionError, match="check its weights"):
        filled(tmp_path / "broken", Breaking(12), threads=threads)
    filled(tmp_path / "whole", NeighbourBackbone())
    again = NeighbourBackbone()
    passes: list[int] = []
    again.encode_video = lambda video: (passes.append(len(video)), NeighbourBackbone.encode_video(again, video))[1]
    store, _ = filled(tmp_path / "broken", again, threads=threads)
    before = 10 * 4 - 2  # the first pass was the blind clip's, the twelfth broke, and two lacked clip07
    assert sum(passes) == 2 * (len(JOBS) - len(MISSED)) - before
    assert sums(store.folder) == sums(next((tmp_path / "whole").iterdir()))
