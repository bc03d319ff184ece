"""What a scene is made of: things with a name, and the layers that the renderer draws frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.13, 0.12),
    "green": (0.13, 0.62, 0.17),
    "blue": (0.13, 0.25, 0.88),
    "yellow": (0.96, 0.87, 0.14),
    "orange": (0.97, 0.52, 0.08),
    "purple": (0.50, 0.13, 0.68),
    "pink": (0.98, 0.48, 0.72),
    "cyan": (0.13, 0.80, 0.86),
    "white": (0.97, 0.97, 0.97),
    "black": (0.06, 0.06, 0.06),
}


CONTAINER_SHAPES = ("box", "cup", "basket")
SPRITE_SHAPES = (
    *("circle", "square", "triangle", "star", "cross", "ring", "heart", "diamond"),
    *("hexagon", "crescent", "arrow", "pill"),
)


@dataclass(frozen=True)
class Domain:
    """A visual style: which sprites it shows and how it draws them."""

    name: str
    sprites: tuple[str, ...]
    saturation: float
    """1 draws the named colours, 0 greys."""
    stripes: bool
    grid: int
    """Cells of the random background across the picture: more is busier."""
    noise: float
    """Standard deviation of the pixel noise, of a full scale of 1."""


DOMAINS = {
    "A": Domain("A", SPRITE_SHAPES[:8], 1.0, False, 3, 0.03),
    "B": Domain("B", ("hexagon", "crescent", "arrow", "pill", "square", "star", "ring", "heart"), 0.75, True, 6, 0.075),
}


@dataclass(frozen=True)
class Thing:
    """A coloured sprite or container that a caption can name."""

    shape: str
    colour: str
    radius: float
    """Half its size, in half picture widths."""
    angle: float
    """Radians, clockwise."""

    @property
    def words(self) -> str:
        """Its name in a caption, such as "red star"."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Cast:
    """The things of one scene: x acts, y is the other one, z is a container."""

    x: Thing
    y: Thing
    z: Thing


@dataclass(frozen=True)
class Layer:
    """One sprite over all frames, drawn above the layers before it. Arrays are (T,); places are -1..1, y downwards."""

    shape: str
    colour: tuple[float, float, float]
    x: np.ndarray
    y: np.ndarray
    width: np.ndarray
    """Half width."""
    height: np.ndarray
    angle: np.ndarray
    alpha: np.ndarray
    shaded: bool = True
    """One half is darker, so that rotation shows."""


@dataclass(frozen=True)
class Motion:
    """What happens in a clip: its layers, the camera's zoom and the light, per frame."""

    layers: list[Layer]
    zoom: np.ndarray | float = 1.0
    light: np.ndarray | float = 1.0
    anchors: list[tuple[float, float]] = field(default_factory=list)
    """Places that a distractor must keep away from."""


def sprite(
    thing: Thing,
    x: np.ndarray | float,
    y: np.ndarray | float,
    frames: int,
    *,
    scale: np.ndarray | float = 1.0,
    squash: np.ndarray | float = 1.0,
    turn: np.ndarray | float = 0.0,
    alpha: np.ndarray | float = 1.0,
) -> Layer:
    """A layer that shows `thing` at (x, y); squash multiplies its height, turn is added to its angle (radians)."""

    def row(value: np.ndarray | float) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (frames,))

    size = thing.radius * row(scale)
    return Layer(
        thing.shape,
        COLOURS[thing.colour],
        row(x),
        row(y),
        size,
        size * row(squash),
        thing.angle + row(turn),
        row(alpha),
    )


def draw_cast(rng: Generator, domain: Domain) -> Cast:
    """Three things that differ in shape and in colour from each other."""
    shapes = rng.choice(domain.sprites, 2, replace=False)
    colours = rng.choice(list(COLOURS), 3, replace=False)
    x, y = (
        Thing(str(shape), str(colour), float(rng.uniform(0.22, 0.32)), float(rng.uniform(-0.35, 0.35)))
        for shape, colour in zip(shapes, colours[:2], strict=True)
    )
    container = str(rng.choice(CONTAINER_SHAPES))
    return Cast(x, y, Thing(container, str(colours[2]), float(rng.uniform(0.34, 0.42)), 0.0))


def draw_distractor(
    rng: Generator, domain: Domain, cast: Cast, motion: Motion, frames: int
) -> tuple[Thing, Layer] | None:
    """In six scenes of ten an unnamed still sprite, unlike the cast and clear of the action; None otherwise."""
    if rng.random() >= 0.6:
        return None
    taken = {cast.x.shape, cast.y.shape}, {cast.x.colour, cast.y.colour, cast.z.colour}
    shape = str(rng.choice([s for s in domain.sprites if s not in taken[0]]))
    colour = str(rng.choice([c for c in COLOURS if c not in taken[1]]))
    thing = Thing(shape, colour, float(rng.uniform(0.14, 0.2)), float(rng.uniform(-0.5, 0.5)))
    for _ in range(20):
        x, y = rng.uniform(-0.85, 0.85, 2)
        if all(np.hypot(x - a, y - b) > 0.5 for a, b in motion.anchors):
            return thing, sprite(thing, x, y, frames)
    return None
