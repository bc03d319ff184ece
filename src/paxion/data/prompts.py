"""Prompts: what the name of an action is put into before it is encoded."""

from __future__ import annotations

from collections.abc import Sequence

from paxion.records import unknown_name

ENSEMBLES: dict[str, tuple[str, ...]] = {
    "plain": ("{}",),
    "ensemble": (
        "{}",
        "a video of {}",
        "a short clip that shows {}",
        "someone is {}",
        "a person {} in front of the camera",
        "what happens here is {}",
        "footage of {}, start to end",
    ),
}
"""Sets of prompts by name. They fit names that begin with a gerund: "playing guitar", "holding something"."""


def prompts_of(given: Sequence[str]) -> tuple[str, ...]:
    """The prompts that texts with {} and names of ENSEMBLES stand for, each once.

    Raises PaxionError for anything else; whether a prompt is sound is for `evaluation.settings.Settings` to say.
    """
    found: list[str] = []
    for name in given:
        if "{" not in name and name not in ENSEMBLES:
            raise unknown_name("prompt", name, [*ENSEMBLES, '"a video of {}"'])
        found += ENSEMBLES.get(name, (name,))
    return tuple(dict.fromkeys(found))
