"""What captions and foils look like in words: plain counts that show where a text-only scorer finds its cues."""

from __future__ import annotations

import string
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from paxion.evaluation.ngrams import words
from paxion.evaluation.text_scorers import folded, is_mark
from paxion.records import Sample

OFTEN = 5
"""Substitutions seen less often say little: of a fair pair seen 5 times, 1 in 16 goes one way by luck."""
ONE_WAY = 0.1
"""A substitution goes one way when at most this share of its uses goes the other way."""


@dataclass(frozen=True, slots=True)
class Substitution:
    """Words of a caption that the foil says otherwise. Either side may be empty: words added or left out."""

    old: str
    new: str
    count: int
    """Pairs in which the caption says `old` and the foil `new`."""
    back: int
    """Pairs the other way round, at most `count`."""

    @property
    def one_way(self) -> bool:
        """Whether nearly all uses go from `old` to `new`."""
        return self.back <= ONE_WAY * (self.count + self.back)


@dataclass(frozen=True, slots=True)
class Cue:
    """A word that captions and foils use unequally, among the words that tell the two texts of a pair apart."""

    word: str
    captions: int
    """Pairs in which the caption says it and the foil does not, or less often."""
    foils: int


@dataclass(frozen=True, slots=True)
class Wording:
    """Counts over N pairs. Texts are compared without case and spacing unless case is the question."""

    pairs: int
    longer: int
    """Pairs whose foil has more characters than the caption."""
    shorter: int
    case: int
    """Pairs that write the same word, or the start of the text, with a capital on one side only."""
    punctuation: int
    """Pairs whose texts do not hold the same marks."""
    foil_only: int
    """Pairs whose foil says a word that no caption says."""
    caption_only: int
    """Pairs whose caption says a word that no foil says."""
    unused: tuple[tuple[str, int], ...]
    """The words of foils that no caption says, and in how many foils each is; the most frequent first."""
    cues: tuple[Cue, ...]
    """The most unequal first."""
    substitutions: tuple[Substitution, ...]
    """All that were found, the most frequent first; each with its opposite, once."""
    one_way: int
    """Pairs with a substitution that goes one way, among those seen OFTEN."""
    other_way: int
    """Pairs whose two texts occur the other way round as well, as caption and foil."""
    foil_is_caption: int
    """Pairs whose foil is the caption of some row."""
    foil_is_true: int
    """Pairs whose foil is another caption of the same clip."""
    same: int
    """Pairs whose foil is the caption."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Texts that occur in several splits."""

    splits: int
    """How many splits there are."""
    rows: int
    """Rows with the foil."""
    captions: int
    """Rows whose caption occurs in another split as well."""
    pairs: int
    """Rows whose caption and foil occur, together, in another split as well, and nowhere the other way round."""


def describe(samples: Sequence[Sample], foils: Sequence[str], rows: Sequence[Sample] | None = None) -> Wording:
    """Count what tells the captions of `samples` from `foils`, one a sample.

    rows: where other captions are looked for, by default among `samples`.
    """
    rows = samples if rows is None else rows
    captions = [sample.caption for sample in samples]
    pairs = list(zip(captions, foils, strict=True))
    said = {word for row in rows for word in words(row.caption)}
    wrong = Counter(word for text in foils for word in set(words(text)))
    changes = [substitutions(caption, foil) for caption, foil in pairs]
    merged = merge(change for found in changes for change in found)
    arrows = {(s.old, s.new) for s in merged if s.one_way and s.count + s.back >= OFTEN}
    unused = Counter({word: count for word, count in wrong.items() if word not in said})
    short = [(folded(caption), folded(foil)) for caption, foil in pairs]
    turned = {(foil, caption) for caption, foil in short}
    known: set[str] = set()
    of_clip: dict[Hashable, set[str]] = defaultdict(set)
    for row in rows:
        known.add(folded(row.caption))
        of_clip[_clip(row)].add(folded(row.caption))
    return Wording(
        pairs=len(pairs),
        longer=sum(len(foil) > len(caption) for caption, foil in pairs),
        shorter=sum(len(foil) < len(caption) for caption, foil in pairs),
        case=sum(case_differs(caption, foil) for caption, foil in pairs),
        punctuation=sum(_marks(caption) != _marks(foil) for caption, foil in pairs),
        foil_only=sum(not said.issuperset(words(foil)) for foil in foils),
        caption_only=sum(not wrong.keys() >= set(words(caption)) for caption in captions),
        unused=tuple(sorted(unused.items(), key=lambda item: (-item[1], item[0]))),
        cues=cues(pairs),
        substitutions=merged,
        one_way=sum(any(change in arrows for change in found) for found in changes),
        other_way=sum(pair in turned for pair in short),
        foil_is_caption=sum(foil in known for _, foil in short),
        foil_is_true=sum(
            foil in of_clip[_clip(row)] and foil != caption for row, (caption, foil) in zip(samples, short, strict=True)
        ),
        same=sum(caption == foil for caption, foil in short),
    )


def substitutions(caption: str, foil: str) -> list[tuple[str, str]]:
    """(words of the caption, words of the foil in their place), lower-case, for each place where the two differ."""
    old, new = words(caption), words(foil)
    # Most foils change a word or two: what both begin and end with need not be aligned.
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    rest = min(len(old), len(new)) - start
    end = next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if not old or not new:
        return [(" ".join(old), " ".join(new))] if old or new else []
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(" ".join(old[a:b]), " ".join(new[c:d])) for kind, a, b, c, d in blocks if kind != "equal"]


def merge(changes: Iterable[tuple[str, str]]) -> tuple[Substitution, ...]:
    """Count substitutions, each together with its opposite, in the direction that is more frequent."""
    counts = Counter(changes)
    found = [
        Substitution(old, new, count, counts[new, old])
        for (old, new), count in counts.items()
        if (count, old, new) >= (counts[new, old], new, old)
    ]
    return tuple(sorted(found, key=lambda s: (-s.count - s.back, s.back, s.old, s.new)))


def cues(pairs: Iterable[tuple[str, str]]) -> tuple[Cue, ...]:
    """The words that tell the texts of a pair apart, those that are most on one side first."""
    caption, foil = Counter[str](), Counter[str]()
    for right, wrong in pairs:
        first, second = Counter(words(right)), Counter(words(wrong))
        caption.update((first - second).keys())
        foil.update((second - first).keys())
    found = [Cue(word, caption[word], foil[word]) for word in caption | foil]

    def surprise(cue: Cue) -> float:
        """The square of how many standard errors the two counts lie from equal."""
        return (cue.captions - cue.foils) ** 2 / (cue.captions + cue.foils)

    return tuple(sorted(found, key=lambda cue: (-surprise(cue), cue.word)))


def case_differs(caption: str, foil: str) -> bool:
    """Whether one text starts with a capital and the other does not, or writes a shared word in another case."""
    texts = [text.strip() for text in (caption, foil)]
    if len({text[:1].isupper() for text in texts}) > 1:
        return True
    # The first word has its capital from its place; it may stand elsewhere in the other text.
    first, second = (Counter([*_raw(text[:1].lower() + text[1:])]) for text in texts)
    shared = Counter(word.lower() for word in first.elements()) & Counter(word.lower() for word in second.elements())
    return shared.total() > (first & second).total()


def repeats(samples: Sequence[Sample], field: str) -> Repeats:
    """Texts that occur in several splits, over all rows; rows without the foil `field` count for captions only."""
    captions: dict[str, set[str]] = defaultdict(set)
    pairs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for sample, caption, foil in (rows := list(_texts(samples, field))):
        captions[caption].add(sample.split)
        if foil is not None:
            pairs[caption, foil].add(sample.split)
    return Repeats(
        splits=len({sample.split for sample in samples}),
        rows=sum(foil is not None for _, _, foil in rows),
        captions=sum(len(captions[caption]) > 1 for _, caption, _ in rows),
        pairs=sum(
            len(pairs[caption, foil]) > 1 and (foil, caption) not in pairs
            for _, caption, foil in rows
            if foil is not None
        ),
    )


def _texts(samples: Sequence[Sample], field: str) -> Iterator[tuple[Sample, str, str | None]]:
    for sample in samples:
        foil = getattr(sample, field)
        yield sample, folded(sample.caption), None if foil is None else folded(foil)


def _clip(sample: Sample) -> Hashable:
    return sample.video, sample.start, sample.end


def _raw(text: str) -> Iterator[str]:
    return (word.strip(string.punctuation) for word in text.split())


def _marks(text: str) -> list[str]:
    return sorted(filter(is_mark, text))
