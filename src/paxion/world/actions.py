"""The actions of the world: a motion each, and three ways to say it in each direction.

The opposite of a reversible action is the exact time reversal of its motion, so that nothing but the order of the
frames tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from paxion.world import motions
from paxion.world.scene import Cast, Motion

Program = Callable[[np.ndarray, Cast, Generator], Motion]


@dataclass(frozen=True)
class Action:
    """An action and, when it has one, its opposite. Texts hold {x}, {y} or {z} where a thing is named."""

    name: str
    forward: tuple[str, str, str]
    program: Program
    backward: tuple[str, str, str] | None = None
    """Opposite texts, paraphrase by paraphrase. None: the action has no opposite."""
    opposite: Program | None = None
    """Program of the opposite where that is not the time reversal."""

    @property
    def reversible(self) -> bool:
        """The reversed clip shows the opposite."""
        return self.backward is not None and self.opposite is None


def _pair(name: str, program: Program, forward: tuple[str, str, str], backward: tuple[str, str, str]) -> Action:
    return Action(name, forward, program, backward)


ACTIONS: tuple[Action, ...] = (
    _pair(
        "up-down",
        motions.up,
        ("moving {x} up", "raising {x}", "lifting {x} upwards"),
        ("moving {x} down", "lowering {x}", "bringing {x} downwards"),
    ),
    _pair(
        "right-left",
        motions.right,
        ("pushing {x} from left to right", "sliding {x} to the right", "moving {x} rightwards"),
        ("pushing {x} from right to left", "sliding {x} to the left", "moving {x} leftwards"),
    ),
    _pair(
        "closer-away",
        motions.closer,
        ("moving {x} closer to {y}", "bringing {x} near {y}", "pushing {x} towards {y}"),
        ("moving {x} away from {y}", "taking {x} far from {y}", "pulling {x} back from {y}"),
    ),
    _pair(
        "into-out",
        motions.into,
        ("putting {x} into {z}", "dropping {x} inside {z}", "placing {x} in {z}"),
        ("taking {x} out of {z}", "lifting {x} from inside {z}", "removing {x} from {z}"),
    ),
    _pair(
        "cover-uncover",
        motions.cover,
        ("covering {x} with {y}", "hiding {x} under {y}", "sliding {y} over {x}"),
        ("uncovering {x} from {y}", "revealing {x} under {y}", "sliding {y} off {x}"),
    ),
    _pair(
        "approach-retreat",
        motions.approach,
        ("approaching {x} with the camera", "zooming in on {x}", "moving the camera closer to {x}"),
        ("retreating from {x} with the camera", "zooming out from {x}", "moving the camera away from {x}"),
    ),
    _pair(
        "inflate-deflate",
        motions.inflate,
        ("inflating {x}", "making {x} bigger", "growing {x}"),
        ("deflating {x}", "making {x} smaller", "shrinking {x}"),
    ),
    _pair(
        "open-close",
        motions.open_up,
        ("opening {z}", "lifting the lid of {z}", "unsealing {z}"),
        ("closing {z}", "lowering the lid of {z}", "sealing {z}"),
    ),
    _pair(
        "appear-disappear",
        motions.appear,
        ("making {x} appear", "fading in {x}", "letting {x} emerge"),
        ("making {x} disappear", "fading out {x}", "letting {x} vanish"),
    ),
    _pair(
        "clockwise-counterclockwise",
        motions.rotate,
        ("rotating {x} clockwise", "turning {x} clockwise", "spinning {x} clockwise"),
        ("rotating {x} counterclockwise", "turning {x} counterclockwise", "spinning {x} counterclockwise"),
    ),
    _pair(
        "stack-unstack",
        motions.stack,
        ("putting {x} on top of {y}", "stacking {x} on {y}", "setting {x} down onto {y}"),
        ("taking {x} off the top of {y}", "unstacking {x} from {y}", "picking {x} up off {y}"),
    ),
    _pair(
        "split-join",
        motions.split,
        ("splitting {x} in two", "pulling two parts of {x} apart", "dividing {x}"),
        ("joining two parts of {x}", "pushing two parts of {x} together", "merging {x}"),
    ),
    _pair(
        "fill-empty",
        motions.fill,
        ("filling {z}", "filling up {z} with liquid", "pouring liquid into {z}"),
        ("emptying {z}", "draining liquid from {z}", "pouring liquid out of {z}"),
    ),
    _pair(
        "light-dark",
        motions.light,
        ("turning the light on near {x}", "lighting up {x}", "brightening {x}"),
        ("turning the light off near {x}", "darkening {x}", "dimming {x}"),
    ),
    _pair(
        "fold-unfold",
        motions.fold,
        ("folding {x}", "flattening {x}", "folding up {x}"),
        ("unfolding {x}", "straightening {x}", "unfolding all of {x}"),
    ),
    _pair(
        "orbit-counterorbit",
        motions.orbit,
        ("moving {x} around {y} clockwise", "circling {y} clockwise with {x}", "orbiting {x} clockwise around {y}"),
        (
            "moving {x} around {y} counterclockwise",
            "circling {y} counterclockwise with {x}",
            "orbiting {x} counterclockwise around {y}",
        ),
    ),
    _pair(
        "enter-exit",
        motions.enter,
        ("bringing {x} into view", "moving {x} into the frame", "sliding {x} onto the screen"),
        ("taking {x} out of view", "moving {x} out of the frame", "sliding {x} off the screen"),
    ),
    Action(
        "quick-slow",
        ("shaking {x} quickly", "wobbling {x} fast", "swinging {x} rapidly"),
        motions.shake_quickly,
        ("shaking {x} slowly", "wobbling {x} gently", "swinging {x} lazily"),
        motions.shake_slowly,
    ),
    Action("hold", ("holding {x}", "keeping {x} still", "showing {x}"), motions.hold),
    Action("swap", ("swapping {x} and {y}", "exchanging {x} with {y}", "trading places of {x} and {y}"), motions.swap),
    Action("poke", ("poking {x} with {y}", "tapping {x} with {y}", "touching {x} with {y}"), motions.poke),
)
