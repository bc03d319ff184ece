"""A table of an experiment's file holds a command's options: checked by the command's own fields, and typed out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro


@dataclass(frozen=True)
class Inside:
    """A path in the folder of a stage (see stages.py); "" is the folder itself."""

    stage: str
    path: str = ""
    before: str = ""
    """What is typed before it, as in "world:PATH" and "name=PATH"."""

    def below(self, out: Path) -> str:
        """How it is typed, given the folder of the experiment."""
        return f"{self.before}{out / self.stage / self.path}"


Argument = str | Inside
"""One word of a command line."""


@dataclass(frozen=True)
class Option:
    """One option of a command, or a group of them."""

    hint: Any
    flag: str
    """How it is typed, without the dashes."""
    inner: dict[str, Option] | None = None
    """The options of a group, as `change` of paxion patch."""
    positional: bool = False
    """It is typed without its name."""


def options_of(command: Any, prefix: str = "") -> dict[str, Option]:
    """The options of a command by the names of its fields. command: the dataclass that it is read into."""
    hints = get_type_hints(command, include_extras=True)
    found: dict[str, Option] = {}
    for part in fields(command):
        hint: Any = hints[part.name]
        notes: list[Any] = []
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
        flag = prefix + part.name.replace("_", "-")
        if not is_dataclass(hint):
            found[part.name] = Option(hint, flag, positional=tyro.conf.Positional in notes)
        elif any(getattr(note, "name", None) == "" for note in notes):
            found |= options_of(hint, prefix)  # such options are typed without a prefix
        else:
            found[part.name] = Option(hint, flag, options_of(hint, f"{flag}."))
    return found


def problems(known: Mapping[str, Option], given: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the options in a table: unknown names, values of the wrong type. where: its name."""
    for name, value in given.items():
        option = known.get(name)
        if option is None:
            yield unknown_key(f"{where}.{name}", name, known)
        elif option.inner is not None:
            if isinstance(value, Mapping):
                yield from problems(option.inner, value, f"{where}.{name}")
            else:
                yield f"{where}.{name}: got {shown(value)}, expected a table"
        elif not _fits(option.hint, value):
            yield f"{where}.{name}: got {shown(value)}, expected {_expected(option.hint)}"


def unknown_key(where: str, name: str, known: Collection[str]) -> str:
    """The line on a key that is not known; it says which was perhaps meant."""
    near = get_close_matches(name, list(known), n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{where}: unknown key{meant}; expected some of {', '.join(known)}"


def typed(known: Mapping[str, Option], given: Mapping[str, Any]) -> tuple[Argument, ...]:
    """Options as they are typed. given: values that `problems` has nothing to say of, and `Inside` for paths."""
    words: list[Argument] = []
    for name, value in sorted(given.items(), key=lambda item: not known[item[0]].positional):
        option = known[name]
        if option.positional:
            words += map(_word, value if isinstance(value, list) else [value])
        elif option.inner is not None:
            words += typed(option.inner, value)
        elif option.hint is bool:
            words.append(f"--{option.flag}" if value else f"--no-{option.flag}")
        elif isinstance(value, Mapping):
            words += [f"--{option.flag}", *(str(word) for pair in value.items() for word in pair)]
        elif isinstance(value, list):
            words += [f"--{option.flag}", *map(_word, value)] if value else []
        else:
            words += [f"--{option.flag}", _word(value)]
    return tuple(words)


def paths(known: Mapping[str, Option], given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names of options that are paths, each with a path that it was given; those in stages are left out."""
    for name, value in given.items():
        option = known.get(name)
        if option is not None and Path in _members(option.hint):
            yield from ((name, one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def _word(value: Any) -> Argument:
    return value if isinstance(value, Inside) else str(value)


def _members(hint: Any) -> list[Any]:
    """The plain types that a hint is made of."""
    return [one for part in get_args(hint) for one in _members(part)] if get_args(hint) else [hint]


def _alternatives(hint: Any) -> list[Any]:
    return [part for part in get_args(hint) if part is not NoneType] if _is_union(hint) else [hint]


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _fits(hint: Any, value: Any) -> bool:
    if isinstance(value, list) and any(isinstance(one, list | Mapping) for one in value):
        return False
    if _is_union(hint):
        return any(_fits(part, value) for part in _alternatives(hint))
    if get_origin(hint) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        if not isinstance(value, list):
            return False
        if parts[-1] is Ellipsis:
            return all(_fits(parts[0], one) for one in value)
        return len(value) == len(parts) and all(map(_fits, parts, value))
    if get_origin(hint) is dict:
        return isinstance(value, Mapping) and all(isinstance(one, str) for one in value.values())
    if hint is float:
        return type(value) in (int, float)
    if hint is Path:
        return isinstance(value, str | Inside)
    return type(value) is hint


def _expected(hint: Any) -> str:
    if _is_union(hint):
        return " or ".join(map(_expected, _alternatives(hint)))
    if get_origin(hint) is Literal:
        return " or ".join(map(shown, get_args(hint)))
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        count = "" if parts[-1] is Ellipsis else f"{len(parts)} of "
        return f"a list of {count}{_expected(parts[0])}"
    if get_origin(hint) is dict:
        return "a table of text"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    return words.get(hint, str(hint))


def shown(value: Any) -> str:
    """A value as the file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."
