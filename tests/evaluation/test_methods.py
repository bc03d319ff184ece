"""A model and its backbone together: the rules by hand, tiled as on whole matrices, and through evaluate()."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from paxion.backbones.base import TEMPERATURE, BackboneEncoder, normalise, temperature_of
from paxion.evaluation import scores as tiles
from paxion.evaluation.evaluate import evaluate
from paxion.evaluation.methods import BELOW, Mix, mixed
from paxion.evaluation.ranking import expected_rank, rank, rank_all
from paxion.evaluation.scores import Scores
from paxion.evaluation.settings import METHODS, Method, Settings
from paxion.evaluation.weight import WEIGHTS, choose_weight
from paxion.patching.model import EnsembleEncoder, PatchedEncoder, PatchedModel
from paxion.patching.patcher import PatcherConfig
from paxion.records import PROBES, RETRIEVALS, TWINS, PaxionError
from paxion.similarity import similarity


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return normalise(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def whole(method: Method, model: torch.Tensor, backbone: torch.Tensor, own: float = 0.05, other: float = 0.1):
    return mixed(Mix(method, torch.zeros(0, 1, 1), {}, temperature=own, beside=other), model, backbone)


def test_the_sum_of_softmaxes_keeps_its_order_where_probabilities_vanish():
    model, backbone = drawn(6, 40), drawn(6, 40, seed=1)
    expected = (model.double() / 0.05).softmax(1) + (backbone.double() / 0.1).softmax(1)
    found = whole(Method("softmax-sum"), model, backbone)
    assert torch.allclose(found.double(), 0.05 * expected.log(), atol=1e-6)
    assert torch.equal(found.argsort(1), expected.argsort(1))
    # Probabilities of e^-400 are zero in single precision, and still not equal.
    far = torch.tensor([[1.0, -1.0, -0.9]])
    assert whole(Method("softmax-sum"), far, far, 0.005, 0.005).argsort(1, descending=True).tolist() == [[0, 2, 1]]


def test_the_sum_of_scores_has_the_weight_on_the_backbone():
    found = whole(Method("score-sum", weight=0.25), torch.tensor([[0.5, 0.1]]), torch.tensor([[0.4, 0.8]]))
    assert found.tolist() == [pytest.approx([0.6, 0.3])]


def test_two_steps_keep_the_backbones_order_below_what_the_model_ranks():
    model, backbone = torch.tensor([[0.1, 0.9, 0.2, 0.8]]), torch.tensor([[0.9, 0.1, 0.8, 0.3]])
    found = whole(Method("two-step", top=2), model, backbone)
    assert found.tolist() == [pytest.approx([0.1, 0.1 - BELOW, 0.2, 0.3 - BELOW])]
    assert torch.equal(whole(Method("two-step", top=9), model, backbone), model)
    # What ties with the last one of the first step is ranked again too.
    assert whole(Method("two-step", top=1), model, torch.tensor([[0.5, 0.5, 0.1, 0.5]]))[0, [0, 1, 3]].tolist() == [
        pytest.approx(value) for value in (0.1, 0.9, 0.8)
    ]


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize("queries", ["clips", "texts"])
@pytest.mark.parametrize("size", [(3, 7 * 4), (512, 2**23)])
def test_a_gallery_in_tiles_is_ranked_as_the_whole_matrix(monkeypatch, kind, queries, size):
    monkeypatch.setattr(tiles, "CLIPS", size[0])
    monkeypatch.setattr(tiles, "PRODUCTS", size[1])
    video, backbone, text, other = drawn(23, 4, 8), drawn(23, 1, 6, seed=1), drawn(17, 8, seed=2), drawn(17, 6, seed=3)
    # Equal clips and equal texts, so that there are ties.
    video[5:9], backbone[5:9], text[3:6], other[3:6] = video[5], backbone[5], text[3], other[3]
    kept = torch.tensor([i for i in range(23) if i % 6])
    right = torch.arange(len(kept))[:, None] % 17 == torch.arange(17)
    right[:, 4] |= torch.arange(len(kept)) % 5 == 0
    mix = None if kind == "plain" else Mix(Method(kind, 0.7, 4), backbone, {}, None, {}, 0.05, 0.1)
    given = Scores(video, text, [str(i) for i in kept.tolist()], kept, mix, other)
    model, beside = similarity(video[kept], text), similarity(backbone[kept], other)
    if queries == "texts":
        model, beside, right = model.T, beside.T, right.T
    expected = rank(model if mix is None else mixed(mix, model, beside), right)
    clip, candidate = (right if queries == "clips" else right.T).nonzero(as_tuple=True)
    found = rank_all(given, clip, candidate, queries)
    for name in ("right", "wrong", "above", "tied_right", "tied_wrong"):
        a, b = getattr(found, name).double(), getattr(expected, name).double()
        assert torch.allclose(a, b, atol=1e-5), name
    assert torch.equal(expected_rank(found), expected_rank(expected))
    assert (found.tied_wrong > 0).any()
    table = given.table(queries)
    rows = model if mix is None else mixed(mix, model, beside)
    assert torch.allclose(table if queries == "clips" else table.T, rows, atol=1e-5)


@pytest.fixture(scope="module")
def tried(tiny_backbone, tiny_features, tiny_samples):
    torch.manual_seed(3)
    sizes = tiny_backbone.dim, tiny_backbone.token_width, tiny_backbone.frames, tiny_backbone.tokens_per_frame
    config = PatcherConfig(*sizes, heads=2, dim_head=8, latents=3, temperature=0.05)
    model = PatchedEncoder("patched", tiny_backbone, PatchedModel(config).eval())
    rows = [sample for sample in tiny_samples if sample.split == "test" and sample.source == "world-A"]
    return model, BackboneEncoder("backbone", tiny_backbone), tiny_features, rows


def run(tried, encoder=None, beside=True, tasks=PROBES + TWINS + RETRIEVALS, **settings):
    model, backbone, features, rows = tried
    return evaluate(
        encoder or model, features.store, features.keys, rows, data="w", tasks=tasks,
        settings=Settings(**settings), beside=backbone if beside else None,
    )  # fmt: skip


def test_score_sum_is_the_ensemble_encoder(tried):
    model = tried[0]
    expected = run(tried, EnsembleEncoder("patched [score-sum]", model, 0.4), beside=False)
    found = run(tried, method=Method("score-sum", 0.4))
    assert [(s.task, s.metric, s.model, s.n) for s in found.scores] == [
        (s.task, s.metric, s.model, s.n) for s in expected.scores
    ]
    for a, b in zip(found.rows, expected.rows, strict=True):
        assert (a.right, a.wrong) == pytest.approx((b.right, b.wrong), abs=1e-5)
    values = [score.value for score in expected.scores]
    assert [score.value for score in found.scores] == pytest.approx(values, abs=1e-3)


def test_a_backbone_beside_itself_answers_as_alone(tried):
    alone = run(tried, tried[1], beside=False)
    for method in (Method("softmax-sum"), Method("score-sum"), Method("two-step", top=5)):
        found = run(tried, tried[1], method=method)
        values = {(s.task, s.metric): s.value for s in found.scores}
        assert {s.model for s in found.scores} | {row.model for row in found.rows} == {f"backbone [{method.kind}]"}
        for score in alone.scores:
            shares = method.kind == "softmax-sum" and score.metric in ("AUROC", "text", "video", "group")
            if shares or (method.kind == "two-step" and score.task in PROBES + TWINS):
                assert (score.task, score.metric) not in values
            else:
                assert values[score.task, score.metric] == pytest.approx(score.value, abs=2e-3)
        left = [miss for miss in found.missed if miss.reason == "two-step does not apply to a choice of two"]
        assert len(left) == (len(PROBES + TWINS) if method.kind == "two-step" else 0)


def test_a_method_without_a_backbone_is_one_line(tried):
    with pytest.raises(PaxionError, match="got the method two-step without a backbone"):
        run(tried, beside=False, method=Method("two-step"))


def test_temperatures_are_those_that_the_models_say(tried, tiny_backbone):
    model, backbone, _, _ = tried
    assert temperature_of(model) == pytest.approx(model.model.temperature.item())
    assert temperature_of(backbone) == pytest.approx(tiny_backbone.logit_scale.neg().exp().item())
    assert temperature_of(object()) == TEMPERATURE

    class Frozen:
        temperature = -0.1

    with pytest.raises(PaxionError, match=r"got a temperature of -0\.1 from Frozen, expected a positive one"):
        temperature_of(Frozen())


def test_the_weight_is_the_best_on_validation_clips(tried):
    model, backbone, features, rows = tried
    tasks = ("antonym", "object", "video_to_action")
    weight = choose_weight(model, backbone, features.store, features.keys, rows, tasks, Settings())
    means = {}
    for tested in WEIGHTS:
        found = run(tried, tasks=tasks, method=Method("score-sum", tested)).scores
        means[tested] = sum(s.value for s in found if s.metric in ("accuracy", "R@1")) / 3
    assert weight == min(w for w, value in means.items() if value >= max(means.values()) - 1e-12)
    assert means[weight] > min(means.values())
    with pytest.raises(PaxionError, match="got nothing to score among"):
        without = [replace(sample, question=None, choices=None) for sample in rows]
        choose_weight(model, backbone, features.store, features.keys, without, ("questions",), Settings())
    with pytest.raises(PaxionError, match="got none of 1 validation clips"):
        choose_weight(model, backbone, features.store, {}, rows[:1], tasks, Settings())
