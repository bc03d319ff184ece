"""ViLMA: captions with foils that test one linguistic phenomenon each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paxion.data.fields import needed_text, seconds, shown, strings, text, window
from paxion.data.json_rows import read_json
from paxion.data.rows import BadRow, RowError
from paxion.data.samples import PUBLISHED, first_existing, to_samples
from paxion.records import PaxionError, Sample, Split

_FPS = 30.0
"""Frames a second of the normalised QUVA videos, whose windows are counted in frames (ViLMA's own conversion)."""
_YOUTUBE_ID = 11
"""Characters of a YouTube id. VidSitu writes one or two digits behind it."""


def read_vilma(
    path: Path, *, split: Split, videos: Path | None = None, validated: bool = False
) -> Iterator[Sample | BadRow]:
    """Read a probe file of ViLMA, `{key: {caption, foils, ...}}`: one sample a foil, with ids "key#0", "key#1".

    Foils that change the noun (`foil_masked_pos` is "noun") are `replaced`. All others are `antonym`: they change the
    action, the state before or after it, the preposition, who acts, or how often. `kind` is the phenomenon.
    The split is the given one: `original_split` is about the data set that a video was taken from.
    validated: only the items that ViLMA's evaluation keeps, those that two of three people judged right and whose
    proficiency test is right; items that nobody judged stay.
    Videos: `{YTID}.mp4` with the window in it, or the cut `{video_file}.mp4` if `videos` holds that; `{id}.webm` for
    Something-Something; `normalized_videos/{file}` for QUVA. Windows in frames are turned into seconds.
    """
    path = Path(path)
    if path.stem.lower() == "quva-proficiency-foils":
        raise PaxionError(f"{path} holds foils of a proficiency test without captions, expected a probe file of ViLMA")
    source = "vilma-" + path.stem.lower().replace("_", "-")

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        if validated and not _valid(row):
            return
        caption, foils = needed_text(row, "caption"), strings(row["foils"], "foils")
        if foils is None:
            raise RowError("foils: got none, expected at least one")
        masked = row.get("foil_masked_pos")
        noun = masked == ["noun"] or masked == "noun"
        group, video, start, end = _place(row, videos)
        for number, foil in enumerate(foils):
            yield Sample(
                id=f"{needed_text(row, 'key')}#{number}",
                video=video,
                caption=caption,
                split=split,
                group=group,
                antonym=None if noun else foil,
                replaced=foil if noun else None,
                verb=_verb(row),
                start=start,
                end=end,
                source=source,
                antonym_note=None if noun else PUBLISHED,
                replaced_note=PUBLISHED if noun else None,
                kind=text(row, "linguistic_phenomena") or path.stem.split("-")[0],
            )

    yield from to_samples(path, read_json(path, ("caption", "foils")), samples_of, unique=True)


def _place(row: dict[str, Any], videos: Path | None) -> tuple[str, str, float | None, float | None]:
    """(group, video, start, end) of an item."""
    youtube, file = text(row, "youtube_id"), text(row, "video_file")
    start, end = seconds(row.get("start_time"), "start_time"), seconds(row.get("end_time"), "end_time")
    if row.get("time_unit") == "pts":
        if row.get("normalized") is not True:
            raise RowError("time_unit: got frames of a video of unknown rate, expected seconds, or a normalised video")
        start, end = (None if frames is None else round(frames / _FPS, 4) for frames in (start, end))
    elif row.get("time_unit") not in (None, "sec"):
        raise RowError(f"time_unit: got {shown(row['time_unit'])}, expected sec or pts")
    start, end = window(start, end)
    if youtube is not None:
        group = youtube[:_YOUTUBE_ID]
        whole = f"{group}.mp4"
        cut = f"{file}.mp4" if file else whole
        video = first_existing(videos, whole, cut)
        return (group, video, start, end) if video == whole else (group, video, None, None)
    if file is None:
        raise RowError("youtube_id, video_file: got nothing, expected one of them")
    if row.get("dataset") == "something-something-v2":
        return file, first_existing(videos, f"{file}.webm", f"{file}.mp4"), start, end
    if row.get("dataset") == "QUVA":
        return file, first_existing(videos, f"normalized_videos/{file}", file), start, end
    return file, first_existing(videos, f"{file}.mp4"), start, end


def _valid(row: dict[str, Any]) -> bool:
    judged, proficiency = row.get("mturk"), row.get("proficiency")
    human = proficiency.get("human") if isinstance(proficiency, dict) else None
    right = not isinstance(judged, dict) or judged.get("caption") in (2, 3)
    return right and (not isinstance(human, dict) or human.get("caption") == 1)


def _verb(row: dict[str, Any]) -> str | None:
    change = row.get("change_of_state")
    return text(change, "verb") if isinstance(change, dict) else None
