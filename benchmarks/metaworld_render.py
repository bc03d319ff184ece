"""Frames a second of the simulated robot's renderer, beside the simulator's default settings.

    python benchmarks/metaworld_render.py            # one core: the process is bound to one

Drawing a frame (state to pixels), running the simulation, and writing the clip are timed apart; both settings draw the
same states of the same episodes, in turns. Seconds are CPU seconds of all threads together, so that other work on the
machine takes nothing away.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from paxion.video.encode import write_clip
from paxion.world.metaworld import BATCH
from paxion.world.metaworld_render import draw, kept, play, require_simulator, simulator
from paxion.world.metaworld_tasks import PAIRS


@dataclass(frozen=True)
class Timing:
    size: int = 224
    frames: int = 17
    slow_frames: int = 4
    """Frames drawn with the default settings, which take about a fifth of a second each."""
    seed: int = 0


def main() -> None:
    """Time one episode of every task and print a Markdown table."""
    timing = tyro.cli(Timing, description=__doc__)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    about = require_simulator()
    seconds: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)

    def clock(name: str, count: int, began: float) -> None:
        seconds[name] += time.process_time() - began
        counts[name] += count

    for task in [task for pair in PAIRS for task in (pair.there, pair.back)]:
        for fast, frames in ((True, timing.frames), (False, timing.slow_frames)):
            began = time.process_time()
            with simulator(task, timing.size, fast=fast) as opened:
                if fast:
                    clock("opening a task", 1, began)
                began, states = time.process_time(), play(opened, timing.seed)
                if states is None:
                    continue
                if fast:
                    clock("simulated step", len(states), began)
                draw(opened, states[:1])  # the first picture loads the textures
                began, pictures = time.process_time(), draw(opened, states[kept(len(states), frames)])
                clock("drawn frame" if fast else "drawn frame, default settings", frames, began)
                if fast:
                    with tempfile.TemporaryDirectory() as folder:
                        began = time.process_time()
                        write_clip(Path(folder) / "clip.mp4", torch.from_numpy(pictures))
                        clock("written frame", frames, began)
    print(f"metaworld {about['metaworld']}, mujoco {about['mujoco']}, {about['gl']}, {timing.size} pixels, one core\n")
    print("| what | number | CPU seconds | a second |\n|---|---|---|---|")
    for name in seconds:
        print(f"| {name} | {counts[name]} | {seconds[name]:.2f} | {counts[name] / seconds[name]:.1f} |")
    a_frame = {name: seconds[name] / counts[name] for name in seconds}
    steps = counts["simulated step"] / counts["opening a task"]
    drawing = a_frame["drawn frame"] + a_frame["written frame"]
    rest = (a_frame["simulated step"] * steps + a_frame["opening a task"] / BATCH) / timing.frames
    print(f"\na frame drawn and written: {1 / drawing:.1f} a second;", end=" ")
    print(f"with the simulation, and a task opened for {BATCH} episodes: {1 / (drawing + rest):.1f}")


if __name__ == "__main__":
    main()
