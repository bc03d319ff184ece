"""When the loss is no number: what is written, and what is said, so that the cause can be found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from paxion.files import write_text
from paxion.patching.batches import Batches
from paxion.patching.data import TrainingData
from paxion.patching.model import PatchedModel
from paxion.patching.recipe import Recipe
from paxion.patching.run_state import FAILED, LAST
from paxion.records import PaxionError

REPORT = "failed.json"
AT_ONCE = 32
"""Clips read at a time in search of a bad one."""


def broken(model: PatchedModel) -> list[str]:
    """The parameters that hold a number that is not finite."""
    names = [name for name, _ in model.named_parameters()]
    finite = torch.stack([parameter.detach().isfinite().all() for parameter in model.parameters()]).tolist()
    return [name for name, good in zip(names, finite, strict=True) if not good]


def failure(
    folder: Path, model: PatchedModel, recipe: Recipe, data: TrainingData, batches: Batches, step: int, loss: float
) -> PaxionError:
    """Write failed.json on the step (counted from 0) whose loss is not finite; returns what to raise.

    Weights that are not finite are the doing of the step before, whose clips are then those of the report.
    """
    weights = broken(model)
    guilty = max(0, step - 1) if weights else step
    rows = batches.rows(guilty)
    clips, texts = _not_finite(data, rows)
    report = {
        "step": step + 1,
        "epoch": step // batches.per_epoch + 1,
        "loss": str(loss),
        "rate": recipe.rate,
        "clips_of_step": guilty + 1,
        "ids": [data.ids[row] for row in rows.tolist()],
        "not_finite": {"features": clips, "texts": texts, "weights": weights},
    }
    write_text(folder / REPORT, json.dumps(report, indent=1) + "\n")
    happened = f"the loss became {loss} in step {step + 1} of {batches.steps} (epoch {report['epoch']})"
    kept = f"{folder / REPORT} lists the batch, {FAILED} has the state"
    if (folder / LAST).exists():
        kept += f", {LAST} the last good one"
    if clips:
        return PaxionError(f"{happened}: the features of {_few(clips)} are not finite; extract them again. {kept}")
    if texts:
        return PaxionError(f"{happened}: the text vectors of {_few(texts)} are not finite; check the backbone. {kept}")
    return PaxionError(f"{happened}; lower the rate ({recipe.rate}). {kept}")


def _not_finite(data: TrainingData, rows: Tensor) -> tuple[list[str], list[str]]:
    """The ids of the clips, and of the texts, that hold a number that is not finite."""
    clips = []
    for part in torch.split(rows, AT_ONCE):
        features = data.source.read([data.keys[row] for row in part.tolist()])
        good = torch.stack([values.flatten(1).isfinite().all(1) for values in (features.pooled, features.tokens)
                            if values is not None]).all(0)  # fmt: skip
        clips += [data.ids[row] for row in part[~good].tolist()]
    texts = [data.captions[rows, None], data.antonyms[rows, None]]
    if data.questions is not None:
        texts += [data.questions.choices[rows], data.questions.further[rows]]
    good = data.texts[torch.cat(texts, 1)].isfinite().flatten(1).all(1)
    return clips, [data.ids[row] for row in rows[~good].tolist()]


def _few(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:3])
    return f"{len(ids)} clips ({shown}{', ...' if len(ids) > 3 else ''})" if len(ids) > 1 else f"clip {shown}"
