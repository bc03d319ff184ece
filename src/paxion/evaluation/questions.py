"""Questions about clips, each with a few choices: which choice fits the clip best. One choice is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from paxion.evaluation.methods import Mix
from paxion.evaluation.probes import CLIPS, stacked
from paxion.evaluation.ranking import Ranking, expected_recall, rank
from paxion.evaluation.scores import choice_scores
from paxion.evaluation.settings import Settings
from paxion.evaluation.statistics import estimate
from paxion.records import Row, Sample, Score
from paxion.results import Missed

GROUPS = {"C": "causal", "T": "temporal", "D": "descriptive"}
"""NExT-QA's groups, by the first letter of a question's kind."""
KINDS = ("CW", "CH", "TN", "TC", "TP", "DC", "DL", "DO")
"""NExT-QA's kinds: why, how; next, current, previous; count, location, other."""


@dataclass(frozen=True)
class Asked:
    """The questions of a data set that can be scored, and those that cannot."""

    samples: tuple[Sample, ...]
    places: tuple[int, ...]
    """Where they are among all samples."""
    missed: tuple[Missed, ...] = ()

    @property
    def width(self) -> int:
        """K, the number of choices of every question."""
        return len(self.samples[0].choices or ()) if self.samples else 0


def questions_of(samples: Sequence[Sample], data: str) -> Asked:
    """The questions that can be scored: with an answer, and with as many choices as most questions of the set have.

    A question that cannot be scored is a counted miss that says why, with examples.
    """
    out: dict[str, list[str]] = {}
    usable: list[int] = []
    for i, sample in enumerate(samples):
        if not sample.question and sample.choices is None:
            out.setdefault("no question", []).append(sample.id)
        elif sample.choices is None or len(sample.choices) < 2:
            out.setdefault("a question with fewer than two choices", []).append(sample.id)
        elif sample.answer is None:
            out.setdefault("a question without an answer", []).append(sample.id)
        elif not 0 <= sample.answer < len(sample.choices):
            out.setdefault("a question whose answer is none of its choices", []).append(sample.id)
        else:
            usable.append(i)
    counts = Counter(len(samples[i].choices or ()) for i in usable)
    width = counts.most_common(1)[0][0] if counts else 0
    kept = []
    for i in usable:
        if (got := len(samples[i].choices or ())) == width:
            kept.append(i)
        else:
            out.setdefault(f"a question with {got} choices, not {width} as most", []).append(samples[i].id)
    missed = tuple(Missed(data, "questions", why, len(ids), tuple(ids[:5])) for why, ids in out.items())
    return Asked(tuple(samples[i] for i in kept), tuple(kept), missed)


def question_texts(samples: Sequence[Sample], settings: Settings) -> list[str]:
    """The texts of all choices of the samples' questions, in order."""
    return [settings.question(s.question or "", choice) for s in samples for choice in s.choices or ()]


def question_scores(
    video: Tensor,
    asked: Asked,
    text: Mapping[str, Tensor],
    settings: Settings,
    mix: Mix | None = None,
) -> Tensor:
    """The scores (N, K) of every question's choices.

    video: (B, Q, D), one entry a sample that `asked` was made from. text: the vector (D,) of every choice's text.
    Raises PaxionError for a text without a vector or a similarity that is not finite.

    Source: Paxion (NeurIPS 2023), published code: "question? answer" is compared with the clip.
    """
    parts = []
    for start in range(0, len(asked.samples), CLIPS):
        samples, places = asked.samples[start : start + CLIPS], list(asked.places[start : start + CLIPS])
        names = question_texts(samples, settings)
        shape = len(samples), asked.width, -1
        other = None
        if mix is not None:
            other = mix.video[places], stacked(mix.text, names, mix.video).view(shape)
        vectors = stacked(text, names, video).view(shape)
        parts.append(choice_scores(video[places], vectors, [sample.id for sample in samples], mix, other))
    return torch.cat(parts) if parts else torch.zeros(0, 0)


def question_ranking(scores: Tensor, asked: Asked) -> Ranking:
    """Where the right choices come out. scores: (N, K)."""
    answers = torch.tensor([sample.answer or 0 for sample in asked.samples])
    return rank(scores, torch.arange(asked.width)[None] == answers[:, None])


def question_rows(
    scores: Tensor, asked: Asked, *, model: str, data: str, control: str = "none", seed: int = 0
) -> tuple[list[Row], list[bool]]:
    """One row a question, and whether a wrong choice ties with its right one. credit: the chance of being right."""
    if not asked.samples:
        return [], []
    ranking = question_ranking(scores, asked)
    answers = zip(
        asked.samples, ranking.right.tolist(), ranking.wrong.tolist(), expected_recall(ranking, 1).tolist(), strict=True
    )
    rows = [
        Row(sample.id, sample.group, model, data, "questions", control, seed, right, wrong, credit)
        for sample, right, wrong, credit in answers
    ]
    return rows, (ranking.tied_wrong > 0).tolist()


def question_parts(asked: Asked, hard: frozenset[str] = frozenset()) -> dict[str, list[int]]:
    """The questions by what is reported of them: all, NExT-QA's groups, each kind, and the hard subset."""
    parts: dict[str, list[int]] = {"questions": list(range(len(asked.samples)))}
    kinds: dict[str, list[int]] = {}
    for i, sample in enumerate(asked.samples):
        if sample.kind:
            kinds.setdefault(sample.kind, []).append(i)
    for letter, name in GROUPS.items():
        if found := sorted(i for kind, places in kinds.items() if kind in KINDS and kind[0] == letter for i in places):
            parts[f"questions:{name}"] = found
    known = [kind for kind in KINDS if kind in kinds] + sorted(kind for kind in kinds if kind not in KINDS)
    parts |= {f"questions:{kind}": kinds[kind] for kind in known}
    if found := [i for i, sample in enumerate(asked.samples) if sample.id in hard]:
        parts["questions:hard"] = found
    return parts


def question_results(rows: Sequence[Row], ties: Sequence[bool], parts: Mapping[str, Sequence[int]]) -> list[Score]:
    """Accuracy of every part, with a 95 % interval clustered by group. rows, ties: of all questions."""
    scores = []
    for task, places in parts.items():
        if not places:
            continue
        mine = [rows[i] for i in places]
        credits = np.array([row.credit for row in mine], dtype=np.float64)
        e = estimate(credits, [row.group for row in mine], sum(ties[i] for i in places))
        row = mine[0]
        scores.append(
            Score(row.model, row.data, task, row.control, "accuracy", e.value, e.low, e.high, e.n, e.ties, row.seed)
        )
    return scores


def unknown_hard(samples: Sequence[Sample], hard: frozenset[str], data: str) -> list[Missed]:
    """One miss for ids of the hard subset that no sample has."""
    absent = sorted(hard - {sample.id for sample in samples})
    if not absent:
        return []
    return [Missed(data, "questions:hard", "no sample of this id of the hard subset", len(absent), tuple(absent[:5]))]
