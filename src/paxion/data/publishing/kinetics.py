"""Writing Kinetics, Temporal-SSv2 and Temporal-Kinetics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from paxion.data.publishing.rows import (
    Entry,
    Parts,
    Written,
    bracketed,
    capital,
    keep,
    write_csv,
    write_lines,
    youtube_id,
)
from paxion.data.publishing.videos import join, put

_ACTION = {"action": lambda entry: entry.name}


def write_kinetics(folder: Path, parts: Parts) -> list[Written]:
    """Write train.csv, validate.csv (the rows to evaluate on), test.csv and kinetics_labels.txt; clips as cut.

    A class is the text of an action, a YouTube id a group; its clips follow each other in whole seconds.
    """
    written, labels = [], set()
    everything = (("train", parts.train), ("validate", parts.evaluated), ("test", parts.spare))
    for name, entries in everything:
        kept, counted = keep(entries, f"{name}.csv", _ACTION)
        rows = []
        for video in _videos(kept):
            for entry, (start, end) in zip(video, _seconds(video), strict=True):
                rows.append([entry.name, youtube_id(video[0].number), start, end, name])
                clip = f"{entry.name}/{_clip(video, start, end)}.mp4"
                put(entry.shot, folder / "videos" / name.replace("validate", "val") / clip)
                labels.add(str(entry.name))
        write_csv(folder / f"{name}.csv", ["label", "youtube_id", "time_start", "time_end", "split"], rows)
        written.append(counted)
    write_lines(folder / "kinetics_labels.txt", sorted(labels))
    return [*written, Written("kinetics_labels.txt", len(labels))]


def write_temporal(folder: Path, parts: Parts) -> list[Written]:
    """Write val-v1.0.csv: each row to evaluate on as one of SSv2, by its id, and as one of Kinetics.

    The Kinetics rows are windows of whole videos, in which the clips of a group follow each other. A window is of whole
    seconds there, so that a clip plays a little slower in it; its frames are the same.
    """
    kept, counted = keep(parts.evaluated, "val-v1.0.csv", _ACTION)
    rows: list[list[object]] = []
    for entry in kept:
        put(entry.shot, folder / "videos" / f"{entry.number}.mp4")
        rows.append([entry.number, bracketed(capital(str(entry.name))), "SSv2"])
    for video in _videos(kept):
        windows = _seconds(video)
        join(
            [entry.shot for entry in video],
            [end - start for start, end in windows],
            folder / "videos" / f"{youtube_id(video[0].number)}.mp4",
        )
        rows += [
            [f"{entry.name}/{_clip(video, *window)}", entry.name, "kinetics"]
            for entry, window in zip(video, windows, strict=True)
        ]
    header = ["", "index", "video_id", "text", "dataset"]
    write_csv(folder / "val-v1.0.csv", header, [[number, number, *row] for number, row in enumerate(rows)])
    counted.rows = len(rows)
    return [counted]


def _videos(entries: Iterable[Entry]) -> list[list[Entry]]:
    """The clips that are taken for parts of one video: those of a group, as far as their pictures have one size."""
    videos: dict[tuple[int, int, int], list[Entry]] = {}
    for entry in entries:
        videos.setdefault((entry.group, entry.shot.width, entry.shot.height), []).append(entry)
    return list(videos.values())


def _seconds(video: list[Entry]) -> list[tuple[int, int]]:
    """Where each clip of a video starts and ends."""
    ends = list(accumulate(math.ceil(entry.shot.seconds) for entry in video))
    return list(zip([0, *ends], ends, strict=False))


def _clip(video: list[Entry], start: int, end: int) -> str:
    return f"{youtube_id(video[0].number)}_{start:06d}_{end:06d}"
