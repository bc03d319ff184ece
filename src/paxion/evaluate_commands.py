"""What probe and evaluate do: read what is to be scored, compute features, score every model, write the run."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from paxion.backbones.base import BackboneEncoder, Encoder
from paxion.commands import device, say
from paxion.data.benchmarks import Bench, read_bench
from paxion.data.prompts import prompts_of
from paxion.evaluation.dummies import DUMMIES, PREFIX
from paxion.evaluation.evaluate import Evaluation
from paxion.evaluation.settings import METHODS, PROTOCOLS, Kind, Method, Protocol, Settings
from paxion.evaluation.weight import choose_weight
from paxion.features.extract import Extracted
from paxion.files import make_folder
from paxion.manifest import read_manifest, write_manifest
from paxion.model_commands import OnBackbone, load_models, trained_sampler
from paxion.records import SPLITS, TASKS, PaxionError, Sample, unknown_name
from paxion.scored_run import Run, add_chance, add_dummies, finish, mixes, scored
from paxion.video.controls import ANTONYM_SAID, MEASURED
from paxion.video.sample import SAMPLERS

MANIFEST = "manifest.jsonl"
"""In the folder of a run of evaluate: what was evaluated."""


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
    workers: int | None,
    batch: int,
) -> int:
    """Probe models on one split of a manifest and write results, rows and the page."""
    tasks, models = tuple(dict.fromkeys(tasks)), tuple(dict.fromkeys(models))
    _require_known("split", (split,), SPLITS)
    _require_known("task", tasks, TASKS)
    controls = _controls(controls, tasks)
    _require_known("protocol", (protocol,), PROTOCOLS)
    make_folder(out)
    samples = [sample for sample in read_manifest(manifest) if sample.split == split]
    if not samples:
        raise PaxionError(f"{manifest} has no {split} rows; give another --split or manifest")
    dummies, real = _dummies(models)
    groups, chosen = load_models(real, backbone) if real else [], _sampler(sampler, real)
    options = {"workers": workers, "batch": batch}
    run = Run(console, groups, manifest, samples, store, tasks, chosen, seed, controls, options)
    settings = Settings(protocol=cast(Protocol, protocol))
    evaluation, readable = Evaluation(), {sample.id for sample in samples}
    for on in run.groups:
        extracted = run.extract(on.backbone, samples)
        for data, rows in run.by_data.items():
            for encoder in on.encoders:
                evaluation.add(scored(run, encoder, extracted, data, rows, settings))
            add_chance(evaluation, run, data, _among(rows, extracted.keys), settings)
        readable &= extracted.keys.keys()
    for data, rows in run.by_data.items() if dummies else ():
        add_dummies(evaluation, run, dummies, data, _among(rows, readable), settings)
        add_chance(evaluation, run, data, _among(rows, readable), settings)
    return finish(run, out, evaluation, models, split, {"protocol": protocol})


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
    controls: tuple[str, ...],
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
    controls = _controls(controls, bench.tasks)
    given = None if weight == "val" else Method(weight=_number(weight)).weight
    choosing = _val_bench(bench, data, val, videos, tasks, labels) if "score-sum" in methods and given is None else None
    dummies, real = _dummies(models)
    sampler = _sampler(sampler, real)
    groups = load_models(real, backbone) if real else []
    make_folder(out)
    manifest = out / MANIFEST
    write_manifest(manifest, bench.samples)
    options = {"dtype": dtype, "workers": workers}
    run = Run(console, groups, manifest, bench.samples, store, bench.tasks, sampler, seed, controls, options)
    evaluation = Evaluation(missed=list(bench.problems), notes=list(bench.notes))
    if methods != ("plain",):
        alone = [encoder.name for on in groups for encoder in on.encoders if not mixes(encoder)]
        evaluation.notes += [f"{name} is scored plain: there is no backbone to put beside it" for name in alone]
    weights: dict[str, float] = {}
    readable = {sample.id for sample in bench.samples}
    for on in groups:
        extracted = run.extract(on.backbone, bench.samples)
        if not extracted.keys:
            raise PaxionError(_nothing_read(bench, extracted, data))
        mixed = [encoder for encoder in on.encoders if mixes(encoder)]
        if choosing is not None and mixed:
            weights |= _chosen_weights(run, on, mixed, choosing, settings)
        beside = BackboneEncoder("backbone", on.backbone)
        for name, rows in run.by_data.items():
            asked = _completed(settings, bench, rows, extracted.keys)
            for encoder in on.encoders:
                # A backbone beside itself is itself; so is one with low-rank updates: what it was is not loaded.
                for kind in methods if mixes(encoder) else ("plain",):
                    method = Method(cast(Kind, kind), weights.get(encoder.name, given or 0.0), top)
                    how, other = replace(asked, method=method), None if kind == "plain" else beside
                    evaluation.add(scored(run, encoder, extracted, name, rows, how, other))
            add_chance(evaluation, run, name, _among(rows, extracted.keys), asked)
        readable &= extracted.keys.keys()
    for name, rows in run.by_data.items() if dummies else ():
        asked = replace(_completed(settings, bench, rows, readable), method=Method())
        add_dummies(evaluation, run, dummies, name, _among(rows, readable), asked)
        add_chance(evaluation, run, name, _among(rows, readable), asked)
    split = bench.samples[0].split
    described = {
        "evaluated": {"task": bench.name, "file": str(data), "tasks": list(bench.tasks), "split": split},
        "protocol": protocol,
        "methods": list(methods),
        **({"weight": given if given is not None else weights} if "score-sum" in methods else {}),
        **({"top": top} if "two-step" in methods else {}),
        **({"prompts": list(settings.prompts), "labels": _listed(bench.labels)} if bench.labels else {}),
        **({"question_text": question_text, "hard": len(bench.hard)} if "questions" in bench.tasks else {}),
    }
    return finish(run, out, evaluation, models, split, described, methods)


def _dummies(models: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The models that are dummies, and the others. Raises PaxionError for a dummy of another name."""
    dummies = [name for name in models if name.startswith(PREFIX)]
    for name in dummies:
        if name.removeprefix(PREFIX) not in DUMMIES:
            raise unknown_name("dummy", name, [PREFIX + known for known in DUMMIES])
    return dummies, tuple(name for name in models if name not in dummies)


def _among(rows: Sequence[Sample], readable: Container[str]) -> list[Sample]:
    return [sample for sample in rows if sample.id in readable]


def _completed(settings: Settings, bench: Bench, rows: Sequence[Sample], readable: Container[str]) -> Settings:
    """The settings for one data set, with the labels of its rows and the captions whose clips are all missing."""
    said = {sample.template for sample in rows}
    # A manifest may hold several data sets, each with actions of its own; a list given by the user is for all.
    own = bench.labels if bench.listed else tuple(label for label in bench.labels if label in said)
    read = {sample.caption for sample in rows if sample.id in readable}
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
    asked = replace(_completed(settings, val, val.samples, extracted.keys), per_action=False)
    found = {}
    for encoder in encoders:
        weight = choose_weight(
            encoder, beside, extracted.store, extracted.keys, present, val.tasks, asked, device=device()
        )
        say(run.console, f"score-sum of {encoder.name}: {weight:g} of the backbone, by {len(present)} val clips")
        found[encoder.name] = weight
    return found


def _nothing_read(bench: Bench, extracted: Extracted, data: Path) -> str:
    first = next(iter(extracted.missed.values()))
    return f"none of the {len(bench.samples)} clips of {data} can be read ({first}); name their folder with --videos"


def _sampler(sampler: str | None, models: Sequence[str]) -> str:
    chosen = sampler or trained_sampler(models)
    if chosen not in SAMPLERS:
        raise unknown_name("sampler", chosen, SAMPLERS)
    return chosen


def _controls(asked: Sequence[str], tasks: Sequence[str]) -> tuple[str, ...]:
    """The controls that are asked for; `all` are those that apply to some of the tasks."""
    if "all" not in asked:
        _require_known("control", asked, MEASURED)
        return tuple(dict.fromkeys(asked))
    return tuple(control for control in MEASURED if control != ANTONYM_SAID or "reversal" in tasks)


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
