"""The same said in other words: "take the pen out of the cup", "remove the pen from the cup".

An antonym that nobody wrote gives itself away. Where the data set has its own way of saying it, that one can be taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from paxion.actionbench.classes import PREPOSITIONS
from paxion.actionbench.lexicon import Entry, Frame, rows
from paxion.actionbench.matching import EntryMatch, find_places
from paxion.actionbench.tags import Verb
from paxion.actionbench.turning import edits_of
from paxion.actionbench.verbs import find_verbs
from paxion.actionbench.words import Word, apply_edits, split_words


def paraphrases(text: str) -> list[str]:
    """Other wordings of the same, one verb changed at a time; empty when none is known."""
    words = split_words(text)
    found: dict[str, None] = {}
    for verb in find_verbs(words):
        for frames in _groups().get(verb.verb, ()):
            match = _match(words, verb, frames)
            if match is not None:
                others = (frame for frame in frames if frame != match.entry.frame)
                found |= dict.fromkeys(apply_edits(text, edits_of(words, match, other)) for other in others)
    found.pop(text, None)
    return list(found)


def _match(words: Sequence[Word], verb: Verb, frames: Sequence[Frame]) -> EntryMatch | None:
    """The first frame of a group that a verb stands in."""
    for frame in frames:
        entry = Entry(frame, None, "none", False, "the same in other words")
        spans = find_places(words, verb, entry) if frame.verb == verb.verb else None
        governs = any(word.low in PREPOSITIONS for word in words[verb.at + 1 : verb.scope])
        if spans or (spans == () and not governs):
            return EntryMatch(verb, entry, spans)
    return None


@cache
def _groups() -> dict[str, list[tuple[Frame, ...]]]:
    """The groups of frames, by each of their verbs."""
    groups: dict[str, list[tuple[Frame, ...]]] = {}
    for cells in rows("wordings.tsv"):
        parted = [[part.replace("_", " ") for part in cell.split()] for cell in cells]
        frames = tuple(Frame(verb, tuple(places)) for verb, *places in parted)
        for verb in dict.fromkeys(frame.verb for frame in frames):
            groups.setdefault(verb, []).append(frames)
    return groups
