"""Small inputs of the shape that a whole run gives."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from paxion.records import Row, Sample, Score

BACKBONE = {"antonym": 0.502, "reversal": 0.500, "object": 0.951, "text_to_video": 0.121, "video_to_text": 0.118}
PATCHER = {"antonym": 0.843, "reversal": 0.907, "object": 0.872, "text_to_video": 0.109, "video_to_text": 0.112}
FUSER = {"antonym": 0.831, "reversal": 0.889, "object": 0.948, "text_to_video": 0.197, "video_to_text": 0.194}
MODELS = {
    "backbone": BACKBONE | {"video_to_action": 0.052},
    "patcher-vtc": {task: (BACKBONE[task] + PATCHER[task]) / 2 for task in BACKBONE} | {"video_to_action": 0.2},
    "patcher-dvdm": PATCHER | {"object": 0.611, "video_to_action": 0.31},
    "patcher": PATCHER | {"video_to_action": 0.412},
    "fuser": FUSER | {"video_to_action": 0.396},
    "side-tuning": FUSER | {"antonym": 0.702, "video_to_action": 0.33},
    "ensemble": FUSER | {"object": 0.944, "video_to_action": 0.388},
    "text:best": {"antonym": 0.513, "object": 0.507},
    "text:length": {"antonym": 0.497, "object": 0.501},
}
CONTROLS = {"shuffled": 0.68, "last": 0.724, "middle": 0.552, "first": 0.541, "blind": 0.499}
MORE = {"text_to_video": ("R@5", "R@10"), "video_to_text": ("R@5", "R@10"), "video_to_action": ("R@5", "mAP")}
PROBES = ("antonym", "reversal", "object")


def score(model: str, task: str, value: float, **other: object) -> Score:
    """A score with the interval that 800 independent clips give."""
    half = 1.96 * math.sqrt(max(value * (1 - value), 1e-4) / 800)
    fields = {
        "model": model, "data": "world-A", "task": task, "control": "none", "value": value, "n": 800, "seed": 0,
        "low": max(0.0, value - half), "high": min(1.0, value + half),
        "metric": "accuracy" if task in PROBES else "R@1",
        "ties": 800 if (model, task) == ("backbone", "reversal") else 0,
    }  # fmt: skip
    return Score(**(fields | other))


def all_scores(seeds: tuple[int, ...] = (0,), shift: float = 0.013) -> list[Score]:
    """Both worlds, all models, all tasks; controls for backbone and patcher. Each later seed is `shift` better."""
    scores = []
    for seed in seeds:
        for data, loss in (("world-A", 0.0), ("world-B", 0.091)):
            for model, tasks in MODELS.items():
                for task, value in tasks.items():
                    value = max(value - loss, min(value, 0.505)) if task in PROBES else value * (1 - loss)
                    value += shift * seed
                    scores.append(score(model, task, value, data=data, seed=seed))
                    for step, metric in enumerate(MORE.get(task, ()), 1):
                        scores.append(score(model, task, value * (1 + step / 2), data=data, seed=seed, metric=metric))
            for control, value in CONTROLS.items():
                scores.append(score("patcher", "antonym", value, data=data, seed=seed, control=control))
                scores.append(score("backbone", "antonym", 0.501, data=data, seed=seed, control=control))
    return scores


def gradient(identity: str, height: int = 64, width: int = 64) -> np.ndarray:
    """Nine frames (9, height, width, 3) uint8: a white square moves over a smooth, noisy ground."""
    rng = np.random.default_rng(sum(map(ord, identity)))
    ramp = np.linspace(0, 1, width)[None, :, None] * rng.uniform(60, 200, 3) + np.linspace(0, 50, height)[:, None, None]
    frames = np.repeat((ramp + rng.normal(0, 6, (height, width, 3)))[None], 9, axis=0).clip(0, 255).astype(np.uint8)
    for index, frame in enumerate(frames):
        frame[20:32, 5 * index : 5 * index + 12] = 255
    return frames


def world(count: int = 40) -> tuple[dict[str, list[Sample]], list[Row]]:
    """Samples of both worlds and their rows, with every outcome among them. The ids are the same in both worlds."""
    samples: dict[str, list[Sample]] = {}
    rows = []
    actions = ("open", "close", "fill", "push", "fold")
    for data in ("world-A", "world-B"):
        samples[data] = []
        for index in range(count):
            action = actions[index % 5]
            identity = f"clip-{index:03d}"
            samples[data].append(
                Sample(
                    id=identity, video=f"{identity}.mp4", caption=f"{action} green cup {index}", split="test",
                    group=f"g{index}", antonym=f"un{action} green cup {index}", verb=action, action=action,
                )
            )  # fmt: skip
            for model, credit in (("backbone", index // 4 % 2), ("patcher", float(index % 4 > 0)), ("fuser", 1.0)):
                right = 0.3 + 0.1 * credit
                rows.append(Row(identity, f"g{index}", model, data, "antonym", "none", 0, right, 0.35, credit))
                tied = 0.5 if model == "backbone" else credit
                rows.append(Row(identity, f"g{index}", model, data, "reversal", "none", 0, 0.4, 0.4, tied))
            rows.append(Row(identity, f"g{index}", "patcher", data, "antonym", "blind", 0, 0.3, 0.3, 0.5))
            rows.append(Row(identity, f"g{index}", "text:best", data, "antonym", "none", 0, 0.3, 0.3, 0.5))
    return samples, rows


@pytest.fixture(scope="session")
def make_score() -> Callable[..., Score]:
    return score


@pytest.fixture(scope="session")
def make_scores() -> Callable[..., list[Score]]:
    return all_scores


@pytest.fixture(scope="session")
def draw() -> Callable[..., np.ndarray]:
    return gradient


@pytest.fixture(scope="session")
def make_world() -> Callable[..., tuple[dict[str, list[Sample]], list[Row]]]:
    return world
