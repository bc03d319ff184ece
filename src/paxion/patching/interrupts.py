"""Being told to stop: a step is ended and the state kept before anything stops."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AT_ONCE = 1.0
"""Seconds within which several signals are one: torchrun sends on to its processes what the terminal has sent them."""


class Interrupts:
    """Turns Ctrl-C and SIGTERM into `asked`, to be looked at between steps; a second Ctrl-C interrupts at once.

    A context manager. Signals reach the main thread only: elsewhere it changes nothing.
    """

    def __init__(self) -> None:
        self.asked, self._first = False, 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the signals to whom they belonged."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked and number == signal.SIGINT and now - self._first > AT_ONCE:
            raise KeyboardInterrupt
        if not self.asked:
            self.asked, self._first = True, now
