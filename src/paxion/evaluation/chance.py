"""What guessing scores, where it does not follow from the number of candidates alone: rows of the model "chance"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb

from paxion.evaluation.questions import question_parts, questions_of
from paxion.evaluation.settings import DEFAULT, Settings
from paxion.records import TASKS, Sample, Score

CHANCE = "chance"


def chance_scores(
    data: str, samples: Sequence[Sample], tasks: Sequence[str] = TASKS, settings: Settings = DEFAULT, seed: int = 0
) -> list[Score]:
    """The levels of questions, video_to_action and video_to_text as far as they are among the tasks.

    samples: those whose clip can be read.
    """
    found: list[Score] = []
    if "questions" in tasks:
        found += question_chance(data, samples, settings, seed)
    if "video_to_action" in tasks:
        found += action_chance(data, samples, settings, seed)
    if "video_to_text" in tasks and settings.texts and samples:
        texts = {*settings.texts, *(sample.caption for sample in samples)}
        found += [
            _score(data, "video_to_text", f"R@{k}", k / len(texts), len(samples), seed)
            for k in (1, 5, 10)
            if k == 1 or k < len(texts)
        ]
    return found


def clip_chance(data: str, samples: Sequence[Sample], seed: int = 0) -> list[Score]:
    """R@k of guessing among the clips, mean over the distinct captions: every clip of a caption is right for it."""
    counts, gallery = Counter(sample.caption for sample in samples), len(samples)
    return [
        _score(
            data,
            "text_to_video",
            f"R@{k}",
            sum(_hit(right, gallery, k) for right in counts.values()) / len(counts),
            len(counts),
            seed,
        )
        for k in (1, 5, 10)
        if counts and (k == 1 or k < gallery)
    ]


def question_chance(data: str, samples: Sequence[Sample], settings: Settings = DEFAULT, seed: int = 0) -> list[Score]:
    """Accuracy of guessing: one by the number of choices, for every part that is scored."""
    asked = questions_of(samples, data)
    parts = question_parts(asked, settings.hard)
    return [
        _score(data, task, "accuracy", 1 / asked.width, len(places), seed) for task, places in parts.items() if places
    ]


def action_chance(data: str, samples: Sequence[Sample], settings: Settings = DEFAULT, seed: int = 0) -> list[Score]:
    """R@1 and R@5 of guessing a label, or without labels a template: paraphrases of the right action are right too."""
    known = set(settings.labels)
    asked = [sample for sample in samples if sample.template is not None and (not known or sample.template in known)]
    said: dict[tuple[str, str | None], set[str | None]] = {}
    for sample in asked:
        said.setdefault(_action(sample), set()).add(sample.template)
    if not asked:
        return []
    gallery = len(known or {sample.template for sample in asked})
    right = [len(said[_action(sample)]) for sample in asked]
    return [
        _score(
            data, "video_to_action", f"R@{k}", sum(_hit(n, gallery, k) for n in right) / len(asked), len(asked), seed
        )
        for k in (1, 5)
        if k == 1 or k < gallery
    ]


def _hit(right: int, gallery: int, k: int) -> float:
    """The chance that one of `right` candidates is among k drawn from the gallery."""
    return 1 - comb(gallery - right, k) / comb(gallery, k)


def _action(sample: Sample) -> tuple[str, str | None]:
    return ("action", sample.action) if sample.action else ("template", sample.template)


def _score(data: str, task: str, metric: str, level: float, n: int, seed: int) -> Score:
    return Score(CHANCE, data, task, "none", metric, level, level, level, n, 0, seed)
