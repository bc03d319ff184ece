"""Training a patcher or a fuser from frozen features, in one process or in several, resumable at any step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from paxion.backbones.base import Backbone
from paxion.features.ahead import ReadAhead
from paxion.files import make_folder, write_text
from paxion.patching.accelerated import accelerated
from paxion.patching.batches import batches
from paxion.patching.beginning import beginning
from paxion.patching.data import TrainingData, token_scale
from paxion.patching.interrupts import Interrupts
from paxion.patching.loop import Habits, Step, all_steps
from paxion.patching.model import PatchedModel
from paxion.patching.recipe import Recipe
from paxion.patching.run import Run, described, surprises
from paxion.patching.run_state import State, cut_log, load_best, resume
from paxion.patching.spent import cost
from paxion.patching.tracking import tracked
from paxion.patching.validation import Validation
from paxion.processes import Process
from paxion.records import PaxionError
from paxion.results import provenance

if TYPE_CHECKING:
    from accelerate import Accelerator

CONFIG = "config.json"


def train(
    recipe: Recipe,
    backbone: Backbone,
    data: TrainingData,
    folder: Path,
    *,
    seed: int = 0,
    start: PatchedModel | None = None,
    device: str = "cpu",
    validation: Validation | None = None,
    save_every: float = 60.0,
    log_every: int = 500,
    track: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    tell: Callable[[str], object] = lambda line: None,
    tick: Callable[[dict[str, float]], object] = lambda line: None,
    advance: Callable[[int, int], object] = lambda done, steps: None,
) -> PatchedModel:
    """Train by a recipe; returns the model in eval mode. Every process that torchrun started calls it.

    The folder gets config.json (with what it has cost, see `spent.cost`), log.jsonl (a line an epoch, and one every
    `log_every` steps of longer ones), last.pt (every `save_every` seconds, at each epoch's end and when told to stop)
    and, with validations, best.pt. The same call goes on after last.pt, and one process then ends with the same
    weights, bit for bit.

    Args:
        start: what to begin from, see `beginning`.
        device: `cpu`, or an accelerator.
        validation: what to validate with, where the recipe says so.
        track: further places to log to, see `tracking`.
        about: what else config.json is to say.
        tell: gets a line about anything that surprises.
        tick: gets each line of the log.
        advance: gets the steps done and those of the whole run, after each step and at the start.

    Raises:
        PaxionError: the folder holds the checkpoint of another training; the loss is not finite; the batch cannot be
            shared out among the processes.
        KeyboardInterrupt: told to stop, by Ctrl-C or SIGTERM, and kept what was done.
    """
    if not save_every >= 0:
        raise PaxionError(f"got save_every {save_every}, expected 0 or more seconds")
    if recipe.validate and validation is None:
        raise PaxionError(f"got validate {recipe.validate} and no clips to validate on, expected some in the val split")
    make_folder(folder)
    with (
        accelerated(device, recipe.precision) as accelerator,
        ReadAhead(data.source, accelerator.device) as source,
        Interrupts() as interrupts,
    ):
        place = Process(accelerator.process_index, accelerator.num_processes, accelerator.local_process_index)
        steps = batches(recipe, len(data), seed, place)
        torch.manual_seed(seed)
        model = beginning(recipe, backbone, start).to(accelerator.device)
        trained = _trained(model, recipe)
        optimiser = torch.optim.AdamW(trained, lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True)
        description = described(recipe, seed, data, start, validation, place.world)
        accelerator.wait_for_everyone()  # the first process may still be writing what an earlier call kept
        state = resume(folder, model, optimiser, description)
        _check_one_folder(accelerator, state.step)
        if recipe.token_noise and state.step < steps.steps:
            data = replace(data, token_scale=token_scale(data))
        data = replace(data, source=source, templates=data.templates.to(accelerator.device))
        module = accelerator.prepare_model(Step(model, recipe, data, accelerator.device))
        run = Run(
            folder, recipe, data, source, steps, accelerator, model, module, optimiser, state, description, validation
        )
        if place.main:
            cut_log(folder, state)
            config = provenance(**description, device=str(accelerator.device), accelerate=version("accelerate"))
            config["backbone"] = {"name": backbone.name, "revision": backbone.revision}
            config |= {"left_out": dict(data.left_out), **dict(about or {})}
            _tell(folder, config, model, state)
            for line in surprises(run):
                tell(line)
        with tracked(track if place.main else (), folder, description) as log:
            all_steps(run, Habits(save_every, log_every, log, tick, advance), interrupts)
        if place.main:
            _tell(folder, config, model, state)
        if recipe.keep == "best":
            accelerator.wait_for_everyone()
            load_best(folder, model)
    return model.eval()


def _tell(folder: Path, config: Mapping[str, Any], model: PatchedModel, state: State) -> None:
    """Write config.json, with what the run has cost so far."""
    write_text(folder / CONFIG, json.dumps({**config, "cost": cost(model, state)}, indent=1, default=str) + "\n")


def _trained(model: PatchedModel, recipe: Recipe) -> list[nn.Parameter]:
    """The parameters that a recipe trains; the others are frozen."""
    model.patcher.requires_grad_(recipe.fuser is None or recipe.joint)
    if model.fuser is not None:
        model.patcher.temperature.requires_grad_(False)  # the fuser's is in use
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _check_one_folder(accelerator: Accelerator, step: int) -> None:
    """All processes go on after the same step, or some do not see the folder of the first."""
    steps = accelerator.gather(torch.tensor([step], device=accelerator.device)).tolist()
    if len(set(steps)) > 1:
        raise PaxionError(f"got checkpoints after the steps {steps}, expected one folder that all processes see")
