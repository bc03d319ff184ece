"""The human baseline kit: questions drawn from a manifest, in one HTML file that holds all it needs.

The published procedure asks for the antonym and the object of the same 50 clips, and for the reversal of 50 others.
Here a clip is asked about once: a caption that is seen with two different foils gives itself away.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from paxion.actionbench.human_clips import encode_mp4, read_footage
from paxion.actionbench.human_key import Key, Question, key_path, read_key, write_key
from paxion.files import write_text
from paxion.manifest import manifest_hash, video_path
from paxion.records import PROBES, PaxionError, Sample, unknown_name

SHORTEST = 1.0
"""Seconds. Shorter clips are in no reversal question, as published."""
MISSES = 200
"""After so many clips in a row that cannot be used, a task is given up: the folder is probably wrong."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What `write_kit` has written."""

    path: Path
    key_path: Path
    key: Key
    size: int
    """Bytes of the HTML file."""
    wanted: int
    """Questions asked for, for each task."""
    tasks: tuple[str, ...]
    repeats: int
    """Questions about a group that another question asks about, too."""
    cut: int
    """Questions whose clip is cut to its middle."""
    passed_over: tuple[tuple[str, str], ...]
    """(sample id, why) of the samples that were drawn and could not be used."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A question before its place and the order of its options are drawn."""

    task: str
    sample: Sample
    right: bytes
    """The clip, as mp4."""
    backwards: bytes
    """The clip played backwards; empty unless it is a reversal question."""
    note: str
    """What of the clip is shown, if not all."""


def write_kit(
    path: Path | str,
    manifest: Path | str,
    samples: Sequence[Sample],
    *,
    n: int = 50,
    seed: int = 0,
    tasks: Sequence[str] = PROBES,
    data: str | None = None,
    side: int = 320,
    fps: float = 12.0,
    seconds: float = 20.0,
    megabytes: float = 30.0,
) -> Kit:
    """Write a kit of n questions of each task to `path` (.html), and the answer key beside it (see `key_path`).

    samples: those to draw from, usually the test split of the manifest. data: name of the data set; default: the source
    of the samples where they share one, else the manifest's name. side (pixels), fps, seconds: bounds of the clips, see
    `read_footage`. The right option is the first in half of the questions of a task. The same input gives the same
    files. Where clips are too few, there are fewer questions: see `describe`.
    Raises PaxionError when no question can be asked, for an option out of bounds, when the file would exceed
    `megabytes`, or when the key of another kit lies there.
    """
    path, manifest = Path(path), Path(manifest)
    tasks = tuple(dict.fromkeys(tasks))
    _check(path, n, tasks, side, fps, seconds, megabytes)
    passed_over: dict[str, str] = {}

    def draft(task: str, sample: Sample) -> _Draft | None:
        try:
            return _draft(task, sample, video_path(manifest, sample), side, fps, seconds)
        except PaxionError as error:
            passed_over[sample.id] = str(error)
            return None

    drafts: list[_Draft] = []
    taken = 0
    for found in _drawn(samples, n, seed, tasks, draft):
        drafts.append(found)
        taken += 4 * -(-len(found.right) // 3) + 4 * -(-len(found.backwards) // 3)
        _refuse_large(taken, megabytes, len(drafts), n * len(tasks))
    if not drafts:
        why = "".join(f" (sample {sample}: {error})" for sample, error in [*passed_over.items()][:1])
        raise PaxionError(
            f"none of the {len(samples)} samples can be asked about{why}; expected clips that can be read, with an "
            "antonym, a replaced object or a reversible action"
        )
    random.Random(f"{seed} order").shuffle(drafts)
    questions = _questions(drafts, seed)
    clips = [_clips(question, found) for question, found in zip(questions, drafts, strict=True)]
    sources = {found.sample.source for found in drafts}
    data = data or (sources.pop() if len(sources) == 1 else None) or manifest.stem
    key = Key(_digest(questions, clips), data, seed, manifest_hash(manifest), questions)
    _refuse_another(path, key)
    page = _page(key, clips, [found.note for found in drafts])
    _refuse_large(len(page.encode()), megabytes, len(drafts), n * len(tasks))
    write_key(key_path(path), key)
    write_text(path, page)
    repeats = len(questions) - len({question.group for question in questions})
    cut = sum(bool(found.note) for found in drafts)
    return Kit(path, key_path(path), key, len(page.encode()), n, tasks, repeats, cut, tuple(passed_over.items()))


def describe(kit: Kit) -> str:
    """What is in the kit, and what is not as asked for, in a few lines."""
    counts = Counter(question.task for question in kit.key.questions)
    lines = [
        f"{kit.path}: {', '.join(f'{counts[task]} {task}' for task in kit.tasks)} questions, {kit.size / 1e6:.1f} MB",
        f"{kit.key_path}: the answer key; do not pass it on with the kit",
    ]
    short = [task for task in kit.tasks if counts[task] < kit.wanted]
    if short:
        lines.append(
            f"fewer than {kit.wanted} questions for {', '.join(short)}: no more clips of that kind; each is used once"
        )
    if kit.repeats:
        lines.append(f"questions about a group that another one asks about, too, for want of groups: {kit.repeats}")
    if kit.cut:
        lines.append(f"questions that show only the middle of a long clip, and say so: {kit.cut}")
    if kit.passed_over:
        sample, why = kit.passed_over[0]
        lines.append(f"drawn clips that could not be used: {len(kit.passed_over)}; the first is {sample}: {why}")
    return "\n".join(lines)


def _check(path: Path, n: int, tasks: Sequence[str], side: int, fps: float, seconds: float, megabytes: float) -> None:
    for task in tasks:
        if task not in PROBES:
            raise unknown_name("task", task, PROBES)
    if path.suffix != ".html":
        raise PaxionError(f"got {path} for the kit, expected a name that ends in .html")
    for name, value, low, high in (
        ("n", n, 1, 10_000),
        ("side", side, 16, 4096),
        ("fps", fps, 1, 60),
        ("seconds", seconds, SHORTEST, 3600),
        ("megabytes", megabytes, 0.01, 1000),
    ):
        if not low <= value <= high:
            raise PaxionError(f"got {name} {value:g}, expected {low:g} to {high:g}")


def _refuse_large(size: int, megabytes: float, done: int, wanted: int) -> None:
    if size > megabytes * 1e6:
        raise PaxionError(
            f"the kit is full: {done} of {wanted} questions take more than {megabytes:g} MB; "
            "ask fewer, give smaller or shorter clips, or raise the limit"
        )


def _refuse_another(path: Path, key: Key) -> None:
    """Raise PaxionError where the key of another kit lies: without it, that kit's answers could not be scored."""
    beside = key_path(path)
    if beside.exists() and (old := read_key(beside)).kit != key.kit:
        raise PaxionError(
            f"{beside} is the key of another kit ({old.kit}), whose answers need it; give another name, or remove it"
        )


def _fits(task: str, sample: Sample) -> bool:
    """Whether a question of the task can be asked about the sample, as far as the manifest tells."""
    if task == "antonym":
        return sample.antonym is not None
    if task == "object":
        return sample.replaced is not None
    long = sample.end is None or sample.end - (sample.start or 0.0) >= SHORTEST
    return sample.reversible is not False and sample.salient is not False and long


def _drawn(
    samples: Sequence[Sample],
    n: int,
    seed: int,
    tasks: Sequence[str],
    draft: Callable[[str, Sample], _Draft | None],
) -> Iterator[_Draft]:
    """Draw up to n questions of each task, a task after the other, so that a shortage hits all of them.

    A clip is drawn once, a group again only when a task has no other left. The task with the fewest samples goes first.
    """
    pools = {task: [sample for sample in samples if _fits(task, sample)] for task in tasks}
    for task, pool in pools.items():
        random.Random(f"{seed} {task}").shuffle(pool)
    fresh = {task: iter(pool) for task, pool in pools.items()}
    later: dict[str, list[Sample]] = {task: [] for task in tasks}
    groups: Counter[str] = Counter()
    clips: set[object] = set()
    done, misses = Counter[str](), Counter[str]()
    open_tasks = sorted(tasks, key=lambda task: len(pools[task]))
    while open_tasks:
        for task in list(open_tasks):
            found = None
            while found is None and misses[task] < MISSES:
                sample = _next(fresh[task], later[task], groups, clips)
                if sample is None:
                    break
                found = draft(task, sample)
                misses[task] = 0 if found else misses[task] + 1
            if found:
                groups[found.sample.group] += 1
                clips.add(_clip(found.sample))
                done[task] += 1
                yield found
            if not found or done[task] == n:
                open_tasks.remove(task)


def _next(fresh: Iterator[Sample], later: list[Sample], groups: Counter[str], clips: set[object]) -> Sample | None:
    """The next sample of a new group; when there is none, one of the groups used least; None at the end.

    later: samples that were passed by because their group was used.
    """
    for sample in fresh:
        if groups[sample.group] == 0 and _clip(sample) not in clips:
            return sample
        later.append(sample)
    later[:] = [sample for sample in later if _clip(sample) not in clips]
    return later.pop(min(range(len(later)), key=lambda i: groups[later[i].group])) if later else None


def _clip(sample: Sample) -> object:
    """What makes a clip the same as another one."""
    return sample.video, sample.start, sample.end


def _draft(task: str, sample: Sample, video: Path, side: int, fps: float, seconds: float) -> _Draft:
    footage = read_footage(video, sample.start, sample.end, side=side, fps=fps, seconds=seconds)
    if task == "reversal" and footage.whole < SHORTEST:
        raise PaxionError(f"its clip of {footage.whole:.2f} s is too short for a reversal question")
    backwards = encode_mp4(footage.reversed()) if task == "reversal" else b""
    note = f"Only the middle {footage.edges[-1]:.1f} of {footage.whole:.1f} seconds are shown." if footage.cut else ""
    return _Draft(task, sample, encode_mp4(footage), backwards, note)


def _questions(drafts: Sequence[_Draft], seed: int) -> tuple[Question, ...]:
    """The drafts numbered in their order, the right option first in half of those of a task."""
    chance = random.Random(f"{seed} options")
    places = {}
    for task, count in Counter(found.task for found in drafts).items():
        places[task] = [1, 2] * (count // 2) + chance.choices([1, 2], k=count % 2)
        chance.shuffle(places[task])
    questions = []
    for number, found in enumerate(drafts, 1):
        sample, right = found.sample, places[found.task].pop()
        options = {
            "antonym": (sample.caption, sample.antonym or ""),
            "object": (sample.caption, sample.replaced or ""),
            "reversal": ("forward", "reversed"),
        }[found.task]
        first, second = options if right == 1 else options[::-1]
        name = f"q{number:03}"
        questions.append(Question(name, found.task, sample.id, sample.group, sample.caption, first, second, right))
    return tuple(questions)


def _clips(question: Question, found: _Draft) -> tuple[bytes, ...]:
    """The clips in the order in which they are shown."""
    if not found.backwards:
        return (found.right,)
    return (found.right, found.backwards) if question.right == 1 else (found.backwards, found.right)


def _digest(questions: Sequence[Question], clips: Sequence[tuple[bytes, ...]]) -> str:
    digest = hashlib.sha256(json.dumps([asdict(question) for question in questions]).encode())
    for mp4 in (mp4 for shown in clips for mp4 in shown):
        digest.update(mp4)
    return digest.hexdigest()[:12]


def _page(key: Key, clips: Sequence[tuple[bytes, ...]], notes: Sequence[str]) -> str:
    """The HTML. It tells neither which option is right nor the task, sample or group of a question."""
    shown = [
        {
            "id": question.id,
            "caption": question.caption if question.task == "reversal" else None,
            "texts": None if question.task == "reversal" else [question.first, question.second],
            "note": note,
        }
        for question, note in zip(key.questions, notes, strict=True)
    ]
    coded = [
        (f"{question.id}-{place}", base64.b64encode(mp4).decode())
        for question, mp4s in zip(key.questions, clips, strict=True)
        for place, mp4 in enumerate(mp4s, 1)
    ]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("paxion.actionbench").joinpath("human.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        kit=key.kit,
        data=key.data,
        questions=shown,
        captions=sum(question.task != "reversal" for question in key.questions),
        reversals=sum(question.task == "reversal" for question in key.questions),
        tags=any("#C" in question.caption for question in key.questions),
        clips=coded,
    )
