"""How the scores of a model and of the backbone beside it become one: their sum, the sum of softmaxes, two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from paxion.backbones.base import TEMPERATURE
from paxion.evaluation.settings import Method

TIE = 1e-5
"""Two similarities that are no further apart count as equal: float32 noise must not decide a choice."""
BELOW = 8.0
"""How far the backbone's scores of what two-step leaves out are put down: below every cosine and sum of some."""


@dataclass(frozen=True)
class Mix:
    """The backbone beside a model on the same B clips, and how the scores of both become one."""

    method: Method
    video: Tensor
    """(B, Q, D) of the backbone; its D need not be the model's."""
    text: Mapping[str, Tensor]
    """The backbone's vector (D,) of every text."""
    backwards: Tensor | None = None
    """(B, Q, D) of the reversed clips, where they are asked for."""
    actions: Mapping[str, Tensor] = field(default_factory=dict)
    """The backbone's vector (D,) of every action's name in its prompts."""
    temperature: float = TEMPERATURE
    """What softmax-sum divides the model's similarities by."""
    beside: float = TEMPERATURE
    """What it divides the backbone's by."""


Known = tuple[Tensor, ...]
"""What a method must know of all candidates of a query before it can score one of them."""


def known(mix: Mix, model: Tensor, beside: Tensor, dim: int) -> Known:
    """From all scores of some queries, whose candidates are along `dim`; that dimension is kept, with length 1.

    softmax-sum: the logarithms of both softmax denominators. two-step: the backbone's score of the last candidate that
    the model ranks again.
    """
    if mix.method.kind == "softmax-sum":
        own, other = model / mix.temperature, beside / mix.beside
        return own.logsumexp(dim, keepdim=True), other.logsumexp(dim, keepdim=True)
    if mix.method.kind == "two-step":
        return (highest(beside, mix.method.top, dim).amin(dim, keepdim=True),)
    return ()


def highest(scores: Tensor, top: int, dim: int) -> Tensor:
    """The `top` highest scores along a dimension, or all where there are fewer."""
    return scores.topk(min(top, scores.shape[dim]), dim, sorted=False).values


def joined(mix: Mix, model: Tensor, beside: Tensor, given: Known) -> Tensor:
    """One score of each pair from the model's and the backbone's, any shape; given: from `known`, to broadcast.

    The sum of softmaxes is given as temperature * log(p + q): in the order of p + q, and on the scale of similarities,
    so that what counts as a tie does not depend on how many candidates share the probability.
    Candidates that tie with the last one of two-step's first step are ranked again too.
    """
    if mix.method.kind == "score-sum":
        return model + mix.method.weight * beside
    if mix.method.kind == "softmax-sum":
        own, other = given
        return mix.temperature * torch.logaddexp(model / mix.temperature - own, beside / mix.beside - other)
    if mix.method.kind == "two-step":
        (least,) = given
        return torch.where(beside >= least - TIE, model, beside - BELOW)
    return model


def mixed(mix: Mix, model: Tensor, beside: Tensor) -> Tensor:
    """The scores (N, K) of N queries with all their candidates."""
    return joined(mix, model, beside, known(mix, model, beside, 1))
