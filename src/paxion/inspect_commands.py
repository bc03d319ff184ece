"""What inspect and score do: find the clip, load the models, show what they say. Each returns the exit status."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from paxion.commands import SHOWN_FRAMES, device, say
from paxion.inspection.found import QUESTION_TEXT, Run, asked_for, candidates, own_texts, read_run, worst
from paxion.inspection.one_clip import TextScore, best, encode_one, text_scores
from paxion.inspection.page import write_inspection
from paxion.inspection.view import View, print_scores, print_view
from paxion.manifest import video_path
from paxion.model_commands import OnBackbone, load_models, trained_sampler
from paxion.records import PaxionError, Sample
from paxion.video.decode import read_clip

WORST = 5
"""Samples that are shown when nothing is asked for."""
Known = dict[str, dict[str, Tensor]]
"""Model to the vectors (D,) of the texts that it has encoded: galleries are long."""


def inspect_run(
    console: Console,
    run: Path,
    sample: tuple[str, ...],
    worst: int,
    task: str | None,
    model: str | None,
    top: int,
    out: Path | None,
) -> int:
    """Show samples of a run, by id or the worst of a model, and write them to a page."""
    if sample and (worst or task or model):
        raise PaxionError("got --sample beside --worst, --task or --model, expected ids or the worst of a task")
    if top < 0:
        raise PaxionError(f"got top {top}, expected 0 or more")
    opened = read_run(run)
    samples = [asked_for(opened, name) for name in dict.fromkeys(sample)] or _worst(opened, worst, task, model)
    models, notes = _models(opened)
    prompts = opened.results.provenance.get("prompts")
    if top and models and prompts not in (None, ["{}"]):
        notes.append("the actions that fit best are compared by their bare names here; the run had prompts for them")
    known: Known = {}
    views = [_view(opened, one, models, top, notes, known) for one in samples]
    for view in views:
        print_view(console, view)
    for note in notes:
        say(console, note)
    page = out or run / "inspect.html"
    write_inspection(page, f"{len(views)} of the {len(opened.samples)} clips of {run}", views, notes)
    say(console, f"the page: {page}")
    return 0


def score(
    console: Console,
    video: Path,
    texts: tuple[str, ...],
    model: tuple[str, ...],
    start: float | None,
    end: float | None,
    sampler: str | None,
    backbone: str | None,
) -> int:
    """Print the similarity of a clip to each text, for each model, forwards and backwards."""
    texts = tuple(dict.fromkeys(texts))
    if not texts or not all(text.strip() for text in texts):
        raise PaxionError('got no text or an empty one, expected texts such as "opening the door" "closing the door"')
    if (start is not None and not 0 <= start < math.inf) or (end is not None and not (start or 0.0) < end < math.inf):
        raise PaxionError(
            f"got a window from {start or 0:g} to {end} s, expected 0 or more, and an end after the start"
        )
    clip = Sample(id=str(video), video=str(video.absolute()), caption=texts[0], split="test", group=str(video),
                  start=start, end=end)  # fmt: skip
    model = model or ("backbone",)
    chosen = sampler or trained_sampler(model)
    scores: dict[str, list[TextScore]] = {}
    for on in load_models(model, backbone):
        encoded = encode_one(on.backbone, Path(), clip, sampler=chosen, device=device())
        scores |= {encoder.name: text_scores(encoder, encoded, texts) for encoder in on.encoders}
    print_scores(console, texts, scores, {})
    for name, found in scores.items():
        tops = best([one.forward for one in found])
        if len(texts) > 1:
            chosen_texts = " and ".join(f'"{texts[place]}"' for place in tops)
            say(console, f"{name} prefers {chosen_texts}" + (", which tie" if len(tops) > 1 else ""))
    return 0


def _worst(run: Run, count: int, task: str | None, model: str | None) -> list[Sample]:
    return worst(run, count or WORST, task, model)


def _models(run: Run) -> tuple[list[OnBackbone], list[str]]:
    """The models of a run, and what to say when they cannot be loaded."""
    try:
        return load_models(run.loadable), []
    except PaxionError as error:
        return [], [f"the models cannot be loaded, so only what the run has kept is shown: {error}"]


def _view(run: Run, sample: Sample, models: list[OnBackbone], top: int, notes: list[str], known: Known) -> View:
    """All there is to say of a sample. What goes wrong is noted, and left out."""
    text = run.results.provenance.get("question_text")
    texts = own_texts(sample, text if isinstance(text, str) else QUESTION_TEXT)
    scores: dict[str, list[TextScore]] = {}
    nearest: dict[str, dict[str, list[TextScore]]] = {}
    sampler = run.results.provenance.get("sampler")
    for on in models:
        try:
            clip = encode_one(on.backbone, run.manifest, sample, sampler=str(sampler or "midpoint"), device=device())
        except PaxionError as error:
            notes.append(f"{sample.id} cannot be scored anew: {error}")
            break
        for encoder in on.encoders:
            vectors = known.setdefault(encoder.name, {})
            scores[encoder.name] = text_scores(encoder, clip, list(texts), vectors)
            for task, gallery in candidates(run, sample).items() if top else ():
                found = text_scores(encoder, clip, gallery, vectors)
                nearest.setdefault(task, {})[encoder.name] = sorted(found, key=lambda one: -one.forward)[:top]
    return View(sample, run.rows, texts, scores, nearest, _frames(run, sample))


def _frames(run: Run, sample: Sample) -> NDArray[np.uint8] | None:
    """(T, H, W, 3), or None when the clip cannot be read."""
    try:
        clip = read_clip(video_path(run.manifest, sample), "midpoint", SHOWN_FRAMES, sample.start, sample.end)
    except PaxionError:
        return None
    frames: NDArray[np.uint8] = clip.frames.numpy()
    return frames
