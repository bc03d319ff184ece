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
    found = forms(head)
    return (found.get(tag, found["VBD"])[0] + " " + rest).rstrip()


@cache
def forms(verb: str) -> dict[str, tuple[str, ...]]:
    """All spellings of a verb's forms by tag, the usual one first."""
    from lemminflect import getInflection

    if verb == "be":
        return {"VB": ("be",), "VBZ": ("is", "are", "am"), "VBG": ("being",), "VBD": ("was", "were"), "VBN": ("been",)}
    if verb in _LOOKED_UP:
        return _LOOKED_UP[verb]
    found = {tag: tuple(getInflection(verb, tag)) or (verb,) for tag in TAGS}
    # For a verb that it does not know, the library adds -ed: the forms of the verb without its prefix are right.
    for prefix in ("un", "re", "over", "under"):
        stem = verb.removeprefix(prefix)
        if stem != verb and stem in _IRREGULAR:
            found = {tag: tuple(prefix + form for form in spelled) for tag, spelled in forms(stem).items()}
    return found


_IRREGULAR = (
    "bind",
    "build",
    "do",
    "wind",
    "freeze",
    "set",
    "lay",
    "take",
    "hang",
    "weave",
    "stick",
    "string",
    "shoot",
)
_LOOKED_UP: dict[str, dict[str, tuple[str, ...]]] = {
    # "lied" is the past of telling untruths, which no clip shows.
    "lie": {"VB": ("lie",), "VBZ": ("lies",), "VBG": ("lying",), "VBD": ("lay",), "VBN": ("lain",)},
    "light": {"VB": ("light",), "VBZ": ("lights",), "VBG": ("lighting",), "VBD": ("lit", "lighted"), "VBN": ("lit",)},
    "lean": {"VB": ("lean",), "VBZ": ("leans",), "VBG": ("leaning",), "VBD": ("leaned", "leant"), "VBN": ("leaned",)},
    "ski": {"VB": ("ski",), "VBZ": ("skis",), "VBG": ("skiing",), "VBD": ("skied",), "VBN": ("skied",)},
    "wake": {"VB": ("wake",), "VBZ": ("wakes",), "VBG": ("waking",), "VBD": ("woke",), "VBN": ("woken",)},
    "weave": {"VB": ("weave",), "VBZ": ("weaves",), "VBG": ("weaving",), "VBD": ("wove",), "VBN": ("woven",)},
    "bottlefeed": {"VB": ("bottlefeed",), "VBZ": ("bottlefeeds",), "VBG": ("bottlefeeding",), "VBD": ("bottlefed",)},
    "breastfeed": {"VB": ("breastfeed",), "VBZ": ("breastfeeds",), "VBG": ("breastfeeding",), "VBD": ("breastfed",)},
}


def form_index(verbs: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Form to [(verb, tag)]: what a word may be, in the order of the verbs."""
    index: dict[str, list[tuple[str, str]]] = {}
    for verb in verbs:
        for tag, spelled in forms(verb).items():
            for form in spelled:
                if (verb, tag) not in index.setdefault(form, []):
                    index[form].append((verb, tag))
    return index
