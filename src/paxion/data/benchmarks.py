"""Published evaluation sets, and manifests, as what is scored: clips, tasks, candidates, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from paxion.data.formats import format_of, split_of
from paxion.data.kinetics import read_kinetics
from paxion.data.lists import read_ids, read_labels
from paxion.data.moments import read_moments
from paxion.data.nextqa import read_nextqa
from paxion.data.rows import BadRow
from paxion.data.ssv2 import read_ssv2_retrieval
from paxion.data.table import read_manifest_rows
from paxion.data.temporal import read_temporal
from paxion.records import PROBES, QUESTIONS, RETRIEVALS, SPLITS, TASKS, TWINS, PaxionError, Sample, Split, unknown_name
from paxion.results import Missed

NAMED = 5
"""Examples of a problem that are named."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What `paxion evaluate` scores. Problems are in it, and not in the samples."""

    name: str
    """One of BENCHES; published sets are called so in results too, the rows of a manifest by their `source`."""
    samples: list[Sample]
    """Of one split, those whose video is missing among them; video paths are absolute."""
    tasks: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """Candidates of video_to_action, also those whose clips are all missing. Empty: there are no labels."""
    listed: bool = False
    """The labels come from a list of their own, not from the rows."""
    hard: frozenset[str] = frozenset()
    """Ids of the hard questions."""
    problems: tuple[Missed, ...] = ()
    """Rows, labels and ids that cannot be used."""
    notes: tuple[str, ...] = ()
    """What is scored, but is to be known: labels without clips, clips that stand at several captions."""


@dataclass(frozen=True, slots=True)
class Published:
    """How a published set is read."""

    read: Callable[..., Iterator[Sample | BadRow]]
    tasks: tuple[str, ...]
    """What it is for, and all that can be asked of it."""
    description: str


BENCHES: dict[str, Published] = {
    "ssv2-label": Published(
        read_ssv2_retrieval, ("text_to_video", "video_to_text"), "SSv2-label: json of a video and its caption"
    ),
    "ssv2-template": Published(
        read_ssv2_retrieval, ("video_to_action", "text_to_video"), "SSv2-template: json of videos and their template"
    ),
    "temporal-ssv2": Published(
        partial(read_temporal, subset="ssv2"), ("video_to_action",), "Temporal-SSv2: the SSv2 rows of a temporal csv"
    ),
    "temporal-kinetics": Published(
        partial(read_temporal, subset="kinetics"), ("video_to_action",), "Temporal-Kinetics: the rows of Kinetics"
    ),
    "moments": Published(read_moments, ("video_to_action",), "Moments in Time: csv of video, label and votes"),
    "kinetics": Published(read_kinetics, ("video_to_action",), "Kinetics: csv, or a folder of class folders"),
    "nextqa": Published(read_nextqa, QUESTIONS, "NExT-QA: csv of questions with five choices"),
    "manifest": Published(read_manifest_rows, (*RETRIEVALS, *QUESTIONS), "a manifest of paxion"),
}
"""What `paxion evaluate --task` may be."""


def read_bench(
    path: Path,
    task: str | None = None,
    *,
    videos: Path | None = None,
    split: str | None = None,
    tasks: Sequence[str] = (),
    labels: Path | None = None,
    hard: Path | None = None,
) -> Bench:
    """Read an evaluation set.

    task: one of BENCHES; default: told from the file. videos: the folder of the videos; default: `videos` beside the
    file, else the file's own folder (a manifest says itself where they are). split: only rows of this one, for files
    that say it; default for a manifest: test. tasks: some of those that its fields allow (a manifest allows probes
    too); default: what the set is for. labels: a file of candidate labels (`read_labels`). hard: ids (`read_ids`).

    Raises PaxionError for a file that cannot be read or told, one without a sound row, and tasks or lists that do
    not fit it.
    """
    path = Path(path)
    name = task or bench_of(path)
    if name not in BENCHES:
        raise unknown_name("task", name, BENCHES)
    if split is not None and split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    wanted = split or ("test" if name == "manifest" else None)
    root = _root(path, name, videos)
    samples, bad, others = [], [], 0
    given: Split = split_of(path) or "test"
    for row in BENCHES[name].read(path, split=given, videos=videos if name == "manifest" else root):
        if isinstance(row, BadRow):
            bad.append(row)
        elif wanted not in (None, row.split):
            others += 1
        else:
            samples.append(_placed(row, name, root))
    if not samples:
        raise PaxionError(_nothing(path, name, bad, wanted, others))
    # Rows may say several splits; what is evaluated together is one.
    samples = [
        sample if sample.split == samples[0].split else replace(sample, split=samples[0].split) for sample in samples
    ]
    chosen = _tasks(path, name, samples, tasks)
    data = path.stem if name == "manifest" else name
    problems = [_counted(data, "row cannot be used", [str(row) for row in bad])] if bad else []
    found, notes = _labels(samples, labels, data, chosen, problems)
    return Bench(
        name=name,
        samples=samples,
        tasks=chosen,
        labels=found,
        listed=labels is not None,
        hard=_hard(hard, samples, chosen),
        problems=tuple(problems),
        notes=(*notes, *_several(samples, chosen)),
    )


def bench_of(path: Path) -> str:
    """The name in BENCHES of a file or folder. Raises PaxionError where the file does not tell, or is none of them."""
    kind = format_of(path)
    if kind == "ssv2-retrieval":
        told = [name for name in ("ssv2-label", "ssv2-template") if name.removeprefix("ssv2-") in path.stem.lower()]
        if len(told) == 1:
            return told[0]
        raise PaxionError(f"{path} may be SSv2-label or SSv2-template; say which: --task ssv2-label or ssv2-template")
    if kind == "temporal":
        rows = (row for row in read_temporal(path, split="test") if isinstance(row, Sample))
        # The subsets of the published files are not mixed up: the first rows of a part may hide the other one.
        subsets = sorted({row.source or "" for row in islice(rows, 100_000)})
        if len(subsets) == 1:
            return subsets[0]
        held = "rows of both subsets" if subsets else "no sound row"
        raise PaxionError(f"{path} holds {held}; say which to score: --task temporal-ssv2 or temporal-kinetics")
    if kind in BENCHES:
        return kind
    raise PaxionError(
        f"{path} is in the format {kind}, which is no evaluation set ({', '.join(BENCHES)}); "
        f"make a manifest of it with paxion build, or name the set with --task"
    )


def _root(path: Path, name: str, videos: Path | None) -> Path:
    """The folder that video paths are relative to."""
    if videos is not None:
        if not videos.is_dir():
            raise PaxionError(f"got --videos {videos}, which is no folder; give the folder of the videos")
        return videos.absolute()
    if path.is_dir():
        return path.absolute()
    beside = path.absolute().parent
    return beside / "videos" if name != "manifest" and (beside / "videos").is_dir() else beside


def _placed(sample: Sample, name: str, root: Path) -> Sample:
    """The sample with an absolute video path and what its set says of it."""
    sample = replace(sample, video=str(root / sample.video))
    if name == "ssv2-label":
        return replace(sample, source=name, template=None, action=None)
    if name == "ssv2-template":
        return replace(sample, source=name, template=sample.caption, action=sample.caption)
    return sample if name == "manifest" else replace(sample, source=name)


def _nothing(path: Path, name: str, bad: Sequence[BadRow], split: str | None, others: int) -> str:
    if others:
        return f"{path} has no {split} rows; give another --split"
    if bad:
        return (
            f"{path} has no row that can be used as {name}, the first: {bad[0]}; mend the rows, or name another --task"
        )
    return f"{path} has no rows for {name}; name another --task"


def _tasks(path: Path, name: str, samples: Sequence[Sample], asked: Sequence[str]) -> tuple[str, ...]:
    """The tasks to score: those asked for, else those that the set is for and its fields allow."""
    has = {
        **{task: any(sample.antonym for sample in samples) for task in ("antonym", *TWINS)},
        "object": any(sample.replaced for sample in samples),
        "video_to_action": any(sample.template for sample in samples),
        "questions": any(sample.question or sample.choices for sample in samples),
    }
    allowed = BENCHES[name].tasks + (PROBES + TWINS if name == "manifest" else ())
    possible = [task for task in allowed if has.get(task, True)]
    for task in asked:
        if task not in TASKS:
            raise unknown_name("task", task, TASKS)
        if task not in possible:
            raise PaxionError(f"{path} has nothing for the task {task} as {name}; it allows {', '.join(possible)}")
    return tuple(dict.fromkeys(asked)) or tuple(task for task in BENCHES[name].tasks if task in possible)


def _labels(
    samples: Sequence[Sample], file: Path | None, data: str, tasks: Sequence[str], problems: list[Missed]
) -> tuple[tuple[str, ...], list[str]]:
    """The candidate labels, of a file or of all rows, and notes. Bad lines of the file join the problems."""
    if "video_to_action" not in tasks:
        if file is not None:
            raise PaxionError(
                f"got --labels {file}, but none of the tasks ({', '.join(tasks)}) has labels; leave it out"
            )
        return (), []
    said = dict.fromkeys(sample.template for sample in samples if sample.template)
    if file is None:
        return tuple(said), []
    labels, bad = read_labels(file)
    if bad:
        problems.append(_counted(data, "label cannot be used", [str(row) for row in bad], "labels"))
    idle = [label for label in labels if label not in said]
    if len(idle) == len(labels):
        raise PaxionError(
            f"none of the {len(labels)} labels of {file} is that of a clip, got {labels[0][:60]!r} and the like, "
            f"expected such as {next(iter(said))!r}; give the list of this set"
        )
    note = (
        f"{len(idle)} of {len(labels)} labels of {file} have no clip ({_shown(idle)}); they are candidates all the same"
    )
    return tuple(labels), [note] if idle else []


def _hard(file: Path | None, samples: Sequence[Sample], tasks: Sequence[str]) -> frozenset[str]:
    if file is None:
        return frozenset()
    if "questions" not in tasks:
        raise PaxionError(f"got --hard {file}, but none of the tasks ({', '.join(tasks)}) is questions; leave it out")
    ids = read_ids(file)
    if not any(sample.id in ids for sample in samples):
        raise PaxionError(
            f"none of the {len(ids)} ids of {file} is a question, got {min(ids)!r} and the like, expected such as "
            f"{samples[0].id!r}; give the list of this set"
        )
    return ids


def _several(samples: Sequence[Sample], tasks: Sequence[str]) -> list[str]:
    """A note of clips that stand at several captions, where captions are what is searched for."""
    if "video_to_text" not in tasks:
        return []
    said = {(sample.video, sample.start, sample.end, sample.caption) for sample in samples}
    shown = Counter((video, start, end) for video, start, end, _ in sorted(said, key=str))
    several = [Path(video).name for (video, *_), count in shown.items() if count > 1]
    note = (
        f"{len(several)} clips stand at several captions ({_shown(several)}): "
        "at each of these rows only its own caption is right"
    )
    return [note] if several else []


def _counted(data: str, reason: str, examples: Sequence[str], task: str = "all") -> Missed:
    return Missed(data, task, f"{reason} ({examples[0]})", len(examples), tuple(examples[:NAMED]))


def _shown(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names[:3]) + (", ..." if len(names) > 3 else "")
