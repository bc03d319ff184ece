"""Extraction on a cluster of two local workers: python cluster_extraction.py MANIFEST OUT.

OUT/plain is made without a cluster, OUT/ray with one, OUT/lost with one of whose actors the first dies at its third
pass. OUT/log says which processes encoded.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from paxion.cli import main

OWN = """
import os, signal
from contextlib import suppress
from pathlib import Path
from neighbour import NeighbourBackbone

class Own(NeighbourBackbone):
    def encode_video(self, video):
        here = Path(__file__).parent
        passes = here / "log" / str(os.getpid())
        with passes.open("a") as log:
            print(len(video), file=log)
        if len(passes.read_text().split()) == 3:
            with suppress(FileNotFoundError):
                (here / "mine").unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_video(video)

def backbone():
    return Own()
"""


def extract(manifest: Path, out: Path, name: str, *options: str) -> None:
    command = ["features", "make", str(manifest), "--backbone", f"python:{out / 'own.py'}", "--store", str(out / name)]
    if main([*command, "--batch", "4", "--shard", "16", "--workers", "0", *options]):
        sys.exit(f"failed: {name}")


def run(manifest: Path, out: Path) -> None:
    import ray

    torch.set_num_threads(1)
    (out / "log").mkdir()
    (out / "own.py").write_text(OWN)
    extract(manifest, out, "plain")
    environment = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": environment}, log_to_driver=False)
    on_ray = ("--engine", "ray", "--actors", "2")
    extract(manifest, out, "ray", *on_ray)
    (out / "mine").touch()
    extract(manifest, out, "lost", *on_ray)
    ray.shutdown()


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
