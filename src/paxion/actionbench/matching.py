"""What in a caption can be turned round: for each verb the entry, the direction or the two ends that apply to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paxion.actionbench.classes import CAUSATIVES, COORDINATORS, DETERMINERS, OBJECT_PRONOUNS, PREPOSITIONS, STOPS
from paxion.actionbench.lexicon import Entry, Lexicon, word_class
from paxion.actionbench.paths import (
    CARRIED,
    DirectionMatch,
    EndsMatch,
    elsewhere,
    find_direction,
    find_ends,
    noun_phrase,
)
from paxion.actionbench.tags import Verb
from paxion.actionbench.words import Word, find_phrase

BOTH_WAYS = tuple(tuple(phrase.split("_")) for phrase in sorted(word_class("both_ways")))
LEFT = word_class("left")
PHRASAL = word_class("phrasal")
ONGOING = word_class("ongoing")
SWITCHED = word_class("switched")
THROWN = word_class("thrown")
VESSELS = word_class("vessels")
GOVERNED = word_class("governed")


@dataclass(frozen=True, slots=True)
class EntryMatch:
    """A frame of the lexicon, with the places of its function words (index of the first, index after the last)."""

    verb: Verb
    entry: Entry
    spans: tuple[tuple[int, int], ...]


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
    for word in words[start : noun_phrase(words, start, stop)]:
        idiom = lexicon.idioms.get((verb.verb, word.noun))
        if idiom is not None:
            return NoMatch(verb, f'"{verb.verb} {word.low}": {idiom}')
    after = words[start].low if start < len(words) else ""
    state = after.endswith("ed") or ("get", after) in lexicon.idioms
    if verb.verb == "get" and state and after not in ("dressed", "undressed"):
        return NoMatch(verb, f'"get {words[start].low}": a state, not a motion')
    present = {word.low for word in words[start:stop]}
    for phrase in BOTH_WAYS:
        if phrase[0] in present and find_phrase(words, phrase, start, stop) is not None:
            return NoMatch(verb, f'"{" ".join(phrase)}" names both directions', same=True)
    ends = find_ends(words, verb) if verb.verb in CARRIED or verb.verb in lexicon.motions else None
    if ends is not None:
        return ends
    if verb.verb in ONGOING and start < len(words) and words[start].low == "to":
        return NoMatch(verb, f'"{verb.verb} to": no opposite of the same form')
    if verb.verb in ("give", "hand", "bring", "show", "throw", "pass") and _two_objects(words, verb):
        return NoMatch(verb, f'"{verb.verb}" with two objects: turned round, they would change places')
    other = _another_sense(words, verb)
    if other is not None:
        return match_verb(words, replace(verb, verb=other), lexicon)
    away = any(word.low in ("into", "in", "from") for word in words[start:stop])
    moved = verb.verb in ("pour", "tip") or (verb.verb == "empty" and away)
    if moved and start < stop and find_phrase(words, ("over",), start, stop) is None and _head(words, verb) in VESSELS:
        return NoMatch(verb, f'"{verb.verb}": what moves is not named')
    if verb.verb == "begin" and start < len(words) and (words[start].low.endswith("ing") or words[start].low == "to"):
        return match_verb(words, replace(verb, verb="start"), lexicon)
    framed = _frame(words, verb, lexicon)
    direction = find_direction(words, verb, lexicon) if verb.verb in lexicon.motions else None
    if direction and (not framed or not framed.spans or _size(direction.span) > sum(_size(s) for s in framed.spans)):
        return direction
    if framed is not None and not framed.spans and start < len(words):
        if words[start].low in PHRASAL and start < stop:
            return NoMatch(verb, f'no opposite of "{verb.verb} {words[start].low}" is known')
        if verb.verb == "leave" and words[noun_phrase(words, start, stop) - 1].noun not in LEFT:
            return NoMatch(verb, '"leave" has no opposite with a thing that is left')
    if framed is not None and framed.spans:
        if start < stop and words[start].low in PHRASAL and framed.spans[0][0] != start:
            return NoMatch(verb, f'no opposite of "{verb.verb} {words[start].low}" is known')
        if _half_of_two_ends(words, framed):
            return NoMatch(verb, "from one place to another: only one of them could be turned round")
    if framed is not None and _unclear_goal(words, framed):
        return NoMatch(verb, "two places: unclear which of them is the goal")
    if framed is None:
        known = verb.verb in lexicon.motions or verb.verb in lexicon.entries
        why = f'"{verb.verb}" has no direction here' if known else f'no opposite of "{verb.verb}" is known'
        return NoMatch(verb, why)
    if framed.entry.opposite is None:
        return NoMatch(verb, f'"{framed.entry.frame}": {framed.entry.why}', same=framed.entry.reversed == "same")
    return framed


def _another_sense(words: Sequence[Word], verb: Verb) -> str | None:
    """The verb that this one stands for with its object: a light is "put on" as it is turned on, rubbish is dropped."""
    first = words[verb.at + 1].low if verb.at + 1 < verb.scope else ""
    end = noun_phrase(words, verb.at + 1, verb.scope)
    if verb.verb == "put" and verb.at + 1 < end == verb.scope - 1 and words[end].low in ("on", "off"):
        return "turn" if words[end - 1].noun in SWITCHED else None
    if verb.verb == "put" and first in ("on", "off"):
        return "turn" if words[noun_phrase(words, verb.at + 2, verb.scope) - 1].noun in SWITCHED else None
    if verb.verb == "set" and not first:
        return "sink"
    if verb.verb == "drop" and any(word.low in CAUSATIVES for word in words[max(0, verb.at - 5) : verb.at]):
        return "fall"
    if verb.verb in ("throw", "toss") and first and _head(words, verb) not in THROWN | OBJECT_PRONOUNS:
        goes = any(word.low in PREPOSITIONS - {"for", "of", "with", "by"} for word in words[verb.at + 1 : verb.scope])
        return None if goes or any(word.low == "away" for word in words[verb.at + 1 : verb.scope]) else "drop"
    return None


def _two_objects(words: Sequence[Word], verb: Verb) -> bool:
    """ "gives the man a cup": a second object stands right behind the first."""
    start = verb.at + 1
    end = noun_phrase(words, start, verb.scope)
    if start + 1 < verb.scope and words[start].low in OBJECT_PRONOUNS and words[start + 1].low in DETERMINERS:
        return True
    return start < end < verb.scope and words[end].low in DETERMINERS


def _head(words: Sequence[Word], verb: Verb) -> str:
    """The last word of the object right behind a verb and its particle."""
    start = verb.at + 1 + (verb.at + 1 < verb.scope and words[verb.at + 1].low in ("out", "up", "down", "away", "in"))
    return words[noun_phrase(words, start, verb.scope) - 1].noun


def _frame(words: Sequence[Word], verb: Verb, lexicon: Lexicon) -> EntryMatch | None:
    """The frame with most places; among them the one whose first place comes first, then the longest."""
    present = {word.low for word in words[verb.at + 1 : verb.scope]}
    best: tuple[tuple[int, bool, bool, bool, int, int], EntryMatch] | None = None
    for entry in lexicon.entries.get(verb.verb, ()):
        if entry.source == "wordnet" and any(word.low in GOVERNED for word in words[verb.at + 1 : verb.scope]):
            continue
        places = entry.phrases
        if places and not all(phrase[0] in present for phrase in places):
            continue
        spans = find_places(words, verb, entry)
        if spans is None:
            continue
        first = spans[0][0] if spans else len(words)
        # "the shirts on the bed into the basket": into says where they go, on perhaps where they were.
        weak = not spans or words[first].low not in ("into", "onto")
        rank = (-len(spans), not entry.final, not entry.adjacent, weak, first, -sum(_size(span) for span in spans))
        if best is None or rank < best[0]:
            best = rank, EntryMatch(verb, entry, spans)
    return best[1] if best else None


def _half_of_two_ends(words: Sequence[Word], match: EntryMatch) -> bool:
    """ "wipe the crumbs off the knife into the bin": a source and a goal, of which the frame has one."""
    inside = {at for start, stop in match.spans for at in range(start, stop)}
    lows = {at: words[at].low for at in range(match.verb.at + 1, match.verb.scope)}
    sources = [at for at, low in lows.items() if low in ("from", "off") or (low == "of" and lows.get(at - 1) == "out")]
    goals = [at for at, low in lows.items() if low in ("into", "onto")]
    return bool(sources and goals) and not (inside.intersection(sources) and inside.intersection(goals))


def _unclear_goal(words: Sequence[Word], match: EntryMatch) -> bool:
    """ "the blanket on the chair in the hamper": whether it was on the chair, or the chair is in the hamper."""
    if match.verb.verb not in ("put", "place", "set", "lay", "keep", "drop", "pour", "hang") or len(match.spans) != 1:
        return False
    start, stop = match.spans[0]
    if stop - start > 1 or words[start].low not in ("in", "on", "inside"):
        return False
    others = [other for other in ("in", "on", "inside") if other != words[start].low]
    return any(
        word.low in others and not elsewhere(words, at, at + 1, match.verb) and words[at + 1].low != "top"
        for at, word in enumerate(words[: match.verb.scope - 1])
        if at > match.verb.at
    )


def find_places(words: Sequence[Word], verb: Verb, entry: Entry) -> tuple[tuple[int, int], ...] | None:
    """Where the function words of a frame stand, in order, or None when they do not."""
    spans: list[tuple[int, int]] = []
    at = verb.at + 1
    for number, phrase in enumerate(entry.phrases):
        adjacent = entry.adjacent and not number
        found = find_phrase(words, phrase, at, min(verb.scope, at + len(phrase)) if adjacent else verb.scope)
        ends = entry.final and number == len(entry.phrases) - 1
        while found is not None and (
            elsewhere(words, found, found + len(phrase), verb)
            or (ends and _followed(words, found + len(phrase), verb.scope))
        ):
            found = find_phrase(words, phrase, found + 1, verb.scope)
        if found is None:
            return None
        at = found + len(phrase)
        spans.append((found, at))
    return tuple(spans)


def _followed(words: Sequence[Word], at: int, stop: int) -> bool:
    """Whether an object follows: neither the end, nor a preposition, nor a conjunction."""
    return at < stop and words[at].low not in PREPOSITIONS | COORDINATORS | STOPS


def _size(span: tuple[int, int]) -> int:
    return span[1] - span[0]
