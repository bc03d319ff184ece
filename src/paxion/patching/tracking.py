"""Watching a training elsewhere than in its log: TensorBoard, Weights & Biases or trackio, all offline."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from paxion.records import PaxionError, unknown_name

PROJECT = "paxion"
Log = Callable[[Mapping[str, float], int], object]
"""Gets the numbers of a line of the log, and the step."""


def check_trackers(names: Sequence[str]) -> None:
    """Raise PaxionError for an unknown tracker, and for one whose package is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise unknown_name("tracker", name, TRACKERS)
        if find_spec(name) is None:
            raise PaxionError(f"{name} is not installed, which --track {name} needs; pip install 'paxion[track]'")


@contextmanager
def tracked(names: Sequence[str], folder: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    """Begin a run with every tracker named; they write below `folder`, under its name. They end with the block."""
    check_trackers(names)
    with ExitStack() as stack:
        logs = [stack.enter_context(TRACKERS[name](folder, config)) for name in names]

        def log(values: Mapping[str, float], step: int) -> None:
            for one in logs:
                one(values, step)

        yield log


@contextmanager
def _tensorboard(folder: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    from torch.utils.tensorboard import SummaryWriter

    # Steps that are done again after a kill take the place of what an earlier file says of them.
    with SummaryWriter(str(folder / "tensorboard")) as writer:
        writer.add_text("config", f"```\n{json.dumps(config, indent=1, default=str)}\n```")

        def log(values: Mapping[str, float], step: int) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield log


@contextmanager
def _wandb(folder: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    import wandb

    mode: Any = os.environ.get("WANDB_MODE", "offline")
    run = wandb.init(project=PROJECT, name=folder.name, dir=str(folder), config=dict(config), mode=mode)
    try:
        yield lambda values, step: run.log(dict(values), step=step)
    finally:
        run.finish()


@contextmanager
def _trackio(folder: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    os.environ.setdefault("TRACKIO_DIR", str(folder / "trackio"))  # read when it is imported
    import trackio

    run = trackio.init(project=PROJECT, name=folder.name, config=json.loads(json.dumps(config, default=str)))
    try:
        yield lambda values, step: run.log(dict(values), step=step)
    finally:
        run.finish()


TRACKERS = {"tensorboard": _tensorboard, "wandb": _wandb, "trackio": _trackio}
