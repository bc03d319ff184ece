"""How well captions are told from foils by their wording: every text-only scorer, judged on groups it has not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb, sqrt

import numpy as np

from paxion.evaluation import text_scorers
from paxion.evaluation.ngrams import Floats, Ints
from paxion.evaluation.statistics import Estimate, estimate
from paxion.evaluation.text_only import pair_credits
from paxion.evaluation.text_scorers import Chosen, Pairs, TextScorer, opposed, rule

SCORERS: Mapping[str, TextScorer] = {
    "naive-bayes": text_scorers.naive_bayes,
    "naive-bayes-words": text_scorers.naive_bayes_words,
    "bag-of-words": text_scorers.bag_of_words,
    "bigrams": text_scorers.bigrams,
    "unigram": text_scorers.unigram,
    "unigram-opposed": opposed(text_scorers.unigram),
    "bigram-model": text_scorers.bigram_model,
    "bigram-model-opposed": opposed(text_scorers.bigram_model),
    "unseen-words": text_scorers.unseen_words,
    "popularity": text_scorers.popularity,
    "characters": rule("characters"),
    "words": rule("words"),
    "capitals": rule("capitals"),
    "first-capital": rule("first-capital"),
    "punctuation": rule("punctuation"),
}
FOLDS = 5
ENOUGH = 2000
"""Pairs judged, counting each as often as it is: fewer leave the number to the draw of the folds."""
MOST_DRAWS = 4
NESTED = "nested"
FEWEST_GROUPS = 3
"""One group to be judged on, one to pick the scorer on, one to learn from."""
SURPRISE = 2.5
"""So many standard errors more even than tossed coins: about one fair set in 160 looks evened by luck."""


@dataclass(frozen=True, slots=True)
class Folds:
    """Who judges whom."""

    count: int
    home: Ints
    """(N,) The fold that a pair's group is in. The scorer of fold k learns from the pairs at home elsewhere."""
    judge: Ints
    """(N,) The fold whose scorer judges the pair: its home, but for pairs that were evened by design."""
    evened: Chosen
    """(N,) Whether the pair is one of those (see `evened_pairs`)."""


@dataclass(frozen=True, slots=True)
class Separability:
    """What each scorer reached on N pairs."""

    scorers: Mapping[str, Estimate]
    best: str
    """The scorer with the highest accuracy. Picked on the pairs that it is judged on, so its number leans high."""
    nested: Estimate
    """Accuracy when each fold is judged by the scorer that was best on the other folds: no lean. See `widened`."""
    chosen: tuple[str, ...]
    """The scorer that was so picked for each fold of each draw."""
    draws: int
    """How often folds were drawn. Numbers are means over the draws, ties those of the first one."""
    margins: Mapping[str, Floats]
    """(N,) held-out margins of each scorer in the first draw, in its own units: above 0 is right."""
    folds: Folds
    """The first draw."""


def cross_validate(
    pairs: Pairs,
    groups: Sequence[str],
    scorers: Mapping[str, TextScorer] = SCORERS,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    known: Chosen | None = None,
) -> Separability:
    """Judge every scorer on each fold of groups by what it learns from the others, and the best of them fairly.

    Small sets are judged several times, in new folds: there, who is in which fold would move the numbers by points.
    known: pairs (N,) that are known to be evened by design, beside those that `evened_pairs` finds.
    Raises ValueError with fewer than FEWEST_GROUPS groups.
    """
    # A power of two, so that the mean of balanced credits is one half to the last bit.
    draws = 1 << (max(1, min(MOST_DRAWS, ENOUGH // max(1, len(pairs)))).bit_length() - 1)
    credits = {name: np.zeros((draws, len(pairs))) for name in (*scorers, NESTED)}
    chosen: list[str] = []
    first: tuple[Folds, dict[str, Floats]] | None = None
    for draw in range(draws):
        drawn = assign_folds(pairs, groups, folds, (seed, draw), known)
        margins = held_out(pairs, drawn, scorers)
        first = first or (drawn, margins)
        picked = pick(pairs, drawn, scorers)
        chosen += picked
        for name, found in margins.items():
            credits[name][draw] = pair_credits(found)
        credits[NESTED][draw] = np.choose(drawn.judge, [credits[name][draw] for name in picked])
    assert first is not None
    means = {
        name: estimate(right.mean(0), groups, ties=int((right[0] == 0.5).sum())) for name, right in credits.items()
    }
    nested = widened(means.pop(NESTED), first[0].count)
    best = max(means, key=lambda name: means[name].value)
    return Separability(means, best, nested, tuple(chosen), draws, first[1], first[0])


def widened(found: Estimate, folds: int) -> Estimate:
    """The estimate with an interval that also covers what the scorers happened to learn, and which was picked.

    Folds that learn from the same pairs err together. The variance is multiplied by 1 + folds · (test / train size)
    (Nadeau and Bengio, Inference for the generalization error, 2003). Where tossed coins have exchanged captions and
    foils, one plain interval in five misses chance; of the widened ones at most one in twenty does.
    """
    factor = sqrt(1 + folds / (folds - 1))
    low, high = (found.value + factor * (end - found.value) for end in (found.low, found.high))
    return replace(found, low=max(0.0, low), high=min(1.0, high))


def assign_folds(
    pairs: Pairs, groups: Sequence[str], folds: int, seed: tuple[int, int], known: Chosen | None = None
) -> Folds:
    """Draw at most `folds` folds of whole groups. known: as for `cross_validate`.

    Raises ValueError with fewer than FEWEST_GROUPS groups.
    """
    count = min(folds, len(set(groups)))
    if count < FEWEST_GROUPS:
        raise ValueError(f"got {count} groups or folds, expected at least {FEWEST_GROUPS}")
    random = np.random.default_rng(seed)
    home = draw_folds(groups, count, random)
    evened = evened_pairs(pairs.caption_id, pairs.foil_id)
    if known is not None:
        evened = evened | known
    judge = home.copy()
    # All rows of an evened pair go to one judge. A scorer has one opinion on two texts, so it is right on just half of
    # them, whatever it learned, and whether or not it learned from them. Judged fold by fold they would come out BELOW
    # chance: what a held-out fold has too many of, the folds learned from have too few of.
    texts = same_texts(pairs.caption_id, pairs.foil_id)[evened]
    judge[evened] = draw_folds([*map(str, texts)], count, random)
    return Folds(count, home, judge, evened)


def held_out(pairs: Pairs, folds: Folds, scorers: Mapping[str, TextScorer]) -> dict[str, Floats]:
    """Margins (N,) of each scorer, each pair judged by the scorer of its fold."""
    margins = {name: np.zeros(len(pairs)) for name in scorers}
    for name, scorer in scorers.items():
        for k in range(folds.count):
            margins[name][folds.judge == k] = scorer(pairs, folds.home != k)[folds.judge == k]
    return margins


def pick(pairs: Pairs, folds: Folds, scorers: Mapping[str, TextScorer]) -> tuple[str, ...]:
    """For each fold k the scorer with the highest accuracy on every other fold j, having learned from neither."""
    right = np.zeros((folds.count, len(scorers)))
    for place, scorer in enumerate(scorers.values()):
        for k, j in combinations(range(folds.count), 2):
            credits = pair_credits(scorer(pairs, (folds.home != k) & (folds.home != j)))
            right[k, place] += credits[folds.judge == j].sum()
            right[j, place] += credits[folds.judge == k].sum()
    # Of equals the first is taken, in the order of the scorers.
    return tuple(list(scorers)[place] for place in right.argmax(1))


def draw_folds(keys: Sequence[str], count: int, random: np.random.Generator) -> Ints:
    """A fold (N,) for each key, equal keys in one fold: large ones first, else at random, to the emptiest fold."""
    sizes = Counter(keys)
    names = sorted(sizes)
    filled = [0] * count
    fold = {}
    for index in sorted(random.permutation(len(names)), key=lambda index: -sizes[names[index]]):
        smallest = min(range(count), key=filled.__getitem__)
        fold[names[index]] = smallest
        filled[smallest] += sizes[names[index]]
    return np.array([fold[key] for key in keys], dtype=np.int64)


def same_texts(caption_id: Ints, foil_id: Ints) -> Ints:
    """A number (N,) for each pair of texts (see `text_ids`) that is the same whichever of them is the caption."""
    low, high = np.minimum(caption_id, foil_id), np.maximum(caption_id, foil_id)
    return low * (int(high.max(initial=0)) + 1) + high


def evened_pairs(caption_id: Ints, foil_id: Ints) -> Chosen:
    """Pairs (N,) whose two texts are caption and foil equally often, where that is by design and not by luck.

    By design: all pairs are like that, or more of them than coin tosses would leave so. Pairs that are even by luck are
    left to the folds by group, which are fair to them: others are uneven by the same luck.
    """
    _, index = np.unique(same_texts(caption_id, foil_id), return_inverse=True)
    rows = np.bincount(index)
    # A text against itself has no direction: nothing to the surplus, and no toss.
    direction = np.sign(foil_id - caption_id).astype(np.float64)
    surplus = np.bincount(index, direction, len(rows))
    even = surplus == 0
    if even.all():
        return np.asarray(even[index])
    tossed = np.bincount(index, np.abs(direction), len(rows)) > 0
    sizes, size_index = np.unique(rows[tossed], return_inverse=True)
    chances = np.array([0.0 if size % 2 else comb(size, size // 2) / 2**size for size in map(int, sizes)])[size_index]
    spread = np.sqrt((chances * (1 - chances)).sum())
    designed = even[tossed].sum() - chances.sum() > SURPRISE * spread
    return np.asarray(even[index] & designed)
