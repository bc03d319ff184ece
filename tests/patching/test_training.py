"""Training on real cached features: it learns, it goes on after a kill, and it never mixes two runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from paxion.backbones.base import BackboneEncoder
from paxion.patching.model import EnsembleEncoder, PatchedEncoder, PatchedModel
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.train import TrainingData, beginning, learning_rate, losses, train, training_data
from paxion.records import PaxionError, Sample
from paxion.similarity import similarity

SHORT = replace(RECIPES["patcher"], epochs=4, batch=16, warmup=4)


@pytest.fixture(scope="module")
def data(tiny_backbone, tiny_features, tiny_samples) -> TrainingData:
    samples = [sample for sample in tiny_samples if sample.source == "world-A"][:48]
    return training_data(tiny_backbone, tiny_features.store, tiny_features.keys, samples)


@pytest.fixture(scope="module")
def trained(tiny_backbone, data, tmp_path_factory) -> PatchedModel:
    return train(SHORT, tiny_backbone, data, tmp_path_factory.mktemp("trained"))


def same(one: PatchedModel, other: PatchedModel) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def killed_after(epoch: float) -> Callable[[dict[str, float]], None]:
    def tick(line: dict[str, float]) -> None:
        if line["epoch"] == epoch:
            raise KeyboardInterrupt

    return tick


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_few_epochs_lower_every_loss(tiny_backbone, data, tmp_path):
    lines: list[dict[str, float]] = []
    model = train(replace(SHORT, epochs=12), tiny_backbone, data, tmp_path, tick=lines.append)
    assert not model.training
    assert [line["epoch"] for line in lines] == list(range(1, 13)) and lines == log(tmp_path)
    parts = {"vtc+vac", "atm", "antonym_pair", "template"}
    assert set(lines[0]) == {"epoch", "temperature", "seconds", *parts}
    for name in parts:
        assert lines[-1][name] < lines[0][name] - 0.01, name


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tiny_backbone, data, trained, tmp_path, epoch):
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, tiny_backbone, data, tmp_path, tick=killed_after(epoch))
    torch.rand(7)  # Whatever happened in between.
    lines: list[dict[str, float]] = []
    model = train(SHORT, tiny_backbone, data, tmp_path, tick=lines.append)
    assert same(model, trained)
    assert [line["epoch"] for line in lines] == list(range(epoch + 1, 5))
    assert [line["epoch"] for line in log(tmp_path)] == [1, 2, 3, 4]


def test_a_kill_within_an_epoch_costs_that_epoch_only(tiny_backbone, data, trained, tmp_path):
    class Dies:
        """Reads features until it is killed in the middle of the third epoch."""

        reads = 0

        def read(self, *arguments: object) -> object:
            self.reads += 1
            if self.reads == 15:  # Two reads a step, three steps an epoch.
                raise KeyboardInterrupt
            return data.store.read(*arguments)

    with pytest.raises(KeyboardInterrupt):
        train(SHORT, tiny_backbone, replace(data, store=Dies()), tmp_path)
    assert [line["epoch"] for line in log(tmp_path)] == [1, 2]
    assert same(train(SHORT, tiny_backbone, data, tmp_path), trained)
    assert [line["epoch"] for line in log(tmp_path)] == [1, 2, 3, 4]


def test_the_seed_decides_the_weights(tiny_backbone, data, trained, tmp_path):
    torch.manual_seed(99)
    assert same(train(SHORT, tiny_backbone, data, tmp_path / "again"), trained)
    assert not same(train(SHORT, tiny_backbone, data, tmp_path / "other", seed=1), trained)


def test_a_checkpoint_of_another_training_is_refused(
    tiny_backbone, tiny_features, tiny_samples, data, trained, tmp_path
):
    train(replace(SHORT, epochs=1), tiny_backbone, data, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    fewer = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, tiny_samples[:40])
    reworded = [replace(sample, caption=f"again {sample.caption}") for sample in tiny_samples[:48]]
    reworded_data = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, reworded)
    one = replace(SHORT, epochs=1)
    for what, recipe, rows, seed, start in (
        ("other recipe", SHORT, data, 0, None),
        ("other recipe", replace(one, rate=1e-4), data, 0, None),
        ("other seed", one, data, 1, None),
        ("other data", one, fewer, 0, None),
        ("other data", one, reworded_data, 0, None),
        ("other start", one, data, 0, trained),
    ):
        with pytest.raises(PaxionError, match=rf"belongs to another training \({what}\); delete it"):
            train(recipe, tiny_backbone, rows, tmp_path, seed=seed, start=start)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_a_damaged_checkpoint_is_said(tiny_backbone, data, tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(PaxionError, match=r"checkpoint\.pt cannot be read .* delete it to train anew"):
        train(SHORT, tiny_backbone, data, tmp_path)


@pytest.mark.parametrize("state", [{}, [1, 2], {"run": None, "epochs": 1}, {"run": {}, "epochs": "many"}])
def test_a_file_that_is_no_checkpoint_of_ours_is_said(tiny_backbone, data, tmp_path, state):
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(PaxionError, match="delete it"):
        train(SHORT, tiny_backbone, data, tmp_path)


def test_a_folder_that_cannot_be_written_is_one_line(tiny_backbone, data, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PaxionError, match="give another folder"):
        train(SHORT, tiny_backbone, data, tmp_path / "file" / "run")


FUSER = replace(RECIPES["fuser"], epochs=2, batch=16, warmup=1)


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


def test_a_killed_fuser_goes_on_too(tiny_backbone, data, trained, tmp_path):
    whole = train(FUSER, tiny_backbone, data, tmp_path / "whole", start=trained)
    with pytest.raises(KeyboardInterrupt):
        train(FUSER, tiny_backbone, data, tmp_path / "cut", start=trained, tick=killed_after(1))
    assert same(train(FUSER, tiny_backbone, data, tmp_path / "cut", start=trained), whole)


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
    with pytest.raises(PaxionError, match=r"another training \(other start\)"):
        train(recipe, tiny_backbone, data, tmp_path / "b", start=start)


def test_the_start_model_is_not_changed(tiny_backbone, data, trained, tmp_path):
    before = {name: values.clone() for name, values in trained.state_dict().items()}
    train(FUSER, tiny_backbone, data, tmp_path, start=trained)
    assert all(torch.equal(values, before[name]) for name, values in trained.state_dict().items())


def test_the_rate_warms_up_and_falls_to_zero():
    recipe = Recipe(rate=1e-3, warmup=10)
    rates = [learning_rate(recipe, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4, rel=1e-3)
    assert rates[9] == pytest.approx(1e-3 * 0.5 * (1 + math.cos(math.pi * 0.09)))
    assert all(b > a for a, b in pairwise(rates[:10]))
    assert all(b < a for a, b in pairwise(rates[9:]))
    assert rates[50] == pytest.approx(5e-4)
    assert rates[99] < 1e-6 and rates[100] == pytest.approx(0, abs=1e-12)


def test_the_rate_without_cosine_stays():
    recipe = Recipe(rate=1e-3, warmup=4, cosine=False)
    assert [learning_rate(recipe, step, 50) for step in (0, 1, 3, 4, 49)] == [2.5e-4, 5e-4, 1e-3, 1e-3, 1e-3]
    assert learning_rate(replace(recipe, warmup=0), 0, 50) == 1e-3


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
    assert data.positives.tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
        [True, True, False],
    ]
    torch.testing.assert_close(data.templates, tiny_backbone.encode_texts(["one", "two", "three"]))
    assert not data.antonyms[0].any()
    torch.testing.assert_close(data.captions[1], tiny_backbone.encode_texts([samples[1].caption])[0])


def test_too_little_to_train_on_is_said(tiny_backbone, tiny_features, tiny_samples, data, tmp_path):
    with pytest.raises(PaxionError, match="got 1 training clips that can be read, expected at least 2"):
        training_data(tiny_backbone, tiny_features.store, tiny_features.keys, tiny_samples[:1])
    with pytest.raises(PaxionError, match="got batch 1, expected at least 2"):
        train(replace(SHORT, batch=1), tiny_backbone, data, tmp_path)


def test_a_loss_that_is_not_finite_stops_the_training(tiny_backbone, data, tmp_path):
    spoiled = replace(data, captions=data.captions * float("nan"))
    with pytest.raises(PaxionError, match=r"the loss became nan in epoch 1; lower the rate \(0\.003\)"):
        train(SHORT, tiny_backbone, spoiled, tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_the_temperature_never_falls_below_its_floor(tiny_backbone, data, tmp_path):
    model = train(replace(SHORT, rate=0.5, warmup=0), tiny_backbone, data, tmp_path)
    assert model.temperature.item() >= 0.01 - 1e-6
    assert min(line["temperature"] for line in log(tmp_path)) >= 0.01 - 1e-6


def test_the_ensemble_scores_patched_plus_weighted_backbone(tiny_backbone, tiny_features, tiny_samples, trained):
    samples = tiny_samples[20:40]
    features = tiny_features.store.read([tiny_features.keys[sample.id] for sample in samples])
    patched = PatchedEncoder("patcher", tiny_backbone, trained)
    text = patched.encode_texts([sample.caption for sample in samples])
    backbone = similarity(BackboneEncoder("backbone", tiny_backbone).encode_clips(features), text)
    alone = similarity(patched.encode_clips(features), text)
    for weight in (0.0, 0.5, 3.0):
        together = similarity(EnsembleEncoder("ensemble", patched, weight).encode_clips(features), text)
        torch.testing.assert_close(together, alone + weight * backbone, atol=1e-5, rtol=0)


def test_noise_is_measured_in_the_tokens_own_scale(tiny_backbone, tiny_features, tiny_samples, data):
    assert data.token_scale == 1.0  # the small backbone's tokens are normed

    class Louder:
        """The store of a backbone whose tokens are thirty times as large."""

        def read(self, keys, control="none"):
            features = tiny_features.store.read(keys, control)
            return replace(features, tokens=30 * features.tokens)

    louder = training_data(tiny_backbone, Louder(), tiny_features.keys, tiny_samples[:8])
    assert louder.token_scale == 30.0
    model = PatchedModel(RECIPES["patcher-vtc"].patcher_config(16, 32, 9, 17)).train()

    def loss(noise: float, scale: float) -> float:
        torch.manual_seed(3)
        recipe = replace(RECIPES["patcher-vtc"], token_noise=noise)
        return float(losses(model, recipe, replace(data, token_scale=scale), torch.arange(8))["vtc"].detach())

    assert loss(0.1, 3.0) == loss(0.3, 1.0) != loss(0.1, 1.0)
