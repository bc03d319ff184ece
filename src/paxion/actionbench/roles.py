"""The part that a noun phrase plays, and its number: by the words before it."""

from __future__ import annotations

from collections.abc import Sequence

from paxion.actionbench.nouns import Noun, load_words
from paxion.actionbench.tokens import ADVERB, CONJUNCTION, PREPOSITION, PRONOUN, STOP, Token

_SINGULAR = frozenset(("a", "an", "one", "another", "each", "every", "either", "neither"))
AMOUNT = frozenset(("some", "any", "more", "much", "no", "enough", "less", "all", "most", "half"))
_PARTICLES = frozenset(("up", "down", "out", "off", "away", "back", "apart", "together", "aside"))
_SWITCHING = frozenset(
    ("put", "puts", "putting", "turn", "turns", "turning", "turned", "switch", "switches", "switching", "switched")
)
"""Verbs after which "on" and "in" belong to the verb: "puts on a hat"."""


def number_of(noun: Noun, plural: bool, determiner: str) -> str:
    """singular, plural or mass, by the form of the noun and its determiner."""
    if plural:
        return "plural"
    if noun.number == "count" or determiner in _SINGULAR:
        return "singular"
    if noun.number == "mass" or not determiner or determiner in AMOUNT:
        return "mass"
    return "singular"


def role_of(
    tokens: Sequence[Token], first: int, verbs: set[int], last_end: int, last: tuple[str, str]
) -> tuple[str, str]:
    """The part of a phrase and what governs it, by the word before it. last: those of the phrase before."""
    at = first - 1
    while at >= 0 and at not in verbs and tokens[at][3] & ADVERB and tokens[at][0] not in _PARTICLES:
        at -= 1
    if at < 0:
        return "subject", ""
    word, _, _, classes = tokens[at]
    if at in verbs:
        return "direct", _base(word)
    if word == "of" and at == last_end:
        return last  # a pair of scissors
    if classes & (PREPOSITION | ADVERB):
        before = tokens[at - 1][0] if at else ""
        if at - 1 in verbs and (word in _PARTICLES or (word == "on" and before in _SWITCHING)):
            return "direct", f"{_base(before)} {word}"
        return "prepositional", word
    if at + 1 == last_end:
        return ("direct", "") if last[0] != "prepositional" else last
    if classes & (CONJUNCTION | STOP) and at == last_end:
        return last
    return ("direct", _base(tokens[at - 1][0])) if classes & PRONOUN and at - 1 in verbs else ("subject", "")


def _base(verb: str) -> str:
    return load_words().verbs.get(verb, verb)
