"""The formats of data sets by name, and which of them a file is in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from paxion.data.ego4d import read_ego4d
from paxion.data.epic import read_epic
from paxion.data.fields import split_named
from paxion.data.json_rows import first_object
from paxion.data.kinetics import VIDEO_SUFFIXES, read_kinetics
from paxion.data.moments import read_moments
from paxion.data.nextqa import read_nextqa
from paxion.data.rows import BadRow, columns_of, file_lines, listed
from paxion.data.ssv2 import read_ssv2, read_ssv2_retrieval
from paxion.data.table import ALIASES, read_manifest_rows, read_table
from paxion.data.temporal import read_temporal
from paxion.data.vilma import read_vilma
from paxion.data.vitatecs import read_vitatecs
from paxion.records import PaxionError, Sample, Split


@dataclass(frozen=True, slots=True)
class Format:
    """How annotations are written."""

    read: Callable[..., Iterator[Sample | BadRow]]
    """Called with a path, `split` and `videos`; a few readers take more."""
    description: str
    """Which files are meant, in one line."""
    published_splits: bool
    """The data set is published in splits that keep the videos apart."""


FORMATS: dict[str, Format] = {
    "ssv2": Format(
        read_ssv2, "Something-Something v2 or ActionBench-SSv2: train, validation, test json; id;template", True
    ),
    "ssv2-retrieval": Format(read_ssv2_retrieval, "SSv2-label or SSv2-template: json of videos and captions", True),
    "ego4d": Format(read_ego4d, "EgoClip, tab-separated, or ActionBench-Ego4D jsonl", False),
    "nextqa": Format(read_nextqa, "NExT-QA csv, with or without antonym choices", True),
    "temporal": Format(read_temporal, "Temporal-SSv2 and Temporal-Kinetics: csv of video_id, text, dataset", False),
    "moments": Format(read_moments, "Moments in Time: csv of video, label and votes, without a header", True),
    "kinetics": Format(read_kinetics, "Kinetics csv, or a folder of class folders of videos", True),
    "epic": Format(read_epic, "EPIC-Kitchens-100: train or validation csv", True),
    "vilma": Format(read_vilma, "ViLMA: json of captions and foils", False),
    "vitatecs": Format(read_vitatecs, "VITATECS: jsonl of captions and counterfactuals", False),
    "table": Format(read_table, "any csv, tsv, jsonl or json list with columns for video and caption", False),
    "manifest": Format(read_manifest_rows, "a manifest of paxion", True),
}


def format_of(path: Path) -> str:
    """The name of the format of a file or folder, told from its first row or header.

    Raises PaxionError when it cannot be read, or is in none of the formats.
    """
    path = Path(path)
    if path.is_dir():
        return "kinetics"
    if next(file_lines(path))[1].lstrip()[:1] in (b"[", b"{"):
        first = first_object(path) or {}
        names = list(first)
        name = _json_format(path, set(names), first.get("video"))
    else:
        names, delimiter = columns_of(path)
        name = _table_format(names, delimiter)
    if name is None:
        raise PaxionError(
            f"{path} is in no known format, its columns are {listed(names)}; "
            f"expected one of {', '.join(FORMATS)}: name the format, or the columns of a table"
        )
    return name


def split_of(path: Path) -> Split | None:
    """The split that the name of a file says ("EPIC_100_train.csv", "nextqa_val.csv"); None if none or several."""
    words = re.sub(r"([a-z])([A-Z])", r"\1 \2", Path(path).stem)
    splits = {split_named(word) for word in re.findall("[A-Za-z]+", words)} - {None}
    return splits.pop() if len(splits) == 1 else None


def _json_format(path: Path, names: set[str], video: object) -> str | None:
    for name, fields in _JSON_FIELDS.items():
        if fields <= names:
            return name
    if names == {"video", "caption"} and (isinstance(video, list) or "ssv2" in path.stem.lower()):
        return "ssv2-retrieval"
    if names == {"id"}:
        return "ssv2"
    return "table" if _has_aliases(names) else None


def _table_format(names: list[str], delimiter: str) -> str | None:
    for name, columns in _TABLE_COLUMNS.items():
        if columns <= set(names):
            return name
    if delimiter == ";" and len(names) == 2 and (names[0].isdigit() or names == ["id", "template"]):
        return "ssv2"
    if (
        len(names) == 4
        and Path(names[0]).suffix.lower() in VIDEO_SUFFIXES
        and names[2].isdigit()
        and names[3].isdigit()
    ):
        return "moments"
    return "table" if _has_aliases({name.lower() for name in names}) else None


def _has_aliases(names: set[str]) -> bool:
    return all(names & set(aliases) for aliases in ALIASES.values())


# Fields that tell a format, the first that fits.
_JSON_FIELDS = {
    "manifest": {"id", "video", "caption", "split", "group"},
    "ego4d": {"clip_text", "clip_uid"},
    "vitatecs": {"video_name", "caption", "counterfactual"},
    "vilma": {"caption", "foils"},
    "ssv2": {"id", "label", "template"},
}
_TABLE_COLUMNS = {
    "ego4d": {"clip_text", "clip_start", "clip_end"},
    "nextqa": {"question", "a0", "a1", "a2", "a3", "a4"},
    "temporal": {"video_id", "text", "dataset"},
    "epic": {"narration_id", "narration"},
    "kinetics": {"label", "youtube_id", "time_start"},
}
