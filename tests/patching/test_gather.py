"""Gathering over real processes."""

import pytest
import torch
import torch.distributed as dist
from golden import GRADIENT, SHARED, SHIPPED, assert_close, assert_gradients, assert_loss, load
from torch import multiprocessing

from paxion.patching.objectives import Gathered, contrastive, gather

CASE = SHIPPED / "c_mp2_vtc_vac_text2d"
PUBLISHED = [CASE, *sorted(SHARED.glob("c_mp2_*"))]
HAS_ANTONYM = torch.tensor([[True, False, True, True], [False, True, True, False]])
NAMES = ("visual_feat", "text_feat", "antonym_text_feat")


def run(rank, folder):
    """One process: the loss and its gradients, as published, then with gradients through the gather and a mask."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results = []
    for path, with_gradient, has_antonym in (*((p, False, None) for p in PUBLISHED), (CASE, True, HAS_ANTONYM[rank])):
        case = load(path)
        inputs = {name: case.inputs.get(f"rank{rank}/{name}") for name in NAMES}
        given = {name: values.clone().requires_grad_() for name, values in inputs.items() if values is not None}
        given["temp"] = case.weights["temp"].clone().requires_grad_()
        video, text, antonym = (given.get(name) for name in NAMES)
        batches = gather(video, text, antonym, has_antonym, with_gradient=with_gradient)
        loss = contrastive(video, text, given["temp"], gathered=batches)
        loss.backward()
        results.append({"loss": loss.detach(), "grad": {name: leaf.grad for name, leaf in given.items()}})
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    multiprocessing.spawn(run, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("number", range(len(PUBLISHED)), ids=lambda number: f"{PUBLISHED[number].name}-{number}")
def test_two_processes_reproduce_the_published_training(results, number):
    case = load(PUBLISHED[number])
    for rank, by_case in enumerate(results):
        paper = by_case[number]
        assert_loss(paper["loss"], case.outputs[f"rank{rank}/loss"])
        assert_gradients(paper["grad"], case, GRADIENT, f"rank{rank}/grad/")
        assert paper["grad"].get("antonym_text_feat") is None


@pytest.mark.skipif(len(PUBLISHED) == 1, reason="the golden data is not beside the repository")
def test_all_published_cases_of_two_processes_are_among_them():
    assert {path.name for path in PUBLISHED} == {
        f"c_mp2_{n}" for n in ("vtc_text2d", "vtc_vac_text2d", "fuser_text2d_visual2d")
    }


def test_gathering_with_gradient_gives_the_gradients_of_the_summed_losses(results):
    case = load(CASE)
    video, text, antonym = (
        torch.cat([case.inputs[f"rank{rank}/{name}"] for rank in range(2)]).requires_grad_() for name in NAMES
    )
    blocks = torch.cat([text[:4], antonym[:4], text[4:], antonym[4:]])
    kept = torch.cat([torch.ones(4).bool(), HAS_ANTONYM[0], torch.ones(4).bool(), HAS_ANTONYM[1]])
    losses = [
        contrastive(video[mine], text[mine], 0.07, gathered=Gathered(video, blocks, rank, kept))
        for rank, mine in enumerate((slice(0, 4), slice(4, 8)))
    ]
    sum(losses).backward()
    for rank, (*_, ours) in enumerate(results):
        assert_close(ours["loss"], losses[rank].detach(), 1e-6)
        for name, whole in zip(NAMES, (video, text, antonym), strict=True):
            assert_close(ours["grad"][name], whole.grad[4 * rank : 4 * rank + 4], GRADIENT, name)


def test_a_single_process_gathers_nothing():
    assert gather(torch.randn(2, 3, 4), torch.randn(2, 4), with_gradient=False) is None
