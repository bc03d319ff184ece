"""Could text alone have done it? Scorers that never see the video, on the very choices of the text probes.

A probe whose foils can be told from their wording measures wording. Each scorer here gives a text a score; the choice
between caption and foil is then made, tied and counted exactly as in the probes. What a scorer gets right, a video
model may get right without looking.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from paxion.evaluation.probes import credits
from paxion.evaluation.statistics import estimate
from paxion.records import PaxionError, Sample, Score

Scorer = Callable[[Sequence[str]], Tensor]
"""Maps N texts to scores (N,); higher is more like a caption."""
Pair = tuple[str, str]
"""A caption and its foil."""
TASK_OF = {"antonym": "antonym", "replaced": "object"}


def text_only_scores(
    train: Sequence[Sample],
    test: Sequence[Sample],
    field: Literal["antonym", "replaced"] = "antonym",
    vectors: Mapping[str, Tensor] | None = None,
    *,
    data: str | None = None,
) -> list[Score]:
    """Accuracy of text-only scorers on the (caption, foil) pairs of `test`, one score a scorer, then "text:best".

    Scorers: text:longest and text:shortest (characters), text:unigram (how common the words are in the captions of
    `train`), text:bag-of-words and text:bigrams (logistic regressions on the pairs of `train`), and text:embedding
    (the same on given text vectors). text:best is the highest of them. It is picked on `test`, so it leans high by
    chance: an upper bound.

    field: which foil. vectors: the vector (D,) of every caption and foil, for text:embedding.
    data: name for `Score.data`, by default the source of the first test sample, or "manifest".
    Scorers that need what `train` lacks are left out; without pairs in `test` the list is empty.
    Raises PaxionError for a text that `vectors` lacks.
    """
    kept = [sample for sample in test if getattr(sample, field) is not None]
    if not kept:
        return []
    pairs, groups = _pairs(kept, field), [sample.group for sample in kept]
    data = data or kept[0].source or "manifest"
    scores = []
    for name, scorer in _scorers(train, field, vectors).items():
        right, wrong = (scorer(texts) for texts in zip(*pairs, strict=True))
        e = estimate(credits(right, wrong).numpy(), groups)
        scores.append(
            Score(f"text:{name}", data, TASK_OF[field], "none", "accuracy", e.value, e.low, e.high, e.n, e.ties, seed=0)
        )
    return [*scores, replace(max(scores, key=lambda score: score.value), model="text:best")]


def length(texts: Sequence[str]) -> Tensor:
    """Number of characters (N,) of each text."""
    return torch.tensor([float(len(text)) for text in texts], dtype=torch.float64)


def unigram(captions: Sequence[str]) -> Scorer:
    """Log-probability of a text, word by word, under the words of `captions` (add-one smoothing)."""
    counts = Counter(word for caption in captions for word in words(caption))
    total = sum(counts.values()) + len(counts) + 1  # One more for all unknown words together.

    def score(texts: Sequence[str]) -> Tensor:
        logs = [math.fsum(math.log((counts[word] + 1) / total) for word in words(text)) for text in texts]
        return torch.tensor(logs, dtype=torch.float64)

    return score


def bag_of_words(pairs: Sequence[Pair], longest: int = 1) -> Scorer:
    """Bradley-Terry regression on counts of word n-grams of up to `longest` words; n-grams not in `pairs` count 0."""
    grams: dict[str, int] = {}
    for text in (text for pair in pairs for text in pair):
        for gram in ngrams(text, longest):
            grams.setdefault(gram, len(grams))

    def counts(texts: Sequence[str]) -> Tensor:
        found = [
            (row, grams[gram]) for row, text in enumerate(texts) for gram in ngrams(text, longest) if gram in grams
        ]
        index = torch.tensor(found, dtype=torch.long).reshape(-1, 2).T
        ones = torch.ones(index.shape[1], dtype=torch.float64)
        return torch.sparse_coo_tensor(index, ones, (len(texts), len(grams)), check_invariants=False).coalesce()

    captions, foils = zip(*pairs, strict=True)
    weights = bradley_terry((counts(captions) - counts(foils)).coalesce())
    return lambda texts: torch.mv(counts(texts), weights)


def embedding(pairs: Sequence[Pair], vectors: Mapping[str, Tensor]) -> Scorer:
    """Bradley-Terry regression on text vectors (D,)."""

    def look_up(texts: Sequence[str]) -> Tensor:
        missing = [text for text in texts if text not in vectors]
        if missing:
            raise PaxionError(f'got no vector for the text "{missing[0]}", expected one for every caption and foil')
        return torch.stack([vectors[text] for text in texts]).double().cpu()

    captions, foils = zip(*pairs, strict=True)
    differences = look_up(captions) - look_up(foils)
    # Caption and foil lie close together. Without scaling, the penalty would decide, not the data.
    scale = differences.norm(dim=1).square().mean().sqrt().clamp(min=1e-12) / math.sqrt(differences.shape[1])
    weights = bradley_terry(differences / scale)
    return lambda texts: torch.mv(look_up(texts) / scale, weights)


def bradley_terry(differences: Tensor, penalty: float = 1.0) -> Tensor:
    """Weights (F,) that make differences @ weights positive, by L2-penalised logistic regression without intercept.

    differences: (N, F) dense or sparse, features of the right minus features of the wrong. Without an intercept the
    model cannot prefer a place, only a wording. penalty: weight of |w|²/2 against the summed loss.
    """
    weights = torch.zeros(differences.shape[1], dtype=torch.float64)
    transposed = differences.T.coalesce() if differences.is_sparse else differences.T
    weights.requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=200, tolerance_grad=1e-6, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        # The gradient is written out: autograd of a sparse product would make a dense one.
        with torch.no_grad():
            margins = torch.mv(differences, weights)
            loss = torch.nn.functional.softplus(-margins).sum() + penalty / 2 * weights.square().sum()
            weights.grad = penalty * weights - torch.mv(transposed, torch.sigmoid(-margins))
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach()


def words(text: str) -> list[str]:
    """Lower-case words of a text; punctuation is dropped."""
    return re.findall(r"[\w']+", text.lower())


def ngrams(text: str, longest: int) -> list[str]:
    """Word n-grams of a text, n from 1 to `longest`; from two on they see the start and the end of the text."""
    single = words(text)
    framed = ["<", *single, ">"]
    longer = [" ".join(framed[i : i + size]) for size in range(2, longest + 1) for i in range(len(framed) - size + 1)]
    return single + longer


def _scorers(
    train: Sequence[Sample], field: Literal["antonym", "replaced"], vectors: Mapping[str, Tensor] | None
) -> dict[str, Scorer]:
    """The scorers that `train` has the texts for, by name."""
    scorers: dict[str, Scorer] = {"longest": length, "shortest": lambda texts: -length(texts)}
    if train:
        scorers["unigram"] = unigram([sample.caption for sample in train])
    pairs = _pairs(train, field)
    if pairs:
        scorers["bag-of-words"] = bag_of_words(pairs)
        scorers["bigrams"] = bag_of_words(pairs, longest=2)
        if vectors is not None:
            scorers["embedding"] = embedding(pairs, vectors)
    return scorers


def _pairs(samples: Sequence[Sample], field: Literal["antonym", "replaced"]) -> list[Pair]:
    foils = [(sample.caption, getattr(sample, field)) for sample in samples]
    return [(caption, foil) for caption, foil in foils if foil is not None]
