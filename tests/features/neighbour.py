"""A small real backbone that is not per-frame: each token also sees the frame before, and pooled depends on order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from paxion.backbones.base import Features, normalise
from paxion.video.transform import Transform


class NeighbourBackbone(nn.Module):
    """4 tokens a frame. vectors: also give frame vectors, although tokens do not work frame by frame."""

    name = "test/neighbour:1"
    revision = "r1"
    dim, token_width, tokens_per_frame, frames = 6, 8, 4, 9
    transform = Transform(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    per_frame = False

    def __init__(self, vectors: bool = False) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.vectors = vectors
        self.token = nn.Parameter(torch.randn(3, 8, generator=generator), requires_grad=False)
        self.pool = nn.Parameter(torch.randn(9 * 8, 6, generator=generator), requires_grad=False)
        self.text = nn.Parameter(torch.randn(64, 6, generator=generator), requires_grad=False)

    def encode_video(self, video: Tensor) -> Features:
        places = video.unflatten(-1, (2, 16)).unflatten(-3, (2, 16)).mean((-1, -3))  # (B, T, 3, 2, 2)
        tokens = places.flatten(-2).transpose(-1, -2) @ self.token  # (B, T, 4, 8)
        before = torch.cat((tokens[:, :1], tokens[:, :-1]), 1)
        tokens = tokens - 0.5 * before
        pooled = normalise(tokens.mean(2).flatten(1) @ self.pool)
        return Features(pooled, tokens, tokens.mean(2)[..., :6] if self.vectors else None)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        rows = [sum((self.text[sum(map(ord, word)) % 64] for word in text.split()), torch.zeros(6)) for text in texts]
        return normalise(torch.stack(rows))
