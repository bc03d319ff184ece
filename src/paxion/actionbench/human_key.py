"""The answer key of a human baseline kit: which answer of each question is right. It lies beside the kit, not in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paxion.files import write_text
from paxion.manifest import field_problems
from paxion.records import PROBES, PaxionError

FORMAT = "paxion human key 1"
KEY_SUFFIX = ".key.json"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a kit."""

    id: str
    """"q001" is the first one shown. It says nothing about the answer."""
    task: str
    """antonym, reversal or object."""
    sample: str
    """The id of the sample in the manifest."""
    group: str
    """The sample's group: intervals are clustered by it."""
    caption: str
    first: str
    """What the first option was: a text, or "forward" or "reversed" for the clips of a reversal question."""
    second: str
    right: int
    """1 or 2."""


@dataclass(frozen=True, slots=True)
class Key:
    """The questions of a kit in the order in which they are shown."""

    kit: str
    """The kit's id, a digest of its questions and clips. Answers carry it too."""
    data: str
    """Name of the data set, as in `records.Score.data`."""
    seed: int
    manifest: str
    """`manifest.manifest_hash` of the manifest that the samples came from."""
    questions: tuple[Question, ...]


def key_path(kit: Path | str) -> Path:
    """Where the key of a kit lies: kit.html has kit.key.json beside it. A key's own path stays as it is."""
    kit = Path(kit)
    return kit if kit.name.endswith(KEY_SUFFIX) else kit.with_suffix(KEY_SUFFIX)


def write_key(path: Path, key: Key) -> None:
    """Write the key. Raises PaxionError when the path cannot be written."""
    write_text(path, json.dumps({"format": FORMAT, **asdict(key)}, indent=1, ensure_ascii=False) + "\n")


def read_key(kit: Path | str) -> Key:
    """Read the key of a kit, given the kit or the key. Raises PaxionError when it is missing or not a key."""
    path = key_path(kit)
    content = read_object(path, FORMAT, "the key that paxion human make wrote beside the kit")
    rows = content.pop("questions", None)
    if not isinstance(rows, list) or not rows:
        raise PaxionError(f"{path}: questions: expected a list of questions; give the key as it was written")
    questions = tuple(_question(path, row) for row in rows)
    if len({question.id for question in questions}) < len(questions):
        raise PaxionError(f"{path}: questions: got an id twice, expected each once; give the key as it was written")
    for name, kind in (("kit", str), ("data", str), ("seed", int), ("manifest", str)):
        if type(content.get(name)) is not kind:
            raise PaxionError(
                f"{path}: {name}: expected {'a string' if kind is str else 'a whole number'}; "
                "give the key as it was written"
            )
    return Key(content["kit"], content["data"], content["seed"], content["manifest"], questions)


def read_object(path: Path, expected: str, what: str) -> dict[str, Any]:
    """The JSON object in a file whose "format" is `expected`, without that field.

    what: the file in words, for the PaxionError when it is missing, not JSON, or of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise PaxionError(f"cannot read {path}: {error.strerror or error}; give {what}") from error
    except (ValueError, RecursionError) as error:
        raise PaxionError(f"{path}: not JSON ({error}); give {what}, unchanged") from error
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found != expected:
        raise PaxionError(f"{path}: got format {found!r}, expected {expected!r}; give {what}")
    return dict(content)


def _question(path: Path, row: object) -> Question:
    for field, message in field_problems(Question, row):
        raise PaxionError(f"{path}: questions: {field}: {message}")
    question = Question(**row)  # type: ignore[arg-type]
    if question.task not in PROBES or question.right not in (1, 2):
        raise PaxionError(
            f"{path}: question {question.id}: got task {question.task!r} and right {question.right}, "
            f"expected one of {', '.join(PROBES)} and 1 or 2; give the key as it was written"
        )
    return question
