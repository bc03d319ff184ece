"""A comparison in words: the numbers as they are shown, and what they mean."""

from __future__ import annotations

from paxion.comparing.comparison import Comparison, Line, Paired

LEVEL = 0.05
"""p values below it are called a difference."""
SIDES = ("better on", "worse on", "no difference found on")
HEADS = ("difference [95 %]", "p", "Holm", "McNemar", "least", "n", "groups")


def percent(fraction: float) -> str:
    """A fraction in percent: 0.5 is "50.0"."""
    return f"{100 * fraction:.1f}"


def signed(fraction: float) -> str:
    """A difference in points: "+3.0"; one that rounds to nothing has no sign."""
    points = round(100 * fraction, 1) + 0.0
    return f"{points:+.1f}" if points else "0.0"


def probability(p: float) -> str:
    """A p value with as many places as are worth reading."""
    if p < 0.00005:
        return "<.0001"
    return "1" if p >= 0.99995 else f"{p:.4f}".removeprefix("0")


def cells(paired: Paired) -> tuple[str, ...]:
    """What stands under HEADS."""
    least = "-" if paired.detectable is None else percent(paired.detectable)
    return (
        f"{signed(paired.difference)} [{signed(paired.low)}, {signed(paired.high)}]",
        probability(paired.p),
        probability(paired.holm),
        probability(paired.mcnemar),
        least,
        str(paired.n),
        str(paired.groups),
    )


def asked(line: Line) -> str:
    """Task, metric of retrieval, and control."""
    metric = "" if line.metric == "accuracy" else f" {line.metric}"
    control = "" if line.control == "none" else f" ({line.control})"
    return f"{line.task.replace('_', ' ')}{metric}{control}"


def legend(comparison: Comparison) -> list[str]:
    """What the columns are, a line each."""
    seeds = max((max(line.seeds) for line in comparison.lines), default=1)
    found = [
        "difference: model minus baseline on the samples that both were asked, in points; ± half the 95 % interval, "
        "clustered by group. Bold: Holm's p is below 0.05.",
        f"p: paired permutation test, whole groups exchanged (seed {comparison.seed}). Holm: p corrected over "
        f"{comparison.family}"
        + (f"; of strata: over the strata of their line (one {comparison.by} each)." if comparison.by else "."),
        "McNemar: exact, takes samples for independent. least: the smallest true difference that clips like these show "
        "in 80 of 100 studies.",
    ]
    if seeds > 1:
        found.append(
            "Credits of several seeds are averaged by sample first: n counts samples, and the interval is about other "
            "clips, not about other seeds."
        )
    return found


def conclusions(comparison: Comparison) -> list[str]:
    """A sentence for each data set and model: where it is better, where worse, and where no difference was found.

    Controls are left to the tables, unless there is nothing else.
    """
    plain = [line for line in comparison.lines if line.control == "none"] or comparison.lines
    sides: dict[tuple[str, str], dict[str, list[str]]] = {}
    for line in plain:
        side = "no difference found on"
        if line.paired.holm < LEVEL:
            side = "better on" if line.paired.difference > 0 else "worse on"
        sides.setdefault((line.data, line.model), {}).setdefault(side, []).append(asked(line))
    return [
        f"{data}: {model} against {comparison.baseline}: "
        + "; ".join(f"{side} {', '.join(found[side])}" for side in sorted(found, key=SIDES.index))
        + "."
        for (data, model), found in sides.items()
    ]
