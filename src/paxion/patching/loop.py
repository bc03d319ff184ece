"""The steps of a training: losses, gradients, the optimiser, and what is written down between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paxion.patching.accelerated import agreed
from paxion.patching.batches import draw, reseed
from paxion.patching.data import TrainingData
from paxion.patching.failure import broken, failure
from paxion.patching.interrupts import Interrupts
from paxion.patching.model import PatchedModel
from paxion.patching.recipe import Recipe
from paxion.patching.run import Run
from paxion.patching.run_state import FAILED, LAST, add_line, save_best, save_state
from paxion.patching.schedule import learning_rate
from paxion.patching.spent import Meter
from paxion.patching.step import losses
from paxion.patching.tracking import Log
from paxion.patching.validation import quality, validate
from paxion.records import PaxionError

MIN_TEMPERATURE = 0.01


@dataclass(frozen=True)
class Habits:
    """How often a run writes, and who is told what."""

    save_every: float
    """Seconds."""
    log_every: int
    """Steps."""
    log: Log
    """Gets the numbers of each line, and the step."""
    tick: Callable[[dict[str, float]], object]
    """Gets each line."""
    advance: Callable[[int, int], object]
    """Gets the steps done, and those of the whole run."""


class Step(nn.Module):
    """The losses of a batch as a module, so that DDP sees one pass a step, whatever is called inside."""

    def __init__(self, model: PatchedModel, recipe: Recipe, data: TrainingData, device: torch.device) -> None:
        super().__init__()
        self.model, self.recipe, self.data, self.device = model, recipe, data, str(device)

    def forward(self, rows: list[int], drawn: int) -> dict[str, Tensor]:
        """The weighted objectives of some rows. Numbers and no tensors: DDP would move those to the GPU."""
        return losses(self.model, self.recipe, self.data, torch.tensor(rows), self.device, drawn)


def all_steps(run: Run, habits: Habits, interrupts: Interrupts) -> None:
    """Take the steps that are left. Raises KeyboardInterrupt when told to stop, with everything kept."""
    state, steps, saved, meter = run.state, run.batches, time.monotonic(), Meter()
    habits.advance(state.step, steps.steps)
    _training_mode(run.model, run.recipe)
    run.source.expect(_keys(run, state.step))
    while state.step < steps.steps and not state.stopped:
        began = time.perf_counter()
        run.source.expect(_keys(run, state.step + 1))
        parts, asked = _step(run, state.step, (interrupts.asked, time.monotonic() - saved >= habits.save_every))
        state.step += 1
        for name, part in parts.items():
            state.sums[name] = state.sums[name] + part if name in state.sums else part
        state.seconds += time.perf_counter() - began
        within = state.step % steps.per_epoch
        if within == 0 or within % habits.log_every == 0:
            _log(run, habits, within or steps.per_epoch)
        if within == 0:
            state.sums, state.seconds = {}, 0.0
        if within == 0 or any(asked):
            _save(run, meter)
            saved = time.monotonic()
        habits.advance(state.step, steps.steps)
        if asked[0]:
            raise KeyboardInterrupt
    if agreed((interrupts.asked,), run.accelerator.device)()[0]:
        raise KeyboardInterrupt  # nothing is left to do here, but no more is wanted either


def _step(run: Run, step: int, asked: Sequence[bool]) -> tuple[dict[str, Tensor], list[bool]]:
    """One step of the optimiser. Returns the losses and which questions some process answers with yes.

    Nothing here waits for the GPU but the look at the loss, for which only its forward pass need be done.
    """
    recipe, accelerator, mine = run.recipe, run.accelerator, run.batches.mine(step)
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, step, run.batches.per_epoch)
    sums: dict[str, Tensor] = {}
    bad = torch.zeros((), dtype=torch.bool, device=accelerator.device)
    for number, rows in enumerate(mine):
        # A step has random numbers of its own, so that a resumed run draws what an unbroken one would.
        drawn = draw(run.batches.seed, step, number)
        reseed(drawn + (run.batches.process.rank if _own_dropout(recipe) else 0), accelerator.device)
        last = number == len(mine) - 1
        with nullcontext() if last else accelerator.no_sync(run.module):
            parts = run.module(rows.tolist(), drawn)
            total = torch.stack(list(parts.values())).sum() / len(mine)
            bad |= ~total.detach().isfinite()
            answers = agreed((bad, *asked), accelerator.device) if last else None
            total.backward()  # type: ignore[no-untyped-call]
        for name, part in parts.items():
            part = part.detach() / len(mine)
            sums[name] = sums[name] + part if name in sums else part
    assert answers is not None
    failed, *agreed_on = answers()
    if failed:
        run.optimiser.zero_grad()
        raise _failed(run, step, float(torch.stack(list(sums.values())).sum()))
    run.optimiser.step()
    run.optimiser.zero_grad()
    if recipe.protocol != "paper":
        with torch.no_grad():
            run.model.temperature.clamp_(min=MIN_TEMPERATURE)
    return sums, agreed_on


def _log(run: Run, habits: Habits, within: int) -> None:
    """Write a line: mean losses since the epoch's start over all processes, and a validation where one is due."""
    _share_sums(run)
    state, recipe, per_epoch = run.state, run.recipe, run.batches.per_epoch
    line = {"epoch": state.step / per_epoch, "step": state.step}
    line |= {name: float(value) / within for name, value in state.sums.items()}
    line["temperature"] = float(run.model.temperature.detach())
    line["rate"] = learning_rate(recipe, state.step - 1, per_epoch)
    line["seconds"] = round(state.seconds, 3)
    if recipe.validate and within == per_epoch:
        epoch = state.step // per_epoch
        if epoch % recipe.validate == 0 or epoch == recipe.epochs:
            line |= _validated(run)
    if run.main:
        add_line(run.folder, state, line)
        habits.log(line, state.step)
        habits.tick(line)


def _validated(run: Run) -> dict[str, float]:
    """Validate, keep the best weights, and see whether it is time to stop."""
    assert run.validation is not None
    state = run.state
    scores = validate(run.model, run.recipe, run.validation, run.source, run.accelerator)
    _training_mode(run.model, run.recipe)
    if state.best is None or quality(scores) > state.best:
        state.best, state.waited = quality(scores), 0
        if run.main:
            save_best(run.folder, run.model, state.step)
    else:
        state.waited += 1
        state.stopped = 0 < run.recipe.patience <= state.waited
    return scores


def _share_sums(run: Run) -> None:
    """Make the sums of all processes their mean."""
    for name, value in run.state.sums.items():
        run.state.sums[name] = run.accelerator.reduce(value, "mean")


def _save(run: Run, meter: Meter) -> None:
    """Write last.pt, unless the weights are spoiled: the one that is there is the last good one."""
    _share_sums(run)
    if broken(run.model):
        raise _failed(run, run.state.step, torch.nan)
    wall, cpu = meter.read()
    run.state.wall += wall
    run.state.cpu += float(run.accelerator.reduce(torch.tensor(cpu, device=run.accelerator.device), "sum"))
    if run.main:
        save_state(run.folder / LAST, run.model, run.optimiser, run.state, run.description)


def _failed(run: Run, step: int, loss: float) -> PaxionError:
    """What to raise when the loss of a step is not finite; everything about it is written first."""
    if not run.main:
        return PaxionError(f"the loss became {loss} in step {step + 1}; the first process says more")
    save_state(run.folder / FAILED, run.model, run.optimiser, run.state, run.description)
    return failure(run.folder, run.model, run.recipe, run.data, run.batches, step, loss)


def _training_mode(model: PatchedModel, recipe: Recipe) -> None:
    model.train()
    if recipe.fuser is not None and not recipe.joint and recipe.protocol != "paper":
        model.patcher.eval()  # a frozen patcher should give in training what it gives in use


def _own_dropout(recipe: Recipe) -> bool:
    """Whether each process draws dropout of its own. The patcher's mask is one for all clips of a batch, and so for
    all processes; the KP-Transformer's differs from clip to clip."""
    return recipe.protocol == "paper" or recipe.architecture == "transformer"


def _keys(run: Run, step: int) -> list[list[str]]:
    """The clips that this process reads in a step."""
    return [[run.data.keys[row] for row in rows.tolist()] for rows in run.batches.mine(step)]
