"""The objects that a replaced caption may name instead, and how likely each is drawn.

A foil must not be told from a caption by its words. Drawing groups or objects evenly makes rare objects frequent in
foils, and a word count finds them. Here the objects are drawn so that each is as frequent in foils as in captions: the
pairs (true group, foil group) get a joint distribution with the counted shares of the groups on both sides and nothing
where the two groups could name the same thing. It is a symmetric matrix, scaled by iterated proportional fitting;
within the foil group an object is drawn by its count. That is exact as long as no group (with those it may be taken
for) holds more than half of all counts, and as long as the counted phrases are those that are replaced. Singular,
plural and mass objects are drawn apart, since the number of the phrase is kept. So are the objects of each verb or
preposition that is used often enough ("open", "into"): then the pair of verb and object tells nothing either.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np

from paxion.actionbench.nouns import akin, load_words, pluralised, same
from paxion.actionbench.phrases import Phrase, phrase_of
from paxion.records import PaxionError

NUMBERS = ("singular", "plural", "mass")
UNKNOWN = "unknown"
_ACRONYMS = frozenset(("TV", "CD", "DVD", "USB", "PC", "LED", "ATM", "SUV", "ATV", "VR", "RV", "BBQ", "UFO"))
_OTHER_HANDLING = 0.2
"""Weight of pairs of groups that are not handled alike, against 1: "pours oil" becomes "pours flour" more often than
"pours sand", but any object may come."""
_ROUNDS = 300
_OFTEN = 40
"""Uses of a verb or preposition from which on its objects are drawn apart."""
_CLOSE = 0.01
"""How far the shares of a group in foils may be from those in captions for that."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a vocabulary."""

    text: str
    """As it is put into a caption, in its number: "red wine", "pieces of paper"."""
    other: str | None
    """In the other number; None for a mass noun."""
    head: str
    number: str
    """singular, plural or mass."""
    groups: tuple[str, ...]
    """What it is, then what it may be taken for; ("unknown:HEAD",) where the lexicon does not know it."""

    def form(self, number: str) -> str:
        """The words in a number."""
        return self.text if number == self.number or self.other is None else self.other


@dataclass(frozen=True, slots=True)
class _Table:
    """The entries of one number, by group, with the chances to draw them."""

    groups: tuple[str, ...]
    chances: dict[str, tuple[float, ...]]
    """Of each true group: cumulative chances of the foil groups, in the order of `groups`."""
    shares: tuple[float, ...]
    entries: dict[str, tuple[Entry, ...]]
    counts: dict[str, tuple[int, ...]]
    """Cumulative, in the order of `entries`."""
    error: float
    """How far the share of a group in foils may be from its share in captions."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Objects to draw from. Made by `objects.learn_vocabulary`, `read_vocabulary` or `built_in_vocabulary`."""

    entries: tuple[Entry, ...]
    tables: dict[tuple[str, str], _Table]
    """By governor ("" for all that have no table of their own) and number."""

    def draw(self, group: str, number: str, governor: str, chance: Callable[[int], float]) -> Iterator[Entry]:
        """Objects for a true object of a group beside a verb, one after the other until the caller takes one.

        chance: the n-th number of this draw, in [0, 1). Not all that come fit (where the vocabulary lacks the group,
        or the object is taken for several): the caller looks.
        """
        attempt = 0
        for name in dict.fromkeys((governor, "")):
            table = self.tables.get((name, number))
            if table is None:
                continue
            cumulative = table.chances.get(_pooled(group), table.shares)
            if cumulative[-1] <= 0:
                cumulative = table.shares
            for _ in range(24):
                drawn = table.groups[_place(cumulative, chance(attempt))]
                yield table.entries[drawn][_place(table.counts[drawn], chance(attempt + 1))]
                attempt += 2


def vocabulary_of(phrases: Iterable[tuple[str, ...]]) -> Vocabulary:
    """The vocabulary of the object phrases of captions ("a red cup", "2 coins"), one tuple a caption, read once.

    Persons, body parts, sides and events are left out. Raises PaxionError when no object is among them.
    For the foils of a data set, `objects.learn_vocabulary` is better: it also knows the verbs.
    """
    return count_uses((phrase, "") for found in phrases for phrase in found)


def count_uses(uses: Iterable[tuple[str, str]]) -> Vocabulary:
    """The vocabulary of (object phrase, verb or preposition that it goes with), read once.

    Raises PaxionError when no object is among them.
    """
    return _vocabulary(Counter(uses))


def read_vocabulary(path: Path | str) -> Vocabulary:
    """The vocabulary of a list file: one object a line, blank lines left out; an object named twice counts twice.

    Raises PaxionError when the file cannot be read or names no object.
    """
    path = Path(path)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PaxionError(f"cannot read {path}: {reason}; expected a list of objects, one a line, in UTF-8") from None
    counts = Counter((line.strip(), "") for line in lines if line.strip())
    try:
        return _vocabulary(counts)
    except PaxionError as error:
        raise PaxionError(f"{path}: {error}") from None


@cache
def built_in_vocabulary() -> Vocabulary:
    """The objects of the shipped lexicon, each counted once. Frequencies cannot match: prefer the data set's own."""
    nouns = {noun.text: noun for noun, _ in load_words().nouns.values() if noun.is_object}
    texts = [noun.text for noun in nouns.values() if not noun.groups[0].endswith(":generic")]
    texts += [noun.plural for noun in nouns.values() if noun.number in ("count", "both")]
    return vocabulary_of([tuple(texts)])


def _vocabulary(counts: Counter[tuple[str, str]]) -> Vocabulary:
    used: dict[str, Counter[Entry]] = {}
    totals: Counter[Entry] = Counter()
    for (text, governor), count in counts.items():
        entry = _entry(text)
        if entry is not None:
            used.setdefault(governor, Counter())[entry] += count
            totals[entry] += count
    # An unknown word that occurs once is as likely a misspelling as an object.
    kept = {
        entry
        for entry, count in totals.items()
        if count > 1 or not entry.groups[0].startswith(UNKNOWN) or len(totals) < 2
    }
    if not kept:
        raise PaxionError(
            f"got {len(counts)} phrases that name no objects, expected some such as 'a red cup'; "
            "give a list of objects, or leave the vocabulary out for the built-in one"
        )
    tables: dict[tuple[str, str], _Table] = {}
    for number in NUMBERS:
        rest: Counter[Entry] = Counter()
        for governor, entries in sorted(used.items()):
            part = Counter(
                {entry: count for entry, count in entries.items() if entry in kept and entry.number == number}
            )
            table = _table(part) if governor and part.total() >= _OFTEN else None
            if table is not None and table.error <= _CLOSE:
                tables[governor, number] = table
            else:
                rest += part
        # Without a rest, what no verb allows is drawn from all.
        rest = rest or Counter({entry: totals[entry] for entry in kept if entry.number == number})
        if rest:
            tables["", number] = _table(rest)
    return Vocabulary(tuple(sorted(kept, key=_order)), tables)


@lru_cache(maxsize=65536)
def _entry(text: str) -> Entry | None:
    """The entry that a phrase gives."""
    phrase = phrase_of(text)
    if phrase is None or not phrase.is_object or phrase.groups[0] == "relation:generic":
        return None
    # Words that only fit the caption they stand in are left behind: "the closed drawer on the right".
    start, end = (phrase.core, phrase.end) if phrase.plain else (phrase.head_start, phrase.head_end)
    words = " ".join(word if word in _ACRONYMS else word.lower() for word in text[start:end].split())
    noun = phrase.noun
    if noun is not None and noun.text == phrase.head and noun.number == "mass" and phrase.number == "singular":
        return Entry(words, None, phrase.head, "mass", phrase.groups)  # "a garbage" is a slip.
    return Entry(words, _other(phrase, text, start, end), phrase.head, phrase.number, phrase.groups)


def _other(phrase: Phrase, text: str, start: int, end: int) -> str | None:
    """The phrase in the other number."""
    if phrase.number == "mass":
        return None
    before, head, after = (
        part.lower()
        for part in (
            text[start : phrase.head_start],
            text[phrase.head_start : phrase.head_end],
            text[phrase.head_end : end],
        )
    )
    found = load_words().nouns.get(head)
    if phrase.number == "singular":
        turned = found[0].plural if found is not None else pluralised(head)
    elif found is not None and found[0].number == "plural":
        return None  # scissors
    else:
        turned = found[0].text if found is not None else phrase.head
    return " ".join((before + turned + after).split())


def _table(counted: Counter[Entry]) -> _Table:
    by_group: dict[str, list[Entry]] = {}
    for entry in counted:
        by_group.setdefault(_pooled(entry.groups[0]), []).append(entry)
    groups = tuple(sorted(by_group))
    members = {group: tuple(sorted(by_group[group], key=_order)) for group in groups}
    counts = {group: tuple(accumulate(counted[entry] for entry in members[group])) for group in groups}
    shares = np.array([counts[group][-1] for group in groups], dtype=np.float64)
    shares /= shares.sum()
    joint = coupling(shares, _allowed(groups))
    chances = {group: tuple(accumulate(map(float, row))) for group, row in zip(groups, joint, strict=True)}
    error = float(np.abs(joint.sum(0) - shares).max())
    return _Table(groups, chances, tuple(accumulate(map(float, shares))), members, counts, error)


def _order(entry: Entry) -> tuple[str, ...]:
    return entry.text, entry.number, entry.head, *entry.groups


def _allowed(groups: tuple[str, ...]) -> np.ndarray:
    """(G, G) how well an object of one group may stand for one of another; 0 where it may not."""
    return np.array([[0.0 if same(a, b) else 1.0 if akin(a, b) else _OTHER_HANDLING for b in groups] for a in groups])


def coupling(shares: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """A joint distribution (G, G) with `shares` (G,) as both of its marginals, 0 where the symmetric `allowed` is.

    Symmetric iterated proportional fitting (Sinkhorn). Where no such distribution exists (one group has more than half
    of all, or has nothing that it may be paired with), the rows come as near as they can.
    """
    scale = np.ones(len(shares))
    for _ in range(_ROUNDS):
        reached = allowed @ scale
        # The root damps the two-step swings of the symmetric iteration.
        scale = np.sqrt(scale * np.divide(shares, reached, out=np.zeros_like(shares), where=reached > 0))
        # Without a solution, some factors would grow for ever while others vanish.
        scale = np.minimum(scale, 1e100)
    joint: np.ndarray = scale[:, None] * allowed * scale
    return joint


def _pooled(group: str) -> str:
    """Unknown heads are one group for drawing: what is unknown never replaces what is unknown."""
    return UNKNOWN if group.startswith(UNKNOWN) else group


def _place(cumulative: tuple[float, ...] | tuple[int, ...], chance: float) -> int:
    return min(bisect_right(cumulative, chance * cumulative[-1]), len(cumulative) - 1)
