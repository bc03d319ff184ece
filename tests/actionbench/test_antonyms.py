"""The antonyms of captions as the data sets write them. The 174 templates have a file, and so have plain sentences."""

from collections.abc import Sequence

import pytest

from paxion.actionbench.antonyms import antonym


def foil(caption: str, objects: Sequence[str] | None = None) -> str | None:
    return antonym(caption, objects=objects).text


@pytest.mark.parametrize(
    ("caption", "objects", "expected"),
    [
        ("Pushing a red pen from left to right", ["a red pen"], "Pushing a red pen from right to left"),
        ("Pushing left shoe from right to left", ["left shoe"], "Pushing left shoe from left to right"),
        ("Pulling a pull tab from left to right", ["a pull tab"], "Pulling a pull tab from right to left"),
        ("Putting a cutting board on a table", ["a cutting board", "a table"], "Taking a cutting board off a table"),
        ("Putting 2 pens onto open book", ["pens", "open book"], "Taking 2 pens off of open book"),
        ("Putting pen into a cup", ["pen", "a cup"], "Taking pen out of a cup"),
        ("Taking battery out of remote", ["battery", "remote"], "Putting battery into remote"),
        ("Picking a drop up", ["a drop"], "Putting a drop down"),
        ("Opening a closed box", ["a closed box"], "Closing a closed box"),
        ("Closing the open door", ["the open door"], "Opening the open door"),
        ("Uncovering a covered plate", ["a covered plate"], "Covering a covered plate"),
        ("Folding a folding chair", ["a folding chair"], "Unfolding a folding chair"),
        ("Twisting a twist tie", ["a twist tie"], "Untwisting a twist tie"),
        ("Plugging a plug into a plug socket", ["a plug", "a plug socket"], "Unplugging a plug from a plug socket"),
        ("Moving the up arrow sign up", ["the up arrow sign"], "Moving the up arrow sign down"),
        ("Moving the right hand down", ["the right hand"], "Moving the right hand up"),
        ("Moving push pin away from pull ring", ["push pin", "pull ring"], "Moving push pin closer to pull ring"),
        ("Stacking 3 coins", ["coins"], "Unstacking 3 coins"),
        ("Tipping a cup over", ["a cup"], "Standing a cup upright"),
        ("Screwing the cap on the bottle", ["the cap", "the bottle"], "Unscrewing the cap from the bottle"),
        ("Attaching hook to closed window", ["hook", "closed window"], "Detaching hook from closed window"),
        ("Holding hand mixer in front of mixing bowl", ["hand mixer", "mixing bowl"], None),
        ("Turning the camera left while filming left shoe", ["left shoe"], None),
        ("Showing that the empty bottle is full", ["the empty bottle"], "Showing that the empty bottle is empty"),
        ("Tearing tape just a little bit", ["tape"], "Tearing tape into two pieces"),
        ("a leaf falling like a feather or paper", ["a leaf"], "a leaf falling like a rock"),
        (
            "Pretending to open a jar without actually opening it",
            ["a jar"],
            "Pretending to close a jar without actually closing it",
        ),
        (
            "Pretending to take a stack of plates out of the box",
            ["a stack of plates", "the box"],
            "Pretending to put a stack of plates into the box",
        ),
        (
            "Tilting book with coin on it slightly so it doesn't fall down",
            ["book", "coin"],
            "Tilting book with coin on it until it falls off",
        ),
        (
            "Lifting open box up completely, then letting it drop down",
            ["open box"],
            "Lifting open box up completely without letting it drop down",
        ),
    ],
)
def test_labels_of_something_something(caption: str, objects: list[str], expected: str | None) -> None:
    got = foil(caption, objects)
    assert got is not None and got != caption
    assert all(phrase in got for phrase in objects), "no word of an object may change"
    if expected is not None:
        assert got == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("open drawer", "close drawer"),
        ("close oven door", "open oven door"),
        ("close the open drawer", "open the closed drawer"),
        ("Open a closed drawer", "Close an open drawer"),
        ("close upstairs window", "open upstairs window"),
        ("take plate", "put down plate"),
        ("put down plate", "pick up plate"),
        ("pick up knife", "put down knife"),
        ("turn on tap", "turn off tap"),
        ("turn-on the tap", "turn-off the tap"),
        ("turn-off tap", "turn-on tap"),
        ("put-down cup", "pick-up cup"),
        ("take-off lid", "put-on lid"),
        ("turn the tap on", "turn the tap off"),
        ("switch off light", "switch on light"),
        ("put lid on pan", "take lid off pan"),
        ("take lid off pan", "put lid on pan"),
        ("put lid back on jar", "take lid off jar"),
        ("put spoon on top of plate", "take spoon off of plate"),
        ("put plate in sink", "take plate out of sink"),
        ("put cutlery into drawer", "take cutlery out of drawer"),
        ("put away cutlery", "take out cutlery"),
        ("take cup and plate from cupboard", "put cup and plate in cupboard"),
        ("remove tray from oven", "put tray in oven"),
        ("place bowl next to sink", "take bowl away from sink"),
        ("pull drawer out", "push drawer in"),
        ("pour water into pan", "pour water out of pan"),
        ("fill kettle", "empty kettle"),
        ("empty bin", "fill bin"),
        ("fold up the paper", "unfold the paper"),
        ("unroll paper", "roll up paper"),
        ("plug in kettle", "unplug kettle"),
        ("tighten the screw", "loosen the screw"),
        ("attach the handle to the door", "detach the handle from the door"),
        ("load the dishwasher", "unload the dishwasher"),
        ("put on apron", "take off apron"),
        ("still opening", "still closing"),
        ("re-open the box", "re-close the box"),
        ("put down the cup and pick up the spoon", "pick up the cup and put down the spoon"),
    ],
)
def test_instructions_of_epic_kitchens(caption: str, expected: str) -> None:
    assert foil(caption) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("#C C opens the fridge", "#C C closes the fridge"),
        ("#c c closes the drawer", "#c c opens the drawer"),
        ("#C C picks up the knife from the table", "#C C puts down the knife on the table"),
        ("#C C picks the phone", "#C C puts down the phone"),
        ("#C C drops the left shoe", "#C C picks up the left shoe"),
        ("#C C puts the knife down", "#C C picks the knife up"),
        ("#C C puts the phone in his pocket", "#C C takes the phone out of his pocket"),
        ("#C C puts #unsure in the bag", "#C C takes #unsure out of the bag"),
        ("#C C puts the onion #unsure on the board", "#C C takes the onion #unsure off the board"),
        ("#C C opens the #unsure", "#C C closes the #unsure"),
        ("#C C takes the cup with his left hand", "#C C puts down the cup with his left hand"),
        ("#C C lifts his right hand", "#C C lowers his right hand"),
        ("#C C moves the plate to the left", "#C C moves the plate to the right"),
        ("#C C moves his hand away from the table", "#C C moves his hand closer to the table"),
        ("#C C turns left", "#C C turns right"),
        ("#C C walks down the stairs", "#C C walks up the stairs"),
        ("#C C walks into the kitchen", "#C C walks out of the kitchen"),
        ("#C C gets out of the car", "#C C gets into the car"),
        ("#C C stands up", "#C C sits down"),
        ("#C C unties the shoe lace.", "#C C ties the shoe lace."),
        ("#C C inserts the key into the lock", "#C C pulls the key out of the lock"),
        ("#C C plugs the charger in the socket", "#C C unplugs the charger from the socket"),
        ("#C C pushes in the drawer", "#C C pulls out the drawer"),
        ("#C C rotates the wheel clockwise", "#C C rotates the wheel counterclockwise"),
        ("#C C tightens the bolt with a spanner", "#C C loosens the bolt with a spanner"),
        (
            "#C C passes the book from the right hand to the left hand",
            "#C C passes the book from the left hand to the right hand",
        ),
        ("#C C  picks  up   the knife.", "#C C  puts  down   the knife."),
        ("#O the man X opens the door", "#O the man X closes the door"),
        ("#O A man X sits down", "#O A man X stands up"),
        ("#O man Y takes the bag from the woman", "#O man Y gives the bag to the woman"),
        ("#O a woman Y gives the cup to the man X", "#O a woman Y takes the cup from the man X"),
    ],
)
def test_narrations_of_ego4d(caption: str, expected: str) -> None:
    assert foil(caption) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Move the cup to the left", "Move the cup to the right"),
        ("Move the lamp forward", "Move the lamp backward"),
        ("Push the faucet handle upwards", "Push the faucet handle downwards"),
        ("Turn the tap to the right", "Turn the tap to the left"),
        ("Move the pen from the bowl to the cup", "Move the pen from the cup to the bowl"),
        ("Put the red block on top of the blue block", "Take the red block off of the blue block"),
        ("Put the marker inside the mug", "Take the marker out of the mug"),
        ("Place the blue bottle upright", "Lay the blue bottle flat"),
        ("Remove the marker from the cup.", "Put the marker in the cup."),
        ("Hang the towel on the hook", "Take the towel off the hook"),
        ("Slide the curtain to close", "Slide the curtain to open"),
        ("Switch off the second socket", "Switch on the second socket"),
        ("Unfold the towel", "Fold the towel"),
    ],
)
def test_instructions_of_droid(caption: str, expected: str) -> None:
    assert foil(caption) == expected


@pytest.mark.parametrize(
    ("caption", "objects", "expected"),
    [
        # Hidden from the search for verbs, a noun still says what it is put into and how it is thrown.
        ("takes the egg from the pan", ["the egg", "the pan"], "puts the egg in the pan"),
        ("takes the plate from the sink", ["the plate", "the sink"], "puts the plate in the sink"),
        (
            "puts the egg from the pan onto the plate",
            ["the egg", "the pan", "the plate"],
            "puts the egg from the plate into the pan",
        ),
        ("throws a stick", ["a stick"], "catches a stick"),
        ("moves the up sign down", ["up sign"], "moves the up sign up"),
        ("Drop", ["drop"], None),
        ("open box", ["open box"], None),
    ],
)
def test_an_object_hides_its_verbs_but_stays_a_noun(caption: str, objects: list[str], expected: str | None) -> None:
    assert foil(caption, objects) == expected
