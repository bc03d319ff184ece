"""What a training has cost: parameters trained, steps, seconds. A run that goes on adds to what it had."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from paxion.patching.checkpoint import CARD
from paxion.patching.run_state import State
from paxion.records import PaxionError

SUMMED = ("steps", "seconds", "cpu_seconds")


@dataclass
class Meter:
    """Time since it was last read."""

    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)

    def read(self) -> tuple[float, float]:
        """Seconds, and those computed by this process and its threads; it begins anew."""
        wall, cpu = time.perf_counter(), time.process_time()
        spent = wall - self.wall, cpu - self.cpu
        self.wall, self.cpu = wall, cpu
        return spent


def cost(model: nn.Module, state: State) -> dict[str, float]:
    """Of the training so far: trainable (parameters), steps, seconds, and cpu_seconds of all processes together.

    Without reading the backbone's features, which are computed once for all trainings.
    """
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return {
        "trainable": trainable,
        "steps": state.step,
        "seconds": round(state.wall, 3),
        "cpu_seconds": round(state.cpu, 3),
    }


def origin(adapter: Path) -> dict[str, Any]:
    """Where a training begins: the name of an adapter, its cost, and what it was started from, as far as it knows.

    Raises PaxionError when the folder is no adapter.
    """
    try:
        card = json.loads((adapter / CARD).read_text(encoding="utf-8"))
        told = dict(card.get("provenance") or {})
        return {"name": str(card["name"]), "cost": told.get("cost"), "started_from": told.get("started_from")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{CARD}: {type(error).__name__}"
        raise PaxionError(f"{adapter} is no adapter ({reason}); give one made by paxion") from None


def total(provenance: Mapping[str, Any]) -> dict[str, float] | None:
    """Steps and seconds of a training and of all that it was started from; None where some of it is not known."""
    sums = dict.fromkeys(SUMMED, 0.0)
    training: Any = provenance
    while training is not None:
        spent = training.get("cost") if isinstance(training, Mapping) else None
        if not isinstance(spent, Mapping) or not all(isinstance(spent.get(name), int | float) for name in SUMMED):
            return None
        sums = {name: sums[name] + spent[name] for name in SUMMED}
        training = training.get("started_from")
    return sums
