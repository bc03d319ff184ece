"""Could text alone have done it? Scorers that never see the video, on the very choices of the text probes.

A probe whose foils can be told from their wording measures wording. What a scorer of `text_scorers` gets right, a video
model may get right without looking. Choices are made, tied and counted exactly as in the probes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from paxion.evaluation import text_scorers
from paxion.evaluation.ngrams import Floats
from paxion.evaluation.probes import credits
from paxion.evaluation.statistics import estimate
from paxion.evaluation.text_scorers import Pairs, TextScorer, count_pairs
from paxion.records import Sample, Score

Foil = Literal["antonym", "replaced"]
TASK_OF = {"antonym": "antonym", "replaced": "object"}


def text_only_scores(
    train: Sequence[Sample],
    test: Sequence[Sample],
    field: Foil = "antonym",
    vectors: Mapping[str, Tensor] | None = None,
    *,
    data: str | None = None,
) -> list[Score]:
    """Accuracy of text-only scorers on the (caption, foil) pairs of `test`, one score a scorer, then "text:best".

    Scorers: text:longest and text:shortest (characters), text:unigram (how common the words are in the captions of
    `train`), text:bag-of-words and text:bigrams (logistic regressions on the pairs of `train`), and text:embedding
    (the same on given text vectors). text:best is the highest of them. It is picked on `test`, so it leans high by
    chance: an upper bound. `paxion.actionbench.audit` asks more scorers, without that lean.

    field: which foil. vectors: the vector (D,) of every caption and foil, for text:embedding.
    data: name for `Score.data`, by default the source of the first test sample, or "manifest".
    Scorers that need what `train` lacks are left out; without pairs in `test` the list is empty.
    Raises PaxionError for a text that `vectors` lacks.
    """
    kept = [sample for sample in test if getattr(sample, field) is not None]
    if not kept:
        return []
    taught = [sample for sample in train if getattr(sample, field) is not None]
    pairs = count_pairs([(sample.caption, getattr(sample, field)) for sample in (*taught, *kept)])
    learn = np.arange(len(pairs)) < len(taught)
    groups = [sample.group for sample in kept]
    data = data or kept[0].source or "manifest"
    scores = []
    for name, scorer in _scorers(pairs, bool(taught), vectors).items():
        e = estimate(pair_credits(scorer(pairs, learn)[~learn]), groups)
        scores.append(
            Score(f"text:{name}", data, TASK_OF[field], "none", "accuracy", e.value, e.low, e.high, e.n, e.ties, seed=0)
        )
    return [*scores, replace(max(scores, key=lambda score: score.value), model="text:best")]


def pair_credits(margins: Floats) -> Floats:
    """Credit (N,) of each margin under the tie rule of the probes: 1 right, 0 wrong, 0.5 tie."""
    differences = torch.from_numpy(np.ascontiguousarray(margins))
    return np.asarray(credits(differences, torch.zeros_like(differences)).numpy())


def _scorers(pairs: Pairs, taught: bool, vectors: Mapping[str, Tensor] | None) -> dict[str, TextScorer]:
    """The scorers that there is something to learn for, by name."""
    scorers: dict[str, TextScorer] = {"longest": text_scorers.longest, "shortest": text_scorers.shortest}
    if taught:
        scorers["unigram"] = text_scorers.unigram
        scorers["bag-of-words"] = text_scorers.bag_of_words
        scorers["bigrams"] = text_scorers.bigrams
        if vectors is not None:
            scorers["embedding"] = text_scorers.embedding(pairs, vectors)
    return scorers
