"""Asking one model about the samples of a manifest: every scorer, task and control, each call made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paxion.asking import choice, likelihood, yes_no
from paxion.asking.cache import Cache
from paxion.asking.calls import answered
from paxion.asking.clips import clip_of, reader, view_of
from paxion.asking.items import ASKABLE, About, Outcomes, Request, Shown
from paxion.asking.model import Answerer
from paxion.asking.prompts import OURS, Prompts
from paxion.evaluation.chance import question_chance
from paxion.evaluation.exchange import contradicted, others
from paxion.evaluation.scoring import Evaluation
from paxion.records import Sample
from paxion.results import Missed
from paxion.video.controls import ANTONYM_SAID, OTHER

HOW = ("likelihood", "choice", "yes-no")
"""The scorers."""
SCORERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "likelihood": (likelihood, ASKABLE),
    "choice": (choice, choice.CHOOSABLE),
    "yes-no": (yes_no, yes_no.DECIDABLE),
}
"""The module of each scorer and the tasks that it can ask about."""


@dataclass(frozen=True)
class Plan:
    """What is asked of every model."""

    manifest: Path
    by_data: Mapping[str, Sequence[Sample]]
    how: tuple[str, ...] = HOW
    tasks: tuple[str, ...] = ASKABLE
    controls: tuple[str, ...] = ("none",)
    prompts: Prompts = OURS
    sampler: str = "midpoint"
    seed: int = 0
    batch: int = 8


@dataclass(frozen=True)
class _Part:
    """One scorer on one task of one data set under one control."""

    scorer: Any
    items: Sequence[Any]
    about: About

    @property
    def requests(self) -> list[Request]:
        return [request for item in self.items for request in self.scorer.requests(item)]

    def results(self, outcomes: Outcomes) -> Evaluation:
        found: Evaluation = self.scorer.results(self.items, outcomes, self.about)
        return found


def ask(
    answerer: Answerer,
    plan: Plan,
    cache: Cache,
    begin: Callable[[int], Callable[[int], object]] = lambda total: lambda done: None,
) -> Evaluation:
    """What one model scores. begin: called with the number of calls; gives what is told how many more are done.

    A sample that cannot be shown, or that the model fails on, is a counted miss of what it was asked for.
    """
    result = Evaluation(notes=list(cache.notes))
    if "likelihood" in plan.how and not answerer.scores_text:
        result.notes.append(f"{answerer.name} gives no log-likelihoods: it is not asked for likelihood")
    parts = list(_parts(answerer, plan, result))
    requests = dict.fromkeys(request for part in parts for request in part.requests)
    read = reader(plan.sampler, answerer.frames)
    tick = begin(len(requests))
    found = answered(answerer, requests, cache, read, sampler=plan.sampler, batch=plan.batch, tick=tick)
    for part in parts:
        result.add(part.results(found.__getitem__))
    return result


def chance(plan: Plan) -> Evaluation:
    """What guessing gives where it does not follow from the task."""
    scores = [
        score
        for data, samples in plan.by_data.items()
        if "questions" in plan.tasks
        for score in question_chance(data, samples, seed=plan.seed)
        if score.task == "questions"
    ]
    return Evaluation(scores)


def _parts(answerer: Answerer, plan: Plan, result: Evaluation) -> Iterator[_Part]:
    for how in plan.how:
        scorer, able = SCORERS[how]
        if how == "likelihood" and not answerer.scores_text:
            continue
        if unable := [task for task in plan.tasks if task not in able]:
            result.notes.append(f"{how} does not ask about {', '.join(unable)}")
        for data, samples in plan.by_data.items():
            for control in plan.controls:
                tasks = [
                    task for task in plan.tasks if task in able and (control != ANTONYM_SAID or task == "reversal")
                ]
                shown, missed = _shown(plan, data, samples, control, answerer.frames)
                result.add(Evaluation(missed=missed if tasks else []))
                for task in tasks:
                    items, skipped = scorer.items(shown, task, plan.prompts, data)
                    result.add(Evaluation(missed=skipped))
                    yield _Part(scorer, items, About(answerer.name, data, task, control, plan.seed))


def _shown(
    plan: Plan, data: str, samples: Sequence[Sample], control: str, frames: int
) -> tuple[list[Shown], list[Missed]]:
    """The samples with what is shown of them under a control, and what cannot be shown."""
    missed: list[Missed] = []
    clips = [clip_of(plan.manifest, sample) for sample in samples]
    said, kind = list(samples), control
    if control == OTHER:
        whose = others(samples, plan.seed)
        if whose is None:
            return [], [Missed(data, f"all, {control}", "one clip alone: there is no other", len(samples))]
        clips, kind = [clips[i] for i in whose], "none"
    elif control == ANTONYM_SAID:
        lost = [sample.id for sample in samples if sample.antonym is None and sample.reversible is not False]
        missed = [Missed(data, f"reversal, {control}", "no antonym", len(lost), tuple(lost[:5]))] if lost else []
        kept = [i for i, sample in enumerate(samples) if sample.antonym is not None]
        said, clips, kind = contradicted([samples[i] for i in kept]), [clips[i] for i in kept], "none"
    found = [
        Shown(
            sample,
            view_of(sample, clip, kind, frames, plan.seed),
            view_of(sample, clip, kind, frames, plan.seed, turned=True),
        )
        for sample, clip in zip(said, clips, strict=True)
    ]
    return found, missed
