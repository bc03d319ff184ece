"""Which clips can be read: without a store, that has to be known before a training begins."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from paxion.features.decoding import Decode, Decoded, check_workers, cores, decoders
from paxion.features.jobs import Job
from paxion.features.locks import alone
from paxion.features.spec import StoreSpec
from paxion.files import make_folder, write_text
from paxion.records import PaxionError

GROUP = 32
"""Clips that are handed out at a time."""
NOTED = 2048
"""Clips after which what was found is written down: what a killed process loses at most."""


def unreadable(
    jobs: Sequence[Job],
    spec: StoreSpec,
    notes: Path,
    *,
    workers: int | None = None,
    tick: Callable[[int], object] | None = None,
) -> dict[str, str]:
    """The clips that cannot be read, from key to reason: each clip is decoded once, as training will do.

    A file may promise frames that it does not hold, so nothing less would do. What was found is noted in a file, and
    not looked for again: a run that goes on has the clips that it had. Of several processes one looks, and the others
    wait for it.

    notes: the file. workers: decoding processes (default: one a core; 0: decode in this one). tick: called with the
    number of clips done since the last call. Raises PaxionError when a file changes or vanishes meanwhile.
    """
    workers = cores() if workers is None else check_workers(workers, "cpu")
    jobs = list({job.key: job for job in jobs}.values())
    make_folder(notes.parent)
    with alone(notes.with_suffix(".lock")):
        found = _read(notes, spec)
        todo = [job for job in jobs if job.key not in found]
        if tick is not None:
            tick(len(jobs) - len(todo))
        with decoders(workers if len(todo) > GROUP else 0) as decode:
            for begin in range(0, len(todo), NOTED):
                try:
                    _look(todo[begin : begin + NOTED], spec, decode, workers, tick, found)
                except PaxionError:
                    _write(notes, spec, found)
                    raise
                _write(notes, spec, found)
    return {job.key: reason for job in jobs if (reason := found[job.key]) is not None}


def _look(
    jobs: Sequence[Job],
    spec: StoreSpec,
    decode: Decode,
    workers: int,
    tick: Callable[[int], object] | None,
    found: dict[str, str | None],
) -> None:
    """Put into `found`, of each clip, why it cannot be read, or None."""
    groups = [jobs[begin : begin + GROUP] for begin in range(0, len(jobs), GROUP)]
    waiting: deque[tuple[Sequence[Job], Decoded]] = deque()

    def finish(most: int) -> None:
        while len(waiting) > most:
            group, decoded = waiting.popleft()
            for job, clip in zip(group, decoded(), strict=True):
                found[job.key] = clip if isinstance(clip, str) else None
            if tick is not None:
                tick(len(group))

    for group in groups:
        waiting.append((group, decode(group, spec)))
        finish(workers)
    finish(0)


def _decoded(spec: StoreSpec) -> dict[str, object]:
    """What reading depends on besides the clips, as JSON has it."""
    given = {"sampler": spec.sampler, "frames": spec.frames, "transform": asdict(spec.transform)}
    return dict(json.loads(json.dumps(given)))


def _write(notes: Path, spec: StoreSpec, found: dict[str, str | None]) -> None:
    write_text(notes, json.dumps({"decoded": _decoded(spec), "clips": found}))


def _read(notes: Path, spec: StoreSpec) -> dict[str, str | None]:
    """What is noted already; nothing where it is damaged, or about other frames."""
    try:
        stored = json.loads(notes.read_bytes())
        clips = {key: None if reason is None else str(reason) for key, reason in stored["clips"].items()}
        return clips if stored["decoded"] == _decoded(spec) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
