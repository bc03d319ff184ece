"""The scoring of the published code, ties and all: what `protocol="paper"` does in the place of scoring.py.

A query's scores are the softmax over its candidates of similarity / temperature, in single precision. The largest wins;
equal ones go by their place: of two texts or choices the first, in a retrieval the last. A clip and its reversal whose
probabilities differ by less than 1e-5 are answered by a coin. Nothing is an expectation.

Source: Paxion (NeurIPS 2023), published code.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from paxion.evaluation.methods import Mix
from paxion.evaluation.questions import question_parts, question_results, question_scores, questions_of
from paxion.evaluation.retrieval import Gallery, actions_of, gallery
from paxion.evaluation.scores import CLIPS, Scores, require_finite
from paxion.evaluation.scoring import Evaluation, Seen, misses, probe_choices, score_task
from paxion.evaluation.settings import Method, Settings
from paxion.evaluation.statistics import Estimate, estimate
from paxion.evaluation.texts import Texts
from paxion.records import PROBES, TWINS, Row, Sample, Score
from paxion.results import Missed
from paxion.similarity import similarity

ALONE = Method()
COIN = 1e-5
"""Probabilities of a clip and its reversal that differ by less are answered by a coin."""
DEPTHS = (1, 5, 10)
ENTRIES = 2**22
"""Scores held at a time."""


def probabilities(
    model: Tensor, temperature: float, beside: tuple[Tensor, float] | None = None, method: Method = ALONE
) -> Tensor:
    """What N queries are ranked by, (N, K): softmax probabilities, or what a method makes of them.

    model: (N, K) similarities. beside: those of the backbone and its temperature. softmax-sum adds its probabilities
    (they then sum to 2); two-step sets to zero all but the candidates to which it gives its `top` largest ones.
    """
    own = (model.float() / temperature).softmax(-1)
    if beside is None or method.kind == "plain":
        return own
    other = (beside[0].float() / beside[1]).softmax(-1)
    if method.kind == "softmax-sum":
        return own + other
    if method.kind != "two-step":
        raise ValueError(f"got the method {method.kind}, expected one that was published")
    order = other.argsort(stable=True, dim=-1).flip(-1)[:, : method.top]
    return torch.zeros_like(own).scatter(-1, order, own.gather(-1, order))


def first_ranks(scores: Tensor, right: Tensor) -> Tensor:
    """1-based rank (N,) of the first right candidate; of equal scores the last candidate comes first.

    scores: (N, K). right: (N, K) bool, at least one true in each row.
    """
    place = torch.arange(scores.shape[1], device=scores.device)
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    equal = scores == best
    last = place.where(equal & right, -1).amax(1, keepdim=True)
    return 1 + ((scores > best) | (equal & (place > last))).sum(1)


def predictions(scores: Tensor, coins: Sequence[str] | None = None) -> Tensor:
    """The chosen candidate (N,): the first of the largest. scores: (N, K) probabilities.

    coins: for the choice between a clip and its reversal, what the coin of each query is drawn from.
    """
    chosen = torch.from_numpy(np.argmax(scores.numpy(), 1))
    if coins is not None:
        for i in ((scores[:, 0] - scores[:, 1]).abs() < COIN).nonzero()[:, 0].tolist():
            chosen[i] = random.Random(coins[i]).choice((0, 1))
    return chosen


def choice_metrics(targets: Sequence[int], chosen: Sequence[int]) -> dict[str, float]:
    """What the published code prints of choices, fractions: micro_f1, which is the accuracy, and macro_f1.

    macro_f1 is the mean over the classes that occur among targets or choices. Where all targets are 0 it says no more
    than the accuracy a: a / (1 + a), or 1 when all are right. agg_metrics: their sum.
    """
    target, choice = np.asarray(targets), np.asarray(chosen)
    scores = []
    for kind in np.union1d(target, choice):
        hits = np.sum((target == kind) & (choice == kind))
        scores.append(2 * hits / (np.sum(target == kind) + np.sum(choice == kind)))
    micro, macro = float(np.mean(target == choice)), float(np.mean(scores))
    return {"micro_f1": micro, "macro_f1": macro, "agg_metrics": macro + micro}


def retrieval_metrics(v2t: Tensor, t2v: Tensor) -> dict[str, float]:
    """What the published code prints of retrieval, in percent: R@1, 5 and 10 both ways. v2t, t2v: 1-based ranks (N,).

    agg_metrics: the mean of all six.
    """
    both = {"v2t": v2t, "t2v": t2v}
    recalls = {f"{way}_r{k}": 100 * (ranks <= k).double().mean().item() for way, ranks in both.items() for k in DEPTHS}
    return {**recalls, "agg_metrics": float(np.mean(list(recalls.values())))}


def published_task(task: str, seen: Seen, settings: Settings, temperatures: Sequence[float]) -> Evaluation:
    """Scores, rows and misses of one task. temperatures: of the model and, under a method, of the backbone.

    Probes have the further metric "macro F1"; retrieval has R@1, 5 and 10 for galleries of any size and no mAP.
    A row's right and wrong are probabilities (or their sums), its credit is 0 or 1. Twins were not published: they are
    scored as everywhere.
    """
    if task in TWINS:
        return score_task(task, seen, settings)
    if task == "questions":
        return _questions(seen, settings, temperatures)
    if task in PROBES:
        return _probe(task, seen, temperatures)
    return _retrieval(task, seen, settings, temperatures)


def _probe(task: str, seen: Seen, temperatures: Sequence[float]) -> Evaluation:
    choices = probe_choices(task, replace(seen, mix=None))
    missed = [Missed(seen.data, task, why, count) for why, count in choices.skipped.items()]
    if not choices.kept:
        return Evaluation(missed=missed)
    other = None
    if seen.mix is not None:
        beside = probe_choices(task, _backbone(seen, seen.mix))
        other = torch.stack([beside.right, beside.wrong], 1), temperatures[1]
    scores = probabilities(torch.stack([choices.right, choices.wrong], 1), temperatures[0], other, _method(seen))
    samples = [seen.samples[i] for i in choices.kept]
    coins = [f"{sample.id}/{seen.seed}" for sample in samples] if task == "reversal" else None
    chosen = predictions(scores, coins)
    rows = _rows(task, seen, samples, scores[:, 0], scores[:, 1], chosen == 0)
    apart = (scores[:, 0] - scores[:, 1]).abs()
    ties = int(((apart < COIN) if task == "reversal" else (apart == 0)).sum())
    e = _estimate(rows, range(len(rows)), ties)
    low, high = (bound / (1 + bound) for bound in (e.low, e.high))
    macro = choice_metrics([0] * len(rows), chosen.tolist())["macro_f1"]
    # Where nothing is wrong one class is left, and its score is 1: the published number jumps there.
    bounds = Estimate(macro, low, max(high, macro), e.n, e.ties)
    return Evaluation([_score(task, seen, "accuracy", e), _score(task, seen, "macro F1", bounds)], rows, missed)


def _questions(seen: Seen, settings: Settings, temperatures: Sequence[float]) -> Evaluation:
    asked = questions_of(seen.samples, seen.data)
    if not asked.samples:
        return Evaluation(missed=list(asked.missed))
    other = None
    if seen.mix is not None:
        other = question_scores(seen.mix.video, asked, seen.mix.text, settings), temperatures[1]
    similarities = question_scores(seen.clips, asked, seen.texts.text, settings)
    scores = probabilities(similarities, temperatures[0], other, _method(seen))
    answers = torch.tensor([sample.answer or 0 for sample in asked.samples])
    right = torch.arange(asked.width)[None] == answers[:, None]
    best, wrong = scores[right], scores.masked_fill(right, -torch.inf).amax(1)
    rows = _rows("questions", seen, asked.samples, best, wrong, predictions(scores) == answers)
    ties = (best == wrong).tolist()
    return Evaluation(question_results(rows, ties, question_parts(asked, settings.hard)), rows, list(asked.missed))


def _retrieval(task: str, seen: Seen, settings: Settings, temperatures: Sequence[float]) -> Evaluation:
    asked = gallery(task, seen.samples, settings.texts, settings.labels)
    missed = misses(task, seen.data, asked.skipped, asked.examples)
    if not asked.asked:
        return Evaluation(missed=missed)
    found = [torch.stack(part) for part in _ranked(asked, seen, temperatures)]
    ranks, right, wrong = torch.cat(found, 1)
    rows = _rows(task, seen, asked.asked, right, wrong, ranks == 1, ranks)
    tied = right == wrong
    scores = [
        _score(task, seen, f"R@{k}", _estimate(rows, range(len(rows)), int(tied.sum()), ranks <= k)) for k in DEPTHS
    ]
    if task == "video_to_action" and settings.per_action:
        for name, clips in actions_of(asked.asked).items():
            for k in (1, 5):
                e = _estimate(rows, clips, int(tied[clips].sum()), ranks <= k)
                scores.append(_score(f"{task}:{name}", seen, f"R@{k}", e))
    return Evaluation(scores, rows, missed)


def _ranked(asked: Gallery, seen: Seen, temperatures: Sequence[float]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Rank, score of the best right and of the best wrong candidate, (n,) each, for some queries at a time."""
    mix, dim = seen.mix, 0 if asked.queries == "clips" else 1
    said = seen.texts.actions if asked.task == "video_to_action" else seen.texts.text
    other = None if mix is None else asked.scores(mix.video, _said(asked, mix))
    model, pairs = asked.scores(seen.clips, said), torch.stack([asked.clip, asked.text])
    by_query = pairs[:, pairs[dim].argsort(stable=True)]
    step = max(1, ENTRIES // asked.candidates)
    for start in range(0, len(asked.asked), step):
        part = slice(start, min(start + step, len(asked.asked)))
        own = _similarities(model, part, dim)
        beside = None if other is None else (_similarities(other, part, dim), temperatures[1])
        scores = probabilities(own, temperatures[0], beside, _method(seen))
        right = torch.zeros(scores.shape, dtype=torch.bool)
        among = slice(*torch.searchsorted(by_query[dim].contiguous(), torch.tensor([part.start, part.stop])).tolist())
        right[by_query[dim, among] - start, by_query[1 - dim, among]] = True
        best, wrong = (scores.masked_fill(out, -torch.inf).amax(1) for out in (~right, right))
        # A query for which every candidate is right has no wrong one; its number must be one that can be written.
        yield first_ranks(scores, right).float(), best, wrong.clamp(min=0)


def _similarities(scores: Scores, part: slice, dim: int) -> Tensor:
    """The similarities (n, K) of some queries with all their candidates; dim: 0 where clips ask, 1 where texts do."""
    if dim:
        found = [
            similarity(scores.video[places].float(), scores.text[part]) for places in torch.split(scores.places, CLIPS)
        ]
        require_finite(torch.cat(found), scores.ids)
        return torch.cat(found).T.contiguous()
    places = part if scores.clips is None else scores.clips[part]
    rows = similarity(scores.video[places].float(), scores.text)
    require_finite(rows, scores.ids[part])
    return rows


def _said(asked: Gallery, mix: Mix) -> Mapping[str, Tensor]:
    return mix.actions if asked.task == "video_to_action" else mix.text


def _backbone(seen: Seen, mix: Mix) -> Seen:
    return replace(seen, clips=mix.video, backwards=mix.backwards, texts=Texts(mix.text, mix.actions), mix=None)


def _method(seen: Seen) -> Method:
    return ALONE if seen.mix is None else seen.mix.method


def _rows(
    task: str,
    seen: Seen,
    samples: Sequence[Sample],
    right: Tensor,
    wrong: Tensor,
    won: Tensor,
    ranks: Tensor | None = None,
) -> list[Row]:
    columns = zip(samples, right.tolist(), wrong.tolist(), won.double().tolist(), strict=True)
    places = [None] * len(samples) if ranks is None else ranks.tolist()
    return [
        Row(s.id, s.group, seen.model, seen.data, task, seen.control, seen.seed, best, foil, credit, place)
        for (s, best, foil, credit), place in zip(columns, places, strict=True)
    ]


def _estimate(rows: Sequence[Row], of: Sequence[int], ties: int, won: Tensor | None = None) -> Estimate:
    credits = [row.credit for row in rows] if won is None else won.double().tolist()
    return estimate(np.array([credits[i] for i in of], dtype=np.float64), [rows[i].group for i in of], ties)


def _score(task: str, seen: Seen, metric: str, e: Estimate) -> Score:
    return Score(seen.model, seen.data, task, seen.control, metric, e.value, e.low, e.high, e.n, e.ties, seen.seed)
