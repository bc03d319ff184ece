"""Words of a caption with their places in it, and edits by place: nothing is ever replaced by searching for text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_WORD = re.compile(r"#\w+|[^\W\d_]+(?:['\u2019][^\W\d_]+)*|\d+(?:[.,]\d+)*|[^\w\s]")


class Word(NamedTuple):
    """One word, number or punctuation mark of a caption."""

    text: str
    """As written."""
    low: str
    """In lower case."""
    start: int
    end: int
    """Place in the caption, characters."""

    @property
    def noun(self) -> str:
        """The word in lower case, also where it is hidden from the search for verbs: "(pan)"."""
        return self.low.strip("()") or self.low


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace caption[start:end] by `text`. start == end inserts before that place; an empty text deletes."""

    start: int
    end: int
    text: str


def split_words(caption: str) -> list[Word]:
    """The words, numbers, tags (#C) and punctuation marks of a caption, in order. Hyphenated words come apart."""
    return [Word(match.group(), match.group().lower(), match.start(), match.end()) for match in _WORD.finditer(caption)]


def apply_edits(caption: str, edits: Iterable[Edit]) -> str:
    """The caption with its edits, which must not overlap. A deletion takes the space before it along."""
    pieces, at = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        before = caption[at : edit.start]
        if not edit.text and edit.start < edit.end:
            before = before.rstrip(" ") if at < edit.start else before
        pieces += [before, edit.text]
        at = edit.end
    return "".join([*pieces, caption[at:]])


def like(written: str, new: str) -> str:
    """`new` with the case of `written`: all capitals, a capital first, or as it is."""
    if len(written) > 1 and written.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if written[:1].isupper() else new


def find_phrase(words: Sequence[Word], phrase: Sequence[str], start: int, stop: int) -> int | None:
    """The first place in words[start:stop] where the lower-case words of `phrase` stand in a row."""
    size, first = len(phrase), phrase[0]
    for at in range(start, stop - size + 1):
        if words[at].low == first and all(words[at + offset].low == phrase[offset] for offset in range(1, size)):
            return at
    return None
