"""What people answered to a kit: accuracy with intervals, agreement between people, and questions nobody gets right."""

from __future__ import annotations

import difflib
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from paxion.actionbench.human_key import Key, Question, read_object
from paxion.evaluation.statistics import Estimate, estimate
from paxion.manifest import field_problems
from paxion.records import PROBES, PaxionError, Score

FORMAT = "paxion human answers 1"
ALL = "all"
"""Stands for all tasks, and for all people together."""
UNSURE = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as the page saves it."""

    id: str
    """The question's."""
    answer: int
    """1 or 2: the option; 0: cannot tell."""
    ms: int
    """Milliseconds from the question's appearance to the first answer."""
    changes: int
    """How often the answer was changed afterwards."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The answers of one person."""

    person: str
    answers: Mapping[str, Answer]
    """By question id. Questions without an answer are absent."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How one person, or all together, did. A "cannot tell" counts one half and is the tie of the estimate."""

    person: str
    accuracy: Mapping[str, Estimate]
    """By task, and for "all" tasks; tasks without an answer are absent. Clustered by group: the answers of several
    people to one clip are one cluster, so the interval speaks for other clips, not for other people."""
    unanswered: int
    first: Estimate | None
    """Share of the first option among the answers that chose one. The first is right in half of a kit's questions."""
    seconds: float
    """Median time to an answer."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement between people on the option chosen: first, second, or cannot tell."""

    task: str
    questions: int
    """Questions that two people or more have answered."""
    share: float
    """Agreeing pairs of answers to a question, out of all such pairs."""
    measure: str
    """Cohen's kappa for two people, Krippendorff's alpha (nominal) for more."""
    value: float | None
    """1 is full agreement, 0 what chance gives. None: not defined, since everybody always gave the same answer."""


@dataclass(frozen=True, slots=True)
class HumanResult:
    """Everything that the answers to a kit tell."""

    key: Key
    people: tuple[Tally, ...]
    pooled: Tally
    agreement: tuple[Agreement, ...]
    """For all tasks, then for each; empty for one person."""
    nobody_right: tuple[tuple[Question, int], ...]
    """Questions that everybody who answered got wrong, with how many people that is. With several people, only those
    that two or more have answered. The label may be the one that is wrong."""
    scores: tuple[Score, ...]
    """One per person and task: model "human:NAME", and "human:all" for all together."""


def score_answers(key: Key, files: Sequence[Path | str]) -> HumanResult:
    """Score the answers of one or more people, a file each. See `read_sheet` for errors; also raises PaxionError
    without files, for the same person twice, and for a person without an answer.
    """
    if not files:
        raise PaxionError("got no answers, expected one or more answers-NAME.json files that the kit has saved")
    sheets: dict[str, tuple[Path, Sheet]] = {}
    for path in map(Path, files):
        sheet = read_sheet(path, key)
        earlier = sheets.setdefault(sheet.person.casefold(), (path, sheet))
        if earlier[1] is not sheet:
            raise PaxionError(
                f"{path}: got answers of {sheet.person} again (first in {earlier[0]}), expected one file a person; "
                'leave one out, or change "person" if these are two people'
            )
    everybody = [sheet for _, sheet in sheets.values()]
    people = tuple(_tally(key, sheet.person, [sheet]) for sheet in everybody)
    pooled = _tally(key, ALL, everybody)
    scores = tuple(
        Score(
            f"human:{tally.person}", key.data, task, "none", "accuracy", e.value, e.low, e.high, e.n, e.ties, key.seed
        )
        for tally in (*people, pooled)
        for task, e in tally.accuracy.items()
        if task != ALL
    )
    return HumanResult(key, people, pooled, _agreements(key, everybody), _nobody_right(key, everybody), scores)


def read_sheet(path: Path | str, key: Key) -> Sheet:
    """Read the file that the kit of `key` has saved for one person.

    Raises PaxionError when it cannot be read, belongs to another kit, or holds something that is no answer to one of
    the kit's questions, or two answers to one.
    """
    path = Path(path)
    content = read_object(path, FORMAT, "an answers-NAME.json file that the kit has saved")
    if content.get("kit") != key.kit:
        raise PaxionError(
            f"{path}: got answers to kit {content.get('kit')!r}, expected kit {key.kit!r}; give the kit they belong to"
        )
    person, rows = content.get("person"), content.get("answers")
    name = " ".join(person.split()) if isinstance(person, str) else ""
    if not name or not name.isprintable() or name.casefold() == ALL:
        raise PaxionError(f'{path}: person: got {person!r}, expected a name other than "{ALL}"; change it in the file')
    if not isinstance(rows, list) or not rows:
        raise PaxionError(f"{path}: answers: got none, expected a list of answers; leave the file out")
    questions = [question.id for question in key.questions]
    answers: dict[str, Answer] = {}
    for row in rows:
        for field, message in field_problems(Answer, row):
            raise PaxionError(f"{path}: answer {len(answers) + 1}: {field}: {message}")
        answer = Answer(**row)
        if answer.id not in questions:
            near = difflib.get_close_matches(answer.id, questions, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise PaxionError(f"{path}: got an answer to {answer.id!r}, no question of kit {key.kit}{hint}; remove it")
        if answer.id in answers:
            raise PaxionError(f"{path}: got two answers to {answer.id}, expected one; remove the wrong one")
        if answer.answer not in (UNSURE, 1, 2):
            raise PaxionError(f"{path}: {answer.id}: got answer {answer.answer}, expected 1, 2, or 0 for cannot tell")
        if answer.ms < 0 or answer.changes < 0:
            raise PaxionError(
                f"{path}: {answer.id}: got ms {answer.ms} and changes {answer.changes}, expected 0 or more"
            )
        answers[answer.id] = answer
    return Sheet(name, answers)


def krippendorff_alpha(units: Sequence[Sequence[int]]) -> float | None:
    """Krippendorff's alpha for nominal data. units: the values given to each unit, as many as there are.

    1 - D_o / D_e of the coincidences: each ordered pair of values within a unit of m values weighs 1 / (m - 1), so that
    missing values need no filling in; units of one value say nothing. None when all values are the same.
    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).
    """
    paired = [unit for unit in units if len(unit) > 1]
    totals = Counter(value for unit in paired for value in unit)
    n = sum(totals.values())
    expected = n * n - sum(count * count for count in totals.values())
    if expected == 0:
        return None
    observed = sum((len(u) ** 2 - sum(c * c for c in Counter(u).values())) / (len(u) - 1) for u in paired)
    return 1 - (n - 1) * observed / expected


def cohen_kappa(pairs: Sequence[tuple[int, int]]) -> float | None:
    """Cohen's kappa of two people's values for the same units. None when both always gave the same one value."""
    n = len(pairs)
    one, other = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(one[value] * other[value] for value in one) / n**2 if n else 1.0
    return None if chance == 1 else (sum(a == b for a, b in pairs) / n - chance) / (1 - chance)


def result_text(result: HumanResult, listed: int = 10) -> str:
    """The result as lines of plain text. listed: how many of the questions nobody gets right are spelled out."""
    key = result.key
    tasks = [task for task in PROBES if any(question.task == task for question in key.questions)] + [ALL]
    rows = [["", *tasks, "unanswered", "cannot tell", "first option", "seconds"]]
    for tally in (*result.people, *([result.pooled] if len(result.people) > 1 else [])):
        cells = [_cell(tally.accuracy.get(task)) for task in tasks]
        first = "-" if tally.first is None else f"{100 * tally.first.value:.0f} %"
        unsure = tally.accuracy[ALL].ties
        rows.append([tally.person, *cells, str(tally.unanswered), str(unsure), first, f"{tally.seconds:.1f}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    count = len(result.people)
    lines = [
        f"{key.data}, kit {key.kit}: {len(key.questions)} questions, {count} {'person' if count == 1 else 'people'}",
        "accuracy in percent with 95 % intervals over clips (not over people); cannot tell counts one half",
        *("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows),
    ]
    for found in result.agreement:
        value = "not defined (always the same answer)" if found.value is None else f"{found.value:.2f}"
        lines.append(
            f"agreement, {found.task}: {100 * found.share:.1f} % of pairs on {found.questions} questions, "
            f"{found.measure} {value}"
        )
    if result.nobody_right:
        who = "nobody gets right" if count > 1 else "were answered wrongly"
        lines.append(f"{len(result.nobody_right)} questions {who}; look at their labels:")
    for question, people in result.nobody_right[:listed]:
        wrong = question.second if question.right == 1 else question.first
        chosen = "the reversed clip" if question.task == "reversal" else f'"{wrong}"'
        lines.append(
            f'  {question.id} {question.task}, sample {question.sample}: "{question.caption}"; {people} chose {chosen}'
        )
    if len(result.nobody_right) > listed:
        lines.append(f"  and {len(result.nobody_right) - listed} more")
    return "\n".join(lines)


def _tally(key: Key, person: str, sheets: Sequence[Sheet]) -> Tally:
    pairs = [(q, sheet.answers[q.id]) for sheet in sheets for q in key.questions if q.id in sheet.answers]
    accuracy = {}
    for task in (*PROBES, ALL):
        asked = [(question, answer) for question, answer in pairs if task in (ALL, question.task)]
        if asked:
            credits = np.array([_credit(question, answer) for question, answer in asked])
            accuracy[task] = estimate(credits, [question.group for question, _ in asked])
    chosen = [(question, answer) for question, answer in pairs if answer.answer != UNSURE]
    first = None
    if chosen:
        ones = np.array([float(answer.answer == 1) for _, answer in chosen])
        first = estimate(ones, [question.group for question, _ in chosen], ties=0)
    seconds = statistics.median(answer.ms for _, answer in pairs) / 1000
    return Tally(person, accuracy, len(key.questions) * len(sheets) - len(pairs), first, seconds)


def _credit(question: Question, answer: Answer) -> float:
    return 0.5 if answer.answer == UNSURE else float(answer.answer == question.right)


def _agreements(key: Key, sheets: Sequence[Sheet]) -> tuple[Agreement, ...]:
    if len(sheets) < 2:
        return ()
    found = []
    for task in (ALL, *PROBES):
        asked = [question for question in key.questions if task in (ALL, question.task)]
        units = [[sheet.answers[q.id].answer for sheet in sheets if q.id in sheet.answers] for q in asked]
        units = [unit for unit in units if len(unit) > 1]
        if not units:
            continue
        agreeing = [a == b for unit in units for a, b in combinations(unit, 2)]
        if len(sheets) == 2:
            measure, value = "Cohen's kappa", cohen_kappa([(a, b) for a, b in units])
        else:
            measure, value = "Krippendorff's alpha", krippendorff_alpha(units)
        found.append(Agreement(task, len(units), sum(agreeing) / len(agreeing), measure, value))
    return tuple(found)


def _nobody_right(key: Key, sheets: Sequence[Sheet]) -> tuple[tuple[Question, int], ...]:
    credits = defaultdict(list)
    for sheet in sheets:
        for question in key.questions:
            if question.id in sheet.answers:
                credits[question.id].append(_credit(question, sheet.answers[question.id]))
    least = min(2, len(sheets))
    return tuple(
        (question, len(credits[question.id]))
        for question in key.questions
        if len(credits[question.id]) >= least and not any(credits[question.id])
    )


def _cell(found: Estimate | None) -> str:
    return "-" if found is None else f"{100 * found.value:.1f} ({100 * found.low:.1f}-{100 * found.high:.1f})"
