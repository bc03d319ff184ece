"""What probe and evaluate do: read what is to be scored, compute features, score every model, write the run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from paxion.backbones.base import Backbone, BackboneEncoder, Encoder
from paxion.backbones.low_rank import LowRankEncoder
from paxion.commands import compute_features, device, page, say, show
from paxion.data.benchmarks import Bench, read_bench
from paxion.data.prompts import prompts_of
from paxion.evaluation.chance import chance_scores, clip_chance
from paxion.evaluation.evaluate import Evaluation, evaluate, mirror
from paxion.evaluation.settings import METHODS, PROTOCOLS, Kind, Method, Protocol, Settings
from paxion.evaluation.weight import choose_weight
from paxion.features.extract import Extracted
from paxion.files import make_folder
from paxion.manifest import manifest_hash, read_manifest, write_manifest
from paxion.model_commands import OnBackbone, load_models, trained_sampler
from paxion.records import SPLITS, TASKS, PaxionError, Sample, unknown_name
from paxion.report.actions import print_actions
from paxion.results import Results, provenance, write_results
from paxion.video.controls import CONTROLS
from paxion.video.sample import SAMPLERS

MANIFEST = "manifest.jsonl"
"""In the folder of a run of evaluate: what was evaluated."""


@dataclass(frozen=True)
class Run:
    """What a run of probe or evaluate scores, and how."""

    console: Console
    groups: list[OnBackbone]
    manifest: Path
    samples: list[Sample]
    store: Path
    tasks: tuple[str, ...]
    sampler: str
    seed: int
    controls: tuple[str, ...] = ("none",)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of feature extraction."""

    @property
    def by_data(self) -> dict[str, list[Sample]]:
        """The samples by the name of their data set."""
        found: dict[str, list[Sample]] = {}
        for sample in self.samples:
            found.setdefault(sample.source or self.manifest.stem, []).append(sample)
        return found

    def extract(self, backbone: Backbone, samples: Sequence[Sample]) -> Extracted:
        """The features of samples, with all that the controls need."""
        mirrored = [other for control in self.controls if (other := mirror(control, backbone.frames))]
        turned = ("reversed",) if "reversal" in self.tasks else ()
        return compute_features(
            self.console, backbone, self.manifest, samples, self.store,
            controls=(*turned, *self.controls, *(mirrored if turned else ())), sampler=self.sampler, **self.options,
        )  # fmt: skip


def probe(
    console: Console,
    manifest: Path,
    models: tuple[str, ...],
    out: Path,
    split: str,
    tasks: tuple[str, ...],
    controls: tuple[str, ...],
    sampler: str | None,
    backbone: str | None,
    store: Path,
    protocol: str,
    seed: int,
) -> int:
    """Probe models on one split of a manifest and write results, rows and the page."""
    offered = [control for control in CONTROLS if control != "reversed"]
    controls = tuple(offered) if "all" in controls else tuple(dict.fromkeys(controls))
    tasks, models = tuple(dict.fromkeys(tasks)), tuple(dict.fromkeys(models))
    _require_known("split", (split,), SPLITS)
    _require_known("task", tasks, TASKS)
    _require_known("control", controls, offered)
    _require_known("protocol", (protocol,), PROTOCOLS)
    make_folder(out)
    samples = [sample for sample in read_manifest(manifest) if sample.split == split]
    if not samples:
        raise PaxionError(f"{manifest} has no {split} rows; give another --split or manifest")
    groups, chosen = load_models(models, backbone), _sampler(sampler, models)
    run = Run(console, groups, manifest, samples, store, tasks, chosen, seed, controls)
    settings = Settings(protocol=cast(Protocol, protocol))
    evaluation = Evaluation()
    for on in run.groups:
        extracted = run.extract(on.backbone, samples)
        for data, rows in run.by_data.items():
            for encoder in on.encoders:
                evaluation.add(_scored(run, encoder, extracted, data, rows, settings))
            _add_chance(evaluation, run, extracted, data, rows, settings)
    return _finish(run, out, evaluation, models, split, {"protocol": protocol})


def evaluate_models(
    console: Console,
    data: Path,
    task: str | None,
    videos: Path | None,
    models: tuple[str, ...],
    out: Path,
    split: str | None,
    tasks: tuple[str, ...],
    methods: tuple[str, ...],
    weight: str,
    val: Path | None,
    top: int,
    labels: Path | None,
    prompts: tuple[str, ...],
    hard: Path | None,
    question_text: str,
    protocol: str,
    per_action: bool,
    backbone: str | None,
    store: Path,
    dtype: str,
    sampler: str | None,
    seed: int,
    workers: int | None,
) -> int:
    """Evaluate models on a published set or a manifest, and write results, rows, the page and a manifest of it all."""
    models, methods = tuple(dict.fromkeys(models)), tuple(dict.fromkeys(methods))
    _require_known("method", methods, METHODS)
    _require_known("protocol", (protocol,), PROTOCOLS)
    if protocol == "paper" and "score-sum" in methods:
        raise PaxionError("got the method score-sum under protocol paper, where it does not exist; use softmax-sum")
    settings = Settings(
        prompts=prompts_of(prompts),
        question_text=question_text,
        protocol=cast(Protocol, protocol),
        method=Method(top=top),
        per_action=per_action,
    )
    bench = read_bench(data, task, videos=videos, split=split, tasks=tasks, labels=labels, hard=hard)
    given = None if weight == "val" else Method(weight=_number(weight)).weight
    choosing = _val_bench(bench, data, val, videos, tasks, labels) if "score-sum" in methods and given is None else None
    sampler = _sampler(sampler, models)
    groups = load_models(models, backbone)
    make_folder(out)
    manifest = out / MANIFEST
    write_manifest(manifest, bench.samples)
    options = {"dtype": dtype, "workers": workers}
    run = Run(console, groups, manifest, bench.samples, store, bench.tasks, sampler, seed, options=options)
    evaluation = Evaluation(missed=list(bench.problems), notes=list(bench.notes))
    if methods != ("plain",):
        alone = [encoder.name for on in groups for encoder in on.encoders if not _mixes(encoder)]
        evaluation.notes += [f"{name} is scored plain: there is no backbone to put beside it" for name in alone]
    weights: dict[str, float] = {}
    for on in groups:
        extracted = run.extract(on.backbone, bench.samples)
        if not extracted.keys:
            raise PaxionError(_nothing_read(bench, extracted, data))
        mixed = [encoder for encoder in on.encoders if _mixes(encoder)]
        if choosing is not None and mixed:
            weights |= _chosen_weights(run, on, mixed, choosing, settings)
        beside = BackboneEncoder("backbone", on.backbone)
        for name, rows in run.by_data.items():
            asked = _completed(settings, bench, rows, extracted)
            for encoder in on.encoders:
                # A backbone beside itself is itself; so is one with low-rank updates: what it was is not loaded.
                for kind in methods if _mixes(encoder) else ("plain",):
                    method = Method(cast(Kind, kind), weights.get(encoder.name, given or 0.0), top)
                    how, other = replace(asked, method=method), None if kind == "plain" else beside
                    evaluation.add(_scored(run, encoder, extracted, name, rows, how, other))
            _add_chance(evaluation, run, extracted, name, rows, asked)
    scored = bench.samples[0].split
    described = {
        "evaluated": {"task": bench.name, "file": str(data), "tasks": list(bench.tasks), "split": scored},
        "protocol": protocol,
        "methods": list(methods),
        **({"weight": given if given is not None else weights} if "score-sum" in methods else {}),
        **({"top": top} if "two-step" in methods else {}),
        **({"prompts": list(settings.prompts), "labels": _listed(bench.labels)} if bench.labels else {}),
        **({"question_text": question_text, "hard": len(bench.hard)} if "questions" in bench.tasks else {}),
    }
    return _finish(run, out, evaluation, models, scored, described, methods)


def _scored(
    run: Run,
    encoder: Encoder,
    extracted: Extracted,
    data: str,
    rows: Sequence[Sample],
    settings: Settings,
    beside: Encoder | None = None,
) -> Evaluation:
    return evaluate(
        encoder, extracted.store, extracted.keys, rows,
        data=data, tasks=run.tasks, controls=run.controls, seed=run.seed, reasons=extracted.missed, device=device(),
        settings=settings, beside=beside,
    )  # fmt: skip


def _add_chance(
    evaluation: Evaluation, run: Run, extracted: Extracted, data: str, rows: Sequence[Sample], settings: Settings
) -> None:
    """Add what guessing gives on the clips that a store has, unless another backbone's store has given it."""
    present = [sample for sample in rows if sample.id in extracted.keys]
    known = {(score.model, score.data) for score in evaluation.scores}
    if "none" in run.controls and ("chance", data) not in known:
        evaluation.scores += chance_scores(data, present, run.tasks, settings, run.seed)
        if "text_to_video" in run.tasks:
            evaluation.scores += clip_chance(data, present, run.seed)


def _finish(
    run: Run,
    out: Path,
    evaluation: Evaluation,
    models: Sequence[str],
    split: str,
    described: Mapping[str, Any],
    methods: Sequence[str] = ("plain",),
) -> int:
    """Write the run, print its tables, and say where the page is."""
    backbones = [{"name": on.backbone.name, "revision": on.backbone.revision} for on in run.groups]
    known = {
        "seed": run.seed,
        "manifest": {"path": str(run.manifest), "hash": manifest_hash(run.manifest), "split": split},
        "sampler": run.sampler,
        "backbone": backbones[0],
        **({"backbones": backbones} if len(backbones) > 1 else {}),
        "models": list(models),
        "models_on": {
            Method(cast(Kind, kind)).named(encoder.name): {
                "backbone": getattr(encoder, "on", f"{on.backbone.name} {on.backbone.revision}"),
                "adapter": not isinstance(encoder, BackboneEncoder),
            }
            for on in run.groups
            for encoder in on.encoders
            for kind in (methods if _mixes(encoder) else ("plain",))
        },
        **described,
        "notes": evaluation.notes,
        "missed": evaluation.missed,
    }
    results = Results(provenance(**known), evaluation.scores)
    write_results(out, results, evaluation.rows)
    show(run.console, results)
    print_actions(run.console, results.scores)
    for note in evaluation.notes:
        say(run.console, note)
    page(out, results, evaluation, run.by_data, run.manifest, run.seed)
    say(run.console, f"the page: {out / 'report.html'}")
    return 0


def _completed(settings: Settings, bench: Bench, rows: Sequence[Sample], extracted: Extracted) -> Settings:
    """The settings for one data set, with the labels of its rows and the captions whose clips are all missing."""
    said = {sample.template for sample in rows}
    # A manifest may hold several data sets, each with actions of its own; a list given by the user is for all.
    own = bench.labels if bench.listed else tuple(label for label in bench.labels if label in said)
    read = {sample.caption for sample in rows if sample.id in extracted.keys}
    lost = dict.fromkeys(sample.caption for sample in rows if sample.caption not in read)
    others = {sample.id for sample in bench.samples} - {sample.id for sample in rows}
    return replace(settings, labels=own, texts=tuple(lost), hard=bench.hard - others)


def _val_bench(
    bench: Bench, data: Path, val: Path | None, videos: Path | None, tasks: Sequence[str], labels: Path | None
) -> Bench:
    """What the weight of score-sum is chosen on: a file of its own, or a manifest's val split."""
    advice = "give --val FILE of this format, or --weight 0.5"
    if val is not None:
        split = "val" if bench.name == "manifest" else None
        found = read_bench(val, bench.name, videos=videos, split=split, tasks=tasks, labels=labels)
        scored = {(sample.id, sample.video, sample.caption) for sample in bench.samples}
        if shared := [s.id for s in found.samples if (s.id, s.video, s.caption) in scored]:
            raise PaxionError(
                f"{len(shared)} of the {len(found.samples)} rows of --val {val} are among those that are scored "
                f"({shared[0]!r}), expected others: a weight chosen on them flatters the model"
            )
        return found
    if bench.name == "manifest" and bench.samples[0].split != "val":
        try:
            return read_bench(data, bench.name, videos=videos, split="val", tasks=tasks, labels=labels)
        except PaxionError as error:
            raise PaxionError(f"score-sum chooses its weight on val: {error}; {advice}") from None
    raise PaxionError(f"score-sum chooses its weight on val clips, got none; {advice}")


def _chosen_weights(
    run: Run, on: OnBackbone, encoders: Sequence[Encoder], val: Bench, settings: Settings
) -> dict[str, float]:
    """The weight of the backbone for each model, by val clips."""
    extracted = run.extract(on.backbone, val.samples)
    present = [sample for sample in val.samples if sample.id in extracted.keys]
    if not present:
        raise PaxionError(_nothing_read(val, extracted, Path("the file of --val")))
    beside = BackboneEncoder("backbone", on.backbone)
    asked = replace(_completed(settings, val, val.samples, extracted), per_action=False)
    found = {}
    for encoder in encoders:
        weight = choose_weight(
            encoder, beside, extracted.store, extracted.keys, present, val.tasks, asked, device=device()
        )
        say(run.console, f"score-sum of {encoder.name}: {weight:g} of the backbone, by {len(present)} val clips")
        found[encoder.name] = weight
    return found


def _mixes(encoder: Encoder) -> bool:
    """Whether there is a backbone to put beside the model, on the same features."""
    return not isinstance(encoder, BackboneEncoder | LowRankEncoder)


def _nothing_read(bench: Bench, extracted: Extracted, data: Path) -> str:
    first = next(iter(extracted.missed.values()))
    return f"none of the {len(bench.samples)} clips of {data} can be read ({first}); name their folder with --videos"


def _sampler(sampler: str | None, models: Sequence[str]) -> str:
    chosen = sampler or trained_sampler(models)
    if chosen not in SAMPLERS:
        raise unknown_name("sampler", chosen, SAMPLERS)
    return chosen


def _require_known(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    if not names:
        raise PaxionError(f"got no {kind}, expected some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)


def _number(weight: str) -> float:
    try:
        return float(weight)
    except ValueError:
        raise PaxionError(f"got weight {weight!r}, expected a number or val") from None


def _listed(labels: Sequence[str]) -> dict[str, Any]:
    return {"count": len(labels), "hash": hashlib.sha256("\n".join(labels).encode()).hexdigest()[:16]}
