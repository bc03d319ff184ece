"""The closed balanced split: both sides of every pair are real captions, equally often.

A caption whose antonym is never anybody's caption gives itself away by its words alone. Here a pair of texts {c, a} is
kept only where some clips are captioned c with the foil a and others a with the foil c, as many of the one as of the
other in each split. Whatever a scorer that sees only texts prefers, c or a, it is right in exactly half of the pairs.

The texts are captions with their antonyms, or templates ("put something in something"). Of templates there are few and
each has many clips, so the data set's own way of saying the opposite is looked for: "remove something from something".
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.paraphrases import paraphrases
from paxion.actionbench.splits import fraction
from paxion.records import SPLITS, Sample


@dataclass(frozen=True, slots=True)
class Closed:
    """A row of the closed split."""

    row: int
    """Its number among all rows."""
    texts: tuple[str, str] | None = None
    """Template and the antonym's template, where these stand for caption and antonym."""


@dataclass
class Rows:
    """What is needed of all rows to choose the closed ones: a few numbers each, so that millions fit in memory."""

    seed: int = 0
    splits: array[int] = field(default_factory=lambda: array("b"))
    captions: array[int] = field(default_factory=lambda: array("q"))
    """Hashes of the folded texts."""
    foils: array[int] = field(default_factory=lambda: array("q"))
    """0: no antonym."""
    templates: array[int] = field(default_factory=lambda: array("q"))
    """0: no template."""
    spelled: dict[int, str] = field(default_factory=dict)
    """Each template by its hash, as it was written first."""
    groups: array[int] = field(default_factory=lambda: array("q"))
    places: array[float] = field(default_factory=lambda: array("d"))
    """A number in [0, 1) that decides the order in which rows are taken."""

    def add(self, sample: Sample) -> None:
        """Note the next row."""
        self.splits.append(SPLITS.index(sample.split))
        self.captions.append(_hashed(sample.caption))
        self.foils.append(_hashed(sample.antonym) if sample.antonym else 0)
        self.templates.append(_hashed(sample.template) if sample.template else 0)
        if sample.template:
            self.spelled.setdefault(self.templates[-1], sample.template.rstrip(" .!"))
        self.groups.append(hash(sample.group))
        self.places.append(fraction("closed", self.seed, sample.id))


def choose(rows: Rows) -> list[Closed]:
    """The rows of the closed split, in order: by caption, or by template where that keeps more."""
    return max(by_caption(rows), by_template(rows), key=len)


def by_caption(rows: Rows) -> list[Closed]:
    """Rows whose caption is another row's antonym, whose caption is their antonym."""
    sides: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for row, foil in enumerate(rows.foils):
        if foil:
            sides[rows.splits[row], rows.captions[row], foil].append(row)
    kept: list[int] = []
    for (split, caption, foil), found in sides.items():
        others = sides.get((split, foil, caption))
        if others:
            kept += _spread(rows, found)[: min(len(found), len(others))]
    return [Closed(row) for row in sorted(kept)]


def by_template(rows: Rows) -> list[Closed]:
    """Rows whose template has an antonym, in one wording or another, that is the template of other rows.

    Pairs of templates with most rows come first; a template may have several antonyms, each with rows of its own.
    """
    sides: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, template in enumerate(rows.templates):
        if template:
            sides[rows.splits[row], template].append(row)
    left = {side: _spread(rows, found) for side, found in sides.items()}
    pairs = _template_pairs(rows.spelled)
    kept: list[Closed] = []
    for split in range(len(SPLITS)):
        sizes = {(a, b): min(len(left.get((split, a), ())), len(left.get((split, b), ()))) for a, b in pairs}
        for (a, b), _ in sorted(sizes.items(), key=lambda item: (-item[1], rows.spelled[item[0][0]])):
            one, two = left.get((split, a), []), left.get((split, b), [])
            size = min(len(one), len(two))
            texts = rows.spelled[a], rows.spelled[b]
            kept += [Closed(row, texts) for row in one[:size]] + [Closed(row, texts[::-1]) for row in two[:size]]
            del one[:size], two[:size]
    return sorted(kept, key=lambda closed: closed.row)


def closed_split(samples: Iterable[Sample], *, seed: int = 0) -> list[Sample]:
    """The rows of the closed balanced split, in order.

    Which rows of a more frequent side are kept is drawn by a hash of their ids and `seed`, over as many groups as
    possible.
    """
    given = list(samples)
    rows = Rows(seed)
    for sample in given:
        rows.add(sample)
    return [as_closed(given[closed.row], closed) for closed in choose(rows)]


def as_closed(sample: Sample, closed: Closed) -> Sample:
    """A row as it stands in the closed split."""
    if closed.texts is None:
        return sample
    caption, foil = closed.texts
    # The other texts are about the caption that was replaced.
    row = replace(sample, caption=caption, antonym=foil, antonym_note="the template's", reversal=None, objects=None)
    return replace(row, replaced=None, replaced_note="left out: the caption is a template")


def _template_pairs(spelled: dict[int, str]) -> list[tuple[int, int]]:
    """The pairs of templates that are each other's antonym in some wording, each once."""
    pairs: dict[tuple[int, int], None] = {}
    for key, template in spelled.items():
        made = antonym(template).text
        # With its objects blanked, an exchange of places may leave nothing but other words for the same.
        same = {_hashed(text) for text in (template, *paraphrases(template))}
        for text in [made, *paraphrases(made)] if made else []:
            other = _hashed(text)
            if other in spelled and other not in same and (other, key) not in pairs:
                pairs[key, other] = None
    return list(pairs)


def _spread(rows: Rows, found: list[int]) -> list[int]:
    """The rows in an order that takes one of each group before it takes a second one."""
    times: dict[int, int] = defaultdict(int)
    turns = {}
    for row in sorted(found, key=rows.places.__getitem__):
        turns[row] = times[rows.groups[row]]
        times[rows.groups[row]] += 1
    return sorted(found, key=lambda row: (turns[row], rows.places[row]))


def _hashed(text: str) -> int:
    """Of the text whatever its case, its spaces, and a full stop at its end."""
    return hash(" ".join(text.casefold().split()).rstrip(" .!"))
