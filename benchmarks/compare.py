"""How long `paxion compare` takes on two runs of 20,000 samples, three tasks and six controls: 720,000 rows.

python benchmarks/compare.py
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from paxion.comparing.compare import compare
from paxion.comparing.reading import read_runs
from paxion.records import Row
from paxion.results import Results, write_results, write_strata

TASKS, CONTROLS = ("antonym", "reversal", "object"), ("none", "first", "middle", "last", "shuffled", "blind")


def write_run(folder: Path, model: str, share: float, samples: int, random: np.random.Generator) -> None:
    """A run of a model that is right on a share of its samples, three to a source, of 80 verbs."""
    rows = [
        Row(f"clip-{i}", f"source-{i // 3}", model, "set", task, control, 0, 0.5, 0.4, credit)
        for task in TASKS
        for control in CONTROLS
        for i, credit in enumerate((random.random(samples) < share).astype(float).tolist())
    ]
    write_results(folder, Results({"protocol": "default"}), rows)
    write_strata(folder, {f"clip-{i}": {"verb": f"verb-{i % 80}"} for i in range(samples)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / model for model in ("one", "two")]
        for folder, share in zip(folders, (0.60, 0.61), strict=True):
            write_run(folder, folder.name, share, arguments.samples, random)
        start = time.perf_counter()
        runs = read_runs([str(folder) for folder in folders])
        read = time.perf_counter()
        compare(runs, controls=("all",))
        compared = time.perf_counter()
        compare(runs, by="verb")
        broken_down = time.perf_counter()
    print(f"reading {sum(len(run.rows) for run in runs):,} rows   {read - start:5.1f} s")
    print(f"comparing on {len(TASKS) * len(CONTROLS)} lines  {compared - read:5.1f} s")
    print(f"on {len(TASKS)} lines by verb     {broken_down - compared:5.1f} s")
    print(f"memory, writing included {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:5.2f} GiB")


if __name__ == "__main__":
    main()
