"""The Knowledge Fuser: the backbone's pooled vector and the patcher's latents into one video representation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from paxion.backbones.base import normalise
from paxion.patching.attention import CrossAttentionBlock

FuserKind = Literal["xattn", "gated_xattn", "xattn_v2", "side_tuning"]


@dataclass(frozen=True)
class FuserConfig:
    """What a fuser is made of. The defaults are the paper's."""

    kind: FuserKind
    """xattn: the pooled vector reads the latents (the paper's). gated_xattn: the same, starting as the backbone.
    xattn_v2: the latents read the tokens. side_tuning: a learned mix of both."""
    dim: int
    """D"""
    token_width: int
    """C, used by xattn_v2"""
    heads: int = 8
    dim_head: int = 64
    ff_mult: int = 2
    temperature: float = 0.07
    raw_pooled: bool = False
    """Read the backbone's vectors as they leave its projection, as the published fusers do. Otherwise they are brought
    to the length sqrt(D) first, whatever the backbone gives."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.kind not in get_args(FuserKind):
            raise ValueError(f"got fuser kind {self.kind!r}, expected one of {', '.join(get_args(FuserKind))}")
        if not self.temperature > 0:
            raise ValueError(f"got temperature {self.temperature}, expected above 0")


class KnowledgeFuser(nn.Module):
    """Combine what the backbone knows (objects) with what the patcher has learned (actions).

    Parameters: `block` (cross-attention kinds) or `mix` (side_tuning, a scalar that starts at 0: half of each), and
    `temperature`.

    Source: Paxion (NeurIPS 2023), section on the knowledge fuser, and published code for the variants.
    """

    def __init__(self, config: FuserConfig) -> None:
        """Make a fuser; gated_xattn and side_tuning start from a known mix, the others from random weights."""
        super().__init__()
        self.config = config
        self.block: CrossAttentionBlock | None = None
        self.mix: nn.Parameter | None = None
        if config.kind == "side_tuning":
            self.mix = nn.Parameter(torch.tensor(0.0))
        else:
            media_width = config.token_width if config.kind == "xattn_v2" else config.dim
            gated = config.kind == "gated_xattn"
            self.block = CrossAttentionBlock(
                config.dim, media_width, config.heads, config.dim_head, config.ff_mult, gated
            )
        self.temperature = nn.Parameter(torch.tensor(config.temperature))

    def forward(self, pooled: Tensor, latents: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Fuse a batch of clips.

        Args:
            pooled: (B, D), the backbone's vectors, at the length that `raw_pooled` says: it sets how much of the
                residual they are (side_tuning normalises them, xattn_v2 does not read them).
            latents: (B, Q, D), the patcher's output, not normalised.
            tokens: (B, T, P, C), without any code added; needed by xattn_v2 only.

        Returns:
            (B, 1, D), or (B, Q, D) for xattn_v2; not of unit length, not even for side_tuning.

        Raises:
            ValueError: the shapes do not fit, or xattn_v2 is given no tokens.
        """
        dim = self.config.dim
        if pooled.ndim != 2 or latents.ndim != 3 or not pooled.shape[-1] == latents.shape[-1] == dim:
            shapes = f"pooled {tuple(pooled.shape)} and latents {tuple(latents.shape)}"
            raise ValueError(f"got {shapes}, expected (B, {dim}) and (B, Q, {dim})")
        if self.mix is not None:
            weight = self.mix.sigmoid()
            side = normalise(latents.mean(1))
            return (weight * normalise(pooled) + (1 - weight) * side)[:, None]
        assert self.block is not None
        query, media = pooled[:, None], latents
        if self.config.kind == "xattn_v2":
            if tokens is None or tokens.ndim != 4 or tokens.shape[-1] != self.config.token_width:
                got = None if tokens is None else tuple(tokens.shape)
                raise ValueError(f"got tokens {got}, expected (B, T, P, {self.config.token_width}) for xattn_v2")
            query, media = latents, tokens.to(latents.dtype).flatten(1, 2)
        fused: Tensor = self.block(query, media)
        return fused
