"""Five-way questions about scenes: what is happening? Texts alone do not tell the right choice.

Four choices are two pairs of opposites about the objects of the clip, so that the order of the frames decides. The
fifth is another action, or one of the four with an object that is not there. Twins, a scene in its two directions, are
asked the same question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

from paxion.world.actions import ACTIONS, Action
from paxion.world.captions import fill, say
from paxion.world.scene import COLOURS, CONTAINER_SHAPES, Cast

QUESTION = "what is happening"
CHOICES = 5
ORDER_KIND, OTHER_KIND = "TC", "DO"
"""Kinds of NExT-QA: temporal (what happens now), for actions that have an opposite; descriptive (other)."""
SINGLE_SHARE = 2 / 11
"""How often the one action without a partner is the fifth choice: then it is right in one of five, like any other.
(Of the eleven pairs that are about one sprite, both directions of each scene are asked, of the single action one.)"""
OBJECT_SHARE = 1 / 3
"""How often the fifth choice, otherwise, is wrong in its object."""

Side = tuple[Action, bool]
"""An action, and whether it is meant forward."""


@dataclass(frozen=True)
class Question:
    """The five choices about one scene, and which of them is right."""

    choices: tuple[str, ...]
    answer: int
    antonym_choices: tuple[str, ...] | None
    """The opposites of choices that are no choices themselves."""
    kind: str


def ask(
    side: Side, paraphrase: int, cast: Cast, bystanders: frozenset[str], sprites: Sequence[str], rng: Generator
) -> Question:
    """The question about a scene that shows `side`, said in the given paraphrase, with this cast.

    Wrong choices: the antonym, another pair of actions with the same objects, and either one side of a third pair or
    one of the four with an object that is not to be seen (bystanders: names of all that is; sprites: the domain's
    shapes). Poking and swapping have no opposite, they stand for each other's. Holding has nothing of the kind: its
    wrong choices are two pairs, and it is the fifth choice of others as often as makes it right in one of five. The two
    sides of a pair are said in one paraphrase. The draws depend on the scene, not on its direction.
    """
    pool = next(pool for pool in POOLS if any(side in family for family in pool))
    own = next(family for family in pool if side in family)
    pairs = [family for family in pool if family != own and len(family) == 2]
    others = [pairs[index] for index in rng.permutation(len(pairs))]
    families = [own, *others[: 3 - len(own)]]
    numbers = [paraphrase, *(int(rng.integers(3)) for _ in families[1:])]
    said = [(other, number) for family, number in zip(families, numbers, strict=True) for other in family]
    texts = [_text(*saying, cast) for saying in said]
    beyond = None
    if len(texts) < CHOICES:
        alone = next((family[0] for family in pool if len(family) == 1), None)
        way, number = rng.random(2), int(rng.integers(3))
        if alone is not None and way[0] < SINGLE_SHARE:
            texts.append(_text(alone, number, cast))
        elif way[1] < OBJECT_SHARE:
            foreign = _foreign(pool, cast, bystanders, sprites, rng)
            (action, forward), number = said[int(rng.integers(len(said)))]
            texts.append(_text((action, forward), number, cast, foreign))
            beyond = None if action.backward is None else _text((action, not forward), number, cast, foreign)
        else:
            action, forward = others[1][int(rng.integers(2))]
            texts.append(_text((action, forward), number, cast))
            beyond = None if action.backward is None else _text((action, not forward), number, cast)
    places = rng.permutation(CHOICES)
    return Question(
        choices=tuple(texts[place] for place in places),
        answer=[said[place][0] if place < len(said) else None for place in places].index(side),
        antonym_choices=None if beyond is None else (beyond,),
        kind=OTHER_KIND if side[0].backward is None else ORDER_KIND,
    )


def _text(side: Side, paraphrase: int, cast: Cast, instead: dict[str, str] | None = None) -> str:
    return fill(say(*side, paraphrase, cast).pattern, cast, **(instead or {}))


def _foreign(
    pool: tuple[tuple[Side, ...], ...], cast: Cast, bystanders: frozenset[str], sprites: Sequence[str], rng: Generator
) -> dict[str, str]:
    """An object for one role that the pool's actions share: unlike all that is named, and nowhere to be seen."""
    roles = sorted(set.intersection(*(_roles(action) for family in pool for action, _ in family)))
    role = str(rng.choice(roles))
    things = [cast.x, cast.y, cast.z]
    kinds = CONTAINER_SHAPES if role == "z" else sprites
    names = [
        f"{colour} {shape}"
        for colour in COLOURS
        for shape in kinds
        if all(colour != thing.colour and shape != thing.shape for thing in things)
    ]
    return {role: str(rng.choice([name for name in names if name not in bystanders]))}


def _roles(action: Action) -> set[str]:
    return {role for role in "xyz" if "{" + role + "}" in action.forward[0]}


def _pools() -> tuple[tuple[tuple[Side, ...], ...], ...]:
    """Actions that can be said of the same objects: of one sprite, of two, of a container. In families: a pair of
    opposites, or the actions without one."""
    pools: list[list[Action]] = [[], [], []]
    for action in ACTIONS:
        roles = _roles(action)
        pools[2 if "z" in roles else len(roles) - 1].append(action)
    found = []
    for pool in pools:
        families = [((action, True), (action, False)) for action in pool if action.backward]
        timeless = tuple((action, True) for action in pool if not action.backward)
        found.append((*families, *((timeless,) if timeless else ())))
    return tuple(found)


POOLS = _pools()
