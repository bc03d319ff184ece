"""The transformer block of CLIP, which the vision and text towers of InternVideo and CLIP-ViP are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values (N, heads, L, width / heads) to what each query gathers, of the same shape."""

EPSILON = 1e-12
"""What BERT and BEiT add to a variance."""
QUICK_GELU = 1.702
"""CLIP's activation is x · sigmoid(1.702 x)."""


def attend_all(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Every query attends to every key."""
    return F.scaled_dot_product_attention(query, key, value)


def attend_before(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Every query attends to the keys up to its own place."""
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


class Block(nn.Module):
    """A pre-norm block: attention, then two layers with QuickGELU between them, both added to the tokens."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, tokens: Tensor, attend: Attend = attend_all) -> Tensor:
        """Tokens (N, L, width) in and out."""
        query, key, value = split_heads(self.qkv(self.attention_norm(tokens)), 3, self.heads)
        tokens = tokens + self.out(join_heads(attend(query, key, value)))
        return tokens + self.mlp(self.mlp_norm(tokens))

    def mlp(self, tokens: Tensor) -> Tensor:
        """contract(quick_gelu(expand(tokens))) of tokens (N, L, width).

        With a = 1.702 the activation is silu(a x) / a, and both factors are left to the matrix products: of the passes
        over the hidden layer, which cost a tenth of the time of the block, one remains.
        """
        flat = tokens.flatten(0, 1)
        hidden = torch.addmm(self.expand.bias, flat, self.expand.weight.T, beta=QUICK_GELU, alpha=QUICK_GELU)
        mixed = torch.addmm(self.contract.bias, F.silu(hidden), self.contract.weight.T, alpha=1 / QUICK_GELU)
        return mixed.view(tokens.shape)


def split_heads(projected: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(N, L, parts · width) to `parts` tensors (N, heads, L, width / heads)."""
    number, length, width = projected.shape
    split = projected.view(number, length, parts, heads, width // (parts * heads))
    return split.permute(2, 0, 3, 1, 4).unbind(0)


def join_heads(mixed: Tensor) -> Tensor:
    """(N, heads, L, width / heads) to (N, L, width)."""
    return mixed.transpose(1, 2).flatten(2)


def check_size(video: Tensor, size: int) -> None:
    """Raises ValueError unless video is (B, T, 3, size, size) and T is at least 1."""
    if video.ndim != 5 or video.shape[2:] != (3, size, size) or not video.shape[1]:
        raise ValueError(f"got clips {tuple(video.shape)}, expected (B, T, 3, {size}, {size})")
