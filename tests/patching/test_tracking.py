"""Trackers: what they write, and what is said where one is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from trainings import SHORT

from paxion.patching.tracking import TRACKERS, check_trackers, tracked
from paxion.patching.train import train
from paxion.records import PaxionError


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_one_line(tiny_backbone, data, tmp_path, name):
    if find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    with pytest.raises(PaxionError, match=rf"{name} is not installed, .* pip install 'paxion\[track\]'"):
        train(SHORT, tiny_backbone, data, tmp_path, track=[name])
    assert not (tmp_path / "log.jsonl").exists()


def test_an_unknown_tracker_is_refused():
    with pytest.raises(PaxionError, match=r"unknown tracker 'wandbb'.*did you mean 'wandb'"):
        check_trackers(["wandbb"])


def test_tensorboard_gets_the_numbers_of_the_log(tiny_backbone, data, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    lines: list[dict[str, float]] = []
    train(SHORT, tiny_backbone, data, tmp_path, track=["tensorboard"], tick=lines.append)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    for name in ("vtc+vac", "temperature", "rate"):
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert found == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in lines]


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_the_others_write_below_the_run_without_a_network(tmp_path, name, monkeypatch):
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    monkeypatch.delenv("TRACKIO_DIR", raising=False)
    with tracked([name], tmp_path, {"recipe": {"rate": 1e-3}}) as log:
        log({"vtc": 1.0}, 3)
    assert any(path.is_file() for path in (tmp_path / name).rglob("*"))


def test_without_trackers_nothing_is_written(tmp_path):
    with tracked([], tmp_path, {}) as log:
        log({"vtc": 1.0}, 1)
    assert not list(tmp_path.iterdir())
