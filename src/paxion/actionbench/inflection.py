"""Forms of verbs: which verb a form may come from, and how another verb looks in the same form."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

TAGS = ("VB", "VBZ", "VBG", "VBD", "VBN")
"""Penn tags: base, third person, -ing form, past, participle."""


@cache
def inflect(verb: str, tag: str) -> str:
    """The form of a verb under a Penn tag. Of a phrase ("put down"), the first word is inflected."""
    head, _, rest = verb.partition(" ")
    return (forms(head)[tag][0] + " " + rest).rstrip()


@cache
def forms(verb: str) -> dict[str, tuple[str, ...]]:
    """All spellings of a verb's forms by tag, the usual one first."""
    from lemminflect import getInflection

    if verb == "be":
        return {"VB": ("be",), "VBZ": ("is", "are", "am"), "VBG": ("being",), "VBD": ("was", "were"), "VBN": ("been",)}
    found = {tag: tuple(getInflection(verb, tag)) or (verb,) for tag in TAGS}
    # The rules of the library give the spelling as if the stem were not a prefixed irregular verb: unbind, overtake.
    for prefix in ("un", "re", "over", "under", "out", "with"):
        stem = verb.removeprefix(prefix)
        if stem != verb and stem in _IRREGULAR:
            found = {tag: tuple(prefix + form for form in spelled) for tag, spelled in forms(stem).items()}
    if verb in ("lie",):
        # "lied" is the past of telling untruths, which no clip shows.
        found |= {"VBD": ("lay",), "VBN": ("lain",)}
    return found


_IRREGULAR = frozenset(
    "bind build do wind tie freeze set lay take put draw hang weave stick string roll dress fold wrap".split()
)


def form_index(verbs: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Form to [(verb, tag)]: what a word may be, in the order of the verbs."""
    index: dict[str, list[tuple[str, str]]] = {}
    for verb in verbs:
        for tag, spelled in forms(verb).items():
            for form in spelled:
                if (verb, tag) not in index.setdefault(form, []):
                    index[form].append((verb, tag))
    return index
