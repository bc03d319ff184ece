"""Subcommands that measure models: probe and evaluate. One dataclass each; heavy imports elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from paxion.records import PROBES, RETRIEVALS, TWINS


@dataclass(frozen=True)
class Probe:
    """Probe models on a manifest: antonym, reversal, object, retrieval, with controls."""

    manifest: Annotated[Path, tyro.conf.Positional]
    models: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--model"])] = ("backbone",)
    """`backbone`, names of backbones (see paxion models), folders made by paxion patch, fuse or import. Several at once
    are compared in one table; mine=runs/patcher is called mine. dummy:NAME is a model of known scores: random, oracle,
    order-blind, verb-only, longest-text, first-frame-oracle (docs/dummies.md)."""
    out: Path = Path("runs/probe")
    """Folder of the run: results.json, samples.jsonl, report.html."""
    split: str = "test"
    """train, val or test."""
    tasks: tuple[str, ...] = PROBES + TWINS + RETRIEVALS
    """Some of antonym, reversal, object, twins, text_to_video, video_to_text, video_to_action, questions."""
    controls: tuple[str, ...] = ("none",)
    """none, reversed, first, middle, last, frozen, shuffled, blind, other (another clip), antonym_said (the antonym as
    caption, for reversal); or `all`."""
    sampler: str | None = None
    """Which frames are taken: midpoint, endpoints or paper. Default: those that the adapters were trained on, else
    midpoint."""
    backbone: str | None = None
    """What `backbone` stands for, and what adapters are put on. Default: what an adapter was trained on, else world."""
    store: Path = Path("features")
    """Folder of the feature store, filled where it lacks clips."""
    protocol: str = "default"
    """default, or paper: scored as the published code does, ties and all."""
    seed: int = 0
    """Draws what the controls `shuffled`, `frozen` and `other` show, and is named in the results."""
    workers: int | None = None
    """Processes that decode videos; 0: none, which is faster where encoding on few cores takes much longer than
    decoding. Default: by the cores."""
    batch: int = 32
    """Clips that are encoded at a time. On a CPU, 4 may be faster."""


@dataclass(frozen=True)
class Evaluate:
    """Evaluate models on a published set, or on a manifest with labels or questions.

    Retrieval, video-to-action and questions, from the data set's own files. A patched model may be scored alone or
    together with its backbone (--methods).
    """

    data: Annotated[Path, tyro.conf.Positional]
    """The set's file: json of SSv2-label or -template, csv of Temporal, Moments in Time, Kinetics or NExT-QA, or a
    manifest. Kinetics may be a folder of class folders."""
    task: str | None = None
    """ssv2-label, ssv2-template, temporal-ssv2, temporal-kinetics, moments, kinetics, nextqa or manifest. Default: told
    from the file."""
    videos: Path | None = None
    """Folder of the videos. Default: `videos` beside the file, else the file's folder. Manifests say it themselves."""
    models: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--model"])] = ("backbone",)
    """`backbone`, names of backbones (see paxion models), folders made by paxion patch, fuse, lora or import;
    mine=runs/patcher is called mine; dummy:NAME is a model of known scores (docs/dummies.md)."""
    out: Path = Path("runs/evaluation")
    """Folder of the run: results.json, samples.jsonl, report.html, and manifest.jsonl of what was evaluated."""
    split: str | None = None
    """train, val or test, for files that say it. Default: test for a manifest, else the whole file."""
    tasks: tuple[str, ...] = ()
    """Default: what the set is for. Some of text_to_video, video_to_text, video_to_action, questions; for a manifest
    also antonym, reversal, object and twins."""
    controls: tuple[str, ...] = ("none",)
    """none, reversed, first, middle, last, frozen, shuffled, blind, other (another clip), antonym_said (the antonym as
    caption, for reversal); or `all`."""
    methods: tuple[str, ...] = ("plain",)
    """How a patched model goes together with its backbone: plain (not at all), softmax-sum, score-sum, two-step."""
    weight: str = "val"
    """Of the backbone in score-sum: a number, or `val`: chosen on --val, or on the val split of a manifest."""
    val: Path | None = None
    """A file of the same format, to choose the weight on."""
    top: int = 50
    """Candidates of the backbone that two-step orders again."""
    labels: Path | None = None
    """Candidate actions: one a line, `label,index` a line, or json. Default: those of the set."""
    prompts: tuple[str, ...] = ("{}",)
    """What an action's name is put into, such as "a video of {}"; several are averaged. `ensemble`: seven of ours."""
    hard: Path | None = None
    """Ids of the questions (video_qid) that make up the hard subset: one a line, csv or json."""
    question_text: str = "{question}? {choice}"
    """How a question and a choice become one text. "{choice}" for text towers that know captions only."""
    protocol: str = "default"
    """default, or paper: scored as the published code does, ties and all."""
    per_action: bool = False
    """Also score every action on its own, and print the worst."""
    backbone: str | None = None
    """What `backbone` stands for, and what adapters are put on. Default: what an adapter was trained on, else world."""
    store: Path = Path("features")
    """Folder of the feature store, filled where it lacks clips."""
    dtype: str = "float16"
    """How the store holds tokens."""
    sampler: str | None = None
    """Which frames are taken: midpoint, endpoints or paper. Default: those that the adapters were trained on, else
    midpoint."""
    seed: int = 0
    """Draws what the controls `shuffled`, `frozen` and `other` show, and is named in the results."""
    workers: int | None = None
    """Processes that decode videos. Default: by the cores."""


EVALUATE_FUNCTIONS: dict[type, str] = {Probe: "probe", Evaluate: "evaluate_models"}
"""The function of evaluate_commands.py behind each subcommand; its arguments are the fields."""
