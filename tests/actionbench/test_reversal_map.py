"""What a clip shows backwards. Where that is not its antonym, both are held here side by side."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.reversals import Reversal, reversal

SAME, NAMELESS, UNKNOWN = "(same)", "(no name)", "(unknown)"


def shown(caption: str) -> str:
    """A reversal in a word: its text, or whether it looks the same, has no name, or is not known."""
    got = reversal(caption)
    if got.reversible is None:
        assert got.text is None
        return UNKNOWN
    if not got.reversible:
        assert got.text == caption
        return SAME
    assert got.text != caption
    return got.text or NAMELESS


@pytest.mark.parametrize(
    ("caption", "opposite", "backwards"),
    [
        ("Pulling a box from left to right", "Pulling a box from right to left", "Pushing a box from right to left"),
        ("Pushing a box from right to left", "Pushing a box from left to right", "Pulling a box from left to right"),
        ("Pulling a box to the left", "Pulling a box to the right", "Pushing a box to the right"),
        ("Pushing a cup onto a box", "Pushing a cup off of a box", "Pulling a cup off of a box"),
        ("Pulling a box onto a table", "Pulling a box off of a table", "Pushing a box off of a table"),
        ("Push the faucet handle upwards", "Push the faucet handle downwards", "Pull the faucet handle downwards"),
        (
            "Dragging a chair away from the wall",
            "Dragging a chair towards the wall",
            "Pushing a chair towards the wall",
        ),
        ("Putting a cup behind a box", "Putting a cup in front of a box", "Taking a cup from behind a box"),
        ("Putting a cup in front of a box", "Putting a cup behind a box", "Taking a cup from in front of a box"),
        # What flows or falls does not flow back.
        ("Pouring water into a glass", "Pouring water out of a glass", NAMELESS),
        ("Pouring water out of a glass", "Pouring water into a glass", NAMELESS),
        (
            "Pulling two ends of a band so that it gets stretched",
            "Pulling two ends of a band but nothing happens",
            NAMELESS,
        ),
        ("Pouring water from a jug into a glass", "Pouring water from a glass into a jug", NAMELESS),
        ("Dropping a ball", "Picking up a ball", NAMELESS),
        ("Dropping a cup into a box", "Taking a cup out of a box", NAMELESS),
        ("Throwing a ball into the basket", "Taking a ball out of the basket", NAMELESS),
        ("Throwing a ball to the left", "Throwing a ball to the right", NAMELESS),
        ("Spilling milk on the table", "Wiping milk off the table", NAMELESS),
        ("Breaking a plate", "Mending a plate", NAMELESS),
        ("Tearing paper into two pieces", "Tearing paper just a little bit", NAMELESS),
        ("Igniting a match", "Extinguishing a match", NAMELESS),
        ("Filling a glass", "Emptying a glass", NAMELESS),
        # Who walks, walks backwards.
        ("Walking into the room", "Walking out of the room", NAMELESS),
        ("Running towards the camera", "Running away from the camera", NAMELESS),
        ("A man rides a bike down the hill", "A man rides a bike up the hill", NAMELESS),
        ("Driving into the garage", "Driving out of the garage", NAMELESS),
        # A state is the same backwards.
        ("Holding a cup", "Releasing a cup", SAME),
        ("Holding a cup behind a box", "Holding a cup in front of a box", SAME),
        ("Wearing a hat", "Taking off a hat", SAME),
        ("Showing that a bottle is empty", "Showing that a bottle is full", SAME),
        ("Showing a cup next to a box", "Showing a cup far away from a box", SAME),
        # So is what bounces back.
        ("Throwing a ball in the air and catching it", "Throwing a ball in the air and letting it fall", SAME),
        ("A ball being deflected from a wall", "A ball coming to a halt at a wall", SAME),
        # What is pretended or tried may look the same.
        ("Pretending to close a box", "Pretending to open a box", UNKNOWN),
        ("Trying to open a jar", "Trying to close a jar", UNKNOWN),
        ("Failing to put a box into a bag", "Failing to take a box out of a bag", UNKNOWN),
        ("a man tries to open the jar", "a man tries to close the jar", UNKNOWN),
        ("a man fails to close the box", "a man fails to open the box", UNKNOWN),
    ],
)
def test_the_reversal_is_not_the_antonym(caption: str, opposite: str, backwards: str) -> None:
    assert antonym(caption).text == opposite
    assert shown(caption) == backwards


@pytest.mark.parametrize(
    "caption",
    [
        "Opening a drawer",
        "close the open drawer",
        "Closing a drawer",
        "Folding a towel",
        "Unfolding a towel",
        "Stacking cups",
        "Tying a knot",
        "Zipping a bag",
        "Putting a cup on the table",
        "Taking the lid off the pot",
        "Picking up a cup",
        "Lifting a box",
        "Moving a cup to the left",
        "Moving a cup away from a box",
        "Turning the knob clockwise",
        "Turning the camera left while filming a dog",
        "Plugging the charger into the socket",
        "Pulling the drawer open",
        "Pulling a pen out of a cup",
        "A ball rolls down the hill",
        "Sitting down",
        "Zooming in",
        "Move the pen from the bowl to the cup",
        "Pick up the pen and put it in the cup",
        "Approaching a house with your camera",
    ],
)
def test_the_reversal_is_the_antonym(caption: str) -> None:
    got = reversal(caption)
    assert got.reversible is True
    assert got.text == antonym(caption).text is not None


@pytest.mark.parametrize(
    ("caption", "backwards"),
    [
        # These have no antonym, but a known reversal.
        ("Stirring the soup", SAME),
        ("Shaking a bottle", SAME),
        ("Turning around", SAME),
        ("Bouncing a ball up and down", SAME),
        ("opening and closing the door", SAME),
        ("a man is walking up and down the stairs", SAME),
        # Nothing is known.
        ("Cutting an onion", UNKNOWN),
        ("Washing a plate", UNKNOWN),
        ("A man takes a photo", UNKNOWN),
        ("Rolling a ball on a flat surface", UNKNOWN),
        ("a cat on a mat", UNKNOWN),
        ("", UNKNOWN),
        # Several actions change places as well.
        ("Open the door and take out the cup", NAMELESS),
        ("put down the cup and pick up the spoon", NAMELESS),
        ("opens the drawer and closes the cupboard", NAMELESS),
        ("Pick up the pen and put it in the cup, then close the drawer", NAMELESS),
        ("Pick up the cup and wash it", NAMELESS),
        # There and back.
        ("Open the drawer, then close it", SAME),
        ("picks up the cup and puts it down", SAME),
        # Nothing of the kind is seen in either direction.
        ("The man does not open the door.", UNKNOWN),
        ("he never closes the window", UNKNOWN),
    ],
)
def test_without_an_antonym_or_with_several_actions(caption: str, backwards: str) -> None:
    assert shown(caption) == backwards


# How an action ends says little of what its reversal shows.
def test_an_action_that_stops() -> None:
    assert shown("The man stops opening the door") == UNKNOWN


def test_the_reversal_keeps_tags_case_and_punctuation() -> None:
    assert reversal("#C C Pulls the box to the left.").text == "#C C Pushes the box to the right."
    assert reversal("PULLING A BOX FROM LEFT TO RIGHT").text == "PUSHING A BOX FROM RIGHT TO LEFT"


def test_no_word_of_an_object_changes() -> None:
    got = reversal("Pulling a push pin from left to right", objects=["a push pin"])
    assert got == Reversal("Pushing a push pin from right to left", True, got.note)


WORDS = "open the door up and down puts it in left , . a"


@settings(deadline=None)
@given(st.text(max_size=100) | st.lists(st.sampled_from(WORDS.split())).map(" ".join))
def test_any_text_has_a_reversal_that_hangs_together(caption: str) -> None:
    got = reversal(caption)
    assert got.note
    if got.reversible is None:
        assert got.text is None
    if got.reversible is False:
        assert got.text == caption
    if got.reversible:
        assert got.text is None or got.text != caption
