"""Lists that lie beside an evaluation set: candidate labels, and the ids of a hard subset."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from paxion.data.rows import BadRow
from paxion.data.ssv2 import without_brackets
from paxion.records import PaxionError

_INDEXED = re.compile(r"(.*),\s*(\d+)")


def read_labels(path: Path) -> tuple[list[str], list[BadRow]]:
    """Candidate labels, in the order of the file, each once; and the lines that give none: empty, or there already.

    One a line, `label,index` a line (moments_categories.txt), a json list, or a json object of label to index
    (labels.json of SSv2). Quotes round a line and brackets in it are taken off, `+` is a space.
    Raises PaxionError when the file cannot be read, gives no label, or its indices are not each there once.
    """
    text = _text(path, "a list of labels")
    if text.lstrip()[:1] in ("[", "{"):
        found = _json(path, text)
        if not all(isinstance(item, str) for item in found):
            odd = next(item for item in found if not isinstance(item, str))
            raise PaxionError(f"{path}: got {json.dumps(odd)[:60]}, expected labels as texts")
        lines = list(found)
        indices = [json.dumps(index) for index in found.values()] if isinstance(found, dict) else []
    else:
        lines = text.rstrip().splitlines()
        matches = [_INDEXED.fullmatch(line.strip()) for line in lines if line.strip()]
        indices = [match[2] for match in matches if match] if all(matches) else []
        if indices:
            lines = [(match[1] if (match := _INDEXED.fullmatch(line.strip())) else "") for line in lines]
    if len(set(indices)) < len(indices):
        again = next(index for i, index in enumerate(indices) if index in indices[:i])
        raise PaxionError(f"{path} has the index {again} at two labels, expected each once; which label is meant?")
    labels: dict[str, int] = {}
    bad = []
    for number, line in enumerate(lines, 1):
        label = without_brackets(line.strip().strip('"').replace("+", " ")).strip()
        if not label:
            bad.append(BadRow(str(path), number, "got an empty label, expected words"))
        elif label in labels:
            bad.append(BadRow(str(path), number, f'got the label "{label}" again (first on line {labels[label]})'))
        else:
            labels[label] = number
    if not labels:
        raise PaxionError(f"{path} has no label, expected one a line")
    return list(labels), bad


def read_ids(path: Path) -> frozenset[str]:
    """Ids of questions: `video_qid`.

    One a line; or a table of the columns video and qid, with or without a header; or a json list of ids or of
    [video, qid], or a json object of video to a list of qids. Raises PaxionError for anything else.
    """
    text = _text(path, "a list of ids")
    if text.lstrip()[:1] in ("[", "{"):
        found = _json(path, text)
        if isinstance(found, dict):
            found = [
                [video, qid] for video, qids in found.items() for qid in (qids if isinstance(qids, list) else [None])
            ]
        ids = {_id(item, path) for item in found}
    else:
        try:
            rows = [[cell.strip() for cell in row] for row in csv.reader(text.replace("\t", ",").splitlines())]
        except csv.Error as error:
            raise PaxionError(f"cannot read {path}: {error}; give a list of ids") from None
        rows = [row for row in rows if any(row)]
        if rows and rows[0][:1] in (["video"], ["video_id"], ["id"]):
            rows = rows[1:]
        ids = {_id(row if len(row) > 1 else row[0], path) for row in rows}
    if not ids:
        raise PaxionError(f"{path} has no id, expected one a line")
    return frozenset(ids)


def _id(item: Any, path: Path) -> str:
    if isinstance(item, str) and item.strip():
        return item.strip()
    if (
        isinstance(item, list)
        and len(item) == 2
        and all(type(part) in (str, int) and str(part).strip() for part in item)
    ):
        return "_".join(str(part).strip() for part in item)
    raise PaxionError(f"{path}: got {json.dumps(item)[:60]}, expected an id such as 4010069381_6, or a video and a qid")


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PaxionError(f"cannot read {path}: {reason}; give {what}") from error


def _json(path: Path, text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PaxionError(
            f"{path} begins like json but is none ({error}); expected a json list, or one a line"
        ) from None
    return found
