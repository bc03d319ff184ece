"""The same trainings by one process and by several: `run` is what each process does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from trainings import FUSER, SHORT, load

from paxion.patching.accelerated import part
from paxion.patching.beginning import beginning
from paxion.patching.data import TrainingData, training_data
from paxion.patching.model import PatchedModel
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.train import train
from paxion.patching.validation import validation
from paxion.records import PaxionError

WORLD = 2
GENTLE = {"epochs": 1, "batch": 16, "rate": 1e-3, "warmup": 0}
EQUAL: dict[str, Recipe] = {
    "patcher": replace(SHORT, **GENTLE),
    "published": replace(RECIPES["patcher-dvdm"], **GENTLE),
    "parts": replace(SHORT, **GENTLE, accumulate=2),
    "joint": replace(FUSER, **GENTLE),
    "frozen": replace(FUSER, **GENTLE, joint=False, fuser="side_tuning"),
    # Slower: some gradients are next to nothing there, and Adam makes steps of their signs.
    "pooled": replace(RECIPES["patcher-pooled"], **GENTLE | {"rate": 1e-4}),
    "validated": replace(SHORT, **GENTLE, validate=1, keep="best"),
    "questions": replace(RECIPES["patcher-questions"], **GENTLE, validate=1),
    "templates": Recipe(texts="template", **GENTLE),
}
"""What does not depend on the number of processes."""
PAPER = replace(RECIPES["paper-dvdm"], batch=16, latents=8, heads=4, dim_head=32, rate=1e-3, temporal_dropout=0.0)
OTHER = {"paper": PAPER, "transformer": replace(RECIPES["kp-transformer"], **GENTLE)}


def rows(data: TrainingData) -> TrainingData:
    """With few rows that count, so that the processes have unlike numbers of them, or none."""
    few = torch.rand(3, len(data), generator=torch.Generator().manual_seed(0)) < torch.tensor([[0.15], [0.3], [0.3]])
    actions = data.actions.masked_fill(~few[2], len(data.said))  # a further action, which nothing says
    return replace(data, salient=few[0], antonyms=data.antonyms * few[1], said=[*data.said, []], actions=actions)


def run(rank: int, world: int, port: int, given: tuple[Path, Path, Path], out: Path) -> None:
    """Train all of them and keep the weights; then stop one and go on with it, and spoil one."""
    if world > 1:
        place = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in place.items()})
        os.environ["OMP_NUM_THREADS"] = "1"
    backbone, data, samples = load(*given, clips=64)
    source, keys = data.source, dict(zip(data.ids, data.keys, strict=True))
    data = rows(data)
    for name, recipe in (EQUAL | OTHER).items():
        torch.manual_seed(7)
        start = beginning(SHORT, backbone).eval() if recipe.fuser else None
        val = validation(backbone, source, keys, samples[:40], recipe)
        given_rows = rows(training_data(backbone, source, keys, samples, recipe))
        model = train(recipe, backbone, given_rows, out / f"{name}-{world}", start=start, validation=val)
        if rank == 0:
            torch.save(model.state_dict(), out / f"{name}-{world}.pt")
    if world > 1:
        model = stopped(lambda **options: train(EQUAL["patcher"], backbone, data, out / "stopped", **options), rank)
        if rank == 0:
            torch.save(model.state_dict(), out / f"stopped-{world}.pt")
        bad = replace(data, texts=torch.full_like(data.texts, torch.nan))
        try:
            train(EQUAL["patcher"], backbone, bad, out / "failed")
        except PaxionError as error:
            (out / f"failed-{rank}.txt").write_text(str(error))
    part()


def stopped(training: Callable[..., PatchedModel], rank: int) -> PatchedModel:
    """Tell one process to stop in the middle; all do, and all go on when they are called again."""

    def tell(done: int, of: int) -> None:
        if rank == 1 and done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        training(advance=tell)
    except KeyboardInterrupt:
        return training()
    raise AssertionError("told to stop, it did not")
