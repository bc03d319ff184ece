"""Sets of captions and foils with one cue planted, and none else."""

from __future__ import annotations

import random
from collections.abc import Callable

from paxion.records import Sample

VERBS = [("opening", "closing"), ("lifting", "lowering"), ("pushing", "pulling"), ("folding", "opening")]


def planted(change: Callable[[str, random.Random], str] = lambda foil, draw: foil, n: int = 300, seed: int = 0):
    """n pairs whose verbs are tossed, two a group; `change` turns a good foil into one that gives itself away."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        a, b = draw.sample(draw.choice(VERBS), 2)
        things = " ".join(draw.choice(("a red", "the small", "one")) + f" thing{draw.randrange(200)}" for _ in range(2))
        foil = change(f"{b} {things}", draw)
        rows.append(Sample(f"r{i}", f"v{i}.mp4", f"{a} {things}", "test", f"g{i // 2}", antonym=foil, source="planted"))
    return rows


def closed(n: int = 200, seed: int = 0, split: str = "test") -> list[Sample]:
    """n pairs, each as often the other way round."""
    draw = random.Random(seed)
    rows: list[Sample] = []
    for i in range(n // 2):
        (a, b), thing = draw.choice(VERBS[:3]), f"thing{draw.randrange(20)}"
        for side, (right, wrong) in enumerate([(a, b), (b, a)]):
            name = f"{split}{i}{side}"
            rows.append(Sample(name, f"{name}.mp4", f"{right} {thing}", split, name, antonym=f"{wrong} {thing}"))
    draw.shuffle(rows)
    return rows
