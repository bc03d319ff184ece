"""The lexicon of opposites: data files, read once, and the small rules by which a line of them is to be understood.

A frame is a verb with the function words that it governs: "put ... down ... on". Its opposite is another frame with as
many places, so that each word of the one has its counterpart in the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal, cast

from paxion.actionbench.words import split_words

PLACE = "@place"
"""A place whose preposition depends on what follows it: in the bag, on the table, to the woman."""
Reversed = Literal["none", "same"]


@dataclass(frozen=True, slots=True)
class Frame:
    """A verb (base form) and the function words that go with it, each of one or more words."""

    verb: str
    places: tuple[str | None, ...] = ()
    """A plus: the word stands right behind the verb ("get +on" a bus). A dollar: no object follows ("get +out$"). None:
    the counterpart's word is dropped."""

    def __str__(self) -> str:
        """The verb and its places, for notes: "put … on"."""
        return " … ".join([self.verb, *(place or "-" for place in self.places)]).replace(" … +", " ").replace("$", "")


@dataclass(frozen=True)
class Entry:
    """What is the opposite of a frame, what its reversal shows, and why."""

    frame: Frame
    opposite: Frame | None
    """None: it has none; `why` says the reason."""
    reversed: Frame | Reversed
    """What the clip played backwards shows. "same": the caption still holds. "none": nothing that has a name."""
    symmetric: bool
    """The opposite's opposite is this frame."""
    why: str
    source: Literal["curated", "wordnet"] = "curated"

    @cached_property
    def phrases(self) -> tuple[tuple[str, ...], ...]:
        """The words of each place of the frame."""
        return tuple(tuple(place.strip("+$").split()) for place in self.frame.places if place)

    @cached_property
    def adjacent(self) -> bool:
        """The first place stands right behind the verb."""
        return bool(self.frame.places) and (self.frame.places[0] or "").startswith("+")

    @cached_property
    def final(self) -> bool:
        """No object follows the last place."""
        return bool(self.frame.places) and (self.frame.places[-1] or "").endswith("$")


@dataclass(frozen=True, slots=True)
class Contrast:
    """A wording of how an action ends, and one that excludes it."""

    words: tuple[str, ...]
    opposite: str | None
    first: bool
    """Looked for before the verbs; else only when no verb could be turned round."""
    reversed: Literal["=", "same", "none", "unknown"]
    """What the clip played backwards shows: the opposite, the same, something without a name, or it is not known."""
    why: str


@dataclass(frozen=True, slots=True)
class Direction:
    """A direction beside a verb of motion."""

    words: tuple[str, ...]
    opposite: str
    needs_goal: bool
    """Something must follow that it leads to: "into" the box."""
    why: str


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All that is known of opposites."""

    entries: dict[str, tuple[Entry, ...]]
    """By verb, the most specific first."""
    motions: dict[str, str]
    """Verbs of motion: "=" or the verb that the reversed clip shows, or "none"."""
    directions: tuple[Direction, ...]
    """The longest first."""
    contrasts: tuple[Contrast, ...]
    """The longest first."""
    idioms: dict[tuple[str, str], str]
    """(verb, noun of its object): why they have no opposite together."""


@cache
def load_lexicon() -> Lexicon:
    """The shipped lexicon; the curated lines win over those from WordNet."""
    entries: dict[Frame, Entry] = {}
    mirrored: list[Entry] = []
    for line in rows("frames.tsv"):
        for entry, back in _entries(*line):
            entries.setdefault(entry.frame, entry)
            mirrored += [back] if back else []
    for back in mirrored:
        entries.setdefault(back.frame, back)
    curated = {frame.verb for frame in entries}
    for entry in _wordnet():
        if entry.frame.verb not in curated:
            entries.setdefault(entry.frame, entry)
    by_verb: dict[str, list[Entry]] = {}
    for entry in entries.values():
        by_verb.setdefault(entry.frame.verb, []).append(entry)
    return Lexicon(
        {verb: tuple(sorted(found, key=_specificity)) for verb, found in by_verb.items()},
        _motions(),
        tuple(sorted(_directions(), key=lambda direction: -len(direction.words))),
        tuple(sorted(_contrasts(), key=lambda contrast: -len(contrast.words))),
        {(verb, noun): why for verb, nouns, why in rows("idioms.tsv") for noun in nouns.split()},
    )


def rows(name: str) -> Iterator[list[str]]:
    """The cells of each line of a data file of the lexicon; comments are left out."""
    text = (files("paxion.actionbench") / "lexicon" / name).read_text("utf-8")
    return (line.split("\t") for line in text.splitlines() if line.strip() and not line.startswith("#"))


@cache
def word_class(name: str) -> frozenset[str]:
    """The words of a class of classes.tsv."""
    return next(frozenset(words.split()) for known, words, _ in rows("classes.tsv") if known == name)


def _specificity(entry: Entry) -> tuple[int, int]:
    places = [place for place in entry.frame.places if place]
    return -len(places), -sum(len(place.split()) for place in places)


def _entries(left: str, right: str, symmetric: str, played_back: str, why: str) -> Iterator[tuple[Entry, Entry | None]]:
    """The entries of one line of frames.tsv, each with its mirror when the line holds in both directions."""
    left_heads, left_places = _cells(left)
    right_heads, right_places = ([], []) if right == "-" else _cells(right)
    for number, head in enumerate(left_heads):
        frame = _frame(head, left_places)
        if not right_heads:
            yield Entry(frame, None, "same" if played_back == "same" else "none", False, why), None
            continue
        # The same alternatives on both sides answer one another; else the first one answers for all.
        other = right_heads[number] if len(right_heads) == len(left_heads) > 1 else right_heads[0]
        opposite = _counterpart(head, other, left_places, right_places)
        mutual = symmetric == "yes" and (number == 0 or other == head)
        mirror = None
        if mutual:
            back = _counterpart(other, head, right_places, left_places)
            mirror_frame = _frame(other, right_places)
            # What stands right behind the verb does so on both sides: "get on a bus", "get off a bus".
            if left_places[:1] and left_places[0].startswith("+") and mirror_frame.places:
                first, *more = mirror_frame.places
                mirror_frame = Frame(mirror_frame.verb, (f"+{first}", *more))
            mirror = Entry(mirror_frame, back, _reversal(played_back, back, mirrored=True), True, why)
        yield Entry(frame, opposite, _reversal(played_back, opposite, mirrored=False), mutual, why), mirror


def _cells(text: str) -> tuple[list[str], list[str]]:
    """("put|place", "down on_top_of") as heads and places, underscores turned into spaces."""
    heads, *places = text.split()
    return [head.replace("_", " ") for head in heads.split("|")], [place.replace("_", " ") for place in places]


def _frame(head: str, places: list[str]) -> Frame:
    """A frame to look for. The further words of a head ("climb up") are looked for as its first place."""
    verb, _, rest = head.partition(" ")
    return Frame(verb, tuple([rest] if rest else []) + tuple(place for place in places if place != "-"))


def _counterpart(head: str, other: str, places: list[str], others: list[str]) -> Frame:
    """The opposite of `head places`: as many places as `_frame(head, places)` has."""
    kept: list[str | None] = [None] if " " in head else []
    extra = ""
    for place, answer in zip(places, others, strict=True):
        if place != "-":
            kept.append(None if answer == "-" else answer.strip("+$"))
        else:
            extra += " " + answer
    return Frame(other + extra, tuple(kept))


def _reversal(cell: str, opposite: Frame, mirrored: bool) -> Frame | Reversed:
    if cell == "=":
        return opposite
    if cell in ("none", "same"):
        return "none" if cell == "none" else "same"
    # A frame is stated for the left side only.
    if mirrored:
        return "none"
    heads, places = _cells(cell)
    return Frame(heads[0], tuple(place.strip("+$") for place in places))


def _wordnet() -> Iterator[Entry]:
    """The pairs of WordNet that were kept: bare verbs, without the words that they may govern."""
    columns = ("verb", "antonym", "keep", "reversal", "why")
    kept = [dict(zip(columns, row, strict=False)) for row in rows("wordnet.tsv")]
    kept = [pair for pair in kept if pair["keep"] == "yes"]
    opposites = {pair["verb"]: pair["antonym"] for pair in kept}
    for pair in kept:
        verb, other = pair["verb"].replace("_", " "), pair["antonym"].replace("_", " ")
        frame, opposite = _frame(verb, []), _counterpart(verb, other, [], [])
        back: Frame | Reversed = (
            opposite if pair["reversal"] == "yes" else "same" if pair["reversal"] == "same" else "none"
        )
        symmetric = opposites.get(pair["antonym"]) == pair["verb"]
        yield Entry(frame, opposite, back, symmetric, pair["why"], "wordnet")


def _motions() -> dict[str, str]:
    motions: dict[str, str] = {}
    for heads, played_back, _ in rows("motions.tsv"):
        for verb in heads.split("|"):
            motions.setdefault(verb, played_back)
    return motions


def _directions() -> Iterator[Direction]:
    seen = set()
    for mirror in (False, True):
        for left, right, kind, why in rows("directions.tsv"):
            words, opposite = (right, left) if mirror else (left, right)
            if words not in seen:
                seen.add(words)
                yield Direction(tuple(words.split("_")), opposite.replace("_", " "), kind == "path", why)


def _contrasts() -> Iterator[Contrast]:
    for wording, opposite, when, symmetric, shown, why in rows("contrasts.tsv"):
        first = when == "first"
        back = cast(Literal["=", "same", "none", "unknown"], shown)
        yield Contrast(_low(wording), None if opposite == "-" else opposite, first, back, why)
        if symmetric == "yes":
            holds = shown == "=" or (shown == "same" and not first)
            yield Contrast(_low(opposite), wording, first, back if holds else "unknown", why)


def _low(text: str) -> tuple[str, ...]:
    return tuple(word.low for word in split_words(text))
