"""Recipes: the published ones say what was published, ours keep their numbers, and nonsense is refused."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from paxion.backbones.world import WorldBackbone, WorldConfig
from paxion.patching.beginning import beginning
from paxion.patching.recipes import RECIPES, Recipe
from paxion.records import PaxionError

PUBLISHED = {
    "label_smoothing": 0.1, "protocol": "paper", "latents": 16, "heads": 8, "dim_head": 64, "temporal_dropout": 0.1,
    "sampler": "paper", "control": "none", "token_noise": 0.0, "epochs": 1, "batch": 64, "accumulate": 1,
    "precision": "float32", "rate": 1e-5, "min_rate": 0.0, "cosine": True, "schedule": "epoch", "warmup": 0,
    "weight_decay": 0.05, "antonym_pair": 0.0, "template": 0.0, "spatial_embedding": False, "difference_tokens": False,
    "fuser": None, "architecture": "perceiver", "pooled": False,
}  # fmt: skip


@pytest.mark.parametrize(("name", "objectives"), [("paper-vtc", (False, 0.0)), ("paper-dvdm", (True, 0.4))])
def test_the_published_recipes(name, objectives):
    recipe = RECIPES[name]
    assert {key: getattr(recipe, key) for key in PUBLISHED} == PUBLISHED
    assert (recipe.vac, recipe.atm) == objectives


@pytest.mark.parametrize(
    ("dim", "width", "parameters"), [(768, 1024, 4_221_441), (512, 768, 2_378_241), (256, 768, 1_324_033)]
)
def test_the_published_patcher_has_the_published_number_of_parameters(dim, width, parameters):
    for name in ("paper-vtc", "paper-dvdm"):
        with torch.device("meta"):
            config = RECIPES[name].patcher_config(dim, width, 8, 257)
            from paxion.patching.model import PatchedModel

            assert sum(parameter.numel() for parameter in PatchedModel(config).parameters()) == parameters


def test_ours_at_the_papers_size_is_the_default_at_that_size():
    ours, default = RECIPES["patcher"], RECIPES["default"]
    differ = {field.name for field in fields(Recipe) if getattr(ours, field.name) != getattr(default, field.name)}
    assert differ == {"latents", "heads", "dim_head"}
    assert (default.latents, default.heads, default.dim_head) == (16, 8, 64)


def test_the_dropout_of_the_recipe_is_that_of_the_patcher():
    backbone = WorldBackbone(WorldConfig((), size=64, frames=4, width=32, heads=2, dim=24))
    assert (
        beginning(replace(RECIPES["patcher"], temporal_dropout=0.37), backbone).patcher.config.temporal_dropout == 0.37
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"protocol": "papr"}, "got protocol 'papr', expected default or paper"),
        ({"schedule": "steps"}, "got schedule 'steps', expected step or epoch"),
        ({"precision": "fp16"}, "got precision 'fp16', expected float32 or bf16"),
        ({"keep": "all"}, "got keep 'all', expected last or best"),
        ({"architecture": "cnn"}, "got architecture 'cnn'"),
        ({"sampler": "papr"}, "unknown sampler 'papr'"),
        ({"accumulate": 0}, "got accumulate 0, expected at least 1"),
        ({"validate": -1}, "got validate -1, expected at least 0"),
        ({"warmup": -1}, "got warmup -1, expected at least 0"),
        ({"min_rate": -1e-3}, "got min_rate -0.001, expected 0 or more"),
        ({"weight_decay": float("inf")}, "got weight_decay inf, expected 0 or more"),
        ({"label_smoothing": 1.0}, "got label_smoothing 1.0, expected 0 or more, below 1"),
        ({"temporal_dropout": -0.1}, "got temporal_dropout -0.1, expected 0 or more, below 1"),
        ({"keep": "best"}, "got keep best without validations"),
        ({"patience": 1}, "got patience 1 without validations"),
    ],
)
def test_what_makes_no_sense_is_refused(change, says):
    with pytest.raises(PaxionError, match=says):
        Recipe(**change)
