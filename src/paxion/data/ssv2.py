"""Something-Something v2, its ActionBench version, and the SSv2-label and SSv2-template retrieval sets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from paxion.data.fields import needed_text, phrases, shown, strings, text
from paxion.data.json_rows import read_json
from paxion.data.rows import BadRow, Record, RowError, read_columns
from paxion.data.salience import salience_beside
from paxion.data.samples import PUBLISHED, first_existing, to_samples
from paxion.records import PaxionError, Sample, Split

_ANTONYM = "label_action_antonym_clip_text"
_SLOT = re.compile(r"\[([^\]]*)\]|\bsomething\b", re.IGNORECASE)


def read_ssv2(path: Path, *, split: Split, videos: Path | None = None) -> Iterator[Sample | BadRow]:
    """Read train, validation or test json of Something-Something v2 or ActionBench-SSv2, or a csv of `id;template`.

    `caption` is the label as written, `template` and `action` are the template without its brackets, `objects` are the
    placeholders as the label writes them, numbers left out. The test json has only ids: the template comes from
    test-answers.csv beside it, and is the caption too. Videos: `{id}.webm`, or `{id}.mp4` if `videos` holds that.
    ActionBench: the antonym and the object-replaced label are kept as published. A train.json finds its antonyms in
    the train_antonym.json beside it; a row that is not there has none. `salient` is what the published list beside it
    says (`salience.salience_beside`).
    """
    path = Path(path)
    antonyms: dict[str, str] = {}
    templates: dict[str, str] = {}
    salient: dict[str, bool] = {}
    labelled = False
    if path.suffix.lower() == ".csv":
        records = _answers(path)
    else:
        first = [record[1] for record in islice(read_json(path), 20) if not isinstance(record, BadRow)]
        labelled = any("id" not in row or "label" in row for row in first)
        records = read_json(path, ("id", "label") if labelled else ("id",))
        yield from salience_beside(path, salient)
        beside = path.with_name(f"{path.stem}_antonym.json")
        if labelled and beside.exists():
            yield from _collect(antonyms, beside, read_json(beside, ("id", _ANTONYM)), _ANTONYM)
        if not labelled:
            beside = path.with_name("test-answers.csv")
            if not beside.exists():
                raise PaxionError(
                    f"{path} has only ids, as the test set of Something-Something v2; its captions come from {beside}, "
                    "which is not there: put it beside"
                )
            yield from _collect(templates, beside, _answers(beside), "template")

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        name = needed_text(row, "id").strip()
        template = text(row, "template") or templates.get(name)
        plain = None if template is None else without_brackets(template)
        caption = needed_text(row, "label") if labelled else plain
        if caption is None:
            raise RowError(f"id: got {shown(name)}, expected one that has a template")
        antonym = text(row, _ANTONYM) or antonyms.get(name)
        replaced = text(row, "label_object_shuffled_clip_text")
        yield Sample(
            id=name,
            video=first_existing(videos, f"{name}.webm", f"{name}.mp4"),
            caption=caption,
            split=split,
            group=name,
            antonym=antonym,
            replaced=replaced,
            template=plain,
            action=plain,
            salient=salient.get(name),
            source="ssv2",
            antonym_note=PUBLISHED if antonym else None,
            replaced_note=PUBLISHED if replaced else None,
            objects=phrases(caption, _objects(template, strings(row.get("placeholders"), "placeholders"))),
        )

    yield from to_samples(path, records, samples_of, unique=True)


def read_ssv2_retrieval(path: Path, *, split: Split, videos: Path | None = None) -> Iterator[Sample | BadRow]:
    """Read a json of SSv2-label or SSv2-template: a list of `{"video": name or list of names, "caption": text}`.

    Each video of a caption is a row. Brackets are taken out of captions. In SSv2-template the caption is also the
    `template` and the `action`; in SSv2-label, which the file name must say, it names no action.
    Source: the retrieval sets of Singularity (Lei et al. 2022).
    """
    path = Path(path)
    actions = "label" not in path.stem.lower()

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        caption = without_brackets(needed_text(row, "caption"))
        value = row["video"]
        names = (needed_text(row, "video"),) if isinstance(value, str) else strings(value, "video")
        if names is None:
            raise RowError("video: got no name, expected one or a list of them")
        for name in names:
            stem = PurePosixPath(name).stem
            yield Sample(
                id=stem,
                video=first_existing(videos, name, f"{stem}.webm", f"{stem}.mp4"),
                caption=caption,
                split=split,
                group=stem,
                template=caption if actions else None,
                action=caption if actions else None,
                source="ssv2",
            )

    yield from to_samples(path, read_json(path, ("video", "caption")), samples_of, unique=False)


def read_ssv2_labels(path: Path) -> tuple[str, ...]:
    """The templates of labels.json (template to index, written as a string), in the order of their indices.

    Raises PaxionError when the file is no such object, or the indices are not 0 to n - 1.
    """
    try:
        indices = json.loads(Path(path).read_text("utf-8-sig"))
        order = sorted(indices, key=lambda template: int(indices[template]))
        sound = [int(indices[template]) for template in order] == list(range(len(order)))
    except OSError as error:
        raise PaxionError(f"cannot read {path}: {error.strerror or error}; give labels.json") from error
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        sound = False
    if not sound:
        raise PaxionError(f'{path} is no labels.json, expected {{"template": "index", ...}} with indices from 0')
    return tuple(order)


def without_brackets(template: str) -> str:
    """The template in plain words: "Holding [something]" is "Holding something"."""
    return template.replace("[", "").replace("]", "")


def _answers(path: Path) -> Iterator[Record | BadRow]:
    """The rows of a csv of `id;template`, with or without a header."""
    for record in read_columns(path, names=("id", "template"), delimiter=";"):
        if isinstance(record, BadRow) or record[0] > 1 or record[1]["id"].strip().isdigit():
            yield record


def _collect(into: dict[str, str], path: Path, records: Iterator[Record | BadRow], field: str) -> Iterator[BadRow]:
    """Put id and field of a file that lies beside the data into a dictionary; give its bad rows."""
    for record in records:
        if isinstance(record, BadRow):
            yield record
            continue
        try:
            into[needed_text(record[1], "id").strip()] = needed_text(record[1], field)
        except RowError as error:
            yield BadRow(str(path), record[0], str(error))


def _objects(template: str | None, placeholders: tuple[str, ...] | None) -> tuple[str, ...]:
    """The placeholders that name things: not those of the slot [number of]."""
    slots = [slot.lower() for slot in _SLOT.findall(template or "")]
    if len(slots) != len(placeholders or ()):
        return placeholders or ()
    return tuple(p for p, slot in zip(placeholders or (), slots, strict=True) if slot != "number of")
