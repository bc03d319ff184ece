"""The renderer: shapes, colours, sizes, and pixels that depend on nothing but the scene."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from paxion.world.generate import FRAMES, draw_scene
from paxion.world.render import Picture, render
from paxion.world.scene import COLOURS, CONTAINER_SHAPES, DOMAINS, SPRITE_SHAPES, Motion, Thing, sprite
from paxion.world.shapes import SHAPES


def alone(shape: str, angle: float = 0.0, domain: str = "A", colour: str = "red", radius: float = 0.4, **motion):
    """A picture of one still thing in the middle, without noise or jitter, on grey."""
    layer = sprite(Thing(shape, colour, radius, angle), 0.0, 0.0, 1)
    style = replace(DOMAINS[domain], noise=0.0)
    return Picture(Motion([layer], **motion), style, np.full((3, 6, 6), 0.5), np.zeros((1, 2)), 0)


def covered(picture: Picture, size: int = 64) -> torch.Tensor:
    """Where the pixels are not the background (size, size) bool."""
    frame = render(picture, [0], size)[0].int()
    return (frame - 128).abs().amax(-1) > 12


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_an_inside_and_an_outside(shape):
    axis = torch.linspace(-1.2, 1.2, 97)
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    distance = SHAPES[shape](u, v)
    assert distance.min() < -0.05
    assert torch.isfinite(distance).all()
    for angle in torch.linspace(0, 2 * math.pi, 60):
        assert SHAPES[shape](3 * torch.cos(angle), 3 * torch.sin(angle)) > 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_a_distance_is_never_longer_than_the_way(shape):
    """Lipschitz: otherwise edges alias, as coverage is read off the distance."""
    axis = torch.linspace(-1.5, 1.5, 121)
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    distance = SHAPES[shape](u, v)
    step = (axis[1] - axis[0]).item()
    for slope in (distance.diff(dim=0), distance.diff(dim=1)):
        assert slope.abs().max() <= 1.1 * step


@pytest.mark.parametrize("shape", [*SPRITE_SHAPES, *CONTAINER_SHAPES])
def test_a_shape_is_seen_within_its_radius(shape):
    seen = covered(alone(shape))
    share = seen.float().mean().item() * 4 / (2 * 0.4) ** 2  # Of the square around it.
    assert 0.15 < share < 1.0
    rows, columns = seen.nonzero().T
    reach = max(abs((2 * rows + 1) / 64 - 1).max(), abs((2 * columns + 1) / 64 - 1).max())
    assert reach < 0.4 * 1.15


@pytest.mark.parametrize("domain", ["A", "B"])
def test_shapes_of_a_domain_look_different(domain):
    masks = {shape: covered(alone(shape, domain=domain)) for shape in (*DOMAINS[domain].sprites, *CONTAINER_SHAPES)}
    names = list(masks)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            union = (masks[one] | masks[other]).sum()
            assert (masks[one] ^ masks[other]).sum() > 0.08 * union, (one, other)


def test_colours_are_far_apart_in_both_domains():
    for domain in "AB":
        # Unshaded half, right of the middle and between the stripes.
        seen = {name: render(alone("square", domain=domain, colour=name), [0], 64)[0, 33, 36] for name in COLOURS}
        names = list(seen)
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                assert (seen[one].int() - seen[other].int()).abs().max() > 35, (domain, one, other)


def test_a_positive_angle_turns_clockwise():
    """An arrow points right; a quarter turn clockwise makes it point down, where most of its head then lies."""
    right, down = covered(alone("arrow")), covered(alone("arrow", angle=math.pi / 2))
    assert torch.equal(right.T, down) or (right.T ^ down).float().mean() < 0.02
    assert down[:20].any(1).sum() < down[44:].any(1).sum() + 20
    tip = down.nonzero()[:, 0].max(), down.nonzero()[:, 0].min()
    assert down[tip[0] - 1].sum() < down[tip[1] + 1].sum()  # Pointed below, blunt above.


def test_zoom_and_light():
    assert covered(alone("square", zoom=1.5)).sum() > 2 * covered(alone("square")).sum()
    assert render(alone("square", light=0.5), [0])[0, 0, 0, 0] == 64


def test_the_middle_of_the_picture_is_the_middle():
    """Symmetric shapes are symmetric to the pixel: no half-pixel shift, at an even size."""
    for shape in ("circle", "square", "cross", "ring", "diamond"):
        seen = covered(alone(shape, colour="black"))
        assert torch.equal(seen, seen.flip(0))
        assert torch.equal(seen, seen.flip(1))


@pytest.mark.parametrize("domain", ["A", "B"])
def test_a_larger_picture_shows_the_same(domain):
    for number in range(0, 21, 4):
        picture = draw_scene(0, domain, "test", number).picture
        picture = replace(picture, domain=replace(picture.domain, noise=0.0))
        small, large = (render(picture, [0, 4, 8], size).float().permute(0, 3, 1, 2) for size in (64, 96))
        assert large.shape == (3, 3, 96, 96)
        both = [torch.nn.functional.interpolate(clip, (16, 16), mode="area") for clip in (small, large)]
        assert (both[0] - both[1]).abs().mean() < 3


def test_pixels_do_not_depend_on_which_other_frames_are_drawn():
    picture = draw_scene(0, "B", "test", 3).picture
    everything = render(picture, list(range(FRAMES)))
    assert everything.dtype == torch.uint8
    assert everything.shape == (FRAMES, 64, 64, 3)
    assert torch.equal(render(picture, [7, 2]), everything[[7, 2]])
    assert torch.equal(render(picture, [5]), everything[[5]])


def test_noise_differs_from_frame_to_frame_and_has_its_strength():
    scene = draw_scene(0, "B", "test", 18)
    assert scene.action.name == "hold"
    still = replace(scene.picture, jitter=np.zeros_like(scene.picture.jitter))
    clean = replace(still, domain=replace(still.domain, noise=0.0))
    frames, bare = render(still, [0, 1]).float(), render(clean, [0, 1]).float()
    assert torch.equal(bare[0], bare[1])
    inside = (bare > 60) & (bare < 195)  # Elsewhere it is cut off.
    assert ((frames - bare)[inside].std() / 255).item() == pytest.approx(still.domain.noise, rel=0.05)
    assert ((frames[0] - frames[1])[inside[0]].std() / 255).item() == pytest.approx(
        still.domain.noise * 2**0.5, rel=0.05
    )
