"""How far a long job is: a bar on a terminal, and now and then a line where the output goes to a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

EVERY = 30.0
"""Seconds between two lines."""


@contextmanager
def progress(console: Console, label: str, total: int, every: float = EVERY) -> Iterator[Callable[[int], object]]:
    """Show how much of `total` is done, how much a second, and how long the rest takes.

    The function that it gives adds to what is done. What it is first given was done before: it is not in the speed.
    """
    if not console.is_terminal:
        yield _lines(console, label, total, every)
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn()
    with Progress(*columns, console=console, speed_estimate_period=300) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.advance(task, done)


def told(label: str, done: int, total: int, speed: float) -> str:
    """One line on how far a job is; speed: a second, 0 when it is not known."""
    left = f", {_speed(speed)}, {_duration((total - done) / speed)} left" if speed and done < total else ""
    return f"{label}: {done:,} of {total:,}{left}"


def _lines(console: Console, label: str, total: int, every: float) -> Callable[[int], object]:
    first: int | None = None
    done, began = 0, time.monotonic()
    last = began

    def tick(more: int) -> None:
        nonlocal first, done, last
        done += more
        now = time.monotonic()
        if first is None:
            first = done
        elif now - last >= every or done >= total > first:
            last = now
            console.print(told(label, done, total, (done - first) / max(now - began, 1e-9)), highlight=False)

    return tick


class _Speed(ProgressColumn):
    """How much is done a second."""

    def render(self, task: Task) -> Text:
        """The speed of the last minutes."""
        speed = task.finished_speed or task.speed
        return Text(_speed(speed) if speed else "")


def _speed(speed: float) -> str:
    return f"{speed:,.1f} /s" if speed >= 0.1 else f"{60 * speed:,.1f} a minute"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
