"""A training that is killed again and again: python killed_training.py MANIFEST WEIGHTS FEATURES OUT KILLS.

Each attempt is a process of its own, forked so that nothing has to be loaded anew, and killed without warning at a
random moment. What ends in OUT/killed is to be what ends in OUT/whole.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from trainings import SHORT, load

from paxion.patching.checkpoint import save_adapter
from paxion.patching.train import train

RECIPE = replace(SHORT, epochs=40)


def main(manifest: Path, weights: Path, features: Path, out: Path, kills: int) -> None:
    backbone, data, _ = load(manifest, weights, features, 21)

    def whole(folder: Path) -> None:
        model = train(RECIPE, backbone, data, folder, save_every=0.02)
        save_adapter(folder, "patcher", model, backbone, RECIPE, {})

    def attempt(folder: Path) -> int:
        pid = os.fork()
        if pid == 0:
            whole(folder)
            os._exit(0)
        return pid

    whole(out / "whole")
    moments, killed, round_ = random.Random(0), 0, 0
    while killed < kills:
        folder, finished = out / f"killed-{round_}", False
        while not finished:
            pid = attempt(folder)
            # Longer and longer, so that a busy machine gets somewhere too.
            time.sleep(moments.uniform(0.02, 0.3 + 0.02 * killed))
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            finished = os.WIFEXITED(status)
            if finished and os.WEXITSTATUS(status):
                sys.exit(f"an attempt failed: {status}")
            killed += not finished
        round_ += 1
    print(killed, round_)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]), int(sys.argv[5]))
