"""How long `paxion report` takes, and how much memory, on a run of 20,000 samples under 6 controls.

    python benchmarks/report.py [--samples 20000] [--models 2] [--limit]

The run is written as `paxion probe` writes it: three probes and the twins, with scores, rows and facts of the samples.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from paxion.evaluation.probes import probe_score
from paxion.evaluation.twins import TURNED, twin_scores
from paxion.records import Row, Score
from paxion.results import Results, provenance, write_results, write_strata

CONTROLS = ("none", "first", "last", "frozen", "shuffled", "blind")
VERBS = 150
REPORT = """
import sys
from paxion.cli import main
main(["report", sys.argv[1]])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""What the process does; the kernel's own count of its memory, since what getrusage says includes this script's."""
LIMITS = 20.0, 1.0
"""Seconds and GB that are promised."""


def main() -> None:
    """Write the run, report it in a process of its own, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--models", type=int, default=1)
    parser.add_argument("--limit", action="store_true", help="fail where the promise is not kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        began = time.perf_counter()
        rows = write_run(run, given.samples, given.models)
        written = time.perf_counter() - began
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", REPORT, str(run)], check=True, stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - began
        held = int(done.stdout.split()[-2]) / 1e6
        page = (run / "report.html").stat().st_size / 1e6
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores: {given.samples} samples x {len(CONTROLS)} controls")
    print(f"{rows} rows of {given.models} models: written in {written:.1f} s")
    print(f"paxion report: {seconds:.1f} s, {held:.2f} GB at most; the page has {page:.2f} MB")
    if given.limit and (seconds > LIMITS[0] or held > LIMITS[1]):
        sys.exit(f"promised are {LIMITS[0]:g} s and {LIMITS[1]:g} GB")


def write_run(folder: Path, samples: int, models: int) -> int:
    """Write a run's folder; how many rows it has."""
    random = np.random.default_rng(0)
    ids = [f"clip-{i:06d}" for i in range(samples)]
    groups = [f"video-{i // 3}" for i in range(samples)]
    rows: list[Row] = []
    scores: list[Score] = []
    for model in (f"model-{number}" for number in range(models)):
        for control in CONTROLS:
            for task in ("antonym", "reversal", "object"):
                part = drawn(ids, groups, model, task, control, random)
                scores.append(probe_score(part))
                rows += part
            turned = [each for name in ids for each in (name, name + TURNED)]
            part = drawn(turned, [group for group in groups for _ in (0, 1)], model, "twins", control, random)
            scores += twin_scores(part)
            rows += part
    strata = {
        name: {"verb": f"verb-{i % VERBS}", "source": "drawn", "caption length": f"{5 + i % 4} words"}
        for i, name in enumerate(ids)
    }
    names = [f"model-{number}" for number in range(models)]
    told = provenance(seed=0, models=names, notes=[], missed=[], sampler="midpoint", protocol="default")
    write_strata(folder, strata)
    write_results(folder, Results(told, scores), rows)
    return len(rows)


def drawn(
    ids: list[str], groups: list[str], model: str, task: str, control: str, random: np.random.Generator
) -> list[Row]:
    """Rows of a model that is right somewhat more often than not."""
    pairs = random.normal([0.3, 0.0], 0.2, (len(ids), 2)).tolist()
    return [
        Row(name, group, model, "drawn", task, control, 0, right, wrong, float(right > wrong))
        for name, group, (right, wrong) in zip(ids, groups, pairs, strict=True)
    ]


if __name__ == "__main__":
    main()
