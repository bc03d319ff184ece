"""What `paxion ask` does: check what is asked for, load the models, ask them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from paxion.asked_run import ask_answerers
from paxion.asking.items import ASKABLE
from paxion.asking.load import load_answerer
from paxion.asking.prompts import OURS, read_prompts
from paxion.asking.run import HOW, Plan
from paxion.commands import device
from paxion.files import make_folder
from paxion.manifest import read_manifest
from paxion.records import SPLITS, PaxionError, Sample, unknown_name
from paxion.video.controls import ANTONYM_SAID, MEASURED
from paxion.video.sample import SAMPLERS


def ask_models(
    console: Console,
    manifest: Path,
    models: tuple[str, ...],
    out: Path,
    how: tuple[str, ...],
    tasks: tuple[str, ...],
    controls: tuple[str, ...],
    split: str,
    cache: Path,
    batch: int,
    frames: int | None,
    prompt_file: Path | None,
    sampler: str,
    seed: int,
) -> int:
    """Ask models about one split of a manifest and write results, rows, strata and the page."""
    if "all" in controls:
        controls = tuple(control for control in MEASURED if control != ANTONYM_SAID or "reversal" in tasks)
    for kind, names, known in (
        ("scorer", how, HOW),
        ("task", tasks, ASKABLE),
        ("control", controls, MEASURED),
        ("split", (split,), SPLITS),
        ("sampler", (sampler,), tuple(SAMPLERS)),
    ):
        _require_known(kind, names, known)
    if ANTONYM_SAID in controls and "reversal" not in tasks:
        raise PaxionError(f"got the control {ANTONYM_SAID} without the task reversal, the one it is for; add the task")
    if not models:
        raise PaxionError("got no models, expected some such as hf:FOLDER or endpoint:URL,model=NAME")
    for name, number in (("batch", batch), ("frames", frames)):
        if number is not None and number < 1:
            raise PaxionError(f"got {name} {number}, expected 1 or more")
    prompts = OURS if prompt_file is None else read_prompts(prompt_file)
    samples = [sample for sample in read_manifest(manifest) if sample.split == split]
    if not samples:
        raise PaxionError(f"{manifest} has no {split} rows; give another --split or manifest")
    make_folder(out)
    by_data: dict[str, list[Sample]] = {}
    for sample in samples:
        by_data.setdefault(sample.source or manifest.stem, []).append(sample)
    how, tasks, controls = (tuple(dict.fromkeys(names)) for names in (how, tasks, controls))
    plan = Plan(manifest, by_data, how, tasks, controls, prompts, sampler, seed, batch)
    given = (name if frames is None else f"{name},frames={frames}" for name in dict.fromkeys(models))
    return ask_answerers(console, (load_answerer(name, device()) for name in given), plan, split, cache, out)


def _require_known(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    if not names:
        raise PaxionError(f"got no {kind}, expected some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)
