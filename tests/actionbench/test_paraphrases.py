"""Other wordings of the same: what is moved, and where, must not change."""

from __future__ import annotations

import pytest

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.lexicon import rows
from paxion.actionbench.paraphrases import paraphrases


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Take something out of something", "Remove something from something"),
        ("Remove the pen from the cup", "Take the pen out of the cup"),
        ("Put something in something", "Place something into something"),
        ("puts the cup on the table", "places the cup onto the table"),
        ("Turning off the tap", "Switching off the tap"),
        ("Closing a box", "Shutting a box"),
        ("taking a cup", "picking up a cup"),
    ],
)
def test_a_text_has_the_wording(text, other):
    assert other in paraphrases(text)


@pytest.mark.parametrize("text", ["", "a red cup", "Stirring soup", "walking", "#C C looks around"])
def test_what_no_group_knows_has_none(text):
    assert paraphrases(text) == []


@pytest.mark.parametrize(
    "text", ["Take the pen out of the cup", "Put the pen in the cup", "Close the door", "Turn on the tap"]
)
def test_no_wording_is_the_text_or_its_antonym(text):
    found = paraphrases(text)
    assert found and len(set(found)) == len(found)
    assert text not in found and antonym(text).text not in found


def test_frames_of_a_line_have_as_many_places():
    for line, frames in enumerate(rows("wordings.tsv"), 1):
        assert len(frames) > 1 and len({len(frame.split()) for frame in frames}) == 1, f"line {line}: {frames}"
