"""The patcher forward and backward: attention absorbed into the queries, beside the textbook form, in the same run.

    python benchmarks/patcher.py [--rounds 9] [--batch 8] [--tokens float16] [--precision bf16] [--device cuda]

Patchers of the paper's sizes (16 latents, 8 heads of 64, dropout on the temporal code) read random tokens of CLIP-ViP
B/32 (392 x 768) and InternVideo L/14 (2056 x 1024), in training mode. `alone` is one pass over the clips, `both` the
clips and their reversals, as a step with ATM needs them: one call of `both`, against two passes of the plain form.
Plain is paxion.patching.plain: every key and value is computed, and autograd keeps what it needs.

The two ways take turns; seconds are medians, `faster` is the median of the ratios of neighbouring turns. Peak memory is
taken in a process of its own for each way: the highest resident size less that before the step, with weights, tokens
and one step on a single clip behind it (on a GPU: the allocator's peak less what was allocated). `differs` is the
largest difference of the latents and of any gradient, as a share of the largest number of each.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from paxion.patching.patcher import KnowledgePatcher, PatcherConfig
from paxion.patching.plain import plain_patcher

SIZES = {"392x768": PatcherConfig(512, 768, 8, 49), "2056x1024": PatcherConfig(768, 1024, 8, 257)}
WAYS = ("absorbed", "plain")
WORK = ("alone", "both")


class Case:
    """A patcher of one size with a batch of tokens, and what is asked of it."""

    def __init__(self, size: str, work: str, given: argparse.Namespace) -> None:
        self.config, self.work, self.device = SIZES[size], work, given.device
        self.precision = given.precision
        torch.manual_seed(0)
        self.patcher = KnowledgePatcher(self.config).to(given.device)
        shape = (given.batch, self.config.frames, self.config.tokens_per_frame, self.config.token_width)
        self.tokens = torch.randn(shape, device=given.device).to(getattr(torch, given.tokens))
        self.weights = torch.randn(given.batch, self.config.latents, self.config.dim, device=given.device)

    def step(self, way: str, clips: int | None = None) -> tuple[Tensor, ...]:
        """The latents of the first clips (default: all); their gradients are in the patcher's parameters."""
        torch.manual_seed(1)  # both ways draw the same dropout
        self.patcher.zero_grad()
        tokens = self.tokens[:clips]
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"):
            if way == "plain":
                turned = (tokens.flip(1),) if self.work == "both" else ()
                latents = tuple(plain_patcher(self.patcher, each) for each in (tokens, *turned))
            else:
                latents = self.patcher.both(tokens) if self.work == "both" else (self.patcher(tokens),)
        total = torch.stack([(each.float() * self.weights[:clips]).sum() for each in latents]).sum()
        total.backward()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return latents

    def results(self, way: str) -> dict[str, Tensor]:
        """What a step gives: the latents and every gradient."""
        latents = self.step(way)
        found = {f"latents {number}": each.detach() for number, each in enumerate(latents)}
        gradients = ((name, value.grad) for name, value in self.patcher.named_parameters())
        return found | {name: gradient.clone() for name, gradient in gradients if gradient is not None}


def differs(case: Case) -> float:
    one, two = (case.results(way) for way in WAYS)
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max() / two[name].abs().max()) for name in one)


def seconds(case: Case, rounds: int) -> tuple[float, float, float]:
    """Median seconds of both ways and the median ratio."""

    def timed(way: str) -> float:
        began = time.perf_counter()
        case.step(way)
        return time.perf_counter() - began

    for way in WAYS:
        case.step(way)
    pairs = [(timed("absorbed"), timed("plain")) for _ in range(rounds)]
    fast, slow = (statistics.median(times) for times in zip(*pairs, strict=True))
    return fast, slow, statistics.median(plain / absorbed for absorbed, plain in pairs)


def peak(case: Case, way: str) -> int:
    """Bytes that a step takes at its height; right for the first call in a process."""
    case.step(way, 1)
    if case.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        case.step(way)
        return torch.cuda.max_memory_allocated() - before
    before = resident("VmRSS")
    case.step(way)
    return resident("VmHWM") - before


def resident(kind: str) -> int:
    """Bytes of memory that this process holds (VmRSS) or has held at most (VmHWM).

    Not the resource module's ru_maxrss: a new process begins with that of the one which started it.
    """
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) * 1024


def peak_of(size: str, work: str, way: str) -> int:
    """The same, in a process of its own with the same options."""
    command = [sys.executable, __file__, *sys.argv[1:], "--peak", size, work, way]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SIZES, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak:
        size, work, way = given.peak
        print(peak(Case(size, work, given), way))
        return
    where = torch.cuda.get_device_name() if given.device == "cuda" else f"{platform.machine()}, {given.threads} threads"
    print(f"{where}, torch {torch.__version__}, tokens {given.tokens}, {given.precision}, batch {given.batch}")
    print(f"{'':16}{'absorbed':>10}{'plain':>10}{'faster':>8}{'absorbed':>11}{'plain':>9}{'share':>7}{'differs':>10}")
    for size in given.only:
        for work in WORK:
            case = Case(size, work, given)
            fast, slow, ratio = seconds(case, given.rounds)
            error = differs(case)
            del case
            small, large = (peak_of(size, work, way) / 2**20 for way in WAYS)
            print(
                f"{size:10}{work:6}{1e3 * fast:7.1f} ms{1e3 * slow:7.1f} ms{ratio:7.2f}x"
                f"{small:7.0f} MiB{large:5.0f} MiB{small / large:6.0%}{error:10.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
