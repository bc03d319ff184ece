"""What a model said, read strictly: what these grammars do not name is unparsable, and never guessed at.

Emphasis (* and `), quotes and white space around, letter case and one full stop at the end never matter.

A choice:  the letter alone, also in brackets or with one of . : ) behind it    B   (B)   B.   **B**
           "Answer", "Answer is" or "The answer is" and a letter                Answer: B
           a letter, a mark and that option's own text                          B. a ball falls
           one option's own text                                                a ball falls
Yes or no: the word alone                                                       Yes   no.
           the word, one of . , ; : ! and more, unless the rest says yes or no
           again, or takes a yes back (not, n't, never, cannot)                 No, the ball falls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from paxion.asking.prompts import LETTERS

_LEAD = r"(?:(?:the )?answer(?: is)?(?:\s*:\s*|\s+))?"
_LETTER = re.compile(_LEAD + r"(?:\(([a-z])\)[.:]?|([a-z])[.:)]|([a-z])$)\s*(.*)", re.DOTALL)
_WORD = re.compile(r"(yes|no)(?:\s*[.,;:!]+\s*(.*)|)", re.DOTALL)
_AGAIN = re.compile(r"\b(?:yes|no)\b")
_TAKEN_BACK = re.compile(r"\b(?:not|never|cannot)\b|n['\N{RIGHT SINGLE QUOTATION MARK}]t\b")


def parse_choice(said: str, options: Sequence[str]) -> int | None:
    """Which of K options was chosen, from 0; None where that cannot be told for certain."""
    bare, texts = _bare(said), [_bare(option).removesuffix(".").rstrip() for option in options]
    found = {i for i, text in enumerate(texts) if text and text == bare.removesuffix(".").rstrip()}
    if match := _LETTER.fullmatch(bare):
        *letters, rest = match.groups()
        place = LETTERS.lower().find(next(letter for letter in letters if letter))
        if place < len(options) and rest.removesuffix(".").rstrip() in ("", texts[place]):
            found.add(place)
    return found.pop() if len(found) == 1 else None


def parse_yes_no(said: str) -> bool | None:
    """True for yes, False for no; None where that cannot be told for certain."""
    match = _WORD.fullmatch(_bare(said))
    if match is None:
        return None
    yes, rest = match.group(1) == "yes", match.group(2) or ""
    return None if _AGAIN.search(rest) or (yes and _TAKEN_BACK.search(rest)) else yes


def _bare(text: str) -> str:
    """In small letters, without emphasis, quotes around it, and white space but one blank between words."""
    return " ".join(text.lower().translate({ord("*"): None, ord("`"): None}).split()).strip("\"' ")
