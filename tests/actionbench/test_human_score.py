import json
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.actionbench.human_key import Key, Question
from paxion.actionbench.human_score import (
    FORMAT,
    cohen_kappa,
    krippendorff_alpha,
    read_sheet,
    result_text,
    score_answers,
)
from paxion.evaluation.statistics import clustered_interval
from paxion.manifest import field_problems
from paxion.records import PROBES, PaxionError, Score

N = 300
NONE = None
# Krippendorff (2011), example C: four observers, twelve units, missing values; the published nominal alpha is 0.743.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3),
    (NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE),
)


def make_key(n=N):
    """n questions of each task in turn, two of a group, the right one first in half of those of a task."""
    questions = []
    for i in range(n * len(PROBES)):
        task, right = PROBES[i % 3], 1 + i // 3 % 2
        options = ("forward", "reversed") if task == "reversal" else (f"caption {i}", f"foil {i}")
        first, second = options if right == 1 else options[::-1]
        questions.append(Question(f"q{i + 1:03}", task, f"s{i}", f"g{i // 2}", f"caption {i}", first, second, right))
    return Key("kit0", "tiny", 7, "0" * 16, tuple(questions))


@pytest.fixture
def answered(tmp_path):
    """Write the answers of a person: a function from a question to 1, 2, 0, or None for no answer."""

    def write(key, person, choose, /, **changes):
        rows = [
            {"id": question.id, "answer": answer, "ms": 1500, "changes": 0}
            for question in key.questions
            if (answer := choose(question)) is not None
        ]
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps({"format": FORMAT, "kit": key.kit, "person": person, "answers": rows} | changes))
        return path

    return write


def right(question):
    return question.right


def wrong(question):
    return 3 - question.right


def test_a_perfect_answerer(answered):
    key = make_key()
    result = score_answers(key, [answered(key, "AB", right)])
    (person,) = result.people
    assert set(person.accuracy) == {*PROBES, "all"}
    assert all((e.value, e.high, e.ties) == (1, 1, 0) and e.low > 0.95 for e in person.accuracy.values())
    assert person.accuracy["all"].n == 3 * N and person.unanswered == 0 and person.seconds == 1.5
    assert person.first.value == 0.5
    assert result.agreement == () and result.nobody_right == ()
    assert [(s.model, s.task) for s in result.scores] == [(m, t) for m in ("human:AB", "human:all") for t in PROBES]
    for score in result.scores:
        assert (score.data, score.control, score.metric, score.n, score.seed) == ("tiny", "none", "accuracy", N, 7)
        assert list(field_problems(Score, {name: getattr(score, name) for name in Score.__slots__})) == []


def test_a_guesser_is_at_chance(answered):
    key, chance = make_key(), random.Random(0)
    result = score_answers(key, [answered(key, "AB", lambda _: chance.choice([1, 2]))])
    for e in result.pooled.accuracy.values():
        assert e.low < 0.5 < e.high and 0.4 < e.value < 0.6


@pytest.mark.parametrize("option", [1, 2])
def test_a_constant_answerer_is_at_chance_with_a_known_bias(answered, option):
    key = make_key()
    person = score_answers(key, [answered(key, "AB", lambda _: option)]).people[0]
    assert all(e.value == 0.5 for e in person.accuracy.values())
    assert person.first.value == (option == 1)


def test_cannot_tell_counts_half_and_no_answer_not_at_all(answered):
    key = make_key(4)
    choose = dict(zip((q.id for q in key.questions), [0, NONE, 0, *[1] * 9], strict=True))
    person = score_answers(key, [answered(key, "AB", lambda q: choose[q.id])]).people[0]
    antonym, reversal = person.accuracy["antonym"], person.accuracy["reversal"]
    rights = [q.right == 1 for q in key.questions if q.task == "antonym"]
    assert (antonym.value, antonym.n, antonym.ties) == ((0.5 + sum(rights[1:])) / 4, 4, 1)
    assert reversal.n == 3 and person.unanswered == 1 and person.accuracy["all"].ties == 2
    assert person.first.n == 9 and person.first.value == 1
    unsure = score_answers(key, [answered(key, "CD", lambda _: 0)]).people[0]
    assert unsure.accuracy["all"].value == 0.5 and unsure.first is None
    partly = score_answers(key, [answered(key, "EF", lambda q: 1 if q.task == "object" else NONE)])
    assert set(partly.people[0].accuracy) == {"object", "all"} and "-" in result_text(partly)
    assert {score.task for score in partly.scores} == {"object"}


def test_several_people_to_a_clip_are_one_cluster(answered):
    key = make_key(20)
    chance = random.Random(1)
    choices = {q.id: q.right if chance.random() < 0.8 else 3 - q.right for q in key.questions}
    files = [answered(key, name, lambda q: choices[q.id]) for name in ("A", "B", "C", "D")]
    result = score_answers(key, files)
    one, pooled = result.people[0].accuracy["all"], result.pooled.accuracy["all"]
    # Four people who answer alike tell no more about the clips than one of them.
    assert pooled.n == 4 * one.n and (pooled.low, pooled.high) == pytest.approx((one.low, one.high))
    credits = [float(choices[q.id] == q.right) for q in key.questions]
    groups = [q.group for q in key.questions]
    assert (one.value, one.low, one.high) == pytest.approx(clustered_interval(np.array(credits), groups))


def test_agreement_of_two_is_cohens_kappa(answered):
    key = make_key(50)
    # 20 times both first, 15 both second, 5 and 10 times apart, of each 50: kappa 0.4 in the textbooks.
    pairs = [(1, 1)] * 20 + [(1, 2)] * 5 + [(2, 1)] * 10 + [(2, 2)] * 15
    of = {q.id: pairs[i // 3] for i, q in enumerate(key.questions)}
    files = [answered(key, name, lambda q, i=i: of[q.id][i]) for i, name in enumerate("AB")]
    overall, *tasks = score_answers(key, files).agreement
    assert (overall.task, overall.questions, overall.measure) == ("all", 150, "Cohen's kappa")
    assert overall.share == pytest.approx(0.7) and overall.value == pytest.approx(0.4)
    assert [found.task for found in tasks] == list(PROBES)
    assert all(found.value == pytest.approx(0.4) for found in tasks)


def test_agreement_of_more_is_krippendorffs_alpha(answered):
    units = [[row[i] for row in OBSERVERS if row[i] is not NONE] for i in range(12)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)
    key = make_key(4)
    choices = {"A": (1, 1, 0, 2), "B": (1, 1, 0, 2), "C": (1, 1, NONE, 2), "D": (2, 2, NONE, NONE)}
    files = [answered(key, n, lambda q, c=c: c[(int(q.id[1:]) - 1) % 4]) for n, c in choices.items()]
    overall = score_answers(key, files).agreement[0]
    assert overall.measure == "Krippendorff's alpha" and overall.questions == 12
    assert overall.share == pytest.approx((3 + 3 + 1 + 3) / (6 + 6 + 1 + 3))
    assert overall.value == pytest.approx(krippendorff_alpha([[1, 1, 1, 2]] * 6 + [[0, 0]] * 3 + [[2, 2, 2]] * 3))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=40))
def test_alpha_of_two_people_is_scotts_pi_for_small_samples(pairs):
    # For two people without gaps: alpha = 1 - (1 - pi) * (n - 1) / n with n = 2 * units.
    n = 2 * len(pairs)
    share = Counter(value for pair in pairs for value in pair)
    chance = sum((count / n) ** 2 for count in share.values())
    alpha = krippendorff_alpha(pairs)
    if len(share) == 1:
        assert alpha is None and cohen_kappa(pairs) is None
        return
    pi = (sum(a == b for a, b in pairs) / len(pairs) - chance) / (1 - chance)
    assert alpha == pytest.approx(1 - (1 - pi) * (n - 1) / n)
    kappa = cohen_kappa(pairs)
    assert kappa <= 1 and (kappa >= pi - 1e-9)


def test_agreement_that_is_not_defined(answered):
    key = make_key(2)
    files = [answered(key, name, lambda _: 1) for name in "AB"]
    result = score_answers(key, files)
    assert result.agreement[0].value is None and result.agreement[0].share == 1
    assert "not defined" in result_text(result)
    apart = [
        answered(key, "C", lambda q: 1 if q.id < "q004" else NONE),
        answered(key, "D", lambda q: 1 if q.id > "q003" else NONE),
    ]
    assert score_answers(key, apart).agreement == ()


def test_questions_that_nobody_gets_right(answered):
    key = make_key(4)
    hard = {"q001", "q002", "q005"}

    def choose(q):
        return wrong(q) if q.id in hard else right(q)

    files = [
        answered(key, "A", choose),
        answered(key, "B", lambda q: 0 if q.id == "q005" else choose(q)),
        answered(key, "C", lambda q: NONE if q.id == "q001" else choose(q)),
    ]
    files.append(answered(key, "D", lambda q: wrong(q) if q.id == "q003" else NONE))
    result = score_answers(key, files)
    assert [(q.id, people) for q, people in result.nobody_right] == [("q001", 2), ("q002", 3)]
    text = result_text(result)
    assert "2 questions nobody gets right" in text
    assert 'q001 antonym, sample s0: "caption 0"; 2 chose "foil 0"' in text
    assert "3 chose the reversed clip" in text
    assert "and 1 more" in result_text(result, listed=1)
    alone = score_answers(key, files[:1])
    assert [q.id for q, _ in alone.nobody_right] == sorted(hard)


def test_the_text(answered):
    key = make_key(10)
    result = score_answers(key, [answered(key, "Anna Bee", right), answered(key, "CD", wrong)])
    lines = result_text(result).splitlines()
    assert lines[0] == "tiny, kit kit0: 30 questions, 2 people"
    assert lines[2].split() == [
        "antonym",
        "reversal",
        "object",
        "all",
        "unanswered",
        "cannot",
        "tell",
        "first",
        "option",
        "seconds",
    ]
    assert lines[3].startswith("Anna Bee  100.0 (") and lines[4].startswith("CD        0.0 (0.0-")
    assert lines[5].startswith("all       50.0 (") and lines[6].startswith(
        "agreement, all: 0.0 % of pairs on 30 questions, Cohen's kappa -1.00"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "paxion human key 1"}, "got format 'paxion human key 1', expected 'paxion human answers 1'"),
        ({"kit": "kit1"}, "got answers to kit 'kit1', expected kit 'kit0'"),
        ({"person": "  "}, "person: got '  '"),
        ({"person": None}, "person: got None"),
        ({"person": "All"}, "person: got 'All', expected a name other than"),
        ({"person": "\x1b[2J"}, "person: got"),
        ({"answers": []}, "answers: got none"),
        ({"answers": {"q001": 1}}, "answers: got none, expected a list"),
        ({"answers": ["q001"]}, "answer 1: row: got"),
        ({"answers": [{"id": "q001", "answer": 1}]}, "answer 1: ms: got no such field"),
        ({"answers": [{"id": "q001", "answer": True, "ms": 1, "changes": 0}]}, "answer: got true"),
        ({"answers": [{"id": "q001", "answer": 3, "ms": 1, "changes": 0}]}, "q001: got answer 3, expected 1, 2, or 0"),
        ({"answers": [{"id": "q001", "answer": 1, "ms": -1, "changes": 0}]}, "got ms -1"),
        ({"answers": [{"id": "q999", "answer": 1, "ms": 1, "changes": 0}]}, "no question of kit kit0"),
        ({"answers": [{"id": "q001", "answer": 1, "ms": 1, "changes": 0}] * 2}, "got two answers to q001"),
    ],
)
def test_bad_answers(answered, changes, message):
    key = make_key(2)
    path = answered(key, "AB", right, **changes)
    with pytest.raises(PaxionError, match=message) as caught:
        read_sheet(path, key)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_bad_files(answered, tmp_path):
    key = make_key(2)
    with pytest.raises(PaxionError, match="got no answers"):
        score_answers(key, [])
    with pytest.raises(PaxionError, match="cannot read"):
        score_answers(key, [tmp_path / "none.json"])
    for content in (b"", b'{"format": ', b"\xff\xfe{", b"[" * 100_000, b"null"):
        (tmp_path / "broken.json").write_bytes(content)
        with pytest.raises(PaxionError, match=r"give an answers-NAME\.json file"):
            score_answers(key, [tmp_path / "broken.json"])
    one, two = answered(key, "Anna  Bee", right), answered(key, "anna bee ", wrong)
    for files in ([one, two], [one, one]):
        with pytest.raises(PaxionError, match=r"got answers of .* again"):
            score_answers(key, files)
