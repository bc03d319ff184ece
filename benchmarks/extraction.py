"""Extraction by one and by two processes on one store, decoding included.

    python benchmarks/extraction.py [--clips 192] [--width 384] [--rounds 3] [--shard 16]

Clips of 48 frames of 320 x 240 pixels in H.264, of which 8 are taken; a CLIP-ViP B/32 of a width of --width (768 is the
published one) with random weights. Three ways take turns, each in processes of its own, which share the clips as
`torchrun` processes or separate commands do:

one process        one thread, which decodes and encodes
two processes      the same, twice
both cores         one process with as many threads as there are cores, decoding beside it as by default

Seconds are of the wall clock, from when all processes are ready (started, the backbone loaded) to when the last has
ended; beside them the CPU seconds of all processes; medians. `faster`: the median of the ratios of neighbouring turns.
It is checked that the first two ways write the same bytes (the third adds up in another order: its numbers differ by
rounding). On a quiet machine one process takes its CPU seconds, and two take half of theirs; where they take longer,
something else was running, and the numbers are of no use.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from backbones import filled, no_texts
from paxion.backbones.clip_vip import ClipVip, ClipVipConfig
from paxion.features.decoding import cores
from paxion.features.extract import extract
from paxion.manifest import read_manifest, write_manifest
from paxion.records import Sample
from paxion.video.encode import write_clip

WAYS = {"one process": (1, 1, 0), "two processes": (2, 1, 0), "both cores": (1, cores(), None)}
"""Processes, threads of each, decoding processes of each."""


def made(folder: Path, clips: int) -> Path:
    """The manifest of clips in which squares move over noise."""
    samples = []
    for number in range(clips):
        generator = torch.Generator().manual_seed(number)
        frames = (torch.rand(1, 240, 320, 3, generator=generator) * 255).byte().repeat(48, 1, 1, 1)
        for time_ in range(48):
            frames[time_, 60:120, 5 * time_ : 5 * time_ + 60] = frames[time_, 0, number % 320]
        write_clip(folder / f"{number:04}.mp4", frames, quality=24)
        samples.append(Sample(str(number), f"{number:04}.mp4", "a square moves", "train", str(number)))
    write_manifest(folder / "manifest.jsonl", samples)
    return folder / "manifest.jsonl"


def run(given: argparse.Namespace) -> None:
    """One process: wait for the word, then extract."""
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    config = ClipVipConfig(width=given.width, heads=given.width // 64, hidden=4 * given.width)
    model = filled(ClipVip(config, no_texts), "cpu", torch.float32)
    samples = read_manifest(given.manifest)
    print("ready", flush=True)
    sys.stdin.readline()
    workers = None if given.workers < 0 else given.workers
    began = cpu_seconds()
    extract(model, given.manifest, samples, given.store, controls=(), batch=8, shard=given.shard, workers=workers)
    print(cpu_seconds() - began)


def cpu_seconds() -> float:
    """Of this process and those that it has waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def turn(way: str, manifest: Path, store: Path, given: argparse.Namespace) -> tuple[float, float]:
    """The seconds of one way, by the clock and of all its processes."""
    count, threads, workers = WAYS[way]
    command = [
        sys.executable, __file__, "--store", store, "--manifest", manifest, "--threads", threads,
        "--workers", -1 if workers is None else workers, "--width", given.width, "--shard", given.shard,
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    running = []
    try:
        for _ in range(count):
            running.append(subprocess.Popen(list(map(str, command)), **pipes))
        for one in running:
            if one.stdout.readline() != "ready\n":
                sys.exit(f"{way}: a process failed")
        began = time.perf_counter()
        for one in running:
            one.stdin.write("go\n")
            one.stdin.flush()
        if any([one.wait() for one in running]):
            sys.exit(f"{way}: a process failed")
        return time.perf_counter() - began, sum(float(one.stdout.read()) for one in running)
    finally:
        for one in running:
            one.kill()


def digest(folder: Path) -> str:
    """Of all files of a store."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def main(given: argparse.Namespace) -> None:
    print(f"{platform.machine()}, {cores()} cores, torch {torch.__version__}, load {os.getloadavg()[0]:.2f}")
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="paxion-extraction-") as folder:
        manifest = made(Path(folder) / "clips", given.clips)
        for number in range(given.rounds):
            same = {}
            for way in WAYS:
                store = Path(folder) / f"{way}-{number}"
                seconds[way].append(turn(way, manifest, store, given))
                same[way] = digest(store)
            if same["one process"] != same["two processes"]:
                sys.exit("two processes wrote other bytes than one")
    print(f"{given.clips} clips, width {given.width}, {given.rounds} rounds, load {os.getloadavg()[0]:.2f}")
    print(f"{'':16}{'seconds':>9}{'of CPU':>9}{'clips/s':>9}{'faster':>8}")
    for way, each in seconds.items():
        ratios = [one[0] / other[0] for one, other in zip(seconds["one process"], each, strict=True)]
        clock, used = (statistics.median(column) for column in zip(*each, strict=True))
        print(f"{way:16}{clock:9.1f}{used:9.1f}{given.clips / clock:9.2f}{statistics.median(ratios):8.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=192)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shard", type=int, default=16)
    for name, kind in (("store", Path), ("manifest", Path), ("threads", int), ("workers", int)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    run(arguments) if arguments.store else main(arguments)
