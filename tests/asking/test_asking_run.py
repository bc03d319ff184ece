"""What models of known behaviour must score, on real clips."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from answerers import Scripted, caption_of, options_of

from paxion.asking.cache import Cache
from paxion.asking.model import Failed, Likelihood
from paxion.asking.run import Plan, ask
from paxion.evaluation.scoring import Evaluation
from paxion.evaluation.twins import TURNED
from paxion.manifest import read_manifest, video_path
from paxion.video.decode import read_clip

PROBED = ("antonym", "object", "reversal", "twins")


@pytest.fixture(scope="module")
def samples(tiny_manifest):
    found = [s for s in read_manifest(tiny_manifest) if s.split == "test" and s.antonym and s.replaced]
    return [s for s in found if s.reversible is not False and s.id.endswith("forward")][:5]


@pytest.fixture(scope="module")
def truth(tiny_manifest, samples):
    """What each clip and its reversal show, by their pixels."""
    known = {}
    for sample in samples:
        frames = read_clip(video_path(tiny_manifest, sample), "midpoint", 4, sample.start, sample.end).frames
        known[frames.numpy().tobytes()] = sample.caption
        known[frames.flip(0).numpy().tobytes()] = sample.antonym
    return known


@pytest.fixture
def scores(tiny_manifest, samples, tmp_path):
    """Ask an answerer; gives values by (scorer, task, metric) and the evaluation."""

    def run(answerer, rows=None, **changes) -> tuple[dict[tuple[str, str, str], float], Evaluation]:
        plan = Plan(tiny_manifest, {"world": rows or samples}, tasks=PROBED)
        found = ask(answerer, replace(plan, **changes), Cache(tmp_path / "cache"))
        named = {(s.model.removeprefix(answerer.name).strip(" []"), s.task, s.metric): s.value for s in found.scores}
        return named, found

    return run


def knower(truth) -> Scripted:
    def seen(clip):
        return None if clip is None else truth[clip.numpy().tobytes()]

    def say(clip, prompt):
        if options := options_of(prompt):
            return next(letter for letter, text in options.items() if text == seen(clip))
        return "Yes." if caption_of(prompt) == seen(clip) else "No."

    def like(clip, prompt, text):
        return Likelihood(-1.0 if text == seen(clip) else -5.0, len(text.split()))

    return Scripted("knower", say, like)


def test_a_model_that_knows_the_truth_is_right_everywhere(scores, truth):
    found, evaluation = scores(knower(truth))
    for how in ("likelihood", "likelihood/token", "likelihood-blind"):
        for task in PROBED:
            assert found[how, task, "accuracy"] == 1
        assert found[how, "twins", "group"] == 1
    for task in ("antonym", "object"):
        assert found["choice", task, "accuracy"] == found["choice", task, "both_orders"] == 1
        assert found["choice", task, "consistency"] == found["choice", task, "gold_1"] == 1
        assert found["choice", task, "answered_first"] == 0.5
    for task in PROBED:
        assert found["yes-no", task, "both_right"] == 1 and found["yes-no", task, "answered_first"] == 0.5
    assert ("choice", "reversal", "accuracy") not in found and "choice does not ask about reversal" in evaluation.notes


def test_a_model_that_always_says_a_is_right_half_of_the_time_and_never_in_both_orders(scores):
    found, evaluation = scores(Scripted("a"), how=("choice",))
    for task in ("antonym", "object", "twins"):
        assert found["choice", task, "accuracy"] == 0.5
        assert found["choice", task, "both_orders"] == found["choice", task, "consistency"] == 0
        assert found["choice", task, "answered_first"] == found["choice", task, "gold_1"] == 1
        assert found["choice", task, "gold_2"] == found["choice", task, "unparsed"] == 0
    assert all(row.credit == 0.5 for row in evaluation.rows)


def test_a_model_that_always_says_yes_is_never_strictly_right_and_answers_twins_alike(scores):
    found, _ = scores(Scripted("yes", lambda clip, prompt: "Yes."), how=("yes-no",))
    for task in PROBED:
        assert found["yes-no", task, "accuracy"] == 0.5 and found["yes-no", task, "both_right"] == 0
        assert found["yes-no", task, "answered_first"] == found["yes-no", task, "gold_yes"] == 1
    assert found["yes-no", "twins", "same_answer"] == 1


def test_a_model_that_does_not_look_ties_relative_to_the_blind_prompt(scores):
    blind = Scripted("blind", like=lambda clip, prompt, text: Likelihood(-len(text) / 7, len(text.split())))
    found, evaluation = scores(blind, how=("likelihood",))
    for task in PROBED:
        assert found["likelihood-blind", task, "accuracy"] == 0.5
    assert found["likelihood", "reversal", "accuracy"] == found["likelihood/token", "reversal", "accuracy"] == 0.5
    tied = [score for score in evaluation.scores if "blind]" in score.model and score.metric == "accuracy"]
    assert all(score.ties == score.n for score in tied)


def test_what_cannot_be_parsed_is_wrong_and_counted_with_its_ids(scores):
    found, evaluation = scores(Scripted("mumbler", lambda clip, prompt: "A or B"), how=("choice", "yes-no"))
    assert found["choice", "antonym", "accuracy"] == 0 and found["choice", "antonym", "unparsed"] == 1
    assert found["yes-no", "antonym", "accuracy"] == 0 and found["yes-no", "antonym", "unparsed"] == 1
    assert ("choice", "antonym", "answered_first") not in found and found["choice", "antonym", "consistency"] == 0
    note = next(note for note in evaluation.notes if "[choice] (antonym" in note)
    assert "10 of 10 answers" in note and evaluation.rows[0].id in note


def test_a_failure_is_a_counted_miss_asked_again_and_ends_nothing(scores, samples):
    lost = samples[1].caption

    def like(clip, prompt, text):
        if text == lost:
            raise RuntimeError("out of memory\nand more")
        return Likelihood(-float("nan") if text == samples[2].caption else -1.0, 3)

    model = Scripted("weak", lambda clip, prompt: Failed("no answer") if lost in prompt else "A", like)
    _, evaluation = scores(model, how=("likelihood", "choice"), tasks=("antonym",))
    reasons = {(miss.reason.split(",")[0], miss.count, miss.examples) for miss in evaluation.missed}
    assert ("RuntimeError: out of memory", 1, (samples[1].id,)) in reasons
    assert ("no answer", 1, (samples[1].id,)) in reasons
    assert any("nan" in reason and ids == (samples[2].id,) for reason, _, ids in reasons)
    assert {score.n for score in evaluation.scores if score.metric == "both_orders"} == {len(samples) - 1}
    before = model.calls
    scores(model, how=("likelihood", "choice"), tasks=("antonym",))
    assert 0 < model.calls - before < before


def test_nothing_is_asked_twice(scores, truth):
    model = knower(truth)
    first, _ = scores(model)
    calls = model.calls
    again, _ = scores(model)
    assert model.calls == calls and again == first
    scores(model, controls=("none", "blind"), how=("likelihood",))
    assert model.calls == calls  # the blind prompts were asked for the ranking that needs them


def test_clips_that_cannot_be_read_are_counted_misses(scores, samples):
    gone = replace(samples[0], id="gone", video="gone.mp4")
    found, evaluation = scores(Scripted("a"), rows=[gone, *samples], how=("choice",), tasks=("antonym", "twins"))
    assert found["choice", "antonym", "accuracy"] == 0.5
    assert [(m.count, m.examples) for m in evaluation.missed] == [(1, ("gone",)), (2, ("gone", "gone" + TURNED))]
    assert all("no video file" in miss.reason for miss in evaluation.missed)


def test_controls_change_what_is_shown(scores, samples, truth):
    shown: dict[int, int] = {}

    def say(clip, prompt):
        frames = 0 if clip is None else len(torch.unique(clip, dim=0))
        shown[frames] = shown.get(frames, 0) + 1
        return "A"

    scores(Scripted("watcher", say), how=("choice",), tasks=("antonym",), controls=("first", "frozen", "blind"))
    assert set(shown) == {0, 1} and shown[0] == 2 * len({(s.caption, s.antonym) for s in samples})
    model = knower(truth)
    found, evaluation = scores(model, how=("likelihood",), controls=("antonym_said",), tasks=("reversal",))
    assert found["likelihood", "reversal", "accuracy"] == 0
    _, evaluation = scores(model, how=("likelihood",), controls=("reversed",), tasks=("antonym", "reversal"))
    assert all(row.credit == 0 for row in evaluation.rows)
    _, evaluation = scores(model, how=("likelihood",), controls=("other",), tasks=("reversal",), rows=samples[:1])
    assert not evaluation.rows and evaluation.missed[0].reason.startswith("one clip alone")


def test_questions_are_asked_in_every_rotation(scores, samples):
    asked = [
        replace(s, question="What happens?", choices=("w", "x", "y", "z"), answer=i % 4) for i, s in enumerate(samples)
    ]
    found, _ = scores(Scripted("a"), rows=asked, how=("choice",), tasks=("questions",))
    assert found["choice", "questions", "accuracy"] == 0.25 and found["choice", "questions", "gold_1"] == 1
    assert found["choice", "questions", "gold_4"] == found["choice", "questions", "both_orders"] == 0
    like = Scripted("flat", like=lambda clip, prompt, text: Likelihood(-1.0, 1))
    found, _ = scores(like, rows=asked, how=("likelihood",), tasks=("questions",))
    assert math.isclose(found["likelihood", "questions", "accuracy"], 0.25)


@pytest.mark.parametrize(
    ("how", "tasks", "calls"),
    [
        ("likelihood", ("antonym",), 4),
        ("likelihood", ("reversal",), 3),
        ("likelihood", ("twins",), 6),
        ("likelihood", ("antonym", "reversal", "twins"), 6),
        ("choice", ("antonym",), 2),
        ("choice", ("twins",), 4),
        ("yes-no", ("antonym",), 2),
        ("yes-no", ("reversal", "twins"), 2),
    ],
)
def test_calls_are_as_many_as_documented(scores, samples, how, tasks, calls):
    model = Scripted("a", like=lambda clip, prompt, text: Likelihood(-1.0, 1))
    scores(model, how=(how,), tasks=tasks, rows=samples[:1])
    assert model.calls == calls


def test_the_wrong_kind_of_answer_is_a_miss(scores):
    model = Scripted("odd", lambda clip, prompt: Likelihood(-1.0, 1), lambda clip, prompt, text: "A")  # type: ignore
    found, evaluation = scores(model)
    assert not found and sum("other kind" in miss.reason for miss in evaluation.missed) == 11


def test_a_model_without_likelihoods_is_not_asked_for_them(scores):
    found, evaluation = scores(Scripted("words"))
    assert (
        not any(how.startswith("likelihood") for how, *_ in found) and "gives no log-likelihoods" in evaluation.notes[0]
    )


def test_the_order_of_samples_and_batches_changes_nothing(scores, truth, samples, tmp_path):
    first, _ = scores(knower(truth), batch=1)
    model = knower(truth)
    model.name = "other"
    second, _ = scores(model, rows=samples[::-1], batch=7)
    assert first == second and model.calls and Path(tmp_path / "cache" / "answers.jsonl").stat().st_size
