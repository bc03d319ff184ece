"""The texts that generative models are asked with."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from paxion.records import PaxionError, unknown_name

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What options are called."""
_FIELD = re.compile(r"\{([a-z]*)\}")


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is asked; {options} are lines such as "A. a ball falls"."""

    caption: str = "Describe in one sentence what happens in the video."
    """Before a caption whose log-likelihood is taken."""
    answer: str = "{question}\nAnswer in a few words."
    """Before an answer to a question whose log-likelihood is taken."""
    choice: str = (
        "Which sentence says what happens in the video?\n{options}\nAnswer with the letter of the right sentence only."
    )
    """A choice between captions."""
    question: str = "{question}\n{options}\nAnswer with the letter of the right option only."
    """A choice between answers to a question."""
    yes_no: str = 'Does the video show this: "{caption}"?\nAnswer with yes or no only.'
    """Whether a caption fits."""

    def __post_init__(self) -> None:
        """Raise PaxionError, one line, for a text that lacks a place for what is asked, or names another one."""
        for part in fields(self):
            text, wanted = getattr(self, part.name), _PLACES[part.name]
            if not isinstance(text, str) or not text.strip():
                raise PaxionError(f"got {text!r} as the prompt {part.name}, expected a text")
            if sorted(_FIELD.findall(text)) != sorted(wanted):
                places = " and ".join(f"{{{name}}}" for name in wanted) or "no place to fill in"
                raise PaxionError(f"got the prompt {part.name} {text!r}, expected {places}, each once")


_PLACES: dict[str, tuple[str, ...]] = {
    "caption": (),
    "answer": ("question",),
    "choice": ("options",),
    "question": ("question", "options"),
    "yes_no": ("caption",),
}

OURS = Prompts()
"""The texts that are asked with unless others are given."""


def read_prompts(path: Path) -> Prompts:
    """Prompts from a JSON object with some of the names of `Prompts`; the others stay ours.

    Raises PaxionError for a file that is none, an unknown name or a text without its places.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PaxionError(f"cannot read the prompts {path}: {error.strerror}; check the path") from error
    except ValueError as error:
        raise PaxionError(f'{path}: not JSON ({error}); expected {{"choice": "...", ...}}') from error
    if not isinstance(given, dict):
        raise PaxionError(f'{path}: got a {type(given).__name__}, expected an object such as {{"choice": "..."}}')
    for name in given:
        if name not in _PLACES:
            raise unknown_name("prompt", name, _PLACES)
    return Prompts(**given)


def filled(text: str, **values: str) -> str:
    """A prompt with its places filled; what is filled in is never read as a place itself."""
    return _FIELD.sub(lambda place: values[place.group(1)], text)


def listed(options: Sequence[str]) -> str:
    """Options as lines "A. text", with as many letters as there are. Raises PaxionError for more than 26."""
    if len(options) > len(LETTERS):
        raise PaxionError(f"got {len(options)} options, expected at most {len(LETTERS)}: there are no more letters")
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
