"""Stages: one paxion command each, with a folder of its own, and the plan that they make up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paxion.experiment.options import Argument, Inside


@dataclass(frozen=True)
class Stage:
    """One command of an experiment, with a folder of its own."""

    name: str
    """Its folder in the experiment's: "models/world/0/patcher"."""
    command: tuple[Argument, ...]
    """What is typed after `paxion`, without what does not matter to the result."""
    aside: tuple[Argument, ...] = ()
    """The rest of it."""
    needs: tuple[str, ...] = ()
    """Names of the stages that have to be done before."""
    inputs: tuple[str, ...] = ()
    """Files and folders that it reads, from outside."""
    product: tuple[Inside, ...] = ()
    """What it makes, and the others read."""

    def line(self, out: Path) -> list[str]:
        """The words of the command, with paths below the folder of the experiment."""
        return [word if isinstance(word, str) else word.below(out) for word in (*self.command, *self.aside)]


@dataclass(frozen=True)
class Asked:
    """Which evaluation stage asks a model."""

    stage: str
    called: str
    """What the stage's results call the model."""


@dataclass(frozen=True)
class Plan:
    """The stages of an experiment in an order that can be run, and who is asked where."""

    stages: Mapping[str, Stage]
    asked: Mapping[tuple[str, str, int, str], Asked]
    """By model, backbone, seed and task. The backbone is asked with the first seed only: no seed changes it."""
    trained: Mapping[tuple[str, str, int], str]
    """The stage that trains a model, by model, backbone and seed."""
