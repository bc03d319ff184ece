"""Writing ActionBench-Ego4D: narrations of windows of clips that hold several of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from paxion.data.publishing.rows import Entry, Parts, Written, json_of, keep, placeholders, write_lines
from paxion.data.publishing.salience import write_salience
from paxion.data.publishing.videos import join
from paxion.data.salience import window_key

ANTONYMS = "egoclip_subset_action_antonyms_train_val_test_split"
SHUFFLED = "egoclip_subset_action_antonyms_object_shuffled_train_val_test_split"
CLIPS = 4
"""Narrations in one file, at least, where there are so many: groups are kept together."""
LEAD = 30.0
"""Seconds of the long video before the part that the file holds."""
FPS = 30.0
"""What the published files say of every clip, whatever its rate."""


def write_ego4d(folder: Path, parts: Parts) -> list[Written]:
    """Write train, val and test jsonl (test: the rows to evaluate on), those with replaced objects, and the clips.

    Rows need an antonym, as published. Long videos are told apart by their uid; the sources of statistics are they.
    """
    named = (("train", parts.train), ("val", parts.spare), ("test", parts.evaluated))
    everything = [entry for _, entries in named for entry in entries]
    verbs = _ids(entry.sample.verb for entry in everything)
    nouns = _ids(noun for entry in everything for noun in _nouns(entry))
    written = []
    for name, entries in named:
        kept, counted = keep(entries, f"{ANTONYMS}/{name}.jsonl", {"antonym": lambda entry: entry.sample.antonym})
        rows: dict[int, dict[str, Any]] = {}
        for clips in _files(kept):
            for entry, row in zip(clips, _narrations(clips, folder / "clips"), strict=True):
                verb = [verbs[entry.sample.verb]] if entry.sample.verb else []
                tags = {"tag_verb": str(verb), "tag_noun": str([nouns[noun] for noun in _nouns(entry)])}
                rows[entry.number] = row | tags
        write_lines(folder / ANTONYMS / f"{name}.jsonl", [json_of(rows[entry.number]) for entry in kept])
        listed = [(rows[entry.number], entry.sample) for entry in kept]
        write_salience(folder / ANTONYMS, name, ((_key(row), sample, _window(row)) for row, sample in listed))
        written.append(counted)
        if name != "train":
            replaced, counted = keep(
                kept, f"{SHUFFLED}/{name}.jsonl", {"replaced caption": lambda entry: entry.sample.replaced}
            )
            shuffled = (rows[entry.number] | {"object_shuffled_clip_text": entry.sample.replaced} for entry in replaced)
            write_lines(folder / SHUFFLED / f"{name}.jsonl", [json_of(row) for row in shuffled])
            written.append(counted)
    return written


def _files(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Which narrations share a file: groups one after the other, as long as their pictures have one size."""
    groups: dict[tuple[int, int, int], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.shot.width, entry.shot.height, entry.group), []).append(entry)
    held: dict[tuple[int, int], list[Entry]] = {}
    for (width, height, _), group in groups.items():
        clips = held.setdefault((width, height), [])
        clips += group
        if len(clips) >= CLIPS:
            yield held.pop((width, height))
    yield from held.values()


def _narrations(clips: Sequence[Entry], folder: Path) -> Iterator[dict[str, Any]]:
    """Write one file; give the record of each of its narrations, but for the tags."""
    long, uid = f"video-{clips[0].number}", f"clip-{clips[0].number}"
    windows = join([entry.shot for entry in clips], [0] * len(clips), folder / f"{uid}.mp4")
    for number, (entry, (start, end)) in enumerate(zip(clips, windows, strict=True)):
        middle = (start + end) / 2
        yield {
            "video_uid": long,
            "video_dur": 2 * LEAD + windows[-1][1],
            "narration_source": "narration_pass_1",
            "narration_ind": number,
            "narration_time": LEAD + middle,
            "clip_start": LEAD + start,
            "clip_end": LEAD + end,
            "clip_text": entry.sample.caption,
            "tag_verb": "[]",
            "tag_noun": "[]",
            "Unnamed: 10": math.nan,
            "clip_uid": uid,
            "narration_relative_time": middle,
            "clip_relative_start": start,
            "clip_relative_end": end,
            "clip_fps": FPS,
            "action_antonym_clip_text": entry.sample.antonym,
        }


def _key(row: dict[str, Any]) -> str:
    return window_key(row["clip_uid"], row["clip_relative_start"], row["clip_relative_end"])


def _window(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("clip_uid", "clip_relative_start", "clip_relative_end")}


def _nouns(entry: Entry) -> tuple[str, ...]:
    return placeholders(entry.sample.template, entry.sample.caption) or ()


def _ids(words: Iterable[str | None]) -> dict[str | None, int]:
    return {word: number for number, word in enumerate(sorted({word for word in words if word}))}
