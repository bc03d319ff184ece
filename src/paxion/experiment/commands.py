"""The commands that stages are made of, found in the command line itself: what can be typed can be a stage."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from paxion.experiment.options import Option, options_of
from paxion.records import PaxionError

GIVEN = {
    "world make": ("out",),
    "world metaworld": ("out",),
    "world formats": ("manifest", "out"),
    "world pretrain": ("out",),
    "build": ("out", "explain"),
    "salience": ("manifest", "out", "backbone", "store"),
    "features": ("manifest", "backbone", "store", "engine", "address", "actors", "actor_cpus"),
    "patch": ("manifest", "out", "backbone", "start", "store", "dtype", "seed", "track"),
    "fuse": ("manifest", "out", "backbone", "patcher", "store", "dtype", "seed", "track"),
    "lora": ("manifest", "out", "backbone", "store", "dtype", "seed", "track"),
    "probe": ("manifest", "models", "out", "backbone", "store", "seed"),
    "evaluate": (
        "data", "videos", "models", "methods", "weight", "top", "val", "out", "backbone", "store", "dtype", "seed",
    ),
}  # fmt: skip
"""The commands of stages, with those options that the experiment decides."""


@cache
def options(command: str) -> dict[str, Option]:
    """The options of a command that a table may hold. Raises PaxionError when this version has no such command."""
    return {name: option for name, option in every_option(command).items() if name not in GIVEN[command]}


@cache
def every_option(command: str) -> dict[str, Option]:
    """All options of a command, such as "world make"."""
    # The command line imports nothing heavy. It is the one module above that an experiment looks at: stages are typed.
    from paxion.cli import Command

    found: Any = Command
    for word in command.split():
        named = _subcommands(found)
        if word not in named:
            raise PaxionError(f"this version has no command `paxion {command}`; expected one of {', '.join(named)}")
        found = named[word]
    if {"make"} <= _subcommands(found).keys():
        found = _subcommands(found)["make"]
    return options_of(found)


def _subcommands(command: Any) -> dict[str, Any]:
    """The subcommands of a union of them, or of a command whose first field is such a union."""
    if is_dataclass(command) and isinstance(command, type):
        first = fields(command)[0].name
        command = get_type_hints(command, include_extras=True)[first]
    found: dict[str, Any] = {}
    for part in get_args(command):
        if get_origin(part) is Annotated:
            kind, *notes = get_args(part)
            found |= {note.name: kind for note in notes if getattr(note, "name", None)}
    return found
