"""Patched models as encoders, and the runs that need no training: finished ones and those beside a stale log."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from paxion.backbones.base import BackboneEncoder, Features, normalise
from paxion.patching.data import training_data
from paxion.patching.model import EnsembleEncoder, PatchedEncoder, PatchedModel
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.step import losses
from paxion.patching.train import train
from paxion.similarity import similarity

TINY = Recipe(vac=True, atm=0.4, latents=3, heads=2, dim_head=8, epochs=2, batch=16, warmup=4)


@pytest.fixture(scope="module")
def data(tiny_backbone, tiny_features, tiny_samples):
    rows = [sample for sample in tiny_samples if sample.split != "test"]
    return training_data(tiny_backbone, tiny_features.store, tiny_features.keys, rows)


@pytest.fixture(scope="module")
def run(tiny_backbone, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return train(TINY, tiny_backbone, data, folder), folder


def untrained(backbone, recipe: Recipe) -> PatchedModel:
    sizes = backbone.dim, backbone.token_width, backbone.frames, backbone.tokens_per_frame
    return PatchedModel(recipe.patcher_config(*sizes), recipe.fuser_config(*sizes[:2]))


def test_the_ensemble_adds_the_two_scores(tiny_backbone, data, run):
    features, text = data.source.read(data.keys), data.texts[data.captions[:7]]
    patched = PatchedEncoder("p", tiny_backbone, run[0])
    alone = similarity(patched.encode_clips(features), text)
    backbone = similarity(BackboneEncoder("b", tiny_backbone).encode_clips(features), text)
    assert (alone - backbone).abs().max() > 0.01
    for weight in (0.0, 0.3, 2.0):
        both = similarity(EnsembleEncoder("e", patched, weight).encode_clips(features), text)
        torch.testing.assert_close(both, alone + weight * backbone, rtol=0, atol=2e-6)


def test_the_patched_encoder_gives_unit_vectors_without_dropout(tiny_backbone, data, run):
    patched, features = PatchedEncoder("p", tiny_backbone, run[0]), data.source.read(data.keys[:5])
    run[0].train()
    first, second = patched.encode_clips(features), patched.encode_clips(features)
    assert first.shape == (5, TINY.latents, tiny_backbone.dim)
    assert torch.equal(first, second)
    torch.testing.assert_close(first.norm(dim=-1), torch.ones(5, TINY.latents))
    assert torch.equal(patched.encode_texts(["opening blue box"]), tiny_backbone.encode_texts(["opening blue box"]))


def test_the_patched_encoder_sees_the_order_of_frames(tiny_backbone, data, run):
    patched = PatchedEncoder("p", tiny_backbone, run[0])
    there, back = (patched.encode_clips(data.source.read(data.keys[:5], control)) for control in ("none", "reversed"))
    assert (there - back).abs().max() > 1e-3


def test_features_without_tokens_cannot_be_patched(run):
    with pytest.raises(ValueError, match="without tokens"):
        run[0](Features(torch.zeros(2, 16)))


@pytest.mark.parametrize("kind", ["xattn", "gated_xattn", "xattn_v2", "side_tuning"])
def test_the_length_of_the_pooled_vector_counts_for_raw_fusers_only(tiny_backbone, data, kind):
    features = data.source.read(data.keys[:4])
    longer = replace(features, pooled=7 * features.pooled)
    for raw in (False, True):
        torch.manual_seed(0)
        model = untrained(tiny_backbone, replace(TINY, fuser=kind, raw_pooled=raw)).eval()
        change = (model(longer) - model(features)).abs().max()
        reads_it = raw and kind in ("xattn", "gated_xattn")
        # A gated fuser starts as the backbone, whatever its length.
        assert change > 1e-2 if reads_it and kind != "gated_xattn" else change < 1e-5
        if kind == "xattn" and not raw:
            pooled = features.pooled / features.pooled.norm(dim=1, keepdim=True) * tiny_backbone.dim**0.5
            latents = model.patcher(features.tokens.float())
            torch.testing.assert_close(model(features), normalise(model.fuser(pooled, latents)))
        if kind == "xattn" and raw:
            latents = model.patcher(features.tokens.float())
            torch.testing.assert_close(model(features), normalise(model.fuser(features.pooled, latents)))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_a_step_with_finite_gradients(tiny_backbone, tiny_features, tiny_samples, name):
    model, samples = untrained(tiny_backbone, RECIPES[name]), tiny_samples[:12]
    data = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, samples, RECIPES[name])
    total = torch.stack(list(losses(model, RECIPES[name], data, torch.arange(12)).values())).sum()
    total.backward()
    assert torch.isfinite(total)
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    # A fuser trains with its own temperature; all else takes part.
    assert {n for n, _ in model.named_parameters()} - set(gradients) <= {"patcher.temperature"}


def test_a_finished_run_is_not_trained_again(tiny_backbone, data, run):
    model, folder = run
    before, ticks = (folder / "last.pt").stat().st_mtime_ns, []
    again = train(TINY, tiny_backbone, data, folder, tick=ticks.append)
    assert ticks == []
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in again.state_dict().items())
    assert (folder / "last.pt").stat().st_mtime_ns == before
    assert len((folder / "log.jsonl").read_text().splitlines()) == TINY.epochs


def test_a_stale_log_without_a_checkpoint_is_not_added_to(tiny_backbone, data, tmp_path):
    (tmp_path / "log.jsonl").write_text('{"epoch": 1.0}\n')
    train(replace(TINY, epochs=1), tiny_backbone, data, tmp_path)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1


def test_a_batch_larger_than_the_data_is_all_of_it(tiny_backbone, data, tmp_path):
    start = {
        name: value.clone() for name, value in train(TINY, tiny_backbone, data, tmp_path / "a").state_dict().items()
    }
    model = train(replace(TINY, batch=4096), tiny_backbone, data, tmp_path / "b")
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert any(not torch.equal(value, start[name]) for name, value in model.state_dict().items())
