"""Scorers that read the two texts of a pair and never see the video.

A scorer learns from some of the pairs and gives every pair a margin: the caption's score minus the foil's. A margin
above 0 is a right choice. Each text is scored by itself, so that the order of the two cannot matter.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paxion.evaluation.ngrams import END, START, Floats, Ints, Sides, Sparse, count_sides
from paxion.records import PaxionError

Chosen = NDArray[np.bool_]
Pair = tuple[str, str]
"""A caption and its foil."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """N captions and their foils, with everything counted that the scorers look at."""

    captions: tuple[str, ...]
    foils: tuple[str, ...]
    words: Sides
    grams: Sides
    """Words and word pairs; see `ngrams`."""
    links: Ints
    """(F, 2) For each of `grams`: where its two words are among them; F is the start, F + 1 the end. A word: -1."""
    caption_id: Ints
    """(N,) Equal ids mean equal texts, but for case and spacing; shared with the foils."""
    foil_id: Ints
    measures: Mapping[str, Floats]
    """(N,) Caption minus foil, by the name of what was measured (see MEASURES)."""

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.captions)


TextScorer = Callable[[Pairs, Chosen], Floats]
"""Learns from the chosen (N,) pairs and gives the margins (N,) of all."""


def is_mark(letter: str) -> bool:
    """Whether a letter is a punctuation mark, in any script."""
    return unicodedata.category(letter).startswith("P")


MEASURES: Mapping[str, Callable[[str], float]] = {
    "characters": len,
    "words": lambda text: len(text.split()),
    # Not their share: that would be a measure of length.
    "capitals": lambda text: sum(map(str.isupper, text)),
    "first-capital": lambda text: float(text.lstrip()[:1].isupper()),
    "punctuation": lambda text: sum(map(is_mark, text)),
}


def folded(text: str) -> str:
    """A text without what most tokenizers drop: case and spacing."""
    return " ".join(text.casefold().split())


def count_pairs(pairs: Sequence[Pair]) -> Pairs:
    """Count what the scorers look at in (caption, foil) pairs."""
    captions, foils = tuple(caption for caption, _ in pairs), tuple(foil for _, foil in pairs)
    caption_id, foil_id = text_ids(captions, foils)
    measures = {
        name: np.array([measure(caption) - measure(foil) for caption, foil in pairs], dtype=np.float64)
        for name, measure in MEASURES.items()
    }
    words, grams = (count_sides(captions, foils, longest) for longest in (1, 2))
    return Pairs(captions, foils, words, grams, _links(grams.names), caption_id, foil_id, measures)


def text_ids(captions: Sequence[str], foils: Sequence[str]) -> tuple[Ints, Ints]:
    """A number for every text (N,), the same for equal ones but for case and spacing: (captions, foils)."""
    ids: dict[str, int] = {}
    first, second = (
        np.array([ids.setdefault(folded(text), len(ids)) for text in texts], dtype=np.int64)
        for texts in (captions, foils)
    )
    return first, second


def longest(pairs: Pairs, learn: Chosen) -> Floats:
    """The text with more characters. Learns nothing."""
    return pairs.measures["characters"]


def shortest(pairs: Pairs, learn: Chosen) -> Floats:
    """The text with fewer characters. Learns nothing."""
    return -pairs.measures["characters"]


def given(margins: Floats) -> TextScorer:
    """Margins (N,) from elsewhere, such as the log-likelihoods of a language model; it learns which way they point."""
    # Where as many point each way, one way is as good as the other.
    return lambda pairs, learn: margins if np.sign(margins[learn]).sum() >= 0 else -margins


def rule(measure: str) -> TextScorer:
    """The text with more (or fewer) of a measure; which of the two is all it learns."""
    return lambda pairs, learn: given(pairs.measures[measure])(pairs, learn)


def opposed(scorer: TextScorer) -> TextScorer:
    """The other choice: captions may well be made of rarer words than foils that a machine has filled in."""
    return lambda pairs, learn: -scorer(pairs, learn)


def naive_bayes(pairs: Pairs, learn: Chosen) -> Floats:
    """Naive Bayes on words and word pairs."""
    return pairs.grams.difference.times(naive_bayes_weights(pairs.grams, learn, inner(pairs)))


def naive_bayes_words(pairs: Pairs, learn: Chosen) -> Floats:
    """Naive Bayes on words."""
    return pairs.words.difference.times(naive_bayes_weights(pairs.words, learn))


def naive_bayes_weights(sides: Sides, learn: Chosen, columns: Chosen | None = None) -> Floats:
    """Weight (F,) of each feature: log of how much likelier a caption is to use it than a foil (add-one smoothing).

    A class-conditional multinomial model of texts; a text's score is the sum over its features. columns: the features
    (F,) that it looks at, by default all.
    """
    used = np.ones(len(sides.names), dtype=np.bool_) if columns is None else columns
    caption, foil = (side.back(learn.astype(np.float64)) * used for side in (sides.caption, sides.foil))
    known = int(np.count_nonzero(caption + foil))
    shares = [(counts + 1) / (counts.sum() + known + 1) for counts in (caption, foil)]
    return np.asarray((np.log(shares[0]) - np.log(shares[1])) * used)


def inner(pairs: Pairs) -> Chosen:
    """The words and word pairs (F,) of `grams`, but not those with the start or the end of a text."""
    return np.asarray((pairs.links < len(pairs.links)).all(1))


def bag_of_words(pairs: Pairs, learn: Chosen) -> Floats:
    """Bradley-Terry regression on word counts."""
    return _regression(pairs.words.difference, learn)


def bigrams(pairs: Pairs, learn: Chosen) -> Floats:
    """Bradley-Terry regression on counts of words and word pairs."""
    return _regression(pairs.grams.difference, learn)


def unigram(pairs: Pairs, learn: Chosen) -> Floats:
    """Language model of the captions learned from: log-probability word by word (add-one smoothing)."""
    counts = pairs.words.caption.back(learn.astype(np.float64))
    # One more for all unknown words together.
    total = counts.sum() + np.count_nonzero(counts) + 1
    return pairs.words.difference.times(np.log((counts + 1) / total))


def bigram_model(pairs: Pairs, learn: Chosen) -> Floats:
    """Language model of the captions learned from: each word given the one before (Witten-Bell interpolation)."""
    pair = pairs.links[:, 0] >= 0
    before, after = pairs.links[pair].T
    found = pairs.grams.caption.back(learn.astype(np.float64))
    # The start and the end come once a caption. The start follows no word, so it takes no share.
    counts = np.append(np.where(pair, 0, found), [learn.sum(), learn.sum()])
    shares = (counts + 1) / (counts[:-2].sum() + counts[-1] + np.count_nonzero(counts))
    followers = np.maximum(1, np.bincount(before, found[pair] > 0, len(counts)))[before]
    weights = np.zeros(len(pair))
    weights[pair] = np.log((found[pair] + followers * shares[after]) / (counts[before] + followers))
    return pairs.grams.difference.times(weights)


def unseen_words(pairs: Pairs, learn: Chosen) -> Floats:
    """The text with fewer words that no caption learned from has used."""
    unseen = pairs.words.caption.back(learn.astype(np.float64)) == 0
    return -pairs.words.difference.times(unseen.astype(np.float64))


def popularity(pairs: Pairs, learn: Chosen) -> Floats:
    """The text that was, word for word, more often a caption than a foil among the pairs learned from."""
    size = int(max(pairs.caption_id.max(initial=-1), pairs.foil_id.max(initial=-1))) + 1
    caption, foil = (np.bincount(ids[learn], minlength=size) for ids in (pairs.caption_id, pairs.foil_id))
    logs = np.log((caption + 1) / (foil + 1))
    return np.asarray(logs[pairs.caption_id] - logs[pairs.foil_id])


def embedding(pairs: Pairs, vectors: Mapping[str, Tensor]) -> TextScorer:
    """Bradley-Terry regression on given text vectors (D,). Raises PaxionError for a text without one."""

    def look_up(texts: Sequence[str]) -> Floats:
        missing = [text for text in texts if text not in vectors]
        if missing:
            raise PaxionError(f'got no vector for the text "{missing[0]}", expected one for every caption and foil')
        return np.asarray(torch.stack([vectors[text] for text in texts]).double().cpu().numpy())

    differences = look_up(pairs.captions) - look_up(pairs.foils)

    def margins(pairs: Pairs, learn: Chosen) -> Floats:
        learned = differences[learn]
        # Caption and foil lie close together. Without scaling, the penalty would decide, not the data.
        size = math.sqrt(np.square(learned).sum(1).mean()) if len(learned) else 0.0
        scale = max(size, 1e-12) / math.sqrt(differences.shape[1])
        return np.asarray(differences @ bradley_terry(learned / scale) / scale)

    return margins


def bradley_terry(differences: Floats | Sparse, penalty: float = 1.0) -> Floats:
    """Weights (F,) that make differences @ weights positive, by L2-penalised logistic regression without intercept.

    differences: (N, F), features of the right minus features of the wrong. Without an intercept the model cannot prefer
    a place, only a wording. penalty: weight of |w|²/2 against the summed loss.
    """
    count, width = differences.shape
    if not width:
        return np.zeros(0)
    weights = torch.zeros(width, dtype=torch.float64, requires_grad=True)
    # The loss is a sum over pairs, so its rounding and what is left of its slope grow with them.
    slope = 1e-6 * max(1.0, count / 100)
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=200, tolerance_grad=slope, tolerance_change=1e-12, history_size=20,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        # The gradient is written out: there is no need to let autograd look for it.
        w = weights.detach().numpy()
        margins = differences.times(w) if isinstance(differences, Sparse) else differences @ w
        loss = np.logaddexp(0, -margins).sum() + penalty / 2 * np.square(w).sum()
        doubts = np.exp(-np.logaddexp(0, margins))
        pull = differences.back(doubts) if isinstance(differences, Sparse) else differences.T @ doubts
        weights.grad = torch.from_numpy(penalty * w - pull)
        return torch.tensor(loss)

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return np.asarray(weights.detach().numpy())


def _links(names: Sequence[str]) -> Ints:
    place = {name: index for index, name in enumerate(names)} | {START: len(names), END: len(names) + 1}
    links = [[place[word] for word in name.split(" ")] if " " in name else [-1, -1] for name in names]
    return np.array(links, dtype=np.int64).reshape(-1, 2)


def _regression(differences: Sparse, learn: Chosen) -> Floats:
    return differences.times(bradley_terry(differences.rows(learn)))
