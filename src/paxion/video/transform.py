"""From the pixels of a clip to the input of a backbone. Each frame is treated alike, whatever its place in the clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Interpolation = Literal["bicubic", "bilinear"]


def prepare(
    frames: Tensor,
    size: int,
    mean: Sequence[float],
    std: Sequence[float],
    interpolation: Interpolation = "bicubic",
) -> Tensor:
    """Frames (T, H, W, 3) uint8 to (T, 3, size, size) float32: short side to `size`, centre crop, normalise.

    Bicubic is what CLIP-like models were trained with; "bilinear" is the published Paxion transform (there the videos
    already had the right size, so it made no difference). `mean` and `std` are of values in 0 .. 1, one per channel.
    """
    video = frames.permute(0, 3, 1, 2)
    return normalise(crop(resize(video, size, interpolation), size), mean, std)


def resize(video: Tensor, size: int, interpolation: Interpolation = "bicubic") -> Tensor:
    """Scale video (T, 3, H, W) uint8 so that its short side is `size`; unchanged when it already is.

    The long side is rounded down, as CLIP's image processor and the published transform do.
    """
    height, width = video.shape[-2:]
    short = min(height, width)
    if short == size:
        return video
    shape = (int(size * height / short), int(size * width / short))
    return F.interpolate(video, shape, mode=interpolation, antialias=True)


def crop(video: Tensor, size: int) -> Tensor:
    """The central size × size pixels of video (T, 3, H, W), whose sides are at least `size`.

    Where the margin is odd, half a pixel is rounded to even, as published.
    """
    height, width = video.shape[-2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return video[..., top : top + size, left : left + size]


def normalise(video: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Video (T, 3, H, W) uint8 to float32 (value / 255 - mean) / std, per channel."""
    shift, scale = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)
    return ((video.float() / 255 - shift) / scale).contiguous()
