"""Edits that turn a match round: the words of its counterpart, in the forms and with the prepositions that fit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from paxion.actionbench.classes import COORDINATORS, OBJECT_PRONOUNS, PREPOSITIONS, STOPS
from paxion.actionbench.inflection import inflect
from paxion.actionbench.lexicon import PLACE, Frame, rows, word_class
from paxion.actionbench.matching import EntryMatch
from paxion.actionbench.paths import DirectionMatch, EndsMatch, noun_phrase
from paxion.actionbench.tags import Verb
from paxion.actionbench.words import Edit, Word, like

PARTICLES = word_class("particles")
PARTICLED = word_class("particled")
LIDS = word_class("lids")


def edits_of(words: Sequence[Word], match: EntryMatch, other: Frame) -> list[Edit]:
    """The edits that turn the words of a matched frame into those of its counterpart."""
    verb, new = words[match.verb.at], other.verb
    edits = []
    for (start, stop), place in zip(match.spans, other.places, strict=True):
        written = words[start]
        if stop < len(words) and words[stop].low == words[stop - 1].low:
            # "put down down the filter"
            stop += 1
        if place == PLACE:
            moved = {word.noun for word in words[match.verb.at + 1 : start]}
            place = _ground(words, stop, noun_phrase(words, stop, match.verb.scope)) or "on"
            place = "on" if place == "in" and moved & LIDS else place
            # "put to the woman" is not said.
            new = "give" if place == "to" and new == "put" else new
        elif place:
            place = _fitted(words, place, start, stop, match.verb)
        edits.append(Edit(written.start, words[stop - 1].end, like(written.text, place) if place else ""))
    head, _, rest = new.partition(" ")
    after = words[match.verb.at + 1] if match.verb.at + 1 < len(words) else None
    if after is not None and rest in PARTICLES and _is_pronoun(words, match.verb.at + 1):
        edits.append(Edit(after.end, after.end, f" {rest}"))
        new = head
    return [*edits, Edit(verb.start, verb.end, like(verb.text, inflect(new, match.verb.tag)))]


def _fitted(words: Sequence[Word], place: str, start: int, stop: int, verb: Verb) -> str:
    """ "out of" where something follows that it can govern, "out" where not; "off" and "away" likewise."""
    end = noun_phrase(words, stop, verb.scope)
    governs = end > stop and words[stop].low != "with"
    if governs and start == verb.at + 1 and words[start].low in ("in", "on", "off", "out") and _takes_particle(verb):
        # "put in the sugar": a particle; "put in the bin": a preposition; "push in the drawer": always a particle.
        governs = verb.verb not in ("push", "pull", "plug", "fold") and _ground(words, stop, end) is not None
    if not governs:
        return {"out of": "out", "off of": "off", "away from": "away", "from": "", "into": "in", "onto": "on"}.get(
            place, place
        )
    written = words[start].low
    return "out of" if place == "out" and written in ("in", "inside") else place


def _is_pronoun(words: Sequence[Word], at: int) -> bool:
    """Whether a word stands for a whole object: "it", but not "one of them" or "her shoe"."""
    after = words[at + 1].low if at + 1 < len(words) else ""
    ends = (
        not after or after in PREPOSITIONS - {"of"} or after in COORDINATORS or after in STOPS or after.endswith("ly")
    )
    return words[at].low in OBJECT_PRONOUNS and (ends or words[at].low in ("it", "them"))


def _takes_particle(verb: Verb) -> bool:
    return verb.tag != "VBN" and verb.verb in PARTICLED


def turned_direction(words: Sequence[Word], match: DirectionMatch) -> Edit:
    """The edit that turns a direction round."""
    first, last = words[match.span[0]], words[match.span[1] - 1]
    return Edit(first.start, last.end, like(first.text, match.direction.opposite))


def exchanged_ends(words: Sequence[Word], match: EndsMatch, caption: str) -> list[Edit]:
    """The edits that exchange source and goal, and make the goal's preposition fit."""
    (source_start, source_stop), (goal_start, goal_stop) = match.source, match.goal
    source = caption[words[source_start].start : words[source_stop - 1].end]
    goal = caption[words[goal_start].start : words[goal_stop - 1].end]
    edits = [
        Edit(words[source_start].start, words[source_stop - 1].end, goal),
        Edit(words[goal_start].start, words[goal_stop - 1].end, source),
    ]
    fitted = fitted_preposition(words, match.preposition, (source_start, source_stop))
    before = words[source_start - 1]
    if before.low in ("off", "of"):
        # What is taken out of a pan is taken off a plate: "from" is right for both.
        first = words[source_start - 2] if before.low == "of" else before
        edits.append(Edit(first.start, before.end, "from"))
    return [*edits, fitted] if fitted else edits


def fitted_preposition(words: Sequence[Word], preposition: tuple[int, int], ground: tuple[int, int]) -> Edit | None:
    """The edit that makes in, on, into, onto or inside fit another ground, if one is needed."""
    first, last = words[preposition[0]], words[preposition[1] - 1]
    written = " ".join(word.low for word in words[slice(*preposition)])
    place = fitted_place(words, written, ground)
    return None if place == written else Edit(first.start, last.end, like(first.text, place))


def fitted_place(words: Sequence[Word], written: str, ground: tuple[int, int], *, lid: bool = False) -> str:
    """in, on, into, onto, inside or on top of as it fits a ground; other prepositions stay as they are written."""
    fitting = _ground(words, *ground)
    if written not in ("in", "on", "into", "onto", "inside", "on top of") or fitting not in ("in", "on"):
        return written
    if fitting == "in" and lid:
        fitting = "on"
    if (written == "inside" and fitting == "in") or (written == "on top of" and fitting == "on"):
        return written
    return fitting + "to" * (written in ("into", "onto"))


def _ground(words: Sequence[Word], start: int, stop: int) -> str | None:
    """in, on or to: what fits the noun phrase words[start:stop], by its last noun before "of" that is known."""
    grounds = _grounds()
    known = None
    for word in words[start:stop]:
        low = word.noun
        if low == "of":
            break
        known = grounds.get(low) or grounds.get(low.removesuffix("s")) or grounds.get(low.removesuffix("es")) or known
    return known


@cache
def _grounds() -> dict[str, str]:
    return {noun: preposition for preposition, nouns in rows("grounds.tsv") for noun in nouns.split()}
