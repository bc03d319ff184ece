"""Does a patch learn direction on a simulated robot, and does it know it on tasks never trained on? docs/metaworld.md.

    paxion world metaworld --out metaworld --episodes 660
    python benchmarks/metaworld_study.py metaworld/manifest.jsonl

Trains every recipe with every seed (a run that is there is read, not repeated), probes it on held-out seeds and on
held-out tasks under the controls, and prints Markdown tables. Every episode is a group of its own. p: two-sided sign
flips of the episodes' differences, averaged over training seeds first, so that seeds do not count as evidence; all
flips where there are few differences, 200,000 random ones otherwise. On held-out tasks p over the pairs of tasks is
beside it: three pairs can never have p below 0.25, which is what three pairs say about a fourth.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from paxion.backbones.base import BackboneEncoder, Encoder
from paxion.backbones.load import load_backbone
from paxion.evaluation.evaluate import evaluate
from paxion.evaluation.statistics import estimate
from paxion.features.extract import extract
from paxion.manifest import read_manifest
from paxion.patching.checkpoint import load_adapter
from paxion.records import Row, Sample, unknown_name

RECIPES: dict[str, tuple[str, ...]] = {
    "patcher-vtc": ("patcher-vtc",),
    "patcher-dvdm": ("patcher-dvdm",),
    "patcher": ("patcher",),
    "patcher-last-frame": ("patcher-last-frame",),
    "patcher-first-frame": ("patcher-last-frame", "--change.control", "first"),
}
"""The arguments of paxion patch behind each model."""
CONTROLS = ("none", "first", "last", "shuffled")
TURNED = "reversed"
TASKS = ("antonym", "reversal", "object")
SAMPLER = "endpoints"
"""The first frame of a clip is the first of the episode: the strongest first-frame control that there is."""
OWN = {"patcher-first-frame": "first", "patcher-last-frame": "last"}
"""Single-frame patchers are compared with as they were trained: looking at that frame."""
FLIPS = 200_000
Floats = NDArray[np.float64]
Credits = dict[tuple[str, str, str, str, int], dict[str, float]]
"""(model, data, task, control, seed) to sample id to credit."""


@dataclass(frozen=True)
class Study:
    manifest: Annotated[Path, tyro.conf.Positional]
    backbone: str = "python:benchmarks/real_encoders.py,tokens=pool2"
    """Order-blind: a clip is the mean of its frames."""
    models: tuple[str, ...] = tuple(RECIPES)
    """Which of the recipes."""
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 20
    out: Path = Path("runs/metaworld")
    store: Path = Path("runs/metaworld/features")


def trained(study: Study, name: str, seed: int) -> Path:
    """The adapter of a recipe and seed, trained by `paxion patch` unless it is there."""
    folder = study.out / f"{name}-{seed}"
    if not (folder / "adapter.json").exists():
        recipe, *changes = RECIPES[name]
        arguments = [
            "patch", str(study.manifest), "--recipe", recipe, *changes, "--change.sampler", SAMPLER,
            "--change.epochs", str(study.epochs), "--backbone", study.backbone, "--store", str(study.store),
            "--seed", str(seed), "--out", str(folder),
        ]  # fmt: skip
        print(f"  paxion {' '.join(arguments)}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "paxion", *arguments], check=True, stdout=sys.stderr)
    return folder


def run(study: Study, tests: Mapping[str, Sequence[Sample]]) -> Credits:
    """All models under all controls. `reversed` is for antonyms only: which caption does the reversed clip prefer?"""
    adapters = {(name, seed): trained(study, name, seed) for seed in study.seeds for name in study.models}
    backbone = load_backbone(study.backbone)
    samples = [sample for part in tests.values() for sample in part]
    found = extract(
        backbone, study.manifest, samples, study.store, sampler=SAMPLER, controls=(*CONTROLS, TURNED), workers=0
    )
    models: list[tuple[str, int, Encoder]] = [("backbone", 0, BackboneEncoder("backbone", backbone))]
    models += [(name, seed, load_adapter(folder, backbone)) for (name, seed), folder in adapters.items()]
    credits: Credits = {}
    with torch.inference_mode():
        for name, seed, encoder in models:
            for data, part in tests.items():
                for controls, tasks in ((CONTROLS, TASKS), ((TURNED,), ("antonym",))):
                    rows = evaluate(
                        encoder, found.store, found.keys, part, data=data, tasks=tasks, controls=controls, seed=seed,
                        reasons=found.missed,
                    ).rows  # fmt: skip
                    _add(credits, name, rows)
    return credits


def _add(credits: Credits, name: str, rows: Sequence[Row]) -> None:
    for row in rows:
        credits.setdefault((name, row.data, row.task, row.control, row.seed), {})[row.id] = row.credit


def mean_credits(credits: Credits, name: str, data: str, task: str, control: str) -> dict[str, float]:
    """Credit of each episode, averaged over training seeds."""
    parts = [c for (n, d, t, k, _), c in credits.items() if (n, d, t, k) == (name, data, task, control)]
    return {sample: float(np.mean([part[sample] for part in parts])) for sample in parts[0]}


def sign_flips(differences: Floats) -> float:
    """Two-sided p of the hypothesis that each difference was as likely to have the other sign."""
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    seen = abs(moved.sum()) - 1e-9
    if len(moved) <= 16:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(moved))))
        return float(np.mean(np.abs(signs @ moved) >= seen))
    rng = np.random.default_rng(0)
    more = 0
    for _ in range(FLIPS // 10_000):
        signs = rng.choice((-1.0, 1.0), (10_000, len(moved)))
        more += int(np.sum(np.abs(signs @ moved) >= seen))
    return (more + 1) / (FLIPS + 1)


def percent(credits: Mapping[str, float]) -> str:
    """Mean with half of the 95 % interval, every episode a group."""
    found = estimate(np.array(list(credits.values())), list(credits))
    return f"{100 * found.value:.1f} ±{50 * (found.high - found.low):.1f}"


def probability(p: float) -> str:
    return f"{p:.2g}" if p > 1 / FLIPS * 1.5 else f"< {1 / FLIPS:.0e}"


def control_table(credits: Credits, data: str, models: Sequence[str]) -> str:
    """Antonym and reversal under each control; the last column is which caption the reversed clip prefers."""
    head = [f"{task} {control}" for task in ("antonym", "reversal") for control in CONTROLS]
    lines = ["| | " + " | ".join([*head, "object", "turned"]) + " |", "|---" * (len(head) + 3) + "|"]
    for name in models:
        cells = [
            percent(mean_credits(credits, name, data, task, control))
            for task in ("antonym", "reversal")
            for control in CONTROLS
        ]
        cells.append(percent(mean_credits(credits, name, data, "object", "none")))
        # The reversed clip shows the opposite: there the antonym is right.
        turned = {key: 1 - value for key, value in mean_credits(credits, name, data, "antonym", TURNED).items()}
        lines.append(f"| {name} | " + " | ".join([*cells, percent(turned)]) + " |")
    return "\n".join(lines)


def gain_table(credits: Credits, data: str, pair: Mapping[str, str], models: Sequence[str]) -> str:
    """Gains of the patchers on whole clips, paired: over the backbone, and over what a single frame gives away."""
    lines = ["| task | model | over | gain | p, by episode | p, by pair of tasks |", "|---|---|---|---|---|---|"]
    whole = [name for name in models if name != "backbone" and name not in OWN]
    for task, name, other in product(("reversal", "antonym"), whole, ("backbone", *OWN)):
        if other in models:
            control = OWN.get(other, "none")
            ours, theirs = (
                mean_credits(credits, *one) for one in ((name, data, task, "none"), (other, data, task, control))
            )
            differences = {sample: ours[sample] - theirs[sample] for sample in ours}
            by_pair = defaultdict(list)
            for sample, difference in differences.items():
                by_pair[pair[sample]].append(difference)
            values = np.array(list(differences.values()))
            means = np.array([np.mean(part) for part in by_pair.values()])
            p, coarse = sign_flips(values), sign_flips(means)
            cells = [task, name, f"{other}, {control}", f"{100 * values.mean():+.1f}", probability(p), f"{coarse:.2g}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def pair_table(credits: Credits, data: str, pair: Mapping[str, str], models: Sequence[str]) -> str:
    """Antonym / reversal / turned of each pair of tasks, percent."""
    lines = ["| pair (episodes) | " + " | ".join(models) + " |", "|---" * (len(models) + 1) + "|"]
    wanted = (("antonym", "none", 0), ("reversal", "none", 0), ("antonym", TURNED, 1))
    tables = {(n, t, c): mean_credits(credits, n, data, t, c) for n in models for t, c, _ in wanted}
    ids = list(tables[models[0], "antonym", "none"])
    for thing in dict.fromkeys(pair[sample] for sample in ids):
        members = [sample for sample in ids if pair[sample] == thing]
        cells = []
        for name in models:
            means = [abs(turn - np.mean([tables[name, t, c][s] for s in members])) for t, c, turn in wanted]
            cells.append(" / ".join(f"{100 * mean:.0f}" for mean in means))
        lines.append(f"| {thing} ({len(members)}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the study and print the tables."""
    study = tyro.cli(Study, description=__doc__)
    began = time.process_time()
    for name in study.models:
        if name not in RECIPES:
            raise unknown_name("model of the study", name, RECIPES)
    every = read_manifest(study.manifest)
    samples = [sample for sample in every if sample.split == "test"]
    tests: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        tests[sample.source or "metaworld"].append(sample)
    # Opposite tasks are each other's antonyms; a paraphrase may be in one split only.
    action = {sample.caption: sample.action or "" for sample in every}
    pair = {s.id: " / ".join(sorted({s.action or "", action.get(s.antonym or "", "")} - {""})) for s in samples}
    credits = run(study, tests)
    models = ["backbone", *study.models]
    for data in sorted(tests):
        count = len(tests[data])
        print(f"\n### {data}: {count} episodes, percent, mean of {len(study.seeds)} seeds\n")
        print(control_table(credits, data, models))
        print(f"\n### {data}: gains, percentage points\n")
        print(gain_table(credits, data, pair, models))
        print(f"\n### {data}: antonym / reversal / turned by pair of tasks, percent\n")
        print(pair_table(credits, data, pair, models))
    print(f"\n{time.process_time() - began:.0f} s of this process; training runs in others", file=sys.stderr)


if __name__ == "__main__":
    main()
