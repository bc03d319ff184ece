"""The patcher's attention as textbooks have it, with every key and value: what the absorbed form is held to."""

from __future__ import annotations

import torch
from torch import Tensor

from paxion.patching.attention import CrossAttention, CrossAttentionBlock
from paxion.patching.patcher import KnowledgePatcher


def plain_attention(attention: CrossAttention, x: Tensor, media: Tensor) -> Tensor:
    """Queries (B, Q, D) or (Q, D) and media (B, N, C) to (B, Q, D): `CrossAttention.forward`, the long way.

    Source: Paxion (NeurIPS 2023), published code.
    """
    media = attention.norm_media(media)
    shape = (attention.heads, attention.dim_head)
    query = attention.query(attention.norm_query(x)).unflatten(-1, shape) * attention.dim_head**-0.5
    key, value = (part.unflatten(-1, shape) for part in attention.key_value(media).chunk(2, -1))
    query = query.expand(len(media), -1, -1, -1)
    weights = torch.einsum("bqhd,bnhd->bhqn", query, key).softmax(-1)
    mixed = torch.einsum("bhqn,bnhd->bqhd", weights, value)
    attended: Tensor = attention.out(mixed.flatten(-2))
    return attended


def plain_patcher(patcher: KnowledgePatcher, tokens: Tensor, code: Tensor | None = None) -> Tensor:
    """Tokens (B, T, P, C) to latents (B, Q, D): `KnowledgePatcher.forward` for patchers without difference tokens.

    code: what is added to the tokens, (T, P, C); drawn from the patcher when None.
    """
    media = (tokens.to(patcher.temperature.dtype) + (patcher.code() if code is None else code)).flatten(1, 2)
    x = patcher.perceiver.latents.expand(len(media), -1, -1)
    for layer in patcher.perceiver.layers:
        assert isinstance(layer, CrossAttentionBlock)
        x = x + plain_attention(layer.attention, x, media)
        x = x + layer.feed_forward(x)
    normed: Tensor = patcher.perceiver.norm(x)
    return normed
