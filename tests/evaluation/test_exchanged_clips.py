"""Whose clip is shown under `other`, and what is said under `antonym_said`."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from paxion.evaluation.exchange import contradicted, others
from paxion.records import Sample


def drawn(groups: list[int]) -> list[Sample]:
    return [
        Sample(f"s{i}", "a.mp4", "it falls", "test", f"g{group}", antonym="it rises") for i, group in enumerate(groups)
    ]


@given(st.lists(st.integers(0, 6), min_size=2, max_size=60), st.integers(0, 9))
def test_each_clip_is_shown_once_and_never_to_its_own_sample_or_source(groups, seed):
    samples = drawn(groups)
    found = others(samples, seed)
    assert sorted(found) == list(range(len(samples)))
    assert all(i != other for i, other in enumerate(found))
    if 2 * max(Counter(groups).values()) <= len(groups):
        assert all(groups[i] != groups[other] for i, other in enumerate(found))


def test_the_exchange_depends_on_ids_and_seed_alone():
    samples = drawn(list(range(20)))
    pairs = {(samples[i].id, samples[other].id) for i, other in enumerate(others(samples, 3))}
    turned = samples[::-1]
    assert {(turned[i].id, turned[other].id) for i, other in enumerate(others(turned, 3))} == pairs
    assert {(samples[i].id, samples[other].id) for i, other in enumerate(others(samples, 4))} != pairs
    assert others(samples[:1]) is None


def test_who_has_no_antonym_is_not_contradicted():
    first, second = drawn([0, 1])
    silent = Sample("s2", "a.mp4", "it spins", "test", "g2")
    found = contradicted([first, second, silent])
    assert [sample.caption for sample in found] == ["it rises", "it rises", "it spins"]
    assert [sample.reversible for sample in found] == [None, None, False]
