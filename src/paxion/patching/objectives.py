"""The training objectives: pure functions from unit vectors and a temperature, a divisor, to a scalar loss.

They are computed in single precision at least, under autocast too: a similarity rounded to half precision and divided
by the temperature would be off by a tenth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import torch
from torch import Tensor
from torch.nn import functional as F

from paxion.patching.gather import Gathered, at_least_single, gather, local_batch, share
from paxion.similarity import late_interaction, paired_similarity

__all__ = [
    "Gathered",
    "action_temporal_matching",
    "antonym_pair",
    "contrastive",
    "gather",
    "multiple_choice",
    "share",
    "template_contrastive",
]

Arguments = ParamSpec("Arguments")


def _exactly(objective: Callable[Arguments, Tensor]) -> Callable[Arguments, Tensor]:
    """An objective that autocast leaves alone, of tensors that it may have made."""

    @wraps(objective)
    def exact(*given: Arguments.args, **options: Arguments.kwargs) -> Tensor:
        first = next(value for value in (*given, *options.values()) if isinstance(value, Tensor))
        with torch.autocast(first.device.type, enabled=False):
            values: Any = [at_least_single(value) if isinstance(value, Tensor) else value for value in given]
            return objective(*values, **options)

    return exact


@_exactly
def contrastive(
    video: Tensor,
    text: Tensor,
    temperature: Tensor | float,
    *,
    antonym: Tensor | None = None,
    has_antonym: Tensor | None = None,
    said: Tensor | None = None,
    label_smoothing: float = 0.1,
    gathered: Gathered | None = None,
) -> Tensor:
    """VTC, VTC with VAC, and the fuser's loss: tell each clip's caption from the others, and the reverse.

    Use it as the main loss of every training. The mean of two cross entropies, clip to texts and text to clips, over
    the batch. VAC makes the antonyms of all rows further wrong texts of the first half; they are never queries.

    Args:
        video: (B, Q, D) patcher latents, or (B, 1, D) or (B, D) fused vectors; row i matches text i.
        text: (B, D), or (B, Qt, D) when the texts have latents of their own.
        temperature: divides the similarities.
        antonym: the shape of text; gives VAC.
        has_antonym: (B,) bool; the antonym of a row without one is left out (of the label smoothing too). None: all
            have one.
        said: (B,) whole numbers, equal where clips have the same text: such clips and texts are then not told from one
            another. Ours, for texts that repeat; not together with antonyms. None: each row's text is wrong for all
            others, as published (captions that repeat in a batch are then wrong answers too).
        label_smoothing: share of the target spread over all columns.
        gathered: what `gather` returned for this batch; it then stands for antonym and has_antonym too.

    Returns:
        A scalar.

    Raises:
        ValueError: the shapes do not fit.

    Source: Paxion (NeurIPS 2023), video-text contrastive and video-action contrastive losses; the weight of VAC is that
    of VTC.
    """
    if len(video) != len(text):
        raise ValueError(f"got {len(video)} clips and {len(text)} texts, expected as many of each")
    batch = gathered or local_batch(video, text, antonym, has_antonym)
    world, rest = divmod(len(batch.video), len(video))
    if rest or len(batch.text) not in (len(batch.video), 2 * len(batch.video)) or batch.rank >= world:
        got = f"{len(batch.video)} clips and {len(batch.text)} texts for rank {batch.rank}"
        raise ValueError(f"got {got}, expected W blocks of {len(video)} clips and as many or twice as many texts")

    rows = torch.arange(len(video), device=video.device)
    to_texts = late_interaction(video, batch.text) / temperature
    to_videos = late_interaction(text, batch.video) / temperature
    others = None if said is None else _others(said, batch)
    kept = batch.kept if others is None else others
    v2t = _cross_entropy(to_texts, batch.rank * (len(batch.text) // world) + rows, label_smoothing, kept)
    t2v = _cross_entropy(to_videos, batch.rank * len(video) + rows, label_smoothing, others)
    return (v2t + t2v) / 2


def _others(said: Tensor, batch: Gathered) -> Tensor:
    """(B, W·B) bool: which clips of all processes say something else than each clip here, and itself."""
    if len(batch.text) != len(batch.video):
        raise ValueError("got antonyms and texts that repeat, expected one of these")
    everywhere = said if batch.said is None else batch.said
    itself = torch.arange(len(everywhere), device=said.device) - batch.rank * len(said)
    rows = torch.arange(len(said), device=said.device)
    return (said[:, None] != everywhere) | (rows[:, None] == itself)


@_exactly
def action_temporal_matching(
    video: Tensor,
    reversed_video: Tensor,
    text: Tensor,
    temperature: Tensor | float,
    *,
    salient: Tensor | None = None,
    shuffled: Tensor | None = None,
    label_smoothing: float = 0.1,
) -> Tensor:
    """ATM: given the caption, tell the clip from itself played backwards.

    Use it beside `contrastive` (the paper's weight is 0.4) to make the patcher read the order of the frames.

    Args:
        video: (B, Q, D) or (B, D).
        reversed_video: the shape of video, from the same clips with their frames flipped.
        text: (B, D) or (B, Qt, D), the captions.
        temperature: divides the similarities.
        salient: (B,) bool, the clips that show a visible state change; the others do not count. None: all count.
        shuffled: the shape of video, a third candidate with the frames in random order (in the published code, never
            used).
        label_smoothing: share of the target spread over the candidates.

    Returns:
        The mean over the salient clips. Without any, a zero that carries zero gradients, so that every process can go
        backward.

    Raises:
        ValueError: the shapes do not fit.

    Source: Paxion (NeurIPS 2023), action-temporal matching loss.
    """
    clips = [video, reversed_video] if shuffled is None else [video, shuffled, reversed_video]
    return _first_wins([paired_similarity(clip, text) for clip in clips], temperature, label_smoothing, salient)


@_exactly
def antonym_pair(
    video: Tensor,
    text: Tensor,
    antonym: Tensor,
    temperature: Tensor | float,
    *,
    has_antonym: Tensor | None = None,
    label_smoothing: float = 0.1,
) -> Tensor:
    """Given the clip, tell its caption from its antonym: the antonym probe itself, as a two-way cross entropy.

    Use it beside `contrastive` when antonym accuracy matters: in VAC a clip's own antonym is one of many columns. Ours,
    not the paper's.

    Args:
        video: (B, Q, D) or (B, D).
        text: (B, D) or (B, Qt, D), the captions.
        antonym: the shape of text.
        temperature: divides the similarities.
        has_antonym: (B,) bool, rows that count. None: all.
        label_smoothing: share of the target spread over the two.

    Returns:
        The mean over the rows that count. Without any, a zero that carries zero gradients.

    Raises:
        ValueError: the shapes do not fit.
    """
    scores = [paired_similarity(video, text), paired_similarity(video, antonym)]
    return _first_wins(scores, temperature, label_smoothing, has_antonym)


@_exactly
def multiple_choice(
    video: Tensor,
    choices: Tensor,
    answer: Tensor,
    temperature: Tensor | float,
    *,
    label_smoothing: float = 0.1,
) -> Tensor:
    """Given the clip, pick the answer among texts of its own: 5 choices, or 10 with the antonym of each.

    Use it as the main loss of training on questions, where other clips' texts answer other questions.

    Args:
        video: (B, Q, D) patcher latents, or (B, 1, D) or (B, D) fused vectors.
        choices: (B, K, D), each clip's texts (question and answer in one).
        answer: (B,) whole numbers, which choice is right.
        temperature: divides the similarities.
        label_smoothing: share of the target spread over the choices (the paper's KP-Transformer: 0).

    Returns:
        A scalar.

    Raises:
        ValueError: the shapes do not fit.

    Source: Paxion (NeurIPS 2023), published code.
    """
    fit = video.ndim in (2, 3) and choices.ndim == 3 and video.shape[:: video.ndim - 1] == choices.shape[::2]
    if not fit or answer.shape != choices.shape[:1]:
        got = f"video {tuple(video.shape)}, choices {tuple(choices.shape)} and answer {tuple(answer.shape)}"
        raise ValueError(f"got {got}, expected (B, Q, D), (B, K, D) and (B,)")
    vectors = video if video.ndim == 3 else video[:, None]
    logits = torch.einsum("bqd,bkd->bqk", vectors, choices).amax(1) / temperature
    return F.cross_entropy(logits, answer, label_smoothing=label_smoothing)


@_exactly
def template_contrastive(video: Tensor, templates: Tensor, positives: Tensor, temperature: Tensor | float) -> Tensor:
    """Given the clip, pick its template (the caption with its objects blanked) from a bank of all distinct ones.

    Use it beside `contrastive` to make the action count without the objects, e.g. for video-to-action retrieval. For
    each clip -log(sum over its templates of exp(s) / sum over all of exp(s)), s being the similarity over the
    temperature. Ours, not the paper's.

    Args:
        video: (B, Q, D) or (B, D).
        templates: (K, D), distinct texts.
        positives: (B, K) bool, which templates fit which clip; several may.
        temperature: divides the similarities.

    Returns:
        The mean over the clips with at least one positive. Without any, a zero that carries zero gradients.

    Raises:
        ValueError: the shapes do not fit.
    """
    if positives.shape != (len(video), len(templates)):
        got = f"positives {tuple(positives.shape)}"
        raise ValueError(f"got {got}, expected ({len(video)}, {len(templates)}): clips by templates")
    logits = (late_interaction(video, templates) / temperature).log_softmax(-1)
    counts = positives.any(-1)
    # A row without a positive takes them all: its loss and its gradient are zero.
    chosen = logits.masked_fill(~positives & counts[:, None], -torch.inf)
    return _mean(-chosen.logsumexp(-1), counts)


def _cross_entropy(logits: Tensor, right: Tensor, label_smoothing: float, kept: Tensor | None = None) -> Tensor:
    """Mean cross entropy of logits (B, K) over the columns that are kept, (K,) or (B, K) bool, all by default.

    The columns are masked and not taken out: how many are left is nothing that a GPU would have to be waited for.
    """
    if kept is None:
        return F.cross_entropy(logits, right, label_smoothing=label_smoothing)
    logs = logits.masked_fill(~kept, -torch.inf).log_softmax(-1)
    spread = logs.masked_fill(~kept, 0.0).sum(-1) / kept.sum(-1)
    return -torch.lerp(logs.gather(1, right[:, None])[:, 0], spread, label_smoothing).mean()


def _first_wins(
    scores: list[Tensor], temperature: Tensor | float, label_smoothing: float, counts: Tensor | None
) -> Tensor:
    """Cross entropy of the first of several scores (B,), averaged over the rows that count."""
    logits = torch.stack(scores, 1) / temperature
    first = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    losses = F.cross_entropy(logits, first, label_smoothing=label_smoothing, reduction="none")
    return losses.mean() if counts is None else _mean(losses, counts)


def _mean(losses: Tensor, counts: Tensor) -> Tensor:
    """Mean of losses (B,) over the rows that count (B,) bool; zero, still part of the graph, when none does."""
    return (losses * counts).sum() / counts.sum().clamp(min=1)
