"""The learning rate of each step: a warm-up, then a cosine or a constant, by the step or, as published, the epoch."""

from __future__ import annotations

import math

from paxion.patching.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, per_epoch: int) -> float:
    """The rate at a step of the run, counted from 0, with `per_epoch` steps in an epoch.

    By the step, the rate rises from `warmup_rate` over `warmup` steps while the cosine falls to `min_rate` over all of
    the run. By the epoch, it rises in the first epoch only, is constant within each epoch, and follows the cosine at
    the epochs' starts: a run of one epoch has a constant rate.

    Source: Paxion (NeurIPS 2023), published code, for `by the epoch`.
    """
    epoch, at = divmod(step, per_epoch)
    start, top, low = recipe.warmup_rate, recipe.rate, recipe.min_rate
    if recipe.schedule == "epoch":
        if epoch == 0 and recipe.warmup:
            return min(top, start + (top - start) * at / recipe.warmup)
        return low + (top - low) * _fallen(epoch / recipe.epochs) if recipe.cosine else top
    top = start + (top - start) * min(1.0, (step + 1) / max(1, recipe.warmup))
    return low + (top - low) * _fallen(step / (recipe.epochs * per_epoch)) if recipe.cosine else top


def _fallen(done: float) -> float:
    """A cosine from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * done))
