"""Where the right candidates of a query come out, as an expectation under random order within ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paxion.evaluation.methods import TIE
from paxion.evaluation.scores import Queries, Scores


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


def rank_all(scores: Scores, clip: Tensor, text: Tensor, queries: Queries) -> Ranking:
    """Rank the right candidates of every query of a gallery: what `rank` finds, without the whole matrix.

    clip, text: (M,) the pairs that are right, clips in ascending order, at least one for each query.
    The right pairs are scored first; then every score is made once and counted as above, tied or below.
    """
    dim = 1 if queries == "clips" else 0
    query = clip if dim else text
    count = len(scores.ids) if dim else len(scores.text)
    given = scores.survey(queries)
    paired = scores.pairs(clip, text, queries, given)
    best = torch.full((count,), -torch.inf).scatter_reduce(0, query, paired, "amax")
    tied_right = torch.zeros(count).index_add(0, query, ((paired - best[query]).abs() <= TIE).float())
    wrong = torch.full((count,), -torch.inf)
    above, tied = torch.zeros(count, dtype=torch.long), torch.zeros(count, dtype=torch.long)
    for clips, texts, tile in scores.tiles(queries, given):
        part = clips if dim else texts
        among = slice(*torch.searchsorted(clip, torch.tensor([clips.start, clips.stop])).tolist())
        rows, columns = clip[among] - clips.start, text[among] - texts.start
        here = (columns >= 0) & (columns < tile.shape[1])
        tile[rows[here], columns[here]] = -torch.inf
        wrong[part] = torch.maximum(wrong[part], tile.amax(dim))
        tile -= best[part].unsqueeze(dim)
        over = (tile > TIE).count_nonzero(dim)
        above[part] += over
        tied[part] += (tile >= -TIE).count_nonzero(dim) - over
    return Ranking(best, wrong, above, tied_right, tied)


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
