"""What torchrun tells a process, and what is said when something else did."""

from __future__ import annotations

import pytest

from paxion.processes import Process, this_process
from paxion.records import PaxionError

TOLD = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


def test_a_process_alone_and_one_of_several():
    assert this_process({}) == Process() and this_process({}).main
    assert this_process({"MASTER_ADDR": "localhost", "ACCELERATE_MIXED_PRECISION": "no"}) == Process()
    assert this_process(TOLD) == Process(rank=1, world=4, local_rank=0) and not this_process(TOLD).main


@pytest.mark.parametrize("name", TOLD)
def test_what_is_missing_is_named(name):
    rest = {key: value for key, value in TOLD.items() if key != name}
    with pytest.raises(PaxionError, match=f"without {name}; start several processes with: torchrun"):
        this_process(rest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RANK": "one"}, "that are no numbers"),
        ({"RANK": "4"}, "got rank 4 and local rank 0 of 4 processes"),
        ({"LOCAL_RANK": "-1"}, "local rank -1"),
        ({"WORLD_SIZE": "0", "RANK": "0"}, "of 0 processes"),
    ],
)
def test_what_does_not_fit_is_explained(change, message):
    with pytest.raises(PaxionError, match=message):
        this_process(TOLD | change)


def test_one_name_alone_is_not_taken_for_a_process_alone():
    with pytest.raises(PaxionError, match="got LOCAL_RANK in the environment without RANK"):
        this_process({"LOCAL_RANK": "0"})
