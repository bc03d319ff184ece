"""One clip against texts: the similarity of each, as the clip is and played backwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from paxion.backbones.base import Backbone, Encoder, Features, text_vectors
from paxion.evaluation.probes import TIE, require_finite
from paxion.features.jobs import Job, job_of
from paxion.features.live import LiveFeatures
from paxion.records import PaxionError, Sample, unknown_name
from paxion.similarity import similarity
from paxion.video.decode import read_clip
from paxion.video.sample import SAMPLERS


@dataclass(frozen=True)
class OneClip:
    """What a backbone says of one clip; both have B = 1."""

    features: Features
    backwards: Features
    """Of the clip with its frames reversed."""


@dataclass(frozen=True, slots=True)
class TextScore:
    """How well one text fits one clip, for one model."""

    text: str
    forward: float
    backward: float
    """For the clip played backwards."""


def encode_one(
    backbone: Backbone, manifest: Path, sample: Sample, *, sampler: str = "midpoint", device: str = "cpu"
) -> OneClip:
    """Encode the clip of a sample, forwards and backwards.

    Raises PaxionError when it cannot be read, or the sampler is unknown.
    """
    if sampler not in SAMPLERS:
        raise unknown_name("sampler", sampler, SAMPLERS)
    job: Job = job_of(manifest, sample)
    # Decoded once more than is needed, so that a clip that cannot be read says why.
    read_clip(job.video, sampler, backbone.frames, job.start, job.end)
    with LiveFeatures(backbone, [job], sampler=sampler, device=device, workers=0) as source:
        return OneClip(source.read([job.key]), source.read([job.key], "reversed"))


def text_scores(
    encoder: Encoder, clip: OneClip, texts: Sequence[str], known: dict[str, Tensor] | None = None
) -> list[TextScore]:
    """The similarity of the clip and of its reversal to each text, in the order of the texts.

    known: vectors (D,) of texts that the encoder has encoded before; the others are added.
    Raises PaxionError without texts, and for a similarity that is not finite.
    """
    if not texts:
        raise PaxionError("got no texts to score the clip against, expected at least one")
    known = {} if known is None else known
    known |= text_vectors(encoder, [text for text in texts if text not in known])
    both = [_scores(encoder, features, known, texts) for features in (clip.features, clip.backwards)]
    return [TextScore(text, *scores) for text, *scores in zip(texts, *both, strict=True)]


def best(scores: Sequence[float]) -> list[int]:
    """The places of the highest score and of those that tie with it."""
    top = max(scores)
    return [place for place, score in enumerate(scores) if top - score <= TIE]


def _scores(encoder: Encoder, features: Features, vectors: Mapping[str, Tensor], texts: Sequence[str]) -> list[float]:
    with torch.inference_mode():
        video = encoder.encode_clips(features).float().cpu()
        found = similarity(video, torch.stack([vectors[text] for text in texts]))
    require_finite(found, ["the clip"])
    return [float(score) for score in found[0]]
