"""Kinetics: the published csv, and folders of class folders of clips."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paxion.data.fields import needed_text, seconds, shown, split_named, text, window
from paxion.data.rows import BadRow, Record, RowError, read_columns
from paxion.data.samples import first_existing, to_samples
from paxion.records import PaxionError, Sample, Split

VIDEO_SUFFIXES = frozenset((".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg", ".mpeg"))
_CLIP = re.compile(r"(.+)_(\d{6})_(\d{6})")


def read_kinetics(path: Path, *, split: Split, videos: Path | None = None) -> Iterator[Sample | BadRow]:
    """Read a Kinetics csv (label, youtube_id, time_start, time_end, split) or a folder of class folders of clips.

    The class is caption, template and action. Videos are cut clips: `class/YTID_000010_000020.mp4`, or as `videos`
    holds them: class names with underscores, under a folder of the split, or without class folders. A row's own split
    wins over `split`. In a folder, videos are relative to `videos` if the folder lies under it, else to the folder.
    """
    path = Path(path)
    if path.is_dir():
        folder, root = path.absolute(), (videos or path).absolute()
        below = folder.relative_to(root) if folder.is_relative_to(root) else Path()
        yield from to_samples(path, _clips(path), lambda row: _of_folder(row, below, split), unique=True)
    else:
        records = read_columns(path, ("label", "youtube_id", "time_start", "time_end"))
        yield from to_samples(path, records, lambda row: _of_row(row, videos, split), unique=True)


def clip_times(stem: str) -> tuple[str, float, float] | None:
    """(YouTube id, start, end in seconds) of a clip's name YTID_SSSSSS_EEEEEE; None when it is none."""
    match = _CLIP.fullmatch(stem)
    return None if match is None else (match[1], float(match[2]), float(match[3]))


def _of_row(row: dict[str, Any], videos: Path | None, split: Split) -> Iterator[Sample]:
    label, group = needed_text(row, "label").strip(), needed_text(row, "youtube_id").strip()
    start, end = seconds(row["time_start"], "time_start"), seconds(row["time_end"], "time_end")
    if start is None or end is None:
        raise RowError("time_start, time_end: got nothing, expected seconds")
    window(start, end)
    said = text(row, "split")
    own = split if said is None else split_named(said)
    if own is None:
        raise RowError(f"split: got {shown(said)}, expected train, val, validate or test")
    clip = f"{group}_{int(start):06d}_{int(end):06d}"
    folder = label.replace(" ", "_")
    files = (f"{label}/{clip}.mp4", f"{folder}/{clip}.mp4", f"{clip}.mp4")
    below = [f"{name}/{file}" for name in dict.fromkeys((said or own, own)) for file in files]
    yield _clip(f"{label}/{clip}", first_existing(videos, *files, *below), label, own, group)


def _clips(folder: Path) -> Iterator[Record | BadRow]:
    """A record for each video file of the class folders, in the order of their names."""
    number = 0
    try:
        for kind in sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()):
            for name in sorted(entry.name for entry in os.scandir(folder / kind) if entry.is_file()):
                stem, suffix = os.path.splitext(name)  # noqa: PTH122
                if suffix.lower() in VIDEO_SUFFIXES:
                    number += 1
                    yield number, {"class": kind, "name": name, "stem": stem}
    except OSError as error:
        raise PaxionError(f"cannot read {folder}: {error.strerror or error}; give a folder of class folders") from error
    if not number:
        raise PaxionError(f"{folder} has no class folders with videos in them, expected {folder}/CLASS/NAME.mp4")


def _of_folder(row: dict[str, Any], below: Path, split: Split) -> Iterator[Sample]:
    kind, name, stem = row["class"], row["name"], row["stem"]
    try:
        f"{kind}/{name}".encode()
    except UnicodeEncodeError:
        raise RowError(f"video: got {kind + '/' + name!r}, expected a file name in UTF-8") from None
    times = clip_times(stem)
    yield _clip(
        f"{kind}/{stem}", (below / kind / name).as_posix(), kind.replace("_", " "), split, times[0] if times else stem
    )


def _clip(name: str, video: str, label: str, split: Split, group: str) -> Sample:
    return Sample(
        id=name,
        video=video,
        caption=label,
        split=split,
        group=group,
        template=label,
        action=label,
        source="kinetics",
    )
