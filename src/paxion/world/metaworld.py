"""A world that nobody here designed: episodes of Meta-World's scripted robot, as clips with a manifest."""

from __future__ import annotations

import json
import multiprocessing
import os
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paxion.files import make_folder, write_text
from paxion.manifest import write_manifest
from paxion.records import PaxionError, Sample, Split
from paxion.video.encode import write_clip
from paxion.world.captions import TEMPLATE_WORD
from paxion.world.metaworld_render import draw, kept, play, require_simulator, simulator
from paxion.world.metaworld_tasks import HELD_OUT, PAIRS, Pair, Task

SEEDS, TASKS = "metaworld-seeds", "metaworld-tasks"
"""Sources: tasks that are trained on (all splits, the test split has seeds never trained on), and those held out."""
SPLIT_OF: tuple[Split, ...] = (
    "train", "test", "train", "train", "val", "train", "test", "train", "train", "train",
)  # fmt: skip
"""The split of every tenth episode of a task that is trained on: a larger world has the splits of a smaller one."""
CARD = "world.json"
BATCH = 8
"""Episodes of a task that a process does at a time."""


@dataclass(frozen=True)
class MetaworldPlan:
    """What is rendered."""

    episodes: int = 440
    """Over all 22 tasks, which take turns. Those that the expert fails are left out."""
    seed: int = 0
    size: int = 224
    """Side of the picture in pixels, even."""
    frames: int = 17
    """Frames kept of an episode, evenly spaced from its start to its success. Odd, so that the middle frame of a clip
    is the middle frame of its reversal."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        for name, least in (("episodes", 1), ("seed", 0), ("frames", 2), ("size", 16)):
            if getattr(self, name) < least:
                raise PaxionError(f"got {name} {getattr(self, name)} for a world, expected {least} or more")
        if self.size % 2:
            raise PaxionError(f"got size {self.size} for a world, expected an even number of pixels, such as 224")


@dataclass(frozen=True)
class Episode:
    """One episode: the sample that it becomes, and the seed that it starts from."""

    task: Task
    seed: int
    sample: Sample


@dataclass(frozen=True)
class Written:
    """What a world on disk holds."""

    manifest: Path
    clips: int
    dropped: dict[str, int] = field(default_factory=dict)
    """Episodes left out, by reason and task."""


def draw_metaworld(plan: MetaworldPlan) -> list[Episode]:
    """All episodes of a plan in the order of the manifest, with their captions and foils.

    An episode depends on the seed, its task and its number there, so a world with more episodes holds a smaller one.
    """
    tasks = [(pair, task, opposite) for pair in PAIRS for task, opposite in pair.ways()]
    return [
        _episode(plan.seed, pair, task, opposite, number)
        for index, (pair, task, opposite) in enumerate(tasks)
        for number in range((plan.episodes - index + len(tasks) - 1) // len(tasks))
    ]


def _episode(seed: int, pair: Pair, task: Task, opposite: Task, number: int) -> Episode:
    rng = np.random.default_rng([seed, zlib.crc32(task.name.encode()), number])
    start, paraphrase = int(rng.integers(2**31)), int(rng.integers(len(task.says)))
    held = pair.thing in HELD_OUT
    others = [p.thing for p in PAIRS if (p.thing in HELD_OUT) == held and p is not pair and p.thing not in pair.beside]
    says = task.says[paraphrase]
    name = f"{task.name}-{number:04d}"
    sample = Sample(
        id=name,
        video=f"videos/{task.name}/{name}.mp4",
        caption=says.format(x=pair.thing),
        split="test" if held else SPLIT_OF[number % len(SPLIT_OF)],
        group=name,
        antonym=opposite.says[paraphrase].format(x=pair.thing),
        replaced=says.format(x=others[number % len(others)]),
        template=says.format(x=TEMPLATE_WORD),
        verb=task.verb,
        action=task.name,
        salient=True,
        reversible=True,
        source=TASKS if held else SEEDS,
    )
    return Episode(task, start, sample)


def write_metaworld(
    folder: Path,
    plan: MetaworldPlan,
    *,
    workers: int | None = None,
    tick: Callable[[int], object] | None = None,
) -> Written:
    """Render a plan's episodes to MP4 files in `folder`, then write `manifest.jsonl` and `world.json` there.

    workers: processes (default: one a core). tick: called with the number of episodes done since the last call. Clips
    that are there already are kept, so an interrupted run goes on and a larger plan adds to a smaller world.
    Raises PaxionError when a package, a library or the space is missing, and when the folder holds another world.
    """
    made_by = {**{name: value for name, value in asdict(plan).items() if name != "episodes"}, **require_simulator()}
    make_folder(folder)
    _claim(folder, made_by)
    episodes = draw_metaworld(plan)
    for name in {episode.task.name for episode in episodes}:
        make_folder(folder / "videos" / name)
    reasons: dict[str, str] = {}
    for outcome in _spread(partial(_write_episodes, folder, plan.size, plan.frames), _batches(episodes), workers):
        reasons.update(outcome)
        if tick is not None:
            tick(len(outcome))
    samples = [episode.sample for episode in episodes if not reasons[episode.sample.id]]
    if not samples:
        raise PaxionError(f"got no clip of {len(episodes)} episodes: every expert failed; give more --episodes")
    dropped = Counter(f"{reasons[e.sample.id]}: {e.task.name}" for e in episodes if reasons[e.sample.id])
    write_manifest(folder / "manifest.jsonl", samples)
    splits = Counter(f"{sample.source} {sample.split}" for sample in samples)
    counts = {"episodes": len(episodes), "clips": len(samples), "dropped": dict(dropped), "splits": dict(splits)}
    write_text(folder / CARD, json.dumps({"made_by": made_by, "held_out": HELD_OUT, **counts}, indent=1) + "\n")
    return Written(folder / "manifest.jsonl", len(samples), dict(dropped))


def _claim(folder: Path, made_by: dict[str, Any]) -> None:
    """Write a card before any clip, so that clips of another seed, size or simulator are never taken for ours."""
    path = folder / CARD
    if not path.exists():
        if (folder / "videos").exists() or (folder / "manifest.jsonl").exists():
            raise PaxionError(f"{folder} holds other clips, expected an empty folder; give another --out")
        write_text(path, json.dumps({"made_by": made_by}) + "\n")
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["made_by"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PaxionError(f"cannot read {path}: {error}; give another --out, or remove that world") from error
    if found != made_by:
        differs = ", ".join(
            f"{name} {found.get(name)!r} (now {value!r})" for name, value in made_by.items() if found.get(name) != value
        )
        raise PaxionError(f"{folder} holds a world made with {differs}; give another --out")


def _batches(episodes: list[Episode]) -> list[list[Episode]]:
    batches: list[list[Episode]] = []
    for episode in episodes:
        if not batches or len(batches[-1]) == BATCH or batches[-1][0].task is not episode.task:
            batches.append([])
        batches[-1].append(episode)
    return batches


def _write_episodes(folder: Path, size: int, frames: int, episodes: list[Episode]) -> dict[str, str]:
    """Render the episodes of one task that have no file yet; from id to why an episode is left out, "" if it is not."""
    torch.set_num_threads(1)
    outcome = dict.fromkeys((episode.sample.id for episode in episodes), "")
    waiting = [episode for episode in episodes if not (folder / episode.sample.video).exists()]
    if not waiting:
        return outcome
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the experts, about the size of their steps
        with simulator(episodes[0].task, size) as opened:
            for episode in waiting:
                states = play(opened, episode.seed)
                if states is None:
                    outcome[episode.sample.id] = "the expert failed"
                elif len(states) < frames:
                    outcome[episode.sample.id] = "shorter than the frames asked for"
                else:
                    pictures = draw(opened, states[kept(len(states), frames)])
                    write_clip(folder / episode.sample.video, torch.from_numpy(pictures))
    return outcome


def _spread(
    write: Callable[[list[Episode]], dict[str, str]], batches: list[list[Episode]], workers: int | None
) -> Iterator[dict[str, str]]:
    # Even one worker is a process of its own: the simulator's libraries and the caller's are kept apart.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers or os.cpu_count() or 1, mp_context=context) as pool:
            yield from pool.map(write, batches)
    except BrokenProcessPool as error:
        raise PaxionError("a process that rendered was ended from outside; the same command goes on") from error
