"""Picking and placing in one caption: "pick up the pen and put it in the cup".

Turned round verb by verb it would put the pen down before it is taken out. As one act it has a plain opposite: "take
the pen out of the cup and put it down"; and where both places are named, they are exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from paxion.actionbench.classes import COORDINATORS
from paxion.actionbench.inflection import inflect
from paxion.actionbench.lexicon import Frame, Lexicon, word_class
from paxion.actionbench.paths import noun_phrase
from paxion.actionbench.tags import Verb
from paxion.actionbench.turning import LIDS, fitted_place
from paxion.actionbench.words import Edit, Word, find_phrase, like

TAKING = word_class("taking")
PLACING = word_class("placing")
SOURCES = (
    "from on top of", "from in front of", "from behind", "from next to", "from underneath", "from under", "from inside",
    "from", "off of", "off", "out of", "on", "in", "inside",
)  # fmt: skip
GOALS = (
    "on top of", "in front of", "next to", "inside of", "back into", "back in", "back onto", "back on", "into", "onto",
    "inside", "underneath", "beneath", "between", "behind", "beside", "under", "near", "over", "in", "on", "to",
)  # fmt: skip


def pick_and_place(caption: str, words: Sequence[Word], verbs: Sequence[Verb], lexicon: Lexicon) -> list[Edit]:
    """The edits that turn the first taking and placing of the same thing round; empty when the caption has none."""
    for first, second in pairwise(verbs):
        if first.verb not in TAKING or second.verb not in PLACING or first.tag != second.tag:
            continue
        pronoun = second.at + 1
        if pronoun >= len(words):
            continue
        # "take the pen and put in the cup": the pronoun may be left out.
        left_out = words[pronoun].low not in ("it", "them")
        object_start = first.at + 1
        particle = words[object_start].low in ("up", "out")
        object_start += particle
        object_stop = _object(words, object_start, first.scope)
        goal = _phrase(words, GOALS, pronoun + (not left_out), second.scope)
        if object_stop == object_start or goal is None:
            continue
        goal_words, goal_stop = goal
        source = _phrase(words, SOURCES, object_stop, first.scope)
        if source is not None and source[1] == first.scope:
            return _exchange(caption, words, source, goal)
        # Words left over in the first half (with his hand, slowly) stay where they are.
        away = _away(lexicon, " ".join(word.low for word in words[slice(*goal_words)]))
        if second.verb == "give":
            away = "from"
        if away is None:
            continue
        goal_text = caption[words[goal_words[1]].start : words[goal_stop - 1].end]
        taken = Edit(
            words[first.at].start,
            words[object_start].start if particle else words[first.at].end,
            like(words[first.at].text, inflect("take", first.tag)) + (" " if particle else ""),
        )
        end = words[object_stop - 1].end
        cased = str.upper if words[first.at].text.isupper() else str
        trailing = object_stop < first.scope and words[object_stop].low == "up"
        return [
            taken,
            Edit(end, words[object_stop].end if trailing else end, cased(f" {away} ") + goal_text),
            Edit(words[second.at].start, words[second.at].end, like(words[second.at].text, inflect("put", second.tag))),
            Edit(words[goal_words[0]].start, words[goal_stop - 1].end, cased("it down" if left_out else "down")),
        ]
    return []


def _object(words: Sequence[Word], start: int, stop: int) -> int:
    """Index after the object, which may be a list: "the yellow, green and orange blocks"."""
    at = noun_phrase(words, start, stop)
    while at > start and at < stop and words[at].low in (",", "and"):
        further = noun_phrase(words, at + 1, stop)
        if further == at + 1:
            break
        at = further
    return at


def _phrase(
    words: Sequence[Word], prepositions: Sequence[str], start: int, stop: int
) -> tuple[tuple[int, int], int] | None:
    """((start, stop) of a preposition that stands right at `start`, index after its noun phrase)."""
    for preposition in prepositions:
        parts = preposition.split()
        if find_phrase(words, parts, start, min(stop, start + len(parts))) == start:
            end = start + len(parts)
            last = noun_phrase(words, end, stop)
            if last > end:
                return (start, end), last
    return None


def _exchange(
    caption: str, words: Sequence[Word], source: tuple[tuple[int, int], int], goal: tuple[tuple[int, int], int]
) -> list[Edit]:
    """The edits that exchange where it is taken from and where it is put, each with a preposition that fits."""
    (source_start, source_noun), source_stop = source
    (goal_start, goal_noun), goal_stop = goal
    if {word.low for word in words[goal_noun:goal_stop]} <= COORDINATORS:
        return []
    from_where = " ".join(word.low for word in words[source_start:source_noun])
    to_where = " ".join(word.low for word in words[goal_start:goal_noun])
    taken, put = (
        caption[words[first].start : words[last - 1].end]
        for first, last in ((source_noun, source_stop), (goal_noun, goal_stop))
    )
    plain = to_where in ("in", "into", "on", "onto", "inside", "to", "inside of")
    if from_where in ("in", "on", "inside"):
        new_source = fitted_place(words, from_where, (goal_noun, goal_stop)) if plain else to_where
    else:
        # What is taken off a table is taken out of a cup: "from" is right for both.
        new_source = "from" if plain else f"from {to_where}"
    hidden = from_where.removeprefix("from").strip() if from_where.startswith("from ") else ""
    lid = any(word.noun in LIDS for word in words[:source_start])
    new_goal = hidden or fitted_place(words, to_where if plain else "on", (source_noun, source_stop), lid=lid)
    return [
        Edit(words[source_start].start, words[source_stop - 1].end, f"{new_source} {put}"),
        Edit(words[goal_start].start, words[goal_stop - 1].end, f"{new_goal} {taken}"),
    ]


def _away(lexicon: Lexicon, preposition: str) -> str | None:
    """ "out of" for "in": how the opposite of putting somewhere is said."""
    if preposition in ("in front of", "behind", "inside of"):
        return {"inside of": "out of"}.get(preposition, f"from {preposition}")
    for entry in lexicon.entries["put"]:
        if entry.frame == Frame("put", (preposition,)) and entry.opposite is not None:
            return entry.opposite.places[0]
    return None
