"""Which words of a caption are verbs, in which form, and which of them say what happens.

A rule for captions, not for English: narrations ("#C C picks up the knife"), instructions ("open drawer"), labels
("Pushing something from left to right") and plain sentences ("a man is opening a door"). Only verbs of the lexicon are
looked for. With the extra `nlp`, spaCy adds verbs of full sentences that the rules miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

from paxion.actionbench.classes import (
    ADVERBS,
    CATENATIVES,
    CAUSATIVES,
    COORDINATORS,
    GOT,
    PREPOSITIONS,
    STATES,
    STOPS,
    SUBORDINATORS,
)
from paxion.actionbench.inflection import form_index
from paxion.actionbench.lexicon import load_lexicon
from paxion.actionbench.tags import Place, Verb, seen_by, skip_adverbs, tag_of, word_before
from paxion.actionbench.words import Word

Tagger = Callable[[Sequence[Word]], Sequence[str]]
"""Gives a Penn tag for each word."""


@cache
def lexicon_forms() -> dict[str, list[tuple[str, str]]]:
    """Form to [(verb, tag)] for all verbs of the lexicon and the verbs that hand an action over."""
    lexicon = load_lexicon()
    verbs = dict.fromkeys([*lexicon.entries, *lexicon.motions, *CATENATIVES])
    return form_index(verb for verb in verbs if " " not in verb)


def find_verbs(words: Sequence[Word], tagger: Tagger | None = None) -> list[Verb]:
    """The verbs of a caption, in order. tagger: may add some that the rules miss; it never overrules them."""
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
        before = word_before(words, at)
        coordinated = at > 0 and words[skip_adverbs(words, at - 1)].low in COORDINATORS
        relative = not main and opened >= 0 and words[opened].low in ("who", "that", "which") and clause_verbs == 1
        tags_of = frozenset(tag for _, tag in options)
        after = words[at + 1].low if at + 1 < len(words) else ""
        place = Place(words, at, options, tags_of, before, after, clause_verbs, causative, coordinated, found)
        tag = tag_of(place)
        if tag is None and relative and before not in PREPOSITIONS:
            # "the man that opens the door closes the window": the second verb is the sentence's own.
            tag = tag_of(replace(place, clause_verbs=0))
            main = tag == "VBZ" or main
            tag = tag if tag == "VBZ" else None
        if tag is None and tags is not None and not (found and found[-1].at == at - 1):
            tag = seen_by(tags[at], low, after, options)
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


def _verb_follows(words: Sequence[Word], at: int, forms: Mapping[str, object]) -> bool:
    index = at + 1
    while index < len(words) and (words[index].low in ADVERBS or words[index].low == ","):
        index += 1
    return index < len(words) and words[index].low in forms


def _is_object_that(words: Sequence[Word], at: int) -> bool:
    """ "that" before a noun, a pronoun like "this"; "so" and "as" inside "so that" count once."""
    return words[at].low == "that" and at > 0 and words[at - 1].low in PREPOSITIONS


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
