"""Probes: one choice between right and wrong per sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from paxion.evaluation.methods import TIE as TIE
from paxion.evaluation.methods import Mix, mixed
from paxion.evaluation.scores import choice_scores
from paxion.evaluation.scores import require_finite as require_finite
from paxion.evaluation.statistics import estimate
from paxion.records import PaxionError, Row, Sample, Score
from paxion.similarity import paired_similarity

CLIPS = 1024
"""Clips that are scored at a time."""


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


def antonym_scores(
    video: Tensor, samples: Sequence[Sample], text: Mapping[str, Tensor], mix: Mix | None = None
) -> Choices:
    """Caption against antonym, for the clips that have one.

    video: (B, Q, D), one entry a sample. text: the vector (D,) of every caption and antonym. mix: the backbone beside.
    Raises PaxionError for a text without a vector or a similarity that is not finite.
    """
    return _foil_scores("antonym", "antonym", video, samples, text, mix)


def object_scores(
    video: Tensor, samples: Sequence[Sample], text: Mapping[str, Tensor], mix: Mix | None = None
) -> Choices:
    """Caption against the caption with an object replaced. Arguments and errors as for `antonym_scores`."""
    return _foil_scores("object", "replaced", video, samples, text, mix)


def reversal_scores(
    video: Tensor,
    reversed_video: Tensor,
    samples: Sequence[Sample],
    text: Mapping[str, Tensor],
    mix: Mix | None = None,
) -> Choices:
    """The clip against its reversal, given the caption, for all samples but those with `reversible` false.

    video, reversed_video: (B, Q, D). text: the vector (D,) of every caption. mix: the backbone beside, with the
    reversed clips. Errors as for `antonym_scores`.
    """
    _same_length(video, samples)
    _same_length(reversed_video, samples)
    kept = [i for i, sample in enumerate(samples) if sample.reversible is not False]
    skipped = {"not reversible": len(samples) - len(kept)} if len(kept) < len(samples) else {}
    parts = []
    for part in _parts(kept):
        captions, ids = [samples[i].caption for i in part], [samples[i].id for i in part]
        scores = _both_ways(video, reversed_video, part, captions, text)
        require_finite(scores, ids)
        if mix is not None:
            if mix.backwards is None:
                raise ValueError("got a backbone without reversed clips, expected them for the reversal probe")
            beside = _both_ways(mix.video, mix.backwards, part, captions, mix.text)
            require_finite(beside, ids)
            scores = mixed(mix, scores, beside)
        parts.append(scores)
    return _choices("reversal", kept, parts, skipped)


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


def _foil_scores(
    task: str, foil: str, video: Tensor, samples: Sequence[Sample], text: Mapping[str, Tensor], mix: Mix | None
) -> Choices:
    _same_length(video, samples)
    foils: list[str | None] = [getattr(sample, foil) for sample in samples]
    kept = [i for i, wrong in enumerate(foils) if wrong is not None]
    reasons = Counter(f"no {foil}" for wrong in foils if wrong is None)
    parts = []
    for part in _parts(kept):
        texts = [said for i in part for said in (samples[i].caption, foils[i] or "")]
        asked = stacked(text, texts, video).view(len(part), 2, -1)
        other = None
        if mix is not None:
            clips = mix.video[part].float()
            other = clips, stacked(mix.text, texts, clips).view(len(part), 2, -1)
        parts.append(choice_scores(video[part], asked, [samples[i].id for i in part], mix, other))
    return _choices(task, kept, parts, dict(reasons))


def _both_ways(
    video: Tensor, backwards: Tensor, part: Sequence[int], captions: Sequence[str], text: Mapping[str, Tensor]
) -> Tensor:
    """Scores (b, 2) of clips and of their reversals against the clips' captions."""
    asked = stacked(text, captions, video)
    return torch.stack([paired_similarity(clips[part].float(), asked) for clips in (video, backwards)], 1)


def _choices(task: str, kept: Sequence[int], parts: Sequence[Tensor], skipped: dict[str, int]) -> Choices:
    scores = torch.cat(list(parts)) if parts else torch.zeros(0, 2)
    return Choices(task, tuple(kept), scores[:, 0], scores[:, 1], skipped)


def _parts(kept: Sequence[int]) -> list[list[int]]:
    return [list(kept[start : start + CLIPS]) for start in range(0, len(kept), CLIPS)]


def _same_length(video: Tensor, samples: Sequence[Sample]) -> None:
    if len(video) != len(samples):
        raise ValueError(f"got {len(video)} clips and {len(samples)} samples, expected as many")
