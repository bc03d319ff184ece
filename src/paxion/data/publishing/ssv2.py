"""Writing Something-Something v2, ActionBench-SSv2, SSv2-label and SSv2-template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paxion.data.publishing.rows import (
    Entry,
    Parts,
    Written,
    blanked,
    bracketed,
    capital,
    keep,
    placeholders,
    write_json,
    write_lines,
)
from paxion.data.publishing.salience import write_salience
from paxion.data.publishing.videos import put

ORIGINAL, ACTIONBENCH = "original", "shuffled_object_and_action_antonyms"
_SLOTS = {"template that fits its caption": lambda entry: placeholders(entry.sample.template, entry.sample.caption)}
_ANTONYM = {"antonym": lambda entry: entry.sample.antonym}


def write_ssv2(folder: Path, parts: Parts) -> list[Written]:
    """Write all files of Something-Something into `folder`, and the videos of every row to `folder/videos`.

    validation and val_small hold the rows to evaluate on; test, which has templates only, the others.
    """
    for entry in (*parts.train, *parts.evaluated, *parts.spare):
        put(entry.shot, folder / "videos" / f"{entry.number}.mp4")
    return [
        *_original(folder / ORIGINAL, parts),
        *_actionbench(folder / ACTIONBENCH, parts),
        *_retrieval(folder, parts),
    ]


def _original(folder: Path, parts: Parts) -> list[Written]:
    written = []
    for name, entries in (("train", parts.train), ("validation", parts.evaluated)):
        kept, counted = keep(entries, f"{folder.name}/{name}.json", _SLOTS)
        rows = [
            {
                "id": str(entry.number),
                "label": entry.sample.caption,
                "template": bracketed(_template(entry)),
                "placeholders": _objects(entry),
            }
            for entry in kept
        ]
        write_json(folder / f"{name}.json", rows)
        written.append(counted)
    return [*written, _test(folder, parts.spare, header=False), _labels(folder, parts)]


def _actionbench(folder: Path, parts: Parts) -> list[Written]:
    train, in_train = keep(parts.train, f"{folder.name}/train.json", _SLOTS)
    write_json(folder / "train.json", [_row(entry) for entry in train])
    turned, in_antonyms = keep(train, f"{folder.name}/train_antonym.json", _ANTONYM)
    write_json(folder / "train_antonym.json", [_row(entry) | _foils(entry) for entry in turned])
    validation, in_validation = keep(parts.evaluated, f"{folder.name}/validation.json", _SLOTS | _ANTONYM)
    rows = []
    for entry in validation:
        other = entry.sample.replaced
        shuffled = {} if other is None else {"label_object_shuffled_clip_text": other.lower()}
        rows.append(_row(entry) | _foils(entry) | shuffled)
    write_json(folder / "validation.json", rows)
    for part, entries in (("train", train), ("val", validation)):
        write_salience(folder, part, ((str(entry.number), entry.sample, {}) for entry in entries))
    return [in_train, in_antonyms, in_validation, _test(folder, parts.spare, header=True), _labels(folder, parts)]


def _retrieval(folder: Path, parts: Parts) -> list[Written]:
    written = []
    for part, entries in (("train", parts.train), ("val_small", parts.evaluated)):
        file = f"ssv2_ret_label_{part}.json"
        kept, counted = keep(entries, file, {})
        _texts(folder / file, kept, [entry.sample.caption for entry in kept])
        written.append(counted)
        file = f"ssv2_ret_template_{part}.json"
        kept, counted = keep(entries, file, {"action": lambda entry: entry.name})
        _texts(folder / file, kept, [bracketed(capital(entry.name or "")) for entry in kept])
        written.append(counted)
    return written


def _texts(path: Path, entries: Sequence[Entry], texts: Sequence[str]) -> None:
    """A list of texts, each with its videos; a text that several rows share is there once."""
    videos: dict[str, list[str]] = {}
    for entry, text in zip(entries, texts, strict=True):
        videos.setdefault(text, []).append(f"{entry.number}.webm")
    write_json(path, [{"video": names, "caption": text} for text, names in videos.items()])


def _test(folder: Path, entries: Sequence[Entry], header: bool) -> Written:
    kept, counted = keep(entries, f"{folder.name}/test.json", _SLOTS)
    write_json(folder / "test.json", [{"id": str(entry.number)} for entry in kept])
    lines = [f"{entry.number};{bracketed(_template(entry))}" for entry in kept]
    write_lines(folder / "test-answers.csv", ["id;template", *lines] if header and lines else lines)
    return counted


def _labels(folder: Path, parts: Parts) -> Written:
    entries = (*parts.train, *parts.evaluated, *parts.spare)
    templates = sorted({_template(entry) for entry in entries if _objects(entry)})
    write_json(folder / "labels.json", {template: str(number) for number, template in enumerate(templates)})
    return Written(f"{folder.name}/labels.json", len(templates))


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.number,
        "label": entry.sample.caption.capitalize(),
        "template": _template(entry),
        "placeholders": _objects(entry),
    }


def _foils(entry: Entry) -> dict[str, str]:
    antonym = entry.sample.antonym or ""
    template = blanked(antonym, _objects(entry))
    return {
        "template_action_antonym_clip_text": capital(template),
        "label_action_antonym_clip_text": antonym.capitalize(),
    }


def _objects(entry: Entry) -> tuple[str, ...]:
    return placeholders(entry.sample.template, entry.sample.caption) or ()


def _template(entry: Entry) -> str:
    return capital(entry.sample.template or "")
