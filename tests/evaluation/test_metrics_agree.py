"""Our numbers beside those of scikit-learn and torchmetrics, where they mean the same: without ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchmetrics
from sklearn import metrics

from paxion.backbones.base import normalise
from paxion.evaluation.probes import Choices, probe_rows, probe_score
from paxion.evaluation.published import choice_metrics
from paxion.evaluation.questions import question_results, question_rows, questions_of
from paxion.evaluation.retrieval import text_to_video, video_to_action, video_to_text
from paxion.records import Sample
from paxion.similarity import similarity


@pytest.fixture(scope="module")
def gallery():
    """60 clips of 3 vectors, 23 captions, 9 templates of 5 actions; right ones are a little more similar."""
    torch.manual_seed(10)
    samples = [
        Sample(f"s{i}", "v", f"c{i % 23}", "test", f"g{i}", template=f"t{i % 9}", action=f"a{i % 9 % 5}")
        for i in range(60)
    ]
    names = [*(f"c{i}" for i in range(23)), *(f"t{i}" for i in range(9))]
    text = dict(zip(names, normalise(torch.randn(32, 16)), strict=True))
    own = torch.stack([text[s.caption] + text[s.template] for s in samples])
    video = normalise(torch.randn(60, 3, 16) + 0.7 * own[:, None])
    return samples, video, text


def values(found) -> dict[str, float]:
    return {score.metric: score.value for score in found.scores if ":" not in score.task}


def scored(video, text, names):
    scores = similarity(video, torch.stack([text[name] for name in names]))
    for matrix in (scores, scores.T):
        assert matrix.sort().values.diff().min() > 1e-5, "a tie, which they order by place: take another seed"
    return scores


def test_recall_at_k_is_the_top_k_accuracy_of_scikit_learn(gallery):
    samples, video, text = gallery
    names = [f"c{i}" for i in range(23)]
    scores = scored(video, text, names).numpy()
    target = [names.index(sample.caption) for sample in samples]
    found = values(video_to_text(video, samples, text, model="m", data="d"))
    for k in (1, 5, 10):
        assert found[f"R@{k}"] == pytest.approx(
            metrics.top_k_accuracy_score(target, scores, k=k, labels=range(23)), abs=1e-9
        )


@pytest.mark.parametrize("k", [1, 5, 10])
def test_recall_at_k_is_the_hit_rate_of_torchmetrics(gallery, k):
    samples, video, text = gallery
    names = [f"c{i}" for i in range(23)]
    scores = scored(video, text, names)
    right = torch.tensor([[sample.caption == name for name in names] for sample in samples])
    for task, wanted, matrix in ((video_to_text, right, scores), (text_to_video, right.T, scores.T)):
        rates = [
            torchmetrics.functional.retrieval.retrieval_hit_rate(s, r, top_k=k)
            for s, r in zip(matrix, wanted, strict=True)
        ]
        found = values(task(video, samples, text, model="m", data="d"))
        assert found[f"R@{k}"] == pytest.approx(torch.stack(rates).double().mean().item(), abs=1e-6)


def test_mean_average_precision_is_that_of_both(gallery):
    samples, video, text = gallery
    names = [f"t{i}" for i in range(9)]
    scores = scored(video, text, names)
    right = torch.tensor([[f"a{int(name[1:]) % 5}" == s.action for name in names] for s in samples])
    found = video_to_action(video, samples, text, model="m", data="d", per_action=True)
    sklearn = [metrics.average_precision_score(right[:, k].numpy(), scores[:, k].numpy()) for k in range(9)]
    theirs = torchmetrics.functional.retrieval.retrieval_average_precision
    # It takes what is not positive as not found at all.
    torch_ = [theirs(scores[:, k] + 2, right[:, k]).item() for k in range(9)]
    assert values(found)["mAP"] == pytest.approx(np.mean(sklearn), abs=1e-9)
    assert values(found)["mAP"] == pytest.approx(np.mean(torch_), abs=1e-6)
    each = {s.task: s for s in found.scores if s.metric == "mAP" and ":" in s.task}
    assert len(each) == 5
    for action in range(5):
        mine = each[f"video_to_action:a{action}"]
        assert mine.value == pytest.approx(np.mean([sklearn[k] for k in range(9) if k % 5 == action]), abs=1e-9)


def test_recall_of_an_action_is_the_recall_of_its_class(gallery):
    """Where every action has one template, R@1 of each is the recall of a class."""
    samples, video, text = gallery
    single = [Sample(s.id, "v", s.caption, "test", s.group, template=s.template) for s in samples]
    names = [f"t{i}" for i in range(9)]
    chosen = scored(video, text, names).argmax(1).numpy()
    target = [names.index(s.template) for s in single]
    found = video_to_action(video, single, text, model="m", data="d", per_action=True)
    each = {s.task.partition(":")[2]: s.value for s in found.scores if s.metric == "R@1" and ":" in s.task}
    recalls = metrics.recall_score(target, chosen, labels=range(9), average=None)
    assert [each[name] for name in names] == pytest.approx(list(recalls), abs=1e-9)
    assert values(found)["R@1"] == pytest.approx(metrics.accuracy_score(target, chosen), abs=1e-9)
    theirs = torchmetrics.functional.classification.multiclass_accuracy
    macro = theirs(torch.from_numpy(chosen), torch.tensor(target), num_classes=9, average="macro").item()
    assert np.mean(list(each.values())) == pytest.approx(macro, abs=1e-6)


def test_accuracy_of_probes_and_questions_is_theirs():
    torch.manual_seed(2)
    samples = [
        Sample(f"q{i}", "v", "c", "test", f"g{i}", question="?", choices=tuple("abcde"), answer=i % 5)
        for i in range(50)
    ]
    scores, answers = torch.randn(50, 5), [sample.answer for sample in samples]
    asked = questions_of(samples, "d")
    rows, ties = question_rows(scores, asked, model="m", data="d")
    (score,) = question_results(rows, ties, {"questions": range(50)})
    assert score.value == pytest.approx(metrics.accuracy_score(answers, scores.argmax(1)))
    right, wrong = scores[:, 0], scores[:, 1]
    probe = probe_score(probe_rows(Choices("antonym", tuple(range(50)), right, wrong), samples, model="m", data="d"))
    assert probe.value == pytest.approx(metrics.accuracy_score([0] * 50, (wrong > right).int()))


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_f1_scores_of_the_published_protocol_are_those_of_both(classes):
    torch.manual_seed(classes)
    target = torch.randint(0, classes, (80,))
    chosen = torch.where(torch.rand(80) < 0.6, target, torch.randint(0, max(2, classes), (80,)))
    found = choice_metrics(target.tolist(), chosen.tolist())
    assert found["micro_f1"] == pytest.approx(metrics.f1_score(target, chosen, average="micro"))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(target, chosen, average="macro", zero_division=0))
    theirs = torchmetrics.functional.classification.multiclass_f1_score
    for average in ("micro", "macro"):
        score = theirs(chosen, target, num_classes=max(2, classes), average=average).item()
        assert found[f"{average}_f1"] == pytest.approx(score, abs=1e-6)
