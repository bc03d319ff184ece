"""What models have answered, in a file that only grows: a run that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paxion.asking.model import Likelihood
from paxion.files import make_folder
from paxion.records import PaxionError

ANSWERS = "answers.jsonl"
"""In the folder of the cache."""


class Cache:
    """Answers by key. Lines are appended and flushed, so a kill loses at most the batch that was being asked."""

    def __init__(self, folder: Path) -> None:
        """Read what is there. Raises PaxionError when the folder cannot be made or the file not be read."""
        make_folder(folder)
        self.path = folder / ANSWERS
        self.notes: list[str] = []
        """What was wrong with the file, a line each."""
        self._known: dict[str, str | Likelihood] = {}
        self._whole = True
        try:
            content = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise self._problem("read", error) from error
        lines = content.split(b"\n")
        damaged = 0
        for line in lines:
            if line:
                found = _parsed(line)
                damaged += found is None
                self._known |= [found] if found else []
        self._whole = not lines[-1]
        if damaged:
            self.notes.append(f"{self.path}: {damaged} damaged of {len(lines)} lines left out; they are asked again")

    def get(self, key: str) -> str | Likelihood | None:
        """The answer to a key, if it was given."""
        return self._known.get(key)

    def add(self, answers: Iterable[tuple[str, str | Likelihood]]) -> None:
        """Keep answers. Raises PaxionError when the disk does not take them: what was kept before stays."""
        new = dict(answers)
        if not new:
            return
        lines = "".join(
            json.dumps({"key": key, **_plain(answer)}, ensure_ascii=True) + "\n" for key, answer in new.items()
        )
        try:
            with self.path.open("ab") as file:
                # What a killed run left of a line is closed first, or it would swallow the next one.
                file.write(("" if self._whole else "\n").encode() + lines.encode())
        except OSError as error:
            self._whole = False
            raise self._problem("write", error) from error
        self._whole = True
        self._known |= new

    def _problem(self, what: str, error: OSError) -> PaxionError:
        reason = error.strerror or error
        return PaxionError(f"cannot {what} the cache {self.path}: {reason}; give another folder with --cache, or space")


def digest(*parts: Any) -> str:
    """The key of a question: a hash of everything that the answer depends on."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()[:32]


def _plain(answer: str | Likelihood) -> dict[str, Any]:
    return {"said": answer} if isinstance(answer, str) else {"total": answer.total, "tokens": answer.tokens}


def _parsed(line: bytes) -> tuple[str, str | Likelihood] | None:
    try:
        match json.loads(line):
            case {"key": str(key), "said": str(said)}:
                return key, said
            case {"key": str(key), "total": float(total), "tokens": int(tokens)}:
                return key, Likelihood(total, tokens)
    except ValueError:
        pass
    return None
