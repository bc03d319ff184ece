"""Where something goes: noun phrases, directions beside a verb of motion, and the two ends of a motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paxion.actionbench.classes import COORDINATORS, DETERMINERS, DIRECTIONS, PREPOSITIONS, STOPS
from paxion.actionbench.lexicon import Direction, Lexicon, word_class
from paxion.actionbench.tags import Verb
from paxion.actionbench.words import Word, find_phrase

SOURCES = (("from",), ("out", "of"), ("off", "of"), ("off",))
GOALS = (
    ("over", "to"), ("back", "to"), ("back", "into"), ("in", "to"), ("on", "to"), ("into",), ("onto",), ("to",),
    ("towards",), ("toward",), ("in",), ("on",),
)  # fmt: skip
AT_SIDES = word_class("at_sides")
SCENES = word_class("scenes")
TOOLS = word_class("tools")
ADRIFT = DIRECTIONS - {"left", "right", "back"}
SITES = frozenset(tuple(phrase.split("_")) for phrase in word_class("sites"))
CARRIED = word_class("carried")
PLACED = word_class("placed")


@dataclass(frozen=True, slots=True)
class DirectionMatch:
    """A verb of motion with a direction beside it."""

    verb: Verb
    direction: Direction
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class EndsMatch:
    """A verb with two ends that can be exchanged: from A to B."""

    verb: Verb
    source: tuple[int, int]
    goal: tuple[int, int]
    preposition: tuple[int, int]
    """That of the goal."""


def noun_phrase(words: Sequence[Word], start: int, stop: int) -> int:
    """Index after the noun phrase that starts at `start`."""
    at = start
    while at < stop:
        low = words[at].low
        ends = (low in PREPOSITIONS and low not in ("of", "like")) or low in COORDINATORS or low in STOPS
        adverb = low.endswith("ly") and at > start and low not in ("family", "jelly", "belly", "lily", "butterfly")
        if (
            ends
            or adverb
            or low in ADRIFT
            or (low in DETERMINERS and at > start and words[at - 1].noun not in DETERMINERS | {"of"})
        ):
            break
        at += 1
    while at > start and words[at - 1].low in ("of", "back"):
        at -= 1
    return at


def elsewhere(words: Sequence[Word], start: int, stop: int, verb: Verb) -> bool:
    """Whether a preposition says where the scene is or how a thing is held, not where something goes."""
    low = words[start].low
    plain = [word.noun for word in words[stop : noun_phrase(words, stop, verb.scope)] if word.noun not in DETERMINERS]
    if stop - start > 1 or not plain:
        return False
    if low == "in":
        return plain[-1] in SCENES or plain[0] in ("front", "half")
    if low == "with":
        return plain[-1] in TOOLS
    if low == "on" and plain[0] in ("low", "high", "medium", "camera", "video", "stage", "fire"):
        return True
    return low in ("on", "to", "at") and all(word in AT_SIDES for word in plain)


def find_direction(words: Sequence[Word], verb: Verb, lexicon: Lexicon) -> DirectionMatch | None:
    """The longest direction beside a verb of motion that says where it goes, not where it is."""
    start, stop = verb.at + 1, verb.scope
    present = {word.low for word in words[start:stop]}
    for direction in lexicon.directions:
        if direction.words[0] not in present:
            continue
        found = find_phrase(words, direction.words, start, stop)
        if found is None:
            continue
        end = found + len(direction.words)
        after = words[end].low if end < len(words) else ""
        if direction.needs_goal and (end >= stop or after in STOPS or after in COORDINATORS):
            continue
        if direction.words in (("left",), ("right",)) and not _is_side_direction(words, found, end, verb):
            continue
        if direction.words == ("to",) and find_phrase(words, ("from",), start, stop) is not None:
            continue
        if direction.words in (("to",), ("from",)) and elsewhere(words, found, end, verb):
            continue
        if direction.words in (("in",), ("out",), ("up",), ("down",), ("inside",), ("outside",)) and after in ("of",):
            continue
        if direction.words in (
            ("inside",),
            ("outside",),
            ("into",),
            ("out", "of"),
            ("in",),
            ("out",),
            ("ahead",),
        ) and verb.verb in ("look", "stare", "gaze", "reach"):
            continue
        if (
            direction.words in (("in",), ("inside",), ("outside",))
            and end < stop
            and after not in PREPOSITIONS
            and after not in COORDINATORS
            and after not in STOPS
        ):
            continue
        looks = verb.verb in ("look", "stare", "gaze", "glance", "reach", "face")
        if direction.words in SITES and (looks or lexicon.motions[verb.verb] == "none"):
            continue
        return DirectionMatch(verb, direction, (found, end))
    return None


def _is_side_direction(words: Sequence[Word], start: int, end: int, verb: Verb) -> bool:
    """ "turns left", "to the left of him", but not "his left hand" or "on the left"."""
    before = words[start - 1].low
    after = words[end].low if end < len(words) else ""
    if before in ("his", "her", "its", "their", "my", "your", "the", "on", "a", "with"):
        return False
    return (
        start == verb.at + 1
        or not after
        or after in PREPOSITIONS
        or after in STOPS
        or after in COORDINATORS
        or after == "while"
    )


def find_ends(words: Sequence[Word], verb: Verb) -> EndsMatch | None:
    """from A to B, to B from A, out of A into B: a source and a goal, one right behind the other."""
    stop = verb.scope
    for source in SOURCES:
        at = find_phrase(words, source, verb.at + 1, stop)
        if at is None:
            continue
        noun = at + len(source)
        noun_stop = noun_phrase(words, noun, stop)
        if noun_stop == noun:
            return None
        for goal in GOALS:
            if goal in (("in",), ("on",)) and (
                verb.verb not in PLACED or find_phrase(words, goal, noun_stop, stop) != noun_stop
            ):
                continue
            begin = find_phrase(words, goal, noun_stop, min(stop, noun_stop + len(goal)))
            begin = find_phrase(words, goal, verb.at + 1, at) if begin is None else begin
            if begin is None:
                continue
            goal_noun = begin + len(goal)
            goal_stop = noun_phrase(words, goal_noun, at if begin < at else stop)
            follows = begin == noun_stop or goal_stop == at
            scene = goal == ("in",) and any(word.low in SCENES for word in words[goal_noun:goal_stop])
            if goal_stop > goal_noun and follows and not scene:
                return EndsMatch(verb, (noun, noun_stop), (goal_noun, goal_stop), (begin, goal_noun))
        return None
    return None
