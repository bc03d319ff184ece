"""A manifest as a Hugging Face dataset folder: videos, metadata.jsonl a split, and a card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from paxion.exporting.clips import place
from paxion.exporting.folder import Clips, Exported, json_lines, new_folder, readable_clips, write_note
from paxion.files import write_text
from paxion.manifest import manifest_hash
from paxion.records import SPLITS, Sample

SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}
"""What a split is called in the folder: the names that `datasets` knows."""
COLUMNS = tuple(part.name for part in fields(Sample) if part.name != "video")
TYPES = {
    **dict.fromkeys(("salient", "reversible"), "bool"),
    **dict.fromkeys(("start", "end", "text_change", "state_similarity"), "float64"),
    "answer": "int64",
    **dict.fromkeys(("objects", "choices", "antonym_choices"), "list"),
}
"""Types of the columns that are not strings, as a card names them."""


def export_dataset(
    manifest: Path,
    out: Path,
    *,
    splits: Sequence[str] = SPLITS,
    license: str = "unknown",
    link: bool = False,
    command: str = "",
    tick: Callable[[int], object] = lambda done: None,
) -> Exported:
    """Write the folder. Files are whole: where a clip is a part of its file, `start` and `end` say which, in seconds.

    splits: those without rows are passed over. license: for the card. link: link to video files instead of copying
    them. tick: called with 1 for each clip. Raises PaxionError when `out` is not empty or no clip can be read.
    """
    with new_folder(out) as folder:
        clips = readable_clips(manifest, splits, tick)
        exported = Exported({}, dict(clips.missed))
        used = common_columns([sample for _, sample, _ in clips.samples])
        for split in SPLITS:
            rows = _rows(clips, split, used, folder, link)
            if rows:
                exported.rows[SPLIT_NAMES[split]] = len(rows)
                write_text(folder / SPLIT_NAMES[split] / "metadata.jsonl", json_lines(rows))
        write_text(folder / "README.md", card(manifest, license, command, exported, used))
        write_note(folder, manifest, command, exported)
    return exported


def _rows(clips: Clips, split: str, used: Sequence[str], folder: Path, link: bool) -> list[dict[str, object]]:
    """The rows of a split, with their files put into its folder: a file that several rows share only once."""
    names: dict[Path, str] = {}
    rows = []
    for number, sample, shot in clips.samples:
        if sample.split != split:
            continue
        source = shot.path.resolve()
        if source not in names:
            names[source] = f"videos/{number}{shot.path.suffix}"
            place(shot.path, folder / SPLIT_NAMES[split] / names[source], link)
        row = {name: getattr(sample, name) for name in used}
        if "start" in used:
            row["start"] = sample.start or 0.0
            row["end"] = row["start"] + shot.seconds if sample.end is None else sample.end
        more = {name: value for name in COLUMNS if name not in used and (value := getattr(sample, name)) is not None}
        rows.append(
            {
                "file_name": names[source],
                **row,
                "more": json.dumps(more, ensure_ascii=False),
                "original": sample.video,
            }
        )
    return rows


def common_columns(samples: Sequence[Sample]) -> list[str]:
    """The fields that have values in every split: `datasets` refuses a column that is empty in one split only.

    start and end are both there where any clip is a part of its file; they are filled in for the others.
    """
    splits = {sample.split for sample in samples}
    used = [
        name
        for name in COLUMNS
        if splits == {sample.split for sample in samples if getattr(sample, name) not in (None, ())}
        and name not in ("start", "end")
    ]
    windows = any(sample.start is not None or sample.end is not None for sample in samples)
    return [*used, "start", "end"] if windows else used


def card(manifest: Path, license: str, command: str, exported: Exported, used: Sequence[str]) -> str:
    """README.md: what machines read in front, in YAML, and what people read after it."""
    front = ["---", f"license: {json.dumps(license, ensure_ascii=False)}", "task_categories:", "- video-classification"]
    front += ["tags:", "- video", "- action-understanding", "configs:", "- config_name: default", "  data_files:"]
    for split in exported.rows:
        front += [f"  - split: {split}", f"    path: {split}/**"]
    front += ["dataset_info:", "  features:", "  - name: video", "    dtype: video"]
    for name in (*used, "more", "original"):
        kind = TYPES.get(name, "string")
        front += [f"  - name: {name}", "    list: string" if kind == "list" else f"    dtype: {kind}"]
    front += ["  splits:"]
    for split, count in exported.rows.items():
        front += [f"  - name: {split}", f"    num_examples: {count}"]
    text = [
        "---",
        "",
        "# Captioned clips with foils",
        "",
        "Each row is a clip with its caption and, where there are any, foils: `antonym` (the action turned round) and "
        "`replaced` (an object replaced). Rows of one `group` come from one source, and a group stays within one "
        "split. `start` and `end`, where there are any, say in seconds which part of the file is meant. `more` holds, "
        "as JSON, what not every split has. `original` is the file's path in the manifest.",
        "",
        _table(exported.rows),
        "",
        f"Made by paxion from `{manifest.name}` (SHA-256 starts with {manifest_hash(manifest)}):",
        "",
        "```",
        command or "paxion export dataset",
        "```",
        "",
        *_missing(exported.missed),
    ]
    return "\n".join([*front, *text])


def _table(rows: Mapping[str, int]) -> str:
    return "\n".join(["| split | rows |", "|---|---|", *(f"| {split} | {count} |" for split, count in rows.items())])


def _missing(missed: Mapping[str, str]) -> list[str]:
    """A line on clips that could not be read: every one of them is named in export.json too."""
    if not missed:
        return ["No clip of these splits is missing.", ""]
    names = ", ".join(f"`{name}`" for name in missed)
    counted = Counter(missed.values()).most_common(1)[0][0] if len(missed) == 1 else "the reasons are in export.json"
    return [f"{len(missed)} clips could not be read and are not here ({counted}): {names}.", ""]
