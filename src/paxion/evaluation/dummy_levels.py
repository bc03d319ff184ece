"""What each dummy must score, by counting over the samples: no vectors, no similarities, none of the metrics' code.

A dummy's score of a text for a clip is 1 where it likes the text, a number of its own where not (as likely above
as below every other such), and 0 for all where it sees nothing. From that, every metric follows as an expectation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import permutations
from math import comb
from statistics import fmean

from paxion.evaluation.dummies import FRAMES, Dummy, View
from paxion.evaluation.exchange import others
from paxion.records import Sample
from paxion.video.controls import ANTONYM_SAID, OTHER, frame_order

Value = float | tuple[object, str]
"""A score: a number, or the name of one that is as likely above as below any other such, and below 1."""


@dataclass(frozen=True)
class Levels:
    """The expected values of one dummy under one control."""

    dummy: Dummy
    control: str = "none"

    def value(self, task: str, metric: str) -> float:
        """The expected value of a metric, for tasks and metrics that `score_task` gives under the default protocol."""
        if task in ("antonym", "object", "reversal"):
            pairs = self._choices(task)
            if metric == "AUROC":
                return fmean(_above(right, wrong) for right, _ in pairs for _, wrong in pairs)
            return fmean(_above(right, wrong) for right, wrong in pairs)
        if task == "twins":
            return fmean(_twins(table)[metric] for table in self._tables())
        if task == "questions":
            return fmean(self._question(place) for place in self._asked())
        queries = self._queries(task)
        if metric == "mAP":
            return fmean(_average_precision(blocks) for blocks in self._queries("action_to_video"))
        return fmean(_recall(blocks, int(metric.removeprefix("R@"))) for blocks in queries)

    @cached_property
    def _views(self) -> list[tuple[View, View]]:
        """What is shown of each sample's clip, and of its reversal."""
        control = "none" if self.control in (OTHER, ANTONYM_SAID) else self.control
        samples, seed = self.dummy.samples, self.dummy.seed
        exchanged = others(samples, seed) if self.control == OTHER else None
        frames, found = tuple(range(FRAMES)), []
        for place, sample in enumerate(samples):
            whose = place if exchanged is None else exchanged[place]
            order = frame_order(control, FRAMES, f"{sample.id}/{seed}").tolist()
            # The reversal is put under the control as a clip of its own; a frozen one stays at the frame it stopped at.
            backwards = frames if control == "frozen" else frames[::-1]
            views = [View(whose, tuple(straight[at] for at in order)) for straight in (frames, backwards)]
            found.append((views[0], views[1]))
        return found

    @cached_property
    def _liked(self) -> dict[View, frozenset[str]]:
        return {view: self.dummy.likes(view) for views in self._views for view in views}

    def score(self, place: int, text: str, turned: bool = False) -> Value:
        """The score of a text for a sample's clip or its reversal."""
        if self.dummy.name == "longest-text":
            return len(text) / 1e6
        if self.control == "blind":
            return 0.0
        view = self._views[place][turned]
        kind, likes = self.dummy.kind(text), self._liked[view]
        if kind in likes:
            return 1.0
        # Who likes the same texts is the same vector; else it is the clip's own.
        return (likes or view, kind)

    def _choices(self, task: str) -> list[tuple[Value, Value]]:
        found = []
        for place, sample in enumerate(self.dummy.samples):
            said = sample.antonym if self.control == ANTONYM_SAID else sample.caption
            foil = sample.antonym if task == "antonym" else sample.replaced
            if task == "reversal":
                if sample.reversible is not False and said is not None:
                    found.append((self.score(place, said), self.score(place, said, turned=True)))
            elif foil is not None:
                found.append((self.score(place, sample.caption), self.score(place, foil)))
        return found

    def _tables(self) -> list[tuple[Value, Value, Value, Value]]:
        """Of each twin: clip with caption and antonym, reversal with caption and antonym."""
        return [
            (
                self.score(place, sample.caption),
                self.score(place, sample.antonym),
                self.score(place, sample.caption, turned=True),
                self.score(place, sample.antonym, turned=True),
            )
            for place, sample in enumerate(self.dummy.samples)
            if sample.antonym is not None and sample.reversible is not False
        ]

    def _asked(self) -> list[int]:
        samples = self.dummy.samples
        usable = [i for i, s in enumerate(samples) if s.choices and s.answer is not None and len(s.choices) > 1]
        counts = [len(samples[i].choices or ()) for i in usable]
        return [i for i in usable if len(samples[i].choices or ()) == max(counts, key=counts.count)]

    def _question(self, place: int) -> float:
        sample = self.dummy.samples[place]
        choices = [self.dummy.settings.question(sample.question or "", choice) for choice in sample.choices or ()]
        values = [self.score(place, choice) for choice in choices]
        return _recall(_blocks(values, [i == sample.answer for i in range(len(values))]), 1)

    def _queries(self, task: str) -> list[list[tuple[int, int]]]:
        """The blocks of equally good candidates of every query, best first: (size, how many of them are right)."""
        samples = self.dummy.samples
        everyone = range(len(samples))
        captions = list(dict.fromkeys(sample.caption for sample in samples))
        named = [place for place in everyone if samples[place].template is not None]
        labels = list(self.dummy.settings.labels) or list(dict.fromkeys(samples[i].template or "" for i in named))
        named = [place for place in named if samples[place].template in labels]
        if task == "text_to_video":
            return [
                self._ranked([(self.score(i, text), samples[i].caption == text) for i in everyone]) for text in captions
            ]
        if task == "video_to_text":
            texts = list(dict.fromkeys([*captions, *self.dummy.settings.texts]))
            return [
                self._ranked([(self.score(i, text), samples[i].caption == text) for text in texts]) for i in everyone
            ]
        right = {label: {_label(samples[i]) for i in named if samples[i].template == label} for label in labels}
        if task == "action_to_video":
            return [
                self._ranked([(self.score(i, label), _label(samples[i]) in right[label]) for i in named])
                for label in labels
                if right[label]
            ]
        ranked = [[(self.score(i, label), _label(samples[i]) in right[label]) for label in labels] for i in named]
        return [self._ranked(one) for one in ranked if not all(is_right for _, is_right in one)]

    def _ranked(self, scored: Sequence[tuple[Value, bool]]) -> list[tuple[int, int]]:
        return _blocks([value for value, _ in scored], [right for _, right in scored])


def _label(sample: Sample) -> tuple[str, str | None]:
    return ("action", sample.action) if sample.action else ("template", sample.template)


def _blocks(values: Sequence[Value], right: Sequence[bool]) -> list[tuple[int, int]]:
    """Numbers are blocks of equals, the highest first; all that is left to chance is one block below them."""
    order = sorted({value for value in values if isinstance(value, float)}, reverse=True)
    places = [[i for i, value in enumerate(values) if value == number] for number in order]
    places.append([i for i, value in enumerate(values) if not isinstance(value, float)])
    return [(len(block), sum(right[i] for i in block)) for block in places if block]


def _recall(blocks: Sequence[tuple[int, int]], k: int) -> float:
    """The chance that one of the first k is right, for blocks in random order."""
    missed = 1.0
    for size, right in blocks:
        drawn = min(k, size)
        missed *= comb(size - right, drawn) / comb(size, drawn)
        k -= drawn
    return 1 - missed


def _average_precision(blocks: Sequence[tuple[int, int]]) -> float:
    """The expected average precision of blocks in random order."""
    total, before, hits = 0.0, 0, 0
    for size, right in blocks:
        for place in range(size):
            ahead = place * (right - 1) / (size - 1) if size > 1 else 0
            total += right / size * (hits + 1 + ahead) / (before + place + 1)
        before, hits = before + size, hits + right
    return total / hits


def _above(right: Value, wrong: Value) -> float:
    """The expected credit of a choice."""
    if isinstance(right, float) and isinstance(wrong, float):
        return 0.5 if right == wrong else float(right > wrong)
    if isinstance(right, float) or isinstance(wrong, float):
        return float(isinstance(right, float))
    return 0.5


@cache
def _twins(table: tuple[Value, Value, Value, Value]) -> dict[str, float]:
    """The expected metrics of a twin: over all orders of the scores that are left to chance, equally likely."""
    drawn = list(dict.fromkeys(value for value in table if not isinstance(value, float)))
    found: dict[str, list[float]] = {}
    for order in permutations(range(len(drawn))):
        place = {value: at / 10 for value, at in zip(drawn, order, strict=True)}
        a, b, c, d = (value if isinstance(value, float) else place[value] for value in table)
        clip, turned = _above(a, b), _above(d, c)
        video = _above(a, c) * _above(d, b)
        values = {
            "accuracy": (clip + turned) / 2,
            "both_right": clip * turned,
            "same_answer": clip * (1 - turned) + turned * (1 - clip),
            "text": clip * turned,
            "video": video,
            "group": clip * turned * video,
        }
        for metric, value in values.items():
            found.setdefault(metric, []).append(value)
    return {metric: fmean(listed) for metric, listed in found.items()}
