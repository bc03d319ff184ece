"""The learning rate of each step."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from golden import SHARED

from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.schedule import learning_rate


def test_the_rate_warms_up_and_falls_to_zero():
    recipe = Recipe(rate=1e-3, warmup=10, epochs=1)
    rates = [learning_rate(recipe, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4, rel=1e-3)
    assert rates[9] == pytest.approx(1e-3 * 0.5 * (1 + math.cos(math.pi * 0.09)))
    assert all(b > a for a, b in pairwise(rates[:10]))
    assert all(b < a for a, b in pairwise(rates[9:]))
    assert rates[50] == pytest.approx(5e-4)
    assert rates[99] < 1e-6 and rates[100] == pytest.approx(0, abs=1e-12)


def test_the_rate_without_cosine_stays():
    recipe = Recipe(rate=1e-3, warmup=4, cosine=False, epochs=1)
    assert [learning_rate(recipe, step, 50) for step in (0, 1, 3, 4, 49)] == [2.5e-4, 5e-4, 1e-3, 1e-3, 1e-3]
    assert learning_rate(replace(recipe, warmup=0), 0, 50) == 1e-3


# Numbers of the published scheduler: five epochs from 1e-4 to 1e-7, with ten steps of warm-up from 1e-6.
PUBLISHED = {
    (0, 0): 1e-06, (0, 1): 1.09e-05, (0, 2): 2.08e-05, (0, 5): 5.0499999999999994e-05, (0, 9): 9.010000000000001e-05,
    (0, 10): 9.999999999999999e-05, (0, 11): 1e-4, (0, 100): 1e-4,
    (1, 0): 9.046039886902862e-05, (1, 11): 9.046039886902862e-05, (1, 100): 9.046039886902862e-05,
    (2, 0): 6.548539886902863e-05, (2, 100): 6.548539886902863e-05,
    (3, 5): 3.461460113097139e-05, (4, 0): 9.639601130971381e-06, (4, 100): 9.639601130971381e-06,
}  # fmt: skip


def test_by_the_epoch_it_is_the_published_schedule():
    recipe = Recipe(epochs=5, rate=1e-4, min_rate=1e-7, warmup=10, warmup_rate=1e-6, schedule="epoch")
    for (epoch, step), rate in PUBLISHED.items():
        assert learning_rate(recipe, epoch * 101 + step, 101) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize("name", ["paper-vtc", "paper-dvdm"])
def test_the_published_recipes_have_a_constant_rate(name):
    assert {learning_rate(RECIPES[name], step, 2500) for step in (0, 1, 2, 10, 100, 2499)} == {1e-5}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the golden data is not beside the repository")
def test_all_stored_rates_are_reproduced():
    stored = json.loads((SHARED / "x_lr_schedule" / "case.json").read_text())["results"]
    for case in stored.values():
        given = case["args"]
        recipe = Recipe(
            epochs=given["max_epoch"], rate=given["init_lr"], min_rate=given["min_lr"], schedule="epoch",
            warmup=given.get("warmup_steps", 0), warmup_rate=given.get("warmup_start_lr", 0.0),
        )  # fmt: skip
        for epoch, step, rate in case["epoch_step_lr"]:
            assert learning_rate(recipe, epoch * 1000 + step, 1000) == pytest.approx(rate, rel=1e-12)


def test_a_rate_has_a_floor_and_a_warm_up_a_start():
    recipe = Recipe(rate=1e-3, min_rate=1e-4, warmup=4, warmup_rate=2e-4, epochs=1)
    rates = [learning_rate(recipe, step, 1000) for step in range(1001)]
    assert rates[0] == pytest.approx(4e-4, rel=1e-3) and rates[3] == pytest.approx(1e-3, rel=1e-3)
    assert rates[-1] == pytest.approx(1e-4) and min(rates[4:]) >= 1e-4
