"""Several processes on one store: they share the work, write the same bytes, and take over from one that died."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_extract_kill import logs, sums

HERE = Path(__file__).parent
BACKBONE = """
import os
from pathlib import Path
from extractions import Logged

def backbone():
    name = "launched.000" + os.environ.get("RANK", "9")
    return Logged(Path(__file__).parent / "log" / name, 0.05)
"""


@pytest.fixture(scope="module")
def together(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("together")
    subprocess.run([sys.executable, HERE / "extractions.py", tiny_manifest, out, "together"], check=True, timeout=120)
    return out


def test_two_at_once_share_the_work_and_write_the_same_bytes(together):
    (whole,), (one, other) = logs(together, "whole"), logs(together, "pair")
    assert sorted(one + other) == sorted(whole)
    assert min(len(one), len(other)) > len(whole) / 4
    assert sums(together / "pair") == sums(together / "whole")


def test_what_a_killed_one_has_left_is_taken_over(together):
    (whole,), (killed, other) = logs(together, "whole"), logs(together, "left")
    assert len(killed) > 1 and set(killed[:-1]).isdisjoint(other)
    assert set(killed) | set(other) == set(whole) and len(killed) + len(other) <= len(whole) + 1
    assert sums(together / "left") == sums(together / "whole")


def test_torchrun(together, tiny_manifest, tiny_samples, tmp_path):
    """Every process is told where the features are; only the first talks."""
    (tmp_path / "own.py").write_text(BACKBONE)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "paxion"]
    options = ["features", tiny_manifest, "--backbone", f"python:{tmp_path / 'own.py'}", "--store", tmp_path / "store"]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    options += ["--batch", "4", "--shard", "16", "--workers", "0"]
    ran = subprocess.run([sys.executable, *launch, *options], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("the store:") == 1 and f"{len(tiny_samples)} of {len(tiny_samples)}" in ran.stdout
    one, other = logs(tmp_path, "launched")
    (whole,) = logs(together, "whole")
    assert sorted(one + other) == sorted(whole) and one and other
