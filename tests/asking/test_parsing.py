"""Answers in words: what the grammar names is read, whatever else is not."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.asking.parsing import parse_choice, parse_yes_no

OPTIONS = ("a ball falls", "a ball rises")
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@pytest.mark.parametrize(
    "said", ["B", "(B)", "B.", "b", " B \n", "**B**", "`B`", "B)", "(B).", "Answer: B", "**Answer:** B", "Answer is B",
             "The answer is B.", "B: a ball rises", "B. a ball rises.", "(B) a ball rises", "A ball rises.", '"B"']
)  # fmt: skip
def test_the_second_option_is_read(said):
    assert parse_choice(said, OPTIONS) == 1


@pytest.mark.parametrize(
    "said", ["", "A or B", "A, B", "A and B", "A B", "AB", "C", "(C)", "not B", "A. B", "B. a ball falls", 
             "A: not a ball", "answerb", "a ball", "The ball rises", "B because a ball rises", "Both", "neither",
             "I think B", "A/B", "(A", "1"]
)  # fmt: skip
def test_what_is_not_plain_is_not_read(said):
    assert parse_choice(said, OPTIONS) is None


def test_an_option_that_is_another_ones_letter_is_not_read():
    assert parse_choice("A", ("B", "A")) is None
    assert parse_choice("A", ("A", "B")) == 0


@pytest.mark.parametrize("said", ["Yes", "yes.", "YES!", "**Yes**", "Yes, the ball falls.", "yes: it does", "'Yes'"])
def test_yes_is_read(said):
    assert parse_yes_no(said) is True


@pytest.mark.parametrize("said", ["No", "no.", "No, it does not fall.", "**No.** The ball rises"])
def test_no_is_read(said):
    assert parse_yes_no(said) is False


@pytest.mark.parametrize(
    "said", ["", "yes and no", "Yes or no", "Yes, no", "No. Yes.", "Not really", "Nope", "yesterday", "no problem",
             "Yes, but it does not fall", "Yes, it doesn't", "The answer is yes", "Y", "maybe", "It does. Yes."]
)  # fmt: skip
def test_half_a_yes_is_not_read(said):
    assert parse_yes_no(said) is None


@given(TEXT)
def test_a_choice_that_is_read_begins_with_its_letter_or_is_an_option(said):
    found = parse_choice(said, OPTIONS)
    if found is not None:
        letters = "".join(character for character in said.lower() if character in string.ascii_lowercase)
        own = OPTIONS[found].replace(" ", "")
        assert letters.removeprefix("the").removeprefix("answer").removeprefix("is") in (
            "ab"[found],
            "ab"[found] + own,
            own,
        )


@given(st.lists(st.sampled_from(["A", "B", "or", "and", "not", "yes", "no", ".", ",", "ball"]), min_size=2, max_size=6))
def test_several_words_are_no_letter(words):
    said = " ".join(words)
    named = {word for word in words if word in ("A", "B")}
    if len(named) != 1 or "not" in words or "ball" in words:
        assert parse_choice(said, OPTIONS) is None
    if {"yes", "no"} <= set(words) or words[0] not in ("yes", "no"):
        assert parse_yes_no(said) is None


@given(
    st.sampled_from(["A", "B", "(A)", "B.", "A. a ball falls", "a ball rises", "A or B", "Yes", "No, it falls"]),
    st.sampled_from([str, str.upper, str.lower, str.swapcase]),
    st.sampled_from(["{}", " {}", "{}\n", "**{}**", "`{}`", '"{}"', "\t*{}* "]),
)  # fmt: skip
def test_case_white_space_and_emphasis_never_matter(said, case, around):
    dressed = around.format(case(said))
    assert parse_choice(dressed, OPTIONS) == parse_choice(said, OPTIONS)
    assert parse_yes_no(dressed) == parse_yes_no(said)
