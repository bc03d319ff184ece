"""Validations in the midst of training: what they say, what is kept, and when they end a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from trainings import SHORT, killed_after, log, same

from paxion.evaluation.evaluate import evaluate
from paxion.patching.model import PatchedEncoder
from paxion.patching.step import losses
from paxion.patching.train import train
from paxion.patching.validation import Validation, quality, validation
from paxion.records import PaxionError

VALIDATED = replace(SHORT, validate=1, epochs=5, rate=1e-2)


@pytest.fixture(scope="module")
def given(tiny_backbone, tiny_features, tiny_samples) -> Validation:
    samples = [sample for sample in tiny_samples if sample.source == "world-A"][48:80]
    return validation(tiny_backbone, tiny_features.store, tiny_features.keys, samples)


def test_it_says_what_probing_the_finished_model_says(tiny_backbone, data, given, tmp_path):
    model = train(replace(VALIDATED, epochs=2), tiny_backbone, data, tmp_path, validation=given)
    line = log(tmp_path)[-1]
    scores = evaluate(
        PatchedEncoder("p", tiny_backbone, model), given.data.source, given.keys, given.samples, data="val",
        tasks=("antonym", "reversal"),
    ).scores  # fmt: skip
    assert {f"val_{score.task}": score.value for score in scores if score.metric == "accuracy"} == {
        name: value for name, value in line.items() if name in ("val_antonym", "val_reversal")
    }
    # Two batches of 16, in whatever order: the losses of all 32 clips.
    assert line["val_loss"] == pytest.approx(_loss(model, given), rel=0.1)


def _loss(model, given) -> float:
    with torch.no_grad():
        parts = [losses(model, VALIDATED, given.data, rows) for rows in torch.arange(32).chunk(2)]
    return sum(float(torch.stack(list(part.values())).sum()) for part in parts) / 2


def test_validating_changes_no_weight(tiny_backbone, data, given, tmp_path):
    plain = train(replace(VALIDATED, validate=0), tiny_backbone, data, tmp_path / "plain")
    assert same(train(VALIDATED, tiny_backbone, data, tmp_path / "validated", validation=given), plain)


def test_every_so_many_epochs_and_at_the_end(tiny_backbone, data, given, tmp_path):
    train(replace(VALIDATED, validate=2), tiny_backbone, data, tmp_path, validation=given)
    assert ["val_loss" in line for line in log(tmp_path)] == [False, True, False, True, True]


def test_the_best_weights_are_kept_where_asked(tiny_backbone, data, given, tmp_path):
    recipe = replace(VALIDATED, rate=0.05, epochs=8)
    last = train(recipe, tiny_backbone, data, tmp_path / "last", validation=given)
    best = train(replace(recipe, keep="best"), tiny_backbone, data, tmp_path / "best", validation=given)
    qualities = [quality({name: v for name, v in line.items() if "val_" in name}) for line in log(tmp_path / "best")]
    first_best = max(range(8), key=lambda epoch: (qualities[epoch], -epoch))
    assert first_best < 7 and not same(best, last)
    ends = replace(recipe, epochs=8, keep="best")
    kept = torch.load(tmp_path / "best" / "best.pt", weights_only=True)
    assert kept["step"] == 3 * (first_best + 1)
    assert all(torch.equal(values, best.state_dict()[name]) for name, values in kept["model"].items())
    assert same(train(ends, tiny_backbone, data, tmp_path / "best", validation=given), best)


def test_a_run_stops_when_validations_get_no_better(tiny_backbone, data, given, tmp_path):
    recipe = replace(VALIDATED, rate=0.0, epochs=9, patience=3, keep="best")
    model = train(recipe, tiny_backbone, data, tmp_path, validation=given)
    assert [line["epoch"] for line in log(tmp_path)] == [1, 2, 3, 4]  # the first is the best, then three are not
    told: list[str] = []
    assert same(train(recipe, tiny_backbone, data, tmp_path, validation=given, tell=told.append), model)
    assert len(log(tmp_path)) == 4


@pytest.mark.parametrize("epoch", [2, 4])
def test_a_killed_run_keeps_the_same_best(tiny_backbone, data, given, tmp_path, epoch):
    recipe = replace(VALIDATED, keep="best", patience=4)
    whole = train(recipe, tiny_backbone, data, tmp_path / "whole", validation=given)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tiny_backbone, data, tmp_path / "cut", validation=given, tick=killed_after(epoch))
    assert same(train(recipe, tiny_backbone, data, tmp_path / "cut", validation=given), whole)


def test_what_quality_is():
    assert quality({"val_loss": 3.0, "val_antonym": 0.5, "val_reversal": 0.9}) == pytest.approx(0.7)
    assert quality({"val_loss": 3.0}) == -3.0


def test_a_recipe_shown_less_than_the_clip_is_not_asked_for_its_direction(tiny_backbone, data, given, tmp_path):
    recipe = replace(VALIDATED, atm=0.0, control="last", epochs=1)
    train(recipe, tiny_backbone, data, tmp_path, validation=given)
    (line,) = log(tmp_path)
    assert "val_antonym" in line and "val_reversal" not in line


def test_nothing_to_validate_on_is_said(tiny_backbone, tiny_features, tiny_samples, data, tmp_path):
    with pytest.raises(PaxionError, match="got validate 1 and no clips to validate on"):
        train(VALIDATED, tiny_backbone, data, tmp_path)
    with pytest.raises(
        PaxionError, match="got 1 validation clips that can be read, expected at least 2 in the val split"
    ):
        validation(tiny_backbone, tiny_features.store, tiny_features.keys, tiny_samples[:1])
    with pytest.raises(PaxionError, match="got 0 validation clips"):
        validation(tiny_backbone, tiny_features.store, tiny_features.keys, [])
