"""The antonyms of captions, by kind of caption, and what holds for any caption. The 174 templates have a file."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.inflection import TAGS, inflect
from paxion.actionbench.lexicon import PLACE, Entry, Frame, load_lexicon
from paxion.actionbench.words import split_words

LEXICON = load_lexicon()


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
    ("caption", "expected"),
    [
        ("a man is opening a door", "a man is closing a door"),
        ("Two men are pulling a car out of the mud.", "Two men are pushing a car into the mud."),
        ("A boy runs towards the camera", "A boy runs away from the camera"),
        ("A group of people climb up a rocky hill.", "A group of people climb down a rocky hill."),
        ("The gymnast jumps onto the beam.", "The gymnast jumps off the beam."),
        ("A man is seen climbing down a ladder.", "A man is seen climbing up a ladder."),
        ("A man shows how to tie a tie.", "A man shows how to untie a tie."),
        ("A ball rolls down the hill", "A ball rolls up the hill"),
        ("a man is rolling up a carpet", "a man is unrolling a carpet"),
        ("The man begins to open the door", "The man begins to close the door"),
        ("Someone sits on a couch and puts on shoes.", "Someone sits on a couch and takes off shoes."),
        ("he starts to open the door", "he starts to close the door"),
        ("helps the man open the door", "helps the man close the door"),
        # What somebody wears or how he sits is the background of what happens.
        ("a woman is wearing a hat and opening a box", "a woman is wearing a hat and closing a box"),
        ("A man wearing glasses closes a book.", "A man wearing glasses opens a book."),
        ("A young boy holding a cup opens the fridge.", "A young boy holding a cup closes the fridge."),
        ("a man wearing a helmet rides a bike up a hill", "a man wearing a helmet rides a bike down a hill"),
        ("She is folding paper while sitting at a table.", "She is unfolding paper while sitting at a table."),
        (
            "A man in a black shirt is sitting on a chair and lifting weights.",
            "A man in a black shirt is sitting on a chair and lowering weights.",
        ),
        (
            "A man is tightening a bolt while another man watches.",
            "A man is loosening a bolt while another man watches.",
        ),
    ],
)
def test_sentences(caption: str, expected: str) -> None:
    assert foil(caption) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("he puts the box down", "he picks the box up"),
        ("he is putting the box down", "he is picking the box up"),
        ("he put the box down", "he picked the box up"),
        ("he has put the box down", "he has picked the box up"),
        ("He took the cup from the table", "He put the cup on the table"),
        ("He has taken the cup from the table", "He has put the cup on the table"),
        ("He shuts the box", "He opens the box"),
        ("Shutting the box", "Opening the box"),
        ("he bent the wire", "he straightened the wire"),
        ("he is tying the rope", "he is untying the rope"),
        ("he unbound the rope", "he bound the rope"),
        ("he froze the water", "he thawed the water"),
        ("he drove into the garage", "he drove out of the garage"),
        ("he came into the room", "he went out of the room"),
        ("he left the room", "he entered the room"),
        ("He lay on the floor", "He got up from the floor"),
        ("he laid the cup on the table", "he took the cup off the table"),
        ("he fell down", "he rose up"),
        ("she hung the coat on the hook", "she took the coat off the hook"),
        ("she wove the basket", "she unwove the basket"),
        ("they've opened the door", "they've closed the door"),
        # Passives.
        ("the box was opened by the man", "the box was closed by the man"),
        ("the eggs are put in a bowl", "the eggs are taken out of a bowl"),
        ("the lid has been taken off the jar", "the lid has been put on the jar"),
        ("the curtain is being pulled open", "the curtain is being pushed shut"),
        ("the ball was thrown into the basket", "the ball was taken out of the basket"),
        ("boxes are being stacked", "boxes are being unstacked"),
        ("the lights are turned off", "the lights are turned on"),
        ("it is lifted up", "it is lowered"),
        ("the bottle is filled with water", "the bottle is emptied of water"),
        # Pronouns stand before the particle.
        ("puts it down", "picks it up"),
        ("takes them out", "puts them away"),
        ("turn it off", "turn it on"),
        ("drops it", "picks it up"),
        ("removes it", "puts it back"),
        ("wears it", "takes it off"),
        ("takes it from her", "gives it to her"),
        ("puts down her cup", "picks up her cup"),
    ],
)
def test_forms_of_verbs(caption: str, expected: str) -> None:
    assert foil(caption) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("OPEN THE DOOR", "CLOSE THE DOOR"),
        ("PUT THE CUP ON THE TABLE", "TAKE THE CUP OFF THE TABLE"),
        ("#C C Opens The Door", "#C C Closes The Door"),
        ("First he opens the box.", "First he closes the box."),
        ("Turn ON the tap", "Turn OFF the tap"),
        ("open the door...", "close the door..."),
        ("Open the box?!", "Close the box?!"),
        ("(open the door)", "(close the door)"),
        ('"Open the box," he says.', '"Close the box," he says.'),
        ("he  opens   the  door ", "he  closes   the  door "),
        (" open\tthe door\n", " close\tthe door\n"),
        ("opens the café's door", "closes the café's door"),
        ("Open the door; close the window.", "Close the door; open the window."),
        ("zip up the bag, slowly", "unzip the bag, slowly"),
    ],
)
def test_case_blanks_and_punctuation_are_kept(caption: str, expected: str) -> None:
    assert foil(caption) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("lift the cup up", "lower the cup"),
        ("put the cutlery down", "pick the cutlery up"),
        ("open the opener", "close the opener"),
        ("close the closet", "open the closet"),
        ("push the pushchair forward", "pull the pushchair back"),
        ("turn on the television", "turn off the television"),
        ("drop the dropper", "pick up the dropper"),
        ("pull the pullover off", "put the pullover on"),
        ("cover the discovery book", "uncover the discovery book"),
        ("open the upstairs window", "close the upstairs window"),
        ("lift the lift shaft door", "lower the lift shaft door"),
        ("moves the update downtown to the left", "moves the update downtown to the right"),
    ],
)
def test_parts_of_words_are_never_touched(caption: str, expected: str) -> None:
    assert foil(caption) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("The man does not open the door.", "The man does not close the door."),
        ("he never closes the window", "he never opens the window"),
        ("can't open the jar", "can't close the jar"),
        ("pretends to open the door", "pretends to close the door"),
        ("a man pretending to throw a ball", "a man pretending to catch a ball"),
        ("a man tries to open the jar", "a man tries to close the jar"),
        ("he tries but fails to lift the box", "he tries but fails to lower the box"),
        ("she refuses to open the door", "she refuses to close the door"),
        ("A man without a hat opens the door", "A man without a hat closes the door"),
    ],
)
def test_what_is_denied_tried_or_pretended_is_mirrored(caption: str, expected: str) -> None:
    assert foil(caption) == expected


@pytest.mark.parametrize(
    "caption",
    [
        "moves up and down",
        "a man is walking up and down the stairs",
        "walks back and forth",
        "swings from side to side",
        "turns the light on and off",
        "goes in and out of the room",
        "moving left and right",
        "opening and closing the door",
        "opens and closes the box",
        "lifts and lowers the bar",
        "fills and empties the glass",
        "pulls and pushes the cart",
        "ties and unties the knot",
        "open or close the door",
        "#C C opens and closes the door",
    ],
)
def test_both_directions_have_no_antonym(caption: str) -> None:
    got = antonym(caption)
    assert got.text is None
    assert "both directions" in got.note


@pytest.mark.parametrize(
    "caption",
    [
        "A man takes a photo of the house",
        "he takes a picture of the open door",
        "a woman takes a bite of a sandwich",
        "takes a sip of water",
        "throws a punch",
        "gives a speech",
        "gives a thumbs up",
        "catches fire",
        "picks his nose",
        "puts pressure on the wound",
        "sets the timer",
        "lays an egg",
        "pulls a face",
        "pushes the button",
        "keeps an eye on the pot",
    ],
)
def test_idioms_have_no_antonym(caption: str) -> None:
    got = antonym(caption)
    assert got.text is None
    assert got.note.startswith('"')


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("cut onion", "cut"),
        ("wash plate", "wash"),
        ("stir soup", "to and fro"),
        ("peel potato", "peel"),
        ("shake bottle", "to and fro"),
        ("#C C looks around", "look"),
        ("plays the guitar", "play"),
        ("a man is smiling", "smile"),
        ("the cup is upstairs", "be"),
        ("Rolling a ball on a flat surface", "roll"),
        ("The dog jumps over the fence", "jump"),
        ("a cat on a mat", "no verb"),
        ("#unsure", "no verb"),
        ("", "no verb"),
        ("?!", "no verb"),
    ],
)
def test_without_an_antonym_there_is_a_reason(caption: str, reason: str) -> None:
    got = antonym(caption)
    assert got.text is None
    assert reason in got.note


def test_the_note_says_what_was_changed_and_why() -> None:
    assert antonym("opens the box").note == '"open" -> "close" (open and closed)'
    assert antonym("moves the cup up").note == '"move … up" -> "down" (up and down)'
    assert "ends" in antonym("Pushing a pen from left to right").note
    assert "WordNet" in antonym("unclog the sink").note


def test_an_object_hides_its_words_wherever_it_stands() -> None:
    assert foil("moves the up sign down", ["up sign"]) == "moves the up sign up"
    assert foil("Drop", ["drop"]) is None
    assert foil("open box", ["open box"]) is None


BUGS = [
    # The verb behind another one is not found, so that the background is turned round, or the wrong word.
    ("A woman dressed in red walks towards the camera", "A woman dressed in red walks away from the camera"),
    (
        "a person is folding a shirt and puts it in a drawer",
        "a person is unfolding a shirt and takes it out of a drawer",
    ),
    ("a girl is standing on a board and jumps into a pool", "a girl is standing on a board and jumps out of a pool"),
    ("Without opening the box, he lifts it", "Without opening the box, he lowers it"),
    ("First, open the box.", "First, close the box."),
    # Participles that are adjectives elsewhere.
    ("the door is being closed", "the door is being opened"),
    ("the window is closed by the wind", "the window is opened by the wind"),
    ("She shut the door", "She opened the door"),
    # Verbs that mean something else without an object, or as idioms.
    ("The plane takes off.", "The plane lands."),
    ("The man gets out.", "The man gets in."),
    ("the man gets dressed", "the man gets undressed"),
    ("gets hit by a ball", None),
    ("gets stuck in the mud", None),
    ("the sun sets", "the sun rises"),
    ("the lights go out", "the lights come on"),
    ("lets the ball drop", None),
    ("she let go of the rope", "she held the rope"),
    ("Standing on one leg", None),
    # Prepositions of the opposite.
    ("#C C plugs the charger in the socket", "#C C unplugs the charger from the socket"),
    ("Screwing the cap on the bottle", "Unscrewing the cap from the bottle"),
    ("#C C pushes in the drawer", "#C C pulls out the drawer"),
    ("a man sits down on a bench", "a man stands up from a bench"),
    ("he lay down on the bed", "he got up from the bed"),
    ("gives the man a cup", "takes a cup from the man"),
    # The rest.
    ("Tipping a cup over", "Standing a cup upright"),
    ("open/close the door", None),
    ("Open a closed drawer", "Close an open drawer"),
]


@pytest.mark.parametrize(("caption", "expected"), BUGS)
@pytest.mark.xfail(strict=True, reason="known bug; mended, it moves to a table above")
def test_known_bugs(caption: str, expected: str | None) -> None:
    assert foil(caption) == expected


@pytest.mark.parametrize(
    ("caption", "objects", "expected"),
    [
        # Nouns that are verbs elsewhere lose what is known of them as nouns.
        ("takes the egg from the pan", ["the egg", "the pan"], "puts the egg in the pan"),
        ("takes the plate from the sink", ["the plate", "the sink"], "puts the plate in the sink"),
        ("puts the egg from the pan onto the plate", ["the egg", "the pan", "the plate"], None),
        ("throws a stick", ["a stick"], "catches a stick"),
    ],
)
@pytest.mark.xfail(strict=True, reason="known bug; mended, it moves to a table above")
def test_known_bugs_with_objects(caption: str, objects: list[str], expected: str | None) -> None:
    assert foil(caption, objects) == (expected or foil(caption))


OBJECTS = ["a dax", "the blue wug", "blickets", "a cutting board", "left shoe", "the open box", "a drop", "pull tab"]
SUBJECTS = {"VBZ": ["#C C ", "#O the man X ", "a man "], "VBG": ["", "a girl is "], "VB": ["", "Slowly "]}
ENDINGS = ["", ".", " with his left hand", " on the table", " from left to right", " and smiles", "!", " to the left"]
PLACES = ["", " into {}", " on {}", " out of {}", " off {}", " next to {}", " from {}", " down", " up", " away from {}"]
VERBS = sorted(verb for verb in {*LEXICON.entries, *LEXICON.motions} if verb not in ("be", "have", "do"))


@st.composite
def captions(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    """A caption of a verb of the lexicon with its objects."""
    tag = draw(st.sampled_from(sorted(SUBJECTS)))
    subject = draw(st.sampled_from(SUBJECTS[tag]))
    one, two = draw(st.sampled_from(OBJECTS)), draw(st.sampled_from(OBJECTS))
    verb = inflect(draw(st.sampled_from(VERBS)), tag)
    place = draw(st.sampled_from(PLACES))
    caption = f"{subject}{verb} {one}{place.format(two)}{draw(st.sampled_from(ENDINGS))}"
    return caption, (one, two) if "{}" in place else (one,)


def plain(text: str) -> str:
    return " ".join(text.casefold().split())


@settings(max_examples=300, deadline=None)
@given(captions())
def test_a_foil_is_another_caption_of_the_same_objects(pair: tuple[str, tuple[str, ...]]) -> None:
    caption, objects = pair
    got = antonym(caption, objects=objects)
    assert got == antonym(caption, objects=objects), "the same each time"
    assert got.note
    if got.text is None:
        return
    assert plain(got.text) != plain(caption)
    assert "  " not in got.text
    for phrase in set(objects):
        assert got.text.count(phrase) == caption.count(phrase), f"{caption} -> {got.text}"
    kept = {"#", "C", "X", "dax", "wug", "blickets", "man", "girl", "smiles", "his", "hand", "table"}
    before, after = (Counter(word for word in split_words(text) if word.text in kept) for text in (caption, got.text))
    assert Counter(word.text for word in before) == Counter(word.text for word in after)
    assert caption.startswith("#") == got.text.startswith("#")
    assert caption[-1] in ".!" or got.text[-1] not in ".!"


@settings(deadline=None)
@given(st.text(max_size=200), st.none() | st.lists(st.text(max_size=8), max_size=3))
@example("", [""])
@example("...", ["."])
@example("İ opens ß the ﬁ door", None)
@example("open\x00the\ud7ffdoor", ["\x00"])
def test_any_text_is_read(text: str, objects: list[str] | None) -> None:
    got = antonym(text, objects=objects)
    assert got.note
    assert got.text is None or plain(got.text) != plain(text)


OTHERS = "a the it her cup man is was not and or then , . to from in on off out of up down away into left #C C while"
TOKENS = st.sampled_from([*(inflect(verb, tag) for verb in VERBS[::3] for tag in TAGS), *OTHERS.split()])


@settings(max_examples=200, deadline=None)
@given(st.lists(TOKENS, max_size=25).map(" ".join))
def test_any_words_are_read(caption: str) -> None:
    got = antonym(caption)
    assert got.note
    assert got.text is None or plain(got.text) != plain(caption)


@pytest.mark.parametrize(
    "piece", ["open the door and ", "pick up the cup and put it in the bowl, ", "from to ", "#", "é"]
)
def test_long_captions_are_read(piece: str) -> None:
    caption = (piece * 10_000)[:10_000]
    assert antonym(caption).note


def symmetric() -> list[Entry]:
    """Entries whose opposite's opposite they are. Those with @place, and those that another line answers, are not."""
    entries = [entry for entries in LEXICON.entries.values() for entry in entries if entry.symmetric]
    answers = {spelled(entry.frame): entry.opposite for found in LEXICON.entries.values() for entry in found}
    return [
        entry
        for entry in entries
        if entry.opposite is not None
        and PLACE not in entry.opposite.places
        and (back := answers.get(spelled(entry.opposite))) is not None
        and spelled(back) == spelled(entry.frame)
    ]


def spelled(frame: Frame) -> tuple[str, ...]:
    return tuple(" ".join([frame.verb, *(place.removeprefix("+") for place in frame.places if place)]).split())


PARTICLES = "up down out off away back together apart upright open shut asleep inside outside forward closer"
ALONE = ("in", "upside down", "right side up", "undressed", "dressed", "farther")
# Verbs of somebody's own motion, which take no object.
INTRANSITIVE = "come go get rise fall sit stand lie wake flee fade breathe suck zoom"


def caption_of(entry: Entry) -> tuple[str, str]:
    """What follows the verb: particles behind it, an object, and the other places with a noun of their own."""
    verb, *places = [entry.frame.verb, *(place.removeprefix("+") for place in entry.frame.places if place)]
    words = []
    while places and places[0] in PARTICLES.split():
        words.append(places.pop(0))
    if not entry.adjacent and verb not in INTRANSITIVE.split():
        words.append("the ball")
    alone = (*PARTICLES.split(), *ALONE) if verb != "bury" else ()
    words += [place if place in alone else f"{place} the wug" for place in places]
    return verb, " ".join(words)


ROUND = symmetric()
# One step of the way round is read as something else: what is got up from, a camera among the words, and phrases of
# WordNet with a particle.
EXCEPTIONS = {("sit", "up"), ("move", "away", "from", "with", "your", "camera"), ("file", "in"), ("file", "out")}
BROKEN = {("get", "dressed"), ("get", "undressed"), ("fold", "out")}  # Known bugs: folds in the ball -> out of it.


@pytest.mark.parametrize(("tag", "subject"), [("VBZ", "the man "), ("VBG", ""), ("VB", "")])
def test_the_antonym_of_an_antonym_is_the_caption(tag: str, subject: str) -> None:
    wrong = {}
    for entry in ROUND:
        verb, rest = caption_of(entry)
        caption = f"{subject}{inflect(verb, tag)} {rest}".strip()
        there = foil(caption)
        back = foil(there) if there else None
        if back != caption and spelled(entry.frame) not in EXCEPTIONS | BROKEN:
            wrong[spelled(entry.frame)] = f"{caption} -> {there} -> {back}"
    assert len(ROUND) > 200
    assert wrong == {}
