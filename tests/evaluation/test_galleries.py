"""Galleries: label lists, prompts, further texts, duplicate captions, and vectors that lie in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from paxion.backbones.base import Features, normalise
from paxion.evaluation import clips as held
from paxion.evaluation.clips import Stack
from paxion.evaluation.evaluate import evaluate
from paxion.evaluation.settings import Method, Settings
from paxion.features.spec import StoreSpec
from paxion.records import RETRIEVALS, PaxionError, Sample
from paxion.results import Missed
from paxion.video.transform import Transform


@dataclass(frozen=True)
class Known:
    """A source and an encoder at once, whose vectors are given."""

    clips: Tensor
    texts: dict[str, Tensor]
    name: str = "known"
    reorderable: bool = False

    @property
    def spec(self) -> StoreSpec:
        return StoreSpec("known", "1", "midpoint", 8, Transform(32))

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        return Features(self.clips[[int(key) for key in keys]])

    def prefetch(self, keys: Sequence[str]) -> None: ...

    def encode_clips(self, features: Features) -> Tensor:
        return features.pooled

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([self.texts[text] for text in texts])


def drawn(*names: str) -> dict[str, Tensor]:
    vectors = normalise(torch.randn(len(names), 8, generator=torch.Generator().manual_seed(len(names))))
    return dict(zip(names, vectors, strict=True))


def clip(number: int, **said) -> Sample:
    return Sample(f"s{number}", "v", **{"caption": f"c{number}", "split": "test", "group": f"g{number}", **said})


def run(said: dict[str, Tensor], clips: Tensor, samples: list[Sample], tasks=RETRIEVALS, absent=(), **settings):
    made = Known(clips, said)
    keys = {s.id: str(i) for i, s in enumerate(samples) if i not in absent}
    return evaluate(made, made, keys, samples, data="d", tasks=tasks, settings=Settings(**settings), beside=made)


def value(found, task: str, metric: str = "R@1"):
    (score,) = [score for score in found.scores if (score.task, score.metric) == (task, metric)]
    return score.value, score.n


def test_labels_that_no_clip_has_are_candidates():
    texts = drawn("c0", "c1", "push", "pull", "lift")
    samples = [clip(0, template="push"), clip(1, template="pull")]
    clips = torch.stack([texts["push"], texts["lift"]])[:, None]
    assert value(run(texts, clips, samples, ("video_to_action",)), "video_to_action")[1] == 2
    found = run(texts, clips, samples, ("video_to_action",), labels=("lift", "push", "pull"))
    assert value(found, "video_to_action") == (0.5, 2)
    # lift is right for no clip, so it is no query of mAP.
    assert value(found, "video_to_action", "mAP")[1] == 2


def test_a_clip_whose_label_is_not_in_the_list_is_a_counted_miss():
    texts = drawn("c0", "c1", "c2", "push", "pull")
    samples = [clip(0, template="push"), clip(1, template="pull"), clip(2, template="fold")]
    found = run(
        texts, torch.stack([texts["push"]] * 3)[:, None], samples, ("video_to_action",), labels=("push", "pull")
    )
    assert value(found, "video_to_action") == (0.5, 2)
    assert found.missed == [Missed("d", "video_to_action", "its label is not in the list of labels", 1, ("s2",))]
    assert [row.id for row in found.rows] == ["s0", "s1"]
    (nothing,) = run(texts, torch.ones(1, 1, 8), samples[2:], ("video_to_action",), labels=("push", "pull")).missed
    assert nothing.count == 1


def test_a_label_with_several_prompts_is_the_mean_of_their_unit_vectors():
    texts = drawn("c0", "c1", "a push", "now push", "a pull", "now pull")
    texts["now push"] = 3 * texts["now push"]
    samples = [clip(0, template="push"), clip(1, template="pull")]
    clips = normalise(torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0)))
    found = run(texts, clips, samples, ("video_to_action",), prompts=("a {}", "now {}"))
    push = normalise(normalise(texts["a push"]) + normalise(texts["now push"]))
    pull = normalise(texts["a pull"] + texts["now pull"])
    scores = clips[:, 0] @ torch.stack([push, pull]).T
    assert [(row.right, row.wrong) for row in found.rows] == [
        pytest.approx((scores[0, 0].item(), scores[0, 1].item()), abs=1e-6),
        pytest.approx((scores[1, 1].item(), scores[1, 0].item()), abs=1e-6),
    ]
    one = run(texts, clips, samples, ("video_to_action",), prompts=("a {}",))
    assert one.rows[0].right == pytest.approx((clips[0, 0] @ texts["a push"]).item(), abs=1e-6)


def test_texts_without_clips_are_candidates_and_no_queries():
    texts = drawn("c0", "c1", "x", "y")
    samples = [clip(0), clip(1)]
    found = run(texts, torch.stack([texts["c0"], texts["x"]])[:, None], samples, RETRIEVALS[:2], texts=("x", "c1", "y"))
    assert value(found, "video_to_text") == (0.5, 2)
    assert value(found, "text_to_video")[1] == 2
    assert found.missed == [Missed("d", "text_to_video", "no clip of this text can be read", 2, ("x", "y"))]


def test_the_text_of_a_missing_clip_is_a_candidate_under_the_paper_protocol():
    texts = drawn("c0", "c1", "c2")
    samples, clips = [clip(0), clip(1), clip(2)], torch.stack([texts["c2"], texts["c1"], texts["c2"]])[:, None]
    right = (clips[0, 0] @ texts["c0"]) > (clips[0, 0] @ texts["c1"])
    by_default = run(texts, clips, samples, ("video_to_text",), absent=(2,))
    assert value(by_default, "video_to_text") == ((1 + bool(right)) / 2, 2)
    as_published = run(texts, clips, samples, RETRIEVALS[:2], absent=(2,), protocol="paper")
    assert value(as_published, "video_to_text") == (0.5, 2)
    assert {(miss.task, miss.count) for miss in as_published.missed} == {("all", 1), ("text_to_video", 1)}
    assert any("as the published code does" in note for note in as_published.notes)


def test_clips_that_share_a_caption_are_told_of():
    texts = drawn("same", "c2")
    samples = [clip(0, caption="same"), clip(1, caption="same"), clip(2)]
    clips = torch.stack([texts["c2"], texts["same"], texts["c2"]])[:, None]
    found = run(texts, clips, samples, RETRIEVALS[:2])
    assert found.notes == [
        "d: 2 of 3 clips share their caption with another one (1 captions); all clips of a caption are right for it"
    ]
    assert value(found, "text_to_video") == (0.75, 2)  # c2: a wrong clip ties with the right one
    assert run(texts, clips, samples, ("antonym",)).notes == []


@pytest.mark.parametrize("kind", ["plain", "softmax-sum", "two-step"])
def test_vectors_in_a_file_score_as_those_in_memory(monkeypatch, kind):
    texts = drawn(*(f"c{i}" for i in range(30)), "x", "y")
    samples = [clip(i, template="xy"[i % 2], antonym="x") for i in range(30)]
    clips = normalise(torch.randn(30, 4, 8, generator=torch.Generator().manual_seed(0)))
    tasks = (*RETRIEVALS, "antonym", "reversal")
    whole = run(texts, clips, samples, tasks, method=Method(kind, top=3))
    monkeypatch.setattr(held, "HELD", 100)
    mapped = run(texts, clips, samples, tasks, method=Method(kind, top=3))
    assert (mapped.scores, mapped.rows) == (whole.scores, whole.rows)


def test_many_rows_are_mapped_from_a_file_and_few_are_not(monkeypatch):
    rows = torch.randn(10, 2, 3)
    monkeypatch.setattr(held, "HELD", 10 * 2 * 3 * 4 - 1)
    stack = Stack(10)
    for part in torch.split(rows, 4):
        stack.add(part)
    assert stack._file is not None and not stack._parts
    assert torch.equal(stack.whole(), rows)
    monkeypatch.setattr(held, "HELD", 10 * 2 * 3 * 4)
    few = Stack(10)
    few.add(rows)
    assert few._file is None and torch.equal(few.whole(), rows)


def test_a_full_disk_is_one_line(monkeypatch):
    monkeypatch.setattr(held, "HELD", 0)
    monkeypatch.setattr(held.tempfile, "TemporaryFile", lambda: Path("/dev/full").open("wb", buffering=0))  # noqa: SIM115
    with pytest.raises(PaxionError, match=r"cannot keep 0.0 GB of vectors in .*: No space left on device; free some"):
        Stack(1000).add(torch.zeros(1000, 8))


def test_questions_are_asked_with_their_settings():
    texts = drawn("why? up", "why? down", "up", "down", "c0", "c1", "c2")
    asked = {"question": "why?", "choices": ("up", "down"), "answer": 1, "kind": "CW"}
    samples = [clip(0, **asked), clip(1, **{**asked, "choices": ("up", "down", "on")}), clip(2)]
    clips = torch.stack([texts["why? down"], texts["up"], texts["up"]])[:, None]
    found = run(texts | {"why? on": texts["up"]}, clips, samples, ("questions",), hard=frozenset({"s0", "nobody"}))
    assert {score.task: (score.value, score.n) for score in found.scores} == dict.fromkeys(
        ("questions", "questions:causal", "questions:CW", "questions:hard"), (1, 1)
    )
    assert {(miss.task, miss.count, miss.examples) for miss in found.missed} == {
        ("questions:hard", 1, ("nobody",)),
        ("questions", 1, ("s1",)),
        ("questions", 1, ("s2",)),
    }
    plain = [replace(sample, choices=("up", "down")) if sample.choices else sample for sample in samples]
    short = run(texts, clips[[1, 1, 1]], plain, ("questions",), question_text="{choice}", protocol="paper")
    assert value(short, "questions", "accuracy") == (0, 2)
