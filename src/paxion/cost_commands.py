"""What `paxion models --cost` prints: parameters and multiply-adds of backbones and of what can be put on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from paxion.backbones.catalogue import CATALOGUE
from paxion.backbones.load import load_backbone
from paxion.backbones.skeletons import skeleton
from paxion.commands import say
from paxion.patching.cost import Cost, costs
from paxion.patching.lora import Lora
from paxion.patching.recipes import RECIPES
from paxion.progress import progress
from paxion.records import unknown_name

FEW = 3
"""Backbones up to which all that is known of each is printed, a line a part."""
PARAMETERS = {
    "vision": "vision tower",
    "text": "text tower",
    "patcher": "patcher, absorbed",
    "fuser": "fuser xattn",
    "KP-Tr.": "kp-transformer",
    "LoRA": "lora",
}
MACS = {title: part for title, part in PARAMETERS.items() if part != "lora"} | {"plain": "patcher, plain"}
"""What of many backbones is printed beside each other: title to part."""


def print_costs(console: Console, names: Sequence[str], recipe: str, rank: int, as_json: bool) -> int:
    """Print the costs of these backbones, or of all of the catalogue; a model of the catalogue is not loaded."""
    known = [name for name, one in RECIPES.items() if one.fuser is None]
    if recipe not in known:
        raise unknown_name("recipe", recipe, known)
    catalogue = [one.name for one in CATALOGUE]
    asked = list(dict.fromkeys(names)) or catalogue
    found: dict[str, list[Cost]] = {}
    with progress(Console(stderr=True, quiet=console.quiet), "counting", len(asked)) as tick:
        for name in asked:
            backbone = skeleton(name) if name in catalogue else load_backbone(name)
            found[name] = costs(backbone, name, RECIPES[recipe], Lora(rank=rank))
            tick(1)
    if as_json:
        rows = [asdict(cost) for part in found.values() for cost in part]
        console.print(json.dumps(rows, indent=1), highlight=False, markup=False, soft_wrap=True)
        return 0
    few = [_table(name, part) for name, part in found.items()]
    for shown in few if len(asked) <= FEW else _overviews(found):
        console.print(shown)
    say(
        console,
        "Multiply-adds: of matrix products and convolutions, in a pass of one clip (of one text, for the text tower). "
        f"Patcher and fuser have the sizes of recipe {recipe}; plain is the patcher as textbooks have it, which gives "
        "the same with more work. A fuser's cost is beside its patcher's. A low-rank update costs nothing once it is "
        "merged, but its training runs the backbone. More: docs/costs.md.",
    )
    return 0


def _table(name: str, parts: Sequence[Cost]) -> Table:
    """All that is known of one backbone."""
    table = Table(title=name)
    table.add_column("part")
    table.add_column("parameters", justify="right")
    table.add_column("multiply-adds, G", justify="right")
    for part in parts:
        table.add_row(part.part, f"{part.parameters:,}", f"{part.macs / 1e9:,.4f}")
    return table


def _overviews(found: dict[str, list[Cost]]) -> list[Table]:
    """Parameters in millions and multiply-adds in billions, a row a backbone."""
    by_part = {name: {cost.part.partition(", rank")[0]: cost for cost in parts} for name, parts in found.items()}
    shown = []
    for title, columns in (("parameters, 10^6", PARAMETERS), ("multiply-adds of a clip, 10^9", MACS)):
        table = Table(title=title)
        table.add_column("backbone", overflow="fold")
        for column in columns:
            table.add_column(column, justify="right")
        for name, parts in by_part.items():
            of = [parts.get(part) for part in columns.values()]
            values = [None if cost is None else cost.parameters / 1e6 for cost in of]
            if columns is MACS:
                values = [None if cost is None else cost.macs / 1e9 for cost in of]
            table.add_row(name, *("-" if value is None else _short(value) for value in values))
        shown.append(table)
    return shown


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
