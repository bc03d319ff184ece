"""What a training step needs, row by row: clips by their keys, frozen text vectors, and which rows count for what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from paxion.backbones.base import Backbone, text_vectors
from paxion.evaluation.settings import Settings
from paxion.features.source import FeatureSource
from paxion.features.store import FeatureStore
from paxion.features.texts import text_features
from paxion.patching.recipe import Recipe
from paxion.patching.rows import further_choices, texts_of, usable
from paxion.records import PaxionError, Sample

SAMPLE = 32
"""Clips whose tokens tell how large those of the backbone are."""


@dataclass(frozen=True)
class Questions:
    """The questions of N clips, C choices each; texts are numbers in `TrainingData.texts`."""

    choices: Tensor
    """(N, C)"""
    answers: Tensor
    """(N,) which choice is right, from 0."""
    further: Tensor
    """(N, C), or (N, 0) without VAC: further wrong answers."""


@dataclass(frozen=True)
class TrainingData:
    """Everything that a step needs, row by row: N training clips, and the frozen vectors of their texts, each once."""

    source: FeatureSource
    """Where the features are read."""
    ids: list[str]
    """The samples' own names, for messages."""
    keys: list[str]
    """Of their clips in the source."""
    texts: Tensor
    """(K, D) the vectors of all distinct texts. The first is none, and zero."""
    captions: Tensor
    """(N,) the number of each clip's text (`Recipe.texts`) in `texts`; 0 where training on questions reads none."""
    antonyms: Tensor
    """(N,) the number of its antonym; 0 where there is none."""
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
    made_for: tuple[object, ...] = ("captions", "caption")
    """What decided the texts, see `rows.texts_of`."""
    words: Sequence[str] = ()
    """The texts themselves: those of `texts` from its second row on, then those of `templates`."""
    questions: Questions | None = None
    """Where the recipe trains on questions."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many rows of the manifest lack what the recipe trains on, by reason."""
    token_scale: float = 1.0
    """What the recipe's noise is measured in, see `token_scale`."""

    def __len__(self) -> int:
        """N."""
        return len(self.keys)

    @property
    def has_antonym(self) -> Tensor:
        """(N,) bool"""
        return self.antonyms > 0

    def positives(self, rows: Tensor) -> Tensor:
        """Of some rows (B,), which templates fit: (B, K) bool."""
        fits = torch.zeros(len(rows), len(self.templates), dtype=torch.bool)
        for fit, action in zip(fits, self.actions[rows].tolist(), strict=True):
            fit[list(self.said[action])] = True
        return fits


def training_data(
    backbone: Backbone,
    source: FeatureSource,
    keys: Mapping[str, str],
    samples: Sequence[Sample],
    recipe: Recipe = Recipe(),  # noqa: B008  (frozen)
) -> TrainingData:
    """What a recipe is trained on: those samples that have its texts and whose clip the source has (keys: id to key).

    Raises PaxionError when there are fewer than two.
    """
    fitting, left_out = usable(recipe, samples)
    rows = [sample for sample in fitting if sample.id in keys]
    if len(rows) < 2:
        raise PaxionError(f"got {len(rows)} training clips that can be read, expected at least 2; check the manifest")
    asked = recipe.task == "questions"
    read = not asked or bool(recipe.atm or recipe.antonym_pair)
    said_of = [sample.template if recipe.texts == "template" else sample.caption if read else None for sample in rows]
    turned = [sample.antonym if read else None for sample in rows]
    choices, further = _choices(recipe, rows) if asked else ([], [])
    templates = list(dict.fromkeys(sample.template for sample in rows if sample.template))
    ordered = [text for pair in zip(said_of, turned, strict=True) for text in pair if text]
    distinct = list(dict.fromkeys([*ordered, *(text for row in (*choices, *further) for text in row)]))
    vectors = frozen_texts(backbone, source, [*distinct, *templates])
    number = {text: place for place, text in enumerate(distinct, 1)}
    said, actions = _said(rows, templates)
    return TrainingData(
        source=source,
        ids=[sample.id for sample in rows],
        keys=[keys[sample.id] for sample in rows],
        texts=torch.stack([torch.zeros(backbone.dim), *(vectors[text] for text in distinct)]),
        captions=torch.tensor([number[text] if text else 0 for text in said_of]),
        antonyms=torch.tensor([number[text] if text else 0 for text in turned]),
        salient=torch.tensor([sample.salient is not False for sample in rows]),
        templates=torch.stack([vectors[text] for text in templates]) if templates else torch.zeros(0, backbone.dim),
        said=said,
        actions=actions,
        digest=_digest(backbone, keys, rows, asked),
        made_for=texts_of(recipe),
        words=(*distinct, *templates),
        questions=Questions(
            torch.tensor([[number[text] for text in row] for row in choices]),
            torch.tensor([sample.answer for sample in rows]),
            torch.tensor([[number[text] for text in row] for row in further], dtype=torch.long),
        )
        if asked
        else None,
        left_out=left_out,
    )


def _choices(recipe: Recipe, rows: Sequence[Sample]) -> tuple[list[list[str]], list[list[str]]]:
    """The texts of the choices of each question, and those of the further ones."""
    text = Settings(question_text=recipe.question_text).question

    def texts(sample: Sample, choices: Iterable[str]) -> list[str]:
        return [text(sample.question or "", choice) for choice in choices]

    further = [texts(sample, further_choices(recipe, sample)) if recipe.vac else [] for sample in rows]
    return [texts(sample, sample.choices or ()) for sample in rows], further


def _digest(backbone: Backbone, keys: Mapping[str, str], rows: Sequence[Sample], asked: bool) -> str:
    told = [
        (keys[s.id], s.caption, s.antonym, s.template, s.action, s.salient)
        + ((s.question, s.choices, s.answer, s.antonym_choices) if asked else ())
        for s in rows
    ]
    made_of = json.dumps([backbone.name, backbone.revision, told])
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]


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
