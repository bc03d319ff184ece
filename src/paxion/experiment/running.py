"""Running stages: several side by side, each a process whose end, good or bad, is told; a signal stops them all."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from paxion.experiment.digests import LOCK, LOG, begin, finish
from paxion.experiment.stages import Stage
from paxion.features.locks import locked
from paxion.files import make_folder
from paxion.records import PaxionError

RUNNING = "running"
"""Folder of the stages' locks. A stage's process holds its own, so that a later experiment knows that it still runs."""
GRACE = 60.0
"""Seconds that a process has to end after SIGTERM: trainings write where they are."""
WAIT = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Outcome:
    """What has become of the stages that were to be run."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """From stage to the last line of its log."""
    skipped: list[str] = field(default_factory=list)
    """Stages that need one that has failed."""
    left: list[str] = field(default_factory=list)
    """Stages that were stopped, or not begun, because the experiment was told to stop."""


@dataclass
class Child:
    """A running stage."""

    stage: Stage
    process: subprocess.Popen[bytes]
    lock: int
    began: float


@contextmanager
def experiment_lock(out: Path) -> Iterator[None]:
    """Be the only experiment in a folder.

    Raises PaxionError when another one runs there, and when the folder is something else's: stages clear folders.
    """
    if out.is_dir() and not (out / LOCK).exists() and any(out.iterdir()):
        raise PaxionError(f"{out} has files that are no experiment's; give --out an empty folder, or a new one")
    make_folder(out / RUNNING)
    lock = locked(out / LOCK)
    if lock is None:
        raise PaxionError(f"another experiment is running in {out}; wait for it, stop it, or give another --out")
    try:
        yield
    finally:
        os.close(lock)


def run(
    stages: Sequence[Stage],
    digests: Mapping[str, str],
    out: Path,
    jobs: int,
    tell: Callable[[str], object],
) -> Outcome:
    """Run stages, none before those that it needs; `stages` are those that are not done, in an order that works."""
    waiting, running, outcome = list(stages), list[Child](), Outcome()
    asked: list[float] = []
    number = {stage.name: f"[{index}/{len(stages)}]" for index, stage in enumerate(stages, 1)}
    with _listening(asked, running):
        while running or (waiting and not asked):
            _skip(waiting, outcome)
            for stage in list(waiting):
                unfinished = {one.name for one in waiting} | {child.stage.name for child in running}
                if asked or len(running) >= jobs:
                    break
                if not unfinished & set(stage.needs):
                    waiting.remove(stage)
                    tell(f"{number[stage.name]} {stage.name}")
                    try:
                        running.append(_start(stage, digests[stage.name], out, jobs, tell))
                    except PaxionError as error:
                        outcome.failed[stage.name] = str(error)
                        tell(f"{number[stage.name]} {stage.name} failed: {error}")
            for child in [child for child in running if child.process.poll() is not None]:
                running.remove(child)
                _end(child, digests, out, outcome, bool(asked), number, tell)
            if asked and time.monotonic() - asked[0] > GRACE:
                _signal(running, signal.SIGKILL)
            time.sleep(WAIT)
        _skip(waiting, outcome)
    outcome.left += [stage.name for stage in waiting]
    return outcome


def _skip(waiting: list[Stage], outcome: Outcome) -> None:
    """Give up what needs a stage that has failed."""
    for stage in list(waiting):  # in order: what is skipped is seen by those after it
        if any(need in outcome.failed or need in outcome.skipped for need in stage.needs):
            waiting.remove(stage)
            outcome.skipped.append(stage.name)


@contextmanager
def _listening(asked: list[float], running: list[Child]) -> Iterator[None]:
    """Pass a first Ctrl-C or SIGTERM on to the stages, politely, and kill them at a second one."""

    def stop(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if asked and now - asked[0] < 1:
            return  # one Ctrl-C may come twice
        _signal(running, signal.SIGKILL if asked else signal.SIGTERM)
        asked.append(now)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _signal(running, signal.SIGKILL)  # only an error of ours gets here with any


def _signal(running: Sequence[Child], number: int) -> None:
    for child in running:
        with suppress(ProcessLookupError):
            os.killpg(child.process.pid, number)


def _start(stage: Stage, digest: str, out: Path, jobs: int, tell: Callable[[str], object]) -> Child:
    lock = _stage_lock(out / RUNNING / stage.name.replace("/", "+"), stage, tell)  # "-" is in names: a/b-c, a-b/c
    begin(out, stage, digest)
    words = stage.line(out)
    environment = dict(os.environ)
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment.setdefault("OMP_NUM_THREADS", threads)
    with (out / stage.name / LOG).open("ab") as log:
        log.write(f"$ {shlex.join(['paxion', *words])}\n".encode())
        log.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "paxion", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=environment, start_new_session=True, pass_fds=(lock,), preexec_fn=_with_its_parent(lock),
        )  # fmt: skip
    return Child(stage, process, lock, time.monotonic())


def _with_its_parent(lock: int) -> Callable[[], None]:
    """What a new process does first: write its number into its lock, and ask to be told when the experiment dies."""
    system = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def prepare() -> None:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        if system is not None:
            system.prctl(1, int(signal.SIGTERM), 0, 0, 0)  # PR_SET_PDEATHSIG
            if os.getppid() != parent:  # it died before that
                os._exit(1)

    return prepare


def _stage_lock(path: Path, stage: Stage, tell: Callable[[str], object]) -> int:
    """The lock of a stage. What an experiment that was killed has left running there is stopped first."""
    lock = locked(path)
    if lock is not None:
        return lock
    tell(f"{stage.name}: a process of a killed run still works there; stopping it")
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE / 6)):
        # The group cannot be another's: while one of its processes holds the lock, its number is not given again.
        with suppress(ValueError, OSError):
            os.killpg(int(path.read_text()), number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            lock = locked(path)
            if lock is not None:
                return lock
            time.sleep(WAIT)
    raise PaxionError(f"a process of an earlier run still works in {stage.name}; stop it (its lock: {path})")


def _end(
    child: Child,
    digests: Mapping[str, str],
    out: Path,
    outcome: Outcome,
    asked: bool,
    number: Mapping[str, str],
    tell: Callable[[str], object],
) -> None:
    os.close(child.lock)
    name, seconds = child.stage.name, time.monotonic() - child.began
    log = out / name / LOG
    try:
        if child.process.returncode == 0:
            finish(out, child.stage, digests[name], seconds)
            outcome.done.append(name)
            tell(f"{number[name]} {name}: {seconds:.0f} s")
            return
        why = last_line(log, child.process.returncode)
    except PaxionError as error:
        why = str(error)
    if asked:
        outcome.left.append(name)
        tell(f"{number[name]} {name}: stopped")
        return
    outcome.failed[name] = why
    tell(f"{number[name]} {name} failed: {why} (log: {log})")


def last_line(log: Path, status: int) -> str:
    """What a command that failed complained of: the last line of its log, or the signal that ended it."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    said = log.read_text(encoding="utf-8", errors="replace").rpartition("$ paxion ")[2]
    lines = [line.strip() for line in said.splitlines()[1:] if line.strip()]
    own = [line for line in lines if line.startswith("paxion: ") and not line.startswith("paxion: warning")]
    return (own or lines or [f"exit status {status}"])[-1].removeprefix("paxion: ")
