"""What the tests of the readers share: the real files beside the repository, and a look at what a reader gave."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from paxion.data.rows import BadRow
from paxion.records import Sample

ANNOTATIONS = Path(__file__).parents[3] / "shared" / "corpus" / "annotations"
real = pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason="no ../shared/corpus/annotations beside the repository")
CODE = "__import__('pathlib').Path('evaluated').touch()"
"""What a list must never be: run as code, it leaves a file behind."""


def given(rows: Iterable[Sample | BadRow]) -> tuple[list[Sample], list[tuple[int, str]]]:
    """(samples, (line, message) of the bad rows) of a reader."""
    found = list(rows)
    return (
        [row for row in found if isinstance(row, Sample)],
        [(row.line, row.message) for row in found if isinstance(row, BadRow)],
    )


def written(path: Path, content: object) -> Path:
    """A file of text (as it is), of bytes, or of a JSON value."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), "utf-8")
    return path


def jsonl(path: Path, *rows: object) -> Path:
    """A JSON Lines file; a row that is text is written as it is. NaN is written as NaN."""
    return written(path, "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
