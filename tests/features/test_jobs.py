"""The cut into shards: the same in every run and every process, whatever is done already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paxion.backbones.base import Features
from paxion.features.jobs import Job, clips_per_shard, kinds, plan
from paxion.features.shards import shard_name
from paxion.features.store import BLIND, FeatureStore, StoreSpec, variant
from paxion.video.transform import Transform

SPEC = StoreSpec("toy", "1", "midpoint", frames=2, transform=Transform(32))
JOBS = [Job(f"clip{number:02}", Path(f"{number}.mp4"), None, None) for number in range(23)]


def features(count: int, vectors: bool = False) -> Features:
    return Features(torch.ones(count, 4), torch.ones(count, 2, 1, 4), torch.ones(count, 2, 4) if vectors else None)


def empty(root: Path, vectors: bool = False, per_frame: bool = False) -> FeatureStore:
    """A store with the blind clip alone."""
    store = FeatureStore(root, replace(SPEC, per_frame=per_frame))
    store.append([BLIND], features(1, vectors), {})
    return store


def cut(store: FeatureStore, size: int = 4, controls: tuple[str, ...] = (), jobs: list[Job] = JOBS) -> list[list[str]]:
    return [piece.keys for piece in plan(store, jobs, controls, size)]


def flat(shards: list[list[str]]) -> list[str]:
    return [key for keys in shards for key in keys]


def do(store: FeatureStore, keys: list[str], rows: int | None = None, missed: tuple[str, ...] = ()) -> None:
    """Write the first rows of a shard; all of them: complete it."""
    with store.writer(keys) as writer:
        for row in range(len(keys) if rows is None else rows):
            if writer.done[row]:
                continue
            if keys[row] in missed:
                writer.write([], None, {row: "no file"})
            else:
                writer.write([row], features(1))
        if rows is None:
            writer.finish()


def test_clips_are_cut_in_their_order(tmp_path):
    found = cut(empty(tmp_path))
    assert [len(keys) for keys in found] == [4, 4, 4, 4, 4, 3]
    assert flat(found) == [job.key for job in JOBS]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["all", "some", "missed"])), max_size=8), st.booleans())
def test_the_cut_stays_whatever_is_done(tmp_path_factory, done, controlled):
    """Shards that are complete go, those that were begun stay as they are, and no border moves."""
    store = empty(tmp_path_factory.mktemp("store"))
    controls = ("reversed", "last") if controlled else ()
    first, left = cut(store, 4, controls), dict(enumerate(cut(store, 4, controls)))
    for number, how in done:
        if number in left:
            keys = left[number]
            do(store, keys, 2 if how == "some" else None, missed=tuple(keys[:1] if how == "missed" else ()))
            if how != "some":
                del left[number]
        assert cut(store, 4, controls) == list(left.values())
        assert cut(FeatureStore(store.folder, store.spec), 4, controls) == list(left.values())
    assert [keys for number, keys in enumerate(first) if number in left] == list(left.values())


def test_what_another_command_left_is_gone_on_with_where_it_can_be(tmp_path):
    store = empty(tmp_path)
    keys = [job.key for job in JOBS]
    do(store, keys[5:11], 3)  # of a cut into sixes, perhaps
    do(store, [*keys[12:14], "gone"], 2)  # of a manifest with another clip
    do(store, keys[20:22])
    found = cut(store)
    assert keys[5:11] in found and sorted(flat(found)) == sorted({*keys} - {*keys[20:22]})
    do(store, keys[7:9])
    assert keys[5:11] in cut(store)  # two are done now, and three others were


def test_shards_that_overlap_are_not_both_gone_on_with(tmp_path):
    store = empty(tmp_path)
    keys = [job.key for job in JOBS]
    for begin in (0, 2):
        do(store, keys[begin : begin + 4], 1)
    assert sorted(flat(cut(store))) == keys


@pytest.mark.parametrize("part", ["tokens", "pooled"])
def test_a_damaged_shard_is_done_again_as_it_was(tmp_path, part):
    store = empty(tmp_path)
    first = cut(store)
    for keys in first:
        do(store, keys, missed=(JOBS[4].key,))
    assert cut(store) == []
    path = store.folder / f"shard-{shard_name(first[1])}.{part}.npy"
    path.write_bytes(path.read_bytes()[:-1])
    again = FeatureStore(store.folder, store.spec)
    assert cut(again) == [first[1]]
    do(again, first[1])
    assert cut(again) == [] and again.damaged == {}


def test_what_is_encoded_depends_on_what_can_be_derived(tmp_path):
    asked = ("shuffled", "none", "reversed", BLIND)
    found = {
        name: kinds(empty(tmp_path / name, vectors, per_frame), asked)
        for name, vectors, per_frame in (("all", True, True), ("tokens", False, True), ("nothing", False, False))
    }
    assert [(kind.controls, kind.pooled) for kind in found["all"]] == [(("none",), False)]
    assert [(kind.controls, kind.pooled) for kind in found["tokens"]] == [
        (("none",), False),
        (("reversed", "shuffled"), True),
    ]
    assert [(kind.controls, kind.pooled) for kind in found["nothing"]] == [(("none", "reversed", "shuffled"), False)]


def test_a_control_asked_for_later_fills_shards_of_its_own(tmp_path):
    store = empty(tmp_path)
    for keys in cut(store):
        do(store, keys)
    later = cut(store, 4, ("reversed",))
    assert flat(later) == [variant(job.key, "reversed") for job in JOBS] and len(later) == 6


@pytest.mark.parametrize(
    ("width", "tokens", "frames", "dtype", "clips"),
    [
        (768, 50, 8, "float16", 64),  # CLIP B/32: 0.6 MB
        (768, 50, 8, "int8", 128),
        (1024, 257, 8, "float16", 16),  # InternVideo L/14: 4.2 MB
        (128, 17, 9, "float16", 512),  # the world
        (64, 0, 8, "float16", 512),
    ],
)
def test_a_shard_is_about_64_mb_in_whole_batches(width, tokens, frames, dtype, clips):
    class Sizes:
        token_width, tokens_per_frame = width, tokens

    Sizes.frames = frames
    assert clips_per_shard(Sizes, dtype) == clips
