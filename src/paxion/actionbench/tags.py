"""In which form a word is a verb, by what stands around it, or that it is none.

Most verbs of captions are nouns, adjectives or parts of names elsewhere: "screws", "open", "drying board".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paxion.actionbench.classes import (
    ADJECTIVES,
    ADVERBS,
    BE,
    CATENATIVES,
    COMPOUNDS,
    COORDINATORS,
    DETERMINERS,
    DIRECTIONS,
    HAVE,
    MODALS,
    NO_NOUNS,
    NOUNS,
    OBJECT_PRONOUNS,
    PERSONS,
    PLURALS,
    PREPOSITIONS,
    PRONOUNS,
    STOPS,
)
from paxion.actionbench.words import Word


@dataclass(frozen=True, slots=True)
class Verb:
    """A word that is a verb of the lexicon."""

    at: int
    """Index of the word."""
    verb: str
    """Base form."""
    tag: str
    """Penn tag: VB, VBZ, VBG, VBD or VBN."""
    main: bool
    """Says what happens; else it stands in a clause that qualifies (that, so, while, without ...)."""
    scope: int
    """Index after the last word that may belong to it: the next verb, or the end of the clause."""


@dataclass(frozen=True, slots=True)
class Place:
    """A word that may be a verb, and what stands around it."""

    words: Sequence[Word]
    at: int
    options: Sequence[tuple[str, str]]
    """(verb, tag) that the form may be."""
    tags: frozenset[str]
    before: str
    """The word before, adverbs skipped; "" at the start."""
    after: str
    clause_verbs: int
    """Finite verbs of the clause so far."""
    causative: bool
    """ "let" or the like stands before."""
    coordinated: bool
    """Right behind "and" or the like."""
    found: Sequence[Verb]

    @property
    def low(self) -> str:
        """The word itself."""
        return self.words[self.at].low

    @property
    def starts(self) -> bool:
        """No subject stands before: an instruction or a label begins here."""
        first = not self.found and ((self.at == 1 and self.coordinated) or self.before == ",")
        return self.at == 0 or skip_adverbs(self.words, self.at - 1) < 0 or self.before in STOPS or first

    @property
    def noun_before(self) -> bool:
        """A noun or a pronoun may stand before."""
        return bool(self.before) and self.before not in NO_NOUNS


def tag_of(place: Place) -> str | None:
    """The tag of a word that may be a verb, or None when it is a noun, an adjective or an adverb here."""
    low, before, after, found, tags = place.low, place.before, place.after, place.found, place.tags
    behind_verb = bool(found) and found[-1].at == place.at - 1 and found[-1].verb not in CATENATIVES
    if behind_verb and not tags & {"VBG", "VBN"}:
        return None
    if (before in DETERMINERS and before not in ("both", "her", "others")) or (before == "of" and "VBG" not in tags):
        return None
    if low == "building" and not (place.starts or before in BE or after in DETERMINERS or after in OBJECT_PRONOUNS):
        return None
    if "VBG" in tags:
        return _ing_form(place)
    if "VBZ" in tags:
        return _third_person(place)
    passive = before in ("being", "been", "gets", "get", "getting") or after == "by"
    if low in ADJECTIVES and not passive and (before in BE or before in ("very", "wide", "half", "upright", "so")):
        return None
    if low == "close" and after in ("to", "up") and not place.starts and before != "to":
        return None
    if low == "left" and (after not in DETERMINERS or not place.noun_before):
        return None
    return _base_form(place) or _past_form(place)


def _ing_form(place: Place) -> str | None:
    """VBG, unless it names a thing: "drying board", "salad dressing"."""
    low, before, after, found = place.low, place.before, place.after, place.found
    plain = place.noun_before and before not in PERSONS and found and found[-1].verb != "be"
    if plain and low in ("dressing", "stuffing", "coating", "icing", "filling", "seasoning"):
        return None
    inside = before in ("from", "on", "in", "into", "onto", "with", "off", "near", "under")
    if inside and not object_follows(after):
        # "from drying board": a thing, unless an object with its article follows.
        return None if after else "VBG"
    if not after and place.noun_before and low in ("covering", "painting", "drawing", "opening", "filling", "wrapping"):
        return None
    if found and _names_a_thing(place):
        return None
    if after in COMPOUNDS.get(low, ()) and not place.starts and before not in BE:
        return None
    return None if before == "her" and not after else "VBG"


def _third_person(place: Place) -> str | None:
    """VBZ, unless it is a plural: "nuts and screws"."""
    before, after = place.before, place.after
    if place.starts:
        return "VBZ"
    if place.coordinated:
        same = any(verb.tag == "VBZ" for verb in place.found)
        return "VBZ" if same and (place.low[:-1] not in NOUNS or object_follows(after)) else None
    if place.noun_before or before in ("who", "that", "which"):
        person = before in PRONOUNS or before in PERSONS or len(before) == 1
        listed = after in COORDINATORS or after in BE or after == "of"
        noun = place.options[0][0] in NOUNS and not person and listed
        return "VBZ" if not place.clause_verbs and not noun else None
    return None


def _base_form(place: Place) -> str | None:
    """VB: an instruction, behind "to" or "can", or with a subject in the plural; unless it is a noun or adjective."""
    low, before, after, found, tags = place.low, place.before, place.after, place.found, place.tags
    if "VB" not in tags:
        return None
    if place.starts or (before == "to" and not _goal_noun(place.words, place.at)) or before in MODALS:
        return "VB"
    if place.coordinated and found and found[-1].tag == "VB":
        return "VB" if low not in NOUNS or object_follows(after) or after == "" else None
    handed = place.noun_before and (
        not place.clause_verbs or (found[-1:] and found[-1].verb in ("let", "make", "help"))
    )
    if place.causative and found and handed:
        return "VB"
    if "VBD" in tags:
        # "#c c put the cup": narrations are in the present, with or without an s.
        return "VB" if len(before) == 1 and not place.clause_verbs else None
    # Many captions forget the s: "the man climb down". A form that may be a noun needs an object behind it.
    sure = low not in NOUNS | ADJECTIVES or after in DETERMINERS or after in OBJECT_PRONOUNS
    several = before.endswith("s") and not before.endswith(("ss", "ous", "us", "is"))
    listed = any(word.low == "and" for word in place.words[: place.at])
    plural = before in PLURALS or before in PERSONS or several or listed
    acts = object_follows(after) or (low in ADJECTIVES and bool(after) and after not in PREPOSITIONS)
    return "VB" if place.noun_before and not place.clause_verbs and (sure or (plural and acts)) else None


def _past_form(place: Place) -> str | None:
    """VBD or VBN, unless it is an adjective: "pushing the door shut"."""
    low, before, found, tags = place.low, place.before, place.found, place.tags
    if not tags & {"VBN", "VBD"}:
        return None
    participle = "VBN" if "VBN" in tags else "VBD"
    if before in BE or before in HAVE:
        return participle
    if place.coordinated and found and found[-1].tag in ("VBD", "VBN"):
        return found[-1].tag if found[-1].tag in tags else participle
    # "pushing the door shut": behind another verb these are adjectives; "she shut the door": the only verb.
    adjectives = ADJECTIVES if found else ADJECTIVES - {"left", "set", "closed", "shut"}
    if not place.noun_before or place.clause_verbs or low in adjectives:
        return None
    looks = place.options[0][0] in ("dress", "wear") or place.after == "by" or "VBD" not in tags
    return participle if looks else "VBD"


def _names_a_thing(place: Place) -> bool:
    """Whether an -ing form in an object names a thing: "take rolling pin", "rub cooker heating element"."""
    last, first, after = place.found[-1], place.found[0], place.after
    if not after or object_follows(after) or after in COORDINATORS:
        return False
    if last.tag not in ("VB", "VBZ") or last.verb in CATENATIVES or last.verb in ("be", "keep"):
        return False
    behind_noun = place.noun_before and not place.coordinated
    return last.at == place.at - 1 or (behind_noun and first.at == 0 and first.tag == "VB")


def seen_by(tagged: str, low: str, after: str, options: Sequence[tuple[str, str]]) -> str | None:
    """A tagger's word for a verb that the rules missed. Where they found one, they know captions better."""
    tag = "VB" if tagged == "VBP" else tagged
    possible = tag in ("VB", "VBZ", "VBD") and any(tag == option for _, option in options)
    return tag if possible and object_follows(after) and low not in ("leaves", "left") else None


def skip_adverbs(words: Sequence[Word], at: int) -> int:
    """The index of the nearest word at or before `at` that is no adverb, or -1."""
    while at >= 0 and (words[at].low in ADVERBS - {"then", "both"} or (words[at].low.endswith("ly") and at > 0)):
        at -= 1
    return at


def word_before(words: Sequence[Word], at: int) -> str:
    """The word before, adverbs skipped; "" at the start."""
    index = skip_adverbs(words, at - 1)
    if index > 0 and words[index].text == "A":
        # An actor of Ego4D, "the man A": the article has a small letter inside a sentence.
        return "someone"
    return words[index].low if index >= 0 else ""


def object_follows(after: str) -> bool:
    """Whether a word is one that an object or a direction may start with."""
    particle = after in PREPOSITIONS - {"of"} or after in DIRECTIONS
    return particle or after in DETERMINERS or after in OBJECT_PRONOUNS or after.endswith("ly")


def _goal_noun(words: Sequence[Word], at: int) -> bool:
    """Whether "to X" names a place: nothing follows that X could act on, and X is a noun too."""
    after = words[at + 1].low if at + 1 < len(words) else ""
    return words[at].low in NOUNS and (not after or after in STOPS or after in COORDINATORS or after in PREPOSITIONS)
