"""Retrieval: find the clip of a text, the text of a clip, the action of a clip; with the same similarity and tie rule.

Equal similarities are not ordered by chance: every number is its expectation under random tie breaking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from paxion.evaluation.methods import Mix
from paxion.evaluation.probes import stacked
from paxion.evaluation.ranking import Ranking, average_precision, expected_rank, expected_recall, rank_all
from paxion.evaluation.scores import Queries, Scores
from paxion.evaluation.statistics import estimate, mean_interval
from paxion.records import Row, Sample, Score

K = TypeVar("K")
DEPTHS = (1, 5, 10)
NO_CLIP = "no clip of this text can be read"
NO_LABEL = "its label is not in the list of labels"


@dataclass(frozen=True)
class Retrieval:
    """The result of one retrieval task for one model."""

    rows: list[Row]
    """One per query; `credit` is the expected R@1."""
    scores: list[Score]
    """R@k, and mAP for video_to_action. Empty when no query could be asked."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Why queries were not asked, and how many."""
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of some reasons, a few of the queries: ids of clips, or texts."""


@dataclass(frozen=True)
class Gallery:
    """What one retrieval task asks of B clips and K texts."""

    task: str
    queries: Queries
    asked: list[Sample]
    """One a query: the clip, or the first clip of the text."""
    names: list[str]
    """(K,) the texts."""
    clip: Tensor
    """(M,) with `text` the pairs that are right; clips in ascending order."""
    text: Tensor
    ids: list[str]
    """(B,) of the clips."""
    clips: Tensor | None = None
    """(B,) which of the samples the clips are. None: all of them."""
    skipped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def candidates(self) -> int:
        """How many candidates every query has."""
        return len(self.names) if self.queries == "clips" else len(self.ids)

    def scores(self, video: Tensor, text: Mapping[str, Tensor], mix: Mix | None = None) -> Scores:
        """The scores of all pairs. video: (N, Q, D), one entry a sample."""
        said = None if mix is None else mix.actions if self.task == "video_to_action" else mix.text
        beside = None if mix is None or said is None else stacked(said, self.names, mix.video)
        return Scores(video, stacked(text, self.names, video), self.ids, self.clips, mix, beside)


def gallery(task: str, samples: Sequence[Sample], extra: Sequence[str] = (), labels: Sequence[str] = ()) -> Gallery:
    """What a task asks of the samples. extra: further texts of text_to_video and video_to_text; labels: candidates of
    video_to_action.

    Raises ValueError for another task.
    """
    ids = [sample.id for sample in samples]
    if task == "video_to_action":
        return _actions(samples, labels)
    label, first = _labels([sample.caption for sample in samples])
    clip, names = torch.arange(len(samples)), list(first)
    if task == "video_to_text":
        return Gallery(task, "clips", list(samples), list(dict.fromkeys([*names, *extra])), clip, label, ids)
    if task != "text_to_video":
        raise ValueError(f"got task {task!r}, expected a retrieval")
    queries = [samples[i] for i in first.values()]
    absent = tuple(dict.fromkeys(name for name in extra if name not in first))
    skipped, examples = ({NO_CLIP: len(absent)}, {NO_CLIP: absent[:5]}) if absent else ({}, {})
    return Gallery(task, "texts", queries, names, clip, label, ids, None, skipped, examples)


def text_to_video(
    video: Tensor,
    samples: Sequence[Sample],
    text: Mapping[str, Tensor],
    *,
    model: str,
    data: str,
    control: str = "none",
    seed: int = 0,
    mix: Mix | None = None,
    extra: Sequence[str] = (),
) -> Retrieval:
    """Find the clips of a caption: queries are the distinct captions, every clip with that caption is right.

    video: (B, Q, D), one entry a sample. text: the vector (D,) of every caption. A query's row and group are those of
    the first clip with its caption. R@k is given for galleries of more than k clips. mix: the backbone beside the
    model. extra: further texts; those that no clip has are counted as skipped.
    Raises PaxionError for a text without a vector or a similarity that is not finite.
    """
    asked = gallery("text_to_video", samples, extra)
    found = rank_all(asked.scores(video, text, mix), asked.clip, asked.text, asked.queries)
    return summary(asked, found, model, data, control, seed)


def video_to_text(
    video: Tensor,
    samples: Sequence[Sample],
    text: Mapping[str, Tensor],
    *,
    model: str,
    data: str,
    control: str = "none",
    seed: int = 0,
    mix: Mix | None = None,
    extra: Sequence[str] = (),
) -> Retrieval:
    """Find the caption of a clip among the distinct captions and the extra texts. Otherwise as for `text_to_video`."""
    asked = gallery("video_to_text", samples, extra)
    found = rank_all(asked.scores(video, text, mix), asked.clip, asked.text, asked.queries)
    return summary(asked, found, model, data, control, seed)


def video_to_action(
    video: Tensor,
    samples: Sequence[Sample],
    text: Mapping[str, Tensor],
    *,
    model: str,
    data: str,
    control: str = "none",
    seed: int = 0,
    mix: Mix | None = None,
    labels: Sequence[str] = (),
    per_action: bool = False,
) -> Retrieval:
    """Find the action of a clip among the labels, or where none are given among the distinct templates of the clips.

    Right is every candidate that is the template of a clip of the same `action`, and the clip's own template when it
    has none. Clips without a template are skipped, and so are those whose template is not among the labels.
    mAP turns the question round: each template is a query over the clips, and its average precision counts the clips
    it is right for. Its interval takes templates as independent; n is their number, ties is 0 by definition (average
    precision is an expectation over ties). Labels that are right for no clip are no queries of it.
    text: the vector (D,) of every template and label (of the backbone: `mix.actions`). per_action: also R@1, R@5 and
    mAP of each action, or template where there is no action, as the task "video_to_action:ACTION".
    Otherwise as for `text_to_video`.
    """
    asked = gallery("video_to_action", samples, labels=labels)
    if not asked.asked:
        return Retrieval([], [], asked.skipped, asked.examples)
    scores = asked.scores(video, text, mix)
    found = rank_all(scores, asked.clip, asked.text, asked.queries)
    result = summary(asked, found, model, data, control, seed)
    if not result.rows:
        return result
    relevant = torch.zeros(len(asked.ids), len(asked.names), dtype=torch.bool)
    relevant[asked.clip, asked.text] = True
    table, used = scores.table("texts").numpy(), relevant.any(0).nonzero()[:, 0].tolist()
    precision = {k: average_precision(table[:, k], relevant[:, k].numpy()) for k in used}

    def mean_precision(task: str, of: Sequence[int]) -> Score:
        value, low, high = mean_interval(np.array([precision[k] for k in of]), [asked.names[k] for k in of])
        return Score(model, data, task, control, "mAP", value, low, high, n=len(of), ties=0, seed=seed)

    listed = [*result.scores, mean_precision("video_to_action", used)]
    if per_action:
        recalls = recalls_of(found, asked.candidates)
        for name, clips in actions_of(asked.asked).items():
            task = f"video_to_action:{name}"
            listed += recall_scores(task, recalls, found, clips, asked.asked, model, data, control, seed, (1, 5))
            listed.append(mean_precision(task, relevant[clips[0]].nonzero()[:, 0].tolist()))
    return replace(result, scores=listed)


def actions_of(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """The places of the clips of each action, or of each template where a clip has no action."""
    found: dict[tuple[str, str], list[int]] = {}
    for i, sample in enumerate(samples):
        found.setdefault(_action(sample), []).append(i)
    names = [name for _, name in found]
    # An action and a template of the same name are two labels.
    return {name if names.count(name) == 1 else f"{name} ({kind})": places for (kind, name), places in found.items()}


def recalls_of(ranking: Ranking, candidates: int) -> dict[int, Tensor]:
    """The expected recall (N,) at each depth that can fail: fewer than the candidates."""
    return {k: expected_recall(ranking, k) for k in DEPTHS if k == 1 or k < candidates}


def recall_scores(
    task: str,
    recalls: Mapping[int, Tensor],
    ranking: Ranking,
    of: Sequence[int],
    asked: Sequence[Sample],
    model: str,
    data: str,
    control: str,
    seed: int,
    depths: Sequence[int] = DEPTHS,
) -> list[Score]:
    """R@k over the queries `of`, with 95 % intervals clustered by group."""
    ties, groups = int((ranking.tied_wrong[list(of)] > 0).sum()), [asked[i].group for i in of]
    scores = []
    for k, recall in recalls.items():
        if k in depths:
            e = estimate(recall[list(of)].numpy(), groups, ties)
            scores.append(Score(model, data, task, control, f"R@{k}", e.value, e.low, e.high, e.n, e.ties, seed))
    return scores


def summary(asked: Gallery, ranking: Ranking, model: str, data: str, control: str, seed: int) -> Retrieval:
    """Rows and recalls of ranked queries. A query for which every candidate is right asks nothing: it is skipped."""
    skipped = dict(asked.skipped)
    recalls, ranks = recalls_of(ranking, asked.candidates), expected_rank(ranking)
    sound = torch.isfinite(ranking.wrong).nonzero()[:, 0].tolist()
    if len(sound) < len(asked.asked):
        skipped["no wrong candidate"] = len(asked.asked) - len(sound)
    if not sound:
        return Retrieval([], [], skipped, asked.examples)
    rows = [
        Row(
            asked.asked[i].id,
            asked.asked[i].group,
            model,
            data,
            asked.task,
            control,
            seed,
            right=float(ranking.right[i]),
            wrong=float(ranking.wrong[i]),
            credit=float(recalls[1][i]),
            rank=float(ranks[i]),
        )
        for i in sound
    ]
    scores = recall_scores(asked.task, recalls, ranking, sound, asked.asked, model, data, control, seed)
    return Retrieval(rows, scores, skipped, asked.examples)


def _actions(samples: Sequence[Sample], labels: Sequence[str]) -> Gallery:
    """Clips with a template among the labels against the labels or, without any, the templates."""
    known, kept = set(labels), []
    out: dict[str, list[str]] = {}
    for i, sample in enumerate(samples):
        if sample.template is None:
            out.setdefault("no template", []).append(sample.id)
        elif known and sample.template not in known:
            out.setdefault(NO_LABEL, []).append(sample.id)
        else:
            kept.append(i)
    asked = [samples[i] for i in kept]
    names = list(labels) or list(dict.fromkeys(sample.template or "" for sample in asked))
    place = {name: i for i, name in enumerate(names)}
    action, actions = _labels([_action(sample) for sample in asked])
    right = torch.zeros(len(actions), len(names), dtype=torch.bool)
    right[action, torch.tensor([place[sample.template or ""] for sample in asked], dtype=torch.long)] = True
    clip, text = right[action].nonzero(as_tuple=True)
    clips = None if len(kept) == len(samples) else torch.tensor(kept, dtype=torch.long)
    skipped = {why: len(ids) for why, ids in out.items()}
    examples = {why: tuple(ids[:5]) for why, ids in out.items() if why == NO_LABEL}
    ids = [sample.id for sample in asked]
    return Gallery("video_to_action", "clips", asked, names, clip, text, ids, clips, skipped, examples)


def _action(sample: Sample) -> tuple[str, str]:
    return ("action", sample.action) if sample.action else ("template", sample.template or "")


def _labels(names: Sequence[K]) -> tuple[Tensor, dict[K, int]]:
    """The label (N,) of each name, numbered in order of appearance, and where each name occurs first."""
    first: dict[K, int] = {}
    for i, name in enumerate(names):
        first.setdefault(name, i)
    number = {name: label for label, name in enumerate(first)}
    return torch.tensor([number[name] for name in names], dtype=torch.long), first
