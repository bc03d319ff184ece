"""What lora does: decode, train, write the folder. It returns the exit status."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from paxion.backbones.load import lasting, load_backbone
from paxion.commands import device, say, say_missed
from paxion.features.jobs import job_of
from paxion.features.live import LiveFeatures
from paxion.features.pixels import Pixels
from paxion.features.readable import unreadable
from paxion.files import make_folder
from paxion.manifest import manifest_hash, read_manifest
from paxion.patching.batches import batches
from paxion.patching.data import training_data
from paxion.patching.lora import Lora, check_peft, check_trainable, chosen_layers, save_low_rank
from paxion.patching.lora_training import check_recipe, train_lora
from paxion.patching.recipes import RECIPES
from paxion.patching.rows import usable
from paxion.processes import Process
from paxion.progress import progress
from paxion.records import unknown_name
from paxion.training_commands import READABLE


def lora(
    console: Console,
    manifest: Path,
    out: Path,
    backbone: str,
    recipe: str,
    rank: int,
    alpha: float,
    targets: tuple[str, ...],
    towers: Any,
    workers: int | None,
    memory: float,
    seed: int,
    save_every: float,
    **change: Any,
) -> int:
    """Train low-rank updates of a backbone. change: fields of the recipe; None leaves one as it is."""
    if recipe not in RECIPES:
        raise unknown_name("recipe", recipe, [name for name, one in RECIPES.items() if one.fuser is None])
    trained = replace(RECIPES[recipe], **{key: value for key, value in change.items() if value is not None})
    update = Lora(rank, alpha, tuple(dict.fromkeys(targets)), towers)
    # What cannot be trained is refused before anything is decoded.
    check_recipe(trained)
    check_peft()
    check_trainable(backbone)
    make_folder(out)
    model = load_backbone(backbone, device())
    source = lasting(backbone, model)
    chosen_layers(model, update)
    samples = [sample for sample in read_manifest(manifest) if sample.split == "train"]
    samples, _ = usable(trained, samples)
    batches(trained, len(samples), seed, Process())
    jobs = {sample.id: job_of(manifest, sample) for sample in samples}
    live = LiveFeatures(model, (), sampler=trained.sampler, device=device(), workers=0)
    with progress(console, "checking", len(jobs)) as tick:
        lost = unreadable(list(jobs.values()), live.spec, out / READABLE, workers=workers, tick=tick)
    missed = {name: lost[job.key] for name, job in jobs.items() if job.key in lost}
    say_missed(console, missed, len(samples))
    keys = {name: job.key for name, job in jobs.items() if name not in missed}
    data = training_data(model, live, keys, samples, trained)
    if trained.token_noise:
        say(console, f"the recipe's token_noise {trained.token_noise} has no place here: pixels are trained on")
    about = {"manifest": manifest_hash(manifest), "name": recipe, "clips": len(data), "missed": len(missed)}
    read = (job for job in jobs.values() if job.key not in lost)
    steps, done = batches(trained, len(data), seed, Process()).steps, 0
    with (
        Pixels(read, live.spec, memory=memory * 1e9, workers=workers, device=device()) as pixels,
        progress(console, "steps", steps) as tick,
    ):

        def advance(now: int, of: int) -> None:
            nonlocal done
            tick(now - done)
            done = now

        result, told = train_lora(
            trained, update, model, data, pixels, out, seed=seed, device=device(), save_every=save_every,
            about=about | {"source": source}, tell=lambda line: say(console, line), advance=advance,
        )  # fmt: skip
    told = {key: value for key, value in told.items() if key not in ("recipe", "backbone", "lora")}
    save_low_rank(out, result, model, update, trained, told, source)
    say(console, f"the low-rank update: {out}")
    return 0
