"""A loss that is no number: what is said, what is written, and what is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from trainings import SHORT, log, same

from paxion.patching.train import train
from paxion.records import PaxionError


class Spoiled:
    """A source in which the features of one clip are not finite."""

    def __init__(self, source, key: str) -> None:
        self.source, self.key = source, key
        self.spec, self.reorderable, self.prefetch = source.spec, source.reorderable, source.prefetch

    def read(self, keys, control="none", seeds=None):
        features = self.source.read(keys, control, seeds)
        bad = torch.tensor([key == self.key for key in keys])
        tokens = features.tokens.clone()
        tokens[bad, 1] = torch.nan
        return replace(features, tokens=tokens)


def report(folder) -> dict:
    return json.loads((folder / "failed.json").read_text())


def test_a_clip_whose_features_are_not_finite_is_named(tiny_backbone, data, trained, tmp_path):
    bad = Spoiled(data.source, data.keys[40])
    with pytest.raises(
        PaxionError, match=rf"the loss became nan in step \d of 12 \(epoch 1\): .* clip {data.ids[40]} .*"
    ):
        train(SHORT, tiny_backbone, replace(data, source=bad), tmp_path)
    found = report(tmp_path)
    assert found["not_finite"] == {"features": [data.ids[40]], "texts": [], "weights": []}
    assert data.ids[40] in found["ids"] and len(set(found["ids"])) == 16 and set(found["ids"]) <= set(data.ids)
    assert found["epoch"] == 1 and found["clips_of_step"] == found["step"] <= 3

    # The state is that before the step: mend the clip, and training goes on from it.
    state = torch.load(tmp_path / "failed.pt", weights_only=True)
    assert state["state"]["step"] == found["step"] - 1
    assert all(values.isfinite().all() for values in state["model"].values())
    (tmp_path / "failed.pt").rename(tmp_path / "last.pt")
    assert same(train(SHORT, tiny_backbone, data, tmp_path), trained)


def test_a_text_that_is_not_finite_is_named(tiny_backbone, data, tmp_path):
    texts = torch.cat([data.texts, torch.full_like(data.texts[:1], torch.inf)])
    captions = data.captions.clone()
    captions[7] = len(data.texts)
    with pytest.raises(PaxionError, match=f"the text vectors of clip {data.ids[7]} are not finite"):
        train(SHORT, tiny_backbone, replace(data, texts=texts, captions=captions), tmp_path)
    assert report(tmp_path)["not_finite"]["texts"] == [data.ids[7]]


def test_weights_that_blow_up_leave_the_last_good_checkpoint(tiny_backbone, data, tmp_path):
    """The loss of a step shows what the step before has done to the weights: its clips are the ones to look at."""
    # A rate of nothing in the first epoch, and far too much from the second one on.
    recipe = replace(SHORT, schedule="epoch", warmup=0, min_rate=1e30, weight_decay=1e38)
    with pytest.raises(
        PaxionError, match=r"the loss became nan in step 5 of 12 \(epoch 2\); lower the rate .* last good"
    ):
        train(recipe, tiny_backbone, data, tmp_path)
    found, kept = report(tmp_path), torch.load(tmp_path / "last.pt", weights_only=True)
    assert (found["step"], found["clips_of_step"], bool(found["not_finite"]["weights"])) == (5, 4, True)
    assert kept["state"]["step"] == 3 and all(values.isfinite().all() for values in kept["model"].values())
    assert [line["epoch"] for line in log(tmp_path)] == [1]


def test_spoiled_weights_are_never_saved_as_good_ones(tiny_backbone, data, tmp_path):
    """Also not those of the last step of an epoch, whose loss was still a number."""
    recipe = replace(SHORT, weight_decay=1e38, rate=1e30, warmup=0, epochs=1, batch=48)
    with pytest.raises(PaxionError, match="lower the rate"):
        train(recipe, tiny_backbone, data, tmp_path)
    assert not (tmp_path / "last.pt").exists() and report(tmp_path)["not_finite"]["weights"]


def test_a_failure_is_one_line(tiny_backbone, data, tmp_path):
    spoiled = replace(data, texts=data.texts * float("nan"))
    with pytest.raises(PaxionError) as failed:
        train(SHORT, tiny_backbone, spoiled, tmp_path)
    assert "\n" not in str(failed.value) and "16 clips (" in str(failed.value)
    assert str(tmp_path / "failed.json") in str(failed.value) and "last.pt" not in str(failed.value)
