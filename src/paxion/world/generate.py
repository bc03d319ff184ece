"""Making a world: scenes from a seed, clips on disk, and the manifest that describes them."""

from __future__ import annotations

import multiprocessing
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from paxion.files import make_folder
from paxion.manifest import write_manifest
from paxion.records import PaxionError, Sample, Split
from paxion.video.encode import write_clip
from paxion.world.actions import ACTIONS, Action
from paxion.world.captions import Saying, exchange_objects, label, say
from paxion.world.questions import QUESTION, ask
from paxion.world.render import Picture, render
from paxion.world.scene import DOMAINS, Cast, draw_cast, draw_distractor

FRAMES = 9
"""Frames per clip. Odd, so that the middle frame of a clip is the middle frame of its reversal."""


@dataclass(frozen=True)
class WorldPlan:
    """How many scenes a world has. In val and test, an action with an opposite is shown in both directions."""

    train: int = 4000
    """Scenes of domain A to train on: one clip each."""
    val: int = 300
    """Scenes of domain A for every choice of recipe: about 1.86 clips each."""
    test: int = 600
    """Test scenes in each of domains A and B: about 1.86 clips each."""
    seed: int = 0
    size: int = 64
    """Side of the square picture, pixels (even)."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        for name in ("train", "val", "test", "seed"):
            if getattr(self, name) < 0:
                raise PaxionError(f"got {name} {getattr(self, name)} for a world, expected 0 or more")
        if self.size < 2 or self.size % 2:
            raise PaxionError(f"got size {self.size} for a world, expected an even number of pixels, such as 64")


@dataclass(frozen=True)
class Scene:
    """One scene, played in one direction."""

    action: Action
    forward: bool
    paraphrase: int
    cast: Cast
    picture: Picture
    bystanders: frozenset[str]
    """Names of all that can be seen: no foil may put one of them in the place of another."""

    @property
    def flipped(self) -> bool:
        """The clip is the picture's frames in reverse order."""
        return not self.forward and self.action.reversible

    @property
    def saying(self) -> Saying:
        """What is said of it."""
        return say(self.action, self.forward, self.paraphrase, self.cast, self.bystanders)


@dataclass(frozen=True)
class Clip:
    """A sample of the manifest and the scene that it shows."""

    sample: Sample
    scene: Scene

    def frames(self, size: int, device: str = "cpu") -> Tensor:
        """Its pixels before encoding, uint8 (T, size, size, 3)."""
        pixels = render(self.scene.picture, list(range(FRAMES)), size, device)
        return pixels.flip(0) if self.scene.flipped else pixels


def scene_rng(seed: int, stream: str, number: int) -> Generator:
    """The random numbers of one scene: no other scene, split or domain shares them."""
    return np.random.default_rng([seed, zlib.crc32(stream.encode()), number])


def _phase(rng: Generator) -> np.ndarray:
    """0 to 1 over the frames, with pauses at both ends that have the same law, eased in half of the scenes."""
    start, stop = rng.uniform(0, 0.22), 1 - rng.uniform(0, 0.22)
    phase = np.clip((np.linspace(0, 1, FRAMES) - start) / (stop - start), 0, 1)
    return phase * phase * (3 - 2 * phase) if rng.random() < 0.5 else phase


def draw_scene(seed: int, domain: str, stream: str, number: int, turned: bool = False) -> Scene:
    """Scene `number` of a stream (a split's name, or "pretrain"); turned: its twin in the other direction.

    Actions take turns, so that all are equally frequent. A scene and its twin share everything but the direction.
    """
    rng, style = scene_rng(seed, f"{domain}/{stream}", number), DOMAINS[domain]
    action = ACTIONS[number % len(ACTIONS)]
    forward, paraphrase = bool(rng.random() < 0.5) != turned, int(rng.integers(3))
    cast = draw_cast(rng, style)
    program = action.program if forward or action.opposite is None else action.opposite
    # Programs may draw different amounts of numbers: their own generator keeps the rest of a twin the same.
    motion_rng = np.random.default_rng(rng.integers(2**62))
    motion = program(_phase(motion_rng), cast, motion_rng)
    distractor = draw_distractor(rng, style, cast, motion, FRAMES)
    bystanders = frozenset({cast.x.words, cast.y.words, cast.z.words})
    if distractor is not None:
        motion = replace(motion, layers=[distractor[1], *motion.layers])
        bystanders |= {distractor[0].words}
    waves = rng.uniform(0.3, 1.0, (1, 2)) * np.linspace(0, 1, FRAMES)[:, None] + rng.random((1, 2))
    cells = 2 * style.grid
    background = rng.uniform(0.25, 0.8, (3, 1, 1)) + rng.uniform(-0.22, 0.22, (3, cells, cells))
    jitter = 0.025 * np.sin(2 * np.pi * waves)
    picture = Picture(motion, style, np.clip(background, 0, 1), jitter, int(rng.integers(2**40)))
    return Scene(action, forward, paraphrase, cast, picture, bystanders)


def draw_split(plan: WorldPlan, domain: str, split: Split) -> list[Clip]:
    """The clips of one split of one domain, with their captions and foils.

    Val and test hold both directions of every action that has an opposite: each antonym is the caption of another clip,
    so that nothing in the texts tells captions from antonyms.
    """
    count = {"train": plan.train, "val": plan.val, "test": plan.test}[split]
    scenes = [draw_scene(plan.seed, domain, split, number) for number in range(count)]
    rng = scene_rng(plan.seed, f"{domain}/{split}/objects", 0)
    objects = exchange_objects([scene.saying for scene in scenes], rng)
    clips = []
    for number, (scene, other) in enumerate(zip(scenes, objects, strict=True)):
        clips.append(_clip(plan.seed, domain, split, number, scene, other))
        if split != "train" and scene.action.backward:
            twin = draw_scene(plan.seed, domain, split, number, turned=True)
            clips.append(_clip(plan.seed, domain, split, number, twin, other))
    return clips


def _clip(seed: int, domain: str, split: Split, number: int, scene: Scene, other: str) -> Clip:
    saying = scene.saying
    # A stream of its own: questions change no pixel and no caption. Twins are asked the same.
    rng = scene_rng(seed, f"{domain}/{split}/questions", number)
    side = scene.action, scene.forward or scene.action.backward is None
    asked = ask(side, scene.paraphrase, scene.cast, scene.bystanders, DOMAINS[domain].sprites, rng)
    group = f"{domain}-{split}-{number:05d}"
    name = f"{group}{'' if not scene.action.backward else '-forward' if scene.forward else '-backward'}"
    sample = Sample(
        id=name,
        video=f"videos/{domain}-{split}/{name}.mp4",
        caption=saying.caption,
        split=split,
        group=group,
        antonym=saying.antonym,
        replaced=saying.replaced(other),
        template=saying.template,
        verb=saying.pattern.split()[0],
        action=label(scene.action, scene.forward),
        salient=scene.action.reversible,
        reversible=scene.action.reversible,
        source=f"world-{domain}",
        question=QUESTION,
        choices=asked.choices,
        answer=asked.answer,
        antonym_choices=asked.antonym_choices,
        kind=asked.kind,
    )
    return Clip(sample, scene)


def draw_world(plan: WorldPlan) -> list[Clip]:
    """Every clip of the world: domain A in three splits, domain B for the zero-shot test only."""
    parts: list[tuple[str, Split]] = [("A", "train"), ("A", "val"), ("A", "test"), ("B", "test")]
    return [clip for domain, split in parts for clip in draw_split(plan, domain, split)]


def write_world(
    folder: Path, plan: WorldPlan, *, workers: int | None = None, tick: Callable[[int], object] | None = None
) -> Path:
    """Render the world's clips to MP4 files in `folder` and write `folder/manifest.jsonl`; returns its path.

    workers: processes (default: one a core). tick: called with the number of clips written since the last call.
    Raises PaxionError when the folder cannot be written.
    """
    clips = draw_world(plan)
    for part in {Path(clip.sample.video).parent for clip in clips}:
        make_folder(folder / part)
    batches = [clips[start : start + 64] for start in range(0, len(clips), 64)]
    write = partial(_write_clips, folder, plan.size)
    for done in _spread(write, batches, workers or os.cpu_count() or 1):
        if tick is not None:
            tick(done)
    path = folder / "manifest.jsonl"
    write_manifest(path, [clip.sample for clip in clips])
    return path


def _write_clips(folder: Path, size: int, clips: list[Clip]) -> int:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for clip in clips:
            write_clip(folder / clip.sample.video, clip.frames(size))
    finally:
        torch.set_num_threads(before)
    return len(clips)


def _spread(
    write: Callable[[list[Clip]], int], batches: list[list[Clip]], workers: int
) -> Iterable[int] | Iterator[int]:
    if workers == 1 or len(batches) == 1:
        yield from map(write, batches)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(write, batches)
