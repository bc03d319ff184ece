"""What a training begins with: fusers on a patcher, and what was trained before trained on."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from trainings import FUSER

from paxion.backbones.base import normalise
from paxion.evaluation.evaluate import evaluate
from paxion.patching.beginning import beginning
from paxion.patching.model import PatchedEncoder, PatchedModel
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.train import train
from paxion.records import PaxionError, Sample


@pytest.mark.parametrize("kind", ["xattn", "side_tuning"])
def test_a_fuser_starts_from_the_patcher_and_leaves_it_alone_unless_joint(tiny_backbone, data, trained, tmp_path, kind):
    apart = train(replace(FUSER, fuser=kind, joint=False), tiny_backbone, data, tmp_path / "apart", start=trained)
    fresh = PatchedModel(apart.patcher.config, apart.fuser.config)
    for name, values in trained.patcher.state_dict().items():
        assert torch.equal(apart.patcher.state_dict()[name], values), name
    assert any(not torch.equal(values, fresh.fuser.state_dict()[n]) for n, values in apart.fuser.state_dict().items())

    joint = train(replace(FUSER, fuser=kind), tiny_backbone, data, tmp_path / "joint", start=trained)
    moved = {
        name: float((joint.patcher.state_dict()[name] - values).abs().max())
        for name, values in trained.patcher.state_dict().items()
    }
    assert max(moved.values()) > 1e-4
    # It began there: at a tiny rate it is still there.
    still = train(replace(FUSER, fuser=kind, rate=1e-9), tiny_backbone, data, tmp_path / "still", start=trained)
    for name, values in trained.patcher.state_dict().items():
        torch.testing.assert_close(still.patcher.state_dict()[name], values, atol=1e-6, rtol=0)


def test_a_fuser_takes_a_patcher_of_another_recipe_as_it_is(tiny_backbone, data, tmp_path):
    plain = train(replace(RECIPES["patcher-vtc"], epochs=1, latents=4), tiny_backbone, data, tmp_path / "plain")
    model = train(replace(FUSER, joint=False), tiny_backbone, data, tmp_path / "fused", start=plain)
    assert model.patcher.config == plain.patcher.config
    assert model.patcher.config.latents == 4 and not model.patcher.config.spatial_embedding


def still(recipe: Recipe) -> Recipe:
    """A recipe that moves nothing to speak of."""
    return replace(recipe, rate=1e-9, weight_decay=0.0, epochs=1, batch=16)


@pytest.mark.parametrize(
    ("begun", "then"),
    [
        ("patcher-dvdm", "patcher-vtc"),
        ("patcher-dvdm", "patcher"),
        ("patcher-pooled", "patcher-vtc"),
        ("patcher-pooled", "patcher-pooled"),
        ("kp-transformer", "kp-transformer"),
    ],
)
def test_a_patcher_is_trained_on_as_it_is_by_another_recipe(tiny_backbone, data, tmp_path, begun, then):
    """KP-FT: sizes, codes and temperature are those of the start, whatever the second recipe says."""
    start = train(replace(RECIPES[begun], epochs=1, batch=16), tiny_backbone, data, tmp_path / "a")
    start.patcher.temperature.data.fill_(0.031)
    again = train(still(RECIPES[then]), tiny_backbone, data, tmp_path / "b", start=start)
    assert again.patcher.config == start.patcher.config and again.fuser is None
    for name, values in start.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], values, atol=1e-6, rtol=0)
    moved = train(replace(still(RECIPES[then]), rate=1e-3), tiny_backbone, data, tmp_path / "c", start=start)
    assert abs(moved.temperature.item() - 0.031) > 1e-5
    learned = dict(start.patcher.named_parameters())
    assert all(not torch.equal(p, learned[name]) for name, p in moved.patcher.named_parameters())


@pytest.mark.parametrize(
    ("begun", "then", "says"),
    [
        ("patcher-dvdm", "kp-transformer", "got a perceiver to start from, expected a transformer"),
        ("kp-transformer", "patcher", "got a transformer to start from, expected a perceiver"),
        ("patcher-dvdm", "patcher-pooled", "expected a pooled perceiver"),
    ],
)
def test_a_start_of_another_kind_would_be_mislabelled_and_is_refused(tiny_backbone, begun, then, says):
    start = beginning(RECIPES[begun], tiny_backbone)
    with pytest.raises(PaxionError, match=says):
        beginning(RECIPES[then], tiny_backbone, start)


@pytest.mark.parametrize("kind", ["xattn", "side_tuning"])
@pytest.mark.parametrize("raw", [False, True])
def test_a_fuser_is_trained_on_as_it_is(tiny_backbone, data, trained, tmp_path, kind, raw):
    begun = replace(FUSER, fuser=kind, raw_pooled=raw, heads=2)
    start = train(begun, tiny_backbone, data, tmp_path / "a", start=trained)
    start.fuser.temperature.data.fill_(0.031)
    again = train(still(replace(FUSER, fuser=kind)), tiny_backbone, data, tmp_path / "b", start=start)
    assert again.fuser.config == start.fuser.config and again.fuser.config.raw_pooled is raw
    for name, values in start.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], values, atol=1e-6, rtol=0)


def test_a_fuser_of_another_kind_begins_anew_and_a_patcher_recipe_leaves_the_fuser(
    tiny_backbone, data, trained, tmp_path
):
    start = train(FUSER, tiny_backbone, data, tmp_path / "a", start=trained)
    other = train(still(replace(FUSER, fuser="side_tuning")), tiny_backbone, data, tmp_path / "b", start=start)
    assert other.fuser.config.kind == "side_tuning" and other.fuser.mix.abs() < 1e-6
    alone = train(still(RECIPES["patcher-vtc"]), tiny_backbone, data, tmp_path / "c", start=start)
    assert alone.fuser is None and alone.patcher.config == start.patcher.config


def test_another_fuser_to_start_from_is_another_training(tiny_backbone, data, trained, tmp_path):
    start = train(FUSER, tiny_backbone, data, tmp_path / "a", start=trained)
    recipe = replace(FUSER, epochs=1)
    train(recipe, tiny_backbone, data, tmp_path / "b", start=start)
    start.fuser.temperature.data.fill_(0.5)
    with pytest.raises(PaxionError, match=r"another training \(other start: "):
        train(recipe, tiny_backbone, data, tmp_path / "b", start=start)


def test_the_start_model_is_not_changed(tiny_backbone, data, trained, tmp_path):
    before = {name: values.clone() for name, values in trained.state_dict().items()}
    train(FUSER, tiny_backbone, data, tmp_path, start=trained)
    assert all(torch.equal(values, before[name]) for name, values in trained.state_dict().items())


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("kind", ["xattn", "gated_xattn", "xattn_v2", "side_tuning"])
def test_one_step_of_every_fuser_changes_what_is_trained_and_nothing_else(
    tiny_backbone, data, trained, tmp_path, kind, joint
):
    recipe = replace(FUSER, fuser=kind, joint=joint, epochs=1, batch=48, warmup=0, weight_decay=0.0, atm=0.0)
    torch.manual_seed(0)
    before = beginning(recipe, tiny_backbone, trained)
    after = train(recipe, tiny_backbone, data, tmp_path, start=trained)
    old = before.patcher.state_dict()
    moved = {name for name, values in after.patcher.state_dict().items() if not torch.equal(values, old[name])}
    # What comes before a closed gate has no gradient in the first step.
    reached = joint and kind != "gated_xattn"
    assert moved == (old.keys() - {"temperature"} if reached else set())
    changed = {name for name, values in after.fuser.named_parameters() if not torch.equal(values, _fuser(before)[name])}
    gates = {"block.attention_gate", "block.feed_forward_gate", "temperature"}
    assert changed == (gates if kind == "gated_xattn" else _fuser(before).keys())
    vectors = after(data.source.read(data.keys[:3]))
    assert vectors.shape[:2] == (3, 8 if kind == "xattn_v2" else 1)


def _fuser(model: PatchedModel) -> dict[str, torch.Tensor]:
    return dict(model.fuser.named_parameters())


def test_what_fusers_begin_as(tiny_backbone, data, trained):
    """The gated one as the backbone, side-tuning as half of each."""
    features = data.source.read(data.keys[:5])
    backbone = normalise(features.pooled.float())
    with torch.no_grad():
        gated = beginning(replace(FUSER, fuser="gated_xattn"), tiny_backbone, trained).eval()(features)
        side = beginning(replace(FUSER, fuser="side_tuning"), tiny_backbone, trained).eval()(features)
        patcher = normalise(trained.patcher(features.tokens).mean(1))
    torch.testing.assert_close(gated[:, 0], backbone)
    torch.testing.assert_close(side[:, 0], normalise(backbone + patcher))


def test_without_a_vector_per_frame_a_patcher_is_blind_to_order(tiny_backbone, data, tmp_path):
    """As the NExT-QA patchers are; every reversal is a tie then."""
    recipe = Recipe(temporal_embedding=False, spatial_embedding=True, atm=0.4, epochs=2, batch=16)
    model = train(recipe, tiny_backbone, data, tmp_path)
    assert model.patcher.config.temporal_embedding is False and model.patcher.temporal_embedding is None
    with torch.no_grad():
        forwards, backwards = model(data.source.read(data.keys)), model(data.source.read(data.keys, "reversed"))
        torch.testing.assert_close(backwards, forwards, atol=2e-6, rtol=0)
        same_time = model.both(data.source.read(data.keys))
    assert torch.equal(*same_time)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert line["atm"] == pytest.approx(0.4 * math.log(2), abs=1e-5)
    samples, keys = data.ids, dict(zip(data.ids, data.keys, strict=True))
    asked = [Sample(name, "v", "a falls", "test", name, antonym="a rises") for name in samples]
    told = evaluate(
        PatchedEncoder("p", tiny_backbone, model), data.source, keys, asked, data="x", tasks=("reversal",)
    )  # fmt: skip
    (score,) = [score for score in told.scores if score.metric == "accuracy"]
    assert score.value == 0.5 and score.ties == score.n == len(asked)


def test_a_published_fuser_goes_on_with_the_temperature_of_its_patcher(tiny_backbone):
    start = beginning(RECIPES["paper-vtc"], tiny_backbone)
    start.patcher.temperature.data.fill_(0.031)
    begun = {
        name: beginning(RECIPES[name], tiny_backbone, start).temperature.item() for name in ("paper-fuser", "fuser")
    }
    assert begun == pytest.approx({"paper-fuser": 0.031, "fuser": 0.07})
