"""The scoring of the published code: its golden cases, its rules by hand, and the protocol as evaluate() runs it."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from golden_scores import golden, read
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from paxion.backbones.base import normalise
from paxion.evaluation.published import (
    choice_metrics,
    first_ranks,
    predictions,
    probabilities,
    published_task,
    retrieval_metrics,
)
from paxion.evaluation.scoring import Seen
from paxion.evaluation.settings import Method, Settings
from paxion.evaluation.texts import Texts
from paxion.records import Sample
from paxion.similarity import late_interaction, paired_similarity

TIED = 5
"""The clip of the probes' case that is its own reversal: the published coin cannot be thrown again."""
CLIPS = {"backbone": "video_raw", "knowledge_patcher": "video_latents", "fuser_2d": "fused2d"}
TEXTS = {"action_antonym": "antonym_text_raw", "object_shuffle": "object_shuffled_text_raw"}
METHODS = {"default": "plain", "ensemble_with_backbone": "softmax-sum", "two_step_independent": "two-step"}


def probed(name: str) -> tuple[str, str]:
    """The inputs that hold a model's clips and their reversals."""
    if name.startswith("backbone"):
        return "video_raw", "video_reversed_raw"
    if name in ("knowledge_patcher", "fuser_3d"):
        return "video_latents", "video_reversed_latents"
    return "fused2d", "fused2d_reversed"


def divisor(name: str, weights: dict[str, Tensor]) -> float:
    if name == "backbone_no_scale":
        return 1.0
    if name == "backbone_clipmodel":
        return math.exp(-weights["vl_backbone.clipmodel.logit_scale"].item())
    return weights["temp" if not name.startswith("backbone") else "vl_backbone.temp"].item()


@golden("g_actionbench")
def test_probes_are_those_of_the_published_code(folder):
    case = read(folder)
    assert case.results
    for key, expected in case.results.items():
        task, name = key.split("/")
        clips, backwards = (normalise(case.inputs[part]) for part in probed(name))
        caption = normalise(case.inputs["text_raw"])
        reversal = task == "reversed_video"
        foil = (backwards, caption) if reversal else (clips, normalise(case.inputs[TEXTS.get(task, "text_raw")]))
        similar = torch.stack([paired_similarity(clips, caption), paired_similarity(*foil)], 1)
        scores = probabilities(similar, divisor(name, case.weights))
        assert torch.allclose(scores, case.outputs[f"{key}/probs"], atol=1e-5, rtol=0), key
        chosen = predictions(scores, [f"{i}" for i in range(24)] if reversal else None)
        published = case.outputs[f"{key}/preds"]
        same = chosen == published
        same[TIED] |= reversal
        assert same.all(), key
        chosen[TIED] = published[TIED]
        metrics = choice_metrics([0] * 24, chosen.tolist())
        assert metrics == {name: expected[name] for name in metrics}, key
        assert metrics["micro_f1"] == expected["accuracy"]


@golden("g_retrieval")
def test_retrieval_is_that_of_the_published_code(folder):
    case = read(folder)
    assert len(case.results) == 18
    right = torch.zeros(56, 64, dtype=torch.bool)
    for i, texts in enumerate(case.v2t_targets):
        right[i, texts] = True
    assert [row.nonzero()[:, 0].tolist() for row in right.T] == case.t2v_targets
    raw, latents = normalise(case.inputs["text_raw"]), normalise(case.inputs["text_latents"])
    backbone = normalise(case.inputs["video_raw"])
    scale = math.exp(-case.weights["vl_backbone.logit_scale"].item())
    for key, expected in case.results.items():
        name, way = key.split("/")
        text = latents if name.endswith("_dual") else raw
        plain = name.removesuffix("_dual").replace("knowledge_patcher_baseline", "fuser_2d")
        video = normalise(case.inputs[CLIPS[plain]])
        temperature = scale if name == "backbone" else case.weights["temp"].item()
        found = []
        for model, other, wanted, direction in (
            (late_interaction(video, text), late_interaction(backbone, raw), right, "v2t"),
            (late_interaction(text, video), late_interaction(raw, backbone), right.T, "t2v"),
        ):
            scores = probabilities(model, temperature, (other, scale), Method(METHODS[way]))
            stored = case.outputs.get(f"{key}/scores_{direction}")
            assert stored is None or torch.allclose(scores, stored, atol=1e-5, rtol=0), key
            found.append(first_ranks(scores, wanted))
        # The published mean of means is summed in another order.
        assert retrieval_metrics(*found) == pytest.approx(expected, abs=1e-12), key


def test_two_steps_leave_out_all_but_the_best_of_the_backbone():
    model, backbone = torch.tensor([[0.1, 0.2, 0.9, 0.3]]), torch.tensor([[0.5, 0.4, 0.1, 0.3]])
    scores = probabilities(model, 1.0, (backbone, 1.0), Method("two-step", top=2))
    assert scores[0, 2] == scores[0, 3] == 0
    assert torch.equal(scores[0, :2], model.softmax(-1)[0, :2])
    # Both that are left out are equal: the last one comes first.
    assert [first_ranks(scores, torch.eye(4, dtype=torch.bool)[[k]]).item() for k in range(4)] == [2, 1, 4, 3]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=7).flatmap(lambda s: st.tuples(
    st.just(s), st.lists(st.booleans(), min_size=len(s), max_size=len(s)).filter(any))))  # fmt: skip
def test_the_rank_is_the_place_in_a_descending_sort(query):
    levels, right = query
    order = sorted(range(len(levels)), key=lambda i: levels[i])[::-1]
    place = next(place for place, i in enumerate(order) if right[i])
    assert first_ranks(torch.tensor([levels]).float(), torch.tensor([right])).item() == place + 1


def test_a_tie_of_texts_is_the_first_one_and_a_tie_of_clips_a_coin():
    even = torch.full((400, 2), 0.5)
    assert predictions(even).sum() == 0
    thrown = predictions(even, [str(i) for i in range(400)])
    assert 160 < thrown.sum() < 240
    assert torch.equal(thrown, predictions(even, [str(i) for i in range(400)]))
    # Apart by more than the coin allows.
    assert predictions(torch.tensor([[0.49999, 0.50001]]), ["a"]).item() == 1


def seen(samples: list[Sample], clips: Tensor, text: dict[str, Tensor], backwards: Tensor | None = None) -> Seen:
    return Seen("m", "d", samples, "none", 0, clips, backwards, Texts(text, text))


def test_under_the_paper_protocol_a_tie_of_texts_is_right_and_one_of_clips_is_not_half_right():
    samples = [Sample(f"s{i}", "v", "c", "test", f"g{i}", antonym="a") for i in range(200)]
    clips, text = torch.ones(200, 1, 4), {"c": torch.ones(4) / 2, "a": torch.ones(4) / 2}
    given = seen(samples=samples, clips=clips, backwards=clips, text=text)
    antonym = {score.metric: score for score in published_task("antonym", given, Settings(), [0.07]).scores}
    assert (antonym["accuracy"].value, antonym["accuracy"].ties, antonym["macro F1"].value) == (1, 200, 1)
    found = published_task("reversal", given, Settings(), [0.07])
    assert {row.credit for row in found.rows} == {0.0, 1.0}
    accuracy, macro = found.scores
    assert 0.35 < accuracy.value < 0.65 and accuracy.ties == 200
    assert macro.value == pytest.approx(accuracy.value / (1 + accuracy.value))
    assert macro.low < macro.value < macro.high


def test_under_the_paper_protocol_retrieval_does_not_depend_on_how_much_is_held(monkeypatch):
    torch.manual_seed(0)
    samples = [
        Sample(f"s{i}", "v", f"c{i % 23}", "test", f"g{i // 2}", template=f"t{i % 6}" if i % 5 else None)
        for i in range(40)
    ]
    names = [*(f"c{i}" for i in range(23)), *(f"t{i}" for i in range(7)), "other"]
    text = dict(zip(names, normalise(torch.randn(31, 8)), strict=True))
    given = seen(samples=samples, clips=normalise(torch.randn(40, 3, 8)), text=text)
    chosen = Settings(protocol="paper", texts=("other",), labels=tuple(f"t{i}" for i in range(7)), per_action=True)
    whole = [published_task(t, given, chosen, [0.07]) for t in ("text_to_video", "video_to_text", "video_to_action")]
    monkeypatch.setattr("paxion.evaluation.published.ENTRIES", 50)
    parts = [published_task(t, given, chosen, [0.07]) for t in ("text_to_video", "video_to_text", "video_to_action")]
    for a, b in zip(whole, parts, strict=True):
        assert a.scores == b.scores and a.missed == b.missed
    assert [score.metric for score in whole[0].scores] == ["R@1", "R@5", "R@10"]
    assert Counter(miss.reason for found in whole for miss in found.missed) == {
        "no clip of this text can be read": 1, "no template": 1,
    }  # fmt: skip
    similar = late_interaction(given.clips, torch.stack([text[f"c{i}"] for i in range(23)]))
    right = torch.arange(40)[:, None] % 23 == torch.arange(23)
    ranks = first_ranks(probabilities(similar.T, 0.07), right.T)
    assert [row.rank for row in whole[0].rows] == ranks.tolist()
    assert len(whole[1].rows) == 40 and len(whole[2].rows) == 32
