"""What a training begins with: fusers on a patcher, and what was trained before trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from trainings import FUSER

from paxion.patching.beginning import beginning
from paxion.patching.model import PatchedModel
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.train import train
from paxion.records import PaxionError


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
