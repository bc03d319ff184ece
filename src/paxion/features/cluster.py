"""Extraction on several machines through Ray Data (extra: ray), into a store on a file system that all of them see.

Actors load the backbone by its name, once each, and fill shards as `extract` does: the files are the same.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paxion.backbones.base import Backbone
from paxion.backbones.load import lasting, load_backbone
from paxion.features.decoding import check_workers, decoders
from paxion.features.extract import Extracted, Left, Tick, check_sizes, fill_blind, gathered
from paxion.features.fill import fill
from paxion.features.jobs import Job, Piece, clips_per_shard, job_of, plan
from paxion.features.store import FeatureStore, spec_of
from paxion.processes import this_process
from paxion.records import PaxionError, Sample

CLIPS_AT_ONCE = 512
"""Clips that an actor is given at a time: within these it decodes ahead."""
ROUNDS = 5
"""Times that what is left is given out again, when actors were lost."""


@dataclass(frozen=True)
class Cluster:
    """Where and on what extraction runs."""

    address: str = "auto"
    """local: a cluster on this machine, for this run; auto: the one that this machine belongs to; or HOST:PORT."""
    actors: int | None = None
    """Processes that encode. None: one for each GPU, or where there is none for every two cores."""
    cpus: float | None = None
    """Cores of each. None: what there is, shared, less one core, which Ray Data needs for tasks of its own."""


def extract_on_cluster(
    backbone: Backbone,
    manifest: Path,
    samples: Sequence[Sample],
    root: Path,
    *,
    name: str,
    cluster: Cluster = Cluster(),
    sampler: str = "midpoint",
    dtype: str = "float16",
    controls: Sequence[str] = ("reversed",),
    device: str = "cpu",
    batch: int = 32,
    shard: int | None = None,
    workers: int | None = None,
    tick: Tick | None = None,
) -> Extracted:
    """Make sure the store under `root` holds the features of all samples, as `extract` does, but on a Ray cluster.

    name: of the backbone; actors load it again, on a GPU where they have one. device: where this process encodes the
    one grey clip. workers: decoding processes of each actor. Raises PaxionError when ray is not there, and what went
    wrong in an actor.
    """
    check_sizes(batch, shard)
    if this_process().world > 1:
        raise PaxionError("got torchrun, expected one process that gives Ray its work; start the command without it")
    _ray()
    store = FeatureStore(root.resolve(), spec_of(backbone, sampler, dtype))
    jobs = {sample.id: job_of(manifest.resolve(), sample) for sample in samples}
    distinct = list({job.key: job for job in jobs.values()}.values())
    fill_blind(store, backbone, device)
    size = shard or clips_per_shard(backbone, dtype)
    settings = {
        "name": lasting(name, backbone), "folder": str(store.folder), "sampler": sampler, "dtype": dtype,
        "batch": batch, "workers": workers,
    }  # fmt: skip
    left = Left(store, pieces := plan(store, distinct, controls, size), len(jobs), tick)
    with _connected(cluster.address) if pieces else _nothing() as ray:
        for _ in range(ROUNDS):
            if not pieces:
                break
            _run(ray, cluster, pieces, settings, left)
            store.refresh()
            pieces = plan(store, distinct, controls, size)
    if pieces:
        raise PaxionError(
            f"{len(pieces)} shards are not complete after {ROUNDS} rounds: do all machines see {store.folder}? "
            "The same command goes on"
        )
    return gathered(store, jobs, controls)


def _run(ray: Any, cluster: Cluster, pieces: Sequence[Piece], settings: dict[str, Any], left: Left) -> None:
    """Let actors fill the pieces, and tell what is done."""
    resources = ray.cluster_resources()
    cores, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    actors = cluster.actors or gpus or max(1, cores // 2)
    cpus = cluster.cpus or share(cores, actors)
    at_once = max(1, min(CLIPS_AT_ONCE // max(len(piece.jobs) for piece in pieces), len(pieces) // (4 * actors)))
    groups = [pieces[first : first + at_once] for first in range(0, len(pieces), at_once)]
    rows = [{"number": number, "pieces": written(group)} for number, group in enumerate(groups)]
    done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        Encoder,
        fn_constructor_kwargs={**settings, "cores": int(cpus)},
        compute=ray.data.ActorPoolStrategy(size=actors),
        batch_size=1,
        num_cpus=cpus,
        num_gpus=min(1, gpus / actors) if gpus else None,
    )
    try:
        for row in done.iter_rows():
            for piece in groups[int(row["number"])]:
                left.done(piece.jobs)
    except ray.exceptions.RayError as error:
        raise _said(error) from None


def share(cores: int, actors: int) -> float:
    """The cores of each actor: whole ones, or a part of one, such that one core at least is left to Ray Data.

    With none left its own tasks never run, and everything waits.
    """
    each = max(1, cores - 1) / actors
    return float(int(each)) if each >= 1 else max(0.01, int(100 * each) / 100)


class Encoder:
    """An actor: it has a backbone, and fills the pieces that it is given."""

    def __init__(
        self, name: str, folder: str, sampler: str, dtype: str, batch: int, workers: int | None, cores: int
    ) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.backbone = load_backbone(name, self.device)
        self.store = FeatureStore(Path(folder), spec_of(self.backbone, sampler, dtype))
        self.batch, self.workers = batch, check_workers(workers, self.device, cores)
        self._pool = decoders(self.workers)
        self.decode = self._pool.__enter__()  # until the actor ends: decoding processes end with their parent

    def __call__(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Fill pieces; give their numbers back when they are complete."""
        for text in rows["pieces"]:
            fill(
                self.store, self.backbone, read(str(text)), self.decode,
                device=self.device, batch=self.batch, workers=self.workers,
            )  # fmt: skip
        return {"number": rows["number"]}


def written(pieces: Sequence[Piece]) -> str:
    """Pieces as JSON: what crosses to other machines is no pickle of ours."""
    return json.dumps([asdict(piece) for piece in pieces], default=str)


def read(text: str) -> list[Piece]:
    """The pieces that `written` wrote."""
    return [
        Piece(
            tuple(
                Job(job["key"], Path(job["video"]), job["start"], job["end"], tuple(job["controls"]))
                for job in piece["jobs"]
            ),
            piece["pooled"],
        )
        for piece in json.loads(text)
    ]


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise PaxionError(f"the Ray engine needs ray ({error}); install the extra: pip install 'paxion[ray]'") from None
    return ray


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster; one that was connected before stays so."""
    ray = _ray()
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ImportError, ValueError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise PaxionError(
            f"no Ray cluster at {address} ({reason}); give --address local, auto (after `ray start`) or HOST:PORT"
        ) from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    try:
        yield ray
    finally:
        ray.shutdown()


def _said(error: BaseException) -> PaxionError:
    """What went wrong in an actor, in a line."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, PaxionError):
            return PaxionError(str(found))
        found = getattr(found, "cause", None) or found.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()]
    return PaxionError(f"an actor failed: {lines[-1] if lines else type(error).__name__}; the same command goes on")
