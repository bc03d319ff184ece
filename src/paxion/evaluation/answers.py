"""What a model said in words of its own: a choice or a yes or no where it is plain, nothing where it is not.

This reads answers that were published, with explanations behind them. What our own prompts are answered is read more
narrowly, in `asking/parsing.py`: there the model was told what to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LEAD = r"(?:(?:the )?(?:(?:best|correct|right|final) )?(?:answer|option|choice)(?: is)?\s*[:\-]?\s*)?"
_LETTER = re.compile(rf"{_LEAD}(?:[(\[]([A-Za-z])[)\]]|([A-Za-z])(?=$|[.:)]))[.:)]*\s*(.*)", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(rf"{_LEAD}(yes|no)\s*(?:$|[.,;:!\n]+\s*(.*))", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(r"(?:^|[\s(\[])([A-Z])[.):\]]")
_NUMBERED = re.compile(
    r"(?:option|caption|choice|sentence)\s*([0-9]{1,2}|[A-Z])(?:$|[.:)]+\s*(.*))", re.IGNORECASE | re.DOTALL
)


def read_yes_no(said: str) -> str | None:
    """ "yes" or "no" where the answer is that word alone, or begins with it and a punctuation mark; else None.

    "Yes.", "**No**" and "No, the sun is setting." are read; "Yes and no", "Yes. No.", "Not really" are not.
    """
    found = _WORD.fullmatch(_bare(said))
    if found is None:
        return None
    answer = str(found.group(1)).lower()
    again = re.match(r"(?:or |and )?(yes|no)\b", found.group(2) or "", re.IGNORECASE)
    return None if again and str(again.group(1)).lower() != answer else answer


def read_choice(said: str, options: Sequence[str], labels: str = LETTERS) -> int | None:
    """Which of K options was chosen, from 0; None where the answer names none of them plainly, or several.

    Read are: the option's letter alone, in brackets or with a mark behind it ("B", "(B)", "B.", "Answer: B"), also with
    words behind the mark as long as they name no other letter; "Option 2" and "Caption B", likewise; the option's text
    alone. labels: the letters of the options in their order. An article is no letter: "A man runs" is not A.
    """
    said = _bare(said)
    texts = [_plain(option) for option in options]
    whole = [i for i, text in enumerate(texts) if text and text == _plain(said)]
    if whole:
        return whole[0] if len(whole) == 1 else None
    if found := _NUMBERED.fullmatch(said):
        label, rest = str(found.group(1)), found.group(2)
        chosen = int(label) - 1 if label.isdigit() else _place(label, labels)
    elif found := _LETTER.fullmatch(said):
        chosen, rest = _place(found.group(1) or found.group(2), labels), found.group(3)
    else:
        return None
    if not 0 <= chosen < len(options):
        return None
    named = [*_LABEL.findall(rest or ""), *re.findall(r"^([A-Za-z])\W*$", rest or "")]
    others = {_place(label, labels) for label in named} - {chosen}
    if any(0 <= other < len(options) for other in others):
        return None
    spoken = [i for i, text in enumerate(texts) if text and text == _plain(rest or "")]
    return chosen if not spoken or chosen in spoken else None


def _bare(said: str) -> str:
    """Without white space, quotes and emphasis around it."""
    return said.replace("**", "").replace("__", "").strip(" \t\r\n\"'`*")


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".").strip()


def _place(label: str, labels: str) -> int:
    return labels.find(label.upper())
