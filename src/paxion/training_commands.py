"""What patch and fuse do: features, training, the adapter. Each returns the exit status."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from paxion.backbones.base import Backbone
from paxion.backbones.load import lasting, load_backbone
from paxion.commands import compute_features, device, say, say_missed
from paxion.features.live import LiveFeatures, on_the_fly, what_a_store_would_save
from paxion.features.numbers import check_dtype
from paxion.features.source import FeatureSource
from paxion.files import make_folder
from paxion.manifest import manifest_hash, read_manifest
from paxion.patching.accelerated import part
from paxion.patching.batches import batches
from paxion.patching.beginning import beginning
from paxion.patching.checkpoint import adapter_backbone, adapter_sampler, load_adapter, save_adapter
from paxion.patching.data import training_data
from paxion.patching.model import PatchedModel
from paxion.patching.recipe import Recipe
from paxion.patching.recipes import CONTINUED, RECIPES
from paxion.patching.rows import usable
from paxion.patching.spent import origin
from paxion.patching.tracking import check_trackers
from paxion.patching.train import CONFIG, train
from paxion.patching.validation import validation
from paxion.processes import this_process
from paxion.progress import progress
from paxion.records import PaxionError, Sample, unknown_name

KEPT = ("temporal_embedding", "spatial_embedding", "difference_tokens", "latents", "temporal_dropout")
"""Fields of a recipe that are of no effect on a patcher to start from."""
READABLE = "readable.json"
"""What an on-the-fly run knows of its clips."""


def patch(console: Console, manifest: Path, recipe: str, start: Path | None, **options: Any) -> int:
    """Train a patcher, from scratch or from an adapter on. options: see `_train`."""
    known = [name for name, one in RECIPES.items() if one.fuser is None]
    if recipe in RECIPES and recipe not in known:
        raise PaxionError(f"recipe {recipe} trains a fuser: give it to paxion fuse, with --patcher FOLDER")
    if recipe in CONTINUED and start is None:
        raise PaxionError(f"recipe {recipe} goes on from a trained patcher, got none; give it with --start FOLDER")
    return _train(console, manifest, recipe, known, start, **options)


def fuse(console: Console, manifest: Path, recipe: str, patcher: Path, **options: Any) -> int:
    """Train a fuser on a patcher. options: see `_train`."""
    known = [name for name, one in RECIPES.items() if one.fuser is not None]
    if recipe in RECIPES and recipe not in known:
        raise PaxionError(f"recipe {recipe} trains a patcher and no fuser: give it to paxion patch")
    return _train(console, manifest, recipe, known, patcher, **options)


def _train(
    console: Console,
    manifest: Path,
    name: str,
    known: Sequence[str],
    adapter: Path | None,
    *,
    out: Path,
    backbone: str | None,
    store: Path,
    dtype: str,
    on_the_fly: bool,
    workers: int | None,
    seed: int,
    save_every: float,
    track: Sequence[str],
    change: Any,
) -> int:
    """Train a recipe of those known. change: a dataclass whose fields that are not None replace those of the recipe."""
    if name not in known:
        raise unknown_name("recipe", name, known)
    check_dtype(dtype)
    check_trackers(track)
    make_folder(out)
    changed = {key: value for key, value in asdict(change).items() if value is not None}
    backbone = backbone or (adapter and adapter_backbone(adapter)) or "world"
    if adapter is not None and (seen := adapter_sampler(adapter)) is not None:
        changed = {"sampler": seen, **changed}  # it goes on with the frames that it knows
    recipe, model = replace(RECIPES[name], **changed), load_backbone(backbone, device())
    if recipe.fuser is not None and RECIPES[name].fuser is None:
        raise PaxionError(f"got fuser {recipe.fuser} for paxion patch, expected none: paxion fuse trains fusers")
    start: PatchedModel | None = None if adapter is None else load_adapter(adapter, model, device()).model
    if start is not None and start.fuser is not None and recipe.fuser is None:
        say(console, f"only the patcher of {adapter} is trained on: recipe {name} has no fuser")
    _check_effect(recipe, changed, start)
    splits = ("train", "val") if recipe.validate else ("train",)
    samples = {split: [s for s in read_manifest(manifest) if s.split == split] for split in splits}
    # What cannot be trained is refused before anything is encoded, and what is not trained on is not encoded.
    beginning(recipe, model, start)
    fitting, _ = usable(recipe, samples["train"])
    batches(recipe, len(fitting), seed, this_process())
    if recipe.validate:
        usable(recipe, samples["val"])
    wanted = [*fitting, *(sample for split in splits[1:] for sample in samples[split])]
    notes = out / READABLE if on_the_fly else None
    with _features(console, model, manifest, wanted, recipe, store, dtype, notes, workers) as (source, keys, lost):
        data = training_data(model, source, keys, samples["train"], recipe)
        given = validation(model, source, keys, samples["val"], recipe) if recipe.validate else None
        if isinstance(source, LiveFeatures):
            made = {"backbone": backbone, "sampler": recipe.sampler, "store": str(store), "dtype": dtype}
            command = shlex.join(["paxion", "features", str(manifest), *(f"--{key}={made[key]}" for key in made)])
            both = bool(recipe.atm)
            say(console, what_a_store_would_save(source, len(data), recipe.epochs, command, both=both, dtype=dtype))
        about = {
            "manifest": manifest_hash(manifest),
            "name": name,
            "clips": len(data),
            "missed": len(lost),
            "source": lasting(backbone, model),
            "started_from": None if adapter is None else origin(adapter),
        }
        steps, done = batches(recipe, len(data), seed, this_process()).steps, 0
        with progress(console, "steps", steps) as tick:

            def advance(now: int, of: int) -> None:
                nonlocal done
                tick(now - done)
                done = now

            trained = train(
                recipe, model, data, out, seed=seed, start=start, device=device(), validation=given,
                save_every=save_every, track=track, about=about, tell=lambda line: say(console, line), advance=advance,
            )  # fmt: skip
    if this_process().main:
        config = json.loads((out / CONFIG).read_text(encoding="utf-8"))
        told = {key: value for key, value in config.items() if key not in ("recipe", "backbone")}
        save_adapter(out, name, trained, model, recipe, told, source=lasting(backbone, model))
    part()
    say(console, f"the adapter: {out}")
    return 0


def _check_effect(recipe: Recipe, changed: dict[str, Any], start: PatchedModel | None) -> None:
    """Raise PaxionError for a change that would change nothing."""
    for name in ("joint", "raw_pooled") if recipe.fuser is None else ():
        if changed.get(name, getattr(Recipe(), name)) != getattr(Recipe(), name):
            raise PaxionError(f"got {name} {changed[name]} for paxion patch, expected none: it is for fusers")
    kept = {} if start is None else vars(start.patcher.config)
    for name in KEPT:
        if name in changed and changed[name] != kept.get(name, changed[name]):
            raise PaxionError(
                f"got {name} {changed[name]}, expected {kept[name]}: a patcher to start from keeps its own"
            )


@contextmanager
def _features(
    console: Console,
    model: Backbone,
    manifest: Path,
    samples: Sequence[Sample],
    recipe: Recipe,
    store: Path,
    dtype: str,
    notes: Path | None,
    workers: int | None,
) -> Iterator[tuple[FeatureSource, dict[str, str], dict[str, str]]]:
    """Where features are read, the key of each sample, and why some cannot be read.

    notes: a file of the run for what is found out about the clips; without it, there is a store.
    """
    if notes is None:
        extracted = compute_features(
            console, model, manifest, samples, store, workers, ("reversed", recipe.control),
            sampler=recipe.sampler, dtype=dtype,
        )  # fmt: skip
        yield extracted.store, extracted.keys, extracted.missed
        return
    with progress(console, "checking", len(samples)) as tick:
        flying = on_the_fly(
            model, manifest, samples, notes, sampler=recipe.sampler, device=device(), workers=workers, tick=tick
        )
    say_missed(console, flying.missed, len(samples))
    with flying.source:
        yield flying.source, flying.keys, flying.missed
