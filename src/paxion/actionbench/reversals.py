"""What a clip shows when it is played backwards. This is not its antonym.

Played backwards, pulling from left to right looks like *pushing* from right to left, and pouring into a cup looks like
nothing that has a name. So the lexicon holds both maps, and a row says what is known: whether its reversal contradicts
the caption, and in words what the reversal shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paxion.actionbench.antonyms import Reading, antonym_of, read_caption, states
from paxion.actionbench.classes import COORDINATORS
from paxion.actionbench.inflection import inflect
from paxion.actionbench.lexicon import Frame, load_lexicon
from paxion.actionbench.matching import ONGOING, EntryMatch, Match
from paxion.actionbench.paths import DirectionMatch, EndsMatch
from paxion.actionbench.turning import PARTICLES, edits_of, exchanged_ends, turned_direction
from paxion.actionbench.verbs import Tagger
from paxion.actionbench.words import Edit, Word, apply_edits, like

UNSURE = frozenset(
    ("try", "tries", "trying", "tried", "fail", "fails", "failing", "failed", "not", "never", "doesn't", "don't")
)
"""Words beside which a verb may not happen."""
MOVED = ("put", "place", "take", "pick", "move", "transfer", "shift")
"""Verbs that, with their two ends exchanged, say what is seen backwards."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """What is known of the clip played backwards, from its caption alone."""

    text: str | None
    """What it shows. None: unknown, or nothing that has a name."""
    reversible: bool | None
    """It contradicts the caption. None: unknown."""
    note: str


def reversal(caption: str, *, objects: Sequence[str] | None = None, tagger: Tagger | None = None) -> Reversal:
    """What the clip of a caption shows when it is played backwards."""
    return reversal_of(caption, read_caption(caption, objects=objects, tagger=tagger))


def reversal_of(caption: str, reading: Reading) -> Reversal:
    """The same, of a caption that has been read."""
    if reading.same:
        return Reversal(caption, False, "played backwards, it looks the same")
    if reading.moved:
        text = None if reading.others else antonym_of(caption, reading)
        return Reversal(text, True, "played backwards, the thing goes back")
    if reading.contrast is not None:
        shown = reading.contrast[0].reversed
        if shown == "same":
            return Reversal(caption, False, "played backwards, it looks the same")
        if shown == "unknown" or reading.contrast[0].opposite is None:
            return Reversal(None, None, "the lexicon does not say how it looks backwards")
        return Reversal(antonym_of(caption, reading) if shown == "=" else None, True, "its end becomes its start")
    if any(word.low in UNSURE or word.low.startswith(("pretend", "attempt")) for word in reading.words):
        return Reversal(None, None, "what is pretended or tried may look the same backwards")
    if not ONGOING.isdisjoint(reading.verbs):
        return Reversal(None, None, "how an action goes on or ends says little of how it looks backwards")
    if not reading.turned:
        return Reversal(None, None, "no verb whose reversal is known")
    shown_same = [isinstance(match, EntryMatch) and match.entry.reversed == "same" for match in reading.turned]
    if all(shown_same):
        return Reversal(caption, False, "played backwards, it looks the same")
    if _there_and_back(reading.words, reading.turned):
        return Reversal(caption, False, "there and back: played backwards, it looks the same")
    if reading.others or len({match.verb.verb for match in reading.turned}) > 1:
        return Reversal(None, True, "several actions: played backwards, they also change places")
    edits: list[Edit] = []
    for match in reading.turned:
        found = _edits(caption, reading, match)
        if found is None:
            return Reversal(None, True, "played backwards, it shows nothing that has a name")
        edits += found
    return Reversal(apply_edits(caption, edits), True, "played backwards, it shows this")


def _there_and_back(words: Sequence[Word], turned: Sequence[Match]) -> bool:
    """ "opens the drawer, then closes it": each verb is the other's opposite, and what is moved is the same."""
    if len(turned) != 2:
        return False
    one, two = turned
    if not isinstance(one, EntryMatch) or not isinstance(two, EntryMatch):
        return False
    there, back = one.entry.opposite, two.entry.opposite
    if there is None or back is None or one.entry.reversed != there:
        return False
    moved, again = _moved(words, one), _moved(words, two)
    same = again == moved or again in ([], ["it"], ["them"])
    return same and there.verb == two.verb.verb and back.verb == one.verb.verb


def _moved(words: Sequence[Word], match: EntryMatch) -> list[str]:
    """What stands behind a verb, without its particles and what leads over to the next one."""
    behind = (word.low for word in words[match.verb.at + 1 : match.verb.scope])
    return [low for low in behind if low not in PARTICLES | COORDINATORS]


def _edits(caption: str, reading: Reading, match: Match) -> list[Edit] | None:
    """The edits that say what one match looks like backwards, or None when it has no name."""
    words, motions = reading.words, load_lexicon().motions
    if isinstance(match, EntryMatch):
        shown_frame = match.entry.reversed
        if not isinstance(shown_frame, Frame):
            return None
        also = states(words, match) if shown_frame == match.entry.opposite else []
        return [*edits_of(words, match, shown_frame), *also]
    if isinstance(match, DirectionMatch):
        edits = [turned_direction(words, match)]
    elif isinstance(match, EndsMatch):
        edits = exchanged_ends(words, match, caption)
    else:
        return None
    verb = match.verb
    shown = "=" if verb.verb in MOVED else motions.get(verb.verb, "none")
    if shown == "none":
        return None
    if shown != "=":
        word = words[verb.at]
        edits.append(Edit(word.start, word.end, like(word.text, inflect(shown, verb.tag))))
    return edits
