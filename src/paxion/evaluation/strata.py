"""Strata: the facts of a sample by which results are broken down."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

from paxion.evaluation.ngrams import words
from paxion.records import Sample

STRATA = ("verb", "verb pair", "template", "source", "salience", "caption length", "kind")
"""What results can be broken down by."""
BANDS = ((5, "up to 5 words"), (8, "6 to 8 words"), (12, "9 to 12 words"), (20, "13 to 20 words"))
"""Longest caption of each band, in words."""
LONGEST = "more than 20 words"


def strata_of(sample: Sample) -> dict[str, str]:
    """The stratum of a sample in each of STRATA. Facts that the sample does not have are absent.

    `verb pair` holds the words that tell caption and antonym apart, in alphabetical order, so that both directions of
    an action are one stratum: "fall / rise".
    """
    found = {
        "verb": sample.verb,
        "verb pair": verb_pair(sample.caption, sample.antonym) if sample.antonym else None,
        "template": sample.template,
        "source": sample.source,
        "salience": None if sample.salient is None else "salient" if sample.salient else "not salient",
        "caption length": length_band(sample.caption),
        "kind": sample.kind,
    }
    return {name: value for name, value in found.items() if value}


def strata_by_id(samples: Iterable[Sample]) -> dict[str, dict[str, str]]:
    """`strata_of` each sample, by its id: what a run writes to strata.jsonl (`results.write_strata`)."""
    return {sample.id: strata_of(sample) for sample in samples}


def verb_pair(caption: str, antonym: str) -> str | None:
    """The words of caption and antonym that differ, in alphabetical order; None where there is no such pair.

    Several changed places of a text are joined by "…". None where the texts share no word (then it cannot be told what
    was changed) or say the same, and where words are only added or left out.
    """
    first, second = sorted([words(caption), words(antonym)])
    changes = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    changed = [(first[a:b], second[c:d]) for kind, a, b, c, d in changes if kind != "equal"]
    if len(changed) == len(changes):
        return None
    # "from left to right" and "from right to left": word by word, where that changes fewer of them.
    by_place = [([old], [new]) for old, new in zip(first, second, strict=False) if old != new]
    if len(first) == len(second) and len(by_place) < sum(max(len(old), len(new)) for old, new in changed):
        changed = by_place
    sides = sorted(" … ".join(" ".join(pair[i]) for pair in changed if pair[i]) for i in (0, 1))
    return " / ".join(sides) if all(sides) else None


def length_band(caption: str) -> str:
    """The band of a caption's length in words."""
    count = len(words(caption))
    return next((name for longest, name in BANDS if count <= longest), LONGEST)
