"""Which of several processes this is: what torchrun tells each of them, checked, and explained when it does not fit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from paxion.records import PaxionError

HOW = "start several processes with: torchrun --nproc_per_node 2 -m paxion ..."


@dataclass(frozen=True)
class Process:
    """One of `world` processes that do a job together."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    """The number among those of the same machine, which is that of its GPU."""

    @property
    def main(self) -> bool:
        """Whether this is the one that talks and writes."""
        return self.rank == 0


def this_process(environment: Mapping[str, str] = os.environ) -> Process:
    """What torchrun said in the environment; alone when it said nothing.

    Raises PaxionError for an environment that torchrun does not make.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    given = [name for name in names if environment.get(name)]
    if not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} & set(given):
        return Process()
    missing = [name for name in names if name not in given]
    if missing:
        raise PaxionError(f"got {', '.join(given)} in the environment without {', '.join(missing)}; {HOW}, or unset it")
    try:
        rank, world, local = (int(environment[name]) for name in names[:3])
    except ValueError:
        raise PaxionError(f"got RANK, WORLD_SIZE and LOCAL_RANK that are no numbers; {HOW}") from None
    if not (0 <= rank < world and 0 <= local < world):
        raise PaxionError(f"got rank {rank} and local rank {local} of {world} processes; {HOW}")
    return Process(rank, world, local)
