"""Reading ahead changes when clips are read, never what is read."""

from __future__ import annotations

import threading

import pytest
import torch

from paxion.features.ahead import ReadAhead


class Noting:
    """A source that notes what it is asked for, and by which thread."""

    def __init__(self, source) -> None:
        self.source, self.reads, self.threads, self.advised = source, [], set(), []
        self.spec, self.reorderable = source.spec, source.reorderable

    def read(self, keys, control="none", seeds=None):
        self.reads.append((tuple(keys), control))
        self.threads.add(threading.current_thread())
        return self.source.read(keys, control, seeds)

    def prefetch(self, keys) -> None:
        self.advised.append(tuple(keys))


@pytest.fixture
def noting(tiny_features) -> Noting:
    return Noting(tiny_features.store)


def batches(tiny_features) -> list[list[str]]:
    keys = list(tiny_features.keys.values())
    return [keys[begin : begin + 4] for begin in range(0, 40, 4)]


def same(one, other) -> bool:
    return torch.equal(one.pooled, other.pooled) and torch.equal(one.tokens, other.tokens)


def test_what_is_read_is_what_the_source_gives(noting, tiny_features):
    every = batches(tiny_features)
    with ReadAhead(noting) as ahead:
        ahead.expect([every[0]])
        for now, later in zip(every, [*every[1:], []], strict=True):
            ahead.expect([later] if later else [])
            for control in ("none", "reversed"):
                assert same(ahead.read(now, control), tiny_features.store.read(now, control))
    # Each was read once, by the one thread; the source was told of each before that.
    assert noting.advised == [tuple(keys) for keys in every]
    assert sorted(noting.reads) == sorted((tuple(keys), c) for keys in every for c in ("none", "reversed"))
    assert len(noting.threads) == 1 and threading.current_thread() not in noting.threads


def test_the_next_step_is_read_while_this_one_runs(noting, tiny_features):
    every = batches(tiny_features)
    with ReadAhead(noting) as ahead:
        ahead.expect([every[0]])
        ahead.expect([every[1], every[2]])
        ahead.read(every[0])
        for _ in range(200):
            if len(noting.reads) == 3:
                break
            threading.Event().wait(0.01)
        assert noting.reads[0] == (tuple(every[0]), "none")
        assert sorted(noting.reads[1:]) == sorted((tuple(keys), "none") for keys in every[1:3])


def test_what_was_not_expected_is_read_all_the_same(noting, tiny_features):
    every = batches(tiny_features)
    with ReadAhead(noting) as ahead:
        ahead.expect([every[0]])
        assert same(ahead.read(every[5]), tiny_features.store.read(every[5]))
        assert same(ahead.read(every[5], "last"), tiny_features.store.read(every[5], "last"))
        seeds = list("abcd")
        assert same(ahead.read(every[0], "shuffled", seeds), tiny_features.store.read(every[0], "shuffled", seeds))
        assert ahead.spec == tiny_features.store.spec and ahead.reorderable
        ahead.prefetch(every[1])
    assert noting.advised == [tuple(every[0]), tuple(every[1])]
    # Nothing of this is taken for what a step reads.
    assert len(noting.reads) == 3


def test_a_read_that_fails_fails_where_it_is_asked_for(tiny_features):
    class Broken(Noting):
        def read(self, keys, control="none", seeds=None):
            if keys[0] == "bad":
                raise OSError("gone")
            return super().read(keys, control, seeds)

    every = batches(tiny_features)
    with ReadAhead(Broken(tiny_features.store)) as ahead:
        ahead.expect([every[0]])
        ahead.expect([["bad"]])
        ahead.read(every[0])
        ahead.expect([every[1]])
        with pytest.raises(OSError, match="gone"):
            ahead.read(["bad"])
        assert same(ahead.read(every[1]), tiny_features.store.read(every[1]))
