"""What features make, status, verify and prune do: call the library, show the result. Each returns the exit status."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from paxion.backbones.load import load_backbone
from paxion.commands import compute_features, device, say
from paxion.features import prune as pruning
from paxion.features import upkeep
from paxion.features.numbers import check_dtype
from paxion.features.spec import stores
from paxion.manifest import read_manifest
from paxion.records import PaxionError, unknown_name
from paxion.video.controls import CONTROLS
from paxion.video.sample import SAMPLERS


def make(
    console: Console,
    manifest: Path,
    backbone: str,
    store: Path,
    sampler: str,
    dtype: str,
    controls: tuple[str, ...] | None,
    batch: int,
    shard: int | None,
    workers: int | None,
    engine: str,
    address: str,
    actors: int | None,
    actor_cpus: float | None,
) -> int:
    """Fill a feature store."""
    check_dtype(dtype)
    for kind, given, known in (("sampler", (sampler,), tuple(SAMPLERS)), ("control", controls or (), CONTROLS)):
        for name in given:
            if name not in known:
                raise unknown_name(kind, name, known)
    samples = read_manifest(manifest)
    model = load_backbone(backbone, device())
    if controls is None:
        controls = () if model.per_frame else ("reversed",)
    options: dict[str, Any] = {"sampler": sampler, "dtype": dtype, "batch": batch, "shard": shard}
    if engine == "ray":
        from paxion.features.cluster import Cluster, extract_on_cluster

        options["engine"] = partial(extract_on_cluster, name=backbone, cluster=Cluster(address, actors, actor_cpus))
    extracted = compute_features(console, model, manifest, samples, store, workers, controls, **options)
    say(console, f"the store: {extracted.store.folder}")
    return 0


def status(console: Console, folder: Path, missed: bool) -> int:
    """Show what each store holds."""
    found = list(upkeep.status(folder))
    if not found:
        say(console, f"no feature store in {folder}")
    for one in found:
        if isinstance(one, PaxionError):
            say(console, str(one))
            continue
        spec = one.spec
        kept = "all tokens" if spec.tokens == "all" else f"tokens={spec.tokens}"
        say(console, f"{one.folder}")
        say(
            console,
            f"  {spec.backbone} {spec.revision}, {spec.frames} frames by {spec.sampler}, "
            f"{spec.transform.size} pixels, {kept}, {spec.dtype}",
        )
        controlled = f", {one.variants} controlled clips" if one.variants else ""
        say(
            console,
            f"  {one.clips} clips{controlled}, {one.texts} texts, {size(one.bytes)} in {one.shards} shards; "
            f"{len(one.missed)} missed, {one.unfinished} shards unfinished ({one.writing} being written)",
        )
        for what in one.damaged.values():
            say(console, f"  damaged: {what}")
        shown = list(one.missed.items())[: None if missed else 0]
        for key, reason in shown:
            say(console, f"  {key}: {reason}")
    return 0


def verify(console: Console, folder: Path, repair: bool) -> int:
    """Name every damaged file, and drop it if asked."""
    left = 0
    for store in stores(folder):
        read = found = 0
        with console.status(f"reading {store}") as line:

            def add(count: int, store: Path = store, line: Status = line) -> None:
                nonlocal read
                read += count
                line.update(f"reading {store}: {size(read)}")

            for damage in _damages(store, add):
                found += 1
                say(console, f"damaged: {damage.what}")
                dropped = repair and (damage.shard or damage.texts) is not None and upkeep.repair(store, damage)
                if dropped:
                    say(console, "  dropped")
                left += not dropped
        say(console, f"{store}: {size(read)} read, {found} damaged")
    if left:
        advice = "see above" if repair else f"paxion features verify {folder} --repair drops what can be encoded again"
        raise PaxionError(f"{left} damaged in {folder}, expected none; {advice}")
    return 0


def _damages(store: Path, tick: upkeep.Tick) -> Iterator[upkeep.Damage]:
    try:
        yield from upkeep.verify(store, tick)
    except PaxionError as error:
        yield upkeep.Damage(str(error))


def prune(console: Console, folder: Path, manifest: tuple[Path, ...], dry_run: bool) -> int:
    """Remove what nobody needs."""
    total = 0
    plans = [(store, pruning.useless(store, manifest)) for store in stores(folder)]
    for store, found in plans:
        for one in found:
            label = one.files[0].name if one.shard is None else f"shard {one.shard}"
            freed = one.bytes
            if not dry_run and not pruning.remove(store, one):
                say(console, f"kept: {store}: {label}: another process writes it")
                continue
            total += freed
            say(console, f"{store}: {label}: {one.why}, {size(freed)}")
    say(console, f"{size(total)} {'would be' if dry_run else 'are'} free{'' if dry_run else ' again'}")
    return 0


def size(count: int) -> str:
    """Bytes as a person reads them."""
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 10**power:
            return f"{count / 10**power:.1f} {unit}"
    return f"{count} bytes"
