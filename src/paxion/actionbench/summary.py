"""What was built, in lines for a person and in counts for build.json."""

from __future__ import annotations

from typing import Any

from paxion.actionbench.build import Built
from paxion.records import SPLITS

REASONS = 8
"""Reasons without an antonym, and bad rows, that the summary names."""


def summary(built: Built) -> list[str]:
    """What was built, in lines."""
    splits = ", ".join(f"{built.splits[split]} {split}" for split in SPLITS if built.splits[split])
    lines = [f"{built.rows} clips of {built.groups} source videos: {splits}"]
    if built.bad:
        lines.append(f"bad rows left out: {len(built.bad)}")
        lines += [f"  {row}" for row in built.bad[:REASONS]]
    for name in ("antonym", "replaced"):
        published = built.foils[f"{name} published"]
        share = 100 * built.foils[name] / built.rows
        lines.append(
            f"{name}: {built.foils[name]} rows ({share:.1f} %)" + (f", {published} as published" if published else "")
        )
    if built.foils["antonym choices"]:
        lines.append(f"antonyms of choices: {built.foils['antonym choices']} questions have further wrong answers")
    for reason, count in built.no_antonym.most_common(REASONS):
        lines.append(f"  {count} without an antonym: {reason}")
    if len(built.no_antonym) > REASONS:
        others = sum(built.no_antonym.values()) - sum(count for _, count in built.no_antonym.most_common(REASONS))
        lines.append(f"  {others} for other reasons: the field antonym_note of each row says which")
    lines.append(
        f"reversal: {built.foils['reversal']} rows say what the reversed clip shows; "
        f"{built.foils['not reversible']} look the same reversed"
    )
    if built.closed:
        sizes = ", ".join(f"{built.closed[split]} {split}" for split in SPLITS if built.closed[split])
        lines.append(
            f"closed and balanced, by {built.closed_by}: {sum(built.closed.values())} rows, "
            f"{built.closed_pairs} pairs of texts: {sizes}"
        )
    else:
        lines.append("closed and balanced: no two captions are each other's antonym within a split")
    return lines


def counts(built: Built) -> dict[str, Any]:
    """The counts as JSON can hold them."""
    names = ("rows", "splits", "groups", "foils", "no_antonym", "closed", "closed_pairs", "closed_by")
    return {name: getattr(built, name) for name in names} | {"bad": len(built.bad)}
