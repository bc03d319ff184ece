"""Which words of a caption are verbs, in which form, and which of them say what happens.

A rule for captions, not for English: narrations ("#C C picks up the knife"), instructions ("open drawer"), labels
("Pushing something from left to right") and plain sentences ("a man is opening a door"). Only verbs of the lexicon are
looked for. With the extra `nlp`, spaCy's tags decide where a form may also be a noun or an adjective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from paxion.actionbench.inflection import form_index
from paxion.actionbench.lexicon import load_lexicon, rows, word_class
from paxion.actionbench.words import Word

Tagger = Callable[[Sequence[Word]], Sequence[str]]
"""Gives a Penn tag for each word."""

DETERMINERS = word_class("determiners")
PREPOSITIONS = word_class("prepositions")
PRONOUNS = word_class("pronouns")
OBJECT_PRONOUNS = word_class("object_pronouns")
PLURALS = word_class("plurals")
PERSONS = word_class("persons")
DIRECTIONS = word_class("directions")
BE = word_class("be")
HAVE = word_class("have")
MODALS = word_class("modals")
COORDINATORS = frozenset(("and", "or", "but", "then", ",", ";", "&", "/"))
GOT = frozenset(("get", "gets", "got", "getting"))
STATES = frozenset(("dressed", "undressed", "stuck", "hit"))
STOPS = frozenset((".", ";", "!", "?"))
SUBORDINATORS = word_class("subordinators")
ADVERBS = word_class("adverbs")
CAUSATIVES = word_class("causatives")
CATENATIVES = word_class("catenatives")
ADJECTIVES = word_class("adjectives")
NOUNS = word_class("nouns")
COMPOUNDS = {form: frozenset(nouns.split()) for form, nouns in rows("compounds.tsv")}


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


@cache
def lexicon_forms() -> dict[str, list[tuple[str, str]]]:
    """Form to [(verb, tag)] for all verbs of the lexicon and the verbs that hand an action over."""
    lexicon = load_lexicon()
    verbs = dict.fromkeys([*lexicon.entries, *lexicon.motions, *CATENATIVES])
    return form_index(verb for verb in verbs if " " not in verb)


def find_verbs(words: Sequence[Word], tagger: Tagger | None = None) -> list[Verb]:
    """The verbs of a caption, in order. tagger: decides where a form may also be a noun or an adjective."""
    forms = lexicon_forms()
    tags = tagger(words) if tagger is not None and any(word.low in forms for word in words) else None
    found: list[Verb] = []
    main, clause_verbs, causative, opened = True, 0, False, -1
    for at, word in enumerate(words):
        low = word.low
        if low == "," and not main and opened == 0:
            # "Without opening the box, he lifts it": the comma ends a clause that came first.
            main, clause_verbs = True, 0
        if low in STOPS or low == ",":
            # A comma after a qualifying clause does not end it for certain; a verb form decides below.
            clause_verbs, causative = (0, False) if low in STOPS else (clause_verbs, causative)
            main = True if low in STOPS else main
            continue
        if low in COORDINATORS or low in SUBORDINATORS:
            if low in SUBORDINATORS and not (low == "that" and at == 0) and not _is_object_that(words, at):
                main, clause_verbs, causative, opened = False, 0, False, at
            elif low == "then" or (low in ("and", "but") and _verb_follows(words, at, forms)):
                clause_verbs = 0
            continue
        options = forms.get(low)
        if low in CAUSATIVES:
            causative = True
        behind = words[at - 1].low if at else ""
        if options is None or (low == "go" and behind in CAUSATIVES) or (low in STATES and behind in GOT):
            # "let go", "get dressed", "gets stuck" are one verb each.
            continue
        before = _before(words, at)
        coordinated = at > 0 and words[_skip_adverbs(words, at - 1)].low in COORDINATORS
        relative = not main and opened >= 0 and words[opened].low in ("who", "that", "which") and clause_verbs == 1
        tag = _tag(words, at, options, before, clause_verbs, causative, coordinated, found)
        if tag is None and relative and before not in PREPOSITIONS:
            # "the man that opens the door closes the window": the second verb is the sentence's own.
            tag = _tag(words, at, options, before, 0, causative, coordinated, found)
            main = tag == "VBZ" or main
            tag = tag if tag == "VBZ" else None
        if tag is None and tags is not None and not (found and found[-1].at == at - 1):
            tag = _seen(tags[at], low, words[at + 1].low if at + 1 < len(words) else "", options)
        if tag is None:
            continue
        verb = next((verb for verb, option in options if option == tag), options[0][0])
        if coordinated and not main and before == "then":
            main = True
        if coordinated and found and found[-1].main and tag == found[-1].tag:
            main = True
        infinitive = before == "to"
        purpose = infinitive and bool(found) and found[-1].verb not in CATENATIVES
        found.append(Verb(at, verb, tag, main and not purpose, 0))
        clause_verbs += tag in ("VB", "VBZ", "VBD") and not infinitive
    ends = [*(verb.at for verb in found[1:]), len(words)]
    return [replace(verb, scope=_scope(words, verb.at, end)) for verb, end in zip(found, ends, strict=False)]


def _tag(
    words: Sequence[Word],
    at: int,
    options: Sequence[tuple[str, str]],
    before: str,
    clause_verbs: int,
    causative: bool,
    coordinated: bool,
    found: Sequence[Verb],
) -> str | None:
    """The tag of a word that may be a verb, or None when it is a noun, an adjective or an adverb here."""
    low, after = words[at].low, words[at + 1].low if at + 1 < len(words) else ""
    tags = {tag for _, tag in options}
    first = not found and ((at == 1 and coordinated) or before == ",")
    starts = at == 0 or _skip_adverbs(words, at - 1) < 0 or before in STOPS or first
    behind_verb = bool(found) and found[-1].at == at - 1 and found[-1].verb not in CATENATIVES
    if behind_verb and not tags & {"VBG", "VBN"}:
        return None
    noun_before = bool(before) and before not in DETERMINERS | PREPOSITIONS | COORDINATORS | BE | MODALS | HAVE
    if (before in DETERMINERS and before not in ("both", "her", "others")) or (before == "of" and "VBG" not in tags):
        return None
    if low == "building" and not (starts or before in BE or after in DETERMINERS or after in OBJECT_PRONOUNS):
        return None
    if "VBG" in tags:
        plain = noun_before and before not in PERSONS and found and found[-1].verb != "be"
        if plain and low in ("dressing", "stuffing", "coating", "icing", "filling", "seasoning"):
            return None
        if before in ("from", "on", "in", "into", "onto", "with", "off", "near", "under") and not _object_follows(
            after
        ):
            # "from drying board": a thing, unless an object with its article follows.
            return None if after else "VBG"
        if not after and noun_before and low in ("covering", "painting", "drawing", "opening", "filling", "wrapping"):
            return None
        if found and _names_a_thing(words, at, found, noun_before and not coordinated):
            return None
        if after in COMPOUNDS.get(low, ()) and not starts and before not in BE:
            return None
        return None if before == "her" and not after else "VBG"
    if "VBZ" in tags:
        if starts:
            return "VBZ"
        if coordinated:
            same = any(verb.tag == "VBZ" for verb in found)
            return "VBZ" if same and (low[:-1] not in NOUNS or _object_follows(after)) else None
        if noun_before or before in ("who", "that", "which"):
            person = before in PRONOUNS or before in PERSONS or len(before) == 1
            noun = options[0][0] in NOUNS and not person and (after in COORDINATORS or after in BE or after == "of")
            return "VBZ" if not clause_verbs and not noun else None
        return None
    passive = before in ("being", "been", "gets", "get", "getting") or after == "by"
    if low in ADJECTIVES and not passive and (before in BE or before in ("very", "wide", "half", "upright", "so")):
        return None
    if low == "close" and after in ("to", "up") and not starts and before != "to":
        return None
    if low == "left" and (after not in DETERMINERS or not noun_before):
        return None
    if "VB" in tags:
        if starts or (before == "to" and not _goal_noun(words, at)) or before in MODALS:
            return "VB"
        if coordinated and found and found[-1].tag == "VB":
            return "VB" if low not in NOUNS or _object_follows(after) or after == "" else None
        if causative and found and noun_before and (found[-1].verb in ("let", "make", "help") or not clause_verbs):
            return "VB"
        # Many captions forget the s: "the man climb down". A form that may be a noun needs an object behind it.
        sure = low not in NOUNS | ADJECTIVES or after in DETERMINERS or after in OBJECT_PRONOUNS
        plural = (
            before in PLURALS
            or before in PERSONS
            or (before.endswith("s") and not before.endswith(("ss", "ous", "us", "is")))
            or "and" in [w.low for w in words[:at]]
        )
        if noun_before and not clause_verbs and "VBD" not in tags and (sure or (plural and _object_follows(after))):
            return "VB"
        if (
            noun_before
            and not clause_verbs
            and plural
            and low in ADJECTIVES
            and "VBD" not in tags
            and after
            and after not in PREPOSITIONS
        ):
            return "VB"
    if "VB" in tags and "VBD" in tags and len(before) == 1 and not clause_verbs:
        # "#c c put the cup": narrations are in the present, with or without an s.
        return "VB"
    if "VBN" in tags or "VBD" in tags:
        participle = "VBN" if "VBN" in tags else "VBD"
        if before in BE or before in HAVE:
            return participle
        if coordinated and found and found[-1].tag in ("VBD", "VBN"):
            return found[-1].tag if found[-1].tag in tags else participle
        # "pushing the door shut": behind another verb these are adjectives; "she shut the door": the only verb.
        adjectives = ADJECTIVES if found else ADJECTIVES - {"left", "set", "closed", "shut"}
        if noun_before and not clause_verbs and low not in adjectives:
            looks = options[0][0] in ("dress", "wear") or after == "by" or "VBD" not in tags
            return participle if looks else "VBD"
    return None


def _names_a_thing(words: Sequence[Word], at: int, found: Sequence[Verb], behind_noun: bool) -> bool:
    """Whether an -ing form in an object names a thing: "take rolling pin", "rub cooker heating element"."""
    last, after = found[-1], words[at + 1].low if at + 1 < len(words) else ""
    if not after or _object_follows(after) or after in COORDINATORS:
        return False
    if last.tag not in ("VB", "VBZ") or last.verb in CATENATIVES or last.verb in ("be", "keep"):
        return False
    return last.at == at - 1 or (behind_noun and found[0].at == 0 and found[0].tag == "VB")


def _seen(tagged: str, low: str, after: str, options: Sequence[tuple[str, str]]) -> str | None:
    """A tagger's word for a verb that the rules missed. Where they found one, they know captions better."""
    tag = "VB" if tagged == "VBP" else tagged
    possible = tag in ("VB", "VBZ", "VBD") and any(tag == option for _, option in options)
    return tag if possible and _object_follows(after) and low not in ("leaves", "left") else None


def _skip_adverbs(words: Sequence[Word], at: int) -> int:
    """The index of the nearest word at or before `at` that is no adverb, or -1."""
    while at >= 0 and (words[at].low in ADVERBS - {"then", "both"} or (words[at].low.endswith("ly") and at > 0)):
        at -= 1
    return at


def _before(words: Sequence[Word], at: int) -> str:
    """The word before, adverbs skipped; "" at the start."""
    index = _skip_adverbs(words, at - 1)
    if index > 0 and words[index].text == "A":
        # An actor of Ego4D, "the man A": the article has a small letter inside a sentence.
        return "someone"
    return words[index].low if index >= 0 else ""


def _object_follows(after: str) -> bool:
    """Whether a word is one that an object or a direction may start with."""
    particle = after in PREPOSITIONS - {"of"} or after in DIRECTIONS
    return particle or after in DETERMINERS or after in OBJECT_PRONOUNS or after.endswith("ly")


def _verb_follows(words: Sequence[Word], at: int, forms: Mapping[str, object]) -> bool:
    index = at + 1
    while index < len(words) and (words[index].low in ADVERBS or words[index].low == ","):
        index += 1
    return index < len(words) and words[index].low in forms


def _is_object_that(words: Sequence[Word], at: int) -> bool:
    """ "that" before a noun, a pronoun like "this"; "so" and "as" inside "so that" count once."""
    return words[at].low == "that" and at > 0 and words[at - 1].low in PREPOSITIONS


def _goal_noun(words: Sequence[Word], at: int) -> bool:
    """Whether "to X" names a place: nothing follows that X could act on, and X is a noun too."""
    after = words[at + 1].low if at + 1 < len(words) else ""
    return words[at].low in NOUNS and (not after or after in STOPS or after in COORDINATORS or after in PREPOSITIONS)


def _scope(words: Sequence[Word], at: int, end: int) -> int:
    """Index after the last word that may belong to the verb at `at`, whose next verb stands at `end`."""
    stop = at + 1
    while stop < end and words[stop].low not in STOPS and words[stop].low not in SUBORDINATORS - {"by", "as", "that"}:
        stop += 1
    # What leads over to the next verb is not part of this one's.
    while (
        stop > at + 1
        and stop == end
        and end < len(words)
        and words[stop - 1].low in COORDINATORS | {"to", "by"} | ADVERBS - {"back", "together"}
    ):
        stop -= 1
        end = stop
    return stop
