"""The text tower of CLIP, which InternVideo and CLIP-ViP share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paxion.backbones.transformer import Block, attend_before

VOCABULARY, LENGTH = 49408, 77
"""Token ids, and the longest text in tokens: those of CLIP's tokenizer."""


@dataclass(frozen=True)
class TextConfig:
    """Sizes of a text tower; the defaults are those of CLIP-ViP."""

    width: int = 512
    layers: int = 12
    heads: int = 8
    hidden: int = 2048
    dim: int = 512


class TextTower(nn.Module):
    """A causal transformer over token ids; a text's vector is read where it ends."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, config.width)
        self.position = nn.Parameter(torch.zeros(LENGTH, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads, config.hidden) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.projection = nn.Linear(config.width, config.dim, bias=False)

    def tokens(self, ids: Tensor) -> Tensor:
        """Token ids (K, L) to tokens (K, L, width) after the last norm.

        A token depends on those before it only: how far a row is padded changes nothing.
        """
        tokens = self.embedding(ids) + self.position[: ids.shape[1]]
        for block in self.blocks:
            tokens = block(tokens, attend_before)
        return self.norm(tokens)  # type: ignore[no-any-return]

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (K, L) to vectors (K, D), not normalised; ids after the end of a text do not matter."""
        # The end-of-text id is the highest, and its first place counts.
        ends = ids.argmax(1)
        return self.projection(self.tokens(ids)[torch.arange(len(ids), device=ids.device), ends])  # type: ignore[no-any-return]
