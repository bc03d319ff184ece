"""A training that was stopped or killed goes on with the same numbers, and two trainings are never mixed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from trainings import FUSER, SHORT, killed_after, log, same

from paxion.backbones.world import save_world
from paxion.patching.data import training_data
from paxion.patching.recipes import RECIPES
from paxion.patching.train import train
from paxion.records import PaxionError

STEPS = 12
"""Of SHORT: four epochs of three steps."""


class Dies:
    """A source that is interrupted when a step reads from it for the `at`-th time."""

    def __init__(self, source, at: int) -> None:
        self.source, self.left = source, at
        self.spec, self.reorderable, self.prefetch = source.spec, source.reorderable, source.prefetch

    def read(self, keys, *given):
        self.left -= len(keys) == SHORT.batch
        if not self.left:
            raise KeyboardInterrupt
        return self.source.read(keys, *given)


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tiny_backbone, data, trained, tmp_path, epoch):
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, tiny_backbone, data, tmp_path, tick=killed_after(epoch))
    torch.rand(7)  # Whatever happened in between.
    lines: list[dict[str, float]] = []
    model = train(SHORT, tiny_backbone, data, tmp_path, tick=lines.append)
    assert same(model, trained)
    # It died before the state of that epoch was kept: its line is written again, not twice.
    assert [line["epoch"] for line in lines] == list(range(epoch, 5))
    assert [line["epoch"] for line in log(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("step", [1, 2, 5, 6, 7, 11, 12])
def test_a_run_goes_on_after_any_step(tiny_backbone, data, trained, tmp_path, step):
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, tiny_backbone, replace(data, source=Dies(data.source, step)), tmp_path, save_every=0)
    seen, told = [], []
    model = train(SHORT, tiny_backbone, data, tmp_path, advance=lambda done, of: seen.append(done), tell=told.append)
    assert same(model, trained)
    # What is read ahead of a step dies a step earlier.
    assert seen[0] in (step - 1, step - 2) and seen[-1] == STEPS
    assert told == ([f"going on after step {seen[0]} of {STEPS}"] if seen[0] else [])
    assert [line["epoch"] for line in log(tmp_path)] == [1, 2, 3, 4]


def test_the_log_of_a_resumed_run_is_that_of_an_unbroken_one(tiny_backbone, data, tmp_path):
    def numbers(folder: Path) -> list[dict[str, float]]:
        return [{name: value for name, value in line.items() if name != "seconds"} for line in log(folder)]

    train(SHORT, tiny_backbone, data, tmp_path / "whole", log_every=2)
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, tiny_backbone, replace(data, source=Dies(data.source, 9)), tmp_path / "cut", save_every=0)
    train(SHORT, tiny_backbone, data, tmp_path / "cut", log_every=2)
    whole, cut = numbers(tmp_path / "whole"), numbers(tmp_path / "cut")
    assert [line["step"] for line in whole] == [2, 3, 5, 6, 8, 9, 11, 12]
    assert {line["step"]: line for line in cut}.items() <= {line["step"]: line for line in whole}.items()
    assert whole[1]["epoch"] == 1.0 and whole[2]["epoch"] == pytest.approx(5 / 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_and_keeps_it(tiny_backbone, data, trained, tmp_path, number):
    def signalled(done: int, of: int) -> None:
        if done == 4:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, tiny_backbone, data, tmp_path, advance=signalled)
    assert signal.getsignal(number) is before
    assert torch.load(tmp_path / "last.pt", weights_only=True)["state"]["step"] == 5
    assert same(train(SHORT, tiny_backbone, data, tmp_path), trained)


@pytest.mark.parametrize(
    ("second", "after", "kept"),
    [(signal.SIGINT, 1.1, 3), (signal.SIGINT, 0.0, 5), (signal.SIGTERM, 0.0, 5), (signal.SIGTERM, 1.1, 5)],
)
def test_a_second_ctrl_c_does_not_wait(tiny_backbone, data, tmp_path, second, after, kept):
    """What torchrun sends on right away is the same Ctrl-C, and who sends SIGTERM gives time."""

    def twice(done: int, of: int) -> None:
        if done == 4:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(after)
            os.kill(os.getpid(), second)

    with pytest.raises(KeyboardInterrupt):
        train(SHORT, tiny_backbone, data, tmp_path, advance=twice)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["state"]["step"] == kept


def test_killed_at_twenty_moments_it_ends_with_the_same_bytes(tiny_backbone, tiny_manifest, tmp_path):
    save_world(tiny_backbone, tmp_path / "tiny.safetensors", {})
    command = [sys.executable, str(Path(__file__).with_name("killed_training.py")), str(tiny_manifest)]
    command += [str(tmp_path / name) for name in ("tiny.safetensors", "features", "runs")]
    done = subprocess.run([*command, "20"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    killed, rounds = map(int, done.stdout.split())
    assert killed >= 20
    want = (tmp_path / "runs/whole/adapter.safetensors").read_bytes()
    for number in range(rounds):
        folder = tmp_path / f"runs/killed-{number}"
        assert (folder / "adapter.safetensors").read_bytes() == want
        assert [line["epoch"] for line in log(folder)] == list(range(1, 41))


def test_a_killed_fuser_goes_on_too(tiny_backbone, data, trained, tmp_path):
    whole = train(FUSER, tiny_backbone, data, tmp_path / "whole", start=trained)
    with pytest.raises(KeyboardInterrupt):
        train(FUSER, tiny_backbone, data, tmp_path / "cut", start=trained, tick=killed_after(2))
    assert same(train(FUSER, tiny_backbone, data, tmp_path / "cut", start=trained), whole)


def test_a_finished_run_is_not_done_again(tiny_backbone, data, tmp_path):
    recipe = replace(SHORT, epochs=1)
    model = train(recipe, tiny_backbone, data, tmp_path)
    before, steps = (tmp_path / "last.pt").stat().st_mtime_ns, []
    again = train(recipe, tiny_backbone, replace(data, source=Dies(data.source, 1)), tmp_path, tick=steps.append)
    assert same(again, model) and not steps
    assert (tmp_path / "last.pt").stat().st_mtime_ns == before


def test_a_checkpoint_of_another_training_is_refused(
    tiny_backbone, tiny_features, tiny_samples, data, trained, tmp_path
):
    one = replace(SHORT, epochs=1)
    train(one, tiny_backbone, data, tmp_path)
    before = (tmp_path / "last.pt").read_bytes()
    fewer = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, tiny_samples[:40])
    reworded = [replace(sample, caption=f"again {sample.caption}") for sample in tiny_samples[:48]]
    reworded_data = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, reworded)
    for what, recipe, rows, seed, start in (
        ("epochs: got 1, expected 4", SHORT, data, 0, None),
        ("rate: got 0.003, expected 0.0001", replace(one, rate=1e-4), data, 0, None),
        ("precision: got float32, expected bf16", replace(one, precision="bf16"), data, 0, None),
        ("seed: got 0, expected 1", one, data, 1, None),
        ("data: got .*", one, fewer, 0, None),
        ("data: got .*", one, reworded_data, 0, None),
        ("start: got None, expected .*", one, data, 0, trained),
    ):
        with pytest.raises(PaxionError, match=rf"belongs to another training \(other {what}\); delete it"):
            train(recipe, tiny_backbone, rows, tmp_path, seed=seed, start=start)
    assert (tmp_path / "last.pt").read_bytes() == before


def test_a_checkpoint_of_more_processes_is_explained(tiny_backbone, data, tmp_path):
    train(replace(SHORT, epochs=1), tiny_backbone, data, tmp_path)
    stored = torch.load(tmp_path / "last.pt", weights_only=True)
    stored["run"]["processes"] = 2
    torch.save(stored, tmp_path / "last.pt")
    with pytest.raises(
        PaxionError, match=r"written by 2 processes, got 1, .* torchrun --nproc_per_node 2 .* delete it"
    ):
        train(replace(SHORT, epochs=1), tiny_backbone, data, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_a_damaged_checkpoint_is_said(tiny_backbone, data, tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(PaxionError, match=r"last\.pt cannot be read .* delete it to train anew"):
        train(SHORT, tiny_backbone, data, tmp_path)


@pytest.mark.parametrize(
    "state", [{}, [1, 2], {"run": None, "state": {}}, {"run": {}, "state": {"step": 1}}, {"run": {}, "state": {"a": 1}}]
)
def test_a_file_that_is_no_checkpoint_of_ours_is_said(tiny_backbone, data, tmp_path, state):
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(PaxionError, match="delete it"):
        train(SHORT, tiny_backbone, data, tmp_path)


def test_a_checkpoint_of_another_backbone_is_said(tiny_backbone, data, tmp_path):
    recipe = replace(RECIPES["patcher-vtc"], epochs=1, batch=16)
    train(recipe, tiny_backbone, data, tmp_path)
    stored = torch.load(tmp_path / "last.pt", weights_only=True)
    stored["model"]["patcher.perceiver.latents"] = torch.zeros(8, 99)
    torch.save(stored, tmp_path / "last.pt")
    with pytest.raises(PaxionError, match="belongs to another backbone"):
        train(recipe, tiny_backbone, data, tmp_path)
