"""Probes: one choice between right and wrong per sample. The tie rule of all evaluations lives here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from paxion.evaluation.statistics import estimate
from paxion.records import PaxionError, Row, Sample, Score
from paxion.similarity import paired_similarity

TIE = 1e-5
"""Two similarities that are no further apart count as equal: float32 noise must not decide a choice."""


@dataclass(frozen=True)
class Choices:
    """The choices of one probe: N samples kept, each with the similarity of its right and of its wrong answer."""

    task: str
    """antonym, reversal or object."""
    kept: tuple[int, ...]
    """Indices of the samples that take part."""
    right: Tensor
    """(N,)"""
    wrong: Tensor
    """(N,)"""
    skipped: dict[str, int] = field(default_factory=dict)
    """Why samples do not take part (e.g. "no antonym"), and how many."""


def credits(right: Tensor, wrong: Tensor) -> Tensor:
    """Credit of each choice (N,): 1 where right is above wrong, 0 where it is below, 0.5 where they are within TIE."""
    difference = right.double() - wrong.double()
    return torch.where(difference.abs() <= TIE, 0.5, (difference > 0).double())


def antonym_scores(video: Tensor, samples: Sequence[Sample], text: Mapping[str, Tensor]) -> Choices:
    """Caption against antonym, for the clips that have one.

    video: (B, Q, D), one entry a sample. text: the vector (D,) of every caption and antonym.
    Raises PaxionError for a text without a vector or a similarity that is not finite.
    """
    return _foil_scores("antonym", "antonym", video, samples, text)


def object_scores(video: Tensor, samples: Sequence[Sample], text: Mapping[str, Tensor]) -> Choices:
    """Caption against the caption with an object replaced. Arguments and errors as for `antonym_scores`."""
    return _foil_scores("object", "replaced", video, samples, text)


def reversal_scores(
    video: Tensor, reversed_video: Tensor, samples: Sequence[Sample], text: Mapping[str, Tensor]
) -> Choices:
    """The clip against its reversal, given the caption, for all samples but those with `reversible` false.

    video, reversed_video: (B, Q, D). text: the vector (D,) of every caption. Errors as for `antonym_scores`.
    """
    _same_length(video, samples)
    _same_length(reversed_video, samples)
    kept = [i for i, sample in enumerate(samples) if sample.reversible is not False]
    skipped = {"not reversible": len(samples) - len(kept)} if len(kept) < len(samples) else {}
    captions = stacked(text, [samples[i].caption for i in kept], video)
    right = paired_similarity(video[kept].float(), captions)
    wrong = paired_similarity(reversed_video[kept].float(), captions)
    return _checked(Choices("reversal", tuple(kept), right, wrong, skipped), samples)


def probe_rows(
    choices: Choices, samples: Sequence[Sample], *, model: str, data: str, control: str = "none", seed: int = 0
) -> list[Row]:
    """One row per kept sample. samples: those that the choices were made from."""
    answers = zip(
        choices.kept,
        choices.right.tolist(),
        choices.wrong.tolist(),
        credits(choices.right, choices.wrong).tolist(),
        strict=True,
    )
    return [
        Row(samples[i].id, samples[i].group, model, data, choices.task, control, seed, right, wrong, credit)
        for i, right, wrong, credit in answers
    ]


def probe_score(rows: Sequence[Row]) -> Score:
    """Accuracy over the rows of one probe, with a 95 % interval clustered by group.

    Raises PaxionError without rows, ValueError when they are not all of one model, data set, task, control and seed.
    """
    kinds = {(row.model, row.data, row.task, row.control, row.seed) for row in rows}
    if len(kinds) > 1:
        raise ValueError(f"got rows of {sorted(kinds)}, expected those of one probe")
    found = estimate(np.array([row.credit for row in rows], dtype=np.float64), [row.group for row in rows])
    row = rows[0]
    return Score(
        row.model,
        row.data,
        row.task,
        row.control,
        "accuracy",
        found.value,
        found.low,
        found.high,
        found.n,
        found.ties,
        row.seed,
    )


def stacked(text: Mapping[str, Tensor], wanted: Sequence[str], video: Tensor) -> Tensor:
    """Vectors (K, D) of the wanted texts, on the video's device. Raises PaxionError for a text without a vector."""
    missing = [name for name in wanted if name not in text]
    if missing:
        raise PaxionError(f'got no vector for the text "{missing[0]}", expected one for every text; encode it as well')
    if not wanted:
        return video.new_zeros(0, video.shape[-1], dtype=torch.float32)
    return torch.stack([text[name] for name in wanted]).to(video.device).float()


def require_finite(scores: Tensor, ids: Sequence[str]) -> None:
    """Raise PaxionError naming the first id (one a row of `scores`) with a similarity that is NaN or infinite."""
    broken = ~torch.isfinite(scores).flatten(1).all(1)
    if broken.any():
        first = int(broken.nonzero()[0])
        bad = scores[first].flatten()
        value = bad[~torch.isfinite(bad)][0].item()
        raise PaxionError(
            f'sample "{ids[first]}": got a similarity of {value}, expected a finite number; '
            "check the clip and its features, and the checkpoint for NaN"
        )


def _foil_scores(task: str, foil: str, video: Tensor, samples: Sequence[Sample], text: Mapping[str, Tensor]) -> Choices:
    _same_length(video, samples)
    foils: list[str | None] = [getattr(sample, foil) for sample in samples]
    kept = [i for i, wrong in enumerate(foils) if wrong is not None]
    reasons = Counter(f"no {foil}" for wrong in foils if wrong is None)
    clips = video[kept].float()
    right = paired_similarity(clips, stacked(text, [samples[i].caption for i in kept], video))
    wrong = paired_similarity(clips, stacked(text, [name for name in foils if name is not None], video))
    return _checked(Choices(task, tuple(kept), right, wrong, dict(reasons)), samples)


def _checked(choices: Choices, samples: Sequence[Sample]) -> Choices:
    both = torch.stack([choices.right, choices.wrong], dim=1)
    require_finite(both, [samples[i].id for i in choices.kept])
    return choices


def _same_length(video: Tensor, samples: Sequence[Sample]) -> None:
    if len(video) != len(samples):
        raise ValueError(f"got {len(video)} clips and {len(samples)} samples, expected as many")
