"""Cross-validation of text-only scorers: fair by group, fair to closed sets, and no lean in the nested number."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.actionbench.separability import SCORERS, cross_validate, draw_folds, evened_pairs, pick
from paxion.evaluation.text_scorers import count_pairs, text_ids

VERBS = [("opening", "closing"), ("lifting", "dropping"), ("pushing", "pulling"), ("folding", "unfolding")]


def closed(n, things, seed):
    """n pairs, each as often as its opposite, in random groups of two."""
    draw = random.Random(seed)
    rows = []
    for _ in range(n // 2):
        (a, b), thing = draw.choice(VERBS), draw.randrange(things)
        rows += [(f"{a} thing{thing}", f"{b} thing{thing}"), (f"{b} thing{thing}", f"{a} thing{thing}")]
    draw.shuffle(rows)
    return rows, [f"g{i // 2}" for i in range(len(rows))]


def tossed(n, things, seed):
    """n pairs whose direction is a coin toss."""
    draw = random.Random(seed)
    rows = []
    for _ in range(n):
        a, b = draw.sample(draw.choice(VERBS), 2)
        thing = draw.randrange(things)
        rows.append((f"{a} thing{thing}", f"{b} thing{thing}"))
    return rows, [f"g{i // 2}" for i in range(n)]


def evened(rows):
    return evened_pairs(*text_ids([caption for caption, _ in rows], [foil for _, foil in rows]))


@pytest.mark.parametrize("things", [1, 30, 10_000])
def test_every_scorer_is_at_chance_on_a_closed_set(things):
    rows, groups = closed(300, things, 0)
    found = cross_validate(count_pairs(rows), groups)
    assert found.folds.evened.all()
    assert {name: e.value for name, e in found.scorers.items()} == dict.fromkeys(SCORERS, 0.5)
    assert found.nested.value == 0.5


def test_folds_by_group_would_put_a_closed_set_below_chance():
    """Why evened pairs are judged together: the popularity of a text learned from four folds is wrong in the fifth."""
    rows, groups = closed(300, 10_000, 0)
    pairs = count_pairs(rows)
    home = draw_folds(groups, 5, np.random.default_rng(0))
    right = [SCORERS["popularity"](pairs, home != k)[home == k] > 0 for k in range(5)]
    assert np.concatenate(right).mean() < 0.2


@settings(max_examples=8, deadline=None)
@given(texts=st.lists(st.tuples(st.text("ab C.", max_size=9), st.text("ab C.", max_size=9)), min_size=3, max_size=12))
def test_whatever_the_texts_a_closed_set_is_at_chance(texts):
    rows = [row for a, b in texts for row in ((a, b), (b, a))]
    found = cross_validate(count_pairs(rows), [str(i) for i in range(len(rows))])
    assert {e.value for e in (*found.scorers.values(), found.nested)} == {0.5}


def test_evened_by_design_or_by_luck():
    assert evened(closed(200, 30, 0)[0]).all()
    # Half of the pairs of texts that occur twice are even by luck, others are as often both one way.
    assert not evened(tossed(400, 100, 0)[0]).any()
    rows = closed(100, 30, 0)[0] + [(f"opening box{i}", f"closing box{i}") for i in range(300)]
    assert evened(rows).tolist() == [True] * 100 + [False] * 300
    # Capitals and spaces make no other pair.
    assert evened([("Open it", "close it"), ("Close  it", "open it")]).all()


def test_a_cue_is_found_beside_a_closed_part():
    rows, groups = closed(300, 30, 0)
    one_way = [(f"taking cup{i % 40}", f"placing cup{i % 40}") for i in range(100)]
    found = cross_validate(count_pairs(rows + one_way), groups + [f"h{i}" for i in range(100)])
    assert found.nested.value == pytest.approx((300 * 0.5 + 100) / 400)


def test_tossed_coins_are_no_cue():
    values = []
    for seed in range(5):
        rows, groups = tossed(200, 10_000, seed)
        found = cross_validate(count_pairs(rows), groups, seed=seed)
        values.append(found.nested.value)
        assert found.nested.value <= found.scorers[found.best].value
    assert np.mean(values) == pytest.approx(0.5, abs=0.04)


def test_the_scorer_of_a_fold_is_picked_on_the_others():
    """A scorer that knows fold 0 only is not picked for fold 0."""
    rows, groups = tossed(100, 10_000, 0)
    pairs = count_pairs(rows)
    folds = cross_validate(pairs, groups).folds

    def cheat(pairs, learn):
        return np.where(folds.home == 0, 1.0, -1.0)

    def guess(pairs, learn):
        return np.zeros(len(pairs))

    assert pick(pairs, folds, {"cheat": cheat, "guess": guess}) == ("guess",) * 5


def test_what_one_group_says_is_not_learned_for_itself():
    """Every group has its own word for a foil: known to those who saw the group, to nobody else."""
    rows = [(f"a{i}", f"foil{i // 4} b{i}") for i in range(80)]
    found = cross_validate(count_pairs(rows), [str(i // 4) for i in range(80)], {"nb": SCORERS["unseen-words"]})
    assert found.scorers["nb"].value == 1.0
    rows = [(f"same thing{i // 4}", f"same box{i // 4}") for i in range(80)]
    found = cross_validate(count_pairs(rows), [str(i // 4) for i in range(80)], {"nb": SCORERS["naive-bayes-words"]})
    assert found.scorers["nb"].ties == 80


def test_folds_are_whole_groups_of_about_one_size():
    groups = ["big"] * 50 + [f"g{i}" for i in range(150)]
    fold = draw_folds(groups, 5, np.random.default_rng(3))
    assert len(set(fold[:50].tolist())) == 1
    assert sorted(np.bincount(fold)) == [37, 37, 38, 38, 50]


def test_the_seed_decides():
    rows, groups = tossed(120, 10_000, 0)
    pairs = count_pairs(rows)
    first, again, other = (cross_validate(pairs, groups, seed=seed) for seed in (1, 1, 2))
    assert first.scorers == again.scorers
    assert first.nested == again.nested
    assert (first.folds.home != other.folds.home).any()


def test_too_few_groups():
    with pytest.raises(ValueError, match="at least 3"):
        cross_validate(count_pairs([("a", "b")] * 4), ["x", "y", "x", "y"])
