"""The Perceiver: a few learned latents that read a clip's tokens by cross-attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from paxion.patching.attention import CrossAttentionBlock


class Perceiver(nn.Module):
    """Q learned latents in the joint space, `depth` cross-attention blocks over the tokens, a final layer norm.

    The latents do not attend to each other, and nothing tells the tokens apart but their content: any order of the
    tokens gives the same latents.

    Source: Paxion (NeurIPS 2023), section on the knowledge patcher.
    """

    def __init__(
        self,
        dim: int,
        token_width: int,
        depth: int = 1,
        heads: int = 8,
        dim_head: int = 64,
        latents: int = 16,
        ff_mult: int = 2,
    ) -> None:
        """D = dim, C = token_width and Q = latents; the latents start as standard normal numbers."""
        super().__init__()
        self.token_width = token_width
        self.latents = nn.Parameter(torch.randn(latents, dim))
        self.layers = nn.ModuleList(
            CrossAttentionBlock(dim, token_width, heads, dim_head, ff_mult) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, latents: Tensor | None = None, guidance: Tensor | None = None) -> Tensor:
        """Read the tokens.

        Args:
            tokens: (B, N, C), or with more leading dimensions, each read by itself: (B, T, P, C) gives (B, T, Q, D).
            latents: (B, Q, D) to start from instead of the learned ones.
            guidance: (B, N) factors on the attention logits, as in `CrossAttention`.

        Returns:
            (B, Q, D), layer-normed, not of unit length.

        Raises:
            ValueError: the tokens have another width than C or fewer than three dimensions.
        """
        if tokens.ndim < 3 or tokens.shape[-1] != self.token_width:
            raise ValueError(f"got tokens {tuple(tokens.shape)}, expected (B, N, {self.token_width})")
        x = self.latents if latents is None else latents
        for layer in self.layers:
            x = layer(x, tokens, guidance)
        normed: Tensor = self.norm(x)
        return normed

    def read(self, tokens: Tensor, codes: Tensor) -> Tensor:
        """What `forward` gives for frozen tokens (B, T, P, C) with codes (D, T, P or 1, C) added: (D, B, Q, dim)."""
        x = self.latents[None, None]
        for layer in self.layers:
            assert isinstance(layer, CrossAttentionBlock)
            x = layer.read(x, tokens, codes)
        normed: Tensor = self.norm(x)
        return normed
