"""Picking and placing in one caption is turned round as one act."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.reversals import reversal


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Pick up the marker and put it in the cup", "Take the marker out of the cup and put it down"),
        ("Pick up the pen and put it on the table", "Take the pen off the table and put it down"),
        ("Pick up the pen and put it on top of the book", "Take the pen off of the book and put it down"),
        ("Pick up the cup and place it next to the plate", "Take the cup away from the plate and put it down"),
        ("Pick up the cup and place it behind the plate", "Take the cup from behind the plate and put it down"),
        ("Pick up the cup and place it under the table", "Take the cup from under the table and put it down"),
        ("Pick up the towel and hang it on the hook", "Take the towel off the hook and put it down"),
        ("Pick up the pen and give it to the man", "Take the pen from the man and put it down"),
        ("Pick up the cup and put it back on the shelf", "Take the cup off the shelf and put it down"),
        ("Take the marker and drop it into the bin", "Take the marker out of the bin and put it down"),
        ("Take the pen and put in the cup", "Take the pen out of the cup and put it down"),
        ("Lift the cup and put it on the saucer", "Take the cup off the saucer and put it down"),
        ("Collect the toys and put them in the box", "Take the toys out of the box and put them down"),
        (
            "Pick the yellow, green and orange blocks up and put them in the box",
            "Take the yellow, green and orange blocks out of the box and put them down",
        ),
        (
            "Pick up the pen with the left hand and put it in the cup",
            "Take the pen out of the cup with the left hand and put it down",
        ),
        # In all forms.
        ("#C C picks up the pen and puts it in the cup", "#C C takes the pen out of the cup and puts it down"),
        ("picks up the pen, puts it in the cup", "takes the pen out of the cup, puts it down"),
        ("He picked up the pen and put it in the cup", "He took the pen out of the cup and put it down"),
        ("PICK UP THE PEN AND PUT IT IN THE CUP", "TAKE THE PEN OUT OF THE CUP AND PUT IT DOWN"),
        (
            "A man picking up a ball and putting it in a basket",
            "A man taking a ball out of a basket and putting it down",
        ),
    ],
)
def test_a_thing_is_taken_from_where_it_was_put(caption: str, expected: str) -> None:
    got = antonym(caption)
    assert got.text == expected
    assert got.note == "picking and placing turned round"


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Take the cup from the shelf and put it on the table", "Take the cup from the table and put it on the shelf"),
        ("Pick the fork from the cup and put it on the table", "Pick the fork from the table and put it in the cup"),
        (
            "Take the blocks out of the bowl and put them on the table",
            "Take the blocks from the table and put them in the bowl",
        ),
        (
            "Remove the towel from the drawer and place it on the counter.",
            "Remove the towel from the counter and place it in the drawer.",
        ),
        (
            "picks up the pen from the table and puts it in the cup",
            "picks up the pen from the cup and puts it on the table",
        ),
        (
            "Take the towel from the hook and put it in the basket",
            "Take the towel from the basket and put it on the hook",
        ),
        (
            "Pick up the block from under the table and put it in the box",
            "Pick up the block from the box and put it under the table",
        ),
        (
            "Get the pen from the table and put it in front of the box",
            "Get the pen from in front of the box and put it on the table",
        ),
        ("Take the lid off the pot and put it on the counter", "Take the lid from the counter and put it on the pot"),
    ],
)
def test_two_places_are_exchanged(caption: str, expected: str) -> None:
    assert antonym(caption).text == expected
    assert antonym(expected).text == caption.replace("out of", "from").replace("off", "from"), "and back"
    assert reversal(caption).text == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Put the cup down and pick up the pen", "Pick the cup up and put down the pen"),
        ("Pick up the cup and put the spoon in the bowl", "Put down the cup and take the spoon out of the bowl"),
        ("Pick up the cup and wash it", "Put down the cup and wash it"),
        ("Open the drawer and take out the cup", "Close the drawer and put away the cup"),
    ],
)
def test_other_sequences_are_turned_round_verb_by_verb(caption: str, expected: str) -> None:
    assert antonym(caption).text == expected


def test_an_object_with_two_articles_stays_whole() -> None:
    objects = ("the lid of the jar", "the cup")
    got = antonym("Pick up the lid of the jar and put it in the cup", objects=objects).text
    assert got == "Take the lid of the jar out of the cup and put it down"


THINGS = st.sampled_from(["the pen", "the red block", "a toy car", "the wug", "a cup of tea"])
GROUNDS = st.sampled_from(["the cup", "the table", "a wug", "the blue box", "the drawer"])


@settings(deadline=None)
@given(THINGS, GROUNDS, st.sampled_from(["in", "on", "into", "onto", "under", "next to", "behind"]))
def test_each_thing_and_place_is_named_as_before(thing: str, ground: str, where: str) -> None:
    caption = f"Pick up {thing} and put it {where} {ground}"
    got = antonym(caption, objects=(thing, ground)).text
    assert got is not None
    assert got.startswith(f"Take {thing} ")
    assert got.endswith(f" {ground} and put it down")


@settings(deadline=None)
@given(THINGS, GROUNDS, GROUNDS)
def test_from_here_to_there_becomes_from_there_to_here(thing: str, here: str, there: str) -> None:
    caption = f"Move {thing} from {here} to {there}"
    expected = None if here == there else f"Move {thing} from {there} to {here}"
    assert antonym(caption, objects=(thing, here, there)).text == expected
