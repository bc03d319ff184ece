"""The antonyms of plain sentences: forms of verbs, what is kept as it was written, and what has no antonym."""

import pytest

from paxion.actionbench.antonyms import antonym


def foil(caption: str) -> str | None:
    return antonym(caption).text


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
        ("First, open the box.", "First, close the box."),
        ("Without opening the box, he lifts it", "Without opening the box, he lowers it"),
        (
            "a person is folding a shirt and puts it in a drawer",
            "a person is unfolding a shirt and takes it out of a drawer",
        ),
        # What somebody wears or how he sits is the background of what happens.
        ("A woman dressed in red walks towards the camera", "A woman dressed in red walks away from the camera"),
        (
            "a girl is standing on a board and jumps into a pool",
            "a girl is standing on a board and jumps out of a pool",
        ),
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
        ("She shut the door", "She opened the door"),
        ("he bent the wire", "he straightened the wire"),
        ("he is tying the rope", "he is untying the rope"),
        ("he unbound the rope", "he bound the rope"),
        ("he froze the water", "he thawed the water"),
        ("he drove into the garage", "he drove out of the garage"),
        ("he came into the room", "he went out of the room"),
        ("he left the room", "he entered the room"),
        ("He lay on the floor", "He got up from the floor"),
        ("he laid the cup on the table", "he took the cup off the table"),
        ("he lay down on the bed", "he got up from the bed"),
        ("a man sits down on a bench", "a man stands up from a bench"),
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
        ("the door is being closed", "the door is being opened"),
        ("the window is closed by the wind", "the window is opened by the wind"),
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
        ("The plane takes off.", "The plane lands."),
        ("the man takes off his hat", "the man puts on his hat"),
        ("The man gets out.", "The man gets in."),
        ("The man gets out the cups.", "The man puts away the cups."),
        ("the sun sets", "the sun rises"),
        ("he sets the cup on the table", "he takes the cup off the table"),
        ("she let go of the rope", "she held the rope"),
        ("lets the ball drop", "lets the ball rise"),
        ("drops the ball", "picks up the ball"),
        ("turns the light off", "turns the light on"),
        ("put on the light", "turn off the light"),
        ("put the hat on", "take the hat off"),
        ("peels the label off the jar", "sticks the label on the jar"),
        ("Pulling open the drawer", "Pushing shut the drawer"),
        ("Pushing shut the drawer", "Pulling open the drawer"),
        ("Pushing the door shut", "Pulling the door open"),
    ],
)
def test_a_verb_is_understood_by_what_stands_beside_it(caption: str, expected: str) -> None:
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
        "open/close the door",
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
        ("gets hit by a ball", "a state"),
        ("gives the man a cup", "two objects"),
        ("peels off the label", "does not stick again"),
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


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("the man gets dressed", "the man gets undressed"),
        ("gets stuck in the mud", None),
        ("Standing on one leg", None),
        ("put the light on", "turn the light off"),
        ("give her the cup", None),
    ],
)
def test_verbs_in_another_sense(caption: str, expected: str | None) -> None:
    assert antonym(caption).text == expected


@pytest.mark.xfail(strict=True, reason="known bug: what comes on goes out, but one comes in and goes out, too")
def test_a_known_bug() -> None:
    assert antonym("the lights go out").text == "the lights come on"
