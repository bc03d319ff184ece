"""The motions of the world: programs that turn a phase into what moves where.

A program gets the phase p (T,), which goes from 0 to 1 with random pauses, the cast and a random generator (for places,
never for time), and gives the motion. Run backwards it shows the opposite action.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from paxion.world.scene import COLOURS, Cast, Layer, Motion, Thing, sprite


def _between(a: np.ndarray | float, b: np.ndarray | float, p: np.ndarray) -> np.ndarray:
    return np.asarray(a + (b - a) * p)


def _place(rng: Generator, reach: float = 0.55) -> tuple[float, float]:
    x, y = rng.uniform(-reach, reach, 2)
    return float(x), float(y)


def _polar(rng: Generator, low: float = 0.0, high: float = 2 * np.pi) -> tuple[float, float]:
    angle = rng.uniform(low, high)
    return float(np.cos(angle)), float(np.sin(angle))


def _move(p: np.ndarray, thing: Thing, start: tuple[float, float], stop: tuple[float, float]) -> Layer:
    return sprite(thing, _between(start[0], stop[0], p), _between(start[1], stop[1], p), len(p))


def up(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, low, high = rng.uniform(-0.6, 0.6), rng.uniform(0.35, 0.7), rng.uniform(-0.7, -0.35)
    return Motion([_move(p, cast.x, (x, low), (x, high))], anchors=[(x, low), (x, 0), (x, high)])


def right(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    y, left, right = rng.uniform(-0.6, 0.6), rng.uniform(-0.7, -0.35), rng.uniform(0.35, 0.7)
    return Motion([_move(p, cast.x, (left, y), (right, y))], anchors=[(left, y), (0, y), (right, y)])


def closer(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    a, b = _polar(rng)
    mid = _place(rng, 0.1)
    far, near = rng.uniform(1.05, 1.25), cast.x.radius + cast.y.radius
    goal = (mid[0] - a * 0.5, mid[1] - b * 0.5)
    start, stop = (goal[0] + a * far, goal[1] + b * far), (goal[0] + a * near, goal[1] + b * near)
    still = sprite(cast.y, *goal, len(p))
    return Motion([still, _move(p, cast.x, start, stop)], anchors=[goal, start, stop])


def _plate(
    colour: tuple[float, float, float],
    x: np.ndarray | float,
    y: np.ndarray | float,
    width: float,
    height: np.ndarray | float,
    frames: int,
    angle: np.ndarray | float = 0.0,
) -> Layer:
    """A plain rectangle of the given half width and half height."""
    rows = (np.broadcast_to(np.asarray(v, dtype=np.float64), (frames,)) for v in (x, y, width, height, angle, 1.0))
    x, y, wide, high, turn, alpha = rows
    return Layer("plate", colour, x, y, wide, high, turn, alpha, shaded=False)


def _container(z: Thing, x: float, y: float, frames: int) -> tuple[Layer, Layer]:
    """The dark inside of an open container and its front."""
    inside = _plate((0.12, 0.1, 0.1), x, y - z.radius * 0.72, z.radius * 0.62, z.radius * 0.32, frames)
    return inside, sprite(z, x, y, frames)


def into(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = rng.uniform(-0.5, 0.5), rng.uniform(0.3, 0.5)
    start = (x + rng.uniform(-0.5, 0.5), y - rng.uniform(0.95, 1.2))
    inside, front = _container(cast.z, x, y, len(p))
    over = (x, y - cast.z.radius * 1.5)
    first, second = np.clip(p / 0.55, 0, 1), np.clip((p - 0.55) / 0.45, 0, 1)
    place_x = _between(start[0], over[0], first)
    place_y = _between(_between(start[1], over[1], first), y, second)
    small = Thing(cast.x.shape, cast.x.colour, min(cast.x.radius, 0.22), cast.x.angle)
    return Motion([inside, sprite(small, place_x, place_y, len(p)), front], anchors=[(x, y), start, over])


def cover(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    goal, (a, b) = _place(rng, 0.4), _polar(rng)
    start = (goal[0] + a * 1.05, goal[1] + b * 1.05)
    hidden = Thing(cast.x.shape, cast.x.colour, 0.23, cast.x.angle)
    blanket = Thing(cast.y.shape, cast.y.colour, 0.44, cast.y.angle)
    return Motion([sprite(hidden, *goal, len(p)), _move(p, blanket, start, goal)], anchors=[goal, start])


def approach(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = _place(rng, 0.2)
    return Motion([sprite(cast.x, x, y, len(p), scale=0.9)], zoom=_between(0.65, 1.9, p), anchors=[(x, y)])


def inflate(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = _place(rng)
    return Motion([sprite(cast.x, x, y, len(p), scale=_between(0.45, 1.7, p))], anchors=[(x, y), (x, y)])


def open_up(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = rng.uniform(-0.4, 0.4), rng.uniform(0.0, 0.45)
    z, frames = cast.z, len(p)
    side = rng.choice([-1.0, 1.0])
    swing = _between(0.0, rng.uniform(1.6, 2.1), p)
    hinge, top, half = x - side * z.radius * 0.85, y - z.radius * 0.8, z.radius * 0.9
    red, green, blue = COLOURS[z.colour]
    centre = hinge + side * half * np.cos(swing), top - half * np.sin(swing)
    lid = _plate((red * 0.75, green * 0.75, blue * 0.75), *centre, half, 0.07, frames, -side * swing)
    inside, front = _container(z, x, y, frames)
    return Motion([inside, front, lid], anchors=[(x, y), (x, y - 0.5)])


def appear(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = _place(rng)
    return Motion([sprite(cast.x, x, y, len(p), scale=1.15, alpha=p)], anchors=[(x, y)])


def rotate(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = _place(rng)
    turn = rng.uniform(-np.pi, np.pi) + _between(0, rng.uniform(2.4, 4.4), p)
    return Motion([sprite(cast.x, x, y, len(p), scale=1.35, turn=turn)], anchors=[(x, y)])


def stack(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = rng.uniform(-0.5, 0.5), rng.uniform(0.35, 0.6)
    top = (x, y - (cast.x.radius + cast.y.radius) * 0.85)
    start = (x + rng.uniform(-0.25, 0.25), top[1] - rng.uniform(0.5, 0.75))
    return Motion([sprite(cast.y, x, y, len(p)), _move(p, cast.x, start, top)], anchors=[(x, y), top, start])


def split(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    (x, y), (a, b) = _place(rng, 0.3), _polar(rng, -0.6, 0.6)
    reach = _between(0.0, rng.uniform(0.45, 0.6), p)
    halves = [sprite(cast.x, x + s * a * reach, y + s * b * reach, len(p), scale=0.85) for s in (-1, 1)]
    return Motion(halves, anchors=[(x, y), (x - a * 0.5, y - b * 0.5), (x + a * 0.5, y + b * 0.5)])


def fill(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = _place(rng, 0.45)
    z, frames = cast.z, len(p)
    body = sprite(Thing(z.shape, z.colour, 0.46, 0.0), x, y, frames)
    deep, wide = 0.29, 0.21 if z.shape == "cup" else 0.31

    hollow = _plate((0.42, 0.42, 0.42), x, y, wide, deep, frames)
    level = _between(0.02, deep, p)
    liquid = _plate(COLOURS[cast.y.colour], x, y + deep - level, wide, level, frames)
    return Motion([body, hollow, liquid], anchors=[(x, y)])


def light(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = _place(rng)
    return Motion([sprite(cast.x, x, y, len(p), scale=1.1)], light=_between(0.15, 1.0, p), anchors=[(x, y)])


def fold(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = _place(rng)
    return Motion([sprite(cast.x, x, y, len(p), scale=1.35, squash=_between(1.0, 0.15, p))], anchors=[(x, y)])


def orbit(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    (x, y), start = _place(rng, 0.15), rng.uniform(0, 2 * np.pi)
    angle, reach = start + _between(0, rng.uniform(2.6, 4.4), p), rng.uniform(0.58, 0.7)
    around = sprite(cast.x, x + reach * np.cos(angle), y + reach * np.sin(angle), len(p), scale=0.85)
    anchors = [(x + reach * np.cos(a), y + reach * np.sin(a)) for a in np.arange(0, 6.2, 0.6)]
    return Motion([sprite(cast.y, x, y, len(p), scale=0.85), around], anchors=anchors)


def enter(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    (x, y), (a, b) = _place(rng, 0.25), _polar(rng)
    outside = 1.35 / max(abs(a), abs(b))
    start = (a * outside, b * outside)
    return Motion([_move(p, cast.x, start, (x, y))], anchors=[(x, y), ((x + start[0]) / 2, (y + start[1]) / 2)])


def _shake(cycles: tuple[float, float], p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    """Swings at a steady speed through the whole clip: unlike the others it has no start and no end."""
    (x, y), (a, b) = _place(rng, 0.4), _polar(rng)
    swing = 0.3 * np.sin(2 * np.pi * rng.uniform(*cycles) * np.linspace(0, 1, len(p)) + rng.uniform(0, 2 * np.pi))
    return Motion([sprite(cast.x, x + a * swing, y + b * swing, len(p))], anchors=[(x, y)])


def shake_quickly(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    return _shake((2.6, 3.4), p, cast, rng)


def shake_slowly(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    return _shake((0.8, 1.1), p, cast, rng)


def hold(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    x, y = _place(rng)
    return Motion([sprite(cast.x, x, y, len(p))], anchors=[(x, y)])


def swap(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    (x, y), (a, b) = _place(rng, 0.2), _polar(rng)
    angle, reach = np.pi * p, 0.5
    cos, sin = np.cos(angle) * reach, np.sin(angle) * reach * rng.choice([-1, 1])
    layers = [
        sprite(thing, x + s * (a * cos - b * sin), y + s * (b * cos + a * sin), len(p))
        for thing, s in ((cast.x, 1), (cast.y, -1))
    ]
    return Motion(layers, anchors=[(x + s * a * reach, y + s * b * reach) for s in (-1, 0, 1)])


def poke(p: np.ndarray, cast: Cast, rng: Generator) -> Motion:
    goal, (a, b) = _place(rng, 0.25), _polar(rng)
    there = 1 - np.abs(2 * p - 1)
    near, far = (cast.x.radius + cast.y.radius) * 0.8, 1.05
    reach = _between(far, near, there)
    layers = [
        sprite(cast.x, *goal, len(p)),
        sprite(cast.y, goal[0] + a * reach, goal[1] + b * reach, len(p), scale=0.8),
    ]
    return Motion(layers, anchors=[goal, (goal[0] + a * far, goal[1] + b * far)])
