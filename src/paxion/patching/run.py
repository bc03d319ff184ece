"""What a training is made of, what tells it from another, and what may surprise in it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from paxion.features.ahead import ReadAhead
from paxion.patching.batches import Batches
from paxion.patching.data import TrainingData
from paxion.patching.model import PatchedModel
from paxion.patching.patcher import PatcherConfig
from paxion.patching.recipe import Recipe
from paxion.patching.run_state import State
from paxion.patching.validation import Validation

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Run:
    """What the steps of a training share."""

    folder: Path
    recipe: Recipe
    data: TrainingData
    source: ReadAhead
    """What `data` is read through."""
    batches: Batches
    accelerator: Accelerator
    model: PatchedModel
    module: nn.Module
    """The model's losses as a module, for several processes if there are."""
    optimiser: torch.optim.Optimizer
    state: State
    description: dict[str, Any]
    """See `described`."""
    validation: Validation | None = None

    @property
    def main(self) -> bool:
        """Whether this process talks and writes."""
        return self.batches.process.main


def described(
    recipe: Recipe,
    seed: int,
    data: TrainingData,
    start: PatchedModel | None,
    validation: Validation | None,
    processes: int,
) -> dict[str, Any]:
    """What decides the weights of a training: two are the same when this is."""
    return {
        "recipe": asdict(recipe),
        "seed": seed,
        "data": data.digest,
        "features": data.source.spec.folder,
        "start": digest(start),
        "validation": validation.data.digest if validation and recipe.validate else None,
        "processes": processes,
    }


def digest(model: PatchedModel | None) -> str | None:
    """Of a model's weights."""
    if model is None:
        return None
    total = hashlib.sha256()
    for name, values in model.state_dict().items():
        total.update(name.encode() + values.detach().cpu().numpy().tobytes())
    return total.hexdigest()[:16]


def surprises(run: Run) -> list[str]:
    """What a user may not expect of this run."""
    recipe, steps = run.recipe, run.batches
    lines = [f"{count} rows are not trained on: {reason}" for reason, count in run.data.left_out.items()]
    if steps.batch < recipe.batch:
        lines.append(f"the batch is {steps.batch} clips instead of {recipe.batch}: there are {steps.clips}")
    if steps.parts > 1:
        others = steps.batch // steps.parts - 1
        lines.append(
            f"accumulate {steps.parts}: each clip is told from {others} others instead of {steps.batch - 1}, as the "
            "parts of a batch do not see each other"
        )
    if recipe.protocol == "paper" and recipe.task == "captions" and steps.process.world != 2:
        lines.append(
            f"protocol paper was published for 2 processes, got {steps.process.world} of "
            f"{steps.batch // steps.process.world} clips"
            + ("; text to video then trains the patcher too" if steps.process.world == 1 else "")
        )
    if recipe.atm and _order_blind(run):
        lines.append(
            "the patcher gives a clip and its reversal the same vectors, as it has no code of the frames, so ATM "
            "trains nothing"
        )
    if run.state.step:
        lines.append(f"going on after step {run.state.step} of {steps.steps}")
    return lines


def _order_blind(run: Run) -> bool:
    """Whether a patcher alone cannot tell the order of frames that do not see each other."""
    if not run.data.source.spec.per_frame or run.model.fuser is not None:
        return False
    config = run.model.patcher.config
    return not isinstance(config, PatcherConfig) or not (config.temporal_embedding or config.difference_tokens)
