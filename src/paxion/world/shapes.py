"""Signed-distance functions of the sprites: negative inside, positive outside, in units of the sprite's radius."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]


def _box(u: Tensor, v: Tensor, half_width: float, half_height: float) -> Tensor:
    return torch.maximum(u.abs() - half_width, v.abs() - half_height)


def _polygon(u: Tensor, v: Tensor, sides: int, inradius: float) -> Tensor:
    """A regular polygon with a flat side at the bottom, as the intersection of half planes."""
    planes = [
        u * math.sin(2 * math.pi * side / sides) + v * math.cos(2 * math.pi * side / sides) for side in range(sides)
    ]
    return torch.stack(planes).amax(0) - inradius


def circle(u: Tensor, v: Tensor) -> Tensor:
    """A disc."""
    return torch.hypot(u, v) - 0.9


def square(u: Tensor, v: Tensor) -> Tensor:
    """An axis-parallel square."""
    return _box(u, v, 0.78, 0.78)


def triangle(u: Tensor, v: Tensor) -> Tensor:
    """An equilateral triangle standing on a side."""
    return _polygon(u, v - 0.1, 3, 0.52)


def star(u: Tensor, v: Tensor) -> Tensor:
    """A five-pointed star: the nearest point of a triangle wave in the angle."""
    sector = 2 * math.pi / 5
    angle = torch.atan2(u, -v)
    fold = (torch.remainder(angle + sector / 2, sector) - sector / 2).abs()
    radius = torch.hypot(u, v)
    x, y = radius * torch.cos(fold), radius * torch.sin(fold)
    # Edge from the tip (1.05, 0) to the notch at half a sector, radius 0.45.
    notch_x, notch_y = 0.45 * math.cos(sector / 2), 0.45 * math.sin(sector / 2)
    normal_x, normal_y = notch_y, 1.05 - notch_x
    length = math.hypot(normal_x, normal_y)
    return ((x - 1.05) * normal_x + y * normal_y) / length


def cross(u: Tensor, v: Tensor) -> Tensor:
    """A plus sign."""
    return torch.minimum(_box(u, v, 0.95, 0.32), _box(u, v, 0.32, 0.95))


def ring(u: Tensor, v: Tensor) -> Tensor:
    """An annulus."""
    return (torch.hypot(u, v) - 0.68).abs() - 0.27


def heart(u: Tensor, v: Tensor) -> Tensor:
    """Two discs above a wedge."""
    side = u.abs()
    lobes = torch.hypot(side - 0.42, v + 0.3) - 0.48
    wedge = torch.maximum((side + v - 0.86) * 0.7071, -0.3 - v)
    return torch.minimum(lobes, wedge)


def diamond(u: Tensor, v: Tensor) -> Tensor:
    """A rhombus, taller than wide."""
    return (u.abs() * 1.35 + v.abs() - 1.0) * 0.6


def hexagon(u: Tensor, v: Tensor) -> Tensor:
    """A regular hexagon."""
    return _polygon(u, v, 6, 0.85)


def crescent(u: Tensor, v: Tensor) -> Tensor:
    """A disc less a disc beside it."""
    return torch.maximum(torch.hypot(u, v) - 0.95, 0.75 - torch.hypot(u - 0.45, v))


def arrow(u: Tensor, v: Tensor) -> Tensor:
    """A shaft and a head that points right."""
    shaft = _box(u + 0.35, v, 0.6, 0.24)
    head = torch.maximum((u + v.abs() * 1.0 - 0.95) * 0.7071, 0.1 - u)
    return torch.minimum(shaft, head)


def pill(u: Tensor, v: Tensor) -> Tensor:
    """A lying capsule."""
    return torch.hypot((u.abs() - 0.55).clamp_min(0), v) - 0.42


def box(u: Tensor, v: Tensor) -> Tensor:
    """Front of a container as wide as high."""
    return _box(u, v, 0.8, 0.72)


def cup(u: Tensor, v: Tensor) -> Tensor:
    """Front of a container, narrow and tapered downwards."""
    return torch.maximum((u.abs() + 0.18 * v) * 0.98 - 0.56, v.abs() - 0.85)


def basket(u: Tensor, v: Tensor) -> Tensor:
    """Front of a container, wide and low with a rounded bottom."""
    return torch.maximum(torch.hypot(u, (v + 0.5).clamp_min(0) * 0.95) - 1.0, -0.55 - v)


SHAPES: dict[str, Distance] = {
    shape.__name__: shape
    for shape in (
        *(circle, square, triangle, star, cross, ring, heart, diamond, hexagon, crescent, arrow, pill),
        *(box, cup, basket),
    )
}
SHAPES["plate"] = lambda u, v: _box(u, v, 1.0, 1.0)
