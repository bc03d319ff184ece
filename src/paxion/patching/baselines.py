"""The KP-Transformer: the paper's baseline for the Perceiver, a transformer layer over all tokens of the clip."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Projection = Literal["frozen", "learned"]


@dataclass(frozen=True)
class TransformerConfig:
    """What a KP-Transformer is made of; `transformer_config` gives the paper's sizes."""

    dim: int
    """D"""
    token_width: int
    """C, a multiple of heads"""
    heads: int
    hidden: int
    """Width of the feed-forward network's hidden layer."""
    projection: Projection
    """What maps C to D: the backbone's own frozen projection (the paper's), or a learned one for a backbone without."""
    projection_bias: bool = False
    dropout: float = 0.1
    temperature: float = 0.07

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is int and value < 1:
                raise ValueError(f"got {field.name} {value}, expected at least 1")
        if self.token_width % self.heads:
            raise ValueError(f"got {self.heads} heads, expected a divisor of the token width {self.token_width}")
        if self.projection not in get_args(Projection):
            raise ValueError(f"got projection {self.projection!r}, expected one of {', '.join(get_args(Projection))}")
        if not 0 <= self.dropout < 1 or not self.temperature > 0:
            raise ValueError(
                f"got dropout {self.dropout} and temperature {self.temperature}, expected 0 to 1 and above 0"
            )


def transformer_config(dim: int, token_width: int, projection: nn.Linear | None = None) -> TransformerConfig:
    """The paper's sizes for a backbone: 8 heads (fewer where C is no multiple), 2048 hidden for C = 1024, else 1024.

    projection: the backbone's `token_projection`; None makes it a learned one.
    """
    heads = next(heads for heads in range(8, 0, -1) if token_width % heads == 0)
    hidden = 2048 if token_width >= 1024 else 1024
    if projection is None:
        return TransformerConfig(dim, token_width, heads, hidden, "learned")
    return TransformerConfig(dim, token_width, heads, hidden, "frozen", projection.bias is not None)


class EncoderLayer(nn.Module):
    """A post-norm transformer layer with ReLU: the numbers of torch's TransformerEncoderLayer.

    That one keeps every attention weight when it is not training (0.14 GB for a clip of 2056 tokens); this one none.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        """C = width; starts from the same distributions as torch's."""
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, C) in and out; each attends to all of its clip."""
        qkv = self.qkv(tokens).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=self.dropout if self.training else 0.0)
        attended = self.out(mixed.transpose(1, 2).flatten(2))
        tokens = self.attention_norm(tokens + F.dropout(attended, self.dropout, self.training))
        changed: Tensor = self.mlp_norm(tokens + F.dropout(self.mlp(tokens), self.dropout, self.training))
        return changed


class TransformerPatcher(nn.Module):
    """One transformer layer over all tokens of a clip, their mean, and the backbone's frozen projection to D.

    It takes the place of a KnowledgePatcher. Nothing tells it where a token stands: on a backbone whose tokens of a
    frame do not depend on the other frames, the reversed clip has exactly the same vector.

    Parameters: `layer`, `temperature`, and `projection` where it is learned. A frozen projection is kept in buffers,
    so it is saved with the rest and no optimiser can reach it; until the backbone's is loaded into it, it is random.

    Source: Paxion (NeurIPS 2023), the KP-Transformer baseline; the learned projection is ours.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.layer = EncoderLayer(config.token_width, config.heads, config.hidden, config.dropout)
        self.projection = nn.Linear(config.token_width, config.dim, bias=config.projection_bias)
        if config.projection == "frozen":
            for name, value in list(self.projection.named_parameters()):
                delattr(self.projection, name)
                self.projection.register_buffer(name, value.detach())
        self.temperature = nn.Parameter(torch.tensor(config.temperature))

    def read_projection(self, projection: nn.Linear | None) -> None:
        """Take the numbers of a backbone's `token_projection` for a frozen projection; a learned one stays."""
        if projection is not None and self.config.projection == "frozen":
            self.projection.load_state_dict(projection.state_dict())

    def forward(self, tokens: Tensor) -> Tensor:
        """Patch a batch of clips.

        Args:
            tokens: (B, T, P, C) of any floating type, with any T and P.

        Returns:
            (B, 1, D), not of unit length.

        Raises:
            ValueError: C is not what the patcher was made for.
        """
        width = self.config.token_width
        if tokens.ndim != 4 or tokens.shape[-1] != width:
            raise ValueError(f"got tokens {tuple(tokens.shape)}, expected (B, T, P, {width})")
        read = self.layer(tokens.to(self.temperature.dtype).flatten(1, 2))
        vector: Tensor = self.projection(read.mean(1, keepdim=True))
        return vector

    def both(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The clips, and the same clips reversed."""
        return self(tokens), self(tokens.flip(1))
