"""The scorers that read two texts: each against a plain formula, and none by the order of the two."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.actionbench.separability import SCORERS
from paxion.evaluation import text_scorers
from paxion.evaluation.ngrams import count_sides, ngrams, words
from paxion.evaluation.text_scorers import bradley_terry, count_pairs

PAIRS = [
    ("open the door", "close the door"),
    ("Open a box.", "close a box"),
    ("lift the cup", "drop the cup down"),
    ("open the door", "shut the gate"),
]
EVERY = np.ones(4, dtype=bool)
TEXTS = st.lists(st.sampled_from(["open", "close", "the door", "Box.", "cup's", "up"]), min_size=1, max_size=5).map(
    " ".join
)


def test_bigrams_see_both_ends():
    assert ngrams("Open it!", 2) == ["open", "it", "< open", "open it", "it >"]


def test_counts_and_their_difference():
    sides = count_sides(["a b a", "c"], ["a b", "c d"], 1)
    assert sides.names == ("a", "b", "c", "d")

    def dense(part):
        matrix = np.zeros(part.shape)
        matrix[part.row, part.column] = part.value
        return matrix

    assert dense(sides.caption).tolist() == [[2, 1, 0, 0], [0, 0, 1, 0]]
    assert dense(sides.difference).tolist() == [[1, 0, 0, 0], [0, 0, 0, -1]]
    assert len(sides.difference.row) == 2
    kept = sides.difference.rows(np.array([False, True]))
    assert (kept.shape, dense(kept).tolist()) == ((1, 4), [[0, 0, 0, -1]])


def test_sparse_products_are_those_of_the_matrix():
    sides = count_sides(["a b a", "c", "d e"], ["a b", "c d", "a a a"], 2)
    part = sides.difference
    matrix = np.zeros(part.shape)
    matrix[part.row, part.column] = part.value
    random = np.random.default_rng(0)
    right, left = random.normal(size=part.shape[1]), random.normal(size=part.shape[0])
    np.testing.assert_allclose(part.times(right), matrix @ right)
    np.testing.assert_allclose(part.back(left), matrix.T @ left)


def test_naive_bayes_is_the_formula():
    pairs = count_pairs(PAIRS)
    caption = Counter(w for c, _ in PAIRS[:3] for w in words(c))
    foil = Counter(w for _, f in PAIRS[:3] for w in words(f))
    size = len(caption | foil) + 1

    def score(text):
        shares = [(counts, counts.total() + size) for counts in (caption, foil)]
        return math.fsum(
            math.log((shares[0][0][w] + 1) / shares[0][1]) - math.log((shares[1][0][w] + 1) / shares[1][1])
            for w in words(text)
        )

    expected = [score(c) - score(f) for c, f in PAIRS]
    np.testing.assert_allclose(text_scorers.naive_bayes_words(pairs, np.array([True, True, True, False])), expected)


def test_unigram_prefers_common_words_and_knows_unknown_ones():
    pairs = count_pairs([("the cup", "x"), ("the box", "x"), ("the cup", "x"), ("the", "box"), ("box", "zebra")])
    common, rare = text_scorers.unigram(pairs, np.array([True, True, True, False, False]))[3:]
    # 3, 1 and 0 of 6 words; 3 words are known and one more place is left for all others.
    np.testing.assert_allclose([common, rare], [math.log(4 / 2), math.log(2 / 1)])


def test_the_bigram_model_is_witten_bell():
    captions = ["open the door", "close the door", "open door"]
    asked = [("the door", "the zzz"), ("open the", "the zzz"), ("close zzz", "the zzz")]
    found = text_scorers.bigram_model(
        count_pairs([*((caption, "zzz") for caption in captions), *asked]), np.arange(6) < 3
    )

    def follow(word):
        return Counter(b for c in captions for a, b in pairwise(["<", *words(c), ">"]) if word in (a, None))

    # The end of a text counts as a word. One place more is left for all unknown words together.
    every = follow(None)
    share = {w: (every[w] + 1) / (every.total() + len(every) + 1) for w in [*every, "zzz"]}
    assert sum(share.values()) == pytest.approx(1)

    def likely(before, word):
        after = follow(before)
        kinds = max(1, len(after))
        return (after[word] + kinds * share[word]) / (after.total() + kinds)

    assert sum(likely("the", word) for word in share) == pytest.approx(1)
    logs = [[sum(math.log(likely(*ab)) for ab in pairwise(["<", *words(t), ">"])) for t in pair] for pair in asked]
    np.testing.assert_allclose(found[3:], [right - wrong for right, wrong in logs])


def test_unseen_words_and_popular_texts():
    pairs = count_pairs([*PAIRS, ("close the door", "OPEN  the door")])
    learn = np.array([True, True, True, True, False])
    # "close" is in no caption learned from, "open" is; the text "open the door" was twice a caption, the other a foil.
    assert text_scorers.unseen_words(pairs, learn)[4] == -1
    np.testing.assert_allclose(text_scorers.popularity(pairs, learn)[4], math.log(1 / 2) - math.log(3 / 1))


def test_a_rule_learns_its_direction():
    pairs = count_pairs(PAIRS)
    longer = pairs.measures["characters"]
    assert longer.tolist() == [-1.0, 0.0, -5.0, 0.0]
    assert text_scorers.rule("characters")(pairs, EVERY).tolist() == (-longer).tolist()
    assert pairs.measures["capitals"].tolist() == [0, 1, 0, 0]
    assert pairs.measures["punctuation"].tolist() == [0, 1, 0, 0]


def test_the_regression_is_at_its_optimum():
    differences = np.random.default_rng(0).normal(size=(50, 4))
    weights = bradley_terry(differences, penalty=0.5)
    gradient = 0.5 * weights - differences.T @ (1 / (1 + np.exp(differences @ weights)))
    assert np.abs(gradient).max() < 1e-5


def test_the_regression_takes_sparse_features():
    sides = count_sides([c for c, _ in PAIRS], [f for _, f in PAIRS], 2).difference
    dense = np.zeros(sides.shape)
    dense[sides.row, sides.column] = sides.value
    np.testing.assert_allclose(bradley_terry(sides), bradley_terry(dense), atol=1e-6)


@pytest.mark.parametrize("name", SCORERS)
@settings(max_examples=8, deadline=None)
@given(taught=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6), asked=st.tuples(TEXTS, TEXTS))
def test_what_is_asked_in_the_other_order_gets_the_opposite_answer(name, taught, asked):
    learn = np.arange(len(taught) + 1) < len(taught)
    margin, turned = (SCORERS[name](count_pairs([*taught, pair]), learn)[-1] for pair in (asked, (asked[1], asked[0])))
    assert margin == pytest.approx(-turned, abs=1e-4)


def test_margins_of_a_language_model_may_point_either_way():
    pairs = count_pairs(PAIRS)
    assert text_scorers.given(np.array([-1.0, -2, -1, 3]))(pairs, EVERY).tolist() == [1, 2, 1, -3]


def test_texts_without_words_are_ties():
    pairs = count_pairs([("...", "!?"), ("", "  "), ("door", "...")])
    for scorer in SCORERS.values():
        assert np.isfinite(scorer(pairs, np.ones(3, dtype=bool))).all()
