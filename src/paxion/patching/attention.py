"""Cross-attention from few queries to many tokens, and the block that the Perceiver and the fuser are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from paxion.patching.absorbed import attend


class CrossAttention(nn.Module):
    """Multi-head attention of queries (..., Q, D) to media (..., N, C), both layer-normed first; no biases.

    No key and no value is ever computed. A logit is (q Wk)·x and a head's output is Wv (attention·x), so the key
    projection is absorbed into the few queries and the value projection is applied to the few mixtures. Likewise the
    gain of the media's norm goes into the queries and the mixtures, and its bias only into the mixtures: it adds the
    same number to every logit of a query, and attention weights sum to one. The result equals the textbook form up to
    rounding, at a fraction of its cost when Q·heads is small against N.

    Source: Paxion (NeurIPS 2023), published code: keys come from the media alone, layer norm eps 1e-5.
    """

    def __init__(self, dim: int, media_width: int, heads: int = 8, dim_head: int = 64) -> None:
        """D = dim and C = media_width; each of the heads is dim_head wide."""
        super().__init__()
        self.heads = heads
        self.dim_head = dim_head
        inner = heads * dim_head
        self.norm_query = nn.LayerNorm(dim)
        self.norm_media = nn.LayerNorm(media_width)
        self.query = nn.Linear(dim, inner, bias=False)
        self.key_value = nn.Linear(media_width, 2 * inner, bias=False)
        self.out = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor, media: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            x: queries (..., Q, D), or (Q, D) shared by all.
            media: (..., N, C).
            guidance: (..., N) factors on the logits, which are at most 0 then (the row's maximum is taken off first): a
                factor above 1 turns the attention away from a token. None: no guidance.

        Returns:
            (..., Q, D), to be added to x by the caller.
        """
        media = F.layer_norm(media, media.shape[-1:], eps=self.norm_media.eps)
        logits = self._absorbed(x) @ media.transpose(-2, -1)  # (..., heads·Q, N): one product for all heads
        if guidance is not None:
            logits = (logits - logits.amax(-1, keepdim=True)) * guidance[..., None, :]
        return self._attended(logits.softmax(-1) @ media)

    def read(self, x: Tensor, tokens: Tensor, codes: Tensor) -> Tensor:
        """Attend to frozen tokens with codes added, as `forward` would, without anything of the size of the tokens.

        Args:
            x: queries (D or 1, B or 1, Q, dim) for D directions.
            tokens: (B, T, P, C), without a gradient.
            codes: (D, T, P or 1, C).

        Returns:
            (D, B, Q, dim), to be added to x by the caller.
        """
        return self._attended(attend(self._absorbed(x), tokens, codes, self.norm_media.eps))

    def _absorbed(self, x: Tensor) -> Tensor:
        """Queries (..., Q, dim) in the width of the media (..., heads·Q, C)."""
        key = self.key_value.weight.view(2, self.heads, self.dim_head, -1)[0]
        queries = self.query(self.norm_query(x)).unflatten(-1, (self.heads, self.dim_head)).transpose(-3, -2)
        absorbed: Tensor = (queries * self.dim_head**-0.5) @ (key * self.norm_media.weight)
        return absorbed.flatten(-3, -2)

    def _attended(self, mixed: Tensor) -> Tensor:
        """Mixtures of the normed media (..., heads·Q, C) to what the heads say of them (..., Q, dim)."""
        value = self.key_value.weight.view(2, self.heads, self.dim_head, -1)[1]
        mixed = mixed.reshape(*mixed.shape[:-2], self.heads, -1, mixed.shape[-1])
        mixed = mixed * self.norm_media.weight + self.norm_media.bias
        heads = torch.einsum("...hqc,hdc->...qhd", mixed, value)
        attended: Tensor = self.out(heads.flatten(-2))
        return attended


class CrossAttentionBlock(nn.Module):
    """Cross-attention, then a feed-forward network (layer norm, linear, GELU, linear; no biases), each with a residual.

    Gated, both branches are scaled by the tanh of a learned gate that starts at 0: the block starts as the identity.

    Source: Paxion (NeurIPS 2023), published code.
    """

    def __init__(
        self, dim: int, media_width: int, heads: int = 8, dim_head: int = 64, ff_mult: int = 2, gated: bool = False
    ) -> None:
        """D = dim and C = media_width; the hidden layer is ff_mult·D wide."""
        super().__init__()
        self.attention = CrossAttention(dim, media_width, heads, dim_head)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, ff_mult * dim, bias=False),
            nn.GELU(),
            nn.Linear(ff_mult * dim, dim, bias=False),
        )
        self.attention_gate = nn.Parameter(torch.zeros(1)) if gated else None
        self.feed_forward_gate = nn.Parameter(torch.zeros(1)) if gated else None

    def forward(self, x: Tensor, media: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Queries (..., Q, D) or (Q, D) and media (..., N, C) to (..., Q, D); guidance as in `CrossAttention`."""
        return self._after(x, self.attention(x, media, guidance))

    def read(self, x: Tensor, tokens: Tensor, codes: Tensor) -> Tensor:
        """Queries (D or 1, B or 1, Q, dim) to (D, B, Q, dim); tokens and codes as in `CrossAttention.read`."""
        return self._after(x, self.attention.read(x, tokens, codes))

    def _after(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + _gate(attended, self.attention_gate)
        return x + _gate(self.feed_forward(x), self.feed_forward_gate)


def _gate(branch: Tensor, gate: Tensor | None) -> Tensor:
    return branch if gate is None else gate.tanh() * branch
