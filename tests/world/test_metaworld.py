"""The simulated robot: its plan and captions anywhere, its clips where the simulator is installed."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.cli import main
from paxion.manifest import find_problems, read_manifest, video_path, write_manifest
from paxion.records import PaxionError
from paxion.video.decode import read_clip
from paxion.world import metaworld_render
from paxion.world.metaworld import SEEDS, TASKS, MetaworldPlan, draw_metaworld, write_metaworld
from paxion.world.metaworld_render import draw, kept, play, require_simulator, simulator
from paxion.world.metaworld_tasks import HELD_OUT, PAIRS, Task


def missing() -> str:
    if importlib.util.find_spec("metaworld") is None:
        return "metaworld is not installed: pip install 'paxion[metaworld]'"
    try:
        require_simulator()
    except PaxionError as error:
        return str(error)
    return ""


needs_simulator = pytest.mark.skipif(bool(missing()), reason=missing() or "installed")
SMALL = MetaworldPlan(episodes=6, size=32, frames=5)
"""Doors, drawers and windows: both sources."""
ALL = [task for pair in PAIRS for task in (pair.there, pair.back)]


def test_every_pair_of_the_world_is_there_and_held_out_pairs_are_among_them():
    assert len({task.name for task in ALL}) == len(ALL) == 22
    assert set(HELD_OUT) < {pair.thing for pair in PAIRS}
    for pair in PAIRS:
        assert all("{x}" in text for task in (pair.there, pair.back) for text in task.says)


def test_a_manifest_can_be_written_of_any_plan(tmp_path: Path):
    samples = [episode.sample for episode in draw_metaworld(MetaworldPlan(440))]
    write_manifest(tmp_path / "manifest.jsonl", samples)
    assert read_manifest(tmp_path / "manifest.jsonl") == samples
    assert len({sample.group for sample in samples}) == len(samples) == 440


def test_held_out_pairs_are_nowhere_in_training():
    samples = [episode.sample for episode in draw_metaworld(MetaworldPlan(880))]
    held = {task.name for pair in PAIRS if pair.thing in HELD_OUT for task in (pair.there, pair.back)}
    for sample in samples:
        assert (sample.action in held) == (sample.source == TASKS)
        assert sample.split == "test" or sample.source == SEEDS
        if sample.split != "test":
            assert not set(HELD_OUT) & set(f"{sample.caption} {sample.antonym} {sample.replaced}".split())
    share = Counter(sample.split for sample in samples if sample.source == SEEDS)
    assert share["train"] == 448 and share["val"] == 64 and share["test"] == 128


def test_seeds_never_repeat_between_splits():
    episodes = draw_metaworld(MetaworldPlan(880))
    starts = Counter((episode.task.name, episode.seed) for episode in episodes)
    assert max(starts.values()) == 1


def test_the_antonym_is_what_the_opposite_task_is_called():
    captions: dict[str, set[str]] = {}
    samples = [episode.sample for episode in draw_metaworld(MetaworldPlan(880))]
    for sample in samples:
        captions.setdefault(sample.action or "", set()).add(sample.caption)
    opposite = {a.name: b.name for pair in PAIRS for a, b in pair.ways()}
    for sample in samples:
        assert sample.antonym in captions[opposite[sample.action or ""]]
        assert sample.antonym not in captions[sample.action or ""]


def test_a_foil_names_a_thing_that_is_not_in_the_picture():
    beside = {task.name: {pair.thing, *pair.beside} for pair in PAIRS for task in (pair.there, pair.back)}
    things = {pair.thing for pair in PAIRS}
    for episode in draw_metaworld(MetaworldPlan(880)):
        sample = episode.sample
        named = things & set((sample.replaced or "").split())
        assert len(named) == 1 and not named & beside[sample.action or ""]


@settings(deadline=None, max_examples=20)
@given(small=st.integers(1, 100), more=st.integers(0, 100), seed=st.integers(0, 2**32 - 1))
def test_a_larger_world_holds_the_smaller_one(small: int, more: int, seed: int):
    fewer = draw_metaworld(MetaworldPlan(small, seed))
    assert len(fewer) == small
    wider = {episode.sample.id: episode for episode in draw_metaworld(MetaworldPlan(small + more, seed))}
    assert len(wider) == small + more
    assert all(wider[episode.sample.id] == episode for episode in fewer)


def test_another_seed_is_another_world():
    one, other = (draw_metaworld(MetaworldPlan(44, seed)) for seed in (0, 1))
    assert not {e.seed for e in one} & {e.seed for e in other}


@settings(deadline=None)
@given(steps=st.integers(2, 500), frames=st.integers(2, 64))
def test_kept_frames_are_even_and_hold_both_ends(steps: int, frames: int):
    found = kept(steps, frames)
    assert len(found) == frames and found[0] == 0 and found[-1] == steps - 1
    gaps = np.diff(found)
    assert (gaps >= 0).all() and gaps.max() - gaps.min() <= 1
    assert np.array_equal(steps - 1 - found[::-1], found) or (steps - 1) % (frames - 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"episodes": 0}, "episodes 0"), ({"frames": 1}, "frames 1"), ({"size": 33}, "size 33"), ({"size": 8}, "size 8")],
)
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, int], message: str):
    with pytest.raises(PaxionError, match=message):
        MetaworldPlan(**changes)


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys):
    monkeypatch.setattr(metaworld_render, "PACKAGES", ("a_package_that_nobody_has",))
    assert main(["world", "metaworld", "--out", str(tmp_path / "world"), "--episodes", "1"]) == 1
    said = capsys.readouterr().err
    assert "pip install 'paxion[metaworld]'" in said and said.count("\n") == 1
    assert not (tmp_path / "world").exists()


@needs_simulator
def test_a_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metaworld_render.ctypes.util, "find_library", lambda _: None)
    with pytest.raises(PaxionError, match="apt-get install libosmesa6"):
        require_simulator()
    monkeypatch.setenv("MUJOCO_GL", "egl")
    with pytest.raises(PaxionError, match="apt-get install libegl1"):
        require_simulator()


def test_a_way_to_render_that_needs_a_window_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    with pytest.raises(PaxionError, match="MUJOCO_GL=glfw, expected osmesa or egl"):
        require_simulator()


def task_named(name: str) -> Task:
    return next(task for task in ALL if task.name == name)


def pixels(name: str, seeds: list[int], size: int = 48) -> list[np.ndarray]:
    with simulator(task_named(name), size) as opened:
        found = []
        for seed in seeds:
            states = play(opened, seed)
            assert states is not None
            found.append(draw(opened, states[kept(len(states), 3)]))
    return found


@needs_simulator
@pytest.mark.filterwarnings("ignore:Constant")
@pytest.mark.parametrize("name", ["drawer-open", "handle-press", "coffee-push"])
def test_an_episode_depends_on_its_seed_alone(name: str):
    """Not on what was played before: batches, workers and interruptions must not show."""
    (alone,), (before, after) = pixels(name, [5]), pixels(name, [4, 5])
    assert np.array_equal(alone, after)
    assert not np.array_equal(alone, before)


@needs_simulator
@pytest.mark.filterwarnings("ignore:Constant")
def test_goal_markers_are_hidden():
    """With its markers the picture is another one, so there is something to hide."""
    with simulator(task_named("door-open"), 96) as opened:
        states = play(opened, 1)
        assert states is not None
        hidden = draw(opened, states[:1])
        opened.env.model.site_rgba[:, 3] = 0
        assert np.array_equal(draw(opened, states[:1]), hidden)
        opened.env.model.site_rgba[:, 3] = 1
        opened.shown.sitegroup[:] = 1
        assert not np.array_equal(draw(opened, states[:1]), hidden)


@needs_simulator
def test_pictures_need_neither_samples_nor_shadows_nor_mirrors():
    import mujoco

    with simulator(task_named("door-open"), 32) as opened:
        flags = opened.renderer.scene.flags
        assert opened.env.model.vis.quality.offsamples == 0
        assert not flags[mujoco.mjtRndFlag.mjRND_SHADOW] and not flags[mujoco.mjtRndFlag.mjRND_REFLECTION]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metaworld")
    return write_metaworld(folder, SMALL, workers=1).manifest


@needs_simulator
def test_a_world_is_files_and_a_manifest_and_a_card(rendered: Path):
    assert list(find_problems(rendered, check_files=True)) == []
    samples = read_manifest(rendered)
    card = json.loads((rendered.parent / "world.json").read_text())
    assert len(samples) == card["clips"] == 6 - sum(card["dropped"].values()) > 3
    assert {sample.source for sample in samples} == {SEEDS, TASKS}
    files = {path.relative_to(rendered.parent).as_posix() for path in rendered.parent.rglob("*.mp4")}
    assert files == {sample.video for sample in samples}
    for sample in samples[::2]:
        clip = read_clip(video_path(rendered, sample), "midpoint", SMALL.frames)
        assert clip.total == SMALL.frames and clip.frames.shape == (5, 32, 32, 3)
        assert not torch.equal(clip.frames[0], clip.frames[-1])


@needs_simulator
def test_an_interrupted_world_goes_on_and_ends_the_same(rendered: Path):
    files = sorted(rendered.parent.rglob("*.mp4"))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    text = rendered.read_bytes()
    rendered.unlink()
    for path in files[::4]:
        path.unlink()
    write_metaworld(rendered.parent, SMALL, workers=2)
    assert rendered.read_bytes() == text
    assert all(path.read_bytes() == data for path, (data, _) in before.items())
    kept_files = [path for index, path in enumerate(files) if index % 4]
    assert all(path.stat().st_mtime_ns == before[path][1] for path in kept_files)


@needs_simulator
def test_another_world_in_the_folder_is_not_mixed_in(rendered: Path):
    with pytest.raises(PaxionError, match=r"seed 0 \(now 1\)"):
        write_metaworld(rendered.parent, MetaworldPlan(6, 1, 32, 5), workers=1)


@needs_simulator
def test_a_folder_of_other_clips_is_refused(tmp_path: Path):
    (tmp_path / "manifest.jsonl").write_text("")
    with pytest.raises(PaxionError, match="holds other clips"):
        write_metaworld(tmp_path, SMALL, workers=1)
    assert not (tmp_path / "world.json").exists()


@needs_simulator
def test_clips_shorter_than_the_frames_asked_for_are_counted(tmp_path: Path):
    with pytest.raises(PaxionError, match="got no clip of 1 episodes"):
        write_metaworld(tmp_path, MetaworldPlan(1, size=16, frames=450), workers=1)
