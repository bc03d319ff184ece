"""Extractions in processes of their own, killed and side by side: python extractions.py MANIFEST OUT SCENARIO.

A process is forked, so that nothing has to be imported anew. OUT/log/NAME.NUMBER says what each of them encoded. The
store that is made at one go by one process is in OUT/whole.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from neighbour import NeighbourBackbone
from torch import Tensor

from paxion.backbones.base import Features
from paxion.features.extract import extract
from paxion.manifest import read_manifest

SIZES = {"batch": 4, "shard": 16}
EVENTS = ("tempfile.mkstemp", "os.chmod", "os.rename", "os.remove", "os.truncate")


class Logged(NeighbourBackbone):
    """Says what it encodes, and takes its time."""

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        super().__init__()
        self.log, self.seconds = log, seconds
        log.parent.mkdir(parents=True, exist_ok=True)

    def encode_video(self, video: Tensor) -> Features:
        with self.log.open("a") as log:
            log.write(hashlib.sha256(video.numpy().tobytes()).hexdigest() + "\n")
        time.sleep(self.seconds)
        return super().encode_video(video)


class Attempts:
    """Processes that extract the clips of a manifest."""

    def __init__(self, manifest: Path, out: Path) -> None:
        self.manifest, self.out, self.samples, self.number = manifest, out, read_manifest(manifest), 0

    def start(self, name: str, seconds: float = 0.0, event: int | None = None) -> int:
        """Start one, and give its process id. event: it is killed just before this one of EVENTS."""
        self.number += 1
        pid = os.fork()
        if pid:
            return pid
        if event is not None:
            left = iter(range(event))

            def count(happens: str, _: object) -> None:
                if happens in EVENTS and next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(count)
        backbone = Logged(self.log(name, self.number), seconds)
        extract(backbone, self.manifest, self.samples, self.out / name, workers=0, **SIZES)
        os._exit(0)

    def log(self, name: str, number: int) -> Path:
        """What a process says it encodes."""
        return self.out / "log" / f"{name}.{number:04}"

    def ended(self, pid: int) -> bool:
        """Wait for one; whether it was not killed."""
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            sys.exit(f"an attempt failed: {status}")
        return os.WIFEXITED(status)


def killed(attempts: Attempts) -> None:
    """Kill attempts at random moments until one ends; twenty by the clock, and more before EVENTS, too short for it."""
    draw, by_clock, rounds = random.Random(0), 0, 0
    while by_clock < 20:
        ended = False
        while not ended:
            event = draw.choice([None, draw.randrange(40)])
            pid = attempts.start(f"killed-{rounds}", draw.choice([0, 0.01]), event)
            if event is None:
                time.sleep(draw.uniform(0.02, 0.3))
                os.kill(pid, signal.SIGKILL)
            ended = attempts.ended(pid)
            by_clock += event is None and not ended
        rounds += 1


def together(attempts: Attempts) -> None:
    """Two at once; and two of which one is killed, which the other notices at its end."""
    both = [attempts.start("pair", 0.02) for _ in range(2)]
    assert all([attempts.ended(pid) for pid in both])
    one, other = attempts.start("left", 0.05), attempts.start("left", 0.02)
    log = attempts.log("left", attempts.number - 1)
    while not log.exists() or len(log.read_text().split()) < 3:
        time.sleep(0.01)
    os.kill(one, signal.SIGKILL)
    assert not attempts.ended(one) and attempts.ended(other)


if __name__ == "__main__":
    torch.set_num_threads(1)
    started = Attempts(Path(sys.argv[1]), Path(sys.argv[2]))
    assert started.ended(started.start("whole"))
    {"killed": killed, "together": together}[sys.argv[3]](started)
