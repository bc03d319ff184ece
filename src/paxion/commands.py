"""What each subcommand does: call the library, show the result, write the files. Each returns the exit status."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from paxion.backbones.base import Backbone
from paxion.backbones.load import lasting, load_backbone
from paxion.backbones.world import save_world
from paxion.evaluation.evaluate import Evaluation
from paxion.features.extract import Extracted, extract
from paxion.files import make_folder
from paxion.manifest import find_problems, manifest_hash, read_manifest, video_path
from paxion.patching.checkpoint import adapter_backbone, load_adapter, save_adapter
from paxion.patching.model import PatchedModel
from paxion.patching.recipes import RECIPES
from paxion.patching.train import beginning, train, training_data
from paxion.quickstart import QuickstartPlan, quickstart, validation_scores
from paxion.records import PaxionError, Sample, unknown_name
from paxion.report import choose_examples, print_table, verdict, write_page
from paxion.results import Results, provenance, read_results, read_rows
from paxion.video.decode import read_clip
from paxion.world.generate import WorldPlan, draw_world, write_world
from paxion.world.pretrain import PretrainPlan, pretrain

SHOWN_FRAMES = 9
"""Frames in a contact sheet."""


def device() -> str:
    """The accelerator if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def say(console: Console, line: str) -> None:
    """Print one line as it is: paths may hold what rich takes for markup, and stay whole to be copied."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def progress(console: Console, label: str, total: int) -> Iterator[Callable[[int], object]]:
    """A progress bar; the function that it gives adds to it."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.advance(task, done)


def run_quickstart(
    console: Console,
    out: Path,
    seed: int,
    patcher_seed: int | None,
    backbone: str,
    train: int,
    test: int,
    epochs: float,
    data: Path | None,
) -> int:
    """Run the experiment and write the page."""
    if not 0 < epochs < math.inf:
        raise PaxionError(f"got epochs {epochs}, expected a factor above 0; 1 is the whole recipe")
    plan = QuickstartPlan(out, seed, patcher_seed, backbone, train, test, epochs, data)
    with console.status("starting") as status:

        def tell(line: str) -> None:
            status.update(line)
            if line.endswith(" s") or not console.is_terminal:
                say(console, line)

        results, evaluation, tests = quickstart(plan, tell)
    show(console, results)
    page(out, results, evaluation, tests, plan.data_folder / "world" / "manifest.jsonl", seed)
    say(console, f"the page: {out / 'report.html'}")
    return 0


def make_world(console: Console, out: Path, seed: int, train: int, val: int, test: int, size: int) -> int:
    """Render a world."""
    if size < 16 or size % 2:
        raise PaxionError(
            f"got size {size}, expected an even number of pixels, at least 16; 64 fits the shipped backbone"
        )
    plan = WorldPlan(train, val, test, seed, size)
    with progress(console, "clips", len(draw_world(plan))) as tick:
        manifest = write_world(out, plan, tick=tick)
    say(console, f"the manifest: {manifest}")
    return 0


def pretrain_world(console: Console, out: Path, seed: int, scenes: int, steps: int) -> int:
    """Train the small backbone and write its weights with their card."""
    plan = PretrainPlan(seed=seed, scenes=scenes, steps=steps)
    make_folder(out.parent)
    with progress(console, "steps", steps) as tick:
        model, card = pretrain(plan, lambda _: tick(1), device())
    card["validation"] = validation_scores(model, seed)
    card["command"] = f"paxion world pretrain --seed {seed} --scenes {scenes} --steps {steps}"
    save_world(model, out, card)
    console.print_json(json.dumps(card))
    say(console, f"the weights: {out}")
    return 0


def validate(console: Console, manifest: Path, check_files: bool) -> int:
    """Print every problem of a manifest."""
    problems = 0
    for problem in find_problems(manifest, check_files=check_files):
        problems += 1
        say(console, f"{manifest}:{problem.line}: {problem.field}: {problem.message}")
    if problems:
        raise PaxionError(f"{manifest} has {problems} problem{'s' if problems > 1 else ''}; mend the lines above")
    say(console, f"{manifest}: {len(read_manifest(manifest))} clips, no problem found")
    return 0


def features(console: Console, manifest: Path, backbone: str, store: Path, workers: int | None) -> int:
    """Fill a feature store."""
    extracted = compute_features(
        console, load_backbone(backbone, device()), manifest, read_manifest(manifest), store, workers
    )
    say(console, f"the store: {extracted.store.folder}")
    return 0


def compute_features(
    console: Console,
    backbone: Backbone,
    manifest: Path,
    samples: Sequence[Sample],
    store: Path,
    workers: int | None = None,
    controls: Sequence[str] = ("reversed",),
) -> Extracted:
    """Fill a feature store with the clips of some samples, with a progress bar, and name some that cannot be read."""
    with progress(console, "features", len(samples)) as tick:
        extracted = extract(
            backbone, manifest, samples, store, controls=controls, device=device(), workers=workers, tick=tick
        )
    if extracted.missed:
        say(console, f"{len(extracted.missed)} of {len(samples)} clips cannot be read, and are left out:")
        for name, reason in list(extracted.missed.items())[:5]:
            say(console, f"  {name}: {reason}")
    return extracted


def patch(
    console: Console,
    manifest: Path,
    out: Path,
    recipe: str,
    backbone: str | None,
    start: Path | None,
    store: Path,
    seed: int,
    change: Any,
) -> int:
    """Train a patcher, from scratch or from an adapter on.

    change: a dataclass whose fields that are not None replace those of the recipe.
    """
    known = [name for name, one in RECIPES.items() if one.fuser is None]
    return _train(console, manifest, out, recipe, known, backbone, store, seed, change, start)


def fuse(
    console: Console,
    manifest: Path,
    patcher: Path,
    out: Path,
    recipe: str,
    backbone: str | None,
    store: Path,
    seed: int,
    change: Any,
) -> int:
    """Train a fuser on a patcher."""
    known = [name for name, one in RECIPES.items() if one.fuser is not None]
    return _train(console, manifest, out, recipe, known, backbone, store, seed, change, patcher)


def _train(
    console: Console,
    manifest: Path,
    out: Path,
    name: str,
    known: Sequence[str],
    backbone: str | None,
    store: Path,
    seed: int,
    change: Any,
    adapter: Path | None,
) -> int:
    if name not in known:
        raise unknown_name("recipe", name, known)
    make_folder(out)
    changed = {key: value for key, value in asdict(change).items() if value is not None}
    backbone = backbone or (adapter and adapter_backbone(adapter)) or "world"
    recipe, model = replace(RECIPES[name], **changed), load_backbone(backbone, device())
    start: PatchedModel | None = None if adapter is None else load_adapter(adapter, model, device()).model
    if start is not None and start.fuser is not None and recipe.fuser is None:
        say(console, f"only the patcher of {adapter} is trained on: recipe {name} has no fuser")
    beginning(recipe, model, start)  # what cannot be trained is refused before anything is encoded
    samples = [sample for sample in read_manifest(manifest) if sample.split == "train"]
    extracted = compute_features(console, model, manifest, samples, store, controls=("reversed", recipe.control))
    data = training_data(model, extracted.store, extracted.keys, samples)
    with progress(console, "epochs", recipe.epochs) as tick:
        trained = train(recipe, model, data, out, seed=seed, start=start, device=device(), tick=lambda _: tick(1))
    origin = {"manifest": manifest_hash(manifest), "seed": seed, "clips": len(data), "missed": len(extracted.missed)}
    save_adapter(out, name, trained, model, recipe, provenance(**origin), source=lasting(backbone, model))
    say(console, f"the adapter: {out}")
    return 0


def report(console: Console, run: Path) -> int:
    """Write the page of a run again. Clips are shown if the manifest is still where the run found it."""
    results = read_results(run)
    origin: dict[str, Any] = results.provenance.get("manifest") or {}
    manifest = Path(origin.get("path", ""))
    tests: dict[str, list[Sample]] = {}
    if manifest.is_file():
        for sample in read_manifest(manifest):
            if sample.split == origin.get("split", "test") and video_path(manifest, sample).is_file():
                tests.setdefault(sample.source or manifest.stem, []).append(sample)
    else:
        say(console, f"no clips are shown: the manifest {manifest} is gone")
    page(run, results, Evaluation(rows=read_rows(run)), tests, manifest, int(results.provenance.get("seed", 0)))
    say(console, f"the page: {run / 'report.html'}")
    return 0


def show(console: Console, results: Results) -> None:
    """Print the table and the verdict."""
    print_table(console, results.scores, results.provenance)
    console.print(verdict(results.scores, results.provenance), highlight=False)
    for miss in results.provenance["missed"]:
        entry = miss if isinstance(miss, dict) else asdict(miss)
        say(console, "not scored: {count} of {data} ({task}): {reason}".format(**entry))


def page(
    out: Path, results: Results, evaluation: Evaluation, tests: dict[str, list[Sample]], manifest: Path, seed: int
) -> None:
    """Write report.html with clips that show what the models get right and wrong."""

    def frames(_: str, sample: Sample) -> Any:
        return read_clip(video_path(manifest, sample), "midpoint", SHOWN_FRAMES, sample.start, sample.end).frames

    given = results.provenance
    examples = choose_examples(evaluation.rows, tests, frames, seed=seed, provenance=given) if tests else []
    write_page(out / "report.html", scores=results.scores, provenance=results.provenance, examples=examples)
