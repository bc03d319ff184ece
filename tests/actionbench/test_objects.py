"""Object replacement: what is found, what is replaced, how the new object fits, and that it cannot be told by words."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.actionbench.nouns import load_words, pluralised, same, singularised
from paxion.actionbench.objects import Replaced, find_objects, learn_vocabulary, replace_object
from paxion.actionbench.vocabulary import (
    Vocabulary,
    built_in_vocabulary,
    coupling,
    read_vocabulary,
    vocabulary_of,
)
from paxion.records import PaxionError

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def found(caption: str, objects: list[str] | None = None) -> list[str]:
    return [caption[span.start : span.end] for span in find_objects(caption, objects)]


def listed(*objects: str) -> Vocabulary:
    return vocabulary_of([objects])


def replaced(caption: str, *objects: str, named: list[str] | None = None, key: str = "k", every: bool = False) -> str:
    """The foil with one of these objects."""
    result = replace_object(caption, listed(*objects), objects=named, key=key, every=every)
    assert result.text is not None, result.note
    return result.text


@pytest.mark.parametrize(
    ("caption", "objects"),
    [
        ("pushing a red pen from left to right", ["a red pen"]),
        ("Putting 2 coins onto book", ["2 coins", "book"]),
        ("pretending to close a box without actually closing it", ["a box"]),
        ("take plate", ["plate"]),
        ("open drawer", ["drawer"]),
        ("turn-on tap", ["tap"]),
        ("put down chopping board", ["chopping board"]),
        ("wash hands", []),
        ("pour oil into pan", ["oil", "pan"]),
        ("peel carrot with peeler", ["carrot", "peeler"]),
        ("#C C picks up the knife from the table with his left hand.", ["the knife", "the table"]),
        ("#O the man A picks a phone from the kitchen table", ["a phone", "the kitchen table"]),
        ("#C C opens tap", ["tap"]),
        ("a woman is peeling an apple", ["an apple"]),
        ("a person folding origami", ["origami"]),
        ("Pick up the marker and put it in the cup", ["the marker", "the cup"]),
        ("a cat licks the bowl on the black and white rug", ["a cat", "the bowl", "the black and white rug"]),
        ("letting a can of mints roll down a slanted surface", ["a can of mints"]),
        ("a ball rolls off the table", ["a ball", "the table"]),
        ("continue opening bag", ["bag"]),
        ("Put the cutting board back", ["the cutting board"]),
        ("Get the yellow, green and orange blocks", ["the yellow, green and orange blocks"]),
        ("a man is singing a song", []),
        ("moving something away from the camera", []),
        ("", []),
    ],
)
def test_objects_are_found_by_rule(caption: str, objects: list[str]) -> None:
    assert found(caption) == objects


def test_annotated_objects_are_found_in_order_as_whole_words() -> None:
    assert found("Putting a cup next to the cupboard", ["cup", "cupboard"]) == ["a cup", "the cupboard"]
    assert found("put down chopping board", ["board:chopping"]) == ["chopping board"]
    assert found("pick up cups", ["cup"]) == ["cups"]
    assert found("Pushing Vicks Vaporub Bottle off table", ["vicks vaporub bottle", "table"]) == [
        "Vicks Vaporub Bottle",
        "table",
    ]
    assert found("stirring tea (green)", ["tea (green)", "", "spoon"]) == ["tea (green)"]
    # Without any that occurs, the rule steps in.
    assert found("take plate", ["spoon"]) == ["plate"]


@pytest.mark.parametrize(
    ("caption", "new", "foil"),
    [
        ("pushing a red pen from left to right", "towel", "pushing a red towel from left to right"),
        ("Putting 2 coins onto book", "spoon", "Putting 2 spoons onto book"),
        ("pretending to close a box without closing it", "door", "pretending to close a door without closing it"),
        ("take the box, open the box and shake it", "knife", "take the knife, open the knife and shake it"),
        ("a woman peels an apple", "towel", "a woman peels a towel"),
        ("a woman holds a towel", "orange", "a woman holds an orange"),
        ("a woman holds a towel", "hourglass", "a woman holds an hourglass"),
        ("a woman holds a towel", "utensil", "a woman holds a utensil"),
        ("A cup falls", "apple", "An apple falls"),
        ("two cups roll off the table", "apple", "two apples roll off the table"),
        ("Pen falling off table", "apple", "Apple falling off table"),
        ("AN APPLE ON THE TABLE", "towel", "A TOWEL ON THE TABLE"),
        ("the man's old wooden spoon lies there", "apple", "the man's old apple lies there"),
        ("a cup, then many cups", "knife", "a knife, then many knives"),
        ("#C C picks up the knife with his left hand.", "cup", "#C C picks up the cup with his left hand."),
        ("pour oil into pan", "rice", "pour rice into pan"),
        ("a piece of paper on the table", "cup", "a cup on the table"),
        ("a pair of scissors", "sock", "a pair of socks"),
        ("Open the door of the red microwave", "book", "Open the book"),
        ("cutting a cutlet near the cut", "towel", "cutting a towel near the cut"),
        ("a dog chews a bone on the rug", "pen", "a dog chews a pen on the rug"),
        ("a woman in a red dress peels a carrot", "pen", "a woman in a red dress peels a pen"),
        ("turn on the light", "fan", "turn on the fan"),
    ],
)
def test_the_new_object_fits_the_caption(caption: str, new: str, foil: str) -> None:
    assert replaced(caption, new) == foil


def test_nothing_else_of_the_caption_changes() -> None:
    assert replaced("  take\tthe  cup \u2013 now\u2026", "towel") == "  take\tthe  towel \u2013 now\u2026"


def test_the_note_says_what_and_why() -> None:
    result = replace_object("take the red cup", listed("towel"), key="k")
    assert result == Replaced("take the red towel", "cup -> towel (container -> textile)")
    assert replace_object("wash hands", listed("towel"), key="k") == Replaced(
        None, "names no object, only parts of the body"
    )
    assert replace_object("a man walks", listed("towel"), key="k").note == "names no object, only persons"
    assert replace_object("take it", listed("towel"), key="k").note == "names no object"
    assert "could be anything" in replace_object("take the object", listed("towel"), key="k").note
    assert replace_object("take the cup", listed("mug", "bowl"), key="k") == Replaced(
        None, "no singular object of another group than container in the vocabulary"
    )


def test_an_object_of_the_same_group_or_in_the_caption_never_comes() -> None:
    vocabulary = listed("cup", "mug", "bowl", "table", "towel", "container", "cup holder")
    foils = {replace_object("put the cup on the table", vocabulary, key=str(n)).text for n in range(200)}
    assert foils == {"put the towel on the table"}


def test_mass_nouns_stay_mass_nouns_and_a_single_cup_never_becomes_scissors() -> None:
    assert replace_object("pour oil", listed("chair", "chairs"), key="k").text is None
    assert replace_object("take 2 cups", listed("scissors"), key="k").text is None
    assert replaced("take the cups", "scissors") == "take the scissors"
    assert replace_object("take the cup", listed("scissors"), key="k").text is None


def test_unknown_objects_are_replaced_by_known_ones_only() -> None:
    vocabulary = listed("gizmotron", "gizmotron", "flumox", "flumox", "towel")
    foils = {replace_object("take the gizmotron", vocabulary, key=str(n)).text for n in range(50)}
    assert foils == {"take the towel"}
    foils = {replace_object("take the towel", vocabulary, key=str(n)).text for n in range(50)}
    assert foils == {"take the gizmotron", "take the flumox"}


def test_every_object_is_replaced_by_another_one_and_none_twice() -> None:
    vocabulary = built_in_vocabulary()
    caption = "putting a cup, a pen and a cup on a chair"
    for key in map(str, range(30)):
        text = replace_object(caption, vocabulary, key=key, every=True).text
        assert text is not None
        match = re.fullmatch(r"putting an? (.+), an? (.+) and an? (.+) on an? (.+)", text)
        assert match is not None, text
        cup, pen, again, chair = match.groups()
        assert cup == again and len({cup, pen, chair}) == 3
        assert not {"cup", "pen", "chair"} & {cup, pen, chair}


def test_published_placeholders_are_what_is_replaced() -> None:
    assert replaced("take the cup of tea", "towel", named=["cup"]) == "take the towel"
    assert replaced("open a tap", "umbrella", named=["tap"]) == "open an umbrella"
    label = "holding potato next to vicks vaporub bottle"
    assert replaced(label, "chair", named=["vicks vaporub bottle"]) == "holding potato next to chair"
    both = replaced(label, "chair", "dog", named=["potato", "vicks vaporub bottle"], every=True)
    assert sorted(re.findall("chair|dog", both)) == ["chair", "dog"]


def test_the_draw_depends_on_key_and_seed_alone() -> None:
    vocabulary = built_in_vocabulary()
    texts = [replace_object("take the cup", vocabulary, key="7").text for _ in range(2)]
    assert texts[0] == texts[1]
    others = {replace_object("take the cup", vocabulary, key="7", seed=seed).text for seed in range(20)}
    assert len(others) > 10
    shuffled = vocabulary_of([("chair",), ("towel",), ("apple",), ("towel",)])
    straight = vocabulary_of([("towel", "towel", "apple", "chair")])
    for key in map(str, range(20)):
        assert replace_object("take the cup", shuffled, key=key) == replace_object("take the cup", straight, key=key)


@given(
    st.lists(st.floats(0.01, 1), min_size=3, max_size=12).filter(lambda shares: max(shares) <= 0.45 * sum(shares)),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_a_coupling_has_the_shares_on_both_sides(shares: list[float], seed: int) -> None:
    counted = np.array(shares) / sum(shares)
    weights = np.random.default_rng(seed).uniform(0.5, 1.0, (len(shares), len(shares)))
    allowed = np.triu(weights, 1) + np.triu(weights, 1).T
    joint = coupling(counted, allowed)
    assert (joint >= 0).all() and (np.diag(joint) == 0).all()
    np.testing.assert_allclose(joint.sum(0), counted, atol=2e-3)
    np.testing.assert_allclose(joint.sum(1), counted, atol=2e-3)


def test_objects_are_as_frequent_in_foils_as_in_captions() -> None:
    wanted = {"cup": 30, "towel": 22, "pen": 20, "knife": 12, "book": 8, "chair": 5, "shoe": 2, "drum": 1}
    captions = [
        f"{verb} {name}" for name, count in wanted.items() for verb in ("take", "drop") for _ in range(count * 10)
    ]
    vocabulary = learn_vocabulary((caption, None) for caption in captions)
    foils: Counter[str] = Counter()
    for number, caption in enumerate(captions):
        text = replace_object(caption, vocabulary, key=str(number)).text
        assert text is not None
        foils[text.split()[1]] += 1
    total = len(captions)
    for name, count in wanted.items():
        # Within four standard errors of its share in captions.
        share = count / sum(wanted.values())
        assert abs(foils[name] / total - share) < 4 * (share / total) ** 0.5, name


def test_objects_of_a_verb_stay_with_the_verb() -> None:
    opened, eaten = ("drawer", "fridge", "window", "bottle", "box"), ("apple", "carrot", "cake", "pizza", "salad")
    captions = [f"{verb} the {name}" for verb, names in (("open", opened), ("eat", eaten)) for name in names] * 20
    vocabulary = learn_vocabulary((caption, None) for caption in captions)
    for number, caption in enumerate(captions):
        text = replace_object(caption, vocabulary, key=str(number)).text
        assert text is not None
        verb, _, name = text.split()
        assert name in (opened if verb == "open" else eaten)


WORDS = (
    "a an the his 2 red cup cups scissors oil water brush paper man C #C hand left side of in on and with opens pick",
    "up peeling is , . piece box TV Cup \u2019s it x of toy zorb \u0130",
)


@given(st.one_of(st.lists(st.sampled_from(" ".join(WORDS).split()), max_size=14).map(" ".join), st.text(max_size=40)))
@settings(max_examples=400, deadline=None)
def test_any_text_gives_another_text_or_a_reason(caption: str) -> None:
    result = replace_object(caption, built_in_vocabulary(), key="k", every=True)
    spans = find_objects(caption)
    assert all(0 <= a.start < a.end <= len(caption) for a in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert result.note
    if result.text is not None:
        assert result.text.casefold().split() != caption.casefold().split()


def test_a_chain_of_phrases_ends_somewhere() -> None:
    assert replace_object("take " + "a cup of " * 5000 + "tea", listed("towel"), key="k").text is not None


def test_vocabularies_from_lists(tmp_path: Path) -> None:
    path = tmp_path / "objects.txt"
    path.write_bytes("\ufeffa red towel\r\n\r\nKnives\nolive oil\nTV\ntheir left hand\n".encode())
    entries = {(entry.text, entry.number) for entry in read_vocabulary(path).entries}
    assert entries == {("towel", "singular"), ("knives", "plural"), ("olive oil", "mass"), ("TV", "singular")}
    path.write_text("my hand\n")
    with pytest.raises(PaxionError, match=r"objects\.txt: got 1 phrases that name no objects"):
        read_vocabulary(path)
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(PaxionError, match=r"cannot read .*objects\.txt: .*expected a list of objects"):
        read_vocabulary(path)
    with pytest.raises(PaxionError, match=r"cannot read .*No such file"):
        read_vocabulary(tmp_path / "none.txt")
    with pytest.raises(PaxionError, match="got 0 phrases"):
        learn_vocabulary([])


def test_the_lexicon_is_sound() -> None:
    words = load_words()
    nouns = {noun.text: noun for noun, _ in words.nouns.values()}
    groups = {group for noun in nouns.values() for group in noun.groups}
    assert len([noun for noun in nouns.values() if noun.is_object]) > 1500
    assert all(re.fullmatch(r"[a-z]+:[a-z]+", group) for group in groups)
    for noun in nouns.values():
        assert noun.number in ("count", "mass", "both", "plural")
        assert words.nouns[noun.text][0] is noun, noun.text
        if noun.number == "count":
            assert noun.plural, noun.text
    assert same("food:generic", "food:fruit") and not same("food:vegetable", "food:fruit")
    assert [pluralised(word) for word in ("box", "berry", "toy", "dish", "pen")] == [
        "boxes",
        "berries",
        "toys",
        "dishes",
        "pens",
    ]
    assert [singularised(word) for word in ("boxes", "berries", "toys", "glass", "bus")] == [
        "box",
        "berry",
        "toy",
        "glass",
        "bus",
    ]


def test_real_captions_get_fitting_foils() -> None:
    """What can be checked without reading: one place changed, the article fits, and most captions get a foil."""
    if not CORPUS.is_dir():
        pytest.skip(f"no real material at {CORPUS}")
    with (CORPUS / "droid" / "index.csv").open(encoding="utf-8") as file:
        robot = [row["caption"] for row in csv.DictReader(file)]
    lines = (CORPUS / "annotations" / "vitatecs" / "Direction_first1200.jsonl").read_text("utf-8").splitlines()
    for captions, least in ((robot, 0.98), ([json.loads(line)["caption"] for line in lines], 0.85)):
        vocabulary = learn_vocabulary((caption, None) for caption in captions)
        foils = [replace_object(caption, vocabulary, key=str(n)).text for n, caption in enumerate(captions)]
        pairs = [(caption, foil) for caption, foil in zip(captions, foils, strict=True) if foil is not None]
        assert len(pairs) / len(captions) > least
        for caption, foil in pairs:
            assert foil.casefold() != caption.casefold()
            before = set(re.findall(r"\ban? \w+", caption.lower()))
            for article, word in (phrase.split() for phrase in re.findall(r"\ban? \w+", foil.lower())):
                if f"{article} {word}" not in before and word[0] not in "uhoxemr0123456789":
                    assert (article == "an") == (word[0] in "aeiou"), foil


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shares", [(0.95, 0.05), (1.0,), (0.5, 0.5), (0.98, 0.01, 0.01)])
def test_a_coupling_that_cannot_be_had_stays_finite(shares):
    shares = np.array(shares)
    joint = coupling(shares, 1.0 - np.eye(len(shares)))
    assert np.isfinite(joint).all() and (joint >= 0).all()
