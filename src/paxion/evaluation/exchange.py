"""What is changed about samples in the place of their frames: whose clip is shown, what is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from paxion.records import Sample


def others(samples: Sequence[Sample], seed: int = 0) -> list[int] | None:
    """Whose clip each of B samples is shown under the control `other`: a place for each, every place once.

    It is drawn from ids, groups and seed. The clip is of another group wherever no group has more than half of all
    samples; else it is at least another sample's. None for fewer than two samples.
    """
    if len(samples) < 2:
        return None
    # Groups lie side by side, so a step as long as the largest of them leaves every group.
    order = sorted(
        range(len(samples)),
        key=lambda i: (_drawn(samples[i].group, seed), samples[i].group, _drawn(samples[i].id, seed), i),
    )
    largest = max(Counter(sample.group for sample in samples).values())
    step = largest if 2 * largest <= len(samples) else max(1, len(samples) // 2)
    found = [0] * len(samples)
    for place, i in enumerate(order):
        found[i] = order[(place + step) % len(samples)]
    return found


def contradicted(samples: Sequence[Sample]) -> list[Sample]:
    """The samples with their antonym for a caption. Those without one are kept out of the reversal probe."""
    return [
        replace(sample, reversible=False) if sample.antonym is None else replace(sample, caption=sample.antonym)
        for sample in samples
    ]


def _drawn(name: str, seed: int) -> bytes:
    return sha256(f"{seed}\n{name}".encode()).digest()
