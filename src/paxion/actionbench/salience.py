"""Which clips show a visible change of state, by the published rule, from any backbone with a vector for each frame.

With unit vectors f_1 ... f_T of the frames and t of the caption:

    text_change       |mean of f·t over the first half - mean of f·t over the second half|
    state_similarity  mean of f_i·f_j, i in the first half, j in the second
    salient           text_change > 0.003 and state_similarity < 0.95

With an odd T, the middle frame is in neither half. The two thresholds were chosen for one backbone (BLIP, 8 frames);
another one has other similarities, so they can also be set by the shares of clips to keep.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from paxion.backbones.base import Backbone, normalise, text_vectors
from paxion.features.extract import Extracted
from paxion.records import PaxionError, Sample


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the numbers of a salient clip lie. The defaults are the published ones."""

    text_change: float = 0.003
    """A salient clip has more."""
    state_similarity: float = 0.95
    """A salient clip has less."""


@dataclass(frozen=True, slots=True)
class Marked:
    """Samples with their salience."""

    samples: list[Sample]
    """In the order given, with `text_change`, `state_similarity` and `salient`; all None where the clip is missing."""
    thresholds: Thresholds
    """Those that were used."""
    salient: int
    missed: int
    """How many clips have no features."""


def salience_numbers(frame_vectors: Tensor, text_vectors: Tensor) -> tuple[Tensor, Tensor]:
    """text_change and state_similarity, (B,) float64 each, of frames (B, T, D) and captions (B, D) of any length.

    Raises PaxionError for fewer than two frames.
    """
    frames = frame_vectors.shape[1]
    if frames < 2:
        raise PaxionError(f"got clips of {frames} frame, expected two or more to compare; sample more frames")
    vectors, texts = normalise(frame_vectors.double()), normalise(text_vectors.double())
    start, end = vectors[:, : frames // 2].mean(1), vectors[:, (frames + 1) // 2 :].mean(1)
    text_change = ((start - end) * texts).sum(-1).abs()
    # The mean of the products of all pairs is the product of the means.
    return text_change, (start * end).sum(-1)


@torch.inference_mode()
def mark_salience(
    samples: Sequence[Sample],
    extracted: Extracted,
    backbone: Backbone,
    *,
    thresholds: Thresholds | None = None,
    quantile: tuple[float, float] | None = None,
    batch: int = 256,
    tick: Callable[[int], object] | None = None,
) -> Marked:
    """The samples with their two numbers and whether they are salient, from the features of their clips.

    extracted: the features, by `features.extract.extract` with the same backbone, which encodes the captions.
    thresholds: by default the published ones. quantile: instead, the shares of clips to keep by text_change (the
    highest) and by state_similarity (the lowest), from 0 to 1; a clip is salient that is kept by both. Of clips that
    are equal at the border none is kept.
    tick: called with the number of samples done since the last call.
    Raises PaxionError for a backbone without frame vectors, for numbers that are not finite, and where the thresholds
    cannot be had.
    """
    if thresholds is not None and quantile is not None:
        raise PaxionError("got thresholds and quantiles, expected one of them; leave one out")
    if quantile is not None and not all(0 <= share <= 1 for share in quantile):
        raise PaxionError(f"got quantiles {quantile[0]:g} and {quantile[1]:g}, expected shares to keep from 0 to 1")
    present = [sample for sample in samples if sample.id in extracted.keys]
    numbers: dict[str, tuple[float, float]] = {}
    for begin in range(0, len(present), batch):
        part = present[begin : begin + batch]
        vectors = extracted.store.read([extracted.keys[sample.id] for sample in part]).frame_vectors
        if vectors is None:
            raise PaxionError(
                f"got the backbone {backbone.name} without a vector for each frame, expected a per-frame one; "
                "salience needs another backbone"
            )
        captions = text_vectors(backbone, [sample.caption for sample in part])
        changes, similarities = salience_numbers(vectors, torch.stack([captions[sample.caption] for sample in part]))
        for sample, change, similarity in zip(part, changes.tolist(), similarities.tolist(), strict=True):
            if not (math.isfinite(change) and math.isfinite(similarity)):
                raise PaxionError(
                    f"got similarities of {sample.id} that are not finite, expected numbers; check the weights of "
                    f"{backbone.name}"
                )
            numbers[sample.id] = change, similarity
        if tick is not None:
            tick(len(part))
    if quantile is not None:
        thresholds = calibrated(list(numbers.values()), quantile)
    thresholds = thresholds or Thresholds()
    marked = [_marked(sample, numbers.get(sample.id), thresholds) for sample in samples]
    salient = sum(sample.salient is True for sample in marked)
    return Marked(marked, thresholds, salient, len(samples) - len(present))


def calibrated(numbers: Sequence[tuple[float, float]], quantile: tuple[float, float]) -> Thresholds:
    """The thresholds that keep a share of the (text_change, state_similarity) pairs by each of the two.

    Raises PaxionError without any pair.
    """
    if not numbers:
        raise PaxionError("got no clip with features, expected some to calibrate salience on; extract features first")
    changes = sorted(change for change, _ in numbers)
    similarities = sorted(similarity for _, similarity in numbers)
    by_change, by_similarity = (round(share * len(numbers)) for share in quantile)
    # Strictly more than the highest change that is not kept, strictly less than the lowest similarity that is not. No
    # change is below 0 and no cosine above 1.
    return Thresholds(
        changes[-by_change - 1] if by_change < len(changes) else -1.0,
        similarities[by_similarity] if by_similarity < len(similarities) else 2.0,
    )


def _marked(sample: Sample, numbers: tuple[float, float] | None, thresholds: Thresholds) -> Sample:
    if numbers is None:
        return replace(sample, text_change=None, state_similarity=None, salient=None)
    change, similarity = numbers
    salient = change > thresholds.text_change and similarity < thresholds.state_similarity
    return replace(sample, text_change=change, state_similarity=similarity, salient=salient)
