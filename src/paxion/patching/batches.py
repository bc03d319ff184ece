"""Which clips every step trains on, in every process, and the random numbers of each: decided by the seed alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from paxion.patching.recipe import Recipe
from paxion.processes import Process
from paxion.records import PaxionError


def draw(*what: object) -> int:
    """A seed of 63 bits for what is named, so that nothing random depends on what was drawn before it."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:8], "big") >> 1


def reseed(drawn: int, device: torch.device) -> None:
    """Begin the random numbers of a device, and those of the CPU, from a seed."""
    # torch.manual_seed does it on every device there could be, which takes milliseconds where there is none.
    torch.default_generator.manual_seed(drawn)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(drawn)


@dataclass(frozen=True)
class Batches:
    """The steps of a training. The clips that do not fill a batch at an epoch's end are left out of that epoch."""

    clips: int
    """N"""
    batch: int
    """B, over all processes."""
    parts: int
    """Into how many each batch is cut."""
    epochs: int
    seed: int
    process: Process

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        return self.clips // self.batch

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.epochs * self.per_epoch

    def rows(self, step: int) -> Tensor:
        """(B,) the rows of a step, over all processes; none after the last step."""
        epoch, at = divmod(step, self.per_epoch)
        if step >= self.steps:
            return torch.empty(0, dtype=torch.long)
        return _order(self.seed, epoch, self.clips)[at * self.batch : (at + 1) * self.batch]

    def mine(self, step: int) -> list[Tensor]:
        """Those that this process takes, part by part: an equal share of each part, in the order of the processes."""
        rows = self.rows(step)
        return [part.chunk(self.process.world)[self.process.rank] for part in rows.chunk(self.parts) if len(rows)]


def batches(recipe: Recipe, clips: int, seed: int, process: Process) -> Batches:
    """The steps of a recipe on so many clips. Raises PaxionError when a batch cannot be shared out evenly."""
    share = process.world * recipe.accumulate
    if recipe.batch % share:
        what = f"{process.world} processes" if process.world > 1 else ""
        parts = f"{recipe.accumulate} parts" if recipe.accumulate > 1 else ""
        raise PaxionError(
            f"got batch {recipe.batch} for {' times '.join(filter(None, (what, parts)))}, "
            f"expected a multiple of {share}, such as {-(-recipe.batch // share) * share}"
        )
    batch = min(recipe.batch, clips // share * share)
    if batch < 2 * recipe.accumulate:
        raise PaxionError(f"got {clips} clips, expected at least {max(2 * recipe.accumulate, share)} to fill a batch")
    return Batches(clips, batch, recipe.accumulate, recipe.epochs, seed, process)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, clips: int) -> Tensor:
    return torch.randperm(clips, generator=torch.Generator().manual_seed(draw(seed, "order", epoch)))
