"""Drawing a scene: signed distances to coverage, layer over layer, for all frames of a clip at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paxion.world.scene import Domain, Motion
from paxion.world.shapes import SHAPES


@dataclass(frozen=True)
class Picture:
    """A motion with everything else that a pixel depends on."""

    motion: Motion
    domain: Domain
    background: np.ndarray
    """(3, G, G) colours 0..1 of a coarse grid, wider than the picture."""
    jitter: np.ndarray
    """(T, 2) shift of the camera, in half picture widths."""
    noise_seed: int


def _grey(colour: tuple[float, float, float], saturation: float) -> list[float]:
    level = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return [level + saturation * (part - level) for part in colour]


def render(picture: Picture, frames: list[int], size: int = 64, device: str | torch.device = "cpu") -> Tensor:
    """The frames (by number) of a clip as uint8 (T, size, size, 3) on `device`.

    The pixels are the same on every call on one device: the noise of a frame depends on the seed and its number only.
    """
    motion, domain = picture.motion, picture.domain
    chosen = np.asarray(frames)

    def per_frame(values: np.ndarray | float) -> Tensor:
        row = np.broadcast_to(np.asarray(values, dtype=np.float64), (len(picture.jitter),))[chosen]
        return torch.from_numpy(np.ascontiguousarray(row)).to(device, torch.float32)[:, None, None]

    axis = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * (2 / size) - 1
    zoom = per_frame(motion.zoom)
    x = (axis[None, None, :] - per_frame(picture.jitter[:, 0])) / zoom
    y = (axis[None, :, None] - per_frame(picture.jitter[:, 1])) / zoom
    x, y = x.expand(-1, size, -1), y.expand(-1, -1, size)

    grid = torch.stack((x, y), -1) / 2  # the background reaches twice as far as the picture, for zoom and jitter
    colours = torch.from_numpy(picture.background).to(device, torch.float32)
    smooth = F.interpolate(colours[None], size=(48, 48), mode="bicubic", align_corners=True).clamp(0, 1)
    canvas = F.grid_sample(smooth.expand(len(chosen), -1, -1, -1), grid, padding_mode="reflection", align_corners=True)

    pixel = 2 / size / zoom
    for layer in motion.layers:
        width, height = per_frame(layer.width), per_frame(layer.height)
        angle = per_frame(layer.angle)
        cos, sin = torch.cos(angle), torch.sin(angle)
        dx, dy = x - per_frame(layer.x), y - per_frame(layer.y)
        u, v = (cos * dx + sin * dy) / width, (cos * dy - sin * dx) / height
        distance = SHAPES[layer.shape](u, v) * torch.minimum(width, height)
        cover = (0.5 - distance / pixel).clamp(0, 1) * per_frame(layer.alpha)
        shade = torch.ones_like(u)
        if layer.shaded:
            shade = torch.where(u > 0, shade, 0.6 * shade)
        if domain.stripes and layer.shaded:
            shade = shade * torch.where(torch.sin(v * 5 * math.pi) > 0, 1.0, 0.78)
        paint = torch.tensor(_grey(layer.colour, domain.saturation), device=device)[None, :, None, None]
        canvas = canvas + (paint * shade[:, None] - canvas) * cover[:, None]

    canvas = canvas * per_frame(motion.light)[:, None]
    noise = torch.stack([_noise(picture.noise_seed, number, size) for number in frames]).to(device)
    return ((canvas + domain.noise * noise).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def _noise(seed: int, frame: int, size: int) -> Tensor:
    """Normal noise (3, size, size), drawn on the CPU so that every device sees the same."""
    generator = torch.Generator().manual_seed((seed * 1009 + frame) % 2**63)
    return torch.randn(3, size, size, generator=generator)
