"""Object replacement: the foil of a caption that names another object, of another group, where its object stood."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from paxion.actionbench.nouns import kind, load_words, same
from paxion.actionbench.phrases import Phrase, find_phrases, named_phrase
from paxion.actionbench.tokens import Token, tokenise
from paxion.actionbench.vocabulary import UNKNOWN, Entry, Vocabulary, count_uses
from paxion.actionbench.words import Edit, apply_edits

_DEPICTIONS = frozenset(("clip", "picture", "image", "photo", "screen", "cartoon"))


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a caption: caption[start:end]."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """A caption with its object replaced."""

    text: str | None
    """None: nothing could be replaced."""
    note: str
    """What was replaced by what ("cup -> towel (container -> textile)"), or why nothing was."""


def find_objects(caption: str, objects: Sequence[str] | None = None) -> list[Span]:
    """Where a caption names objects, in order; determiners are part of a phrase, as in Something-Something's labels.

    objects: the phrases that an annotation gives for this caption, looked for in order, whole words, in any case; nouns
    of EPIC-Kitchens are turned ("board:chopping") and may stand in the other number. Those that do not occur are left
    out. Without any, objects are found by rule (phrases.py).
    """
    _, phrases = _read(caption, None if objects is None else tuple(objects))
    return [Span(phrase.start, phrase.end) for phrase in phrases if phrase.is_object]


def learn_vocabulary(captions: Iterable[tuple[str, Sequence[str] | None]]) -> Vocabulary:
    """The vocabulary for the foils of a data set, of its captions and their annotated objects (or None), read once.

    Counts the very phrases that `replace_object` replaces, each with the verb or preposition that it goes with, so that
    objects are as frequent in foils as in captions, also beside one verb (vocabulary.py says how and how far).
    Raises PaxionError when no caption names an object.
    """

    def uses() -> Iterator[tuple[str, str]]:
        for caption, objects in captions:
            targets = _targets(_read(caption, None if objects is None else tuple(objects))[1])
            if targets:
                yield caption[targets[0].start : targets[0].end], targets[0].governor

    return count_uses(uses())


def replace_object(
    caption: str,
    vocabulary: Vocabulary,
    *,
    objects: Sequence[str] | None = None,
    key: str,
    seed: int = 0,
    every: bool = False,
) -> Replaced:
    """The caption with an object replaced by another of the vocabulary, of a different group.

    What is replaced: the direct object, else the subject, else a later object; never persons, body parts, sides or
    events. All mentions of the object are replaced alike, pronouns stay. Number, article and case fit; determiners and
    adjectives of colour and size stay. What replaces it is drawn by a hash of `key` and `seed`, whatever the order of
    the calls (vocabulary.py says by which chances).
    objects: as in `find_objects`. every: replace all objects, as the published procedure does for Something-Something.
    """
    tokens, phrases = _read(caption, None if objects is None else tuple(objects))
    targets = _targets(phrases)
    if not targets:
        return Replaced(None, _reason(phrases))
    taken = set(" ".join([token[0] for token in tokens] + [phrase.head for phrase in phrases]).split())
    edits: list[Edit] = []
    notes: list[str] = []
    done: set[str] = set()
    for target in targets if every else targets[:1]:
        name = target.head
        if name in done:
            continue
        done.add(name)
        mentions = [phrase for phrase in phrases if phrase.head == name and phrase.is_object]
        entry = _drawn(target, mentions, vocabulary, taken, _chances(key, seed, len(done)))
        if entry is None:
            if every:
                continue
            return Replaced(None, f"no {target.number} object of another group than {_group(target)} in the vocabulary")
        taken |= _words(entry)
        for phrase in mentions:
            edits += _edits(caption, phrase, entry.form(phrase.number))
        core = " ".join(caption[target.core : target.end].lower().split())
        notes.append(f"{core} -> {entry.form(target.number)} ({_group(target)} -> {_short(entry.groups[0])})")
    if not edits:
        return Replaced(None, "no object of another group in the vocabulary")
    return Replaced(apply_edits(caption, edits), "; ".join(notes))


@lru_cache(maxsize=1 << 14)
def _read(caption: str, objects: tuple[str, ...] | None) -> tuple[list[Token], list[Phrase]]:
    """The tokens and phrases of a caption. A build asks for the same caption several times; narrations repeat."""
    tokens = tokenise(caption)
    return tokens, _phrases(caption, tokens, objects)


def _phrases(caption: str, tokens: Sequence[Token], objects: Sequence[str] | None) -> list[Phrase]:
    """The noun phrases; where an annotation names the objects, no others are objects."""
    found, verbs = find_phrases(tokens)
    named = _named(caption, tokens, verbs, objects) if objects else []
    if not named:
        return found
    # Further mentions of a named object count as well: "a box ... the box".
    heads = {phrase.head for phrase in named}
    more = [
        phrase
        for phrase in found
        if phrase.head in heads and all(phrase.end <= other.start or other.end <= phrase.start for other in named)
    ]
    return sorted([*named, *more], key=lambda phrase: phrase.start)


def _named(caption: str, tokens: Sequence[Token], verbs: set[int], objects: Sequence[str]) -> list[Phrase]:
    """The phrases that an annotation names, as far as they occur."""
    named: list[Phrase] = []
    at = 0
    for text in objects:
        match = _found(caption, text, at) or _found(caption, text, 0)
        phrase = named_phrase(tokens, verbs, *match.span()) if match is not None else None
        if phrase is not None and not any(phrase.start < other.end and other.start < phrase.end for other in named):
            named.append(phrase)
            at = phrase.end
    return named


def _found(caption: str, text: str, at: int) -> re.Match[str] | None:
    pattern = _pattern(text)
    return pattern.search(caption, at) if pattern is not None else None


@lru_cache(maxsize=65536)
def _pattern(text: str) -> re.Pattern[str] | None:
    """Finds a named object: "board:chopping" as "chopping board" or "chopping boards", else as "board"."""
    head, *before = [part.strip() for part in text.split(":")]
    if not head:
        return None
    first, *others = _forms(head)
    heads = "|".join(re.escape(form).replace(r"\ ", r"\s+") for form in (first, *others))
    front = "".join(f"(?:{re.escape(part)}\\s+)?" for part in reversed(before) if part)
    return re.compile(rf"(?<!\w){front}(?:{heads})(?!\w)", re.IGNORECASE)


def _forms(noun: str) -> list[str]:
    """A noun phrase as it is written and in the other number."""
    words = noun.lower().split()
    found = load_words().nouns.get(words[-1]) if words else None
    if found is None:
        return [noun]
    other = found[0].text if found[1] else found[0].plural
    return [noun, *([" ".join([*words[:-1], other])] if other != words[-1] else [])]


def _targets(phrases: Sequence[Phrase]) -> list[Phrase]:
    """The phrases that may be replaced, the best first."""
    fit = [phrase for phrase in phrases if phrase.is_object and phrase.groups[0] != "relation:generic"]
    return sorted(fit, key=_rank)


def _rank(phrase: Phrase) -> tuple[int, int]:
    of = kind(phrase.groups[0])
    if phrase.role == "subject" and (of == "animal" or phrase.head in _DEPICTIONS):
        return 6, phrase.start  # An animal acts, as a person does; "a clip of" is about the clip.
    scenery = of == "place" or phrase.groups[0] in ("fixed:floor", "fixed:structure")
    return 2 * (phrase.role == "prepositional") + 3 * scenery, phrase.start


def _drawn(
    target: Phrase,
    mentions: Sequence[Phrase],
    vocabulary: Vocabulary,
    taken: Collection[str],
    chance: Callable[[int], float],
) -> Entry | None:
    """An object that fits; in the target's number, or else in the other one, inflected."""
    groups = [group for phrase in mentions for group in phrase.groups]
    numbers = {"singular": ("singular", "plural"), "plural": ("plural", "singular"), "mass": ("mass",)}[target.number]
    needed = {phrase.number for phrase in mentions}
    for number in numbers:
        for entry in vocabulary.draw(target.groups[0], number, target.governor, chance):
            if any(same(entry.groups[0], group) for group in groups):
                continue
            if any(same(group, target.groups[0]) for group in entry.groups) or not _words(entry).isdisjoint(taken):
                continue
            if target.head in entry.text or entry.head in target.head:
                continue  # fish, fishcake
            fixed = entry.other is None
            if fixed and (needed != {entry.number} or (entry.number == "plural" and target.counted)):
                continue  # two scissors
            return entry
    return None


@lru_cache(maxsize=65536)
def _words(entry: Entry) -> frozenset[str]:
    """All words of an entry, in both numbers."""
    return frozenset(f"{entry.text} {entry.other or ''} {entry.head}".lower().split()) - {"of"}


def _edits(caption: str, phrase: Phrase, words: str) -> list[Edit]:
    written = caption[phrase.core : phrase.end]
    if len(caption) > 3 and caption.isupper():
        words = words.upper()
    elif written[:1].isupper() and (
        not caption[: phrase.core].rstrip() or caption[: phrase.core].rstrip()[-1] in ".!?"
    ):
        words = words[:1].upper() + words[1:]
    edits = [Edit(phrase.core, phrase.end, words)]
    if phrase.article is not None:
        start, end = phrase.article
        article = caption[start:end]
        fitting = article[:1] + (("N" if article[:1].isupper() and caption.isupper() else "n") if _vowel(words) else "")
        if fitting != article:
            edits.append(Edit(start, end, fitting))
    return edits


def _vowel(words: str) -> bool:
    """Whether "an" stands before these words, by their sound."""
    first = words.split()[0].lower()
    if first.startswith(("uni", "use", "uku", "uten", "eu", "ufo", "usb", "one", "once")):
        return first.startswith("unin")
    if first.startswith(("hour", "honest", "heir", "mp3", "led ", "x-ray", "suv", "rv", "atv", "atm", "lcd")):
        return True
    return first[0] in "aeiou"


def _chances(key: str, seed: int, number: int) -> Callable[[int], float]:
    """Numbers in [0, 1) that depend on nothing but their arguments."""
    blocks: list[bytes] = []

    def chance(at: int) -> float:
        while len(blocks) <= at // 8:
            text = f"{seed}\x1f{number}\x1f{len(blocks)}\x1f{key}"
            blocks.append(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=64).digest())
        place = at % 8 * 8
        return (int.from_bytes(blocks[at // 8][place : place + 8], "little") >> 11) / (1 << 53)

    return chance


def _short(group: str) -> str:
    """A group as notes name it: "container"."""
    of, _, name = group.partition(":")
    return of if of == UNKNOWN else name


def _group(phrase: Phrase) -> str:
    return _short(phrase.groups[0])


def _reason(phrases: Sequence[Phrase]) -> str:
    if not phrases:
        return "names no object"
    if any(phrase.is_object for phrase in phrases):
        return "names no object but one that could be anything (thing, object)"
    kinds = list(dict.fromkeys(kind(phrase.groups[0]) for phrase in phrases))
    names = {"person": "persons", "body": "parts of the body", "relation": "places and amounts", "abstract": "events"}
    return f"names no object, only {' and '.join(names[name] for name in kinds)}"
