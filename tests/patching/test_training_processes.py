"""Several processes train what one does, or what was published."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from several import EQUAL, PAPER, WORLD, rows, run
from torch import multiprocessing
from trainings import load, log

from paxion.backbones.world import save_world
from paxion.patching.batches import Batches, batches
from paxion.patching.beginning import beginning
from paxion.patching.gather import Gathered
from paxion.patching.objectives import action_temporal_matching, contrastive
from paxion.patching.recipes import Recipe
from paxion.processes import Process
from paxion.records import PaxionError


@pytest.fixture(scope="module")
def given(tiny_backbone, tiny_manifest, tmp_path_factory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("given")
    save_world(tiny_backbone, folder / "tiny.safetensors", {})
    found = tiny_manifest, folder / "tiny.safetensors", folder / "features"
    load(*found, clips=64)  # so that the processes do not extract side by side
    return found


@pytest.fixture(scope="module")
def out(given, tmp_path_factory) -> Path:
    """The weights of all trainings, by one process and by two."""
    folder = tmp_path_factory.mktemp("several")
    run(0, 1, 0, given, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(run, (WORLD, port, given, folder), nprocs=WORLD)
    return folder


def weights(out: Path, name: str, world: int) -> dict[str, torch.Tensor]:
    return torch.load(out / f"{name}-{world}.pt", weights_only=True)


@pytest.mark.parametrize("name", EQUAL)
def test_two_processes_end_with_the_weights_of_one(out, name):
    one, two = weights(out, name, 1), weights(out, name, WORLD)
    for key, values in one.items():
        torch.testing.assert_close(two[key], values, atol=1e-5, rtol=0, msg=key)


@pytest.mark.parametrize("name", EQUAL)
def test_they_log_the_same_losses(out, name):
    (one,), (two,) = log(out / f"{name}-1"), log(out / f"{name}-{WORLD}")
    assert one.keys() == two.keys() and one["step"] == two["step"] == 4
    for key in one.keys() - {"seconds"}:
        assert two[key] == pytest.approx(one[key], abs=1e-5), key


def test_they_validate_alike(out):
    (one,), (two,) = log(out / "validated-1"), log(out / f"validated-{WORLD}")
    for name in ("val_loss", "val_antonym", "val_reversal"):
        assert two[name] == pytest.approx(one[name], abs=1e-5), name


def test_all_stop_when_one_is_told_to_and_go_on_as_if_nothing_had_been(out):
    whole, cut = weights(out, "patcher", WORLD), weights(out, "stopped", WORLD)
    assert all(torch.equal(cut[key], values) for key, values in whole.items())
    assert [line["step"] for line in log(out / "stopped")] == [4]


def test_all_stop_at_a_loss_that_is_no_number(out):
    first, second = ((out / f"failed-{rank}.txt").read_text() for rank in range(WORLD))
    assert "the text vectors of 16 clips" in first and "the first process says more" in second
    assert len(json.loads((out / "failed" / "failed.json").read_text())["ids"]) == 16


@pytest.mark.parametrize("name", ["paper", "transformer"])
def test_what_depends_on_the_processes_differs(out, name):
    one, two = weights(out, name, 1), weights(out, name, WORLD)
    assert max(float((one[key] - two[key]).abs().max()) for key in one) > 1e-4


def test_the_published_protocol_is_the_published_one(out, given):
    """By hand: each process's loss on copies without a gradient, ATM over its own salient clips, then the mean."""
    backbone, data, _ = load(*given, clips=64)
    data = rows(data)
    torch.manual_seed(0)
    model = beginning(PAPER, backbone).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=PAPER.rate, weight_decay=PAPER.weight_decay)
    steps = batches(PAPER, len(data), 0, Process())
    for step in range(steps.steps):
        total = torch.zeros(())
        for rank, mine in enumerate(steps.rows(step).chunk(WORLD)):
            video, text, everyone = [], [], steps.rows(step).chunk(WORLD)
            for chunk in everyone:
                video.append(model(data.source.read([data.keys[row] for row in chunk])).detach())
                text += [data.texts[of[chunk]] for of in (data.captions, data.antonyms)]
            kept = torch.cat([part for c in everyone for part in (torch.ones(len(c)).bool(), data.has_antonym[c])])
            gathered = Gathered(torch.cat(video), torch.cat(text), rank, kept)
            here = [data.keys[row] for row in mine]
            forwards, backwards = model(data.source.read(here)), model(data.source.read(here, "reversed"))
            total = total + contrastive(forwards, data.texts[data.captions[mine]], model.temperature, gathered=gathered)
            total = total + 0.4 * action_temporal_matching(
                forwards, backwards, data.texts[data.captions[mine]], model.temperature, salient=data.salient[mine]
            )
        optimiser.zero_grad()
        (total / WORLD).backward()
        optimiser.step()
    for key, values in weights(out, "paper", WORLD).items():
        torch.testing.assert_close(values, model.state_dict()[key], atol=1e-5, rtol=0, msg=key)


def test_the_processes_share_out_every_batch():
    recipe = Recipe(batch=24, accumulate=3, epochs=2)
    places = [Process(rank, 4, rank) for rank in range(4)]
    whole = batches(recipe, 100, 5, Process())
    shared = [batches(recipe, 100, 5, place) for place in places]
    for step in range(whole.steps):
        for part, of_one in enumerate(whole.mine(step)):
            assert torch.equal(torch.cat([steps.mine(step)[part] for steps in shared]), of_one)
        assert torch.equal(torch.cat(whole.mine(step)), whole.rows(step))
    for epoch in range(2):
        seen = torch.cat([whole.rows(epoch * 4 + step) for step in range(4)])
        assert len(seen.unique()) == 96
    assert not torch.equal(whole.rows(0), whole.rows(4))
    assert not len(whole.rows(8)) and whole.mine(8) == []


@pytest.mark.parametrize(
    ("batch", "accumulate", "world", "clips", "says"),
    [
        (63, 1, 2, 100, "got batch 63 for 2 processes, expected a multiple of 2, such as 64"),
        (64, 3, 1, 100, "got batch 64 for 3 parts, expected a multiple of 3, such as 66"),
        (64, 3, 2, 100, "got batch 64 for 2 processes times 3 parts, expected a multiple of 6, such as 66"),
        (64, 1, 8, 7, "got 7 clips, expected at least 8 to fill a batch"),
        (64, 4, 1, 7, "got 7 clips, expected at least 8 to fill a batch"),
    ],
)
def test_a_batch_that_cannot_be_shared_out_is_explained(batch, accumulate, world, clips, says):
    with pytest.raises(PaxionError, match=says):
        batches(Recipe(batch=batch, accumulate=accumulate), clips, 0, Process(0, world))


def test_few_clips_make_a_smaller_batch():
    assert batches(Recipe(batch=64), 50, 0, Process(0, 4)).batch == 48
    assert isinstance(batches(Recipe(), 50, 0, Process()), Batches)
    assert batches(replace(Recipe(), batch=16), 50, 0, Process()).per_epoch == 3
