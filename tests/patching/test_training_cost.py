"""What a training says that it has cost: summed over calls, kept over kills, and handed on to what starts from it."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
import torch
from trainings import FUSER, SHORT, killed_after, same

from paxion.patching.checkpoint import save_adapter
from paxion.patching.recipes import RECIPES
from paxion.patching.spent import origin, total
from paxion.patching.train import train
from paxion.records import PaxionError


def cost(folder):
    return json.loads((folder / "config.json").read_text())["cost"]


def test_a_training_says_what_it_has_cost(tiny_backbone, data, tmp_path):
    began = time.perf_counter(), time.process_time()
    model = train(SHORT, tiny_backbone, data, tmp_path)
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    found = cost(tmp_path)
    assert found.keys() == {"trainable", "steps", "seconds", "cpu_seconds"}
    assert found["trainable"] == sum(parameter.numel() for parameter in model.parameters())
    assert found["steps"] == 12 and 0 < found["seconds"] <= wall and 0 < found["cpu_seconds"] <= cpu


def test_what_is_frozen_is_not_counted(tiny_backbone, data, trained, tmp_path):
    for recipe in (FUSER, replace(FUSER, joint=False), replace(FUSER, fuser="side_tuning", joint=False)):
        model = train(replace(recipe, epochs=1), tiny_backbone, data, tmp_path / "run", start=trained)
        counted = sum(parameter.numel() for parameter in model.fuser.parameters())
        if recipe.joint:  # its temperature is not in use
            counted += sum(parameter.numel() for parameter in model.patcher.parameters()) - 1
        assert cost(tmp_path / "run")["trainable"] == counted
        (tmp_path / "run/last.pt").unlink()
    recipe = replace(RECIPES["kp-transformer"], epochs=1, batch=16)
    model = train(recipe, tiny_backbone, data, tmp_path / "transformer")
    assert cost(tmp_path / "transformer")["trainable"] == sum(p.numel() for p in model.parameters())


def test_a_killed_run_adds_to_what_it_had(tiny_backbone, data, trained, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, tiny_backbone, data, tmp_path, tick=killed_after(3))
    had = torch.load(tmp_path / "last.pt", weights_only=True)["state"]
    assert had["step"] == 6 and had["wall"] > 0 and had["cpu"] > 0
    had["wall"], had["cpu"] = 1000.0, 2000.0  # it was slow
    stored = torch.load(tmp_path / "last.pt", weights_only=True) | {"state": had}
    torch.save(stored, tmp_path / "last.pt")
    assert same(train(SHORT, tiny_backbone, data, tmp_path), trained)
    found = cost(tmp_path)
    assert found["steps"] == 12 and 1000 < found["seconds"] < 1060 and 2000 < found["cpu_seconds"] < 2060
    train(SHORT, tiny_backbone, data, tmp_path)
    assert cost(tmp_path) == found  # done already


def test_a_checkpoint_from_before_costs_and_new_fields_goes_on(tiny_backbone, data, trained, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, tiny_backbone, data, tmp_path, tick=killed_after(3))
    stored = torch.load(tmp_path / "last.pt", weights_only=True)
    for name in ("wall", "cpu"):
        del stored["state"][name]
    for name in ("task", "texts", "question_text", "temporal_embedding"):
        del stored["run"]["recipe"][name]
    torch.save(stored, tmp_path / "last.pt")
    assert same(train(SHORT, tiny_backbone, data, tmp_path), trained)


def test_what_a_chain_of_trainings_has_cost(tiny_backbone, trained, tmp_path):
    def adapter(name, steps, **told):
        spent = {"trainable": 7, "steps": steps, "seconds": steps / 2, "cpu_seconds": float(steps)}
        save_adapter(tmp_path / name, name, trained, tiny_backbone, SHORT, {"cost": spent, **told})
        return origin(tmp_path / name)

    first = adapter("first", 100, started_from=None)
    assert first == {"name": "first", "started_from": None, "cost": first["cost"]} and first["cost"]["steps"] == 100
    second = adapter("second", 20, started_from=first)
    assert second["started_from"] == first
    assert total(adapter("third", 3, started_from=second)) == {"steps": 123, "seconds": 61.5, "cpu_seconds": 123.0}
    save_adapter(tmp_path / "old", "old", trained, tiny_backbone, SHORT, {})
    assert total(adapter("unknown", 1, started_from=origin(tmp_path / "old"))) is None
    with pytest.raises(PaxionError, match="is no adapter"):
        origin(tmp_path / "none")
