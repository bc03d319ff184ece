"""Could text alone have solved it? An audit of any set of (caption, foil) pairs, without a single frame of video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from paxion.actionbench.findings import LEAD, Finding, Grade, judge, points, too_small, verdict, worst
from paxion.actionbench.separability import (
    FOLDS,
    SCORERS,
    Separability,
    cross_validate,
    evened_pairs,
    same_texts,
)
from paxion.actionbench.wording import Repeats, Wording, describe, repeats
from paxion.evaluation.ngrams import Floats
from paxion.evaluation.probes import TIE
from paxion.evaluation.text_only import TASK_OF, Foil
from paxion.evaluation.text_scorers import Pairs, count_pairs, given, inner, naive_bayes_weights, text_ids
from paxion.manifest import FOILS
from paxion.records import PaxionError, Sample, Score, unknown_name

Plausibility = Callable[[Sequence[str]], Tensor]
"""Log-likelihood (N,) of N texts under a language model."""
CAP = 100_000
"""More pairs than this are sampled: the interval is then half a point wide, and the audit takes a minute or two."""
EXAMPLES = 12
LISTED = 200
"""Entries of a list in the summary."""
CUES = 3
"""Words of a text that an example names."""


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that wording gives away, told by naive Bayes in the fold that had not seen it."""

    id: str
    caption: str
    foil: str
    caption_words: tuple[str, ...]
    """What in the caption speaks for it, the strongest first: words or word pairs."""
    foil_words: tuple[str, ...]
    """What in the foil speaks against it."""
    margin: float
    """Log of how much likelier the caption's wording is for a caption than the foil's."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that was found. All shares are fractions."""

    data: str
    field: Foil
    rows: int
    """Rows that were given."""
    available: int
    """Rows with this foil. The others are not judged."""
    pairs: int
    """Pairs judged: all that are available, or a sample of them (`sampled`)."""
    groups: int
    """Sources that these come from."""
    folds: int
    seed: int
    verdict: str
    """The answer, in a sentence or two."""
    worst: str
    """The worst reasons, in one sentence; empty when the verdict is no problem."""
    grade: Grade | None
    """The grade of the verdict; None when it cannot be told."""
    findings: tuple[Finding, ...]
    separability: Separability | None
    wording: Wording
    repeats: Repeats
    examples: tuple[Example, ...]

    @property
    def sampled(self) -> bool:
        """Whether the pairs are a sample of those that there are."""
        return self.pairs < self.available


def audit(
    samples: Iterable[Sample],
    field: Foil = "antonym",
    *,
    data: str | None = None,
    plausibility: Plausibility | None = None,
    folds: int = FOLDS,
    seed: int = 0,
    cap: int = CAP,
    closed: Collection[str] = (),
) -> Audit:
    """Audit the pairs of caption and `field` of some samples, all splits together.

    Text-only scorers are judged on groups that they have not learned from, in `folds` folds drawn by `seed`; intervals
    are clustered by group. Those of single scorers hold for what was learned here; that of the verdict covers learning.
    data: name for the scores, by default the source of the first pair, or "manifest". plausibility: a language model
    that is one more scorer. cap: judge at most so many pairs, a sample of whole groups (of whole sets of equal pairs
    where these are evened by design). closed: ids of rows that are known to be so, all of one pair of texts or none.
    Raises PaxionError for an unknown field or no rows, and for a plausibility that is not a finite number a text.
    """
    if field not in FOILS:
        raise unknown_name("foil", field, FOILS)
    samples = list(samples)
    if not samples:
        raise PaxionError("got no rows to audit, expected captions with foils; give a manifest or a probe file")
    if cap < 1 or folds < 3:
        raise PaxionError(f"got cap {cap} and folds {folds} for an audit, expected at least 1 pair and 3 folds")
    with_foil = [sample for sample in samples if getattr(sample, field) is not None]
    kept = sampled(with_foil, field, cap, seed)
    foils = [getattr(sample, field) for sample in kept]
    groups = [sample.group for sample in kept]
    wording, across = describe(kept, foils, samples), repeats(samples, field)
    pairs = count_pairs([(sample.caption, foil) for sample, foil in zip(kept, foils, strict=True)])
    small = too_small(len(kept), len(set(groups)))
    found = None
    if small is None:
        scorers = dict(SCORERS)
        if plausibility is not None:
            scorers["plausibility"] = given(plausible(pairs, plausibility))
        even = np.array([sample.id in closed for sample in kept])
        found = cross_validate(pairs, groups, scorers, folds=folds, seed=seed, known=even)
    findings = judge(wording, across, found, len(samples) - len(with_foil))
    grade, said = (None, small or "") if found is None else verdict(found)
    return Audit(
        data=data or next((sample.source for sample in kept if sample.source), None) or "manifest",
        field=field,
        rows=len(samples),
        available=len(with_foil),
        pairs=len(kept),
        groups=len(set(groups)),
        folds=min(folds, len(set(groups))),
        seed=seed,
        verdict=said,
        worst=worst(findings, wording.cues) if grade == "problem" else "",
        grade=grade,
        findings=findings,
        separability=found,
        wording=wording,
        repeats=across,
        examples=() if found is None else examples(kept, pairs, found),
    )


def audit_lines(result: Audit) -> list[str]:
    """The audit in a few lines for a terminal: the verdict, its reasons, how it was judged, and every finding."""
    of = f", a sample of {result.available}" if result.sampled else ""
    judged = (
        f"{result.pairs} pairs{of} from {result.groups} groups, {result.folds} folds, "
        f"drawn {times(result.separability.draws)}, seed {result.seed}. "
        f"Highest of all scorers: {result.separability.best}, "
        f"{points(result.separability.scorers[result.separability.best].value)} %, which leans high."
        if result.separability is not None
        else ""
    )
    findings = [f"{finding.grade:8}{finding.name}: {finding.sentence}" for finding in result.findings]
    return [line for line in (result.verdict, result.worst, judged, *findings) if line]


def times(count: int) -> str:
    """How often, in words."""
    return "once" if count == 1 else f"{count} times"


def audit_scores(result: Audit) -> list[Score]:
    """The accuracies of an audit as rows of results.json, one a scorer ("text:naive-bayes"), the highest first.

    "text:best" is the highest again, which leans high; "text:best-nested" is the number that the verdict speaks of.
    """
    if result.separability is None:
        return []
    found = result.separability
    named = dict(sorted(found.scorers.items(), key=lambda item: -item[1].value))
    named |= {"best": found.scorers[found.best], "best-nested": found.nested}
    task = TASK_OF[result.field]
    return [
        Score(f"text:{name}", result.data, task, "none", "accuracy", e.value, e.low, e.high, e.n, e.ties, result.seed)
        for name, e in named.items()
    ]


def audit_summary(result: Audit) -> dict[str, Any]:
    """The audit as JSON can hold it: everything but the margins; of long lists the LISTED first."""
    plain: dict[str, Any] = {name: getattr(result, name) for name in Audit.__slots__ if name != "separability"}
    plain |= {name: asdict(plain[name]) for name in ("wording", "repeats")}
    plain |= {name: [asdict(item) for item in plain[name]] for name in ("findings", "examples")}
    plain["sampled"] = result.sampled
    for name in ("unused", "cues", "substitutions"):
        plain["wording"][name] = plain["wording"][name][:LISTED]
    plain["scores"] = [asdict(score) for score in audit_scores(result)]
    plain["chosen"] = [] if result.separability is None else list(result.separability.chosen)
    return plain


def sampled(samples: Sequence[Sample], field: Foil, cap: int, seed: int) -> list[Sample]:
    """At most `cap` samples with the foil, in their order, if there are more: whole groups, drawn by lot.

    Pairs that are evened by design are drawn in whole sets of equal pairs, which stay even. What is larger than the
    room that is left is passed over; when everything is, the first `cap` rows are taken.
    """
    if len(samples) <= cap:
        return list(samples)
    captions, foils = ([getattr(sample, name) for sample in samples] for name in ("caption", field))
    ids = text_ids(captions, foils)
    units = np.array([f"g{sample.group}" for sample in samples], dtype=object)
    evened = evened_pairs(*ids)
    units[evened] = [f"t{number}" for number in same_texts(*ids)[evened]]
    sizes = Counter(units)
    names = sorted(sizes)
    left, drawn = cap, set()
    for index in np.random.default_rng(seed).permutation(len(names)):
        if sizes[names[index]] <= left:
            left -= sizes[names[index]]
            drawn.add(names[index])
    return [sample for sample, unit in zip(samples, units, strict=True) if unit in drawn] or list(samples[:cap])


def plausible(pairs: Pairs, plausibility: Plausibility) -> Floats:
    """Log-likelihood of the caption minus that of the foil (N,). Every text is asked for once.

    Raises PaxionError when the language model does not give a finite number for each text.
    """
    texts = list(dict.fromkeys([*pairs.captions, *pairs.foils]))
    values = plausibility(texts).double().cpu().numpy()
    if values.shape != (len(texts),) or not np.isfinite(values).all():
        raise PaxionError(
            f"got plausibilities of shape {values.shape} for {len(texts)} texts, or not all finite; expected a finite "
            "log-likelihood for each text"
        )
    found = dict(zip(texts, values, strict=True))
    return np.array([found[right] - found[wrong] for right, wrong in zip(pairs.captions, pairs.foils, strict=True)])


def examples(samples: Sequence[Sample], pairs: Pairs, found: Separability) -> tuple[Example, ...]:
    """The pairs that naive Bayes tells most easily, no two by the same word, each judged by what it had not seen."""
    # Words are easier to read than word pairs, which are shown where they matter.
    alone = found.scorers["naive-bayes"].value < found.scorers["naive-bayes-words"].value + LEAD
    name, sides, columns = (
        ("naive-bayes-words", pairs.words, None) if alone else ("naive-bayes", pairs.grams, inner(pairs))
    )
    margins = np.where(found.folds.judge == found.folds.home, found.margins[name], 0.0)
    weights = {k: naive_bayes_weights(sides, found.folds.home != k, columns) for k in range(found.folds.count)}
    difference = sides.difference
    starts = np.searchsorted(difference.row, np.arange(len(pairs) + 1))
    shown: list[Example] = []
    used: set[str] = set()
    for index in np.argsort(-margins, kind="stable"):
        if len(shown) == EXAMPLES or margins[index] <= TIE:
            break
        entries = slice(starts[index], starts[index + 1])
        column, value = difference.column[entries], difference.value[entries]
        told = value * weights[int(found.folds.home[index])][column]
        order = [place for place in np.argsort(-told, kind="stable") if told[place] > 0]
        if not order or sides.names[column[order[0]]] in used:
            continue
        used.add(sides.names[column[order[0]]])
        in_caption, in_foil = (
            tuple(sides.names[column[place]] for place in order if (value[place] > 0) == side)[:CUES]
            for side in (True, False)
        )
        sample, margin = samples[index], float(margins[index])
        shown.append(Example(sample.id, sample.caption, pairs.foils[index], in_caption, in_foil, margin))
    return tuple(shown)
