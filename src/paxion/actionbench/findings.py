"""What the numbers of an audit mean: one graded sentence for each check, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from paxion.actionbench.separability import FEWEST_GROUPS, Separability
from paxion.actionbench.wording import OFTEN, Cue, Repeats, Wording
from paxion.evaluation.statistics import Estimate

Grade = Literal["ok", "note", "problem"]
FEWEST_PAIRS = 40
"""With fewer pairs the interval around 50 % is wider than 15 points on either side, and most cues are seen once."""
LEAD = 0.05
"""A lead over chance that is a problem: differences of 5 points between models are published as progress."""
NOTICE = 0.01
"""A lead over chance, or a share of pairs, that is worth a note: what rounding to whole percents would show."""
WIDE = 0.1
"""An interval that leaves room for a larger lead than this, twice a problem, says little."""
CLEAR = 3.0
"""A word is named when its use differs by so many standard errors between captions and foils."""
WORST = 3
"""Problems that are named beside the verdict, and words."""
STRONG = 0.75
"""From here on wording alone does as well as a model that is said to tell actions apart."""
CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    name: str
    grade: Grade
    sentence: str
    brief: str
    """The problem in a few words, for the verdict."""
    lead: float = 0.0
    """About how far above chance this alone may take a text-only scorer, as a fraction; it orders the problems."""


def points(fraction: float) -> str:
    """A fraction in percent with one decimal, without the sign."""
    return f"{100 * fraction:.1f}"


def with_interval(found: Estimate) -> str:
    """An accuracy with its 95 % interval, in words."""
    return f"{points(found.value)} % of pairs (95 % interval {points(found.low)} to {points(found.high)}; 50 is chance)"


def verdict(found: Separability) -> tuple[Grade, str]:
    """The grade and the answer to "could text alone have solved it?", in a sentence or two."""
    nested = found.nested
    # The scorer that was picked may be unlucky where another one is not, and below chance by as much as above it.
    room = max(nested.high - CHANCE, found.scorers[found.best].value - CHANCE, (nested.high - nested.low) / 2)
    if nested.high < CHANCE:
        return "ok", (
            f"Text-only classifiers pick the caption in {with_interval(nested)}: below chance, as happens by luck in "
            "a small set, or when a set was evened out or filtered against such classifiers: what they learn from some "
            "pairs is wrong for the others."
        )
    if nested.low <= CHANCE and room > WIDE:
        return "note", (
            "No text-only classifier was found to tell captions from foils, but there are few pairs to say so: the "
            f"best picks the caption in {with_interval(nested)}. A lead of {points(room)} points is not ruled out."
        )
    if nested.low <= CHANCE:
        return "ok", (
            "No text-only classifier tells captions from foils: the best picks the caption in "
            f"{with_interval(nested)}. A lead of more than {points(room)} points is ruled out."
        )
    grade, _ = _cue(nested)
    meaning = (
        "scores on this set measure wording as much as video"
        if nested.value >= STRONG
        else "scores on this set measure wording in part"
        if grade == "problem"
        else "barely above chance, but scores on this set should be compared with it"
    )
    return grade, f"A text-only classifier picks the caption in {with_interval(nested)}: {meaning}."


def worst(findings: Sequence[Finding], cues: Sequence[Cue]) -> str:
    """The worst problems and the words that tell most, in one sentence; empty when there are none."""
    problems = sorted((f for f in findings if f.grade == "problem" and f.brief), key=lambda f: -f.lead)
    named = [f.brief for f in problems[:WORST]]
    clear = [cue for cue in cues[:WORST] if abs(cue.captions - cue.foils) > CLEAR * (cue.captions + cue.foils) ** 0.5]
    if clear:
        told = (f"“{cue.word}” (foil {cue.foils}, caption {cue.captions})" for cue in clear)
        named.append(f"words that only one of the two says: {', '.join(told)}")
    return f"Worst: {'; '.join(named)}." if named else ""


def too_small(pairs: int, groups: int) -> str | None:
    """Why so few pairs cannot be judged; None when they can."""
    if pairs < FEWEST_PAIRS:
        return (
            f"Cannot tell: got {pairs} pair{'s' * (pairs != 1)} of caption and foil, expected at least {FEWEST_PAIRS}."
        )
    if groups < FEWEST_GROUPS:
        return (
            f"Cannot tell: all pairs come from {groups} source{'s' if groups > 1 else ''} (the field group), expected "
            f"at least {FEWEST_GROUPS}; a classifier must be judged on sources that it has not learned from."
        )
    return None


def judge(wording: Wording, repeats: Repeats, found: Separability | None, no_foil: int) -> tuple[Finding, ...]:
    """All findings, problems first. found: None where pairs were too few to judge; then only rows are checked."""
    every = [*_rows(wording, repeats, no_foil)]
    if found is not None:
        every += [*_scored(wording, found), *_words(wording, found)]
    order = ("problem", "note", "ok")
    return tuple(sorted(every, key=lambda finding: (order.index(finding.grade), -finding.lead)))


def _scored(wording: Wording, found: Separability) -> Iterator[Finding]:
    """Checks of the form of a text: length, case, punctuation."""
    n = wording.pairs
    best = _leader(found, "characters", "words")
    grade, lead = _cue(best)
    longer, shorter = points(wording.longer / n), points(wording.shorter / n)
    yield Finding(
        "length",
        grade,
        f"The foil is the longer text in {longer} % of pairs, the shorter one in {shorter} %."
        + _right(best, "Going by length alone"),
        f"the foil is the longer text in {longer} %, the shorter one in {shorter} %",
        lead,
    )
    best = _leader(found, "capitals", "first-capital")
    grade, lead = _cue(best)
    share = wording.case / n
    yield Finding(
        "case",
        _worse(grade, "note" if share >= NOTICE else "ok"),
        f"Caption and foil differ in capitals in {points(share)} % of pairs.{_right(best, 'Going by capitals alone')}",
        f"capitals differ in {points(share)} %",
        lead,
    )
    best = _leader(found, "punctuation")
    grade, lead = _cue(best)
    share = wording.punctuation / n
    yield Finding(
        "punctuation",
        _worse(grade, "note" if share >= NOTICE else "ok"),
        f"Caption and foil differ in punctuation in {points(share)} % of pairs.{_right(best, 'Going by it alone')}",
        f"punctuation differs in {points(share)} %",
        lead,
    )


def _words(wording: Wording, found: Separability) -> Iterator[Finding]:
    """Checks of the words: never used in captions, replaced one way only, whole texts."""
    n = wording.pairs
    best = _leader(found, "unseen-words")
    grade, lead = _cue(best)
    foils, captions = points(wording.foil_only / n), points(wording.caption_only / n)
    yield Finding(
        "vocabulary",
        grade,
        f"{foils} % of foils say a word that no caption says; {captions} % of captions say one that no foil says."
        + _right(best, "Going only by words that captions do not use"),
        f"{foils} % of foils say a word that no caption says",
        lead,
    )
    often = [change for change in wording.substitutions if change.count + change.back >= OFTEN]
    one_way = sum(change.one_way for change in often)
    share = wording.one_way / n
    yield Finding(
        "one-way substitutions",
        # Pairs that are told for sure, the others by tossing coins, give half the share as a lead.
        "problem" if share / 2 >= LEAD else "note" if share / 2 >= NOTICE else "ok",
        f"{one_way} of the {len(often)} substitutions seen at least {OFTEN} times go one way; they are in "
        f"{points(share)} % of pairs."
        if often
        else f"No substitution is seen {OFTEN} times.",
        f"{one_way} of {len(often)} frequent substitutions go one way",
        share / 2,
    )
    best = _leader(found, "popularity")
    grade, lead = _cue(best)
    yield Finding(
        "real captions",
        _worse(grade, "note" if wording.foil_is_caption < n / 2 else "ok"),
        f"{points(wording.foil_is_caption / n)} % of foils are captions of other rows; "
        f"{points(wording.other_way / n)} % of pairs occur the other way round as well."
        + _right(best, "Going only by which text has been a caption before"),
        "the same texts are always captions or always foils",
        lead,
    )
    if found.folds.evened.any():
        yield Finding(
            "balance",
            "ok",
            f"{points(float(found.folds.evened.mean()))} % of pairs are evened by design: their two texts are caption "
            "and foil equally often, so that whoever reads only text is right in half of them.",
            "",
        )


def _rows(wording: Wording, repeats: Repeats, no_foil: int) -> Iterator[Finding]:
    """Checks of the rows: repeats, foils that are true, missing ones."""
    n = wording.pairs
    if repeats.splits > 1:
        yield Finding(
            "repeats across splits",
            _share(repeats.pairs / max(1, repeats.rows)),
            f"{repeats.captions} captions occur in several splits; so do {repeats.pairs} pairs of caption and foil "
            "that never occur the other way round: a model may have read the answer in training.",
            f"{repeats.pairs} pairs occur in several splits",
            repeats.pairs / max(1, repeats.rows) / 2,
        )
    if n:
        yield Finding(
            "true foils",
            "problem" if wording.foil_is_true > NOTICE * n else "note" if wording.foil_is_true else "ok",
            f"{wording.foil_is_true} foils are another caption of the same clip: either text may be right."
            if wording.foil_is_true
            else "No foil is another caption of the same clip.",
            f"{wording.foil_is_true} foils are true captions of their clip",
        )
    if wording.same:
        sentence = f"{wording.same} foils are the caption itself; they count as ties."
        yield Finding("empty foils", "problem", sentence, f"{wording.same} foils are the caption itself")
    if no_foil:
        sentence = f"{no_foil} of {repeats.rows + no_foil} rows have no foil and do not count."
        yield Finding("rows without a foil", "note", sentence, "")


def _leader(found: Separability, *names: str) -> Estimate:
    """The highest of some scorers."""
    return max((found.scorers[name] for name in names), key=lambda e: e.value)


def _cue(found: Estimate) -> tuple[Grade, float]:
    """The grade of a cue by what its scorer reached, and its lead. Barely above chance, it is a note."""
    if found.low <= CHANCE:
        return "ok", 0.0
    lead = found.value - CHANCE
    return ("problem" if lead >= LEAD and found.low >= CHANCE + NOTICE else "note"), lead


def _right(found: Estimate, how: str) -> str:
    if found.ties == found.n:
        return ""
    return f" {how} is right in {points(found.value)} % ({points(found.low)} to {points(found.high)})."


def _share(share: float) -> Grade:
    return "problem" if share / 2 >= LEAD else "note" if share >= NOTICE else "ok"


def _worse(*grades: Grade) -> Grade:
    order: Mapping[Grade, int] = {"ok": 0, "note": 1, "problem": 2}
    return max(grades, key=order.__getitem__)
