"""Every dummy scores what `dummy_levels` says, on every task, control and metric, through the whole evaluation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.evaluation.dummies import DUMMIES, Dummy, dummy_evaluation
from paxion.evaluation.dummy_levels import Levels
from paxion.evaluation.settings import Settings
from paxion.records import PROBES, TASKS, TWINS, PaxionError, Sample
from paxion.video.controls import ANTONYM_SAID, MEASURED
from paxion.world.generate import WorldPlan, draw_split

CHOICES = PROBES + TWINS


@pytest.fixture(scope="module")
def world() -> list[Sample]:
    """Captions and templates that clips share, and some clips without antonym or object foil."""
    samples = [clip.sample for clip in draw_split(WorldPlan(0, 0, 30, 0, 16), "A", "test")]
    samples = [replace(s, antonym=None) if i % 13 == 0 else s for i, s in enumerate(samples)]
    return [replace(s, replaced=None) if i % 11 == 0 else s for i, s in enumerate(samples)]


def certain(name: str, control: str, task: str, metric: str) -> bool:
    """Whether nothing is left to chance: what a dummy does not know ties, but for what it takes for something else."""
    if name == "random" or control == "other":
        return control == "blind"
    if name == "longest-text":
        return True
    mistaken = control == "reversed" or (control in ("last", "shuffled", "frozen") and name == "first-frame-oracle")
    if task in CHOICES and metric != "AUROC":
        return not (mistaken and task == "object")
    return not mistaken and control in ("none", "blind") and metric in ("R@1", "accuracy")


def leeway(n: int) -> float:
    """Four standard errors of a coin, of half as many independent samples: clips of a scene share their texts."""
    return 4 * math.sqrt(0.25 / (n / 2))


@pytest.mark.parametrize("control", MEASURED)
@pytest.mark.parametrize("name", DUMMIES)
def test_every_dummy_scores_what_is_known_of_it(world, name, control):
    tasks = ("reversal",) if control == ANTONYM_SAID else TASKS
    found = dummy_evaluation(name, world, data="w", tasks=tasks, controls=(control,), seed=1)
    levels = Levels(Dummy(name, world, seed=1), control)
    scores = [score for score in found.scores if score.task in TASKS]
    assert {score.task for score in scores} == set(tasks) and {score.model for score in scores} == {f"dummy:{name}"}
    for score in scores:
        expected = levels.value(score.task, score.metric)
        allowed = 1e-6 if certain(name, control, score.task, score.metric) else leeway(score.n)
        assert score.value == pytest.approx(expected, abs=allowed), (score.task, score.metric)


def values(name: str, samples: list[Sample], control: str = "none", tasks=CHOICES, **given: object) -> dict:
    found = dummy_evaluation(name, samples, data="w", tasks=tasks, controls=(control,), **given)
    return {(score.task, score.metric): score.value for score in found.scores}


def test_what_the_documentation_says_in_numbers(world):
    oracle = values("oracle", world, tasks=TASKS)
    for task in CHOICES:
        assert oracle[task, "accuracy"] == 1
    assert {oracle["twins", metric] for metric in ("both_right", "text", "video", "group")} == {1}
    assert oracle["twins", "same_answer"] == 0
    assert {oracle[task, "R@1"] for task in ("text_to_video", "video_to_text", "video_to_action")} == {1}
    assert oracle["questions", "accuracy"] == 1
    for control in ("first", "middle", "last", "frozen", "shuffled", "blind"):
        assert values("oracle", world, control)["antonym", "accuracy"] == 0.5
        assert values("oracle", world, control)["reversal", "accuracy"] == 0.5
    assert values("oracle", world, "reversed")["antonym", "accuracy"] == 0
    assert values("oracle", world, "blind")["object", "accuracy"] == 0.5
    blind_to_order = values("order-blind", world)
    assert blind_to_order["antonym", "accuracy"] == blind_to_order["reversal", "accuracy"] == 0.5
    assert blind_to_order["object", "accuracy"] == 1
    assert blind_to_order["twins", "both_right"] == 0.25
    verb = values("verb-only", world)
    assert verb["antonym", "accuracy"] == verb["reversal", "accuracy"] == 1 and verb["object", "accuracy"] == 0.5
    first = values("first-frame-oracle", world, "first")
    assert first["antonym", "accuracy"] == first["reversal", "accuracy"] == 1
    longest = values("longest-text", world)
    assert longest["reversal", "accuracy"] == 0.5
    asked = [sample for sample in world if sample.antonym]
    longer = [(len(s.caption) > len(s.antonym)) + (len(s.caption) == len(s.antonym)) / 2 for s in asked]
    assert longest["antonym", "accuracy"] == pytest.approx(sum(longer) / len(asked))
    said = dummy_evaluation("oracle", world, data="w", tasks=("reversal",), controls=(ANTONYM_SAID,))
    assert {score.value for score in said.scores if score.metric == "accuracy"} == {0}


@pytest.mark.parametrize("control", ["none", "last", "blind", "shuffled", "other"])
def test_guessing_over_many_seeds_comes_to_chance(world, control):
    found = [values("random", world, control, seed=seed) for seed in range(12)]
    levels = [Levels(Dummy("random", world, seed=seed), control) for seed in range(12)]
    for (task, metric), _ in found[0].items():
        mean = sum(one[task, metric] for one in found) / len(found)
        expected = sum(level.value(task, metric) for level in levels) / len(levels)
        assert mean == pytest.approx(expected, abs=leeway(12 * 60)), (task, metric)


TEXTS = st.sampled_from(["it falls", "it rises", "a cup falls", "a cup rises", "it spins"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.integers(0, 3), st.booleans()), min_size=2, max_size=12),
    st.sampled_from(["oracle", "order-blind", "longest-text"]),
    st.sampled_from(["none", "first", "shuffled", "frozen", "blind"]),
)
def test_the_levels_hold_for_any_manifest(drawn, name, control):
    samples = [
        Sample(
            f"s{i}", "a.mp4", caption, "test", f"g{group}",
            antonym=antonym if antonym != caption else None, reversible=reversible or None,
        )
        for i, (caption, antonym, group, reversible) in enumerate(drawn)
    ]  # fmt: skip
    found = dummy_evaluation(name, samples, data="w", tasks=("antonym", "reversal", "twins"), controls=(control,))
    levels = Levels(Dummy(name, samples), control)
    for score in found.scores:
        if score.metric != "AUROC":
            assert score.value == pytest.approx(levels.value(score.task, score.metric), abs=1e-6)


def test_prompts_and_labels_reach_the_dummies(world):
    labels = (*sorted({sample.template for sample in world}), "nothing of the kind")
    given = Settings(labels=labels, prompts=("a video of {}", "{}"))
    found = values("oracle", world, tasks=("video_to_action",), settings=given)
    assert found["video_to_action", "R@1"] == 1


def test_ties_count_as_published_under_the_published_protocol(world):
    paper = Settings(protocol="paper")
    assert values("oracle", world, tasks=PROBES, settings=paper)["antonym", "accuracy"] == 1
    # Equal texts: the first, which is the right one, wins; a clip that equals its reversal is a coin.
    found = values("order-blind", world, "blind", tasks=PROBES, settings=paper)
    assert found["antonym", "accuracy"] == found["object", "accuracy"] == 1
    assert 0.2 < found["reversal", "accuracy"] < 0.8


def test_a_dummy_of_another_name_is_refused():
    with pytest.raises(PaxionError, match=r"unknown dummy 'orcale' \(did you mean 'oracle'"):
        dummy_evaluation("dummy:orcale", [], data="w", tasks=PROBES)
