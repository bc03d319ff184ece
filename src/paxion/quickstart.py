"""The whole experiment on the embedded world: make clips, patch and fuse the backbone, probe every model."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from paxion.backbones.base import Backbone, BackboneEncoder, Encoder, text_vectors
from paxion.backbones.load import load_backbone
from paxion.backbones.world import WorldBackbone
from paxion.evaluation.chance import action_chance
from paxion.evaluation.evaluate import Evaluation, evaluate
from paxion.evaluation.probes import antonym_scores, object_scores, probe_rows, probe_score
from paxion.evaluation.separation import separation
from paxion.evaluation.strata import strata_by_id
from paxion.evaluation.text_only import text_only_scores
from paxion.features.extract import Extracted, extract
from paxion.files import make_folder, write_text
from paxion.manifest import manifest_hash, read_manifest
from paxion.patching.checkpoint import load_adapter, save_adapter
from paxion.patching.data import training_data
from paxion.patching.model import EnsembleEncoder, PatchedEncoder
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.run_state import LAST
from paxion.patching.spent import origin
from paxion.patching.train import CONFIG, train
from paxion.records import PROBES, RETRIEVALS, TWINS, Sample
from paxion.results import Results, provenance, write_results, write_strata
from paxion.video.transform import prepare
from paxion.world.generate import WorldPlan, draw_split, write_world

TRAINED = ("patcher-vtc", "patcher-dvdm", "patcher", "fuser", "side-tuning")
"""The recipes of the experiment, in the order of the table."""
SHORTCUT = "patcher-last-frame"
"""Trained and probed on last frames alone: what actions end in, learned without seeing them happen."""
ENSEMBLE_WEIGHT = 0.5
TASKS = PROBES + TWINS + RETRIEVALS
CONTROLLED = ("backbone", "patcher", "fuser")
"""Models that are probed under SHOWN; the others on the clips as they are."""
SHOWN = ("none", "first", "middle", "last", "shuffled", "blind")
"""The controls of the run."""
Tell = Callable[[str], object]


@dataclass(frozen=True)
class QuickstartPlan:
    """What a quickstart run does."""

    out: Path = Path("runs/demo")
    seed: int = 0
    """Decides the scenes, and the random numbers of training unless patcher_seed is given."""
    patcher_seed: int | None = None
    backbone: str = "world"
    train: int = 4000
    """Training scenes."""
    test: int = 600
    """Test scenes in each domain, about 1.86 clips each."""
    epochs: float = 1.0
    """Multiplies the epochs of every recipe; less is faster and worse."""
    data: Path | None = None
    """Folder of the clips and features, to share them between runs. None: `out`."""

    @property
    def data_folder(self) -> Path:
        """Where clips and features lie."""
        return self.data or self.out

    @property
    def world(self) -> WorldPlan:
        """The world of this run; its val split shrinks with the train split."""
        return WorldPlan(self.train, max(21, round(0.075 * self.train)), self.test, self.seed)

    @property
    def training_seed(self) -> int:
        """The seed of patcher and fuser."""
        return self.seed if self.patcher_seed is None else self.patcher_seed

    def recipe(self, name: str) -> Recipe:
        """A recipe with its epochs scaled."""
        return replace(RECIPES[name], epochs=max(1, round(RECIPES[name].epochs * self.epochs)))


@dataclass
class Clock:
    """Seconds spent in each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, tell: Tell) -> Iterator[None]:
        """Time a stage and tell when it starts and ends."""
        tell(name)
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 1)
        tell(f"{name}: {self.seconds[name]:.0f} s")


def quickstart(
    plan: QuickstartPlan, tell: Tell = lambda _: None
) -> tuple[Results, Evaluation, dict[str, list[Sample]]]:
    """Run the experiment; a run that was interrupted goes on where it stopped.

    Writes results.json, samples.jsonl and the trained adapters to `plan.out`; the page is written by the caller from
    what is returned: the results, the evaluation with its rows, and the test samples by data name. `tell` gets lines.
    """
    clock = Clock()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    backbone = load_backbone(plan.backbone, device)
    with clock.stage("rendering and encoding the clips", tell):
        manifest = make_world(plan.data_folder / "world", plan.world)
    samples = read_manifest(manifest)
    with clock.stage("encoding the clips with the frozen backbone", tell):
        extracted = extract(backbone, manifest, samples, plan.data_folder / "features", device=device)
    for names in (("patcher", "patcher-dvdm", "patcher-vtc", SHORTCUT), ("fuser", "side-tuning")):
        with clock.stage(f"training {', '.join(names)}", tell):
            train_all(plan, manifest, names, device, backbone.revision)
    tests = {name: [s for s in samples if s.source == name and s.split == "test"] for name in ("world-A", "world-B")}
    with clock.stage("probing all models", tell):
        evaluation = probe_all(plan, backbone, extracted, samples, tests, device)
    described = {
        "seed": plan.seed,
        "patcher_seed": plan.training_seed,
        "manifest": {"path": str(manifest), "hash": manifest_hash(manifest)},
        "sampler": extracted.store.spec.sampler,
        "backbone": describe(backbone, samples),
        "recipes": {name: asdict(plan.recipe(name)) for name in (*TRAINED, SHORTCUT)},
        "ensemble": {"weight": ENSEMBLE_WEIGHT},
        "seconds": clock.seconds,
        "missed": evaluation.missed,
    }
    results = Results(provenance(**described), evaluation.scores)
    write_strata(plan.out, strata_by_id(sample for listed in tests.values() for sample in listed))
    write_results(plan.out, results, evaluation.rows)
    return results, evaluation, tests


def make_world(folder: Path, plan: WorldPlan) -> Path:
    """The manifest of the world of a plan in `folder`, which is made unless it is there already."""
    made, manifest = folder / "world.json", folder / "manifest.jsonl"
    wanted = json.dumps(asdict(plan))
    if manifest.exists() and made.exists() and made.read_text(encoding="utf-8") == wanted:
        return manifest
    make_folder(folder)
    made.unlink(missing_ok=True)
    write_world(folder, plan)
    write_text(made, wanted)
    return manifest


def train_all(plan: QuickstartPlan, manifest: Path, names: Sequence[str], device: str, revision: str) -> None:
    """Train the recipes of these names, two side by side on CPUs with more than one core."""
    folders = [(name, plan.out / "models" / name) for name in names]
    waiting = [name for name, folder in folders if not _trained(plan, name, folder, revision)]
    if device == "cpu" and len(waiting) > 1 and (os.cpu_count() or 1) > 1:
        threads = max(1, (os.cpu_count() or 1) // 2)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            jobs = [pool.submit(train_one, plan, manifest, name, device, threads) for name in waiting]
            for job in jobs:
                job.result()
        return
    for name in waiting:
        train_one(plan, manifest, name, device, None)


def _trained(plan: QuickstartPlan, name: str, folder: Path, revision: str) -> bool:
    try:
        card = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
        told = asdict(Recipe()) | card["recipe"]  # an adapter of an earlier version knows fewer fields
        return bool(told == asdict(plan.recipe(name)) and card["provenance"]["run"] == _run(plan, revision))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _run(plan: QuickstartPlan, revision: str) -> dict[str, Any]:
    """What an adapter depends on besides its recipe."""
    return {"world": asdict(plan.world), "backbone": revision, "seed": plan.training_seed}


def train_one(plan: QuickstartPlan, manifest: Path, name: str, device: str, threads: int | None) -> None:
    """Train one recipe and save its adapter to the run's models folder."""
    if threads is not None:
        torch.set_num_threads(threads)
    backbone = load_backbone(plan.backbone, device)
    samples = [sample for sample in read_manifest(manifest) if sample.split == "train"]
    extracted = extract(backbone, manifest, samples, plan.data_folder / "features", device=device)
    recipe, folder = plan.recipe(name), plan.out / "models" / name
    start = None if recipe.fuser is None else load_adapter(plan.out / "models" / "patcher", backbone, device).model
    data = training_data(backbone, extracted.store, extracted.keys, samples)
    if (folder / "adapter.json").exists():  # of a run with other settings; without it, a killed run can go on
        (folder / "adapter.json").unlink()
        (folder / LAST).unlink(missing_ok=True)
    model = train(recipe, backbone, data, folder, seed=plan.training_seed, start=start, device=device)
    spent = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["cost"]
    begun = None if start is None else origin(plan.out / "models" / "patcher")
    told = {"run": _run(plan, backbone.revision), "clips": len(data), "cost": spent, "started_from": begun}
    save_adapter(folder, name, model, backbone, recipe, told)


def encoders(plan: QuickstartPlan, backbone: Backbone, device: str) -> list[tuple[Encoder, tuple[str, ...]]]:
    """Every model of the run in the order of the table, with the controls that it is probed under."""
    patched: dict[str, PatchedEncoder] = {
        name: load_adapter(plan.out / "models" / name, backbone, device) for name in (*TRAINED, SHORTCUT)
    }
    shortcut = patched.pop(SHORTCUT)
    ensemble = EnsembleEncoder("ensemble", patched["patcher"], ENSEMBLE_WEIGHT)
    models: list[Encoder] = [BackboneEncoder("backbone", backbone), *patched.values(), ensemble]
    controlled = [(model, SHOWN if model.name in CONTROLLED else ("none",)) for model in models]
    return [*controlled, (shortcut, (plan.recipe(SHORTCUT).control,))]


def probe_all(
    plan: QuickstartPlan,
    backbone: Backbone,
    extracted: Extracted,
    samples: Sequence[Sample],
    tests: dict[str, list[Sample]],
    device: str,
) -> Evaluation:
    """All models on both domains, and the scorers that read texts only."""
    total = Evaluation()
    train_samples = [sample for sample in samples if sample.split == "train"]
    for data, test in tests.items():
        for encoder, controls in encoders(plan, backbone, device):
            total.add(
                evaluate(
                    encoder, extracted.store, extracted.keys, test,
                    data=data, tasks=TASKS, controls=controls, seed=plan.training_seed, reasons=extracted.missed,
                    device=device,
                )
            )  # fmt: skip
        texts = [text for s in (*train_samples, *test) for text in (s.caption, s.antonym, s.replaced) if text]
        vectors = text_vectors(backbone, texts)
        for foil in ("antonym", "replaced"):
            found = text_only_scores(train_samples, test, foil, vectors, data=data)
            total.scores += [replace(score, seed=plan.training_seed) for score in found]
        total.scores += action_chance(data, test, seed=plan.training_seed)
    return total


def describe(backbone: Backbone, samples: Sequence[Sample]) -> dict[str, Any]:
    """What a reader should know of the backbone; the antonym cosine is taken on val."""
    facts: dict[str, Any] = {"name": backbone.name, "revision": backbone.revision}
    facts["antonym_cosine"] = antonym_cosine(backbone, [sample for sample in samples if sample.split == "val"])
    if isinstance(backbone, WorldBackbone):
        facts["parameters"] = sum(parameter.numel() for parameter in backbone.parameters())
    return facts


def validation_scores(backbone: Backbone, seed: int, scenes: int = 210) -> dict[str, float]:
    """Probe accuracies of a backbone, and its antonym cosine, on validation scenes of domain A before encoding."""
    clips = draw_split(WorldPlan(0, scenes, 0, seed, backbone.transform.size), "A", "val")
    samples = [clip.sample for clip in clips]
    parts = []
    with torch.inference_mode():
        for clip in clips:
            video = prepare(clip.frames(backbone.transform.size), backbone.transform)
            parts.append(backbone.encode_video(video[None]).pooled.cpu())
    video = torch.cat(parts)[:, None]
    text = text_vectors(backbone, [t for s in samples for t in (s.caption, s.antonym, s.replaced) if t])
    choices = antonym_scores(video, samples, text), object_scores(video, samples, text)
    found = [probe_score(probe_rows(choice, samples, model="backbone", data="world-A")) for choice in choices]
    scores = {score.task: round(score.value, 3) for score in found}
    return {**scores, "antonym_cosine": antonym_cosine(backbone, samples)}


def antonym_cosine(backbone: Backbone, samples: Sequence[Sample]) -> float:
    """Mean cosine between the text vectors of caption and antonym. Near 1, no patcher could tell the two apart."""
    pairs = [(sample.caption, sample.antonym) for sample in samples if sample.antonym]
    return round(separation(backbone, pairs).antonym, 3)
