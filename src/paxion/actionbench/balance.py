"""The closed balanced split: both sides of every pair are real captions, equally often.

A caption whose antonym is never anybody's caption gives itself away by its words alone. Here a pair of texts {c, a} is
kept only where some clips are captioned c with the foil a and others a with the foil c, as many of the one as of the
other in each split. Whatever a scorer that sees only texts prefers, c or a, it is right in exactly half of the pairs.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.splits import fraction
from paxion.records import SPLITS, Sample


@dataclass
class Closable:
    """What is needed of all rows to choose the closed ones: a few numbers a row, so that millions fit in memory."""

    seed: int = 0
    by_template: bool = False
    """Captions are replaced by their templates: "pushing something from left to right"."""
    splits: array[int] = field(default_factory=lambda: array("b"))
    captions: array[int] = field(default_factory=lambda: array("q"))
    """A hash of the text, whatever its case and spaces."""
    foils: array[int] = field(default_factory=lambda: array("q"))
    """0: no antonym."""
    groups: array[int] = field(default_factory=lambda: array("q"))
    places: array[float] = field(default_factory=lambda: array("d"))
    """A number in [0, 1) that decides the order in which rows are taken."""

    def add(self, sample: Sample) -> None:
        """Note the next row."""
        caption, foil = closed_texts(sample, self.by_template)
        self.splits.append(SPLITS.index(sample.split))
        self.captions.append(_hashed(caption) if caption else 0)
        self.foils.append(_hashed(foil) if caption and foil else 0)
        self.groups.append(hash(sample.group))
        self.places.append(fraction("closed", self.seed, sample.id))

    def chosen(self) -> list[int]:
        """The numbers of the rows of the closed split, in order."""
        sides: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for row, foil in enumerate(self.foils):
            if foil:
                sides[self.splits[row], self.captions[row], foil].append(row)
        kept: list[int] = []
        for (split, caption, foil), rows in sides.items():
            others = sides.get((split, foil, caption))
            if others:
                kept += self._spread(rows)[: min(len(rows), len(others))]
        return sorted(kept)

    def _spread(self, rows: list[int]) -> list[int]:
        """The rows in an order that takes one of each group before it takes a second one."""
        times: dict[int, int] = defaultdict(int)
        turns = {}
        for row in sorted(rows, key=self.places.__getitem__):
            turns[row] = times[self.groups[row]]
            times[self.groups[row]] += 1
        return sorted(rows, key=lambda row: (turns[row], self.places[row]))


def _hashed(text: str) -> int:
    return hash(" ".join(text.casefold().split()))


def closed_split(samples: Iterable[Sample], *, by_template: bool = False, seed: int = 0) -> list[Sample]:
    """The rows of the closed balanced split, in order.

    by_template: caption and antonym are those of the template; rows without a template are left out.
    Which rows of a more frequent side are kept is drawn by a hash of their ids and `seed`, over as many groups as
    possible.
    """
    rows = list(samples)
    closable = Closable(seed, by_template)
    for sample in rows:
        closable.add(sample)
    return [as_closed(rows[row], by_template) for row in closable.chosen()]


def closed_texts(sample: Sample, by_template: bool) -> tuple[str | None, str | None]:
    """(caption, antonym) of a row in the closed split."""
    if not by_template:
        return sample.caption, sample.antonym
    return sample.template, _opposite(sample.template) if sample.template else None


@lru_cache(maxsize=1 << 16)
def _opposite(template: str) -> str | None:
    return antonym(template).text


def as_closed(sample: Sample, by_template: bool) -> Sample:
    """A row as it stands in the closed split."""
    if not by_template:
        return sample
    caption, foil = closed_texts(sample, by_template)
    assert caption is not None
    # The other texts are about the caption that was replaced.
    row = replace(sample, caption=caption, antonym=foil, antonym_note="the template's", reversal=None, objects=None)
    return replace(row, replaced=None, replaced_note="left out: the caption is a template")
