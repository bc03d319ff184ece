"""How long a large data set takes to build, and how much memory: an EgoClip table of made-up narrations.

    python benchmarks/million_rows.py [--rows 1000000] [--folder /tmp/million]

Writes the table (from the grammar of foils.py, 400 rows a video), builds it with `paxion build --tagger rules`, and
prints seconds and peak memory of that process.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from foils import captions

COLUMNS = (
    "video_uid video_dur narration_source narration_ind narration_time clip_start clip_end clip_text tag_verb tag_noun"
)


def write_table(path: Path, rows: int) -> None:
    texts, draw = list(dict.fromkeys(captions())), random.Random(0)
    with path.open("w") as file:
        file.write("\t".join(COLUMNS.split()) + "\n")
        for number in range(rows):
            video, place = divmod(number, 400)
            start = 5.0 * place
            cells = f"video-{video}", 2400.0, "narration_pass_1", place, start, start, start + 1.0, draw.choice(texts)
            file.write("\t".join(map(str, cells)) + "\t[17]\t[93]\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/million"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    table = options.folder / "egoclip.csv"
    write_table(table, options.rows)
    begun = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "paxion.cli",
        "build",
        str(table),
        "--out",
        str(options.folder),
        "--tagger",
        "rules",
    ]
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{options.rows} rows: {seconds:.0f} s, {options.rows / seconds:,.0f} rows a second, {peak:.0f} MB at most")


if __name__ == "__main__":
    main()
