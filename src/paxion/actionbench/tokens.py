"""Words of a caption with what each may be, looked up (nouns.py) or guessed by the ending, and which are verbs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from paxion.actionbench.nouns import Class, load_words

_TOKEN = re.compile(r"#+\w+|[^\W_]+(?:['\u2019-][^\W_]+)*|[^\w\s]")
# Plain numbers: tests on IntFlag members are ten times slower.
DETERMINER, PRONOUN, AUXILIARY, PREPOSITION, CONJUNCTION, ADVERB, KEEP, ADJECTIVE = (int(c) for c in list(Class)[:8])
PARTITIVE, VERB, SELDOM, PARTICIPLE, OBJECT, PERSON, OTHER, POSSESSIVE, NUMBER, TAG, STOP, UNKNOWN = (
    int(c) for c in list(Class)[8:]
)
NOUN = OBJECT | PERSON | OTHER
MODIFIER = KEEP | ADJECTIVE
LEFT = DETERMINER | POSSESSIVE | NUMBER
"""What a phrase starts with."""
_SURE = LEFT | MODIFIER
"""What makes the next word a noun rather than a verb."""
_BEFORE_VERB = CONJUNCTION | ADVERB | STOP
_GOES_ON = LEFT | MODIFIER | NOUN | PRONOUN | PREPOSITION | ADVERB | UNKNOWN
"""What may follow a verb that takes something."""
_CATENATIVES = frozenset(("continue", "keep", "start", "begin", "stop", "finish", "try"))
"""Verbs that hand over to the next one: "continue opening the bag"."""
_MOTIONS = frozenset(("roll", "slide", "swing", "fly", "shake", "spin", "drop", "sink", "park"))
"""Verbs that are also nouns, but seldom so after a noun: "a ball rolls"."""
_CAUSATIVES = frozenset(
    ("let", "lets", "letting", "make", "makes", "making", "see", "sees", "watch", "watches", "watching")
)
Token = tuple[str, int, int, int]
"""Lower-case word, start, end, classes."""


def tokenise(caption: str) -> list[Token]:
    """The words, tags and punctuation marks of a caption with their classes."""
    words = load_words()
    known, openings, nouns = words.classes, words.openings, words.nouns
    low = caption.lower()
    if len(low) != len(caption):  # A few capitals have a longer lower case.
        low = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in caption)
    tokens: list[Token] = []
    compounds: list[int] = []
    for match in _TOKEN.finditer(low):
        word = match[0]
        start, end = match.span()
        classes = known.get(word)
        if classes is None:
            classes = _guessed(word)
        if end - start == 1 and classes & (UNKNOWN | DETERMINER | PRONOUN) and _names(caption[start], tokens):
            classes = PERSON
        if word in openings:
            compounds.append(len(tokens))
        tokens.append((word, start, end, classes))
    # Nouns of several words become one token, the longest first: "washing up liquid", "chopping board".
    for at in reversed(compounds):
        for last in range(min(at + openings[tokens[at][0]], len(tokens)), at + 1, -1):
            joined = " ".join([token[0] for token in tokens[at:last]])
            if joined in nouns:
                noun = nouns[joined][0]
                classes = OBJECT if noun.is_object else PERSON if noun.is_person else OTHER
                tokens[at:last] = [(joined, tokens[at][1], tokens[last - 1][2], classes)]
                break
    return tokens


def _names(letter: str, before: Sequence[Token]) -> bool:
    """Whether a single letter is the name of a person in a narration: "#C C", "the man X", "C opens"."""
    if not before:
        return letter.isupper() and letter not in "AI"
    return bool(before[-1][3] & (TAG | PERSON)) and (letter.isupper() or letter not in "ai" or before[-1][3] == TAG)


@lru_cache(maxsize=65536)
def _guessed(word: str) -> int:
    """The classes of a word that no list has."""
    if word[0] == "#":
        return TAG
    if not word[0].isalnum():
        return STOP
    if word.isdigit():
        return NUMBER
    for mark in ("'s", "\u2019s"):
        if word.endswith(mark) and len(word) > len(mark):
            return POSSESSIVE
    known = load_words().classes
    first, hyphen, last = word.rpartition("-")
    if hyphen:
        if known.get(first, 0) & VERB and known.get(last, 0) & (PREPOSITION | ADVERB):
            return VERB
        if known.get(last, 0) & OBJECT:
            return OBJECT
        return ADJECTIVE
    if len(word) > 4 and word.endswith("ing"):
        return VERB | PARTICIPLE
    if len(word) > 3 and word.endswith("ed"):
        return VERB | PARTICIPLE
    if len(word) > 3 and word.endswith("ly"):
        return ADVERB
    if word.endswith(("tion", "sion", "ness", "ity", "ism", "ance", "ence", "ship", "ment")):
        return OTHER
    if len(word) > 4 and word.endswith(("ist", "ists", "man", "men")):
        return PERSON
    return UNKNOWN


def acts(tokens: Sequence[Token], at: int, verbs: set[int]) -> bool:
    """Whether a word that may be a verb is one here. verbs: the places of those before it."""
    word, _, _, classes = tokens[at]
    before = tokens[at - 1][3] if at else STOP
    after = tokens[at + 1][3] if at + 1 < len(tokens) else 0
    if classes & (PREPOSITION | ADVERB | DETERMINER | AUXILIARY):
        return False
    if not classes & (NOUN | ADJECTIVE | KEEP):
        # Only a participle, or a bare form spelled alike, stands between determiner and noun: "the boiling water".
        return not (before & LEFT and classes & PARTICIPLE and after & (NOUN | UNKNOWN | MODIFIER))
    previous = tokens[at - 1][0] if at else ""
    if at and at - 1 in verbs:
        return word.endswith("ing") and load_words().verbs.get(previous) in _CATENATIVES
    if (before & (PRONOUN | TAG | PERSON) and not before & DETERMINER) or previous == "to":
        return bool(after & _GOES_ON) or bool(before & PERSON) or (not classes & SELDOM and previous != "to")
    if before & _SURE and not before & (ADVERB | PRONOUN):
        return False
    if before & AUXILIARY:
        return bool(classes & PARTICIPLE) or not classes & (ADJECTIVE | KEEP | SELDOM)
    if classes & SELDOM:
        return False
    if before & _BEFORE_VERB:
        return bool(after & (_GOES_ON & ~PREPOSITION)) or (bool(after & PREPOSITION) and not before & CONJUNCTION)
    if before & (NOUN | UNKNOWN):
        if after & (PREPOSITION | ADVERB) and any(tokens[verb][0] in _CAUSATIVES for verb in verbs):
            return True  # "letting a can roll down"
        plural = load_words().nouns.get(previous, (None, False))[1]
        agrees = (word.endswith("s") and not word.endswith("ss")) != plural  # a cup falls, cups fall
        rolling = not after & ~(PREPOSITION | ADVERB | STOP) and load_words().verbs.get(word) in _MOTIONS
        if not after & NOUN and agrees and (plural or not classes & OBJECT or rolling):
            return True
        # "a cat licks the bowl", but "paint brushes on the table".
        return bool(after & (LEFT | PRONOUN)) and (word.endswith("s") or bool(classes & PARTICIPLE))
    return False
