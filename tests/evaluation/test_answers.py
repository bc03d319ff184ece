"""Answers in words: what is plain is read, what is not is never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.evaluation.answers import read_choice, read_yes_no

OPTIONS = ["a man runs", "a man falls"]


@pytest.mark.parametrize(
    "said", ["yes", "Yes.", "YES!", " **Yes** ", '"Yes"', "Answer: yes", "Yes, the sun is setting.", "Yes\nIt does."]
)
def test_yes(said):
    assert read_yes_no(said) == "yes"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Yes and no",
        "Yes. No.",
        "Yes, no",
        "Yes/No",
        "Not really",
        "Nothing moves",
        "I think yes",
        "yesterday",
        "Yes the sun",
    ],
)
def test_neither_yes_nor_no(said):
    assert read_yes_no(said) is None


@pytest.mark.parametrize(
    "said", ["B", "b", "(B)", "[b]", "B.", "B)", "Answer: B", "The answer is B.",
             "The correct answer is (B)", "**B**", "B. a man falls",
             "B: a man falls.", "Option 2", "Caption B: a man falls",
             "Sentence B: A man falls.", "A man falls.", "The best option is: B", "B. He goes down."]
)  # fmt: skip
def test_the_second_option(said):
    assert read_choice(said, OPTIONS) == 1


@pytest.mark.parametrize(
    "said", ["", "A man", "A or B", "A, B", "A: B", "Both", "C", "Option 3", "Option 1 or 2", "A. x B. y", 
             "A. a man falls", "I think A", "B) because (A) is wrong", "a man runs and a man falls", "AB", "12"]
)  # fmt: skip
def test_no_option(said):
    assert read_choice(said, OPTIONS) is None


def test_options_of_the_same_words_are_not_told_apart_by_them():
    assert read_choice("it falls", ["it falls", "It falls."]) is None
    assert read_choice("B", ["it falls", "It falls."]) == 1


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_what_is_read_stands_at_the_beginning(said):
    bare = said.replace("**", "").replace("__", "").strip(" \t\r\n\"'`*").lower()
    answer, place = read_yes_no(said), read_choice(said, ["one", "two"])
    starts = ("the", "best", "correct", "right", "final", "answer", "option", "choice", "caption", "sentence")
    if answer is not None:
        assert bare.startswith((answer, *starts))
    if place is not None:
        assert bare.startswith((*starts, "one", "two", "ab"[place], f"({'ab'[place]})", f"[{'ab'[place]}]"))


@given(st.integers(2, 8), st.data())
def test_every_letter_is_read_in_every_dress(count, data):
    options = [f"thing {i} falls" for i in range(count)]
    place = data.draw(st.integers(0, count - 1))
    letter = "ABCDEFGH"[place]
    dress = data.draw(
        st.sampled_from(["{}", "({})", "{}.", "Answer: {}", "**{}**", " {} ", "Option {}", "{}: " + options[place]])
    )
    assert read_choice(dress.format(letter), options) == place
    assert read_choice(dress.format(letter.lower()), options) == place
    assert read_choice(dress.format("XYZ"[place % 3]), options) is None
