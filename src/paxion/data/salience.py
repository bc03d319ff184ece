"""Published lists of the clips that show a change of state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from paxion.data.fields import shown, split_named
from paxion.data.json_rows import read_json
from paxion.data.rows import BadRow, RowError, file_lines

NAME = "state_change_heavy_instance_filtering_{}.json"


def salience_beside(path: Path, into: dict[str, bool]) -> Iterator[BadRow]:
    """Put what the list beside an annotation file says into a dictionary, by its keys; give its bad rows.

    The list of train.json, or train.jsonl, is state_change_heavy_instance_filtering_train.json (of validation ..._val);
    without one nothing is known. Keys: the id in ActionBench-SSv2, `window_key` in ActionBench-Ego4D.
    """
    split = split_named(path.stem)
    beside = path.with_name(NAME.format(split))
    if split is None or not beside.is_file() or next(file_lines(beside))[1].strip() == b"{}":
        return
    for found in read_json(beside, ("if_keep",)):
        if isinstance(found, BadRow):
            yield found
            continue
        line, row = found
        try:
            into[row["key"]] = _flag(row["if_keep"])
        except RowError as error:
            yield BadRow(str(beside), line, str(error))


def window_key(uid: str, start: float, end: float) -> str:
    """What a narration is called in the list: the clip and its window, written as Python writes numbers."""
    return f"{uid}__{float(start)}__{float(end)}"


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise RowError(f"if_keep: got {shown(value)}, expected true or false")
    return value
