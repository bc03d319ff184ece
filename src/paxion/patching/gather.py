"""Batches of several processes put together, so that each one's contrastive loss sees the others' negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Gathered:
    """The batches of all W processes in the order of their ranks, B clips each."""

    video: Tensor
    """(W·B, Q, D) or (W·B, D)"""
    text: Tensor
    """(W·B, D) or (W·B, Qt, D); with antonyms (2·W·B, ...), one block [captions ; antonyms] per rank."""
    rank: int
    """Whose loss this is: the local rows start at block `rank`."""
    kept: Tensor | None = None
    """Bool per row of `text`: False for the antonym of a row that has none. None: all are kept."""
    said: Tensor | None = None
    """(W·B,) what each clip's text is, as a number; see `contrastive`."""


def gather(
    video: Tensor,
    text: Tensor,
    antonym: Tensor | None = None,
    has_antonym: Tensor | None = None,
    *,
    said: Tensor | None = None,
    with_gradient: bool,
) -> Gathered | None:
    """What `contrastive` needs from the other processes; every process must call it with the same shapes.

    Args:
        video: (B, Q, D) or (B, D), this process's clips.
        text: (B, D) or (B, Qt, D).
        antonym: the shape of text; on all processes or on none. None: no VAC.
        has_antonym: (B,) bool. None: every row has one.
        said: (B,) whole numbers, see `contrastive`.
        with_gradient: False is the paper's training: the gathered copies carry no gradient, so the text-to-video half
            moves only what comes before the local texts and the temperature. True: gradients flow through them, and
            each process receives those of all losses (summed; averaging parameter gradients, as DDP does, then gives
            those of the mean loss).

    Returns:
        None when there is one process only: `contrastive` then uses the local batch, with gradients. (The published
        code dropped them as soon as torch.distributed was initialised, even for a single process.)

    Source: Paxion (NeurIPS 2023), published code.
    """
    if processes() == 1:
        return None
    local = local_batch(at_least_single(video), text, antonym, has_antonym)
    exchange = _AllGather.apply if with_gradient else _all_gather
    return Gathered(
        video=exchange(local.video),
        text=exchange(local.text),
        rank=dist.get_rank(),
        # Not every transport moves booleans.
        kept=None if local.kept is None else _all_gather(local.kept.byte()).bool(),
        said=None if said is None else _all_gather(said),
    )


def share(counts: Tensor) -> Tensor | float:
    """What to multiply this process's mean over the rows that count by, for the mean over all processes' rows.

    DDP averages the gradients of the processes, so that a process with few rows that count would weigh as much as one
    with many. Every process must call it.

    Args:
        counts: (B,) bool, this process's rows that count.

    Returns:
        W · (rows that count here) / (rows that count anywhere); 1 for a single process.
    """
    if (world := processes()) == 1:
        return 1.0
    here = counts.sum().float()
    everywhere = here.clone()
    dist.all_reduce(everywhere)
    return world * here / everywhere.clamp(min=1)


def processes() -> int:
    """W, how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def at_least_single(values: Tensor) -> Tensor:
    """Half-precision numbers in single precision; others as they are."""
    return values.float() if values.is_floating_point() and values.itemsize < 4 else values


def local_batch(video: Tensor, text: Tensor, antonym: Tensor | None, has_antonym: Tensor | None) -> Gathered:
    """The same record for a single process."""
    if antonym is None:
        return Gathered(video, text, rank=0)
    if antonym.shape != text.shape:
        raise ValueError(f"got antonym {tuple(antonym.shape)}, expected the shape of text, {tuple(text.shape)}")
    kept = None if has_antonym is None else torch.cat([torch.ones_like(has_antonym), has_antonym])
    return Gathered(video, torch.cat([text, antonym]), rank=0, kept=kept)


def _all_gather(rows: Tensor) -> Tensor:
    blocks = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
    dist.all_gather(blocks, rows.detach().contiguous())
    return torch.cat(blocks)


class _AllGather(torch.autograd.Function):
    """All-gather whose backward sums every process's gradient for the local rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return _all_gather(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]
