"""From an experiment to its stages, in an order in which they can be run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paxion.experiment.checking import backbone_file
from paxion.experiment.commands import every_option, options
from paxion.experiment.options import Argument, Inside, paths, typed
from paxion.experiment.parts import BACKBONE, PLAIN, Backbone, Data, Experiment, Model, Task
from paxion.experiment.reading import MADE
from paxion.experiment.stages import Asked, Plan, Stage
from paxion.records import PROBES, RETRIEVALS

STORE = Inside("features")
"""The feature store: no stage, and nothing depends on what is in it."""
ASIDE = ("workers", "save_every")
"""Options that change how fast something is done, not what."""
CARDS = {"patch": "adapter.json", "fuse": "adapter.json", "lora": "lora.json"}
"""What a trained model's folder holds last."""
MANIFEST, WEIGHTS = "manifest.jsonl", "backbone.safetensors"


def plan(experiment: Experiment) -> Plan:
    """The stages of an experiment in which nothing is wrong (see checking.py)."""
    stages: dict[str, Stage] = {}
    asked: dict[tuple[str, str, int, str], Asked] = {}
    trained: dict[tuple[str, str, int], str] = {}
    for data in _in_order(experiment.data, "of"):
        if data.kind in MADE:
            _add(stages, _data_stage(experiment, data))
    manifests = {model.train for model in experiment.models.values()} | {
        task.data for task in experiment.tasks.values()
    }
    for backbone in experiment.backbones.values():
        if backbone.pretrain is not None:
            _add(stages, _pretrain_stage(backbone))
        for data in experiment.data.values():
            if data.name in manifests and data.kind not in ("file", "formats"):
                _add(stages, _features_stage(experiment, backbone, data))
    for seed in experiment.seeds:
        for backbone in experiment.backbones.values():
            for model in _in_order(experiment.models, "start"):
                if model.command and model.on(backbone):
                    stage = _model_stage(experiment, model, backbone, seed)
                    trained[model.name, backbone.name, seed] = stage.name
                    _add(stages, stage)
            for task in experiment.tasks.values():
                _ask(experiment, task, backbone, seed, stages, asked)
    return Plan(stages, asked, trained)


def _in_order(parts: Mapping[str, Any], key: str) -> list[Any]:
    """Parts of which none comes before that which its `key` names."""
    ordered: dict[str, Any] = {}

    def put(name: str) -> None:
        before = getattr(parts[name], key)
        if before is not None and before not in ordered:
            put(before)
        ordered[name] = parts[name]

    for name in parts:
        if name not in ordered:
            put(name)
    return list(ordered.values())


def _add(stages: dict[str, Stage], stage: Stage) -> None:
    """Add a stage; what its command names in other stages, it needs."""
    named = [w.stage for w in stage.command if isinstance(w, Inside) and w != STORE and w.stage != stage.name]
    needs = tuple(dict.fromkeys((*stage.needs, *(name for name in named if name in stages))))
    inputs = tuple(dict.fromkeys(stage.inputs))
    stages[stage.name] = Stage(stage.name, stage.command, stage.aside, needs, inputs, stage.product)


def _split(known: str, given: Mapping[str, Any]) -> tuple[tuple[Argument, ...], tuple[Argument, ...]]:
    """Options as they are typed: those that matter, and those aside."""
    matter = {name: value for name, value in given.items() if name not in ASIDE}
    return typed(every_option(known), matter), typed(
        every_option(known), {n: v for n, v in given.items() if n in ASIDE}
    )


def _given_paths(command: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(path for _, path in paths(every_option(command), given))


def _home(data: Data) -> str:
    return f"data/{data.name}"


def _file(experiment: Experiment, data: Data) -> tuple[Argument, tuple[str, ...]]:
    """The manifest or annotation file of some data, and the files outside that it is."""
    if data.kind == "salience":
        return Inside(_home(experiment.data[data.of or ""]), f"{data.name}.jsonl"), ()
    if data.kind in MADE:
        return Inside(_home(data), MANIFEST), ()
    if data.of is not None:
        return Inside(_folder(experiment, data.of), data.path or ""), ()
    return data.path or "", (data.path or "",)


def _folder(experiment: Experiment, name: str) -> str:
    """The stage in whose folder some data lies."""
    data = experiment.data[name]
    return _home(data) if data.kind in MADE or data.of is None else _folder(experiment, data.of)


def _placed(experiment: Experiment, command: str, given: Mapping[str, Any], of: str | None) -> dict[str, Any]:
    """Options whose paths are in the folder of other data."""
    if of is None:
        return dict(given)
    inside = {name for name, _ in paths(every_option(command), given)}
    stage = _folder(experiment, of)

    def place(value: Any) -> Any:
        return [Inside(stage, one) for one in value] if isinstance(value, list) else Inside(stage, value)

    return {name: place(value) if name in inside else value for name, value in given.items()}


def _data_stage(experiment: Experiment, data: Data) -> Stage:
    command, name = MADE[data.kind], _home(data)
    given = _placed(experiment, command, data.options, data.of) if data.kind == "build" else dict(data.options)
    words, aside = _split(command, given)
    out, made, inputs = Inside(name), Inside(name, MANIFEST), _given_paths(command, given)
    if data.kind in ("formats", "salience"):
        manifest, files = _file(experiment, experiment.data[data.of or ""])
        words, inputs = (manifest, *words), (*inputs, *files)
        if data.kind == "salience":
            out = made = Inside(_folder(experiment, data.of or ""), f"{data.name}.jsonl")
            words = (*words, "--store", _store(experiment))
        else:
            made = out
    return Stage(name, (*command.split(), *words, "--out", out), aside, (), inputs, (made,))


def _pretrain_stage(backbone: Backbone) -> Stage:
    name = f"backbones/{backbone.name}"
    words, aside = _split("world pretrain", backbone.pretrain or {})
    weights = Inside(name, WEIGHTS)
    return Stage(name, ("world", "pretrain", *words, "--out", weights), aside, product=(weights,))


@dataclass(frozen=True)
class Loaded:
    """How a backbone is named on a command line, and what that depends on."""

    word: Argument
    needs: tuple[str, ...]
    inputs: tuple[str, ...]


def _loaded(backbone: Backbone) -> Loaded:
    if backbone.load is None:
        name = f"backbones/{backbone.name}"
        return Loaded(Inside(name, WEIGHTS, "world:"), (name,), ())
    _, _, path = backbone_file(backbone.load)
    # Weights, a Python file, a map that it is given, a vocabulary: whatever part of the name is a path.
    parts = [path, *re.split("[,=]|(?<=[.]py):", backbone.load.partition(":")[2])]
    return Loaded(backbone.load, (), tuple(dict.fromkeys(part for part in parts if part and Path(part).exists())))


def _store(experiment: Experiment) -> Argument:
    return experiment.store or STORE


def _kept(experiment: Experiment, command: str) -> tuple[Argument, ...]:
    """Where features are kept, and how."""
    kept = {"store": _store(experiment), "dtype": experiment.dtype}
    return typed(every_option(command), {name: value for name, value in kept.items() if name in every_option(command)})


def _features_name(backbone: Backbone, data: Data) -> str:
    return f"encoded/{backbone.name}/{data.name}"


def _features_stage(experiment: Experiment, backbone: Backbone, data: Data) -> Stage:
    manifest, files = _file(experiment, data)
    loaded, (words, aside) = _loaded(backbone), _split("features", experiment.features)
    if "dtype" not in experiment.features:
        words = ("--dtype", experiment.dtype, *words)
    command = ("features", "make", manifest, "--backbone", loaded.word, "--store", _store(experiment), *words)
    needs = (*loaded.needs, *_makers(experiment, data))
    return Stage(_features_name(backbone, data), command, aside, needs, (*files, *loaded.inputs))


def _makers(experiment: Experiment, data: Data) -> tuple[str, ...]:
    return (_home(data),) if data.kind in MADE else ()


def _model_stage(experiment: Experiment, model: Model, backbone: Backbone, seed: int) -> Stage:
    name, data = f"models/{backbone.name}/{seed}/{model.name}", experiment.data[model.train or ""]
    manifest, files = _file(experiment, data)
    loaded, (words, aside) = _loaded(backbone), _split(model.command, model.options)
    start: tuple[Argument, ...] = ()
    if model.start is not None:
        flag = "--patcher" if model.command == "fuse" else "--start"
        start = (flag, Inside(f"models/{backbone.name}/{seed}/{model.start}"))
    command = (
        model.command, manifest, *start, "--backbone", loaded.word, *_kept(experiment, model.command), *words,
        "--seed", str(seed), "--out", Inside(name),
    )  # fmt: skip
    needs = (*loaded.needs, *_makers(experiment, data), _features_name(backbone, data))
    inputs = (*files, *loaded.inputs, *_given_paths(model.command, model.options))
    return Stage(name, command, aside, needs, inputs, (Inside(name, CARDS[model.command]),))


def _ask(
    experiment: Experiment,
    task: Task,
    backbone: Backbone,
    seed: int,
    stages: dict[str, Stage],
    asked: dict[tuple[str, str, int, str], Asked],
) -> None:
    """Add the stages of a task: one for the models as they are, one for each way of asking them with the backbone."""
    plain: list[str] = []
    ways: dict[tuple[Argument, ...], list[str]] = {}
    for name in task.models:
        if name == BACKBONE:
            plain += [name] if seed == experiment.seeds[0] else []
        elif (model := experiment.models[name]).on(backbone):
            if model.command:
                plain.append(name)
            else:
                ways.setdefault(_way(experiment, task, model), []).append(name)
    home = f"tasks/{backbone.name}/{seed}/{task.name}"
    if plain:
        _add(stages, _task_stage(experiment, task, backbone, seed, f"{home}/{PLAIN}", plain, task.command, ()))
        for name in plain:
            asked[name, backbone.name, seed, task.name] = Asked(f"{home}/{PLAIN}", name)
    for way, names in ways.items():
        method = str(way[1])
        stage = f"{home}/{'+'.join(names)}"
        of = list(dict.fromkeys(experiment.models[name].start or "" for name in names))
        _add(stages, _task_stage(experiment, task, backbone, seed, stage, of, "evaluate", way))
        for name in names:
            called = f"{experiment.models[name].start} [{method}]"
            asked[name, backbone.name, seed, task.name] = Asked(stage, called)


def _way(experiment: Experiment, task: Task, model: Model) -> tuple[Argument, ...]:
    """The options of `paxion evaluate` that ask a model with its backbone; the second is the method."""
    words: list[Argument] = ["--methods", model.method or ""]
    if model.weight is not None:
        words += ["--weight", str(model.weight)]
    if model.top is not None:
        words += ["--top", str(model.top)]
    if model.weight == "val" and task.val is not None:
        words += ["--val", _file(experiment, experiment.data[task.val])[0]]
    return tuple(words)


def _task_stage(
    experiment: Experiment,
    task: Task,
    backbone: Backbone,
    seed: int,
    name: str,
    models: list[str],
    command: str,
    way: tuple[Argument, ...],
) -> Stage:
    data = experiment.data[task.data]
    file, files = _file(experiment, data)
    loaded = _loaded(backbone)
    known = options(command)
    given = {key: value for key, value in task.options.items() if key in known}
    if way and task.command == "probe":  # both commands are to ask the same
        given.setdefault("tasks", list(PROBES + RETRIEVALS))
    if task.command == "evaluate" and data.of is not None and data.kind == "file":
        given = _placed(experiment, command, given, data.of)
    words, aside = _split(command, given)
    named: list[Argument] = []
    needs: list[str] = [*loaded.needs, *_makers(experiment, data)]
    for model in models:
        folder = f"models/{backbone.name}/{seed}/{model}"
        named.append(model if model == BACKBONE else Inside(folder, before=f"{model}="))
        needs += [folder] if model != BACKBONE else []
    if data.kind not in ("file", "formats"):
        needs.append(_features_name(backbone, data))
    videos: tuple[Argument, ...] = ()
    if data.videos is not None:
        placed = Inside(_folder(experiment, data.of), data.videos) if data.of is not None else data.videos
        videos = ("--videos", placed)
    typed_words = (
        command, file, *videos, "--models", *named, "--backbone", loaded.word, *_kept(experiment, command), *way,
        *words, "--seed", str(seed), "--out", Inside(name),
    )  # fmt: skip
    val = _file(experiment, experiment.data[task.val])[1] if task.val is not None and "--val" in way else ()
    inputs = (*files, *val, *loaded.inputs, *_given_paths(command, given))
    return Stage(name, typed_words, aside, tuple(needs), inputs, (Inside(name, "results.json"),))
