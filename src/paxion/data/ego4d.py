"""Ego4D narrations: the EgoClip table and ActionBench-Ego4D."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paxion.data.fields import needed_text, seconds, text, window
from paxion.data.json_rows import read_jsonl
from paxion.data.rows import BadRow, RowError, file_lines, read_columns
from paxion.data.salience import salience_beside, window_key
from paxion.data.samples import PUBLISHED, to_samples
from paxion.records import Sample, Split

_NARRATION = ("video_uid", "narration_source", "narration_ind", "clip_text")


def read_ego4d(path: Path, *, split: Split, videos: Path | None = None) -> Iterator[Sample | BadRow]:
    """Read EgoClip (tab-separated, whole videos `{video_uid}.mp4`) or ActionBench-Ego4D (jsonl, `{clip_uid}.mp4`).

    A row is one narration with its window: `clip_start` to `clip_end` in the whole video, or `clip_relative_start` to
    `clip_relative_end` in the clip. Captions keep their tags (#C C). The group is the whole video. EgoClip tells the
    length of the video, and windows that reach beyond either end by up to half a second are cut (its own loader reads
    those before the start from 0). Ids: video or clip, narration pass and index. ActionBench: the published antonym
    and object-replaced narration are kept; its splits share videos. `salient` is what the published list beside it
    says (`salience.salience_beside`). The lists of tag ids are not read.
    """
    path = Path(path)
    if next(file_lines(path))[1].lstrip().startswith(b"{"):
        needed = (*_NARRATION, "clip_uid", "clip_relative_start", "clip_relative_end")
        salient: dict[str, bool] = {}
        yield from salience_beside(path, salient)
        yield from to_samples(
            path, read_jsonl(path, needed), lambda row: _actionbench(row, split, salient), unique=True
        )
    else:
        needed = (*_NARRATION, "video_dur", "clip_start", "clip_end")
        yield from to_samples(path, read_columns(path, needed), lambda row: _egoclip(row, split), unique=True)


def _egoclip(row: dict[str, Any], split: Split) -> tuple[Sample]:
    start, end = _needed_window(row, "clip_start", "clip_end", seconds(row["video_dur"], "video_dur"))
    return (_narration(row, needed_text(row, "video_uid"), start, end, split),)


def _actionbench(row: dict[str, Any], split: Split, salient: Mapping[str, bool]) -> tuple[Sample]:
    uid = needed_text(row, "clip_uid")
    start, end = _needed_window(row, "clip_relative_start", "clip_relative_end", None)
    narration = _narration(row, uid, start, end, split)
    return (replace(narration, salient=salient.get(window_key(uid, start, end))),)


def _narration(row: dict[str, Any], uid: str, start: float | None, end: float | None, split: Split) -> Sample:
    antonym = text(row, "action_antonym_clip_text")
    replaced = text(row, "object_shuffled_clip_text")
    return Sample(
        id=f"{uid}_{needed_text(row, 'narration_source')}_{needed_text(row, 'narration_ind')}",
        video=f"{uid}.mp4",
        caption=needed_text(row, "clip_text"),
        split=split,
        group=needed_text(row, "video_uid"),
        antonym=antonym,
        replaced=replaced,
        start=start,
        end=end,
        source="ego4d",
        antonym_note=PUBLISHED if antonym else None,
        replaced_note=PUBLISHED if replaced else None,
    )


def _needed_window(
    row: dict[str, Any], start_field: str, end_field: str, duration: float | None
) -> tuple[float, float]:
    start, end = seconds(row[start_field], start_field), seconds(row[end_field], end_field)
    if start is None or end is None:
        raise RowError(f"{start_field if start is None else end_field}: got nothing, expected seconds")
    window(start, end, duration)
    # Cut to the video, where its length is known.
    return max(start, 0.0), end if duration is None else min(end, duration)
