"""Saying what a scene shows: captions, their antonyms and templates, and foils with another object."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator

from paxion.world.actions import ACTIONS, Action
from paxion.world.scene import COLOURS, CONTAINER_SHAPES, SPRITE_SHAPES, Cast

TEMPLATE_WORD = "something"


@dataclass(frozen=True)
class Saying:
    """One text pattern of an action, the cast that fills it, and the names of all that can be seen."""

    pattern: str
    opposite: str | None
    cast: Cast
    bystanders: frozenset[str] = frozenset()

    @property
    def role(self) -> str:
        """The part of the cast that is named first: the object that a foil replaces."""
        return min("xyz", key=lambda role: self.pattern.find("{" + role + "}") % 1000)

    @property
    def caption(self) -> str:
        """The caption."""
        return fill(self.pattern, self.cast)

    @property
    def antonym(self) -> str | None:
        """The caption of the opposite action, if there is one."""
        return None if self.opposite is None else fill(self.opposite, self.cast)

    @property
    def template(self) -> str:
        """The caption with its objects blanked."""
        return blank(self.pattern)

    def replaced(self, words: str) -> str:
        """The caption with its first object called `words` instead."""
        return fill(self.pattern, self.cast, **{self.role: words})


def fill(pattern: str, cast: Cast, **instead: str) -> str:
    """The pattern with things named from the cast, or from `instead`."""
    names = {"x": cast.x.words, "y": cast.y.words, "z": cast.z.words, **instead}
    return pattern.format(**names)


def blank(pattern: str) -> str:
    """The pattern with "something" for every thing."""
    return pattern.format(x=TEMPLATE_WORD, y=TEMPLATE_WORD, z=TEMPLATE_WORD)


def label(action: Action, forward: bool) -> str:
    """The action label of a direction, shared by its paraphrases."""
    return f"{action.name}{'+' if forward else '-'}" if action.backward else action.name


def say(action: Action, forward: bool, paraphrase: int, cast: Cast, bystanders: frozenset[str] = frozenset()) -> Saying:
    """The given paraphrase of an action in one direction."""
    if action.backward is None:
        return Saying(action.forward[paraphrase], None, cast, bystanders)
    texts = action.forward[paraphrase], action.backward[paraphrase]
    pattern, opposite = texts if forward else texts[::-1]
    return Saying(pattern, opposite, cast, bystanders)


def exchange_objects(sayings: list[Saying], rng: Generator) -> list[str]:
    """The name of another object for each saying's foil; texts alone cannot tell which is the foil.

    Sayings swap objects in pairs: where one says "red star" and its foil "blue ring", another says "blue ring" and its
    foil "red star". Partners are of the same kind (sprite or container, with or without an antonym), share neither
    shape nor colour with anything the other names, and are nowhere to be seen in the other's scene. A saying left
    without a partner gets such an object drawn at random.
    """
    names: list[str | None] = [None] * len(sayings)
    waiting: list[int] = []
    for index in rng.permutation(len(sayings)):
        mate = next((other for other in waiting if _exchangeable(sayings[index], sayings[other])), None)
        if mate is None:
            waiting.append(int(index))
            continue
        waiting.remove(mate)
        for one, other in ((index, mate), (mate, index)):
            thing = getattr(sayings[other].cast, sayings[other].role)
            names[one] = thing.words
    return [name or _random_object(saying, rng) for name, saying in zip(names, sayings, strict=True)]


def _named(saying: Saying) -> tuple[set[str], set[str]]:
    things = [getattr(saying.cast, role) for role in "xyz" if "{" + role + "}" in saying.pattern]
    return {thing.shape for thing in things}, {thing.colour for thing in things}


def _exchangeable(one: Saying, other: Saying) -> bool:
    if (one.role == "z") != (other.role == "z") or (one.opposite is None) != (other.opposite is None):
        return False
    for a, b in ((one, other), (other, one)):
        thing = getattr(a.cast, a.role)
        shapes, colours = _named(b)
        if thing.shape in shapes or thing.colour in colours or thing.words in b.bystanders:
            return False
    return True


def _random_object(saying: Saying, rng: Generator) -> str:
    shapes, colours = _named(saying)
    kinds = CONTAINER_SHAPES if saying.role == "z" else SPRITE_SHAPES
    names = [f"{colour} {shape}" for colour in COLOURS for shape in kinds if not {colour} & colours | {shape} & shapes]
    return str(rng.choice([name for name in names if name not in saying.bystanders]))


def vocabulary() -> list[str]:
    """Every word that a caption of the world can hold, sorted."""
    texts = [blank(text) for action in ACTIONS for text in (*action.forward, *(action.backward or ()))]
    words = {word for text in texts for word in text.split()}
    return sorted(words | set(COLOURS) | set(SPRITE_SHAPES) | set(CONTAINER_SHAPES))
