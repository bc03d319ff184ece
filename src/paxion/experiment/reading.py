"""From a TOML file to an experiment: every key is known and of the right type, or the line says which is not."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paxion.experiment.commands import options
from paxion.experiment.options import Option, problems, shown, unknown_key
from paxion.experiment.parts import METHODS, RESERVED, Backbone, Column, Data, Experiment, Model, Row, Table, Task
from paxion.records import PaxionError

SHIPPED = Path(__file__).parent.parent / "experiments"
MADE = {"world": "world make", "metaworld": "world metaworld", "formats": "world formats", "build": "build",
        "salience": "salience"}  # fmt: skip
"""Kinds of data that a command makes."""
THERE = ("manifest", "file")
"""Kinds of data that are there already."""
TABLES = ("backbones", "data", "models", "tasks")
KEYS = ("name", "about", "seeds", "store", "dtype", "features", *TABLES, "tables")
FILL_IN = "?"
"""Text that begins so is still to be filled in; the rest says with what."""
PROBES = ("antonym", "reversal", "object", "questions")
"""Scores whose metric is accuracy where none is given; of the others it is R@1."""
Problems = list[str]


def find_experiment(name: str) -> Path:
    """The file of an experiment: a path, or the name of a shipped one. Raises PaxionError when there is none."""
    shipped = {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}
    if Path(name).is_file():
        return Path(name)
    if name in shipped:
        return shipped[name]
    what = "is a folder" if Path(name).is_dir() else "is no file"
    raise PaxionError(f"{name} {what}; give a TOML file, or one of the shipped experiments: {', '.join(shipped)}")


def read_experiment(path: Path, changes: Sequence[str] = ()) -> Experiment:
    """The experiment of a file. changes: "data.ssv2.videos=/path", each in the place of what the file says.

    Raises PaxionError with every problem in a line of its own.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PaxionError(f"cannot read {path}: {error.strerror or error}; give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PaxionError(f"{path} is no TOML: {' '.join(str(error).split())}; mend it there") from error
    for change in changes:
        _change(content, change)
    found: Problems = []
    experiment = _experiment(content, path.stem, found)
    if found:
        raise PaxionError("\n".join(f"{path}: {line}" for line in found))
    return experiment


def _change(content: dict[str, Any], change: str) -> None:
    where, equals, text = change.partition("=")
    keys = where.split(".")
    if not equals or not all(keys):
        raise PaxionError(f"got --set {change!r}, expected TABLE.KEY=VALUE, such as data.ssv2.videos=/videos")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # text needs no quotes on a command line
    inner: Any = content
    for number, key in enumerate(keys[:-1]):
        # A name of the second level must be there: a new one would be no change.
        if not isinstance(inner, dict) or (number == 1 and key not in inner):
            known = ", ".join(inner) if isinstance(inner, dict) else ""
            raise PaxionError(f"--set {where}: there is no {'.'.join(keys[: number + 1])}; there is {known}")
        inner = inner.setdefault(key, {})
    if not isinstance(inner, dict):
        raise PaxionError(f"--set {where}: {'.'.join(keys[:-1])} is no table")
    inner[keys[-1]] = value


@dataclass
class Given:
    """A table of the file, of which keys are taken one by one; what is left are options of a command."""

    where: str
    content: dict[str, Any]
    problems: Problems
    known: list[str] = field(default_factory=list)

    def take(self, name: str, kind: Any, default: Any = None, *, needed: bool = False) -> Any:
        """The value of a key if it is of a kind; else the default, and a problem."""
        self.known.append(name)
        if name not in self.content:
            if needed:
                self.problems.append(f"{self.where}.{name}: missing; expected {_KINDS[kind]}")
            return default
        value = self.content.pop(name)
        if _is_a(kind, value):
            return value
        self.problems.append(f"{self.where}.{name}: got {shown(value)}, expected {_KINDS[kind]}")
        return default

    def rest(self, options: Mapping[str, Option]) -> dict[str, Any]:
        """What is left, checked as options of a command."""
        left = {name.replace("-", "_"): value for name, value in self.content.items()}
        for name in left.keys() - options.keys():
            self.problems.append(unknown_key(f"{self.where}.{name}", name, [*self.known, *options]))
        left = {name: _listed(options[name], value) for name, value in left.items() if name in options}
        self.problems += problems(options, {n: v for n, v in left.items() if not _to_fill_in(v)}, self.where)
        return left


def _is_a(kind: Any, value: Any) -> bool:
    """Whether a value is of a kind: a type, or one of the names of `_KINDS`."""
    if kind == "weight":
        return value == "val" or (type(value) in (int, float) and 0 <= value < float("inf"))
    members = {list: (str,), "tables": (dict,), "rows": (str, dict), "seeds": (int,)}.get(kind)
    if members is None:
        return type(value) is kind
    least = 0 if kind == "seeds" else None
    return isinstance(value, list) and all(
        type(one) in members and (least is None or least <= one < 2**32) for one in value
    )


_KINDS = {
    str: "text", bool: "true or false", int: "a whole number", dict: "a table", list: "a list of text",
    "tables": "a list of tables", "rows": "a list of names, or of tables with label and models",
    "seeds": "a list of whole numbers from 0", "weight": '"val" or a number from 0',
}  # fmt: skip


def _listed(option: Option, value: Any) -> Any:
    """A single text where a list is expected is a list of one."""
    is_list = str(option.hint).startswith("tuple[")
    return [value] if is_list and isinstance(value, str) else value


def _to_fill_in(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(one, str) and one.startswith(FILL_IN) for one in values)


def _experiment(content: dict[str, Any], stem: str, found: Problems) -> Experiment:
    top = Given("", dict(content), found)
    missing = [f"{where[1:]}: fill in {text[1:].strip()}" for where, text in _texts("", content) if _to_fill_in(text)]
    name = top.take("name", str, stem)
    seeds = top.take("seeds", "seeds", [0])
    about, store, dtype = top.take("about", str, ""), top.take("store", str), top.take("dtype", str, "float16")
    features = Given("features", dict(top.take("features", dict, {})), found).rest(options("features"))
    tables = {kind: top.take(kind, dict, {}) for kind in TABLES}
    shown_tables = top.take("tables", "tables", [])
    found += [unknown_key(key, key, KEYS) for key in top.content]
    for index, line in enumerate(found):
        found[index] = line.removeprefix(".")
    if not re.fullmatch(r"[\w.-]+", name) or name in (".", ".."):
        found.append(f"name: got {shown(name)}, expected letters, digits, dots and dashes: a folder is called so")
    if not seeds or len(set(seeds)) < len(seeds):
        found.append(f"seeds: got {shown(seeds)}, expected one or more, each once")
    parts: dict[str, dict[str, Any]] = {}
    for kind, read in (("backbones", _backbone), ("data", _data), ("models", _model), ("tasks", _task)):
        parts[kind] = {}
        for part, table in tables[kind].items():
            where = f"{kind}.{part}"
            if not isinstance(table, dict):
                found.append(f"{where}: got {shown(table)}, expected a table")
            elif not re.fullmatch(r"[\w-][\w.-]*", part) or (kind == "models" and part in RESERVED):
                found.append(
                    f"{where}: expected a name of letters, digits, dots and dashes, other than {' and '.join(RESERVED)}"
                )
            else:
                parts[kind][part] = read(part, Given(where, dict(table), found))
    if not parts["backbones"] and not tables["backbones"]:
        found.append('backbones: missing; expected one or more, such as [backbones.world] load = "world"')
    read_tables = tuple(
        _table(Given(f"tables.{number}", dict(table), found)) for number, table in enumerate(shown_tables, 1)
    )
    return Experiment(
        name, about, tuple(seeds), store, dtype, features, parts["backbones"], parts["data"], parts["models"],
        parts["tasks"], read_tables, tuple(missing),
    )  # fmt: skip


def _texts(where: str, value: Any) -> list[tuple[str, str]]:
    """Every text of a file with the name of its key."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _texts(f"{where}.{key}", inner)]
    if isinstance(value, list):
        return [pair for inner in value for pair in _texts(where, inner)]
    return [(where, value)] if isinstance(value, str) else []


def _backbone(name: str, given: Given) -> Backbone:
    load, pretrain = given.take("load", str), given.take("pretrain", dict)
    group = given.take("group", str, name)
    given.rest({})
    if (load is None) == (pretrain is None):
        given.problems.append(f"{given.where}: expected either load or pretrain")
    if pretrain is not None:
        Given(f"{given.where}.pretrain", dict(pretrain), given.problems).rest(options("world pretrain"))
    return Backbone(name, load, pretrain, group)


def _data(name: str, given: Given) -> Data:
    kind = given.take("kind", str, "", needed=True)
    of, path, videos = given.take("of", str), None, None
    rest: dict[str, Any] = {}
    if kind in MADE:
        rest = given.rest(options(MADE[kind]))
    elif kind in THERE:
        path = given.take("path", str, "", needed=True)
        videos = given.take("videos", str) if kind == "file" else None
        given.rest({})
    elif kind:
        given.problems.append(unknown_key(f"{given.where}.kind", kind, [*MADE, *THERE]).replace("key", "kind"))
    if kind in ("formats", "salience") and of is None:
        given.problems.append(f"{given.where}.of: missing; expected the data that it is made of")
    if kind in ("world", "metaworld") and of is not None:
        given.problems.append(f"{given.where}.of: {kind} is made of nothing; leave it out")
    return Data(name, kind, of, path, videos, rest)


def _model(name: str, given: Given) -> Model:
    train, backbones = given.take("train", str), tuple(given.take("backbones", list, []))
    asked = {key: given.take(key, str) for key in ("start", "fuse", "of")}
    if sum(value is not None for value in asked.values()) > 1:
        given.problems.append(f"{given.where}: expected one of start, fuse and of at most")
    command, method, weight, top = "patch", None, None, None
    rest: dict[str, Any] = {}
    if asked["of"] is not None:
        command = ""
        method = given.take("method", str, METHODS[0])
        if method not in METHODS:
            given.problems.append(unknown_key(f"{given.where}.method", method, METHODS).replace("key", "method"))
        weight, top = given.take("weight", "weight"), given.take("top", int)
        weight = "val" if weight is None and method == "score-sum" else weight
        for key, value, fits in (("weight", weight, "score-sum"), ("top", top, "two-step")):
            if value is not None and method != fits:
                given.problems.append(f"{given.where}.{key}: only with method = {shown(fits)}")
        if train is not None:
            given.problems.append(f"{given.where}.train: a method trains nothing; leave it out")
        given.rest({})
    else:
        lora = given.take("lora", dict)
        command = "lora" if lora is not None else "fuse" if asked["fuse"] is not None else "patch"
        if train is None:
            given.problems.append(f"{given.where}.train: missing; expected the data that it is trained on")
        if lora is not None:
            known = options("lora")
            rest = Given(f"{given.where}.lora", dict(lora), given.problems).rest(known)
            rest |= given.rest(known)
        else:
            rest = given.rest(options(command))
    start = next((value for value in asked.values() if value is not None), None)
    return Model(name, command, train, start, method, weight, top, backbones, rest)


def _task(name: str, given: Given) -> Task:
    probed, evaluated = given.take("probe", str), given.take("evaluate", str)
    models = tuple(given.take("models", list, [], needed=True))
    val = given.take("val", str)
    if (probed is None) == (evaluated is None):
        given.problems.append(f"{given.where}: expected either probe or evaluate, with the name of the data")
    command = "probe" if probed is not None else "evaluate"
    return Task(name, command, probed or evaluated or "", val, models, given.rest(options(command)))


def _table(given: Given) -> Table:
    title = given.take("title", str, "", needed=True)
    task, data = given.take("task", str), given.take("data", str)
    control = given.take("control", str, "none")
    rows, columns = given.take("rows", "rows", [], needed=True), given.take("columns", "tables", [], needed=True)
    reference, cost = given.take("reference", str), given.take("cost", bool, False)
    given.rest({})
    read_rows = []
    for row in rows:
        inner = Given(f"{given.where}.rows", dict(row) if isinstance(row, dict) else {"models": [row]}, given.problems)
        models = inner.take("models", list, [], needed=True)
        read_rows.append(Row(inner.take("label", str, models[0] if models else ""), tuple(models)))
        inner.rest({})
    read_columns = []
    for number, column in enumerate(columns, 1):
        inner = Given(f"{given.where}.columns.{number}", dict(column), given.problems)
        score = inner.take("score", str, "", needed=True)
        metric = inner.take("metric", str, "accuracy" if score.partition(":")[0] in PROBES else "R@1")
        of = inner.take("task", str, task)
        if of is None:
            given.problems.append(f"{inner.where}.task: missing; expected the name of a task, here or of the table")
        label = inner.take("label", str, score if metric == "accuracy" else f"{score} {metric}")
        where, under = inner.take("data", str, data), inner.take("control", str, control)
        read_columns.append(Column(of or "", score, metric, where, under, label))
        inner.rest({})
    return Table(title, tuple(read_rows), tuple(read_columns), reference, cost)
