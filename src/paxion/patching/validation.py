"""Scoring a model in the midst of its training, on clips that it is not trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from paxion.backbones.base import Backbone, Features
from paxion.evaluation.evaluate import evaluate
from paxion.evaluation.questions import question_texts
from paxion.evaluation.settings import Settings
from paxion.features.source import FeatureSource
from paxion.patching.batches import Batches
from paxion.patching.data import TrainingData, frozen_texts, training_data
from paxion.patching.model import PatchedModel
from paxion.patching.recipe import Recipe
from paxion.patching.rows import usable
from paxion.patching.step import losses
from paxion.processes import Process
from paxion.records import PaxionError, Sample

if TYPE_CHECKING:
    from accelerate import Accelerator

PREFIX = "val_"
"""Of what it adds to a line of the log."""


@dataclass(frozen=True)
class Validation:
    """The clips to validate on, and all that is said of them."""

    data: TrainingData
    samples: Sequence[Sample]
    keys: Mapping[str, str]
    """From sample id to the key of its clip."""
    texts: Mapping[str, Tensor]
    """The frozen vector of every text."""


def validation(
    backbone: Backbone,
    source: FeatureSource,
    keys: Mapping[str, str],
    samples: Sequence[Sample],
    recipe: Recipe = Recipe(),  # noqa: B008  (frozen)
) -> Validation:
    """What to validate with: those samples whose clip the source has. Raises PaxionError for fewer than two."""
    if (read := sum(sample.id in keys for sample in samples)) < 2:
        raise PaxionError(f"got {read} validation clips that can be read, expected at least 2 in the val split")
    data = training_data(backbone, source, keys, samples, recipe)
    if recipe.task == "questions":
        samples, _ = usable(recipe, samples)
        texts = question_texts(samples, Settings(question_text=recipe.question_text))
    else:
        texts = [t for s in samples for t in (s.caption, s.antonym, s.replaced, s.template) if t is not None]
    return Validation(data, samples, keys, frozen_texts(backbone, source, texts))


@dataclass(frozen=True)
class _Patched:
    """A model in training as an encoder whose texts have been encoded before."""

    model: PatchedModel
    texts: Mapping[str, Tensor]
    accelerator: Accelerator
    name: str = "val"

    def encode_clips(self, features: Features) -> Tensor:
        with self.accelerator.autocast():
            vectors: Tensor = self.model(features)
        return vectors.float()  # similarities rounded to half precision would tie

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([self.texts[text] for text in texts])


@torch.no_grad()
def validate(
    model: PatchedModel, recipe: Recipe, given: Validation, source: FeatureSource, accelerator: Accelerator
) -> dict[str, float]:
    """Mean loss and accuracies: val_loss, val_antonym and val_reversal, or val_questions, as far as the clips allow.

    All processes take their share of each batch of the loss, whose size is that of training, and leave out the clips
    that do not fill one; the first one probes all clips and tells the others. The model is left in eval mode. A
    recipe that is shown less than the whole clip is asked about antonyms alone, shown the same; one that is trained on
    questions is asked those alone.
    """
    model.eval()
    process = Process(accelerator.process_index, accelerator.num_processes, accelerator.local_process_index)
    size = min(recipe.batch, len(given.data) // process.world * process.world)
    tasks = ("antonym", "reversal") if recipe.control == "none" else ("antonym",)
    tasks = ("questions",) if recipe.task == "questions" else tasks
    found = torch.zeros(1 + len(tasks), dtype=torch.float64)
    data = replace(given.data, source=source)
    if not size:
        found[0] = torch.nan
    else:
        steps = Batches(len(data), size, 1, 1, 0, process)
        for step in range(steps.steps):
            (rows,) = steps.mine(step)
            with accelerator.autocast():
                parts = losses(model, recipe, data, rows, str(accelerator.device))
            found[0] += float(torch.stack(list(parts.values())).sum()) / steps.steps
    if process.main:
        scores = evaluate(
            _Patched(model, given.texts, accelerator), source, given.keys, given.samples, data="val", tasks=tasks,
            controls=(recipe.control,), device=str(accelerator.device),
            settings=Settings(question_text=recipe.question_text),
        ).scores  # fmt: skip
        values = {score.task: score.value for score in scores if score.metric == "accuracy"}
        found[1:] = torch.tensor([values.get(task, torch.nan) for task in tasks], dtype=found.dtype)
    if process.world > 1:
        found = found.to(accelerator.device)
        loss = found[:1].clone()
        dist.all_reduce(loss)
        dist.broadcast(found, 0)
        found[0] = loss[0] / process.world
    named = zip(("loss", *tasks), found.tolist(), strict=True)
    return {PREFIX + name: value for name, value in named if value == value}


def quality(scores: Mapping[str, float]) -> float:
    """What `best` means: the mean of the accuracies, or less loss where nothing can be probed."""
    probes = [value for name, value in scores.items() if name != f"{PREFIX}loss"]
    return sum(probes) / len(probes) if probes else -scores.get(f"{PREFIX}loss", math.inf)
