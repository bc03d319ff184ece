"""The losses of one training step: features of a batch of clips in, the weighted objectives of a recipe out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from paxion.backbones.base import Features
from paxion.patching.data import TrainingData
from paxion.patching.model import PatchedModel
from paxion.patching.objectives import (
    action_temporal_matching,
    antonym_pair,
    contrastive,
    gather,
    multiple_choice,
    share,
    template_contrastive,
)
from paxion.patching.recipe import Recipe
from paxion.patching.rows import texts_of


def losses(
    model: PatchedModel, recipe: Recipe, data: TrainingData, rows: Tensor, device: str = "cpu", draw: int = 0
) -> dict[str, Tensor]:
    """The weighted objectives of a batch of rows; their sum is what is minimised.

    Where several processes train, each calls this with its own share of a batch: the mean over the processes is then
    what one would get for the whole batch, or what was published (`Recipe.protocol`).

    draw: what the token noise is drawn from, together with each row's number, so that a clip gets the same noise in
    whatever batch and process it is. The patcher's dropout comes from torch's own random numbers.

    Raises ValueError for training data that were made for other texts than the recipe's.
    """
    if data.made_for != texts_of(recipe):
        raise ValueError(f"got training data for {data.made_for}, expected some made for {texts_of(recipe)}")
    features, backwards = batch_features(model, recipe, data, rows, device, draw)
    text, antonym = (data.texts[of[rows]].to(device, non_blocking=True) for of in (data.captions, data.antonyms))
    counts = (data.antonyms[rows] > 0, data.salient[rows])
    has_antonym, salient = (of.to(device, non_blocking=True) for of in counts)
    if not recipe.atm:
        video, reversal = model(features), None
    elif backwards is None:
        video, reversal = model.both(features)
    else:
        video, reversal = model(features), model(backwards)
    temperature, smoothing = model.temperature, recipe.label_smoothing
    if data.questions is not None:
        parts = _choice(recipe, data, rows, video, temperature)
    else:
        vac = (antonym, has_antonym) if recipe.vac else (None, None)
        said = data.captions[rows].to(device, non_blocking=True) if _told_by_template(recipe) else None
        gathered = gather(video, text, *vac, said=said, with_gradient=recipe.protocol != "paper")
        parts = {
            "vtc+vac" if recipe.vac else "vtc": contrastive(
                video, text, temperature, antonym=vac[0], has_antonym=vac[1], said=said, label_smoothing=smoothing,
                gathered=gathered,
            )
        }  # fmt: skip

    def weight(of: float, counts: Tensor) -> Tensor | float:
        return of if recipe.protocol == "paper" else of * share(counts)

    if reversal is not None:
        parts["atm"] = weight(recipe.atm, salient) * action_temporal_matching(
            video, reversal, text, temperature, salient=salient, label_smoothing=smoothing
        )
    if recipe.antonym_pair:
        parts["antonym_pair"] = weight(recipe.antonym_pair, has_antonym) * antonym_pair(
            video, text, antonym, temperature, has_antonym=has_antonym, label_smoothing=smoothing
        )
    if recipe.template and len(data.templates):
        templates, positives = data.templates.to(device), data.positives(rows).to(device, non_blocking=True)
        parts["template"] = weight(recipe.template, positives.any(-1)) * template_contrastive(
            video, templates, positives, temperature
        )
    return parts


def _choice(recipe: Recipe, data: TrainingData, rows: Tensor, video: Tensor, temperature: Tensor) -> dict[str, Tensor]:
    """The choice among the answers of each clip's own question, with VAC among their antonyms too."""
    assert data.questions is not None
    choices = torch.cat([data.questions.choices[rows], data.questions.further[rows]], 1)
    vectors, answers = data.texts[choices].to(video.device), data.questions.answers[rows].to(video.device)
    loss = multiple_choice(video, vectors, answers, temperature, label_smoothing=recipe.label_smoothing)
    return {"choice+vac" if recipe.vac else "choice": loss}


def _told_by_template(recipe: Recipe) -> bool:
    """Whether clips of one text are not to be told apart. As published they are, and by their captions too."""
    return recipe.texts == "template" and recipe.protocol != "paper"


def batch_features(
    model: PatchedModel, recipe: Recipe, data: TrainingData, rows: Tensor, device: str = "cpu", draw: int = 0
) -> tuple[Features, Features | None]:
    """The features of a batch and, where they cannot be told from those, of the reversed clips.

    None for the second also when the recipe has no ATM. A per-frame backbone's reversed clip has the reversed tokens,
    which `PatchedModel.both` knows; only a fuser asks for its pooled vector too, and only noise, which each direction
    has of its own, makes its tokens others.
    """
    keys = [data.keys[row] for row in rows.tolist()]
    features = _moved(data.source.read(keys, recipe.control), device)
    told = data.source.spec.per_frame and model.fuser is None
    backwards = _moved(data.source.read(keys, "reversed"), device) if recipe.atm and not told else None
    spread = recipe.token_noise * data.token_scale
    if not spread or not model.training or features.tokens is None:
        return features, backwards
    if recipe.atm and backwards is None:
        backwards = Features(features.pooled, features.tokens.flip(1))
    noisy = _noisy(features, spread, rows.tolist(), draw)
    # Were the noise of both the same, it would not blur what tells them apart.
    return noisy, None if backwards is None else _noisy(backwards, spread, rows.tolist(), draw + 1)


def _moved(features: Features, device: str) -> Features:
    tokens = None if features.tokens is None else features.tokens.to(device, non_blocking=True)
    return Features(features.pooled.to(device, non_blocking=True), tokens)


def _noisy(features: Features, spread: float, rows: Sequence[int], draw: int) -> Features:
    """With normal noise on the tokens (B, T, P, C), each clip's from a generator of its own."""
    if features.tokens is None:
        return features
    noise = torch.empty(features.tokens.shape, device=features.tokens.device)
    generator = torch.Generator(noise.device)
    for row, clip in zip(rows, noise, strict=True):
        clip.normal_(generator=generator.manual_seed((draw * 0x9E3779B97F4A7C15 + row * 0xC2B2AE3D27D4EB4F) % 2**63))
    return Features(features.pooled, features.tokens + noise.mul_(spread))
