"""Contact sheets: the frames of a clip side by side, and the choice of clips to show."""

from __future__ import annotations

import base64
import io
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from paxion.records import Row, Sample
from paxion.report.roles import Roles, roles_of
from paxion.report.table import CHANCE, MODELS, TEXT

Outcome = tuple[str, bool, bool, int]
"""Task, is the backbone right, is the patched model right, how many examples to show."""
WANTED: tuple[Outcome, ...] = (
    ("antonym", False, True, 4),
    ("antonym", False, False, 2),
    ("antonym", True, False, 2),
    ("reversal", False, True, 2),
    ("reversal", False, False, 1),
    ("reversal", True, False, 1),
)
WANTED_OF_ONE_MODEL: tuple[Outcome, ...] = (
    ("antonym", False, False, 4),
    ("antonym", True, True, 2),
    ("reversal", False, False, 2),
    ("reversal", True, True, 1),
)


@dataclass(frozen=True, slots=True)
class ExampleScore:
    """What one model says about one example. `right` and `wrong` are similarities; `credit` is 1, 0, or 0.5 for a tie.

    Antonym and object: of the caption and of the foil. Reversal: of the clip as it is and of the clip played backwards.
    """

    model: str
    right: float
    wrong: float
    credit: float


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One clip to show. `frames` is (T, H, W, 3) uint8."""

    sample: Sample
    data: str
    task: str
    frames: ArrayLike
    scores: tuple[ExampleScore, ...]
    peers: int | None = None
    """How many clips of this data and task turned out the same way for the backbone and the patched model."""
    total: int | None = None
    """Out of how many."""


def contact_sheet(frames: ArrayLike, scale: float = 1, gap: int = 3) -> bytes:
    """The frames (T, H, W, 3) uint8 in order, left to right, as one WebP strip with transparent gaps.

    `scale` enlarges (without smoothing) or shrinks each frame; `gap` is in pixels of the strip. The size is
    T * round(W * scale) + (T - 1) * gap by round(H * scale). Raises ValueError for another shape or type, or no frames.
    """
    array = np.asarray(frames)
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise ValueError(f"frames are {array.dtype} of shape {array.shape}; expected uint8 of shape (T, H, W, 3)")
    count, height, width, _ = array.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    strip = Image.new("RGBA", (count * size[0] + (count - 1) * gap, size[1]))
    for index, frame in enumerate(array):
        image = Image.fromarray(frame)
        strip.paste(image if image.size == size else image.resize(size, method), (index * (size[0] + gap), 0))
    buffer = io.BytesIO()
    strip.save(buffer, "WEBP", quality=85, method=4)
    return buffer.getvalue()


def data_uri(webp: bytes) -> str:
    """WebP bytes as a data URI, to be the source of an image that needs no file."""
    return "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")


def choose_examples(
    rows: Sequence[Row],
    samples: Mapping[str, Sequence[Sample]],
    frames: Callable[[str, Sample], ArrayLike],
    *,
    seed: int = 0,
    provenance: Mapping[str, object] | None = None,
    clips: int | None = None,
) -> list[Example]:
    """Draw examples of each outcome: mended by the patch, wrong in both, broken by the patch, for antonym and reversal.

    rows: per-sample results; only those without a control, of each model's lowest seed, of models that see clips.
    samples: data name to its samples. frames: gives the frames (T, H, W, 3) uint8 of a sample of a data name; called
    only for the drawn ones. provenance: of the run; it says which models are patched (see `compared`).
    clips: how many to draw at most, in the shares of WANTED; by default as many as stand there.
    A draw with `seed` decides, made even over data names and spread over actions; the same input gives the same
    examples, whatever the order of the rows. Rows of samples not given are passed over.
    """
    known = {(data, sample.id): sample for data, listed in samples.items() for sample in listed}
    results = _results(rows, known)
    names = list(dict.fromkeys(name for models in results.values() for name in models))
    base, patched = compared(names, roles_of(names, provenance))
    judge, wanted = (patched, WANTED) if patched else (base, WANTED_OF_ONE_MODEL)
    kinds: dict[tuple[str, bool, bool], list[tuple[str, str]]] = defaultdict(list)
    totals: Counter[tuple[str, str]] = Counter()
    for (data, task, identity), models in sorted(results.items()):
        if base in models and judge in models:
            # A tie is not right: a backbone that averages over frames ties on every reversal.
            kinds[task, models[base].credit == 1, models[judge].credit == 1].append((data, identity))
            totals[data, task] += 1

    examples = []
    shown: Counter[str] = Counter()
    used: set[tuple[str, str]] = set()
    for task, before, after, count in wanted if clips is None else shared_out(wanted, clips):
        peers = Counter(data for data, _ in kinds[task, before, after])
        pool = sorted(kinds[task, before, after])
        random.Random(f"{seed} {task} {before} {after}").shuffle(pool)
        per_data: Counter[str] = Counter()
        for _ in range(count):
            pool = [key for key in pool if key not in used]
            if not pool:
                break
            key = min(pool, key=lambda key: (per_data[key[0]], shown[_action(known[key])]))
            data, sample = key[0], known[key]
            used.add(key)
            per_data[data] += 1
            shown[_action(sample)] += 1
            models = results[data, task, sample.id]
            scores = tuple(ExampleScore(name, r.right, r.wrong, r.credit) for name, r in models.items())
            pixels = frames(data, sample)
            examples.append(Example(sample, data, task, pixels, scores, peers[data], totals[data, task]))
    return examples


def shared_out(wanted: Sequence[Outcome], clips: int) -> list[Outcome]:
    """The outcomes with `clips` examples in all, in the same shares; those left over go to the first ones."""
    whole = sum(count for *_, count in wanted)
    counts = [count * clips // whole for *_, count in wanted]
    left = clips - sum(counts)
    return [
        (task, before, after, count + (place < left))
        for place, ((task, before, after, _), count) in enumerate(zip(wanted, counts, strict=True))
    ]


def compared(names: Sequence[str], roles: Roles) -> tuple[str, str | None]:
    """The model that outcomes are told by, and the patched model beside it if there is one.

    Without a patched model and its backbone, it is the first of the backbones, else of all `names`; "" for no names.
    """
    patched = roles.subject(names)
    base = roles.base(patched) if patched else None
    return (
        (base, patched)
        if base
        else (next((name for name in names if name in roles.plain), next(iter(names), "")), None)
    )


def _results(
    rows: Sequence[Row], known: Mapping[tuple[str, str], Sample]
) -> dict[tuple[str, str, str], dict[str, Row]]:
    """(data, task, sample id) to model to row, models in the order they are shown."""
    usable = [
        row
        for row in rows
        if row.control == "none"
        and not row.model.startswith(TEXT)
        and row.model != CHANCE
        and (row.data, row.id) in known
    ]
    order = {name: index for index, name in enumerate(MODELS)}
    # Models in order, and of each model the highest seed first, so that the lowest one is kept.
    usable.sort(key=lambda row: (order.get(row.model, len(order)), row.model, -row.seed))
    results: dict[tuple[str, str, str], dict[str, Row]] = defaultdict(dict)
    for row in usable:
        results[row.data, row.task, row.id][row.model] = row
    return results


def _action(sample: Sample) -> str:
    return sample.action or sample.verb or sample.caption
