"""Several processes, devices and precisions through accelerate, which is imported when a training begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from paxion.processes import HOW, this_process
from paxion.records import PaxionError

if TYPE_CHECKING:
    from accelerate import Accelerator


@contextmanager
def accelerated(device: str, precision: str) -> Iterator[Accelerator]:
    """accelerate for the processes that torchrun started, or for this one alone.

    The processes stay connected for what else the program does together, until `part`.

    device: `cpu`, or an accelerator: each process then takes the one of its number. precision: `float32` or `bf16`.

    Raises PaxionError when the environment is none that torchrun makes.
    """
    process = this_process()
    if process.world == 1 and os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true"):
        raise PaxionError(
            f"got ACCELERATE_USE_CPU, as by accelerate launch --cpu, which starts one process only; {HOW}, or unset it"
        )
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState

    # It remembers the first device and precision for good, and a program may train twice.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    )
    try:
        if accelerator.num_processes != process.world:
            raise PaxionError(f"got {accelerator.num_processes} processes, expected {process.world}; {HOW}")
        yield accelerator
    except RuntimeError as error:
        if process.world > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise PaxionError(
                "lost another process, which ended first: see its message; the same command goes on after the last "
                "checkpoint"
            ) from None
        raise
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def part() -> None:
    """Disconnect from the other processes, at the end of a program that went well."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def agreed(questions: Sequence[Tensor | bool], device: torch.device) -> Callable[[], list[bool]]:
    """Ask all processes some yes-or-no questions; a yes of one is a yes of all.

    Returns at once what to call for the answers: a GPU then goes on with what was queued after the questions.
    """
    on_device = [torch.as_tensor(question) for question in questions]
    asked = torch.stack([value.to(device, torch.float32, non_blocking=True) for value in on_device])
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(asked, dist.ReduceOp.MAX)
    if device.type != "cuda":
        return lambda: [answer > 0 for answer in asked.tolist()]
    answers = torch.empty(len(asked), pin_memory=True).copy_(asked, non_blocking=True)
    there = torch.cuda.Event()  # type: ignore[no-untyped-call]
    there.record()

    def wait() -> list[bool]:
        there.synchronize()
        return [answer > 0 for answer in answers.tolist()]

    return wait
