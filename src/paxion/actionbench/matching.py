"""What in a caption can be turned round: for each verb the entry, the direction or the two ends that apply to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from paxion.actionbench.inflection import inflect
from paxion.actionbench.lexicon import PLACE, Direction, Entry, Frame, Lexicon, rows
from paxion.actionbench.verbs import COORDINATORS, DETERMINERS, OBJECT_PRONOUNS, PREPOSITIONS, STOPS, Verb
from paxion.actionbench.words import Edit, Word, find_phrase, like

BOTH_WAYS = tuple(
    tuple(phrase.split())
    for phrase in (
        "up and down", "down and up", "back and forth", "forth and back", "left and right", "right and left",
        "in and out", "out and in", "to and fro", "side to side", "forward and backward", "forwards and backwards",
        "backward and forward", "backwards and forwards", "on and off", "front and back", "back and front",
        "up or down", "left or right", "right or left", "left to right and right to left",
    )
)  # fmt: skip
CARRIED = frozenset(
    "take put place pick pour move transfer pass throw pull push carry bring walk drag slide shift roll get lift drop hand "
    "run jump climb go drive ride fly travel turn rotate swing swipe toss scoop transport crawl hop step".split()
)
"""Verbs whose two ends, from ... to ..., can be exchanged."""
GOALS = ("to", "into", "onto", "in to", "on to", "towards", "toward", "in", "on", "over to", "back to", "back into")
AT_SIDES = frozenset("left right side top bottom front back end other".split())
SCENES = frozenset(
    "kitchen room house garden field park pool video background morning evening air order circle line row street yard "
    "city forest gym studio hall hallway store shop market middle slow stage front hand hands movie game show clip".split()
)
"""Nouns after "in" that say where the whole scene is, not where something goes."""
PARTICLES = frozenset("down up out off on in away back apart together over aside".split())


@dataclass(frozen=True, slots=True)
class EntryMatch:
    """A frame of the lexicon, with the places of its function words (index of the first, index after the last)."""

    verb: Verb
    entry: Entry
    spans: tuple[tuple[int, int], ...]


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


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Why a verb cannot be turned round. same: the reversed clip shows the same."""

    verb: Verb
    why: str
    same: bool = False


Match = EntryMatch | DirectionMatch | EndsMatch | NoMatch


def match_verb(words: Sequence[Word], verb: Verb, lexicon: Lexicon) -> Match:
    """What turns a verb round, the most specific first: its two ends, a frame, a direction, the verb alone."""
    start, stop = verb.at + 1, verb.scope
    for phrase in BOTH_WAYS:
        if find_phrase(words, phrase, start, stop) is not None:
            return NoMatch(verb, f'"{" ".join(phrase)}" names both directions', same=True)
    ends = _ends(words, verb) if verb.verb in CARRIED else None
    if ends is not None:
        return ends
    framed = _frame(words, verb, lexicon)
    direction = _direction(words, verb, lexicon) if verb.verb in lexicon.motions else None
    if direction and (not framed or not framed.spans or _size(direction.span) > sum(_size(s) for s in framed.spans)):
        return direction
    if framed is None:
        why = f'"{verb.verb}" has no direction here' if verb.verb in lexicon.motions else f'no opposite of "{verb.verb}" is known'
        return NoMatch(verb, why)
    if framed.entry.opposite is None:
        return NoMatch(verb, f'"{framed.entry.frame}": {framed.entry.why}', same=framed.entry.reversed == "same")
    return framed


def edits_of(words: Sequence[Word], match: EntryMatch, other: Frame) -> list[Edit]:
    """The edits that turn the words of a matched frame into those of its counterpart."""
    verb, new = words[match.verb.at], other.verb
    edits = []
    for (start, stop), place in zip(match.spans, other.places, strict=True):
        written = words[start]
        if place == PLACE:
            place = _preposition(words, stop, match.verb.scope)
            # "put to the woman" is not said.
            new = "give" if place == "to" and new == "put" else new
        edits.append(Edit(written.start, words[stop - 1].end, like(written.text, place) if place else ""))
    head, _, rest = new.partition(" ")
    after = words[match.verb.at + 1] if match.verb.at + 1 < len(words) else None
    if after is not None and rest in PARTICLES and after.low in OBJECT_PRONOUNS and after.low not in ("that", "this", "those"):
        edits.append(Edit(after.end, after.end, f" {rest}"))
        new = head
    return [*edits, Edit(verb.start, verb.end, like(verb.text, inflect(new, match.verb.tag)))]


def turned_direction(words: Sequence[Word], match: DirectionMatch) -> Edit:
    """The edit that turns a direction round."""
    first, last = words[match.span[0]], words[match.span[1] - 1]
    opposite = match.direction.opposite
    if opposite == "towards" and find_phrase(words, ("each", "other"), match.span[1], match.span[1] + 2) is None:
        # Things are moved closer to something, people and vehicles move towards it.
        opposite = "towards"
    return Edit(first.start, last.end, like(first.text, opposite))


def exchanged_ends(words: Sequence[Word], match: EndsMatch, caption: str) -> list[Edit]:
    """The edits that exchange source and goal, and make the goal's preposition fit."""
    (source_start, source_stop), (goal_start, goal_stop) = match.source, match.goal
    source = caption[words[source_start].start : words[source_stop - 1].end]
    goal = caption[words[goal_start].start : words[goal_stop - 1].end]
    edits = [
        Edit(words[source_start].start, words[source_stop - 1].end, goal),
        Edit(words[goal_start].start, words[goal_stop - 1].end, source),
    ]
    first, last = words[match.preposition[0]], words[match.preposition[1] - 1]
    written = caption[first.start : last.end].lower()
    fitting = {"in": ("in", "into"), "on": ("on", "onto")}.get(_ground(words, source_start, source_stop) or "")
    if fitting and written in ("in", "on", "into", "onto"):
        edits.append(Edit(first.start, last.end, fitting[written in ("into", "onto")]))
    return edits


def noun_phrase(words: Sequence[Word], start: int, stop: int) -> int:
    """Index after the noun phrase that starts at `start`."""
    at = start
    while at < stop:
        low = words[at].low
        ends = low in PREPOSITIONS and low not in ("of", "like") or low in COORDINATORS or low in STOPS
        adverb = low.endswith("ly") and at > start and low not in ("family", "jelly", "belly", "lily", "butterfly")
        if ends or adverb or (low in DETERMINERS and at > start and words[at - 1].low not in DETERMINERS | {"of"}):
            break
        at += 1
    while at > start and words[at - 1].low in ("of", "back"):
        at -= 1
    return at


def _frame(words: Sequence[Word], verb: Verb, lexicon: Lexicon) -> EntryMatch | None:
    """The frame with most places; among them the one whose first place comes first, then the longest."""
    best: tuple[tuple[int, int, int], EntryMatch] | None = None
    for entry in lexicon.entries.get(verb.verb, ()):
        spans = _spans(words, verb, [place.split() for place in entry.frame.places if place])
        if spans is None:
            continue
        first = spans[0][0] if spans else len(words)
        rank = (-len(spans), first, -sum(_size(span) for span in spans))
        if best is None or rank < best[0]:
            best = rank, EntryMatch(verb, entry, spans)
    return best[1] if best else None


def _spans(words: Sequence[Word], verb: Verb, places: Sequence[Sequence[str]]) -> tuple[tuple[int, int], ...] | None:
    """Where the function words of a frame stand, in order, or None when they do not."""
    spans: list[tuple[int, int]] = []
    at = verb.at + 1
    for phrase in places:
        found = find_phrase(words, phrase, at, verb.scope)
        while found is not None and _elsewhere(words, found, found + len(phrase), verb):
            found = find_phrase(words, phrase, found + 1, verb.scope)
        if found is None:
            return None
        at = found + len(phrase)
        spans.append((found, at))
    return tuple(spans)


def _elsewhere(words: Sequence[Word], start: int, stop: int, verb: Verb) -> bool:
    """Whether a preposition says where the scene is or how a thing is held, not where something goes."""
    low = words[start].low
    following = [word.low for word in words[stop : min(verb.scope, stop + 3)]]
    plain = [word for word in following if word not in DETERMINERS]
    if low == "in" and stop - start == 1:
        return bool(plain) and any(word in SCENES for word in plain[:2])
    if low in ("on", "to", "at", "from", "in") and stop - start == 1 and plain:
        return plain[0] in AT_SIDES and (len(plain) < 2 or plain[1] in PREPOSITIONS - {"of"}) and low in ("on", "to", "at")
    return False


def _direction(words: Sequence[Word], verb: Verb, lexicon: Lexicon) -> DirectionMatch | None:
    start, stop = verb.at + 1, verb.scope
    for direction in lexicon.directions:
        found = find_phrase(words, direction.words, start, stop)
        if found is None:
            continue
        end = found + len(direction.words)
        after = words[end].low if end < len(words) else ""
        if direction.needs_goal and (end >= stop or after in STOPS or after in COORDINATORS):
            continue
        if direction.words in (("left",), ("right",)) and not _is_side_direction(words, found, end, verb):
            continue
        if direction.words == ("to",) and (after in AT_SIDES or find_phrase(words, ("from",), start, stop) is not None):
            continue
        if direction.words in (("in",), ("out",), ("up",), ("down",), ("inside",), ("outside",)) and after in ("of",):
            continue
        if direction.words in (("in",), ("inside",), ("outside",)) and end < stop and after not in PREPOSITIONS and after not in COORDINATORS and after not in STOPS:
            continue
        if direction.words in (("over",), ("near",), ("next", "to"), ("above",), ("below",), ("under",), ("behind",), ("together",)) and verb.verb in ("walk", "run", "jump", "fly", "look", "drive", "ride", "climb", "dance"):
            continue
        return DirectionMatch(verb, direction, (found, end))
    return None


def _is_side_direction(words: Sequence[Word], start: int, end: int, verb: Verb) -> bool:
    """ "turns left", "to the left of him", but not "his left hand" or "on the left"."""
    before = words[start - 1].low
    after = words[end].low if end < len(words) else ""
    if before in ("his", "her", "its", "their", "my", "your", "the", "on", "a", "with"):
        return False
    return start == verb.at + 1 or not after or after in PREPOSITIONS or after in STOPS or after in COORDINATORS or after == "while"


def _ends(words: Sequence[Word], verb: Verb) -> EndsMatch | None:
    start = find_phrase(words, ("from",), verb.at + 1, verb.scope)
    if start is None:
        return None
    source_stop = noun_phrase(words, start + 1, verb.scope)
    if source_stop == start + 1:
        return None
    for goal in sorted((goal.split() for goal in GOALS), key=len, reverse=True):
        at = find_phrase(words, goal, verb.at + 1, verb.scope)
        if at is None or (at < source_stop and at + len(goal) > start) or (goal[0] in ("in", "on") and len(goal) == 1 and at < start):
            continue
        goal_start = at + len(goal)
        goal_stop = noun_phrase(words, goal_start, start if goal_start <= start else verb.scope)
        if goal_stop > goal_start and not (len(goal) == 1 and goal[0] in ("in", "on") and at != source_stop):
            if goal == ["in"] and any(word.low in SCENES for word in words[goal_start:goal_stop]):
                continue
            return EndsMatch(verb, (start + 1, source_stop), (goal_start, goal_stop), (at, goal_start))
    return None


def _preposition(words: Sequence[Word], start: int, stop: int) -> str:
    return _ground(words, start, noun_phrase(words, start, stop)) or "on"


def _ground(words: Sequence[Word], start: int, stop: int) -> str | None:
    """in, on or to: what fits the noun phrase words[start:stop], by its last noun before "of" that is known."""
    grounds = _grounds()
    known = None
    for word in words[start:stop]:
        if word.low == "of" and known is not None:
            break
        low = word.low
        singular = low if low in grounds else low[:-1] if low[:-1] in grounds else low[:-2] if low[:-2] in grounds else ""
        known = grounds.get(singular, known)
    return known


@cache
def _grounds() -> dict[str, str]:
    return {noun: preposition for preposition, nouns in rows("grounds.tsv") for noun in nouns.split()}


def _size(span: tuple[int, int]) -> int:
    return span[1] - span[0]
