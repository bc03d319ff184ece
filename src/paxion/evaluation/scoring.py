"""All tasks of one model under one control, from the vectors of clips and texts: the default protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from paxion.evaluation.auroc import auroc
from paxion.evaluation.methods import TIE, Mix
from paxion.evaluation.probes import (
    Choices,
    antonym_scores,
    object_scores,
    probe_rows,
    probe_score,
    reversal_scores,
)
from paxion.evaluation.questions import question_parts, question_results, question_rows, question_scores, questions_of
from paxion.evaluation.retrieval import Retrieval, text_to_video, video_to_action, video_to_text
from paxion.evaluation.settings import Settings
from paxion.evaluation.texts import Texts
from paxion.evaluation.twins import twin_rows, twin_scores
from paxion.records import PROBES, TWINS, Row, Sample, Score
from paxion.results import Missed


@dataclass
class Evaluation:
    """Scores and rows, and what could not be scored."""

    scores: list[Score] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader should know of the data and the protocol, a line each."""

    def add(self, other: Evaluation) -> None:
        """Take over another evaluation's results; a miss or note that is known already is not listed twice."""
        self.scores += other.scores
        self.rows += other.rows
        self.missed += [miss for miss in other.missed if miss not in self.missed]
        self.notes += [note for note in other.notes if note not in self.notes]


@dataclass(frozen=True)
class Seen:
    """The samples of a data set whose clips were seen under a control, and what a model makes of them."""

    model: str
    """What results call it."""
    data: str
    samples: Sequence[Sample]
    control: str
    seed: int
    clips: Tensor
    """(B, Q, D)"""
    backwards: Tensor | None
    """(B, Q, D) of the reversals, where they are asked for."""
    texts: Texts
    mix: Mix | None = None

    @property
    def comparable(self) -> bool:
        """Whether scores of different clips can be compared. Sums of softmaxes cannot: they are shares of a choice."""
        return self.mix is None or self.mix.method.kind == "score-sum"


def score_task(task: str, seen: Seen, settings: Settings) -> Evaluation:
    """Scores, rows and misses of one task."""
    if task == "questions":
        return _questions(seen, settings)
    if task in PROBES:
        choices = probe_choices(task, seen)
        rows = probe_rows(choices, seen.samples, model=seen.model, data=seen.data, control=seen.control, seed=seen.seed)
        missed = [Missed(seen.data, task, why, count) for why, count in choices.skipped.items()]
        scores = [probe_score(rows), *([auroc_score(rows)] if seen.comparable else [])] if rows else []
        return Evaluation(scores, rows, missed)
    if task in TWINS:
        return _twins(seen)
    found = _retrieve(task, seen, settings)
    return Evaluation(found.scores, found.rows, misses(task, seen.data, found.skipped, found.examples))


def auroc_score(rows: Sequence[Row]) -> Score:
    """AUROC over the rows of one probe: of their right against their wrong scores (see `auroc.auroc`)."""
    # Scores within TIE of each other must not be told apart by the noise of single precision.
    right, wrong = (
        np.round(np.array([getattr(row, which) for row in rows], dtype=np.float64) / TIE) * TIE
        for which in ("right", "wrong")
    )
    e, row = auroc(right, wrong, [row.group for row in rows]), rows[0]
    values = e.value, e.low, e.high, e.n, e.ties
    return Score(row.model, row.data, row.task, row.control, "AUROC", *values, row.seed)


def _twins(seen: Seen) -> Evaluation:
    """The clip and its reversal, each against caption and antonym."""
    assert seen.backwards is not None
    turned = None if seen.mix is None or seen.mix.backwards is None else replace(seen.mix, video=seen.mix.backwards)
    clip = antonym_scores(seen.clips, seen.samples, seen.texts.text, seen.mix)
    back = antonym_scores(seen.backwards, seen.samples, seen.texts.text, turned)
    kept = [place for place, i in enumerate(clip.kept) if seen.samples[i].reversible is not False]
    samples = [seen.samples[clip.kept[place]] for place in kept]
    scores = torch.stack([torch.stack([each.right, each.wrong], 1) for each in (clip, back)], 1)[kept]
    rows = twin_rows(scores, samples, model=seen.model, data=seen.data, control=seen.control, seed=seen.seed)
    found = twin_scores(rows, scored=seen.comparable)
    skipped = dict(clip.skipped)
    if len(kept) < len(clip.kept):
        skipped["not reversible"] = len(clip.kept) - len(kept)
    return Evaluation(found, rows, misses(TWINS[0], seen.data, skipped, {}))


def misses(task: str, data: str, skipped: dict[str, int], examples: dict[str, tuple[str, ...]]) -> list[Missed]:
    """What a retrieval left out."""
    return [Missed(data, task, why, count, examples.get(why, ())) for why, count in skipped.items()]


def probe_choices(task: str, seen: Seen) -> Choices:
    """The two scores of every choice of a probe."""
    if task == "reversal":
        assert seen.backwards is not None
        return reversal_scores(seen.clips, seen.backwards, seen.samples, seen.texts.text, seen.mix)
    choose = antonym_scores if task == "antonym" else object_scores
    return choose(seen.clips, seen.samples, seen.texts.text, seen.mix)


def _retrieve(task: str, seen: Seen, settings: Settings) -> Retrieval:
    if task == "video_to_action":
        return video_to_action(
            seen.clips, seen.samples, seen.texts.actions, model=seen.model, data=seen.data, control=seen.control,
            seed=seen.seed, mix=seen.mix, labels=settings.labels, per_action=settings.per_action,
        )  # fmt: skip
    retrieve = text_to_video if task == "text_to_video" else video_to_text
    return retrieve(
        seen.clips, seen.samples, seen.texts.text, model=seen.model, data=seen.data, control=seen.control,
        seed=seen.seed, mix=seen.mix, extra=settings.texts,
    )  # fmt: skip


def _questions(seen: Seen, settings: Settings) -> Evaluation:
    asked = questions_of(seen.samples, seen.data)
    scores = question_scores(seen.clips, asked, seen.texts.text, settings, seen.mix)
    rows, ties = question_rows(scores, asked, model=seen.model, data=seen.data, control=seen.control, seed=seen.seed)
    return Evaluation(question_results(rows, ties, question_parts(asked, settings.hard)), rows, list(asked.missed))
