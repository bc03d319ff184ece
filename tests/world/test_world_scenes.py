"""The scenes of a world: reproducible, never shared between splits, and the same in both directions of time."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from paxion.world.actions import ACTIONS
from paxion.world.generate import FRAMES, Clip, WorldPlan, draw_scene, draw_split, draw_world, scene_rng
from paxion.world.render import render

PLAN = WorldPlan(train=42, val=21, test=42)
NAMES = [action.name for action in ACTIONS]
OPPOSED = sum(action.backward is not None for action in ACTIONS)


def twins(clips: list[Clip]) -> list[tuple[Clip, Clip]]:
    groups: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[clip.sample.group].append(clip)
    return [(pair[0], pair[1]) for pair in groups.values() if len(pair) == 2]


def pixels(scene, **changes) -> torch.Tensor:
    return render(replace(scene.picture, **changes), list(range(FRAMES)), 64)


def still_camera(scene) -> dict[str, object]:
    """Changes to a picture after which only the action moves."""
    domain = replace(scene.picture.domain, noise=0.0)
    return {"domain": domain, "jitter": np.zeros_like(scene.picture.jitter)}


def test_the_middle_frame_is_in_the_middle():
    assert FRAMES % 2 == 1


def test_the_same_seed_gives_the_same_world():
    first, second = draw_world(PLAN), draw_world(PLAN)
    assert [clip.sample for clip in first] == [clip.sample for clip in second]
    for one, other in zip(first[::10], second[::10], strict=True):
        assert torch.equal(one.frames(64), other.frames(64))


def test_another_seed_gives_another_world():
    first, second = draw_world(PLAN), draw_world(replace(PLAN, seed=1))
    assert [clip.sample.caption for clip in first] != [clip.sample.caption for clip in second]
    for one, other in zip(first[:21], second[:21], strict=True):
        assert not torch.equal(one.frames(64), other.frames(64))


def test_more_scenes_leave_the_first_ones_as_they_were():
    few, many = (draw_split(replace(PLAN, train=count), "A", "train") for count in (21, 42))
    assert [clip.sample.caption for clip in few] == [clip.sample.caption for clip in many[:21]]
    assert torch.equal(few[5].frames(64), many[5].frames(64))


def test_no_two_scenes_share_a_random_stream():
    """Across splits, domains, the pretraining stream and the foils; a scene's noise seed stands for all it draws."""
    seeds = Counter()
    for domain in "AB":
        for stream in ("train", "val", "test", "pretrain"):
            seeds.update(draw_scene(0, domain, stream, number).picture.noise_seed for number in range(100))
    assert set(seeds.values()) == {1}
    streams = [f"{d}/{s}{o}" for d in "AB" for s in ("train", "val", "test", "pretrain") for o in ("", "/objects")]
    first = {(seed, s, n): scene_rng(seed, s, n).random() for seed in (0, 1) for s in streams for n in range(20)}
    assert len(set(first.values())) == len(first)


def test_groups_never_cross_splits_or_domains():
    places: defaultdict[str, set[tuple[str, str | None]]] = defaultdict(set)
    for clip in draw_world(PLAN):
        places[clip.sample.group].add((clip.sample.split, clip.sample.source))
    assert {len(found) for found in places.values()} == {1}


def test_the_counts_are_those_of_the_plan():
    world = draw_world(PLAN)
    found = Counter((clip.sample.source, clip.sample.split) for clip in world)
    both = PLAN.test + PLAN.test * OPPOSED // len(ACTIONS)
    assert found == {
        ("world-A", "train"): PLAN.train,
        ("world-A", "val"): PLAN.val + PLAN.val * OPPOSED // len(ACTIONS),
        ("world-A", "test"): both,
        ("world-B", "test"): both,
    }
    assert len({clip.sample.id for clip in world}) == len({clip.sample.video for clip in world}) == len(world)


def test_all_actions_are_equally_frequent():
    found = Counter(clip.scene.action.name for clip in draw_split(PLAN, "A", "train"))
    assert found == dict.fromkeys(NAMES, PLAN.train // len(ACTIONS))


def test_training_shows_both_directions_about_equally_often():
    forward = [draw_scene(0, "A", "train", number).forward for number in range(400)]
    assert 160 < sum(forward) < 240


def test_the_record_says_what_the_scene_is():
    for clip in draw_world(PLAN):
        sample, action = clip.sample, clip.scene.action
        assert sample.reversible is sample.salient is action.reversible
        assert (sample.antonym is None) == (action.backward is None)
        assert sample.action == (action.name + ("+" if clip.scene.forward else "-") if action.backward else action.name)


def test_a_twin_is_the_exact_flip_of_its_partner():
    found = [pair for pair in twins(draw_split(PLAN, "A", "test")) if pair[0].scene.action.reversible]
    assert {pair[0].scene.action.name for pair in found} == {action.name for action in ACTIONS if action.reversible}
    for one, other in found:
        there, back = one.frames(64), other.frames(64)
        assert torch.equal(there, back.flip(0))
        assert torch.equal(there[FRAMES // 2], back[FRAMES // 2])
        assert not torch.equal(there, back)
        assert (one.sample.caption, one.sample.antonym) == (other.sample.antonym, other.sample.caption)


def test_the_twin_that_is_no_reversal_differs_in_the_motion_only():
    found = [pair for pair in twins(draw_split(PLAN, "B", "test")) if not pair[0].scene.action.reversible]
    assert {pair[0].scene.action.name for pair in found} == {"quick-slow"}
    for one, other in found:
        assert one.scene.cast == other.scene.cast
        assert np.array_equal(one.scene.picture.background, other.scene.picture.background)
        assert one.scene.picture.noise_seed == other.scene.picture.noise_seed
        assert not torch.equal(one.frames(64), other.frames(64))
        assert not torch.equal(one.frames(64), other.frames(64).flip(0))


@pytest.mark.parametrize("number", range(len(ACTIONS)), ids=NAMES)
def test_an_action_changes_the_picture_over_time_and_holding_does_not(number):
    for forward in (False, True):
        scene = draw_scene(3, "A", "test", number, turned=forward)
        frames = pixels(scene, **still_camera(scene)).int()
        changed = ((frames - frames[:1]).abs().amax(-1) > 12).float().mean((1, 2)).max()
        if scene.action.name == "hold":
            assert torch.equal(frames, frames[:1].expand_as(frames))
        else:
            assert changed > 0.01


@pytest.mark.parametrize("number", [n for n in range(len(ACTIONS)) if ACTIONS[n].reversible], ids=lambda n: NAMES[n])
def test_a_reversible_action_ends_elsewhere_than_it_began(number):
    """Otherwise the reversed clip would show the caption as well as its opposite."""
    for start in range(3):
        scene = draw_scene(4, "B", "test", number + start * len(ACTIONS))
        frames = pixels(scene, **still_camera(scene)).int()
        if scene.action.name in ("clockwise-counterclockwise", "orbit-counterorbit"):  # May come round.
            continue
        assert ((frames[0] - frames[-1]).abs().amax(-1) > 12).float().mean() > 0.005


def test_hold_looks_the_same_in_both_directions_and_so_does_its_jitter():
    """The arrow of time shows in nothing but the action: shifts and noise have no drift over many scenes."""
    jitter = np.stack([draw_scene(0, "A", "train", number).picture.jitter for number in range(600)])
    drift = (jitter[:, -1] - jitter[:, 0]).mean(0)
    error = (jitter[:, -1] - jitter[:, 0]).std(0) / np.sqrt(600)
    assert (np.abs(drift) < 4 * error).all()
    assert np.abs(jitter).max() <= 0.025 + 1e-9


def layers_of(name: str, forward: bool = True):
    """The layers of ten scenes of an action, as they are played."""
    for n in range(10):
        scene = draw_scene(0, "A", "train", NAMES.index(name) + n * len(ACTIONS))
        if scene.forward != forward:
            scene = draw_scene(0, "A", "train", NAMES.index(name) + n * len(ACTIONS), turned=True)
        yield (
            scene,
            [
                {
                    part: getattr(layer, part)[:: -1 if scene.flipped else 1]
                    for part in ("x", "y", "angle", "width", "alpha")
                }
                for layer in scene.picture.motion.layers
            ],
        )


def test_captions_say_which_way_it_goes():
    """Forward texts against the layers: up is up on the screen, right is right, clockwise is clockwise."""
    for forward, sign in ((True, 1), (False, -1)):
        for _, layers in layers_of("up-down", forward):
            assert sign * (layers[-1]["y"][-1] - layers[-1]["y"][0]) < -0.6  # y points down.
        for _, layers in layers_of("right-left", forward):
            assert sign * (layers[-1]["x"][-1] - layers[-1]["x"][0]) > 0.6
        for _, layers in layers_of("clockwise-counterclockwise", forward):
            assert sign * (layers[-1]["angle"][-1] - layers[-1]["angle"][0]) > 2
        for _, layers in layers_of("inflate-deflate", forward):
            assert sign * (layers[-1]["width"][-1] - layers[-1]["width"][0]) > 0
        for _, layers in layers_of("appear-disappear", forward):
            assert sign * (layers[-1]["alpha"][-1] - layers[-1]["alpha"][0]) == 1
        for _, (*_, still, moving) in layers_of("closer-away", forward):
            gap = np.hypot(moving["x"] - still["x"], moving["y"] - still["y"])
            assert sign * (gap[-1] - gap[0]) < -0.3
        for _, (*_, still, around) in layers_of("orbit-counterorbit", forward):
            turn = np.unwrap(np.arctan2(around["y"] - still["y"], around["x"] - still["x"]))
            assert sign * (turn[-1] - turn[0]) > 2  # With y downwards a growing angle is clockwise.
    for name, part in (("approach-retreat", "zoom"), ("light-dark", "light")):
        for scene, _ in layers_of(name):
            values = getattr(scene.picture.motion, part)
            assert values[-1] > values[0]


def test_things_that_enter_are_unseen_at_first():
    for scene, layers in layers_of("enter-exit"):
        thing = layers[-1]
        assert max(abs(thing["x"][0]), abs(thing["y"][0])) == pytest.approx(1.35)
        assert max(abs(thing["x"][-1]), abs(thing["y"][-1])) < 0.3
        assert not scene.flipped
