"""Retrieval: find the clip of a text, the text of a clip, the action of a clip; with the same similarity and tie rule.

Equal similarities are not ordered by chance: every number is its expectation under random tie breaking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paxion.evaluation.probes import TIE, require_finite, stacked
from paxion.evaluation.statistics import Estimate, estimate, mean_interval
from paxion.records import Row, Sample, Score
from paxion.similarity import similarity

K = TypeVar("K")
DEPTHS = (1, 5, 10)
CHUNK = 2**21
"""Similarities held at once (float32: 8 MB); a step takes a few times as much."""


@dataclass(frozen=True)
class Retrieval:
    """The result of one retrieval task for one model."""

    rows: list[Row]
    """One per query; `credit` is the expected R@1."""
    scores: list[Score]
    """R@k, and mAP for video_to_action. Empty when no query could be asked."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Why queries were not asked, and how many."""


@dataclass(frozen=True)
class Ranking:
    """Where the right candidates of N queries came out. All are (N,)."""

    right: Tensor
    """Score of the best right candidate."""
    wrong: Tensor
    """Score of the best wrong candidate; -inf when there is none."""
    above: Tensor
    """Number of wrong candidates above the best right one."""
    tied_right: Tensor
    """Number of right candidates that tie with the best right one, itself included."""
    tied_wrong: Tensor
    """Number of wrong candidates that tie with the best right one."""


def text_to_video(
    video: Tensor,
    samples: Sequence[Sample],
    text: Mapping[str, Tensor],
    *,
    model: str,
    data: str,
    control: str = "none",
    seed: int = 0,
) -> Retrieval:
    """Find the clips of a caption: queries are the distinct captions, every clip with that caption is right.

    video: (B, Q, D), one entry a sample. text: the vector (D,) of every caption. A query's row and group are those of
    the first clip with its caption. R@k is given for galleries of more than k clips.
    Raises PaxionError for a text without a vector or a similarity that is not finite.
    """
    captions = [sample.caption for sample in samples]
    label, first = _labels(captions)
    vectors = stacked(text, list(first), video)
    ids = [sample.id for sample in samples]

    def ranked() -> Iterator[Ranking]:
        for part in _chunks(len(first), max(len(samples), 1024 * video.shape[1])):
            scores = similarity(video.float(), vectors[part])
            require_finite(scores, ids)
            yield rank(scores.T.contiguous(), label[None] == torch.arange(len(first))[part, None])

    queries = [samples[i] for i in first.values()]
    return _summary("text_to_video", queries, len(samples), ranked(), model, data, control, seed)


def video_to_text(
    video: Tensor,
    samples: Sequence[Sample],
    text: Mapping[str, Tensor],
    *,
    model: str,
    data: str,
    control: str = "none",
    seed: int = 0,
) -> Retrieval:
    """Find the caption of a clip among the distinct captions. Arguments and errors as for `text_to_video`."""
    label, first = _labels([sample.caption for sample in samples])
    gallery = torch.arange(len(first))
    found = _rank_clips(video, samples, stacked(text, list(first), video), lambda part: label[part, None] == gallery)
    return _summary("video_to_text", samples, len(first), found, model, data, control, seed)


def video_to_action(
    video: Tensor,
    samples: Sequence[Sample],
    text: Mapping[str, Tensor],
    *,
    model: str,
    data: str,
    control: str = "none",
    seed: int = 0,
) -> Retrieval:
    """Find the action of a clip among the distinct templates; clips without a template are skipped.

    Right is every template that occurs with the clip's `action`, and the clip's own template when it has none.
    mAP turns the question round: each template is a query over the clips, and its average precision counts the clips
    it is right for. Its interval takes templates as independent; n is their number, ties is 0 by definition (average
    precision is an expectation over ties).
    text: the vector (D,) of every template. Otherwise as for `text_to_video`.
    """
    kept = [i for i, sample in enumerate(samples) if sample.template is not None]
    skipped = {"no template": len(samples) - len(kept)} if len(kept) < len(samples) else {}
    asked = [samples[i] for i in kept]
    clips = video[kept].float()
    template, first = _labels([sample.template or "" for sample in asked])
    # An action and a template of the same name are two labels.
    action, actions = _labels([("action", s.action) if s.action else ("template", s.template) for s in asked])
    right = torch.zeros(len(actions), len(first), dtype=torch.bool)
    right[action, template] = True
    vectors = stacked(text, list(first), video)
    found = _rank_clips(clips, asked, vectors, lambda part: right[action[part]])
    result = _summary("video_to_action", asked, len(first), found, model, data, control, seed, skipped)
    if not result.rows:
        return result
    precisions = _template_precisions(clips, vectors, right[action])
    value, low, high = mean_interval(precisions, list(first))
    score = Score(
        model, data, "video_to_action", control, "mAP", value, low, high, n=len(precisions), ties=0, seed=seed
    )
    return Retrieval(result.rows, [*result.scores, score], result.skipped)


def rank(scores: Tensor, right: Tensor) -> Ranking:
    """Rank the right among K candidates. scores: (N, K) finite. right: (N, K) bool, at least one true in each row.

    Candidates tie when they are within TIE of the best right one.
    """
    right = right.to(scores.device)
    best = scores.masked_fill(~right, -torch.inf).amax(1)
    difference = scores - best[:, None]
    tied = difference.abs() <= TIE
    return Ranking(
        right=best,
        wrong=scores.masked_fill(right, -torch.inf).amax(1),
        above=((difference > TIE) & ~right).sum(1),
        tied_right=(tied & right).sum(1),
        tied_wrong=(tied & ~right).sum(1),
    )


def expected_recall(ranking: Ranking, k: int) -> Tensor:
    """Chance (N,) that a right candidate is among the first k when ties are broken at random.

    Of the first k places, j are left for the tied block of m right and w wrong candidates; all j are wrong with the
    hypergeometric chance of drawing j times wrong without replacement.
    """
    wrong, block = ranking.tied_wrong.double(), (ranking.tied_wrong + ranking.tied_right).double()
    places = k - ranking.above
    missed = torch.ones_like(wrong)
    for drawn in range(k):
        chance = ((wrong - drawn) / (block - drawn).clamp(min=1)).clamp(min=0)
        missed = torch.where(places > drawn, missed * chance, missed)
    return 1 - missed


def expected_rank(ranking: Ranking) -> Tensor:
    """Expected 1-based rank (N,) of the first right candidate: one right among w tied wrong counts half of them."""
    return 1 + ranking.above + ranking.tied_wrong.double() / (ranking.tied_right + 1)


def average_precision(scores: NDArray[np.floating], relevant: NDArray[np.bool_]) -> float:
    """Average precision of one query over N candidates, expected under random order within ties.

    A tie block is what lies within TIE of its highest score. scores: (N,). relevant: (N,), at least one true.
    """
    order = np.argsort(-scores, kind="stable")
    relevant = relevant[order]
    starts, anchor = [], np.inf
    for i, score in enumerate(scores[order].tolist()):
        if anchor - score > TIE:
            starts.append(i)
            anchor = score
    start = np.array(starts)
    size = np.diff(np.append(start, len(scores)))
    hits = np.add.reduceat(relevant.astype(np.float64), start)
    before = np.cumsum(hits) - hits
    # Each place of a block (McSherry and Najork, 2008): it holds a right one with chance hits/size; given that, the
    # other right ones are spread evenly over the other places, so i·(hits-1)/(size-1) of them come before it.
    block = np.repeat(np.arange(len(start)), size)
    place = np.arange(len(scores))
    ahead = (place - start[block]) * (hits - 1)[block] / np.maximum(size - 1, 1)[block]
    precision = (before[block] + 1 + ahead) / (place + 1)
    return float(np.sum(precision * (hits / size)[block]) / hits.sum())


def _labels(names: Sequence[K]) -> tuple[Tensor, dict[K, int]]:
    """The label (N,) of each name, numbered in order of appearance, and where each name occurs first."""
    first: dict[K, int] = {}
    for i, name in enumerate(names):
        first.setdefault(name, i)
    number = {name: label for label, name in enumerate(first)}
    return torch.tensor([number[name] for name in names], dtype=torch.long), first


def _chunks(queries: int, width: int) -> Iterator[slice]:
    """Slices of the queries such that a step of `width` numbers a query stays within CHUNK."""
    step = max(1, CHUNK // max(1, width))
    return (slice(start, start + step) for start in range(0, queries, step))


def _rank_clips(
    video: Tensor, samples: Sequence[Sample], text: Tensor, right: Callable[[slice], Tensor]
) -> Iterator[Ranking]:
    """Rank texts for clips, chunk by chunk. right: gives the right texts (n, K) of a slice of clips."""
    for part in _chunks(len(samples), len(text) * video.shape[1]):
        scores = similarity(video[part].float(), text)
        require_finite(scores, [sample.id for sample in samples[part]])
        yield rank(scores, right(part))


def _template_precisions(video: Tensor, text: Tensor, right: Tensor) -> NDArray[np.float64]:
    """Average precision of each text over the clips. right: (B, K), True where the text is right for the clip."""
    found = []
    for part in _chunks(len(text), max(len(video), 1024 * video.shape[1])):
        scores = similarity(video, text[part]).T.cpu().numpy()
        found += [average_precision(*query) for query in zip(scores, right.T[part].numpy(), strict=True)]
    return np.array(found)


def _summary(
    task: str,
    queries: Sequence[Sample],
    gallery: int,
    found: Iterator[Ranking],
    model: str,
    data: str,
    control: str,
    seed: int,
    skipped: Mapping[str, int] | None = None,
) -> Retrieval:
    """Rows and recalls of ranked queries. A query for which every candidate is right asks nothing: it is skipped."""
    skipped = dict(skipped or {})
    # One table for all: small tensors kept between the large ones of each chunk would fragment the memory to gigabytes.
    table, filled = torch.empty(len(fields(Ranking)), len(queries), dtype=torch.float64), 0
    for part in found:
        end = filled + len(part.right)
        for row, name in zip(table, fields(Ranking), strict=True):
            row[filled:end] = getattr(part, name.name)
        filled = end
    ranking = Ranking(*table)
    recalls = {k: expected_recall(ranking, k) for k in DEPTHS if k == 1 or k < gallery}
    ranks = expected_rank(ranking)
    asked = torch.isfinite(ranking.wrong).nonzero()[:, 0].tolist()
    if len(asked) < len(queries):
        skipped["no wrong candidate"] = len(queries) - len(asked)
    if not asked:
        return Retrieval([], [], skipped)
    rows = [
        Row(
            queries[i].id,
            queries[i].group,
            model,
            data,
            task,
            control,
            seed,
            right=float(ranking.right[i]),
            wrong=float(ranking.wrong[i]),
            credit=float(recalls[1][i]),
            rank=float(ranks[i]),
        )
        for i in asked
    ]
    ties = int((ranking.tied_wrong[asked] > 0).sum())
    scores = []
    for k, recall in recalls.items():
        e: Estimate = estimate(recall[asked].numpy(), [row.group for row in rows], ties)
        scores.append(Score(model, data, task, control, f"R@{k}", e.value, e.low, e.high, e.n, e.ties, seed))
    return Retrieval(rows, scores, skipped)
