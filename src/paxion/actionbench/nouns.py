"""The nouns of captions, their number and groups, and the classes of the words around them: data files, read once.

A noun belongs to a group ("handheld:container"), whose kind is what stands before the colon. Two nouns of one group may
name the same thing (cup, mug), two of different groups may not. Groups of the kinds in NO_OBJECTS name no objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag, auto
from functools import cache

from paxion.actionbench.inflection import form_index
from paxion.actionbench.lexicon import load_lexicon, rows

NO_OBJECTS = frozenset(("person", "body", "relation", "abstract"))
_PORTABLE = frozenset(("handheld", "worn", "food", "material"))


class Class(IntFlag):
    """What a word of a caption may be."""

    DETERMINER = auto()
    PRONOUN = auto()
    AUXILIARY = auto()
    PREPOSITION = auto()
    CONJUNCTION = auto()
    ADVERB = auto()
    KEEP = auto()
    """An adjective that goes with any object: colour, size, age."""
    ADJECTIVE = auto()
    PARTITIVE = auto()
    VERB = auto()
    SELDOM = auto()
    """A noun that is a verb only straight after a person: "he papers the wall"."""
    PARTICIPLE = auto()
    """A verb's form that may stand before a noun: "chopped", "boiling"."""
    OBJECT = auto()
    PERSON = auto()
    OTHER = auto()
    """A noun that names neither an object nor a person: "left", "hand", "song"."""
    POSSESSIVE = auto()
    NUMBER = auto()
    TAG = auto()
    STOP = auto()
    """A punctuation mark."""
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun of one or more words."""

    text: str
    """In the singular, unless it has only a plural."""
    number: str
    """count, mass, both, or plural (only)."""
    groups: tuple[str, ...]
    """What it is, then what it may also be taken for."""
    plural: str

    @property
    def is_object(self) -> bool:
        """Whether it names a thing that another thing may stand in for."""
        return kind(self.groups[0]) not in NO_OBJECTS

    @property
    def is_person(self) -> bool:
        """Whether it names a person."""
        return kind(self.groups[0]) == "person"


@dataclass(frozen=True, slots=True)
class Words:
    """All that is known of words."""

    classes: dict[str, int]
    """Word form to the classes it may have."""
    nouns: dict[str, tuple[Noun, bool]]
    """Noun form, of one or more words, to the noun and whether the form is its plural."""
    openings: dict[str, int]
    """First word of the nouns of several words, to the most words that such a noun has."""
    verbs: dict[str, str]
    """Verb form to the verb that it most likely comes from."""


@cache
def kind(group: str) -> str:
    """The kind of a group: "food" of "food:fruit"."""
    return group.partition(":")[0]


@cache
def same(group: str, other: str) -> bool:
    """Whether things of two groups may be the same thing. The generic group of a kind is all of its groups."""
    if group == other:
        return True
    return kind(group) == kind(other) and "generic" in (group.partition(":")[2], other.partition(":")[2])


def akin(group: str, other: str) -> bool:
    """Whether things of two groups are handled alike, so that one may stand for the other in a plausible caption."""
    first, second = kind(group), kind(other)
    return first == second or (first in _PORTABLE and second in _PORTABLE)


@cache
def pluralised(noun: str) -> str:
    """The regular plural of a noun; of several words the last one is inflected."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


@cache
def singularised(form: str) -> str:
    """The singular of the regular plural of a noun that the lexicon lacks, or the form itself."""
    if form.endswith("ies") and len(form) > 4:
        return form[:-3] + "y"
    if form.endswith(("ses", "xes", "zes", "ches", "shes")):
        return form[:-2]
    if form.endswith("s") and not form.endswith(("ss", "us", "is")) and len(form) > 3:
        return form[:-1]
    return form


@cache
def load_words() -> Words:
    """The shipped nouns and the words around them."""
    nouns: dict[str, tuple[Noun, bool]] = {}
    classes: dict[str, int] = {}
    openings: dict[str, int] = {}
    for noun in _nouns():
        forms = [(noun.text, noun.number == "plural")]
        if noun.number != "plural":
            forms.append((noun.plural, True))
        for form, plural in forms:
            # A form of one noun may be another noun: "glasses" are worn, "glass" is drunk from. The entry itself wins.
            if form not in nouns or form == noun.text:
                nouns[form] = (noun, plural)
            opening, *rest = form.split()
            if rest:
                openings[opening] = max(openings.get(opening, 0), len(rest) + 1)
    for form, (noun, _) in nouns.items():
        if " " not in form:
            found = Class.OBJECT if noun.is_object else Class.PERSON if noun.is_person else Class.OTHER
            classes[form] = classes.get(form, 0) | found
    verbs: dict[str, Class] = {}
    for name, word in rows("object_context.tsv"):
        if name in ("verb", "seldom"):
            verbs[word] = Class.VERB if name == "verb" else Class.VERB | Class.SELDOM
        else:
            classes[word] = classes.get(word, 0) | Class[name.upper()]
    for verb in {*load_lexicon().entries, *load_lexicon().motions} - {"be", "do", "have"}:
        is_noun = classes.get(verb, 0) & (Class.OBJECT | Class.PERSON | Class.OTHER)
        verbs.setdefault(verb, Class.VERB | Class.SELDOM if is_noun else Class.VERB)
    index = form_index(verbs)
    for form, sources in index.items():
        for verb, tag in sources:
            # Only the bare and the -s form look like a noun: "paper", "papers", but not "papering".
            seldom = tag in ("VB", "VBZ") and verbs[verb] & Class.SELDOM
            found = Class.VERB | (Class.SELDOM if seldom else 0) | (Class.PARTICIPLE if tag in ("VBG", "VBN") else 0)
            known = classes.get(form, 0)
            if known & Class.VERB and not seldom:
                known &= ~Class.SELDOM
            elif known & Class.VERB and not known & Class.SELDOM:
                found &= ~Class.SELDOM
            classes[form] = known | found
    bases = {form: sources[0][0] for form, sources in index.items()}
    return Words({form: int(found) for form, found in classes.items()}, nouns, openings, bases)


def _nouns() -> Iterator[Noun]:
    for text, number, groups, *plural in rows("objects.tsv"):
        form = plural[0] if plural else text if number == "plural" else pluralised(text)
        yield Noun(text, number, tuple(groups.split()), form)
