"""The subcommands about data: build, audit, salience, human. One dataclass each; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from paxion.records import PROBES


@dataclass(frozen=True)
class ReaderOptions:
    """What only some formats need."""

    columns: dict[str, str] = field(default_factory=dict)
    """Tables: field and column in turn, `--columns caption narration video file`."""
    subset: str | None = None
    """Temporal: ssv2 or kinetics."""
    ids: Path | None = None
    """NExT-QA: map_vid_vidorID.json."""
    validated: bool = False
    """ViLMA: only items that people found valid."""


@dataclass(frozen=True)
class Build:
    """Make an ActionBench from captioned videos: antonyms, replaced objects, reversals, splits, and a closed split.

    Reads Something-Something v2, EgoClip and ActionBench files, EPIC-Kitchens, NExT-QA, Moments in Time, Kinetics,
    Temporal, ViLMA, VITATECS, and any table with columns for video and caption. Published foils are kept as they are.
    """

    annotations: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Annotation files in one format, or folders of class folders of videos."""
    out: Path = Path("actionbench")
    """Folder for manifest.jsonl, closed.jsonl and build.json."""
    format: str | None = None
    """ssv2, ssv2-retrieval, ego4d, nextqa, temporal, moments, kinetics, epic, vilma, vitatecs, table or manifest.
    Default: told from the file."""
    videos: Path | None = None
    """Folder that the video paths of the data set start from. Default for tables and manifests: their own."""
    split: str | None = None
    """Put all rows in train, val or test. Default: as the data set says, else drawn by source video."""
    resplit: bool = False
    """Draw all splits by source video."""
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Of the source videos in train, val and test, where splits are drawn."""
    skip_bad: int = 0
    """Leave out up to so many bad rows; more stop the build."""
    check_videos: bool = False
    """Open every video: a row whose video cannot be read, or ends before the row's window does, is a bad row."""
    vocabulary: Path | None = None
    """Objects for the replaced captions, one a line. Default: those that the captions name."""
    every_object: bool = False
    """Replace all objects of a caption, not one."""
    tagger: str = "auto"
    """rules, spacy (the extra nlp), or auto: spaCy where it is installed."""
    explain: str | None = None
    """Show what becomes of this caption, and why, and stop."""
    reader: Annotated[ReaderOptions, tyro.conf.arg(name="")] = field(default_factory=ReaderOptions)
    seed: int = 0


@dataclass(frozen=True)
class Audit:
    """Could text alone tell captions from foils? Verdict, findings, a page; --balance writes a subset where it cannot.

    Reads manifests, ViLMA, VITATECS, and whatever else `paxion build` reads that has foils.
    """

    pairs: Annotated[Path, tyro.conf.Positional]
    """File of captions with foils."""
    field: str = "antonym"
    """antonym or replaced."""
    format: str | None = None
    """As for build. Default: told from the file."""
    split: str | None = None
    """Only train, val or test. Default: all together."""
    out: Path = Path("runs/audit")
    """Folder for audit.html, audit.json and results.json."""
    balance: Path | None = None
    """Manifest to write with the pairs that text alone cannot tell."""
    skip_bad: int = 0
    """Leave out up to so many bad rows; more are an error."""
    validated: bool = False
    """ViLMA: only items that people found valid."""
    plausibility: Path | None = None
    """JSON object of every text and its log-likelihood under a language model: one scorer more."""
    cap: int = 100_000
    """Judge at most so many pairs: a sample of source videos."""
    seed: int = 0


@dataclass(frozen=True)
class Salience:
    """Mark which clips show a visible change of state, by the published rule, with any per-frame backbone."""

    manifest: Annotated[Path, tyro.conf.Positional]
    out: Path
    """Manifest to write, in the same folder."""
    backbone: str = "world"
    store: Path = Path("features")
    """Folder of the feature store."""
    text_change: float = 0.003
    """Salient clips have more. The published threshold, for BLIP."""
    state_similarity: float = 0.95
    """Salient clips have less. The published threshold, for BLIP."""
    keep: tuple[float, float] | None = None
    """Instead of thresholds: shares of clips to keep by text change (highest) and by state similarity (lowest)."""


@dataclass(frozen=True)
class MakeKit:
    """Write one HTML file with questions for people: antonym, reversal and object, with keyboard answers."""

    manifest: Annotated[Path, tyro.conf.Positional]
    out: Path = Path("kit.html")
    """The kit. The answer key is written beside it; do not pass it on."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 50
    """Questions of each task."""
    split: str = "test"
    """train, val or test."""
    tasks: tuple[str, ...] = PROBES
    side: int = 320
    """Longer side of the clips, pixels."""
    seconds: float = 20.0
    """Longer clips are cut to their middle."""
    seed: int = 0


@dataclass(frozen=True)
class ScoreKit:
    """Score the answers that people saved: accuracy with intervals, agreement, position bias."""

    kit: Annotated[Path, tyro.conf.Positional]
    """The kit, or its key."""
    answers: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """answers-NAME.json files, one a person."""
    out: Path = Path("runs/human")
    """Folder for results.json."""


@dataclass(frozen=True)
class Human:
    """How well do people do? Make a kit for them, score their answers."""

    what: Annotated[MakeKit, tyro.conf.subcommand("make")] | Annotated[ScoreKit, tyro.conf.subcommand("score")]


DATA_FUNCTIONS: dict[type, str] = {
    Build: "run_build",
    Audit: "run_audit",
    Salience: "run_salience",
    MakeKit: "make_kit",
    ScoreKit: "score_kit",
}
"""The function of data_commands.py behind each subcommand; its arguments are the fields."""
