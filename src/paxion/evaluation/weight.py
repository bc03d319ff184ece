"""The weight of the backbone in score-sum, chosen on clips that nothing is reported on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from paxion.backbones.base import Encoder
from paxion.evaluation.clips import clip_vectors
from paxion.evaluation.methods import Mix
from paxion.evaluation.scoring import Seen, score_task
from paxion.evaluation.settings import Method, Settings
from paxion.evaluation.texts import texts_of
from paxion.features.source import FeatureSource
from paxion.records import TASKS, TWINS, PaxionError, Sample, unknown_name
from paxion.video.controls import CONTROLS

WEIGHTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""The weights that are tried: from the model alone to nearly the backbone alone."""
MAIN = ("accuracy", "R@1")
"""The metrics whose mean decides, one a task."""


def choose_weight(
    encoder: Encoder,
    beside: Encoder,
    source: FeatureSource,
    keys: Mapping[str, str],
    samples: Sequence[Sample],
    tasks: Sequence[str],
    settings: Settings,
    *,
    seed: int = 0,
    batch: int = 256,
    device: str = "cpu",
) -> float:
    """The weight of WEIGHTS with the highest mean, over the tasks, of accuracy or R@1 on these (validation) samples.

    All questions count as one task. Of equal weights the smallest is taken: the model needs no more of the backbone.
    Raises PaxionError where no clip can be read or nothing can be scored, and for an unknown task.
    """
    for task in tasks:
        if task not in TASKS:
            raise unknown_name("task", task, TASKS)
    present = [sample for sample in samples if sample.id in keys]
    if not present:
        raise PaxionError(f"got none of {len(samples)} validation clips that can be read, to choose a weight on")
    (clips, backwards), (other, turned) = clip_vectors(
        (encoder, beside), source, keys, present, backwards=bool({"reversal", *TWINS} & set(tasks)), seed=seed,
        batch=batch, device=device,
    )  # fmt: skip
    mine, its = (texts_of(each, present, tasks, settings) for each in (encoder, beside))
    found: dict[float, float] = {}
    for weight in WEIGHTS:
        mix = Mix(Method("score-sum", weight), other, its.text, turned, its.actions)
        seen = Seen(encoder.name, "val", present, CONTROLS[0], seed, clips, backwards, mine, mix)
        plain = replace(settings, protocol="default", per_action=False)
        scores = [score for task in tasks for score in score_task(task, seen, plain).scores]
        values = [score.value for score in scores if score.task in tasks and score.metric in MAIN]
        if not values:
            raise PaxionError(
                f"got nothing to score among {len(present)} validation clips under {', '.join(tasks)}; "
                "give other clips or tasks to choose a weight on, or the weight itself"
            )
        found[weight] = sum(values) / len(values)
    best = max(found.values())
    return min(weight for weight, value in found.items() if value >= best - 1e-12)
