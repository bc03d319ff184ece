"""A whole training of one step, by `train`, from published weights to published weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden import SHIPPED, Case, cases, load
from test_golden_models import dense, end_to_end, heads_of, imported, stored

from paxion.backbones.base import Features, normalise
from paxion.backbones.world import WorldBackbone, WorldConfig
from paxion.features.spec import StoreSpec
from paxion.patching.data import TrainingData
from paxion.patching.model import PatchedModel
from paxion.patching.official import patcher_to_official
from paxion.patching.recipes import RECIPES
from paxion.patching.train import train

STEP = replace(RECIPES["paper-dvdm"], rate=1e-3, batch=4)
"""The stored step: published but for its rate, on four clips, as one process does it."""


class Given:
    """The stored features of a backbone whose tokens of a reversed clip are the reversed tokens."""

    reorderable = False

    def __init__(self, backbone: WorldBackbone, case: Case) -> None:
        self.spec = StoreSpec("given", "r", "paper", 4, backbone.transform, per_frame=True)
        self.pooled = case.outputs["raw_visual_feat"]
        self.tokens = case.outputs["raw_visual_embeddings_pbfd"].permute(1, 2, 0, 3)

    def read(self, keys, control="none", seeds=None) -> Features:
        rows = [int(key) for key in keys]
        return Features(self.pooled[rows], self.tokens[rows].flip(1) if control == "reversed" else self.tokens[rows])

    def prefetch(self, keys) -> None:
        pass


def without_dropout(model: PatchedModel) -> PatchedModel:
    """The case was made in eval mode."""
    still = PatchedModel(replace(model.patcher.config, temporal_dropout=0.0))
    still.load_state_dict(model.state_dict())
    return still


def assert_stepped(model: PatchedModel, case: Case) -> None:
    stepped, compared = patcher_to_official(model.patcher.state_dict()), 0
    for key, want in case.outputs.items():
        if key.startswith("after_adamw/"):
            name = key.removeprefix("after_adamw/")
            # The first step follows the sign of the gradient, which rounding decides where it is next to nothing.
            sure = case.outputs[f"grad/{name}"].abs() >= 1e-6
            assert (stepped[name] - want)[sure].abs().max() <= 1e-5, name
            compared += int(sure.sum())
    assert compared > 5000


def shipped(folder: Path) -> tuple[Case, WorldBackbone, PatchedModel, TrainingData]:
    """The case in the repository, from its features; the backbone is any of the same sizes."""
    case = load(SHIPPED / "e_patcher_vtc_vac_atm")
    backbone = WorldBackbone(WorldConfig((), size=64, frames=4, width=32, heads=2, dim=24))
    model, _ = imported(dense(case.weights), backbone, folder, heads_of(case))
    every = torch.ones(4, dtype=torch.bool)
    data = TrainingData(
        source=Given(backbone, case),
        ids=list("abcd"),
        keys=list("0123"),
        texts=torch.cat(
            [torch.zeros(1, 24), normalise(case.outputs["raw_text_feat"]), case.inputs["antonym_text_feat"]]
        ),
        captions=torch.arange(1, 5),
        antonyms=torch.arange(5, 9),
        salient=every,
        templates=torch.zeros(0, 24),
        said=[[]],
        actions=torch.zeros(4, dtype=torch.long),
        digest="given",
    )
    return case, backbone, model, data


@cases("e_patcher_vtc_vac_atm")
def test_a_step_of_training_equals_the_published_one(case, tmp_path):
    if case.parent == SHIPPED:
        case, backbone, model, data = shipped(tmp_path)
    else:
        case, meta, backbone, model = end_to_end(case.name, tmp_path)
        data = stored(backbone, case, meta, tmp_path)
    trained = train(STEP, backbone, data, tmp_path / "run", start=without_dropout(model))
    assert_stepped(trained, case)
    line = json.loads((tmp_path / "run/log.jsonl").read_text())
    assert line["vtc+vac"] == pytest.approx(float(case.outputs["losses/video_text_contrastive"]), abs=1e-5)
    assert line["atm"] == pytest.approx(float(case.outputs["losses/action_temporal_matching"]), abs=1e-5)
    assert line["rate"] == 1e-3


@pytest.mark.parametrize("slip", [{"weight_decay": 0.0}, {"atm": 1.0}, {"vac": False}, {"label_smoothing": 0.0}])
def test_a_slip_in_the_step_would_be_seen(tmp_path, slip):
    case, backbone, model, data = shipped(tmp_path)
    trained = train(replace(STEP, **slip), backbone, data, tmp_path / "run", start=without_dropout(model))
    with pytest.raises(AssertionError):
        assert_stepped(trained, case)
