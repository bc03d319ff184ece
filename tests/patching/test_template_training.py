"""Training on templates: what a clip's text is, who is left out, and texts that repeat in a batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import log

from paxion.backbones.base import normalise
from paxion.patching.beginning import beginning
from paxion.patching.data import training_data
from paxion.patching.gather import Gathered
from paxion.patching.objectives import contrastive
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.step import losses
from paxion.patching.train import train
from paxion.records import PaxionError

TEMPLATES = Recipe(texts="template", epochs=1, batch=16)


def random(*sizes: int, seed: int = 0) -> torch.Tensor:
    return normalise(torch.randn(*sizes, generator=torch.Generator().manual_seed(seed)))


def slowly(video, text, said, temperature, smoothing=0.1):
    """Row by row: a clip's own text against the texts that others say, and the reverse."""
    total = 0.0
    for row in range(len(video)):
        others = [other for other in range(len(video)) if other == row or said[other] != said[row]]
        for scores in (video[row] @ text[others].T, torch.stack([text[row] @ clip.T for clip in video[others]]).T):
            logs = (scores.amax(0) / temperature).log_softmax(-1)
            right = logs[others.index(row)]
            total += float((smoothing - 1) * right - smoothing * logs.mean())
    return total / (2 * len(video))


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=8), st.integers(0, 9))
def test_clips_of_one_text_are_not_told_apart(said, seed):
    numbers = torch.tensor(said)
    video, text = random(len(said), 3, 5, seed=seed), random(4, 5, seed=seed + 1)[numbers]
    got = contrastive(video, text, 0.3, said=numbers)
    assert got.item() == pytest.approx(slowly(video, text, said, 0.3), abs=1e-5)


@settings(deadline=None)
@given(st.permutations(range(7)))
def test_without_repeats_it_is_the_plain_loss(said):
    video, text = random(7, 3, 5), random(7, 5, seed=1)
    torch.testing.assert_close(
        contrastive(video, text, 0.07, said=torch.tensor(said)), contrastive(video, text, 0.07), atol=1e-5, rtol=0
    )


def test_a_batch_of_one_text_has_nothing_to_tell():
    video = random(4, 3, 5).requires_grad_()
    loss = contrastive(video, random(1, 5).expand(4, -1), 0.07, said=torch.zeros(4, dtype=torch.long))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6) and not video.grad.any()


def test_several_processes_mask_what_one_would():
    said = torch.tensor([0, 1, 1, 2, 0, 3])
    video, text = random(6, 3, 5), random(4, 5, seed=1)[said]
    whole = contrastive(video, text, 0.2, said=said)
    halves = [
        contrastive(video[half], text[half], 0.2, said=said[half], gathered=Gathered(video, text, rank, said=said))
        for rank, half in enumerate((slice(0, 3), slice(3, 6)))
    ]
    torch.testing.assert_close(torch.stack(halves).mean(), whole)


def test_texts_that_repeat_do_not_go_with_antonyms():
    video, text = random(4, 5), random(4, 5, seed=1)
    with pytest.raises(ValueError, match="got antonyms and texts that repeat"):
        contrastive(video, text, 0.07, antonym=text, said=torch.arange(4))


def test_a_clips_text_is_its_template(tiny_backbone, tiny_features, tiny_samples):
    samples = [replace(s, template=None) if number in (2, 5) else s for number, s in enumerate(tiny_samples[:20])]
    data = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, samples, TEMPLATES)
    kept = [sample for sample in samples if sample.template]
    assert data.ids == [sample.id for sample in kept] and data.left_out == {"no template": 2}
    want = tiny_backbone.encode_texts([sample.template for sample in kept])
    torch.testing.assert_close(data.texts[data.captions], want)
    none = [replace(s, template=None) for s in samples]
    with pytest.raises(PaxionError, match=r"got 0 of 20 rows with a template, expected at least 2 .*; 20: no template"):
        training_data(tiny_backbone, tiny_features.store, tiny_features.keys, none, TEMPLATES)


def test_as_published_clips_of_one_template_are_told_apart(tiny_backbone, tiny_features, tiny_samples):
    twins = [replace(sample, template=tiny_samples[0].template) for sample in tiny_samples[:8]]
    data = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, twins, TEMPLATES)
    model, rows = beginning(TEMPLATES, tiny_backbone).eval(), torch.arange(8)
    assert losses(model, TEMPLATES, data, rows)["vtc"].item() == pytest.approx(0.0, abs=1e-5)
    with pytest.raises(ValueError, match=r"got training data for .*'template'.*, expected some made for .*'caption'"):
        losses(model, replace(TEMPLATES, texts="caption"), data, rows)
    paper = replace(TEMPLATES, protocol="paper")
    assert losses(model, paper, data, rows)["vtc"].item() > 1.0


def test_the_recipes_on_templates_train(tiny_backbone, data, tiny_features, tiny_samples, trained, tmp_path):
    for name in ("fuser-templates", "paper-fuser-template"):
        recipe = replace(RECIPES[name], epochs=1, batch=16, sampler="midpoint", warmup=1)
        samples = [sample for sample in tiny_samples if sample.source == "world-A"][:48]
        rows = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, samples, recipe)
        train(recipe, tiny_backbone, rows, tmp_path / name, start=trained)
        assert set(log(tmp_path / name)[0]) & {"vtc", "atm", "vtc+vac"} == ({"vtc", "atm"} if recipe.atm else {"vtc"})


@pytest.mark.parametrize("change", [{"vac": True}, {"antonym_pair": 1.0}])
def test_templates_have_no_antonyms(change):
    with pytest.raises(PaxionError, match="with texts 'template', expected none: a template has no antonym"):
        Recipe(texts="template", **change)
