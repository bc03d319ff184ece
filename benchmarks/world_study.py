"""The quickstart over several backbones and training seeds, as the Markdown tables of docs/world.md.

    paxion world pretrain --seed 1 --out runs/backbone-1.safetensors
    paxion world pretrain --seed 2 --out runs/backbone-2.safetensors
    python benchmarks/world_study.py --backbones world world:runs/backbone-{1,2}.safetensors

One world (seed 0) is shared by all runs. Runs that are done already are read, not repeated.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import tyro

from paxion.manifest import read_manifest
from paxion.quickstart import QuickstartPlan, quickstart
from paxion.records import Score
from paxion.report.table import MODELS
from paxion.results import Results, read_results

COLUMNS = (
    ("antonym", "accuracy"),
    ("reversal", "accuracy"),
    ("object", "accuracy"),
    ("text_to_video", "R@1"),
    ("video_to_text", "R@1"),
    ("video_to_action", "R@1"),
    ("video_to_action", "mAP"),
)
CONTROLS = ("none", "shuffled", "first", "middle", "last", "blind")
Runs = dict[tuple[int, int], list[Score]]


@dataclass(frozen=True)
class Study:
    """What to run."""

    backbones: tuple[str, ...] = ("world",)
    seeds: tuple[int, ...] = (0, 1, 2)
    """Training seeds."""
    out: Path = Path("runs/study")


def run(study: Study) -> Runs:
    """The scores of every backbone and training seed."""
    runs: Runs = {}
    for number, backbone in enumerate(study.backbones):
        for seed in study.seeds:
            folder = study.out / f"backbone-{number}-seed-{seed}"
            if (folder / "results.json").exists():
                results: Results = read_results(folder)
            else:
                plan = QuickstartPlan(folder, 0, seed, backbone, data=study.out)
                results = quickstart(plan, lambda line: print(f"  {line}", flush=True))[0]
            cosine = results.provenance["backbone"]["antonym_cosine"]
            print(f"backbone {number}, seed {seed}: antonym cosine {cosine}", flush=True)
            runs[number, seed] = results.scores
    return runs


def value(scores: list[Score], model: str, data: str, task: str, metric: str, control: str = "none") -> float | None:
    """One number of a run."""
    wanted = (model, data, task, metric, control)
    found = [s.value for s in scores if (s.model, s.data, s.task, s.metric, s.control) == wanted]
    return found[0] if found else None


def cell(values: list[float]) -> str:
    """Mean and standard deviation over runs, in percent."""
    if not values:
        return ""
    return f"{100 * fmean(values):.1f}" + (f" ± {100 * stdev(values):.1f}" if len(values) > 1 else "")


def mean_table(runs: Runs, data: str, models: list[str]) -> str:
    """Models by tasks, over all runs."""
    lines = ["| | " + " | ".join(f"{t} {m}" if m != "accuracy" else t for t, m in COLUMNS) + " |"]
    lines.append("|---" * (len(COLUMNS) + 1) + "|")
    for model in models:
        cells = [cell([v for s in runs.values() if (v := value(s, model, data, *c)) is not None]) for c in COLUMNS]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def seed_table(runs: Runs, data: str, models: list[str]) -> str:
    """Antonym / reversal / object of each run."""
    lines = ["| backbone, seed | " + " | ".join(models) + " |", "|---" * (len(models) + 1) + "|"]
    for (backbone, seed), scores in runs.items():
        cells = []
        for model in models:
            found = [value(scores, model, data, task, "accuracy") for task in ("antonym", "reversal", "object")]
            cells.append(" / ".join("-" if v is None else f"{100 * v:.1f}" for v in found))
        lines.append(f"| {backbone}, {seed} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def control_table(runs: Runs, data: str, models: list[str]) -> str:
    """Antonym / reversal / object under each control, mean over runs."""
    lines = ["| | " + " | ".join(CONTROLS) + " |", "|---" * (len(CONTROLS) + 1) + "|"]
    for model in models:
        cells = []
        for control in CONTROLS:
            parts = []
            for task in ("antonym", "reversal", "object"):
                found = [
                    v for s in runs.values() if (v := value(s, model, data, task, "accuracy", control)) is not None
                ]
                parts.append(f"{100 * fmean(found):.1f}" if found else "-")
            cells.append(" / ".join(parts))
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def action_table(study: Study, data: str, models: list[str]) -> str:
    """Antonym accuracy by pair of actions, mean over runs, the hardest for the default patcher first."""
    samples = read_manifest(study.out / "world" / "manifest.jsonl")
    pair = {sample.id: sample.action.rstrip("+-") for sample in samples if sample.action}
    credits: dict[tuple[str, str], list[float]] = defaultdict(list)
    for folder in sorted(study.out.glob("backbone-*-seed-*")):
        with (folder / "samples.jsonl").open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                if (row["data"], row["task"], row["control"]) == (data, "antonym", "none"):
                    credits[pair[row["id"]], row["model"]].append(row["credit"])
    lines = ["| actions | " + " | ".join(models) + " |", "|---" * (len(models) + 1) + "|"]
    for name in sorted({name for name, _ in credits}, key=lambda name: fmean(credits[name, "patcher"])):
        lines.append(f"| {name} | " + " | ".join(f"{100 * fmean(credits[name, model]):.1f}" for model in models) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the study and print the tables."""
    study = tyro.cli(Study, description=__doc__)
    runs = run(study)
    names = list(dict.fromkeys(score.model for scores in runs.values() for score in scores))
    models = [model for model in MODELS if model in names]
    texts = [model for model in names if model.startswith("text:")]
    for data in ("world-A", "world-B"):
        print(f"\n### {data}: mean ± standard deviation over {len(runs)} runs, percent\n")
        print(mean_table(runs, data, models + texts))
        print(f"\n### {data}: every run, antonym / reversal / object\n")
        print(seed_table(runs, data, models))
        print(f"\n### {data}: under controls, antonym / reversal / object, mean over runs\n")
        print(control_table(runs, data, ["backbone", "patcher", "fuser"]))
        print(f"\n### {data}: antonym by pair of actions, mean over runs\n")
        print(action_table(study, data, models))


if __name__ == "__main__":
    main()
