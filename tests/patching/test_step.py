"""The losses of one step on real cached features."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from trainings import SHORT

from paxion.patching.data import token_scale, training_data
from paxion.patching.model import PatchedModel
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.step import losses
from paxion.records import PaxionError, Sample


def test_every_switch_adds_its_objective(tiny_backbone, data):
    rows = torch.arange(8)
    plain = Recipe()
    torch.manual_seed(0)
    model = PatchedModel(
        plain.patcher_config(
            tiny_backbone.dim, tiny_backbone.token_width, tiny_backbone.frames, tiny_backbone.tokens_per_frame
        )
    )
    model.eval()  # No dropout.
    base = losses(model, plain, data, rows)
    assert list(base) == ["vtc"]
    for switch, entry in (("atm", "atm"), ("antonym_pair", "antonym_pair"), ("template", "template")):
        one = losses(model, replace(plain, **{switch: 1.0}), data, rows)
        assert list(one) == ["vtc", entry]
        assert torch.equal(one["vtc"], base["vtc"])
        half = losses(model, replace(plain, **{switch: 0.5}), data, rows)
        torch.testing.assert_close(half[entry], one[entry] / 2)
        assert one[entry] > 0
    vac = losses(model, replace(plain, vac=True), data, rows)
    assert list(vac) == ["vtc+vac"] and vac["vtc+vac"] > base["vtc"]


def test_objectives_without_anything_to_act_on_are_zero_or_left_out(tiny_backbone, tiny_features, tiny_samples):
    bare = [replace(s, antonym=None, template=None, salient=False) for s in tiny_samples[:8]]
    data = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, bare)
    sizes = tiny_backbone.dim, tiny_backbone.token_width, tiny_backbone.frames, tiny_backbone.tokens_per_frame
    parts = losses(PatchedModel(SHORT.patcher_config(*sizes)), SHORT, data, torch.arange(8))
    assert set(parts) == {"vtc+vac", "atm", "antonym_pair"}
    assert parts["atm"].item() == parts["antonym_pair"].item() == 0 < parts["vtc+vac"].item()


def test_training_rows_say_what_the_samples_say(tiny_backbone, tiny_features, tiny_samples):
    samples: list[Sample] = [
        replace(tiny_samples[0], antonym=None, salient=None, template="one", action="x"),
        replace(tiny_samples[1], salient=False, template="two", action="x"),
        replace(tiny_samples[2], template="three", action=None),
        replace(tiny_samples[3], template=None, action="x"),
        replace(tiny_samples[4], id="unread"),
    ]
    data = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, samples)
    assert len(data) == 4 and data.keys == [tiny_features.keys[sample.id] for sample in samples[:4]]
    assert data.has_antonym.tolist() == [sample.antonym is not None for sample in samples[:4]]
    assert data.salient[:2].tolist() == [True, False]
    assert data.positives(torch.arange(4)).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
        [True, True, False],
    ]
    torch.testing.assert_close(data.templates, tiny_backbone.encode_texts(["one", "two", "three"]))
    assert data.antonyms[0] == 0 and not data.texts[0].any()
    torch.testing.assert_close(data.texts[data.captions[1]], tiny_backbone.encode_texts([samples[1].caption])[0])


def test_noise_is_measured_in_the_tokens_own_scale(tiny_backbone, tiny_features, tiny_samples, data):
    assert token_scale(data) == 1.0  # the small backbone's tokens are normed

    class Louder:
        """The store of a backbone whose tokens are thirty times as large."""

        def read(self, keys, control="none"):
            features = tiny_features.store.read(keys, control)
            return replace(features, tokens=30 * features.tokens)

    louder = training_data(tiny_backbone, Louder(), tiny_features.keys, tiny_samples[:8])
    assert token_scale(louder) == 30.0
    model = PatchedModel(RECIPES["patcher-vtc"].patcher_config(16, 32, 9, 17)).train()

    def loss(noise: float, scale: float) -> float:
        torch.manual_seed(3)
        recipe = replace(RECIPES["patcher-vtc"], token_noise=noise)
        return float(losses(model, recipe, replace(data, token_scale=scale), torch.arange(8))["vtc"].detach())

    assert loss(0.1, 3.0) == loss(0.3, 1.0) != loss(0.1, 1.0)


def test_tokens_that_are_no_numbers_have_no_scale(tiny_backbone, tiny_features, tiny_samples):
    class Spoiled:
        spec, reorderable = tiny_features.store.spec, True

        def read(self, *arguments):
            features = tiny_features.store.read(*arguments)
            features.tokens[3, 0, 0, 0] = torch.nan
            return features

    data = training_data(tiny_backbone, Spoiled(), tiny_features.keys, tiny_samples[:8])
    with pytest.raises(PaxionError, match=f"features of {tiny_samples[3].id} are not finite"):
        token_scale(data)
