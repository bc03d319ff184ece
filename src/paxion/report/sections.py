"""Further sections of the page, each a few plain tables: twins, gains, other tasks, habits, breakdowns, comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from paxion.comparing.compare import compare
from paxion.comparing.comparison import Comparison
from paxion.comparing.runs import Run
from paxion.comparing.wording import asked, conclusions, legend, probability
from paxion.evaluation.breakdowns import Strata, breakdown
from paxion.evaluation.gains import GAINS, gains_of
from paxion.evaluation.strata import STRATA
from paxion.evaluation.twins import CHANCE as TWIN_CHANCE
from paxion.records import RETRIEVALS, TWINS, PaxionError, Row, Score
from paxion.report.grids import MAIN, Entry, Grid, Section
from paxion.report.plots import CONTROL_LABELS
from paxion.report.table import CHANCE, CONTROLS, TEXT, percent

FEWEST = 5
"""Strata of fewer samples say too little to be shown; they are counted."""
LONGEST = 60
"""Strata that are shown of one kind, worst first."""
NAMES = {
    "accuracy": "accuracy",
    "both_right": "both right",
    "same_answer": "same answer",
    "both_orders": "right in both orders",
    "consistency": "same choice in both orders",
    "answered_first": "said yes, or the first",
    "unparsed": "not readable",
    "gold_yes": "where yes is right",
    "gold_no": "where no is right",
}
"""What metrics are called; others by their own name."""
TABLED = ("accuracy", "macro F1", "R@1", "R@5", "R@10", "mAP")


def sections(scores: Sequence[Score], rows: Sequence[Row], strata: Strata, runs: Sequence[Run] = ()) -> list[Section]:
    """The sections that the data allow. runs: models to be compared, the first being the baseline."""
    plain = [score for score in scores if score.model != CHANCE and not score.model.startswith(TEXT)]
    whole = [row for row in rows if row.control == "none" and not row.model.startswith(TEXT)]
    found = [_twins(plain), _others(plain), _gains(rows, scores), _breakdowns(whole, strata), _comparison(runs)]
    return [section for section in found if section is not None]


def _twins(scores: Sequence[Score]) -> Section | None:
    metrics = [metric for metric in TWIN_CHANCE if any(s.task == TWINS[0] and s.metric == metric for s in scores)]
    grids = []
    for data, task in dict.fromkeys((s.data, s.task) for s in scores if s.task.partition(":")[0] == TWINS[0]):
        held = [score for score in scores if (score.data, score.task) == (data, task)]
        lines = _lines(held, metrics)
        guessing = tuple(Entry(percent(TWIN_CHANCE[metric]), TWIN_CHANCE[metric]) for metric in metrics)
        about = f"{data}{', ' + task.partition(':')[2] if ':' in task else ''}: clip and reversal together, percent"
        count = sorted({score.n for score in held})
        note = f"{count[0]} twins" if count[0] == count[-1] else f"{count[0]} to {count[-1]} twins"
        grids.append(Grid(about, _heads(metrics), (*lines, ("guessing", guessing)), note))
    if not grids:
        return None
    text = (
        "Each clip and its reversal choose between the caption, right for the clip, and the antonym, right for the "
        "reversal. A model that does not see the order gives both the same answer: it is right half of the time, "
        "and never on both.",
        "text: every clip prefers its own text. video: every text prefers its own clip. group: both.",
    )
    return Section("twins", "Clip and reversal together", text, tuple(grids))


def _others(scores: Sequence[Score]) -> Section | None:
    """Metrics that are in no table above, and tasks of other names."""
    grids = []
    for data in dict.fromkeys(score.data for score in scores):
        held = [score for score in scores if score.data == data and score.task.partition(":")[0] != TWINS[0]]
        known = [s for s in held if s.task.partition(":")[0] in MAIN and s.metric not in TABLED]
        if known:
            # One table of all tasks: their further metrics are few.
            renamed = [replace(s, metric=f"{s.task.replace('_', ' ')} {NAMES.get(s.metric, s.metric)}") for s in known]
            metrics = list(dict.fromkeys(score.metric for score in renamed))
            grids.append(Grid(f"{data}: further metrics, percent", tuple(metrics), _lines(renamed, metrics)))
        for task in dict.fromkeys(score.task for score in held if score.task.partition(":")[0] not in MAIN):
            own = [score for score in held if score.task == task]
            metrics = list(dict.fromkeys(score.metric for score in own))
            count = max(score.n for score in own)
            about = f"{data}: {task.replace('_', ' ')}, percent"
            grids.append(Grid(about, _heads(metrics), _lines(own, metrics), f"{count} samples"))
    if not grids:
        return None
    text = []
    if any(score.metric == "AUROC" for score in scores):
        text.append("AUROC: how well one threshold for all clips tells right texts from wrong ones; 50 is guessing.")
    if any(score.metric == "answered_first" for score in scores):
        text.append(
            "How a model answers: the share of its readable answers that are yes, or the first option; what cannot be "
            "read counts as wrong."
        )
    return Section("further", "Further numbers", tuple(text), tuple(grids))


def _gains(rows: Sequence[Row], scores: Sequence[Score]) -> Section | None:
    gains = [gain for gain in gains_of(rows, scores) if not gain.model.startswith(TEXT)]
    grids = []
    for data in dict.fromkeys(gain.data for gain in gains):
        held = {(g.model, g.task, g.kind): g for g in gains if g.data == data}
        kinds = [kind for kind in GAINS if any(key[2] == kind for key in held)]
        lines = []
        for model, task in dict.fromkeys((model, task) for model, task, _ in held):
            cells = [held.get((model, task, kind)) for kind in kinds]
            entries = tuple(
                Entry("") if g is None else Entry(f"{100 * g.value:+.1f} ±{50 * (g.high - g.low):.1f}", g.value)
                for g in cells
            )
            lines.append((f"{model}, {task.replace('_', ' ')}", entries))
        grids.append(Grid(f"{data}: gains, in points", tuple(kinds), tuple(lines)))
    if not grids:
        return None
    text = (
        "Blind Gap: what is left above guessing without a clip, so what the texts alone give away. Visual Gain: what "
        "the clip adds to that. Order Gain: what the frames in their order add to the same frames shuffled.",
    )
    return Section("gains", "What the scores owe to the clip and to its order", text, tuple(grids))


def _breakdowns(rows: Sequence[Row], strata: Strata) -> Section | None:
    """By each fact of the samples that has several values, but for verbs where they have a section of their own."""
    grids = []
    for data in dict.fromkeys(row.data for row in rows):
        by_score: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row.data == data and row.task not in RETRIEVALS:
                by_score.setdefault((row.model, row.task), []).append(row)
        for kind in STRATA:
            grid = _broken_down(data, kind, by_score, strata)
            grids += [grid] if grid is not None else []
    text = (
        "The same scores by what is known of the samples, worst first. Among many, some come out low by luck: read "
        "them as where to look.",
    )
    return Section("breakdowns", "Where it fails", text, tuple(grids)) if grids else None


def _broken_down(
    data: str, kind: str, by_score: Mapping[tuple[str, str], Sequence[Row]], strata: Strata
) -> Grid | None:
    columns: dict[tuple[str, str], dict[str, Entry]] = {}
    small: set[str] = set()
    for key, rows in by_score.items():
        try:
            parts = breakdown(rows, strata, kind)
        except PaxionError:
            continue  # no sample of it has the fact
        small |= {part.name for part in parts if part.n < FEWEST}
        columns[key] = {
            part.name: Entry(f"{percent(part.value)} ±{50 * (part.high - part.low):.1f} ({part.n})", part.value)
            for part in parts
            if part.n >= FEWEST
        }
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    if len(names) < 2:
        return None
    lines = tuple((name, tuple(column.get(name, Entry("")) for column in columns.values())) for name in names[:LONGEST])
    left = len(names) - len(lines)
    notes = [f"{left} more are not shown"] if left > 0 else []
    notes += [f"{len(small - set(names))} with fewer than {FEWEST} samples are left out"] if small - set(names) else []
    heads = tuple(f"{model}: {task.replace('_', ' ')}" for model, task in columns)
    return Grid(f"{data}: by {kind}, percent (samples)", heads, lines, "; ".join(notes), kind)


def _comparison(runs: Sequence[Run]) -> Section | None:
    if len(runs) < 2:
        return None
    try:
        found = compare(runs)
    except PaxionError:
        return None  # nothing in common: the tables above stand side by side
    return Section("comparison", "Comparison", (*conclusions(found), *found.notes), (_differences(found),))


def _differences(found: Comparison) -> Grid:
    lines = []
    for line in found.lines:
        pair = line.paired
        bold = pair.holm < 0.05
        entries = (
            Entry(percent(pair.baseline), pair.baseline),
            Entry(percent(pair.model), pair.model),
            Entry(f"{100 * pair.difference:+.1f} ±{50 * (pair.high - pair.low):.1f}", pair.difference, bold),
            Entry(probability(pair.p), pair.p),
            Entry(probability(pair.holm), pair.holm),
            Entry("-" if pair.detectable is None else percent(pair.detectable), pair.detectable),
            Entry(str(pair.n), pair.n),
        )
        lines.append((f"{line.model}, {line.data}: {asked(line)}", entries))
    heads = ("baseline", "model", "difference", "p", "Holm", "least", "n")
    return Grid(f"Against {found.baseline}, percent", heads, tuple(lines), " ".join(legend(found)))


def _lines(scores: Sequence[Score], metrics: Sequence[str]) -> tuple[tuple[str, tuple[Entry, ...]], ...]:
    found = {(score.model, score.control, score.metric): score for score in scores}
    order = {control: place for place, control in enumerate(CONTROLS)}
    keys = sorted(
        dict.fromkeys((score.model, score.control) for score in scores),
        key=lambda key: ([score.model for score in scores].index(key[0]), order.get(key[1], len(order))),
    )
    return tuple(
        (
            model if control == "none" else f"{model}, {CONTROL_LABELS.get(control, control)}",
            tuple(_entry(found.get((model, control, metric))) for metric in metrics),
        )
        for model, control in keys
    )


def _entry(score: Score | None) -> Entry:
    if score is None:
        return Entry("")
    return Entry(f"{percent(score.value)} ±{50 * (score.high - score.low):.1f}", score.value)


def _heads(metrics: Iterable[str]) -> tuple[str, ...]:
    return tuple(NAMES.get(metric, metric) for metric in metrics)
