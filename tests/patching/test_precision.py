"""bfloat16 and parts of batches: what they change, and what they leave."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from trainings import SHORT, apart, log, same

from paxion.patching.objectives import contrastive
from paxion.patching.train import train


def test_bf16_trains_close_to_single_precision_and_keeps_weights_single(tiny_backbone, data, tmp_path):
    recipe = replace(SHORT, rate=1e-4)
    single = train(recipe, tiny_backbone, data, tmp_path / "single")
    half = train(replace(recipe, precision="bf16"), tiny_backbone, data, tmp_path / "half")
    assert {values.dtype for values in half.state_dict().values()} == {torch.float32}
    assert 0 < apart(single, half) < 2e-3
    for one, other in zip(log(tmp_path / "single"), log(tmp_path / "half"), strict=True):
        assert one["vtc+vac"] == pytest.approx(other["vtc+vac"], rel=0.01) and one["vtc+vac"] != other["vtc+vac"]
    # The model is left as it was: outside of training it runs in single precision.
    features = data.source.read(data.keys[:2])
    assert half(features).dtype == torch.float32
    with torch.no_grad():
        assert torch.equal(half(features), half(features))


def test_precisions_can_change_from_one_training_to_the_next(tiny_backbone, data, tmp_path):
    one = replace(SHORT, epochs=1)
    first = train(one, tiny_backbone, data, tmp_path / "a")
    train(replace(one, precision="bf16"), tiny_backbone, data, tmp_path / "b")
    assert same(train(one, tiny_backbone, data, tmp_path / "c"), first)


def test_an_objective_is_exact_under_autocast():
    video, text = torch.randn(6, 4, 16), torch.randn(6, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(contrastive(video, text, 0.07), contrastive(video, text, 0.07))
        inside = contrastive(video, text, 0.07)
    assert inside.dtype == torch.float32 and torch.equal(inside, contrastive(video, text, 0.07))
    assert contrastive(video.bfloat16(), text, 0.07).dtype == torch.float32


def test_parts_of_a_batch_say_what_they_do_to_the_negatives(tiny_backbone, data, tmp_path):
    told: list[str] = []
    recipe = replace(SHORT, epochs=1, accumulate=4, warmup=0)
    train(recipe, tiny_backbone, data, tmp_path, tell=told.append)
    assert told == [
        "accumulate 4: each clip is told from 3 others instead of 15, as the parts of a batch do not see each other"
    ]


def test_the_gradient_of_parts_is_the_mean_of_theirs(tiny_backbone, data, tmp_path):
    """Where a part is as large as a batch, one step on two parts is the mean of the two batches' gradients."""
    recipe = replace(SHORT, epochs=1, batch=48, accumulate=3, token_noise=0.0, temporal_dropout=0.0)
    whole = train(recipe, tiny_backbone, data, tmp_path / "parts")
    (line,) = log(tmp_path / "parts")
    assert line["step"] == 1 and whole.training is False
    alone = train(replace(recipe, accumulate=1), tiny_backbone, data, tmp_path / "whole")
    (other,) = log(tmp_path / "whole")
    assert line["vtc+vac"] < other["vtc+vac"] - 0.3  # fewer wrong answers
    assert line["antonym_pair"] == pytest.approx(other["antonym_pair"], rel=0.2) and not same(whole, alone)


def test_few_clips_are_said(tiny_backbone, data, tmp_path):
    told: list[str] = []
    train(replace(SHORT, epochs=1, batch=64, warmup=0), tiny_backbone, data, tmp_path, tell=told.append)
    assert told == ["the batch is 48 clips instead of 64: there are 48"]


def test_the_published_protocol_by_one_process_says_how_it_differs(tiny_backbone, data, tmp_path):
    told: list[str] = []
    train(replace(SHORT, epochs=1, protocol="paper", warmup=0), tiny_backbone, data, tmp_path, tell=told.append)
    (line,) = told
    assert "published for 2 processes, got 1 of 16 clips; text to video then trains the patcher too" in line
