"""What a training step needs, row by row: clips by their keys, frozen text vectors, and which rows count for what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from paxion.backbones.base import Backbone, text_vectors
from paxion.features.source import FeatureSource
from paxion.features.store import FeatureStore
from paxion.features.texts import text_features
from paxion.records import PaxionError, Sample

SAMPLE = 32
"""Clips whose tokens tell how large those of the backbone are."""


@dataclass(frozen=True)
class TrainingData:
    """Everything that a step needs, row by row: N training clips and their frozen text vectors."""

    source: FeatureSource
    """Where the features are read."""
    ids: list[str]
    """The samples' own names, for messages."""
    keys: list[str]
    """Of their clips in the source."""
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
    said: Sequence[Sequence[int]]
    """For each action, the numbers of the templates that say it."""
    actions: Tensor
    """(N,) the number of each clip's action in `said`."""
    digest: str
    """Of the clips and texts: what tells one training set from another."""
    token_scale: float = 1.0
    """What the recipe's noise is measured in, see `token_scale`."""

    def __len__(self) -> int:
        """N."""
        return len(self.keys)

    def positives(self, rows: Tensor) -> Tensor:
        """Of some rows (B,), which templates fit: (B, K) bool."""
        fits = torch.zeros(len(rows), len(self.templates), dtype=torch.bool)
        for fit, action in zip(fits, self.actions[rows].tolist(), strict=True):
            fit[list(self.said[action])] = True
        return fits


def training_data(
    backbone: Backbone, source: FeatureSource, keys: Mapping[str, str], samples: Sequence[Sample]
) -> TrainingData:
    """The training rows of those samples whose clip the source has (keys: sample id to key)."""
    rows = [sample for sample in samples if sample.id in keys]
    if len(rows) < 2:
        raise PaxionError(f"got {len(rows)} training clips that can be read, expected at least 2; check the manifest")
    templates = list(dict.fromkeys(sample.template for sample in rows if sample.template))
    texts = [text for sample in rows for text in (sample.caption, sample.antonym) if text]
    vectors = frozen_texts(backbone, source, [*texts, *templates])
    said, actions = _said(rows, templates)
    none = torch.zeros(backbone.dim)
    told = [(keys[s.id], s.caption, s.antonym, s.template, s.action, s.salient) for s in rows]
    made_of = json.dumps([backbone.name, backbone.revision, told])
    return TrainingData(
        source=source,
        ids=[sample.id for sample in rows],
        keys=[keys[sample.id] for sample in rows],
        captions=torch.stack([vectors[sample.caption] for sample in rows]),
        antonyms=torch.stack([vectors[sample.antonym] if sample.antonym else none for sample in rows]),
        has_antonym=torch.tensor([sample.antonym is not None for sample in rows]),
        salient=torch.tensor([sample.salient is not False for sample in rows]),
        templates=torch.stack([vectors[text] for text in templates]) if templates else torch.zeros(0, backbone.dim),
        said=said,
        actions=actions,
        digest=hashlib.sha256(made_of.encode()).hexdigest()[:16],
    )


def _said(rows: Sequence[Sample], templates: Sequence[str]) -> tuple[list[list[int]], Tensor]:
    """`TrainingData.said` and `actions`; a clip without an action is said by its own template, if it has one."""
    number = {text: place for place, text in enumerate(templates)}
    named = {sample.action for sample in rows if sample.action and sample.template}
    said: dict[tuple[str | None, str | None], dict[int, None]] = {}
    groups = []
    for sample in rows:
        group = (sample.action, None) if sample.action in named else (None, sample.template)
        said.setdefault(group, {}).update({number[sample.template]: None} if sample.template else {})
        groups.append(group)
    place = {group: index for index, group in enumerate(said)}
    return [sorted(fitting) for fitting in said.values()], torch.tensor([place[group] for group in groups])


def token_scale(data: TrainingData) -> float:
    """Standard deviation of the tokens of the first clips, in two digits; 1 for a source without tokens.

    Raises PaxionError when it is no number.
    """
    tokens = data.source.read(data.keys[:SAMPLE]).tokens
    if tokens is None:
        return 1.0
    good = tokens.flatten(1).isfinite().all(1).tolist()
    if not all(good):
        bad = [name for name, fine in zip(data.ids, good, strict=False) if not fine]
        raise PaxionError(f"the features of {', '.join(bad[:3])} are not finite, expected numbers; check the backbone")
    return float(f"{float(tokens.float().std()):.2g}")


def frozen_texts(backbone: Backbone, source: FeatureSource, texts: Iterable[str]) -> dict[str, Tensor]:
    """The vector (D,) of every distinct text; a store keeps them, so that each is encoded once for all trainings."""
    if isinstance(source, FeatureStore):
        return text_features(source, backbone, texts)
    return text_vectors(backbone, texts)
