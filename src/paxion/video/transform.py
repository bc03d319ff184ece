"""From the pixels of a clip to the input of a backbone. Each frame is treated alike, whatever its place in the clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Half = Literal["even", "down"]

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Transform:
    """What a backbone expects of a frame. The defaults are those of CLIP."""

    size: int
    """Side of the square input, pixels."""
    mean: tuple[float, float, float] = CLIP_MEAN
    """Of values in 0 .. 1, per channel."""
    std: tuple[float, float, float] = CLIP_STD
    resize: Literal["short", "exact"] = "short"
    """short: the short side is scaled to `edge`; exact: both sides are. Then the centre is cropped."""
    edge: int | None = None
    """Side before the crop, at least `size`, which it is by default."""
    interpolation: Interpolation = "bicubic"
    """Bicubic is what CLIP-like models were trained with; bilinear is the published Paxion transform."""
    half: Half = "even"
    """Which way the crop rounds half a pixel where the margin is odd: to even, as CLIP's own code and the published
    transform do, or down, as the image processors of Hugging Face do."""


def squashed(size: int) -> Transform:
    """As published with Paxion: videos were scaled to size × size before anything else, whatever their shape.

    The resizing that the published code does afterwards, bilinear, has nothing left to do.
    """
    return Transform(size, resize="exact")


def prepare(frames: Tensor, transform: Transform) -> Tensor:
    """Frames (T, H, W, 3) uint8 to the backbone's input (T, 3, size, size) float32."""
    return normalise(fit(frames, transform), transform.mean, transform.std)


def fit(frames: Tensor, transform: Transform) -> Tensor:
    """Frames (T, H, W, 3) uint8, scaled and cropped to the backbone's size: (T, 3, size, size) uint8."""
    video = frames.permute(0, 3, 1, 2)
    edge = transform.edge or transform.size
    shape = (edge, edge) if transform.resize == "exact" else short_side(video.shape[-2], video.shape[-1], edge)
    return crop(resize(video, shape, transform.interpolation), transform.size, transform.half)


def short_side(height: int, width: int, edge: int) -> tuple[int, int]:
    """The height and width of a frame whose short side is scaled to `edge`.

    The long side is rounded down, as CLIP's image processor and the published transform do.
    """
    short = min(height, width)
    return int(edge * height / short), int(edge * width / short)


def resize(video: Tensor, shape: tuple[int, int], interpolation: Interpolation = "bicubic") -> Tensor:
    """Scale video (T, 3, H, W) uint8 to `shape`, height and width; unchanged when it has it already.

    Pillow does it, as in the processors that the models were trained with: torch's own resizing is up to two grey
    levels off.
    """
    if tuple(video.shape[-2:]) == shape:
        return video
    method = Image.Resampling[interpolation.upper()]
    pictures = (Image.fromarray(frame) for frame in video.permute(0, 2, 3, 1).contiguous().numpy())
    scaled = np.stack([np.asarray(picture.resize((shape[1], shape[0]), method)) for picture in pictures])
    return torch.from_numpy(scaled).permute(0, 3, 1, 2)


def crop(video: Tensor, size: int, half: Half = "even") -> Tensor:
    """The central size × size pixels of video (T, 3, H, W), whose sides are at least `size`."""
    margins = (side - size for side in video.shape[-2:])
    top, left = (margin // 2 if half == "down" else round(margin / 2) for margin in margins)
    return video[..., top : top + size, left : left + size]


def normalise(video: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Video (..., 3, H, W) uint8 to float32 (value / 255 - mean) / std, per channel."""
    shift, scale = (torch.tensor(values, device=video.device).view(-1, 1, 1) for values in (mean, std))
    return ((video.float() / 255 - shift) / scale).contiguous()
