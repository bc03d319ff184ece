"""Writing NExT-QA with the antonyms of its answers."""

from __future__ import annotations

from pathlib import Path

from paxion.data.publishing.rows import Entry, Parts, Written, keep, placeholders, write_csv, write_json, write_lines
from paxion.data.publishing.videos import put

CHOICES = 5
KINDS = ("CW", "CH", "TN", "TC", "TP", "DC", "DL", "DO")
"""The published kinds of questions; one of another kind is written as the last of them."""
_WANTS = {
    "question": lambda entry: entry.sample.question,
    f"{CHOICES} choices": lambda entry: len(entry.sample.choices or ()) == CHOICES,
    "answer": lambda entry: entry.sample.answer is not None,
}


def write_nextqa(folder: Path, parts: Parts) -> list[Written]:
    """Write train.csv, val.csv (the rows to evaluate on), test.csv, map_vid_vidorID.json, hard.txt and the videos.

    hard.txt has the ids of the hard questions of val.csv. A question is hard if its wrong choices have both the antonym
    of the right one, and the right one of another object.
    """
    written, stems, hard = [], {}, []
    for name, entries in (("train", parts.train), ("val", parts.evaluated), ("test", parts.spare)):
        kept, counted = keep(entries, f"{name}.csv", _WANTS)
        for entry in kept:
            stems[str(entry.number)] = stem = f"{entry.number // 100:04d}/{entry.number}"
            put(entry.shot, folder / "videos" / f"{stem}.mp4")
            if name == "val" and is_hard(entry):
                hard.append(f"{entry.number}_0")
        write_csv(folder / f"{name}.csv", _HEADER, [_row(entry) for entry in kept])
        written.append(counted)
    write_json(folder / "map_vid_vidorID.json", stems)
    write_lines(folder / "hard.txt", hard)
    return [*written, Written("hard.txt", len(hard))]


def is_hard(entry: Entry) -> bool:
    """Whether neither the action nor the objects alone tell the right choice."""
    sample = entry.sample
    wrong = [choice for choice in sample.choices or () if choice != sample.caption]
    same_action = any(placeholders(sample.template, choice) for choice in wrong)
    return same_action and sample.antonym in wrong


_HEADER = (
    *("video", "frame_count", "width", "height", "question", "answer", "qid", "type"),
    *("a0", "a1", "a2", "a3", "a4", "action_antonym_choices"),
)


def _row(entry: Entry) -> list[object]:
    sample, shot = entry.sample, entry.shot
    kind = sample.kind if sample.kind in KINDS else KINDS[-1]
    head = [entry.number, shot.frames, shot.width, shot.height, sample.question, sample.answer, 0, kind]
    return [*head, *(sample.choices or ()), repr(list(sample.antonym_choices or ()))]
