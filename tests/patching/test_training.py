"""Training on real cached features: it learns, the seed decides it, and it says what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from trainings import SHORT, log, same

from paxion.backbones.base import BackboneEncoder
from paxion.patching.data import training_data
from paxion.patching.model import EnsembleEncoder, PatchedEncoder
from paxion.patching.recipes import Recipe
from paxion.patching.train import train
from paxion.records import PaxionError
from paxion.similarity import similarity


def test_a_few_epochs_lower_every_loss(tiny_backbone, data, tmp_path):
    lines: list[dict[str, float]] = []
    model = train(replace(SHORT, epochs=12), tiny_backbone, data, tmp_path, tick=lines.append)
    assert not model.training
    assert [line["epoch"] for line in lines] == list(range(1, 13)) and lines == log(tmp_path)
    parts = {"vtc+vac", "atm", "antonym_pair", "template"}
    assert set(lines[0]) == {"epoch", "step", "temperature", "rate", "seconds", *parts}
    assert [line["step"] for line in lines] == list(range(3, 37, 3)) and lines[0]["rate"] > lines[-1]["rate"] > 0
    for name in parts - {"atm"}:
        assert lines[-1][name] < lines[0][name] - 0.2, name


def test_the_direction_of_time_is_learned_where_it_matters(tiny_backbone, data, tmp_path):
    """The slowest of all with a backbone that has seen nothing."""
    recipe = Recipe(atm=10.0, difference_tokens=True, spatial_embedding=True, rate=1e-2, epochs=30, batch=16)
    train(recipe, tiny_backbone, data, tmp_path)
    assert log(tmp_path)[-1]["atm"] < log(tmp_path)[0]["atm"] - 0.3


def test_the_seed_decides_the_weights(tiny_backbone, data, trained, tmp_path):
    torch.manual_seed(99)
    assert same(train(SHORT, tiny_backbone, data, tmp_path / "again"), trained)
    assert not same(train(SHORT, tiny_backbone, data, tmp_path / "other", seed=1), trained)


def test_a_folder_that_cannot_be_written_is_one_line(tiny_backbone, data, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PaxionError, match="give another folder"):
        train(SHORT, tiny_backbone, data, tmp_path / "file" / "run")


def test_too_little_to_train_on_is_said(tiny_backbone, tiny_features, tiny_samples, data, tmp_path):
    with pytest.raises(PaxionError, match="got 1 training clips that can be read, expected at least 2"):
        training_data(tiny_backbone, tiny_features.store, tiny_features.keys, tiny_samples[:1])
    with pytest.raises(PaxionError, match="got batch 1, expected at least 2"):
        train(replace(SHORT, batch=1), tiny_backbone, data, tmp_path)


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
