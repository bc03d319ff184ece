"""Which words of a caption are taken for verbs. What is made of them is tested in test_antonym*.py."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.actionbench.verbs import Tagger, find_verbs, lexicon_forms
from paxion.actionbench.words import Word, split_words

AUXILIARIES = ("be", "have", "do")


def found(caption: str, tagger: Tagger | None = None) -> list[str]:
    verbs = find_verbs(split_words(caption), tagger)
    return [f"{verb.verb} {verb.tag}" for verb in verbs if verb.verb not in AUXILIARIES]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("#C C picks up the knife", "pick VBZ"),
        ("#c c picks up the knife", "pick VBZ"),
        ("#O the man X opens the door", "open VBZ"),
        ("A man X walks", "walk VBZ"),
        ("open drawer", "open VB"),
        ("Open the drawer!", "open VB"),
        ("Pushing something from left to right", "push VBG"),
        ("slowly opens the box", "open VBZ"),
        ("the man slowly opens the box", "open VBZ"),
        ("a man is opening a door", "open VBG"),
        ("a man is slowly opening a door", "open VBG"),
        ("the box was opened by the man", "open VBN"),
        ("the box being opened", "open VBN"),
        ("she has taken the lid off", "take VBN"),
        ("He took the cup", "take VBD"),
        ("he put it down", "put VBD"),
        ("he left the room", "leave VBD"),
        ("people climb a wall", "climb VB"),
        ("the man climb down", "climb VB"),
        ("First he opens the box", "open VBZ"),
        ("First, open the box.", "open VB"),
    ],
)
def test_one_verb(caption: str, expected: str) -> None:
    assert found(caption) == [expected]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("opens the box and closes the lid", ["open VBZ", "close VBZ"]),
        ("open the box and close the lid", ["open VB", "close VB"]),
        ("opening the box and closing the lid", ["open VBG", "close VBG"]),
        ("he took the cup and put it down", ["take VBD", "put VBD"]),
        ("picks up the cup, puts it on the table", ["pick VBZ", "put VBZ"]),
        ("he starts opening the box", ["start VBZ", "open VBG"]),
        ("pretending to open the box", ["pretend VBG", "open VB"]),
        ("he wants to close the lid", ["want VBZ", "close VB"]),
        ("lets the ball fall", ["let VBZ", "fall VB"]),
        ("Pretending to open it without actually opening it", ["pretend VBG", "open VB", "open VBG"]),
    ],
)
def test_several_verbs(caption: str, expected: list[str]) -> None:
    assert found(caption) == expected


@pytest.mark.parametrize(
    "caption",
    [
        "the cutting board",
        "a rolling pin and a chopping board",
        "a frying pan",
        "a washing machine",
        "the open drawer",
        "an opening",
        "the lock",
        "a screw",
        "a cup of water",
        "a set of keys",
        "the left hand",
        "the upstairs window",
        "cutlery in the cupboard",
        "a cat on a mat",
        "turnips, putty and takeaways",
        "",
        "...",
    ],
)
def test_no_verb(caption: str) -> None:
    assert found(caption) == []


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("screw the screw", ["screw VB"]),
        ("locks the lock", ["lock VBZ"]),
        ("drops the drop", ["drop VBZ"]),
        ("closes the open drawer", ["close VBZ"]),
        ("puts the cutting board on the washing machine", ["put VBZ"]),
        ("his left hand closes the box", ["close VBZ"]),
        ("turn on the light", ["turn VB"]),
        ("walks to work", ["walk VBZ"]),
        ("is building a building", ["build VBG"]),
    ],
)
def test_nouns_and_adjectives_beside_a_verb_are_none(caption: str, expected: list[str]) -> None:
    assert found(caption) == expected


@pytest.mark.parametrize(
    ("caption", "main"),
    [
        ("opens the box and closes the lid", ["open", "close"]),
        ("putting a cup so that it falls over", ["put"]),
        ("opens a box while sitting on a chair", ["open"]),
        ("opens the box without closing the lid", ["open"]),
        ("uses a knife to open the box", ["use"]),
        ("pretending to open the box", ["pretend", "open"]),
        ("the man that opens the door closes the window", ["close"]),
    ],
)
def test_what_qualifies_is_not_what_happens(caption: str, main: list[str]) -> None:
    assert [verb.verb for verb in find_verbs(split_words(caption)) if verb.main] == main


@pytest.mark.parametrize(
    ("caption", "scopes"),
    [
        ("opens the box and closes the lid", ["the box", "the lid"]),
        ("opens the box. He closes the lid", ["the box", "the lid"]),
        ("puts the cup down while holding a plate", ["the cup down", "a plate"]),
        ("starts to slowly open the box", ["", "the box"]),
    ],
)
def test_the_words_that_belong_to_a_verb(caption: str, scopes: list[str]) -> None:
    words = split_words(caption)
    assert [" ".join(word.text for word in words[verb.at + 1 : verb.scope]) for verb in find_verbs(words)] == scopes


def tags(*penn: str) -> Tagger:
    return lambda words: penn


def test_a_tagger_adds_a_verb_that_the_rules_missed() -> None:
    # "the crane lift" may be a lift of the crane's kind.
    assert found("the crane lift up") == []
    assert found("the crane lift up", tags("DT", "NN", "VBP", "RP")) == ["lift VB"]
    assert found("the crane lift up", tags("DT", "NN", "NN", "RP")) == []


def test_a_tagger_takes_no_verb_away() -> None:
    # Taggers know newspapers: they take "Open drawer" for a name.
    assert found("open drawer", tags("JJ", "NN")) == ["open VB"]


def test_a_tagger_is_not_asked_where_there_is_nothing_to_decide() -> None:
    def never(words: Sequence[Word]) -> Sequence[str]:
        raise AssertionError("asked")

    assert found("a cat on a mat", never) == []


FORMS = sorted(lexicon_forms())
OTHERS = "the a he man door , . and to is up on in not who while #C"
WORDS = st.sampled_from([*FORMS, *OTHERS.split()])


@given(st.lists(WORDS, max_size=15))
def test_verbs_are_words_of_the_lexicon_in_order_and_scopes_do_not_overlap(tokens: list[str]) -> None:
    words = split_words(" ".join(tokens))
    verbs = find_verbs(words)
    at = -1
    for verb in verbs:
        assert verb.at > at, "in order, none inside the scope of the one before"
        assert verb.at < verb.scope <= len(words)
        assert verb.verb in [known for known, _ in lexicon_forms()[words[verb.at].low]]
        at = verb.scope - 1
