"""From the caption to the pixels and back: what the words say is read off the rendered frames, not off the layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from paxion.records import PaxionError
from paxion.world.actions import ACTIONS
from paxion.world.generate import FRAMES, Clip, WorldPlan, draw_split
from paxion.world.pretrain import PretrainPlan

SIZE = 64
BACKGROUND = 0.5


def plain(clip: Clip, keep: slice) -> torch.Tensor:
    """How far each pixel (T, H, W) is from a flat grey: only the kept layers, without noise, jitter and stripes."""
    picture = clip.scene.picture
    picture = replace(
        picture,
        motion=replace(picture.motion, layers=picture.motion.layers[keep], light=1.0),
        domain=replace(picture.domain, noise=0.0, stripes=False),
        background=np.full_like(picture.background, BACKGROUND),
        jitter=np.zeros_like(picture.jitter),
    )
    frames = replace(clip, scene=replace(clip.scene, picture=picture)).frames(SIZE).float()
    return (frames - 255 * BACKGROUND).abs().amax(-1)


def centre(seen: torch.Tensor) -> torch.Tensor:
    """Centre of the visible mass of each frame (T, 2): x to the right, y downwards, in pixels."""
    seen = (seen > 12).float()
    axis = torch.arange(SIZE, dtype=torch.float32)
    mass = seen.sum((1, 2)).clamp_min(1)
    return torch.stack(((seen.sum(1) * axis).sum(1) / mass, (seen.sum(2) * axis).sum(1) / mass), 1)


def area(seen: torch.Tensor) -> torch.Tensor:
    return (seen > 12).float().sum((1, 2))


def both_ways(name: str, domain: str) -> Iterator[tuple[str, Clip]]:
    """The caption and the clip of three scenes of an action, each in both directions."""
    clips = [clip for clip in draw_split(WorldPlan(test=63), domain, "test") if clip.scene.action.name == name]
    assert len(clips) == 6
    return ((clip.sample.caption, clip) for clip in clips)


def says(caption: str, *words: str) -> bool:
    return bool(set(words) & set(caption.split()))


@pytest.mark.parametrize("domain", ["A", "B"])
def test_up_and_right_are_up_and_right_on_the_screen(domain):
    for caption, clip in both_ways("up-down", domain):
        moved = (centre(plain(clip, slice(-1, None)))[-1] - centre(plain(clip, slice(-1, None)))[0])[1]
        up = says(caption, "up", "raising", "upwards")
        assert up != says(caption, "down", "lowering", "downwards")
        assert moved < -10 if up else moved > 10, caption
    for caption, clip in both_ways("right-left", domain):
        track = centre(plain(clip, slice(-1, None)))
        right = caption.endswith(("to right", "to the right", "rightwards"))
        assert right != caption.endswith(("to left", "to the left", "leftwards"))
        assert (track[-1] - track[0])[0] > 10 if right else (track[-1] - track[0])[0] < -10, caption


@pytest.mark.parametrize("domain", ["A", "B"])
def test_clockwise_goes_from_the_top_to_the_right(domain):
    for caption, clip in both_ways("orbit-counterorbit", domain):
        path = centre(plain(clip, slice(-1, None))) - centre(plain(clip, slice(-2, -1)))
        turn = np.unwrap(torch.atan2(path[:, 0], -path[:, 1]).numpy())  # 0 at the top, growing to the right.
        assert turn[-1] - turn[0] > 2 if says(caption, "clockwise") else turn[-1] - turn[0] < -2, caption
        assert says(caption, "clockwise") != says(caption, "counterclockwise")


@pytest.mark.parametrize("domain", ["A", "B"])
def test_a_rotation_turns_the_way_that_its_caption_says(domain):
    """Read off the dark half: the way from the middle of the dark pixels to the middle of the bright ones."""
    for caption, clip in both_ways("clockwise-counterclockwise", domain):
        layer = replace(clip.scene.picture.motion.layers[-1], shape="circle", colour=(1.0, 1.0, 1.0))
        motion = replace(clip.scene.picture.motion, layers=[layer])
        clip = replace(clip, scene=replace(clip.scene, picture=replace(clip.scene.picture, motion=motion)))
        seen = plain(clip, slice(-1, None))
        bright, dark = seen > 100, (seen > 12) & (seen <= 100)
        facing = centre(bright * 255.0) - centre(dark * 255.0)
        turn = np.unwrap(torch.atan2(facing[:, 0], -facing[:, 1]).numpy())
        assert turn[-1] - turn[0] > 1.5 if says(caption, "clockwise") else turn[-1] - turn[0] < -1.5, caption


@pytest.mark.parametrize("domain", ["A", "B"])
@pytest.mark.parametrize(
    ("name", "grows"),
    [
        ("inflate-deflate", ("inflating", "bigger", "growing")),
        ("approach-retreat", ("approaching", "in", "closer")),
        ("enter-exit", ("into", "onto")),
        ("fold-unfold", ("unfolding", "straightening")),
        ("appear-disappear", ("appear", "in", "emerge")),
    ],
)
def test_more_of_the_thing_is_seen_when_the_caption_says_so(name, grows, domain):
    found = set()
    for caption, clip in both_ways(name, domain):
        seen = area(plain(clip, slice(-1, None)))
        more = says(caption, *grows)
        assert seen[-1] > 1.2 * seen[0] if more else seen[0] > 1.2 * seen[-1], caption
        found.add(more)
    assert found == {True, False}


@pytest.mark.parametrize("domain", ["A", "B"])
@pytest.mark.parametrize(
    ("name", "apart"),
    [
        ("closer-away", ("away", "far", "back")),
        ("stack-unstack", ("taking", "unstacking", "picking")),
        ("cover-uncover", ("uncovering", "revealing", "off")),
    ],
)
def test_things_come_together_or_part_as_the_caption_says(name, apart, domain):
    for caption, clip in both_ways(name, domain):
        gap = (centre(plain(clip, slice(-1, None))) - centre(plain(clip, slice(-2, -1)))).norm(dim=1)
        assert gap[-1] - gap[0] > 4 if says(caption, *apart) else gap[0] - gap[-1] > 4, caption


@pytest.mark.parametrize("domain", ["A", "B"])
def test_what_is_put_in_ends_hidden_and_what_is_taken_out_starts_hidden(domain):
    """The thing lies between the container's inside and its front: seen less with the front than without it."""
    for caption, clip in both_ways("into-out", domain):
        things = slice(-2, -1)
        alone, behind = plain(clip, things) > 12, plain(clip, slice(-1, None)) > 12
        hidden = (alone & behind).sum((1, 2)) / alone.sum((1, 2)).clamp_min(1)
        out = says(caption, "out", "removing", "lifting")
        first, last = hidden[0], hidden[-1]
        assert (first > 0.8 and last < 0.1) if out else (last > 0.8 and first < 0.1), caption


@pytest.mark.parametrize("domain", ["A", "B"])
def test_brightness_follows_the_caption(domain):
    for caption, clip in both_ways("light-dark", domain):
        level = clip.frames(SIZE).float().mean((1, 2, 3))
        lighter = says(caption, "on", "lighting", "brightening")
        assert level[-1] > 2 * level[0] if lighter else level[0] > 2 * level[-1], caption


@pytest.mark.parametrize("domain", ["A", "B"])
def test_quick_is_quicker_than_slow(domain):
    ways = {
        clip.sample.id: float((centre(plain(clip, slice(-1, None))).diff(dim=0)).norm(dim=1).sum())
        for _, clip in both_ways("quick-slow", domain)
    }
    for name, way in ways.items():
        if name.endswith("-forward"):
            assert way > 1.8 * ways[name.replace("-forward", "-backward")]


def test_a_poke_comes_and_goes_so_that_it_has_no_direction():
    clips = [clip for clip in draw_split(WorldPlan(test=210), "A", "test") if clip.scene.action.name == "poke"]
    assert len(clips) == 10
    for clip in clips:
        gap = (centre(plain(clip, slice(-1, None))) - centre(plain(clip, slice(-2, -1)))).norm(dim=1)
        assert gap[0] - gap.min() > 4
        assert gap[-1] - gap.min() > 4


@pytest.mark.parametrize("name", [action.name for action in ACTIONS if action.reversible])
def test_the_opposite_direction_never_shows_the_same_states_in_the_same_order(name):
    """A clip differs from its own reversal by far more than noise does, or the two captions could not be told apart."""
    for _, clip in both_ways(name, "A"):
        frames = clip.frames(SIZE).float()
        noise = 255 * clip.scene.picture.domain.noise
        changed = ((frames - frames.flip(0)).abs().amax(-1) > 6 * noise).float().mean((1, 2))
        assert changed.max() > 0.01
        assert changed[FRAMES // 2] == 0


@pytest.mark.parametrize("change", [{"seed": -1}, {"train": -3}, {"size": 63}, {"size": 0}])
def test_a_plan_that_cannot_be_is_refused_at_once(change):
    with pytest.raises(PaxionError, match=f"got {next(iter(change))}"):
        WorldPlan(**change)


@pytest.mark.parametrize("change", [{"seed": -1}, {"scenes": 0}, {"steps": 0}, {"batch": 1}])
def test_a_pretraining_that_cannot_be_is_refused_at_once(change):
    with pytest.raises(PaxionError, match=f"got {next(iter(change))}"):
        PretrainPlan(**change)
