"""One episode of the simulated robot: what the scripted expert does, and what the camera sees of it."""

from __future__ import annotations

import ctypes.util
import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paxion.records import PaxionError
from paxion.world.metaworld_tasks import Task

AZIMUTH, ELEVATION, DISTANCE, LOOKAT = 130.0, -35.0, 1.15, (0.0, 0.65, 0.1)
"""Where the camera looks from (degrees, degrees, metres), and the point of the table that it looks at (metres)."""
STEPS = 400
"""Steps of control after which the expert has failed; of 296 episodes the longest that succeeded took fewer."""
PACKAGES = ("metaworld", "mujoco")
LIBRARIES = {"osmesa": ("OSMesa", "libosmesa6"), "egl": ("EGL", "libegl1")}
"""What MUJOCO_GL may say: the library that it needs, and Debian's package of it."""


@dataclass(frozen=True)
class Simulator:
    """One task, ready to be played: the environment, its expert, and what draws it."""

    env: Any
    expert: Any
    renderer: Any
    camera: Any
    shown: Any
    scene: Any
    """The state that is drawn; the simulation has its own."""


def require_simulator() -> dict[str, str]:
    """Choose the way to render and load the simulator; gives the versions and the way, by name.

    MUJOCO_GL decides (osmesa or egl); where it is unset, the first of them that is installed. Raises PaxionError, with
    the command that mends it, when a package or a library is missing.
    """
    chosen = os.environ.get("MUJOCO_GL")
    if chosen is not None and chosen not in LIBRARIES:
        raise PaxionError(f"got MUJOCO_GL={chosen}, expected osmesa or egl: clips are rendered without a window")
    found = [way for way in LIBRARIES if ctypes.util.find_library(LIBRARIES[way][0])]
    try:
        versions = {name: version(name) for name in PACKAGES}
        if found and (chosen is None or chosen in found):
            # Read when mujoco is imported, so it has to be set before.
            os.environ["MUJOCO_GL"] = chosen or found[0]
            for name in (*PACKAGES, "metaworld.env_dict", "metaworld.policies"):
                importlib.import_module(name)
    except ImportError as error:
        raise PaxionError(f"the simulated robot needs a package ({error}): pip install 'paxion[metaworld]'") from error
    if not found or os.environ["MUJOCO_GL"] not in found:
        library, package = LIBRARIES[chosen or "osmesa"]
        raise PaxionError(f"rendering needs the library {library}, which is not there: apt-get install {package}")
    return {**versions, "gl": os.environ["MUJOCO_GL"]}


@contextmanager
def simulator(task: Task, size: int, *, fast: bool = True) -> Iterator[Simulator]:
    """Open a task that is drawn at size x size pixels. fast: without multisampling, shadows and reflections.

    Raises PaxionError as `require_simulator` does, and when no picture can be drawn.
    """
    require_simulator()
    import mujoco
    from metaworld import policies
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    env: Any = ALL_V3_ENVIRONMENTS[f"{task.name}-v3"]()
    # Otherwise the seed is ignored, and the expert is not told where the goal is.
    env.seeded_rand_vec, env._freeze_rand_vec, env._set_task_called, env._partially_observable = (
        True,
        False,
        True,
        False,
    )
    env.__dict__.pop("sawyer_observation_space", None)
    expert = task.expert or "".join(word.title() for word in task.name.split("-"))
    if fast:
        env.model.vis.quality.offsamples = 0
    env.model.vis.global_.offwidth = env.model.vis.global_.offheight = size
    try:
        renderer = mujoco.Renderer(env.model, size, size)
    except Exception as error:  # each way to render raises its own
        package = LIBRARIES[os.environ["MUJOCO_GL"]][1]
        raise PaxionError(f"cannot render ({error}): apt-get install {package}, or set MUJOCO_GL") from error
    if fast:
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
    camera, shown = mujoco.MjvCamera(), mujoco.MjvOption()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.azimuth, camera.elevation, camera.distance, camera.lookat = AZIMUTH, ELEVATION, DISTANCE, LOOKAT
    shown.sitegroup[:] = 0  # every marker is a site, and those of the goal tell the answer
    try:
        opened = Simulator(
            env, getattr(policies, f"Sawyer{expert}V3Policy")(), renderer, camera, shown, mujoco.MjData(env.model)
        )
        yield opened
    finally:
        renderer.close()
        env.close()


def play(opened: Simulator, seed: int) -> NDArray[np.float64] | None:
    """Let the expert act from a seeded start until it succeeds: joint positions (steps, joints), None if it fails."""
    env = opened.env
    env.seed(seed)
    seen, _ = env.reset()
    states = [env.data.qpos.copy()]
    for _ in range(STEPS):
        action = np.clip(opened.expert.get_action(seen), -1, 1).astype(np.float32)
        seen, _, _, _, info = env.step(action)
        states.append(env.data.qpos.copy())
        if info["success"]:
            return np.stack(states)
    return None


def kept(steps: int, frames: int) -> NDArray[np.int64]:
    """Which of an episode's states are drawn: (frames,), evenly spaced, the first and the last among them."""
    return np.round(np.linspace(0, steps - 1, frames)).astype(np.int64)


def draw(opened: Simulator, states: Sequence[NDArray[np.float64]] | NDArray[np.float64]) -> NDArray[np.uint8]:
    """Pictures of states of the episode that was played last: (T, size, size, 3)."""
    import mujoco

    pictures = []
    for state in states:
        opened.scene.qpos[:] = state
        mujoco.mj_forward(opened.env.model, opened.scene)
        opened.renderer.update_scene(opened.scene, opened.camera, opened.shown)
        pictures.append(opened.renderer.render().copy())
    return np.stack(pictures)
