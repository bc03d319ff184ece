"""What can be known to go wrong before anything runs: names that nobody bears, circles, files that are not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from paxion.experiment.commands import every_option
from paxion.experiment.options import paths, shown
from paxion.experiment.parts import BACKBONE, Backbone, Column, Experiment, Model, Table
from paxion.experiment.reading import FILL_IN, MADE
from paxion.records import TASKS

WEIGHTS_NEEDED = ("internvideo", "clip-vip", "singularity", "python")
"""Kinds of backbone whose name ends in a file."""


def find_problems(experiment: Experiment) -> list[str]:
    """Everything that is wrong, a line each; what is still to be filled in comes first."""
    found = [f"{line}, there or with --set {line.partition(':')[0]}=..." for line in experiment.missing]
    for of in (_names, _tables):
        found += of(experiment)
    # A circle would never end what looks along it.
    circles = list(_circles(experiment))
    return found + circles + ([] if circles else [*_files(experiment), *_coverage(experiment)])


def _unknown(where: str, what: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = get_close_matches(name, names, n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{where}: there is no {what} {name!r}{meant}; there is {', '.join(names) or 'none'}"


def _names(experiment: Experiment) -> Iterator[str]:
    """Names of the other tables."""
    data, models = experiment.data, experiment.models
    for one in data.values():
        if one.of is not None and one.of not in data:
            yield _unknown(f"data.{one.name}.of", "data", one.of, data)
        elif one.of is not None and one.kind in ("formats", "salience") and data[one.of].kind in ("file", "formats"):
            yield f"data.{one.name}.of: {one.of} has no manifest; expected data with one"
    places = [*experiment.backbones, *(backbone.group for backbone in experiment.backbones.values())]
    for model in models.values():
        if model.train is not None and model.train not in data:
            yield _unknown(f"models.{model.name}.train", "data", model.train, data)
        elif model.train is not None and data[model.train].kind in ("file", "formats"):
            yield f"models.{model.name}.train: {model.train} has no manifest; expected data with one"
        if model.start is not None and model.start not in models:
            yield _unknown(f"models.{model.name}", "model", model.start, models)
        elif model.start is not None and not models[model.start].command:
            yield f"models.{model.name}: {model.start} is a method, of which nothing is trained; name a trained model"
        yield from (
            _unknown(f"models.{model.name}.backbones", "backbone", n, places)
            for n in model.backbones
            if n not in places
        )
    for task in experiment.tasks.values():
        for key, name in ((task.command, task.data), ("val", task.val)):
            if name is not None and name not in data:
                yield _unknown(f"tasks.{task.name}.{key}", "data", name, data)
            elif name is not None and data[name].kind == "formats":
                yield f'tasks.{task.name}.{key}: {name} is a folder of files; name data of kind "file" that lies in it'
            elif name is not None and task.command == "probe" and data[name].kind == "file":
                yield f"tasks.{task.name}.{key}: {name} has no manifest to probe on; use evaluate"
        yield from (f"tasks.{task.name}.models: {n} is there twice" for n in _twice(task.models))
        for name in task.models:
            if name != BACKBONE and name not in models:
                yield _unknown(f"tasks.{task.name}.models", "model", name, [BACKBONE, *models])


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def _tables(experiment: Experiment) -> Iterator[str]:
    for number, table in enumerate(experiment.tables, 1):
        where = f"tables.{number}"
        labels = [row.label for row in table.rows]
        yield from (f"{where}.rows: two rows are called {label!r}" for label in _twice(labels))
        if not table.columns:
            yield f"{where}.columns: there is none; expected one or more"
        if table.reference is not None and table.reference not in labels:
            yield _unknown(f"{where}.reference", "row", table.reference, labels)
        for row in table.rows:
            for name in row.models:
                if name != BACKBONE and name not in experiment.models:
                    yield _unknown(f"{where}.rows", "model", name, [BACKBONE, *experiment.models])
        for column in table.columns:
            if column.task and column.task not in experiment.tasks:
                yield _unknown(f"{where}.columns", "task", column.task, experiment.tasks)
            yield from _cells(experiment, table, where, column.task)
            yield from _asked(experiment, where, column)


def _cells(experiment: Experiment, table: Table, where: str, task: str) -> Iterator[str]:
    asked = set(experiment.tasks[task].models) if task in experiment.tasks else set()
    if asked and not any(asked & set(row.models) for row in table.rows):
        yield f"{where}: task {task} asks none of the models of the rows; name them in tasks.{task}.models"
    for row in table.rows:
        for backbone in experiment.backbones.values():
            both = [n for n in row.models if n in asked and (n == BACKBONE or _has(experiment, n, backbone))]
            if len(both) > 1:
                yield f"{where}.rows: {row.label!r} has {both[0]} and {both[1]}, and task {task} asks both"
                break


def _asked(experiment: Experiment, where: str, column: Column) -> Iterator[str]:
    """Columns whose number no task gives."""
    score = column.score.partition(":")[0]
    given = experiment.tasks[column.task].options if column.task in experiment.tasks else {}
    if score and score not in TASKS:
        yield _unknown(f"{where}.columns", "score", column.score, TASKS)
    elif score and given.get("tasks") and score not in given["tasks"]:
        yield f"{where}.columns: task {column.task} asks no {score}; add it to tasks.{column.task}.tasks"
    controls = given.get("controls") or ["none"]
    if column.task in experiment.tasks and not {column.control, "all"} & set(controls):
        yield f"{where}.columns: task {column.task} is asked under {', '.join(controls)}, and not {column.control}"


def _has(experiment: Experiment, name: str, backbone: Backbone) -> bool:
    return name in experiment.models and experiment.models[name].on(backbone)


def _circles(experiment: Experiment) -> Iterator[str]:
    data = {one.name: one.of for one in experiment.data.values()}
    models = {model.name: model.start for model in experiment.models.values()}
    for kind, after in (("data", data), ("models", models)):
        seen: set[str] = set()
        for name in after:
            way: list[str] = []
            at: str | None = name
            while at is not None and at in after and at not in way:
                way.append(at)
                at = after[at]
            circle = way[way.index(at) :] if at in way else []
            if circle and not seen & set(circle):
                seen |= set(circle)
                yield f"{kind}: {' needs '.join([*circle, circle[0]])}: a circle; leave one of them out"


def _coverage(experiment: Experiment) -> Iterator[str]:
    """Models that are not there on a backbone, and are needed there."""
    models = experiment.models
    for model in models.values():
        start = models.get(model.start or "")
        for backbone in experiment.backbones.values():
            if start is not None and model.on(backbone) and not start.on(backbone):
                yield (
                    f"models.{model.name}: needs {start.name}, which is not made on {backbone.name}; "
                    "give both the same backbones"
                )
    for task in experiment.tasks.values():
        needy = [n for n in task.models if isinstance(models.get(n), Model) and models[n].weight == "val"]
        data = experiment.data.get(task.data)
        if needy and task.val is None and data is not None and data.kind == "file":
            yield f"tasks.{task.name}.val: missing; {needy[0]} chooses its weight on it"
        val = experiment.data.get(task.val or "")
        one_folder = needy and data is not None and val is not None and data.videos is not None
        if one_folder and data and val and (val.of, val.videos) != (data.of, data.videos):
            yield (
                f"tasks.{task.name}.val: the videos of {val.name} are elsewhere than those of {data.name}, and "
                "paxion evaluate takes one folder; leave out videos, to take the folder beside each file"
            )


def _files(experiment: Experiment) -> Iterator[str]:
    """Files that are not there; those in the folder of a stage are made later."""
    for name, one in experiment.data.items():
        if one.kind in MADE:
            yield from _absent(
                f"data.{name}", MADE[one.kind], one.options, inside=one.of is not None and one.kind == "build"
            )
        elif one.of is None:
            given = {"path": one.path, "videos": one.videos}
            yield from (_no_file(f"data.{name}.{key}", path) for key, path in given.items() if path and _gone(path))
    for name, task in experiment.tasks.items():
        inside = task.data in experiment.data and experiment.data[task.data].of is not None
        yield from _absent(f"tasks.{name}", task.command, task.options, inside=inside)
    for name, backbone in experiment.backbones.items():
        scheme, _, path = backbone_file(backbone.load or "")
        if path and (scheme in WEIGHTS_NEEDED or scheme == "world") and _gone(path):
            yield _no_file(f"backbones.{name}.load", path)
        elif scheme in WEIGHTS_NEEDED and not path:
            yield f"backbones.{name}.load: got {shown(backbone.load)}, expected {scheme}:FILE"


def _absent(where: str, command: str, options: Mapping[str, Any], inside: bool) -> Iterator[str]:
    for key, path in paths(every_option(command), options):
        if not inside and _gone(path):
            yield _no_file(f"{where}.{key}", path)


def _gone(path: str) -> bool:
    return not path.startswith(FILL_IN) and not Path(path).exists()


def _no_file(where: str, path: str) -> str:
    return f"{where}: there is no file or folder {path}; expected a path from the folder that you are in"


def backbone_file(load: str) -> tuple[str, str, str]:
    """(scheme, colon, path) of a backbone's name, without its options and a function."""
    scheme, colon, rest = load.partition(":")
    if not colon:
        return scheme.partition(",")[0], "", ""
    while rest and not Path(rest).exists() and "," in rest and "=" in rest.rpartition(",")[2]:
        rest = rest.rpartition(",")[0]
    if scheme == "python" and ".py:" in rest:
        rest = rest.partition(".py:")[0] + ".py"
    return scheme, colon, rest
