"""Fewer tokens of a backbone, for the patcher to read: smaller stores and cheaper training, at some cost in detail.

    all      every token
    pool2    the mean of each 2 × 2 tokens of the grid; a class token before the grid is kept as it is. Where a side is
             odd, the last row or column averages what there is.
    everyK   every K-th token, from the first: 0, K, 2K, ...

Pooled vectors and frame vectors stay as the backbone gives them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paxion.backbones.base import Backbone, Features
from paxion.records import PaxionError

WAYS = ("all", "pool2", "every2", "every3", "...")


def check_way(how: str) -> None:
    """Raise PaxionError for a way that there is none."""
    every = re.fullmatch(r"every(\d+)", how)
    if how not in ("all", "pool2") and (every is None or int(every[1]) < 2):
        raise PaxionError(f"got tokens={how}, expected one of {', '.join(WAYS)}")


def reduced(backbone: Backbone, how: str) -> Backbone:
    """The backbone with fewer tokens a frame; itself for "all".

    Raises PaxionError when it gives no tokens, or, for pool2, when its tokens are no square.
    """
    check_way(how)
    if how == "all":
        return backbone
    count = backbone.tokens_per_frame
    if not count:
        raise PaxionError(f"got tokens={how} for {backbone.name}, which gives no tokens; leave that option out")
    if how == "pool2" and _side(count) is None:
        raise PaxionError(
            f"got tokens=pool2 for {backbone.name} with {count} tokens a frame, expected a square, or one and a class "
            "token; take tokens=every2"
        )
    return ReducedBackbone(backbone, how).eval()


def kept_tokens(backbone: Backbone) -> str:
    """Which of its tokens a backbone gives."""
    return backbone.tokens if isinstance(backbone, ReducedBackbone) else "all"


class ReducedBackbone(nn.Module):
    """A backbone some of whose tokens are left out or averaged; keeps the `Backbone` contract of backbones/base.py."""

    def __init__(self, backbone: Backbone, tokens: str) -> None:
        super().__init__()
        self.backbone, self.tokens = backbone, tokens
        self.name, self.revision = backbone.name, backbone.revision
        self.dim, self.token_width, self.frames = backbone.dim, backbone.token_width, backbone.frames
        self.transform, self.per_frame = backbone.transform, backbone.per_frame
        self.tokens_per_frame = _reduced_count(backbone.tokens_per_frame, tokens)

    @property
    def projection(self) -> object:
        """The backbone's map from token width C to joint width D, if it has one."""
        return getattr(self.backbone, "projection", None)

    @property
    def pinned(self) -> str | None:
        """What the backbone is loaded from again, see backbones/load.py."""
        return getattr(self.backbone, "pinned", None)

    def encode_video(self, video: Tensor) -> Features:
        """Clips to features, as the backbone's, with fewer tokens (B, T, P, C)."""
        features = self.backbone.encode_video(video)
        tokens = features.tokens
        return replace(features, tokens=None if tokens is None else reduce_tokens(tokens, self.tokens))

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors (K, D)."""
        return self.backbone.encode_texts(texts)


def reduce_tokens(tokens: Tensor, how: str) -> Tensor:
    """Tokens (B, T, P, C) to fewer of them."""
    if how != "pool2":
        return tokens[:, :, :: int(how.removeprefix("every"))].contiguous()
    batch, times, count, width = tokens.shape
    side = _side(count)
    if side is None:
        raise ValueError(f"got {count} tokens a frame, expected a square, or one and a class token")
    grid = tokens[:, :, count - side * side :].reshape(batch * times, side, side, width).movedim(-1, 1)
    means = F.avg_pool2d(grid.float(), 2, ceil_mode=True).to(tokens.dtype)
    pooled = means.flatten(2).transpose(1, 2).reshape(batch, times, -1, width)
    return torch.cat((tokens[:, :, : count - side * side], pooled), 2)


def _side(count: int) -> int | None:
    """The side of the grid of P = `count` tokens, with or without a class token; None when it is no square."""
    return next((math.isqrt(grid) for grid in (count, count - 1) if grid > 0 and math.isqrt(grid) ** 2 == grid), None)


def _reduced_count(count: int, how: str) -> int:
    """P of the reduced tokens."""
    if how != "pool2":
        return -(-count // int(how.removeprefix("every")))
    side = _side(count)
    assert side is not None
    return count - side * side + ((side + 1) // 2) ** 2
