"""Killing extraction at any moment loses at most a batch, redoes nothing that was done, and changes no byte."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from extractions import SIZES, Logged

from paxion.features.extract import extract

HERE = Path(__file__).parent
SLOW = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[3])
from extractions import Logged, SIZES
from paxion.features.extract import extract
from paxion.manifest import read_manifest

if __name__ == "__main__":
    torch.set_num_threads(1)
    manifest, out = Path(sys.argv[1]), Path(sys.argv[2])
    backbone = Logged(out / "log" / "slow.0001", 0.1)
    extract(backbone, manifest, read_manifest(manifest), out / "slow", workers=2, **SIZES)
"""


def sums(folder: Path) -> dict[str, str]:
    """The sha256 of every file in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def logs(out: Path, name: str) -> list[list[str]]:
    """What each attempt of a name encoded, in the order of the attempts."""
    return [path.read_text().split() for path in sorted((out / "log").glob(f"{name}.*"))]


@pytest.fixture(scope="module")
def killed(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, HERE / "extractions.py", tiny_manifest, out, "killed"], check=True, timeout=300)
    return out


@pytest.fixture(scope="module")
def rounds(killed: Path) -> list[str]:
    return [path.name for path in sorted(killed.glob("killed-*"))]


def test_the_files_are_those_of_a_run_that_was_not_killed(killed, rounds):
    whole = sums(killed / "whole")
    assert len([name for name in whole if name.endswith(".tokens.npy")]) == 10 and len(rounds) > 1
    for name in rounds:
        assert sums(killed / name) == whole


def test_no_batch_that_was_written_is_encoded_again(killed, rounds):
    (whole,) = logs(killed, "whole")
    assert len(set(whole)) == len(whole) > 60
    for name in rounds:
        attempts = logs(killed, name)
        assert len(attempts) > 2 and set().union(*attempts) == set(whole)
        for number, attempt in enumerate(attempts):
            later = set().union(*attempts[number + 1 :])
            # A batch is encoded after the one before it was written.
            assert not later.intersection(attempt[:-1])


def children(pid: int) -> set[int]:
    """The processes that a process started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.add(int(path.parent.name))
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found.add(pid)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_decoding_processes_end_with_it_and_what_is_done_is_kept(killed, tiny_manifest, tiny_samples, tmp_path, end):
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, tmp_path / "slow.py", tiny_manifest, tmp_path, HERE]
    run = subprocess.Popen(command, start_new_session=True)
    log, deadline = tmp_path / "log" / "slow.0001", time.monotonic() + 60
    while not log.exists() or len(log.read_text().split()) < 8:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    others = children(run.pid)
    assert len(others) >= 2  # two decode; a third may keep track of what they share
    if end == signal.SIGINT:
        os.killpg(run.pid, end)  # as a terminal does
    else:
        run.send_signal(end)
    assert run.wait(20) != 0
    deadline = time.monotonic() + 10
    while alive(others):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (before,) = logs(tmp_path, "slow")
    extract(Logged(tmp_path / "log" / "slow.0002"), tiny_manifest, tiny_samples, tmp_path / "slow", workers=0, **SIZES)
    assert not set(before[:-1]) & set(logs(tmp_path, "slow")[1])
    assert sums(tmp_path / "slow") == sums(killed / "whole")
