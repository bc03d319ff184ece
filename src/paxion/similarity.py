"""The one similarity rule: how well a clip of several vectors matches a text, as a dot product of unit vectors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

MOST = 2**25
"""Dot products held at a time: 134 MB in single precision, and about three times that on the way back."""


def similarity(video: Tensor, text: Tensor, chunk: int = 1024) -> Tensor:
    """Scores of B clips against K texts: the largest dot product over the clip's Q vectors.

    The clips are taken `chunk` at a time, so the memory beyond the result is chunk·Q·K numbers however large the
    gallery is.

    Args:
        video: (B, Q, D).
        text: (K, D).
        chunk: clips per step, at least 1.

    Returns:
        (B, K). Unit vectors give cosines; nothing is normalised here.

    Raises:
        ValueError: the shapes do not fit, or chunk is below 1.

    Source: Paxion (NeurIPS 2023), the knowledge patcher's score.
    """
    if video.ndim != 3 or text.ndim != 2:
        raise ValueError(f"got video {tuple(video.shape)} and text {tuple(text.shape)}, expected (B, Q, D) and (K, D)")
    if chunk < 1:
        raise ValueError(f"got chunk {chunk}, expected at least 1")
    return torch.cat([late_interaction(part, text) for part in torch.split(video, chunk)])


def late_interaction(query: Tensor, target: Tensor, most: int = MOST) -> Tensor:
    """Scores of B queries against N targets, each one vector or several.

    One vector against several scores the best of them. Several against several scores, for each query vector, its mean
    over the target's vectors, and takes the best query vector; that rule is not symmetric.

    Where there are more than `most` dot products, a few queries are taken at a time, and their dot products are made
    once more on the way back instead of being kept: 4,096 clips of 16 vectors against 8,192 texts, forward and
    backward, take the room of their scores and little more, for a third more time.

    Args:
        query: (B, Qv, D) or (B, D).
        target: (N, Qt, D) or (N, D).
        most: dot products held at a time (those of one query at least).

    Returns:
        (B, N).

    Raises:
        ValueError: the shapes do not fit.

    Source: Paxion (NeurIPS 2023), published code: text may have latents of its own (dual Perceiver).
    """
    query, target = _vectors(query, target)
    of_one = query.shape[1] * target.shape[0] * target.shape[1]
    if len(query) * of_one <= most:
        return _scores(query, target)
    parts = torch.split(query, max(1, most // of_one))
    if not torch.is_grad_enabled():
        return torch.cat([_scores(part, target) for part in parts])
    return torch.cat(
        [checkpoint(_scores, part, target, use_reentrant=False, preserve_rng_state=False) for part in parts]
    )


def _scores(query: Tensor, target: Tensor) -> Tensor:
    return torch.einsum("bqd,ntd->bqnt", query, target).amax((1, 3))


def paired_similarity(query: Tensor, target: Tensor) -> Tensor:
    """Score of each query against the target of the same row: the diagonal of `late_interaction`, without the rest.

    Args:
        query: (B, Qv, D) or (B, D).
        target: (B, Qt, D) or (B, D).

    Returns:
        (B,).

    Raises:
        ValueError: the shapes do not fit.
    """
    if len(query) != len(target):
        raise ValueError(f"got {len(query)} queries and {len(target)} targets, expected as many of each")
    query, target = _vectors(query, target)
    return torch.einsum("bqd,btd->bqt", query, target).amax((1, 2))


def _vectors(query: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (rows, vectors, D), so that the best dot product over all pairs of vectors is the score."""
    if query.ndim not in (2, 3) or target.ndim not in (2, 3) or query.shape[-1] != target.shape[-1]:
        shapes = f"{tuple(query.shape)} and {tuple(target.shape)}"
        raise ValueError(f"got vectors {shapes}, expected (rows, D) or (rows, vectors, D) with the same D")
    query, target = (rows if rows.ndim == 3 else rows[:, None] for rows in (query, target))
    if query.shape[1] > 1 and target.shape[1] > 1:
        # The mean of the dot products is the dot product with the mean.
        target = target.mean(1, keepdim=True)
    return query, target
