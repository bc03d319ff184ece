"""The closed balanced split: every pair both ways, equally often, so that no text-only scorer can gain."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.actionbench.balance import closed_split
from paxion.records import SPLITS, Sample

TEXTS = ("open the door", "close the door", "Open  the door", "lift a cup", "lower a cup", "stir soup")
OPPOSITE = {
    "open the door": "close the door",
    "close the door": "open the door",
    "Open  the door": "close the door",
    "lift a cup": "lower a cup",
    "lower a cup": "lift a cup",
    "stir soup": None,
}


def row(number: int, text: str, split: str, group: str) -> Sample:
    return Sample(str(number), f"{number}.mp4", text, split, group, antonym=OPPOSITE[text])


ROWS = st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from(SPLITS), st.integers(0, 5)), max_size=60).map(
    lambda found: [row(number, text, split, f"g{group}") for number, (text, split, group) in enumerate(found)]
)


def folded(text: str | None) -> str:
    return " ".join((text or "").casefold().split())


@given(ROWS, st.integers(0, 3))
@settings(max_examples=200)
def test_every_pair_comes_both_ways_equally_often_in_each_split(rows, seed):
    closed = closed_split(rows, seed=seed)
    ways = Counter((sample.split, folded(sample.caption), folded(sample.antonym)) for sample in closed)
    for (split, caption, foil), count in ways.items():
        assert ways[split, foil, caption] == count
    # As many as there can be: the rarer side is kept whole.
    given_ways = Counter((s.split, folded(s.caption), folded(s.antonym)) for s in rows if s.antonym)
    for (split, caption, foil), count in given_ways.items():
        assert ways[split, caption, foil] == min(count, given_ways[split, foil, caption])
    assert closed == [sample for sample in rows if sample in closed]


@given(ROWS, st.dictionaries(st.sampled_from([folded(text) for text in TEXTS]), st.floats(-5, 5)))
@settings(max_examples=200)
def test_whatever_a_scorer_of_texts_prefers_it_is_right_in_half(rows, liking):
    closed = closed_split(rows)

    def credit(sample):
        right, wrong = liking.get(folded(sample.caption), 0.0), liking.get(folded(sample.antonym), 0.0)
        return (right > wrong) + 0.5 * (right == wrong)

    assert sum(map(credit, closed)) == len(closed) / 2


def test_many_sources_are_taken_before_one_is_taken_twice():
    rows = [row(number, "open the door", "test", "same") for number in range(20)]
    rows += [row(20 + number, "open the door", "test", f"other {number}") for number in range(3)]
    rows += [row(30 + number, "close the door", "test", f"shut {number}") for number in range(4)]
    kept = Counter(sample.group for sample in closed_split(rows) if sample.caption.startswith("open"))
    assert kept == {"same": 1, "other 0": 1, "other 1": 1, "other 2": 1}


def templated(*texts: tuple[str, str], split: str = "val") -> list[Sample]:
    return [
        Sample(
            str(n), "v.mp4", caption, split, str(n), template=template, antonym=f"not {n}", replaced="y", objects=("x",)
        )
        for n, (caption, template) in enumerate(texts)
    ]


def test_by_template_caption_and_foil_are_those_of_the_templates():
    rows = templated(
        ("Opening a book", "Opening something"), ("closing fridge", "closing something."), ("Stirring", "Stirring")
    )
    closed = closed_split(rows)
    # Case and full stops differ between rows; the closed texts do not, or they would tell.
    assert [(sample.caption, sample.antonym) for sample in closed] == [
        ("Opening something", "closing something"),
        ("closing something", "Opening something"),
    ]
    assert all(sample.replaced is None and sample.objects is None for sample in closed)


def test_an_antonym_in_the_data_sets_own_words_closes_a_pair():
    rows = templated(
        ("Put a in b", "Put something in something"), ("Remove c from d", "Remove something from something")
    )
    assert [(sample.caption, sample.antonym) for sample in closed_split(rows)] == [
        ("Put something in something", "Remove something from something"),
        ("Remove something from something", "Put something in something"),
    ]


def test_other_words_for_the_same_are_no_antonym():
    one, two = (
        "Take something out of something and put it on something",
        "Remove something from something and put it on something",
    )
    assert closed_split(templated((one, one), (two, two))) == []


TEMPLATES = (
    "Put something in something", "Take something out of something", "Remove something from something",
    "Put something on something", "Take something off something", "Open something", "Close something", "Stir something",
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(TEMPLATES), st.sampled_from(SPLITS)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_templates_come_both_ways_equally_often_and_no_row_twice(drawn):
    rows = [
        replace(templated((text, text), split=split)[0], id=str(n), group=str(n))
        for n, (text, split) in enumerate(drawn)
    ]
    closed = closed_split(rows)
    ways = Counter((sample.split, sample.caption, sample.antonym) for sample in closed)
    assert all(ways[split, foil, caption] == count for (split, caption, foil), count in ways.items())
    assert len({sample.id for sample in closed}) == len(closed)
