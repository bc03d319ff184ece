"""What an experiment's file says, as records: backbones, data, models, tasks, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BACKBONE = "backbone"
"""The model that is always there: the backbone as it came."""
PLAIN = "plain"
"""The stage of a task that asks models as they are; beside it those of the methods, called as their models."""
RESERVED = (BACKBONE, PLAIN)
"""What no model of a file may be called."""
METHODS = ("softmax-sum", "score-sum", "two-step")
"""How a model and its backbone are asked together."""


@dataclass(frozen=True)
class Backbone:
    """A frozen model that everything is done on: [backbones.NAME]."""

    name: str
    load: str | None
    """What paxion calls it, such as "clip-vip:weights.pt"; None: it is pretrained first."""
    pretrain: Mapping[str, Any] | None
    """Options of `paxion world pretrain`."""
    group: str
    """Backbones of one group are repetitions of one kind: a part of the tables has their mean."""


@dataclass(frozen=True)
class Data:
    """Clips with captions: [data.NAME]."""

    name: str
    kind: str
    """world, metaworld, build, formats, salience: made by that command. manifest, file: there already."""
    of: str | None
    """The data that it is made of, or in whose folder its paths are."""
    path: str | None
    videos: str | None
    """Only for the kind file: the folder of its videos."""
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """What is trained, once for each backbone and seed, or how a trained one is asked: [models.NAME]."""

    name: str
    command: str
    """patch, fuse, lora; or "" for a method, of which nothing is trained."""
    train: str | None
    """The data that it is trained on."""
    start: str | None
    """The model that it goes on from, is put on, or asks."""
    method: str | None
    weight: float | str | None
    """Of score-sum: a number, or "val"."""
    top: int | None
    """Of two-step."""
    backbones: tuple[str, ...]
    """Only on backbones of these names or groups; empty: on all."""
    options: Mapping[str, Any]

    def on(self, backbone: Backbone) -> bool:
        """Whether there is one on this backbone."""
        return not self.backbones or backbone.name in self.backbones or backbone.group in self.backbones

    @property
    def trained(self) -> str:
        """What was trained for it: a method's is the model that it asks."""
        return self.name if self.command else self.start or ""


@dataclass(frozen=True)
class Task:
    """What models are asked: [tasks.NAME]."""

    name: str
    command: str
    """probe or evaluate."""
    data: str
    val: str | None
    """The data that a weight is chosen on, where the manifest's own val split is not."""
    models: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A number of each model."""

    task: str
    """Name of a task of the experiment."""
    score: str
    """antonym, text_to_video, questions:causal, ..., as results.json has it."""
    metric: str
    data: str | None
    """Where a task's clips are of several sources: which."""
    control: str
    label: str


@dataclass(frozen=True)
class Row:
    """A line of a table: a model, or several of which each task asked another."""

    label: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One [[tables]]."""

    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    reference: str | None
    """Label of the row that the others are compared with, run by run."""
    cost: bool
    """Also show trained parameters and seconds."""


@dataclass(frozen=True)
class Experiment:
    """A whole file."""

    name: str
    about: str
    seeds: tuple[int, ...]
    store: str | None
    """Folder of the feature store; None: in the experiment's."""
    dtype: str
    """How the store keeps tokens."""
    features: Mapping[str, Any]
    """Options of `paxion features`."""
    backbones: Mapping[str, Backbone]
    data: Mapping[str, Data]
    models: Mapping[str, Model]
    tasks: Mapping[str, Task]
    tables: tuple[Table, ...]
    missing: tuple[str, ...] = field(default=())
    """What is still to be filled in, a line each."""
