"""The plain counts of an audit, on texts small enough to count by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.actionbench.wording import (
    Substitution,
    case_differs,
    cues,
    describe,
    merge,
    repeats,
    substitutions,
)
from paxion.evaluation.ngrams import words
from paxion.records import Sample


def row(caption, foil=None, video="v", split="test", **more):
    return Sample("x", video, caption, split, video, antonym=foil, **more)


@pytest.mark.parametrize(
    ("caption", "foil", "expected"),
    [
        ("opening the box", "closing the box", [("opening", "closing")]),
        ("pour water into a cup", "pour water out of a cup", [("into", "out of")]),
        ("stop spinning", "stop spinning now", [("", "now")]),
        ("take the lid off", "put the lid on", [("take", "put"), ("off", "on")]),
        ("a man kicks a dog", "a dog kicks a man", [("man", "dog"), ("dog", "man")]),
        ("a a", "a", [("a", "")]),
        ("Open it.", "open it", []),
    ],
)
def test_substitutions(caption, foil, expected):
    assert substitutions(caption, foil) == expected


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_substitutions_say_what_changed(old, new):
    found = substitutions(" ".join(old), " ".join(new))
    assert bool(found) == (old != new)
    assert sum(len(words(b)) - len(words(a)) for a, b in found) == len(new) - len(old)


def test_both_directions_of_a_substitution_are_one_line():
    found = merge([("in", "out")] * 9 + [("out", "in")] + [("up", "down")] * 2 + [("down", "up")] * 2)
    assert found == (Substitution("in", "out", 9, 1), Substitution("up", "down", 2, 2))
    assert [change.one_way for change in found] == [True, False]


def test_words_that_only_one_side_says():
    found = cues([("open the box", "close the box"), ("open it", "shut it"), ("close it it", "open it")])
    assert [(cue.word, cue.captions, cue.foils) for cue in found] == [
        ("it", 1, 0),
        ("shut", 0, 1),
        ("open", 2, 1),
        ("close", 1, 1),
    ]


@pytest.mark.parametrize(
    ("caption", "foil", "differs"),
    [
        ("Opening a box", "closing a box", True),
        ("opening a Box", "closing a box", True),
        ("Opening a box", "Closing a box", False),
        ("The man kicks a dog.", "A dog kicks the man.", False),
        ("opening a DVD", "closing a DVD", False),
    ],
)
def test_case(caption, foil, differs):
    assert case_differs(caption, foil) is differs


def test_counts_of_a_small_set():
    rows = [
        row("open the box", "close the box", "a"),
        row("close the box", "open the box", "b"),
        row("lift a cup.", "drop a cup", "c"),
        row("Drop a cup", "lift  a cup.", "c"),
        row("drop a cup", None, "d"),
        row("wipe it", "wipe it", "e"),
    ]
    kept = [sample for sample in rows if sample.antonym]
    found = describe(kept, [sample.antonym for sample in kept], rows)
    assert (found.pairs, found.longer, found.shorter) == (5, 2, 2)
    assert (found.case, found.punctuation) == (1, 2)
    assert (found.foil_only, found.caption_only, found.unused) == (0, 0, ())
    assert found.other_way == 4 + 1  # A text against itself is its own opposite.
    assert found.foil_is_caption == 5
    assert found.foil_is_true == 2
    assert found.same == 1


def test_words_that_no_caption_says():
    rows = [row("open it", "shut it firmly"), row("open that", "shut that"), row("lift", "drop")]
    found = describe(rows, [sample.antonym for sample in rows])
    assert found.unused == (("shut", 2), ("drop", 1), ("firmly", 1))
    assert (found.foil_only, found.caption_only) == (3, 3)
    # A caption without a foil is a caption.
    assert describe(rows, [sample.antonym for sample in rows], [*rows, row("drop and shut")]).unused == (("firmly", 1),)


def test_pairs_of_one_way_substitutions():
    rows = [row(f"open box{i}", f"shut box{i}") for i in range(5)] + [row(f"up{i}", f"down{i}") for i in range(4)]
    assert describe(rows, [sample.antonym for sample in rows]).one_way == 5


def test_the_same_clip_is_the_same_window():
    rows = [row("open it", "close it", start=0.0, end=2.0), row("close it", "shut it", start=5.0, end=6.0)]
    assert describe(rows, [sample.antonym for sample in rows]).foil_is_true == 0


def test_repeats_across_splits():
    rows = [
        row("open it", "close it", "a", "train"),
        row("Open it", "close  it", "b", "test"),
        row("lift it", "drop it", "c", "train"),
        row("lift it", "throw it", "d", "test"),
        row("push", "pull", "e", "train"),
        row("push", "pull", "f", "test"),
        row("pull", "push", "g", "test"),
        row("alone", None, "h", "val"),
    ]
    found = repeats(rows, "antonym")
    assert (found.splits, found.rows, found.captions, found.pairs) == (3, 7, 6, 2)
