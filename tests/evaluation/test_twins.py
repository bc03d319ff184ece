"""Twins, AUROC and gains against their definitions by brute force."""

from __future__ import annotations

from itertools import permutations, product
from statistics import fmean

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from paxion.evaluation.auroc import auroc
from paxion.evaluation.gains import gains_of
from paxion.evaluation.paired import paired_difference
from paxion.evaluation.statistics import clustered
from paxion.evaluation.twins import CHANCE, TURNED, twin_rows, twin_scores, unpaired
from paxion.records import PaxionError, Row, Sample, Score

TABLES = st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4), min_size=1, max_size=12)


def twins(tables: list[list[float]], control: str = "none") -> list[Row]:
    samples = [Sample(f"s{i}", "a.mp4", "it falls", "test", f"g{i % 3}", antonym="up") for i in range(len(tables))]
    return twin_rows(
        torch.tensor(tables, dtype=torch.float64).view(-1, 2, 2), samples, model="m", data="d", control=control
    )


def values(rows: list[Row], scored: bool = True) -> dict[str, float]:
    return {score.metric: score.value for score in twin_scores(rows, scored)}


def coin(right: float, wrong: float) -> list[bool]:
    """What a choice comes out as, equally likely each."""
    return [right > wrong] if right != wrong else [True, False]


@given(TABLES)
def test_the_metrics_are_their_definitions_with_a_coin_for_every_tie(tables):
    expected: dict[str, list[float]] = {metric: [] for metric in CHANCE}
    for (a, b), (c, d) in (((t[0], t[1]), (t[2], t[3])) for t in tables):
        # clip with caption a and antonym b; reversal with caption c and antonym d.
        texts = list(product(coin(a, b), coin(d, c)))
        clips = list(product(coin(a, c), coin(d, b)))
        expected["accuracy"].append(fmean(fmean(pair) for pair in texts))
        expected["both_right"].append(fmean(all(pair) for pair in texts))
        # The caption is said of the clip when it is right, of the reversal when it is wrong.
        expected["same_answer"].append(fmean(first == (not second) for first, second in texts))
        expected["text"].append(fmean(all(pair) for pair in texts))
        expected["video"].append(fmean(all(pair) for pair in clips))
        expected["group"].append(fmean(all(pair) for pair in texts) * fmean(all(pair) for pair in clips))
    found = values(twins(tables))
    assert found == pytest.approx({metric: fmean(listed) for metric, listed in expected.items()})
    assert found["group"] <= min(found["text"], found["video"])
    assert found["accuracy"] == pytest.approx(found["both_right"] + found["same_answer"] / 2)


def test_the_levels_of_guessing_are_those_of_scores_in_any_order():
    """All orders of four different scores are equally likely for who guesses."""
    rows = twins([list(order) for order in permutations([1.0, 2.0, 3.0, 4.0])])
    found = values(rows)
    assert found["group"] == pytest.approx(CHANCE["group"])
    assert found["accuracy"] == CHANCE["accuracy"]
    coins = twins([[a, 0.5, 0.5, d] for a, d in product((0, 1), (0, 1))])
    assert values(coins, scored=False) == {name: CHANCE[name] for name in ("accuracy", "both_right", "same_answer")}


def test_a_model_blind_to_order_is_right_half_of_the_time_and_never_on_both():
    found = values(twins([[0.9, 0.1, 0.9, 0.1], [0.2, 0.3, 0.2, 0.3]]))
    assert (found["accuracy"], found["both_right"], found["same_answer"]) == (0.5, 0, 1)
    assert (found["video"], found["group"]) == (0.25, 0)


def test_a_row_without_its_twin_is_left_out_and_counted():
    rows = twins([[0.9, 0.1, 0.1, 0.9]] * 3)
    left = [row for row in rows if row.id not in ("s0" + TURNED, "s1")]
    (score, *_) = twin_scores(left)
    assert score.n == 1
    (miss,) = unpaired(left, "d")
    assert (miss.task, miss.count, miss.examples) == ("twins", 2, ("s0", "s1" + TURNED))
    assert unpaired(rows, "d") == [] and twin_scores([]) == []


PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30)


@given(PAIRS)
def test_auroc_is_that_of_scikit_learn_and_of_counting(pairs):
    right, wrong = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    found = auroc(right, wrong, [str(i % 4) for i in range(len(pairs))])
    counted = fmean((r > w) + (r == w) / 2 for r in right for w in wrong)
    truth = np.repeat([1, 0], len(pairs))
    assert found.value == pytest.approx(counted, abs=1e-10)
    assert found.value == pytest.approx(roc_auc_score(truth, np.concatenate([right, wrong])), abs=1e-10)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_variance_of_auroc_is_that_of_delong_with_one_sample_a_group():
    random = np.random.default_rng(0)
    right, wrong = random.normal(0.7, 1, 80), random.normal(0, 1, 80)
    above = np.array([fmean(r > w for w in wrong) for r in right])
    under = np.array([fmean(r > w for r in right) for w in wrong])
    covariance = np.cov(above, under)  # the two samples are paired, as in DeLong's test of two curves
    expected = (covariance[0, 0] + covariance[1, 1] + 2 * covariance[0, 1]) / 80
    _, variance, _ = clustered(above + under - above.mean(), [str(i) for i in range(80)])
    assert variance == pytest.approx(expected, rel=1e-10)


def test_auroc_refuses_what_is_no_number():
    with pytest.raises(PaxionError, match="no finite numbers"):
        auroc(np.array([1.0, np.nan]), np.array([0.0, 0.0]), ["a", "b"])


def credited(control: str, credits: list[float], task: str = "antonym", seed: int = 0) -> list[Row]:
    return [Row(f"s{i}", f"g{i // 2}", "m", "d", task, control, seed, 0, 0, c) for i, c in enumerate(credits)]


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 3), min_size=2, max_size=20))
def test_gains_are_paired_differences(drawn):
    whole, blind, shuffled = ([row[i] for row in drawn] for i in range(3))
    rows = credited("none", whole) + credited("blind", blind) + credited("shuffled", shuffled)
    found = {gain.kind: gain for gain in gains_of(rows)}
    groups = [f"g{i // 2}" for i in range(len(drawn))]
    expected = paired_difference(np.array(whole), np.array(shuffled), groups)
    assert (found["Order Gain"].value, found["Order Gain"].low) == (expected.value, expected.low)
    assert found["Visual Gain"].value == pytest.approx(fmean(whole) - fmean(blind))
    assert found["Blind Gap"].value == pytest.approx(fmean(blind) - 0.5)
    assert found["Blind Gap"].value + found["Visual Gain"].value == pytest.approx(fmean(whole) - 0.5)


def test_gains_of_retrieval_need_its_level_and_pair_what_both_controls_scored():
    rows = credited("none", [1, 1, 0], "text_to_video") + credited("blind", [0.2, 0.2], "text_to_video")
    assert [(gain.kind, gain.n) for gain in gains_of(rows)] == [("Visual Gain", 2)]
    level = Score("chance", "d", "text_to_video", "none", "R@1", 0.1, 0.1, 0.1, 3, 0, 0)
    gap = gains_of(rows, [level])[0]
    assert (gap.kind, gap.value) == ("Blind Gap", pytest.approx(0.1))
    assert gains_of([]) == []


def test_credits_of_seeds_are_averaged_by_sample():
    rows = credited("none", [1, 0], seed=0) + credited("none", [1, 1], seed=1) + credited("shuffled", [0, 0])
    (gain,) = gains_of(rows)
    assert (gain.kind, gain.value, gain.n) == ("Order Gain", 0.75, 2)
