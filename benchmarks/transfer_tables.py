"""The tables of benchmarks/transfer.py, from rows of single samples: Markdown, in percent.

Credits are averaged over training seeds first, so that seeds do not count as evidence; intervals are of 95 %, clustered
by group. A difference is of the same samples, model against the backbone that was fitted on the same clips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from paxion.backbones.base import Backbone
from paxion.evaluation.separation import separation
from paxion.evaluation.statistics import estimate, mean_interval
from paxion.records import PROBES, Row, Sample

Floats = NDArray[np.float64]
Key = tuple[str, str, str, str]
"""Model, data, task, control."""
Credits = dict[Key, dict[tuple[str, str], list[Row]]]
"""By sample and group, a row a seed."""
BACKBONE = "backbone"
DEPTHS = (1, 5, 10)
COMPARED = (("antonym", 0), ("reversal", 0), ("object", 0), ("text_to_video", 5), ("video_to_text", 5))
"""Tasks and depths (0: a choice of two) of the table of differences."""
POWER = 1 + 0.84 / 1.96
"""The smallest difference that is found four times of five, in half widths of an interval of 95 %."""


def by_key(rows: Sequence[Row]) -> Credits:
    """Rows by what they are of."""
    found: Credits = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row.model, row.data, row.task, row.control][row.id, row.group].append(row)
    return found


def values(credits: Credits, key: Key, depth: int = 0, only: Collection[str] | None = None) -> tuple[Floats, list[str]]:
    """Credit of each sample, the mean over seeds, and its group. depth: R@depth of a retrieval, by expected ranks."""
    found = sorted(credits.get(key, {}).items())
    samples = [(names, rows) for names, rows in found if only is None or names[0] in only]
    credit = [np.mean([(row.rank or np.inf) <= depth if depth else row.credit for row in rows]) for _, rows in samples]
    return np.array(credit, dtype=np.float64), [group for (_, group), _ in samples]


def percent(found: tuple[Floats, list[str]]) -> str:
    """Mean with half of its interval."""
    if not len(found[0]):
        return "-"
    e = estimate(*found)
    return f"{100 * e.value:.1f} ±{50 * (e.high - e.low):.1f}"


def difference(one: tuple[Floats, list[str]], other: tuple[Floats, list[str]]) -> str:
    """Mean of the paired differences with its interval; a star where that does not hold zero."""
    if not len(one[0]) or one[1] != other[1]:
        return "-"
    # mean_interval is for values in 0 .. 1, differences lie in -1 .. 1.
    value, low, high = (200 * x - 100 for x in mean_interval((one[0] - other[0] + 1) / 2, one[1]))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]{'' if low <= 0 <= high else ' *'}"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Markdown."""
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def tables(
    rows: Sequence[Row], tests: Mapping[str, Sequence[Sample]], texts: Backbone, closed: Collection[str]
) -> Iterator[str]:
    """All tables, line by line. tests: the clips by test set. closed: ids of the balanced split of DROID."""
    credits = by_key(rows)
    pairs = list(dict.fromkeys((row.data, row.model) for row in rows))
    for test, samples in tests.items():
        here = [(data, model) for data, model in pairs if data.endswith(f" > {test}")]
        groups = len({sample.group for sample in samples})
        yield f"\n### Tested on {test}: {len(samples)} clips of {groups} groups\n"
        yield from _accuracies(credits, here)
        yield f"\nAgainst the backbone fitted on the same clips, {test}:\n"
        yield from _differences(credits, here)
        yield f"\nAntonym / reversal under controls, {test}:\n"
        yield from _controls(credits, here, list(dict.fromkeys(row.control for row in rows)))
    yield "\n### What could have been seen\n"
    yield from _limits(credits, tests, pairs, texts)
    yield "\n### DROID, the closed balanced split: antonym\n"
    lines = [
        [*_names(data), model, str(len(found[0])), percent(found), percent(blind)]
        for data, model in pairs
        if data.endswith(" > droid")
        for found in [values(credits, (model, data, "antonym", "none"), only=closed)]
        for blind in [values(credits, (model, data, "antonym", "blind"), only=closed)]
    ]
    yield from table(("trained on", "tested on", "model", "n", "antonym", "blind"), lines)


def _names(data: str) -> tuple[str, str]:
    trained, _, tested = data.partition(" > ")
    return trained, tested


def _accuracies(credits: Credits, here: Sequence[tuple[str, str]]) -> Iterator[str]:
    lines = []
    for data, model in here:
        cells = [percent(values(credits, (model, data, task, "none"))) for task in PROBES]
        for task in ("text_to_video", "video_to_text"):
            found = [values(credits, (model, data, task, "none"), depth)[0] for depth in DEPTHS]
            cells.append(" / ".join(f"{100 * np.mean(f):.1f}" if len(f) else "-" for f in found))
        by_seed: dict[int, list[float]] = defaultdict(list)
        for of_sample in credits[model, data, "antonym", "none"].values():
            for row in of_sample:
                by_seed[row.seed].append(row.credit)
        seeds = ", ".join(f"{100 * np.mean(by_seed[seed]):.1f}" for seed in sorted(by_seed))
        lines.append([_names(data)[0], model, *cells, seeds])
    head = ("trained on", "model", *PROBES, "text to video R@1/5/10", "video to text R@1/5/10", "antonym by seed")
    yield from table(head, lines)


def _differences(credits: Credits, here: Sequence[tuple[str, str]]) -> Iterator[str]:
    lines = [
        [_names(data)[0], model]
        + [
            difference(
                values(credits, (model, data, task, "none"), depth),
                values(credits, (BACKBONE, data, task, "none"), depth),
            )
            for task, depth in COMPARED
        ]
        for data, model in here
        if model != BACKBONE
    ]
    head = [f"{task.replace('_', ' ')} R@{depth}" if depth else task for task, depth in COMPARED]
    yield from table(("trained on", "model", *head), lines)


def _controls(credits: Credits, here: Sequence[tuple[str, str]], controls: Sequence[str]) -> Iterator[str]:
    lines = []
    for data, model in here:
        cells = []
        for control in controls:
            found = [values(credits, (model, data, task, control))[0] for task in ("antonym", "reversal")]
            cells.append(" / ".join(f"{100 * np.mean(f):.1f}" if len(f) else "-" for f in found))
        lines.append([_names(data)[0], model, *cells])
    yield from table(("trained on", "model", *controls), lines)


def _limits(
    credits: Credits, tests: Mapping[str, Sequence[Sample]], pairs: Sequence[tuple[str, str]], texts: Backbone
) -> Iterator[str]:
    """How many samples there were, how small a difference they show, and how far apart the texts are."""
    lines = []
    for test, samples in tests.items():
        cosines = separation(texts, [(s.caption, s.antonym) for s in samples if s.antonym])
        halves = defaultdict(list)
        for data, model in pairs:
            for task in ("antonym", "reversal"):
                found = values(credits, (model, data, task, "none"))
                if data.endswith(f" > {test}") and len(found[0]) and not np.all(found[0] == 0.5):
                    e = estimate(*found)
                    halves[task].append((e.high - e.low) / 2)
        tasks = [halves[task] for task in ("antonym", "reversal")]
        least = [f"{100 * POWER * np.median(half):.1f}" if half else "-" for half in tasks]
        count = sum(sample.antonym is not None for sample in samples)
        lines.append([test, str(count), *least, f"{cosines.antonym:.3f}", f"{cosines.unrelated:.3f}"])
    seen = ("least seen: antonym", "least seen: reversal")
    yield from table(("tested on", "antonyms", *seen, "antonym cosine", "unrelated captions"), lines)
