"""The published recipes, field by field: objectives, batch of two processes, epochs, what is trained."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from paxion.patching.recipes import CONTINUED, RECIPES, Recipe
from paxion.patching.schedule import learning_rate

SHARED = asdict(
    Recipe(
        protocol="paper", sampler="paper", rate=1e-5, schedule="epoch", warmup=0, latents=16, heads=8, dim_head=64,
        weight_decay=0.05, label_smoothing=0.1, batch=64, epochs=1,
    )
)  # fmt: skip
TRANSFORMER = {"architecture": "transformer", "batch": 16}
XATTN, SIDE = ({"fuser": kind, "raw_pooled": True} for kind in ("xattn", "side_tuning"))
TEMPLATE = {"texts": "template", "epochs": 2}
ASKED = {"task": "questions", "temporal_embedding": False, "temporal_dropout": 0.0, "batch": 32}

DIFFERS: dict[str, dict[str, object]] = {
    "paper-vtc": {},
    "paper-dvdm": {"vac": True, "atm": 0.4},
    "paper-dvdm-ego4d": {"vac": True, "atm": 1.2},
    "paper-transformer": TRANSFORMER,
    "paper-ft": {},
    "paper-ft-template": TEMPLATE,
    "paper-transformer-ft": TRANSFORMER,
    "paper-transformer-ft-template": TRANSFORMER | TEMPLATE,
    "paper-fuser": XATTN,
    "paper-fuser-template": XATTN | TEMPLATE,
    "paper-side-tuning": SIDE,
    "paper-side-tuning-template": SIDE | TEMPLATE,
    "paper-nextqa-patcher": ASKED | {"vac": True},
    "paper-nextqa-ft": ASKED | {"epochs": 5},
    "paper-nextqa-transformer": {
        "task": "questions", "temporal_dropout": 0.0, **TRANSFORMER, "epochs": 5, "label_smoothing": 0.0,
    },
    "paper-nextqa-fuser": ASKED | XATTN | {"epochs": 4},
    "paper-nextqa-side-tuning": ASKED | SIDE | {"epochs": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERS)
def test_a_published_recipe_is_what_was_published(name):
    assert asdict(RECIPES[name]) == SHARED | DIFFERS[name]


def test_these_are_all():
    assert {name for name in RECIPES if name.startswith("paper")} == set(DIFFERS)


@pytest.mark.parametrize(
    ("epochs", "rates"),
    [(1, [1.0]), (2, [1.0, 0.5]), (4, [1.0, 0.854, 0.5, 0.146]), (5, [1.0, 0.905, 0.655, 0.345, 0.0955])],
)
def test_the_rates_of_several_epochs(epochs, rates):
    recipe = replace(RECIPES["paper-vtc"], epochs=epochs)
    found = [learning_rate(recipe, 10 * epoch + 3, 10) * 1e5 for epoch in range(epochs)]
    assert found == pytest.approx(rates, rel=5e-3)


def test_the_control_of_a_fuser_has_its_steps_and_objectives():
    fuser, control = asdict(RECIPES["fuser"]), asdict(RECIPES["patcher-continued"])
    assert {name for name in fuser if fuser[name] != control[name]} == {"fuser"}
    assert set(CONTINUED) < set(RECIPES) and all(RECIPES[name].fuser is None for name in CONTINUED)
