from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.evaluation.breakdowns import breakdown, parts
from paxion.evaluation.statistics import estimate
from paxion.records import PaxionError, Row

ROW = Row("a", "g", "clip", "set", "antonym", "none", 0, 0.3, 0.1, 1.0)
DRAWN = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from("abcd"), st.sampled_from(["fall", "open", None])),
    min_size=1,
    max_size=40,
)


def rows_of(drawn):
    rows = [replace(ROW, id=str(i), group=group, credit=credit) for i, (credit, group, _) in enumerate(drawn)]
    return rows, {str(i): ({"verb": verb} if verb else {}) for i, (*_, verb) in enumerate(drawn)}


@given(DRAWN)
def test_strata_are_the_whole_and_come_worst_first(drawn):
    rows, strata = rows_of(drawn)
    if not any(strata.values()):
        with pytest.raises(PaxionError, match=f"none of the {len(rows)} samples has a verb"):
            breakdown(rows, strata, "verb")
        return
    found = breakdown(rows, strata, "verb")
    assert {each.name: each.n for each in found} == dict(Counter(verb or "(no verb)" for *_, verb in drawn))
    assert sum(each.n * each.value for each in found) == pytest.approx(sum(row.credit for row in rows))
    assert sum(each.ties for each in found) == sum(row.credit == 0.5 for row in rows)
    assert [each.value for each in found] == sorted(each.value for each in found)
    assert all(each.low <= each.value <= each.high for each in found)


def test_a_stratum_is_the_estimate_of_its_rows_by_group():
    rows = [replace(ROW, id=str(i), group=str(i // 2), credit=float(i % 3 == 0)) for i in range(12)]
    strata = {str(i): {"verb": "fall" if i < 6 else "open"} for i in range(12)}
    for each in breakdown(rows, strata, "verb"):
        own = [row for row in rows if strata[row.id]["verb"] == each.name]
        expected = estimate(np.array([row.credit for row in own]), [row.group for row in own])
        assert (each.value, each.low, each.high, each.n) == (expected.value, expected.low, expected.high, 6)
        assert each.groups == 3


def test_seeds_are_averaged_by_sample_before_anything_is_counted():
    rows = [replace(ROW, id=name, seed=seed, credit=credit) for name, seed, credit in
            (("a", 0, 1.0), ("a", 1, 0.0), ("b", 0, 1.0), ("b", 1, 1.0))]  # fmt: skip
    found = breakdown(rows, {"a": {"verb": "fall"}, "b": {"verb": "open"}}, "verb")
    assert [(each.name, each.value, each.n) for each in found] == [("fall", 0.5, 1), ("open", 1.0, 1)]


def test_a_twins_reversal_has_the_facts_of_its_clip():
    rows = [ROW, replace(ROW, id="a#reversed", credit=0.0)]
    (found,) = breakdown(rows, {"a": {"verb": "fall"}}, "verb")
    assert (found.name, found.n, found.value) == ("fall", 2, 0.5)
    assert parts(["a", "a#reversed", "b"], {"a": {"verb": "fall"}}, "verb") == {
        "fall": ["a", "a#reversed"],
        "(no verb)": ["b"],
    }


def test_what_no_sample_has_is_an_error_that_says_what_they_have():
    with pytest.raises(PaxionError, match=r"none of the 1 samples has a kind.*give one of verb, caption length"):
        breakdown([ROW], {"a": {"verb": "fall", "caption length": "up to 5 words"}}, "kind")
    with pytest.raises(PaxionError, match=r"none of the 1 samples has a verb.*score a manifest that has such facts"):
        breakdown([ROW], {}, "verb")
    with pytest.raises(PaxionError, match=r"unknown stratum 'verbs' .did you mean 'verb'"):
        breakdown([ROW], {"a": {"verb": "fall"}}, "verbs")


def test_rows_of_two_models_are_no_score():
    with pytest.raises(ValueError, match="of one model, data set, task and control"):
        breakdown([ROW, replace(ROW, model="other")], {"a": {"verb": "fall"}}, "verb")
