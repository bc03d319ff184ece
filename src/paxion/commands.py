"""What each subcommand does: call the library, show the result, write the files. Each returns the exit status."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from paxion.backbones.base import Backbone
from paxion.backbones.world import save_world
from paxion.comparing.runs import runs_of
from paxion.features.extract import Extracted, extract
from paxion.files import make_folder
from paxion.manifest import find_problems, read_manifest, video_path
from paxion.processes import this_process
from paxion.progress import progress
from paxion.quickstart import QuickstartPlan, quickstart, validation_scores
from paxion.records import SPLITS, PaxionError, Row, Sample
from paxion.report import choose_examples, print_table, verdict, write_page
from paxion.report.joined import Joined, joined
from paxion.report.sections import sections
from paxion.report.verbs import verb_tables
from paxion.results import Results, read_results, read_rows, read_strata
from paxion.video.decode import read_clip
from paxion.world.generate import WorldPlan, draw_world, write_world
from paxion.world.pretrain import PretrainPlan, pretrain

PAGE = "report.html"
SHOWN_FRAMES = 9
"""Frames in a contact sheet."""


def device() -> str:
    """The accelerator if there is one; each process that torchrun started has its own."""
    if not torch.cuda.is_available():
        return "cpu"
    process = this_process()
    return f"cuda:{process.local_rank % torch.cuda.device_count()}" if process.world > 1 else "cuda"


def say(console: Console, line: str) -> None:
    """Print one line as it is: paths may hold what rich takes for markup, and stay whole to be copied."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


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
    page_of(out, results, evaluation.rows, tests, plan.data_folder / "world" / "manifest.jsonl", seed)
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


def compute_features(
    console: Console,
    backbone: Backbone,
    manifest: Path,
    samples: Sequence[Sample],
    store: Path,
    workers: int | None = None,
    controls: Sequence[str] = ("reversed",),
    engine: Callable[..., Extracted] = extract,
    **options: Any,
) -> Extracted:
    """Fill a feature store with the clips of some samples, with a progress bar, and name some that cannot be read.

    engine: what does it, `extract` or alike. options: further ones of it.
    """
    with progress(console, "features", len(samples)) as tick:
        extracted = engine(
            backbone, manifest, samples, store,
            controls=controls, device=device(), workers=workers, tick=tick, **options,
        )  # fmt: skip
    say_missed(console, extracted.missed, len(samples))
    return extracted


def say_missed(console: Console, missed: Mapping[str, str], samples: int) -> None:
    """Name some of the clips that cannot be read, of so many samples. missed: from sample id to the reason."""
    if missed:
        say(console, f"{len(missed)} of {samples} clips cannot be read, and are left out until their files change:")
        for name, reason in list(missed.items())[:5]:
            say(console, f"  {name}: {reason}")


def report(console: Console, runs: tuple[Path, ...], out: Path | None, clips: int | None) -> int:
    """Write the page of one run or several. Clips are shown if the manifest is still where the (first) run found it."""
    if clips is not None and clips < 0:
        raise PaxionError(f"got {clips} clips to show, expected 0 or more")
    runs = tuple(dict.fromkeys(runs))
    if not runs:
        raise PaxionError("got no runs, expected the folder of at least one, such as runs/probe")
    if len(runs) == 1:
        read = read_results(runs[0]), read_rows(runs[0]), read_strata(runs[0])
        found = Joined(*read, runs_of(read[0].provenance, read[1], read[2], str(runs[0])))
    else:
        found = joined(runs)
    results = found.results
    origin: dict[str, Any] = results.provenance.get("manifest") or {}
    manifest = Path(origin.get("path", ""))
    tests: dict[str, list[Sample]] = {}
    if manifest.is_file() and origin.get("split") in SPLITS:
        for sample in read_manifest(manifest):
            if sample.split == origin["split"] and video_path(manifest, sample).is_file():
                tests.setdefault(sample.source or manifest.stem, []).append(sample)
    elif origin.get("split", "test") in SPLITS:
        say(console, f"no clips are shown: the manifest {manifest} is gone")
    seed = int(results.provenance.get("seed", 0))
    file = out or (runs[0] / PAGE if len(runs) == 1 else Path(PAGE))
    page(file, found, tests, manifest, seed, clips)
    if len(runs) > 1:
        print_table(console, results.scores, results.provenance)
    say(console, f"the page: {file}")
    return 0


def show(console: Console, results: Results) -> None:
    """Print the table and the verdict."""
    print_table(console, results.scores, results.provenance)
    console.print(verdict(results.scores, results.provenance), highlight=False, markup=False)
    for miss in results.provenance["missed"]:
        entry = miss if isinstance(miss, dict) else asdict(miss)
        say(console, "not scored: {count} of {data} ({task}): {reason}".format(**entry))


def page(
    file: Path, run: Joined, tests: dict[str, list[Sample]], manifest: Path, seed: int, clips: int | None = None
) -> None:
    """Write a page with clips that show what the models get right and wrong. clips: how many, by default 12."""

    def frames(_: str, sample: Sample) -> Any:
        return read_clip(video_path(manifest, sample), "midpoint", SHOWN_FRAMES, sample.start, sample.end).frames

    given, scores = run.results.provenance, run.results.scores
    chosen = choose_examples(run.rows, tests, frames, seed=seed, provenance=given, clips=clips) if tests else []
    verbs = verb_tables(run.rows, tests, given)
    further = sections(scores, run.rows, run.strata, run.runs)
    write_page(file, scores=scores, provenance=given, examples=chosen, verbs=verbs, sections=further)


def page_of(
    out: Path, results: Results, rows: Sequence[Row], tests: dict[str, list[Sample]], manifest: Path, seed: int
) -> None:
    """Write report.html of a run that has just been written to `out`."""
    strata = read_strata(out)
    provenance: dict[str, Any] = json.loads(json.dumps(results.provenance, default=str))
    runs = runs_of(provenance, rows, strata, str(out))
    page(out / PAGE, Joined(results, list(rows), strata, runs), tests, manifest, seed)
