"""The vectors of all that is said of a data set: captions, foils, actions in their prompts, choices of questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from paxion.backbones.base import Encoder, normalise, text_vectors
from paxion.evaluation.questions import question_texts
from paxion.evaluation.settings import Settings
from paxion.records import Sample

FOILS = {"antonym": "antonym", "twins": "antonym", "object": "replaced"}
"""The foil of each task that has one."""


@dataclass(frozen=True)
class Texts:
    """What one encoder makes of the texts of a data set."""

    text: Mapping[str, Tensor]
    """The vector (D,) of every caption, foil and choice."""
    actions: Mapping[str, Tensor] = field(default_factory=dict)
    """The vector (D,) of every label or template, in its prompts."""


def texts_of(encoder: Encoder, samples: Sequence[Sample], tasks: Sequence[str], settings: Settings) -> Texts:
    """Encode the texts that the tasks ask for, each once. questions: of samples that have choices only."""
    wanted: list[str] = []
    for sample in samples:
        foils = [getattr(sample, foil) for task, foil in FOILS.items() if task in tasks]
        wanted += [text for text in (sample.caption, *foils) if text is not None]
    if "text_to_video" in tasks or "video_to_text" in tasks:
        wanted += settings.texts
    if "questions" in tasks:
        wanted += question_texts(samples, settings)
    labels: list[str] = []
    if "video_to_action" in tasks:
        labels = list(settings.labels) or [sample.template for sample in samples if sample.template is not None]
        labels = list(dict.fromkeys(labels))
        wanted += [prompt.format(label) for label in labels for prompt in settings.prompts]
    text = text_vectors(encoder, wanted)
    return Texts(text, {label: action_vector(label, settings.prompts, text) for label in labels})


def action_vector(label: str, prompts: Sequence[str], text: Mapping[str, Tensor]) -> Tensor:
    """The vector (D,) of an action: of its prompt, or the mean of the unit vectors of several, at unit length."""
    vectors = [text[prompt.format(label)] for prompt in prompts]
    return vectors[0] if len(vectors) == 1 else normalise(torch.stack([normalise(each) for each in vectors]).mean(0))
