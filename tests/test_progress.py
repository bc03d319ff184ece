"""How far a job is, for people who look at a terminal and for those who look at a file."""

from __future__ import annotations

import io
import re
import time

from rich.console import Console

from paxion.progress import progress, told


def test_a_line_has_the_speed_and_the_time_left():
    assert told("features", 1200, 4000, 25.0) == "features: 1,200 of 4,000, 25.0 /s, 2 min left"
    assert told("features", 10, 12, 0.5) == "features: 10 of 12, 0.5 /s, 4 s left"
    assert told("features", 0, 100_000, 0.05) == "features: 0 of 100,000, 3.0 a minute, 555 h 33 min left"
    assert told("features", 5, 9, 0) == "features: 5 of 9" and told("features", 9, 9, 3) == "features: 9 of 9"


def test_a_file_gets_a_line_now_and_then(monkeypatch):
    out = io.StringIO()
    with progress(Console(file=out), "features", 100, every=0.1) as tick:
        tick(40)  # done before
        for _ in range(20):
            time.sleep(0.02)
            tick(3)
    lines = out.getvalue().splitlines()
    assert 3 <= len(lines) <= 5 and lines[-1] == "features: 100 of 100"
    for line in lines[:-1]:
        speed = float(re.search(r"([\d.]+) /s", line)[1])
        assert 50 < speed < 151  # what was done before is not in it


def test_a_file_gets_no_line_for_what_was_done_before():
    out = io.StringIO()
    with progress(Console(file=out), "features", 7) as tick:
        tick(7)
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar():
    out = io.StringIO()
    with progress(Console(file=out, force_terminal=True, width=100), "features", 8) as tick:
        tick(2)
        time.sleep(0.1)
        tick(6)
    shown = re.sub(r"\x1b\[[^m]*m", "", out.getvalue())
    assert "8/8" in shown and "/s" in shown
