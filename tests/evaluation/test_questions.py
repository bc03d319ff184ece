"""Questions with a few choices: who takes part, what is right, and what of them is reported."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.backbones.base import normalise
from paxion.evaluation.chance import chance_scores
from paxion.evaluation.questions import (
    question_parts,
    question_results,
    question_rows,
    question_scores,
    questions_of,
    unknown_hard,
)
from paxion.evaluation.settings import Settings
from paxion.records import PaxionError, Sample
from paxion.results import Missed


def question(name: str, answer: int | None = 0, choices: int = 5, kind: str | None = None) -> Sample:
    return Sample(
        name, "v", "c", "test", f"g-{name}", question="why?", choices=tuple(f"a{k}" for k in range(choices)),
        answer=answer, kind=kind,
    )  # fmt: skip


def answered(scores: list[list[float]], samples: list[Sample]):
    asked = questions_of(samples, "d")
    rows, ties = question_rows(torch.tensor(scores), asked, model="m", data="d")
    return rows, ties, asked


def test_a_question_that_cannot_be_scored_is_named_and_counted():
    samples = [
        *(question(f"q{i}") for i in range(3)),
        question("four", choices=4),
        question("one", choices=1),
        question("no answer", answer=None),
        question("wrong answer", answer=5),
        Sample("clip", "v", "c", "test", "g"),
        replace(question("no choices"), choices=None),
    ]
    asked = questions_of(samples, "d")
    assert (asked.places, asked.width) == ((0, 1, 2), 5)
    assert set(asked.missed) == {
        Missed("d", "questions", "a question with 4 choices, not 5 as most", 1, ("four",)),
        Missed("d", "questions", "a question with fewer than two choices", 2, ("one", "no choices")),
        Missed("d", "questions", "a question without an answer", 1, ("no answer",)),
        Missed("d", "questions", "a question whose answer is none of its choices", 1, ("wrong answer",)),
        Missed("d", "questions", "no question", 1, ("clip",)),
    }


def test_a_set_may_have_another_number_of_choices():
    asked = questions_of([question("a", choices=3), question("b", choices=3), question("c")], "d")
    assert asked.width == 3 and len(asked.samples) == 2 and asked.missed[0].examples == ("c",)
    assert questions_of([Sample("a", "v", "c", "test", "g")], "d").width == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=5), st.data())
def test_credit_is_the_mean_over_all_orders_of_ties(levels, data):
    answer = data.draw(st.integers(0, len(levels) - 1))
    orders = [
        order for order in permutations(range(len(levels))) if all(levels[a] >= levels[b] for a, b in pairwise(order))
    ]
    rows, _, _ = answered([[level / 10 for level in levels]], [question("q", answer, len(levels))])
    assert rows[0].credit == pytest.approx(np.mean([order[0] == answer for order in orders]))


def test_right_is_the_answer_and_wrong_the_best_of_the_others():
    rows, ties, _ = answered(
        [[0.1, 0.5, 0.3, 0.5, 0.2], [0.1, 0.2, 0.9, 0.3, 0.4]], [question("a", 1), question("b", 2)]
    )
    assert [(row.right, row.wrong, row.credit) for row in rows] == [
        pytest.approx((0.5, 0.5, 0.5)),
        pytest.approx((0.9, 0.4, 1.0)),
    ]
    assert ties == [True, False]


def test_groups_kinds_and_the_hard_subset_are_reported():
    kinds = ["CW", "CH", "TN", "TC", "TP", "DC", "DL", "DO", "cup", "CW"]
    samples = [question(f"q{i}", 0, 2, kind) for i, kind in enumerate(kinds)] + [question("x", 0, 2)]
    scores = [[1.0, 0.0] if i in (0, 2, 9) else [0.0, 1.0] for i in range(11)]
    rows, ties, asked = answered(scores, samples)
    hard = frozenset({"q0", "q1", "nobody"})
    found = {s.task: (s.value, s.n) for s in question_results(rows, ties, question_parts(asked, hard))}
    assert found["questions"] == (pytest.approx(3 / 11), 11)
    assert found["questions:causal"] == (pytest.approx(2 / 3), 3)
    assert found["questions:temporal"] == (pytest.approx(1 / 3), 3)
    assert found["questions:descriptive"] == (0, 3)
    assert found["questions:hard"] == (0.5, 2)
    assert found["questions:CW"] == (1, 2)
    # A kind of another data set is no group of NExT-QA's, whatever its letter.
    assert found["questions:cup"] == (0, 1)
    assert unknown_hard(samples, hard, "d") == [
        Missed("d", "questions:hard", "no sample of this id of the hard subset", 1, ("nobody",))
    ]


def test_every_score_by_hand():
    torch.manual_seed(0)
    samples = [replace(question(f"q{i}", i % 3, 3), question=f"what {i}?") for i in range(7)]
    samples.insert(2, Sample("clip", "v", "c", "test", "g"))
    names = [f"what {i}? a{k}" for i in range(7) for k in range(3)]
    text = dict(zip(names, normalise(torch.randn(21, 8)), strict=True))
    video = normalise(torch.randn(8, 4, 8))
    asked = questions_of(samples, "d")
    found = question_scores(video, asked, text, Settings())
    assert found.shape == (7, 3)
    clips = [0, 1, 3, 4, 5, 6, 7]
    for i, clip in enumerate(clips):
        for k in range(3):
            assert found[i, k].item() == pytest.approx((video[clip] @ text[f"what {i}? a{k}"]).max().item(), abs=1e-6)
    video[4] = torch.nan
    with pytest.raises(PaxionError, match='sample "q3": got a similarity of nan'):
        question_scores(video, asked, text, Settings())
    with pytest.raises(PaxionError, match=r'got no vector for the text "what 0\? a0"'):
        question_scores(video, asked, {}, Settings())


def test_the_level_of_guessing():
    samples = [question(f"q{i}", 0, 4, "CW") for i in range(3)] + [question("other", choices=2)]
    tagged = [replace(s, template=t, action=a) for s, t, a in zip(samples, "xyz", "AAB", strict=False)]
    found = {(s.task, s.metric): s for s in chance_scores("d", tagged)}
    assert {key: (s.value, s.n) for key, s in found.items()} == {
        ("questions", "accuracy"): (0.25, 3),
        ("questions:causal", "accuracy"): (0.25, 3),
        ("questions:CW", "accuracy"): (0.25, 3),
        ("video_to_action", "R@1"): (pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3), 3),
    }
    assert {score.model for score in found.values()} == {"chance"}
    chosen = Settings(labels=("x", "y", "u", "w"), texts=("p", "q"))
    listed = {(s.task, s.metric): s for s in chance_scores("d", tagged, settings=chosen)}
    # z is not among the labels; x and y are both right for A.
    assert (listed["video_to_action", "R@1"].value, listed["video_to_action", "R@1"].n) == (0.5, 2)
    assert listed["video_to_text", "R@1"].value == pytest.approx(1 / 3)


def test_guessing_an_action_is_right_with_any_of_its_paraphrases():
    samples = [
        Sample(str(i), f"{i}.mp4", "c", "test", str(i), template=f"t{i}", action="a" if i < 2 else f"a{i}")
        for i in range(8)
    ]
    found = {score.metric: score.value for score in chance_scores("d", samples, ("video_to_action",))}
    # Of 8 templates, two are right for two clips and one for the six others: 5 drawn miss both with 3·2 / (8·7).
    assert found["R@1"] == pytest.approx((2 * 2 / 8 + 6 * 1 / 8) / 8)
    assert found["R@5"] == pytest.approx((2 * (1 - 6 / 56) + 6 * 5 / 8) / 8)
