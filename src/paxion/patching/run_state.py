"""Where a training stands, on disk: written at any step, and gone on from with the same numbers."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paxion.files import write_bytes
from paxion.patching.model import PatchedModel
from paxion.patching.recipe import Recipe
from paxion.processes import HOW
from paxion.records import PaxionError

LAST, BEST, FAILED, LOG = "last.pt", "best.pt", "failed.pt", "log.jsonl"


@dataclass
class State:
    """How far a training is. All random numbers follow from the seed and the step."""

    step: int = 0
    """Steps done."""
    sums: dict[str, Tensor] = field(default_factory=dict)
    """Each objective summed over the steps of the epoch so far."""
    seconds: float = 0.0
    """Time spent in the epoch so far."""
    log: int = 0
    """Bytes of log.jsonl that tell of these steps."""
    best: float | None = None
    """The best validation so far."""
    waited: int = 0
    """Validations since then."""
    stopped: bool = False
    """It ended early, as validations did not get better."""
    wall: float = 0.0
    """Seconds spent on these steps, with their validations and checkpoints."""
    cpu: float = 0.0
    """Seconds that all processes and their threads have computed for that."""


def save_state(
    path: Path, model: PatchedModel, optimiser: torch.optim.Optimizer, state: State, run: Mapping[str, Any]
) -> None:
    """Write model, optimiser and state, with the description `run` of the training that they belong to."""
    numbers = {entry.name: getattr(state, entry.name) for entry in fields(state)}
    numbers["sums"] = {name: value.cpu() for name, value in state.sums.items()}
    everything = {"run": dict(run), "state": numbers, "optimiser": optimiser.state_dict(), "model": model.state_dict()}
    _write(path, everything)


def resume(folder: Path, model: PatchedModel, optimiser: torch.optim.Optimizer, run: Mapping[str, Any]) -> State:
    """Load the checkpoint of the same training, if the folder has one, into model and optimiser.

    Raises PaxionError when it is damaged, or belongs to a training of another description: that says in which fields.
    """
    path = folder / LAST
    if not path.exists():
        return State()
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        made_by, state = dict(stored["run"]), State(**stored["state"])
        # Fields that a recipe has got since then are at what was done before there was a choice.
        made_by["recipe"] = asdict(Recipe()) | dict(made_by.get("recipe") or {})
        weights, moments = dict(stored["model"]), dict(stored["optimiser"])
    except Exception as error:
        raise PaxionError(f"{path} cannot be read ({type(error).__name__}); delete it to train anew") from None
    if made_by.get("processes") != run["processes"]:
        raise PaxionError(
            f"{path} was written by {made_by.get('processes')} processes, got {run['processes']}, whose rounding "
            f"differs; start as many ({HOW}), or delete it to train anew"
        )
    if differing := _differences(made_by, run):
        raise PaxionError(
            f"{path} belongs to another training (other {', '.join(differing)}); delete it, or give another folder"
        )
    try:
        model.load_state_dict(weights)
        optimiser.load_state_dict(moments)
    except (KeyError, RuntimeError, ValueError):
        raise PaxionError(f"{path} belongs to another backbone; delete it, or give another folder") from None
    device = model.temperature.device
    state.sums = {name: value.to(device) for name, value in state.sums.items()}
    return state


def save_best(folder: Path, model: PatchedModel, step: int) -> None:
    """Keep the weights of the best validation."""
    _write(folder / BEST, {"step": step, "model": model.state_dict()})


def load_best(folder: Path, model: PatchedModel) -> None:
    """Go back to the weights of the best validation."""
    path = folder / BEST
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["model"])
    except Exception as error:
        raise PaxionError(f"{path} cannot be read ({type(error).__name__}); delete {LAST} too, to train anew") from None


def cut_log(folder: Path, state: State) -> None:
    """Take from log.jsonl what was written after the state."""
    path = folder / LOG
    if path.exists() and path.stat().st_size > state.log:
        os.truncate(path, state.log)


def add_line(folder: Path, state: State, line: Mapping[str, Any]) -> None:
    """Add a line to log.jsonl."""
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        state.log = file.tell()


def _write(path: Path, everything: Mapping[str, Any]) -> None:
    data = io.BytesIO()
    torch.save(everything, data)
    write_bytes(path, data.getvalue())


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """The fields in which two descriptions differ, a recipe's by their own names, with both values."""
    found = []
    for name, expected in here.items():
        got = there.get(name)
        if isinstance(expected, Mapping) and isinstance(got, Mapping):
            found += _differences(got, expected)
        elif got != expected:
            found.append(f"{name}: got {got}, expected {expected}")
    return found
