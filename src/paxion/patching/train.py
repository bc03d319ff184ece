"""Training a patcher or a fuser from cached features: epochs over the store, a log line and a checkpoint after each."""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paxion.backbones.base import Backbone, Features, text_vectors, token_projection
from paxion.features.store import FeatureStore
from paxion.files import make_folder, write_bytes
from paxion.patching.baselines import TransformerPatcher
from paxion.patching.model import PatchedModel
from paxion.patching.objectives import action_temporal_matching, antonym_pair, contrastive, template_contrastive
from paxion.patching.recipes import Recipe
from paxion.records import PaxionError, Sample

MIN_TEMPERATURE = 0.01
SAMPLE = 32
"""Clips whose tokens tell how large those of the backbone are."""


@dataclass(frozen=True)
class TrainingData:
    """Everything that a step needs, row by row: N training clips and their frozen text vectors."""

    store: FeatureStore
    keys: list[str]
    captions: Tensor
    """(N, D)"""
    antonyms: Tensor
    """(N, D); zeros where there is none."""
    has_antonym: Tensor
    """(N,) bool"""
    salient: Tensor
    """(N,) bool; unknown counts as salient."""
    templates: Tensor
    """(K, D), the distinct templates."""
    positives: Tensor
    """(N, K) bool: templates that say what the clip shows."""
    digest: str
    """Of the clips and texts: what tells one training set from another."""
    token_scale: float = 1.0
    """Standard deviation of the tokens, in two digits: what the recipe's noise is measured in."""

    def __len__(self) -> int:
        """N."""
        return len(self.keys)


def training_data(
    backbone: Backbone, store: FeatureStore, keys: Mapping[str, str], samples: Sequence[Sample]
) -> TrainingData:
    """The training rows of those samples whose clip is in the store (keys: sample id to key)."""
    rows = [sample for sample in samples if sample.id in keys]
    if len(rows) < 2:
        raise PaxionError(f"got {len(rows)} training clips that can be read, expected at least 2; check the manifest")
    templates = list(dict.fromkeys(sample.template for sample in rows if sample.template))
    texts = [text for sample in rows for text in (sample.caption, sample.antonym) if text]
    vectors = text_vectors(backbone, [*texts, *templates])
    said: dict[str, set[str]] = {}
    for sample in rows:
        if sample.action and sample.template:
            said.setdefault(sample.action, set()).add(sample.template)
    fits = [said.get(sample.action or "", {sample.template} if sample.template else set()) for sample in rows]
    none = torch.zeros(backbone.dim)
    told = [(keys[s.id], s.caption, s.antonym, s.template, s.action, s.salient) for s in rows]
    tokens = store.read([keys[row.id] for row in rows[:SAMPLE]]).tokens
    made_of = json.dumps([backbone.name, backbone.revision, told])
    return TrainingData(
        store=store,
        keys=[keys[sample.id] for sample in rows],
        captions=torch.stack([vectors[sample.caption] for sample in rows]),
        antonyms=torch.stack([vectors[sample.antonym] if sample.antonym else none for sample in rows]),
        has_antonym=torch.tensor([sample.antonym is not None for sample in rows]),
        salient=torch.tensor([sample.salient is not False for sample in rows]),
        templates=torch.stack([vectors[text] for text in templates]) if templates else torch.zeros(0, backbone.dim),
        positives=torch.tensor([[text in fit for text in templates] for fit in fits]).view(len(rows), len(templates)),
        digest=hashlib.sha256(made_of.encode()).hexdigest()[:16],
        token_scale=1.0 if tokens is None else float(f"{float(tokens.float().std()):.2g}"),
    )


def losses(
    model: PatchedModel, recipe: Recipe, data: TrainingData, rows: Tensor, device: str = "cpu"
) -> dict[str, Tensor]:
    """The weighted objectives of one batch; their sum is what is minimised."""
    keys = [data.keys[row] for row in rows.tolist()]
    text, has_antonym = data.captions[rows].to(device), data.has_antonym[rows].to(device)
    antonym = data.antonyms[rows].to(device)
    noise = recipe.token_noise * data.token_scale if model.training else 0.0
    video = model(_read(data.store, keys, recipe.control, device, noise))
    temperature, smoothing = model.temperature, recipe.label_smoothing
    vac = (antonym, has_antonym) if recipe.vac else (None, None)
    parts = {
        "vtc+vac" if recipe.vac else "vtc": contrastive(
            video, text, temperature, antonym=vac[0], has_antonym=vac[1], label_smoothing=smoothing
        )
    }
    if recipe.atm:
        backwards = model(_read(data.store, keys, "reversed", device, noise))
        parts["atm"] = recipe.atm * action_temporal_matching(
            video, backwards, text, temperature, salient=data.salient[rows].to(device), label_smoothing=smoothing
        )
    if recipe.antonym_pair:
        parts["antonym_pair"] = recipe.antonym_pair * antonym_pair(
            video, text, antonym, temperature, has_antonym=has_antonym, label_smoothing=smoothing
        )
    if recipe.template and len(data.templates):
        templates, positives = data.templates.to(device), data.positives[rows].to(device)
        parts["template"] = recipe.template * template_contrastive(video, templates, positives, temperature)
    return parts


def _read(store: FeatureStore, keys: list[str], control: str, device: str, noise: float) -> Features:
    features = store.read(keys, control)
    tokens = None if features.tokens is None else features.tokens.to(device)
    if noise and tokens is not None:
        tokens = tokens + noise * torch.randn(tokens.shape, device=tokens.device)
    return Features(features.pooled.to(device), tokens)


def train(
    recipe: Recipe,
    backbone: Backbone,
    data: TrainingData,
    folder: Path,
    *,
    seed: int = 0,
    start: PatchedModel | None = None,
    device: str = "cpu",
    tick: Callable[[dict[str, float]], object] | None = None,
) -> PatchedModel:
    """Train by a recipe; returns the model in eval mode.

    folder: gets `log.jsonl` (a line an epoch) and `checkpoint.pt`; a run that was killed goes on after its last whole
    epoch and ends with the same weights. start: what to begin from, see `beginning`. tick gets each epoch's line.
    Raises PaxionError when the folder holds the checkpoint of another training.
    """
    torch.manual_seed(seed)
    model = beginning(recipe, backbone, start).to(device)
    model.patcher.requires_grad_(recipe.fuser is None or recipe.joint)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.rate, weight_decay=recipe.weight_decay)
    batch = min(recipe.batch, len(data))
    per_epoch = len(data) // batch
    log = folder / "log.jsonl"
    run = {"recipe": asdict(recipe), "seed": seed, "data": data.digest, "start": _digest(start)}
    make_folder(folder)
    first = _resume(folder, model, optimiser, run)
    if first == 0:
        log.unlink(missing_ok=True)
    for epoch in range(first, recipe.epochs):
        # Each epoch has random numbers of its own, so that a resumed run draws what an unbroken one would.
        torch.manual_seed(seed * 100_003 + epoch)
        order, began = torch.randperm(len(data)), time.perf_counter()
        sums: dict[str, float] = {}
        model.train()
        if recipe.fuser is not None and not recipe.joint:
            model.patcher.eval()  # a frozen patcher should give in training what it gives in use
        for step in range(per_epoch):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe, epoch * per_epoch + step, recipe.epochs * per_epoch)
            parts = losses(model, recipe, data, order[step * batch : (step + 1) * batch], device)
            total = torch.stack(list(parts.values())).sum()
            if not torch.isfinite(total):
                raise PaxionError(
                    f"the loss became {total.item()} in epoch {epoch + 1}; lower the rate ({recipe.rate})"
                )
            optimiser.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                model.temperature.clamp_(min=MIN_TEMPERATURE)
            for name, part in parts.items():
                sums[name] = sums.get(name, 0.0) + float(part.detach())
        line = {"epoch": float(epoch + 1), **{name: value / per_epoch for name, value in sums.items()}}
        line |= {"temperature": float(model.temperature.detach()), "seconds": time.perf_counter() - began}
        _checkpoint(folder, model, optimiser, run, epoch + 1)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if tick is not None:
            tick(line)
    return model.eval()


def beginning(recipe: Recipe, backbone: Backbone, start: PatchedModel | None = None) -> PatchedModel:
    """The model that a training begins with: the recipe's for this backbone, or what was trained before.

    start: its patcher is taken as it is, with its own sizes and temperature, and so is its fuser if the recipe has one
    of that kind; a recipe without a fuser trains the patcher alone.

    Raises PaxionError when the recipe cannot be trained on the backbone.
    """
    if not backbone.tokens_per_frame:
        raise PaxionError(f"{backbone.name} gives no tokens, which a patcher reads: it can be probed, not patched")
    sizes = backbone.dim, backbone.token_width
    fuser = recipe.fuser_config(*sizes)
    if start is None:
        projection = token_projection(backbone)
        try:
            config = recipe.patcher_config(*sizes, backbone.frames, backbone.tokens_per_frame, projection)
        except ValueError as error:
            raise PaxionError(f"the recipe does not fit {backbone.name}: {error}") from None
        model = PatchedModel(config, fuser)
        if isinstance(model.patcher, TransformerPatcher):
            model.patcher.read_projection(projection)
        return model
    patcher = start.patcher.config
    architecture = "transformer" if isinstance(start.patcher, TransformerPatcher) else "perceiver"
    if recipe.architecture != architecture or (recipe.pooled and not getattr(patcher, "pooled", False)):
        wanted = f"a pooled {recipe.architecture}" if recipe.pooled else f"a {recipe.architecture}"
        raise PaxionError(
            f"got a {architecture} to start from, expected {wanted}, as the recipe has; take another recipe"
        )
    kept = start.fuser
    if kept is not None and kept.config.kind != recipe.fuser:
        kept = None
    model = PatchedModel(patcher, fuser if kept is None else kept.config)
    model.patcher.load_state_dict(start.patcher.state_dict())
    if model.fuser is not None and kept is not None:
        model.fuser.load_state_dict(kept.state_dict())
    return model


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate at a step of the run: a linear warm-up, then a cosine down to zero or a constant."""
    rate = recipe.rate * min(1.0, (step + 1) / max(1, recipe.warmup))
    return rate * 0.5 * (1 + math.cos(math.pi * step / steps)) if recipe.cosine else rate


def _digest(model: PatchedModel | None) -> str | None:
    """Of a model's weights."""
    if model is None:
        return None
    total = hashlib.sha256()
    for name, values in model.state_dict().items():
        total.update(name.encode() + values.detach().cpu().numpy().tobytes())
    return total.hexdigest()[:16]


def _checkpoint(
    folder: Path, model: PatchedModel, optimiser: torch.optim.Optimizer, run: dict[str, Any], epochs: int
) -> None:
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "run": run, "epochs": epochs}
    data = io.BytesIO()
    torch.save(state, data)
    write_bytes(folder / "checkpoint.pt", data.getvalue())


def _resume(folder: Path, model: PatchedModel, optimiser: torch.optim.Optimizer, run: dict[str, Any]) -> int:
    """Load the checkpoint of the same run, if there is one; returns the number of whole epochs done."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        made_by, epochs = dict(state["run"]), int(state["epochs"])
    except Exception as error:
        raise PaxionError(f"{path} cannot be read ({type(error).__name__}); delete it to train anew") from None
    if made_by != run:
        other = ", ".join(name for name in run if made_by.get(name) != run[name])
        raise PaxionError(f"{path} belongs to another training (other {other}); delete it, or give another folder")
    try:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    except (KeyError, RuntimeError, ValueError):
        raise PaxionError(f"{path} belongs to another backbone; delete it, or give another folder") from None
    return epochs
