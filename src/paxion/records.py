"""The records that flow between the rooms: a sample, a score, a row of per-sample results, and the one error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
PROBES = ("antonym", "reversal", "object")
RETRIEVALS = ("text_to_video", "video_to_text", "video_to_action")
QUESTIONS = ("questions",)
TWINS = ("twins",)
TASKS = PROBES + TWINS + RETRIEVALS + QUESTIONS


class PaxionError(ValueError):
    """A problem that the user can mend. The message is one line: what was got, what was expected, how to fix it."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> PaxionError:
    """The error for a name that is not among the known ones; it says which was perhaps meant."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return PaxionError(f"unknown {kind} {name!r}{meant}: give one of {', '.join(names)}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One captioned clip: one row of a manifest."""

    id: str
    """Unique in the manifest."""
    video: str
    """Path of the video file, relative to the manifest's folder unless absolute."""
    caption: str
    """What the clip shows."""
    split: Split
    """Which split the row belongs to."""
    group: str
    """The source of the clip (original video, scene). Groups never cross splits; statistics are clustered by group."""
    antonym: str | None = None
    """Foil: the caption with its action turned into its opposite. None: no good antonym exists."""
    replaced: str | None = None
    """Foil: the caption with an object replaced by another one."""
    template: str | None = None
    """The caption with its objects blanked by "something"."""
    verb: str | None = None
    """Main verb of the caption, for breakdowns."""
    action: str | None = None
    """Action label, shared by all paraphrases of an action."""
    salient: bool | None = None
    """The clip shows a visible state change (gates ATM). None: unknown."""
    reversible: bool | None = None
    """The reversed clip contradicts the caption. False: not in the reversal probe. None: unknown, kept in."""
    start: float | None = None
    """Where the clip starts in the file, seconds. None: at its start."""
    end: float | None = None
    """Where the clip ends in the file, seconds. None: at its end."""
    source: str | None = None
    """Name of the data set, e.g. "world-A"."""
    antonym_note: str | None = None
    """How the antonym was made, or why there is none."""
    replaced_note: str | None = None
    """How the replaced caption was made, or why there is none."""
    reversal: str | None = None
    """What the reversed clip shows, in a caption's words. None: unknown, or nothing that has a name."""
    objects: tuple[str, ...] | None = None
    """The phrases of the caption that name objects, as written there, in order."""
    text_change: float | None = None
    """Salience: |mean similarity of the caption to the first half of the frames - to the second half|."""
    state_similarity: float | None = None
    """Salience: mean similarity of the frames of the first half to those of the second half."""
    question: str | None = None
    """A question about the clip."""
    choices: tuple[str, ...] | None = None
    """The answers to choose from."""
    answer: int | None = None
    """Which of the choices is right, from 0."""
    antonym_choices: tuple[str, ...] | None = None
    """Further wrong answers: choices with their action turned round, as far as published."""
    kind: str | None = None
    """What the question or the foil asks about, in the data set's words: "TN", "change-of-state"."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number of a result, a flat row of results.json. Values and interval bounds are fractions."""

    model: str
    data: str
    task: str
    control: str
    """"none", or the control applied to the clips."""
    metric: str
    """accuracy, AUROC, R@1, R@5, R@10 or mAP; of twins also both_right, same_answer, text, video and group."""
    value: float
    low: float
    """Lower end of the 95 % interval, clustered by group."""
    high: float
    n: int
    """Number of samples (or queries) scored. Missed samples are not among them."""
    ties: int
    """How many of them were ties; a tie counts one half."""
    seed: int


@dataclass(frozen=True, slots=True)
class Row:
    """One sample's result under one task, model and control: a line of samples.jsonl."""

    id: str
    group: str
    model: str
    data: str
    task: str
    control: str
    seed: int
    right: float
    """Score of the right answer (retrieval: of the best right candidate)."""
    wrong: float
    """Score of the foil (retrieval: of the best wrong candidate)."""
    credit: float
    """1 right, 0 wrong, 0.5 tie (retrieval: expected R@1)."""
    rank: float | None = None
    """Retrieval only: 1-based rank of the first right candidate, ties counted half."""
