"""Noun phrases of a caption, found by rule: determiner, modifiers, head, and the part that the phrase plays.

No parser: the words are known (nouns.py) or guessed by their ending, and a phrase ends where a word cannot belong to
it. Captions are simple sentences, instructions ("open drawer"), labels ("Pen falling off table") and narrations
("#C C opens tap").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paxion.actionbench.nouns import NO_OBJECTS, Noun, kind, load_words, singularised
from paxion.actionbench.roles import AMOUNT, number_of, role_of
from paxion.actionbench.tokens import (
    ADVERB,
    CONJUNCTION,
    KEEP,
    LEFT,
    MODIFIER,
    NOUN,
    NUMBER,
    OBJECT,
    OTHER,
    PARTICIPLE,
    PARTITIVE,
    PERSON,
    POSSESSIVE,
    PREPOSITION,
    PRONOUN,
    SELDOM,
    STOP,
    UNKNOWN,
    VERB,
    Token,
    acts,
    tokenise,
)

_MEASURES = frozenset(
    ("piece", "pieces", "slice", "slices", "sheet", "sheets", "strip", "strips", "drop", "drops", "chunk", "chunks")
)
"""Of something they are one thing: a piece of paper is replaced by a cup, not by a piece of rice."""


@dataclass(slots=True)  # Not frozen: three are made for each caption, and that would double the time for them.
class Phrase:
    """A noun phrase: caption[start:end]. Its core, caption[core:end], is what another object's words may replace."""

    start: int
    core: int
    """After determiners, possessives, numbers, and adjectives that go with any object."""
    end: int
    head: str
    """The head noun in the singular, lower case."""
    noun: Noun | None
    """None: the lexicon does not know the head."""
    head_start: int
    """Where the words of the head noun are: a compound counts as one."""
    head_end: int
    number: str
    """singular, plural or mass."""
    groups: tuple[str, ...]
    """Of the head; of a measure or a part ("cup of tea") also of what it is of. "unknown:HEAD" where unknown."""
    article: tuple[int, int] | None
    """Place of an "a" or "an" that stands right before the core."""
    counted: bool
    """A number word or "both" stands before it."""
    role: str
    """direct, subject or prepositional."""
    governor: str
    """What the phrase is an object of: the verb, with its particle, or the preposition; "" for a subject."""
    plain: bool
    """All words of the core are known nouns and adjectives, so that the core may be used in another caption."""

    @property
    def is_object(self) -> bool:
        """Whether it names a thing, not a person, part of the body, side, or event."""
        return kind(self.groups[0]) not in NO_OBJECTS or self.groups[0] == "relation:generic"


_NOTHING = ("subject", "")
_DEEPEST = 3
"""A door of a car of a man of ... is followed no further."""


def find_phrases(tokens: Sequence[Token]) -> tuple[list[Phrase], set[int]]:
    """The noun phrases of a caption's tokens, in order, and the places of its verbs among the tokens.

    Phrases of persons, body parts, sides and events are among them.
    """
    phrases: list[Phrase] = []
    verbs: set[int] = set()
    at, last_end, last = 0, -1, _NOTHING
    while at < len(tokens):
        classes = tokens[at][3]
        unlisted = at == last_end and tokens[at - 1][3] & PERSON and at + 1 < len(tokens)
        if (classes & VERB and acts(tokens, at, verbs)) or (
            unlisted and classes & NOUN and _seems_verb(tokens[at][0], tokens[at + 1][3])
        ):
            verbs.add(at)
            at += 1
            continue
        stop, phrase = _phrase(tokens, at, verbs, last_end, last)
        if phrase is not None:
            phrases.append(phrase)
            last_end, last = stop, (phrase.role, phrase.governor)
        at = max(stop, at + 1)
    return phrases, verbs


def named_phrase(tokens: Sequence[Token], verbs: set[int], start: int, end: int) -> Phrase | None:
    """The phrase that an annotation names as an object, at caption[start:end]; determiners before it are taken along.

    All words after determiners and colours are its core: "a cup full of water" is one object, a cup.
    """
    inside = [at for at, token in enumerate(tokens) if token[2] > start and token[1] < end]
    if not inside:
        return None
    first = inside[0]
    while first and tokens[first - 1][3] & LEFT and not tokens[first - 1][3] & NOUN:
        first -= 1
    last = inside[-1] + 1
    if last < len(tokens) and tokens[last][0] == "of":  # The annotation says "cup", the caption "cup of tea".
        _, whole = _phrase(tokens, first, verbs, -1, _NOTHING)
        if whole is not None and whole.head_end == tokens[last - 1][2]:
            return whole
    return _phrase(tokens[:last], first, verbs, -1, _NOTHING, named=True)[1]


def phrase_of(text: str) -> Phrase | None:
    """The phrase that a text is, such as a line of a list of objects."""
    return named_phrase(tokenise(text), set(), 0, len(text))


def _phrase(
    tokens: Sequence[Token],
    first: int,
    verbs: set[int],
    last_end: int,
    last: tuple[str, str],
    named: bool = False,
    depth: int = 0,
) -> tuple[int, Phrase | None]:
    """The phrase that starts at a token, if any, and the token after it. depth: of phrases that this one is part of."""
    size = len(tokens)
    at, determiner, counted = first, "", False
    while at < size:  # Determiners, and what stands among them.
        word, _, _, classes = tokens[at]
        if classes & POSSESSIVE or (classes & LEFT and not classes & NOUN):
            counted = counted or bool(classes & NUMBER) or word in ("both", "several", "few", "many")
            determiner = word
            at += 1
        elif determiner and word == "of" and at + 1 < size and tokens[at + 1][3] & LEFT:
            at += 1  # all of the, one of his
        else:
            break
    opened = at > first
    core = at
    nominal = unknown = -1
    plain = leading = True
    while at < size:
        word, _, _, classes = tokens[at]
        following = tokens[at + 1][3] if at + 1 < size else 0
        if (
            classes & KEEP
            and nominal < 0
            and (opened or not classes & VERB or classes & SELDOM)
            and (following & (NOUN | UNKNOWN) or not classes & NOUN or _joined(tokens, at + 1))
        ):
            if leading:
                core = at + 1
        elif nominal >= 0 and classes & (ADVERB | PREPOSITION) and not classes & OBJECT:
            break  # "put the board back"
        elif classes & NOUN and not (at > first and classes & VERB and not named and acts(tokens, at, verbs)):
            if nominal >= 0 and tokens[nominal][3] & PERSON and (classes & VERB or _seems_verb(word, following)):
                break
            nominal, leading = at, False
        elif classes & MODIFIER and nominal < 0 and not (classes & VERB and not opened and not leading):
            leading = False  # A verb spelled like an adjective opens no phrase: "open drawer".
        elif (
            classes & MODIFIER
            and nominal >= 0
            and following & OBJECT
            and not classes & VERB
            and not (tokens[nominal][3] & PERSON)
        ):
            plain = False  # "the coffee hot water"
        elif nominal < 0 and opened and classes & PARTICIPLE and following & (NOUN | UNKNOWN | MODIFIER):
            plain = leading = False
        elif classes & UNKNOWN and not (nominal >= 0 and tokens[nominal][3] & (PERSON | OTHER) and not named):
            if (
                nominal >= 0
                and not named
                and (following & (LEFT | PRONOUN) or (word.endswith("s") and not word.endswith("ss")))
            ):
                break  # A verb that no list has.
            plain, leading, unknown = False, False, at
        elif classes & POSSESSIVE and (nominal >= 0 or opened):
            opened, core, nominal, unknown, leading, plain = True, at + 1, -1, -1, True, True
        elif classes & (CONJUNCTION | STOP) and word in ("and", ",") and nominal < 0 and at > first:
            if not (tokens[at - 1][3] & MODIFIER and _joined(tokens, at)):
                break
            if leading and core == at:
                core = at + 1
        else:
            break
        at += 1
    head = max(nominal, unknown)
    if unknown > nominal and not named:
        direct = first > 0 and (first - 1) in verbs
        if not opened and nominal < 0 and not (direct and head == first):
            return max(at, first + 1), None
    if head < 0:
        if not named:
            return max(at, first + 1), None
        head = size - 1
        while head > first and tokens[head][3] & STOP:
            head -= 1
        core = min(core, head)
    return _finished(tokens, first, core, head, determiner, counted, verbs, last_end, last, plain, named, depth)


def _joined(tokens: Sequence[Token], at: int) -> bool:
    """Whether an adjective follows after "and" or a comma at this place: "a black and white cup"."""
    if at + 1 >= len(tokens) or tokens[at][0] not in ("and", ","):
        return False
    after = tokens[at + 1][3]
    return bool(after & MODIFIER) and not after & VERB


def _seems_verb(word: str, following: int) -> bool:
    """Whether what looks like a plural noun after a person is a verb that no list has: "a man racks a pistol"."""
    return word.endswith("s") and bool(following & LEFT)


def _finished(
    tokens: Sequence[Token],
    first: int,
    core: int,
    head: int,
    determiner: str,
    counted: bool,
    verbs: set[int],
    last_end: int,
    last: tuple[str, str],
    plain: bool,
    named: bool,
    depth: int,
) -> tuple[int, Phrase]:
    """The phrase whose first and head tokens are found: its noun, number, groups, part and what it is of."""
    words = load_words()
    size, stop = len(tokens), head + 1
    word = tokens[head][0]
    found = words.nouns.get(word)
    if found is None and "-" in word:
        found = words.nouns.get(word.replace("-", " ")) or words.nouns.get(word.rpartition("-")[2])
    core = min(core, head)
    if found is not None:
        noun, plural = found
        text, groups = noun.text, noun.groups
        number = number_of(noun, plural, determiner)
    else:
        noun, text = None, singularised(word)
        number = "plural" if text != word else "singular"
        if number == "singular" and (determiner in AMOUNT or (not determiner and not named and _has_article(tokens))):
            number = "mass"  # "applies concealer to a cheek"; in "apply concealer" it may be anything.
        guessed = {PERSON: "person:person", OTHER: "abstract:activity"}
        groups = (guessed.get(tokens[head][3], f"unknown:{text}"),)
    role, governor = role_of(tokens, first, verbs, last_end, last)
    if stop + 1 < size and tokens[stop][0] == "of" and noun is not None and depth < _DEEPEST:
        measure = word in _MEASURES
        if (measure or noun.is_object) and groups[0] not in ("place:building", "place:outdoor"):
            inner_stop, inner = _phrase(tokens, stop + 1, verbs, -1, _NOTHING, named, depth + 1)
            if inner is not None:
                partitive = tokens[head][3] & PARTITIVE and not tokens[stop + 1][3] & LEFT
                plain = plain and inner.plain and bool(partitive)
                if inner.is_object:
                    groups = tuple(dict.fromkeys(inner.groups + groups if measure else groups + inner.groups))
                    noun = inner.noun if measure else noun
                stop = inner_stop
    inside = tokens[core:head]
    if inside:
        # What a compound is made of or for is too near to it: "cereal box", "toy duck".
        parts = [words.nouns[token[0]][0] for token in inside if token[3] & OBJECT and token[0] in words.nouns]
        if inside[-1][0] == "toy":
            groups, number = ("handheld:toy", *groups), "singular" if number == "mass" else number
        groups = tuple(dict.fromkeys([*groups, *(part.groups[0] for part in parts)]))
        # A chain of nouns, a plural before the head, or a side is seldom a name that fits another caption. And a bare
        # noun at the start may have been a verb: "salt food".
        bare_verb = not determiner and first == 0 and inside[0][3] & SELDOM
        if len(inside) > 2 or bare_verb or any(_unfit(token[0]) for token in inside):
            plain = False
    if named:
        while stop < size and tokens[size - 1][0] in ".,;:!?":
            size -= 1
        plain = plain and stop == size
        stop = size
    before = tokens[core - 1] if core > first else None
    article = (before[1], before[2]) if before is not None and before[0] in ("a", "an") else None
    phrase = Phrase(
        tokens[first][1],
        tokens[core][1],
        tokens[stop - 1][2],
        text,
        noun,
        tokens[head][1],
        tokens[head][2],
        number,
        groups,
        article,
        counted,
        role,
        governor,
        plain,
    )
    return stop, phrase


def _has_article(tokens: Sequence[Token]) -> bool:
    return any(token[0] in ("a", "an", "the") for token in tokens)


def _unfit(word: str) -> bool:
    found = load_words().nouns.get(word)
    return found is not None and ((found[1] and found[0].number != "plural") or found[0].groups[0] == "relation:side")
