"""Several tests at once: among twenty, one is significant by luck."""

from __future__ import annotations

from collections.abc import Sequence


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given: those below 0.05 hold together with an error of at most 5 %.

    The k-th smallest of m is multiplied by m - k + 1, never falls below the one before it, and is at most 1.
    Raises ValueError for a p that is no number from 0 to 1.
    """
    for value in values:
        if not 0 <= value <= 1:
            raise ValueError(f"got p = {value}, expected a number from 0 to 1")
    adjusted, least = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - place) * values[index]))
        adjusted[index] = least
    return adjusted
