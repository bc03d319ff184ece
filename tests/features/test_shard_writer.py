"""Writing shards: what is written stays through any kill, two processes never meet, and the files end the same."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_store import NAMES, SPEC, contents, features, filled, part

from paxion.features.store import FeatureStore, StoreSpec
from paxion.records import PaxionError

WHOLE = features(10)
BATCHES = [[0, 1, 2], [3, 5], [6, 7, 8, 9]]
MISSED = {4: "no such file"}


def write(root: Path, spec: StoreSpec = SPEC) -> bool:
    """Write what is left of the shard of NAMES, in batches, row 4 missed; False when there is nothing to do."""
    writer = FeatureStore(root, spec).writer(NAMES)
    if writer is None:
        return False
    with writer:
        for batch in BATCHES:
            rows = [row for row in batch if not writer.done[row]]
            missed = {row: why for row, why in MISSED.items() if 3 in rows and not writer.done[row]}
            if rows:
                writer.write(rows, part(WHOLE, rows), missed)
        if not writer.done[4]:
            writer.write([], None, MISSED)
        writer.finish()
    return True


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("unbroken")
    assert write(root)
    return contents(FeatureStore(root, SPEC).folder)


def left_by_a_kill(root: Path, lines: int) -> bool:
    """Write in a child that is killed after so many lines of the writer's code; whether it had come to its end."""
    child = os.fork()
    if child == 0:
        count = 0

        def trace(frame, event, _):
            nonlocal count
            ours = frame.f_code.co_filename.endswith(("shard_writer.py", "part_writer.py", "spec.py", "files.py"))
            if ours and event == "line":
                count += 1
                if count == lines:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace if ours else None

        sys.settrace(trace)
        try:
            write(root)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_a_kill_at_any_moment_loses_nothing_and_leaves_the_same_files(tmp_path, unbroken):
    """Every 11th line of the code that writes, from the first to the last."""
    for lines in range(1, 10_000, 11):
        root = tmp_path / str(lines)
        ended = left_by_a_kill(root, lines)
        store = FeatureStore(root, SPEC)
        assert store.damaged == {}
        assert len(store) in (0, 9)
        write(root)
        left = contents(store.folder)
        stray = [name for name in left if name not in unbroken]
        assert {name: left[name] for name in unbroken} == unbroken, lines
        # A killed `replacing` leaves its temporary file, which prune removes.
        assert all(name.startswith(".") for name in stray), lines
        if ended:
            break
    assert ended and lines > 300


def test_rows_that_were_written_are_done_for_the_next_writer(tmp_path):
    with FeatureStore(tmp_path, SPEC).writer(NAMES) as writer:
        writer.write([7, 2], part(WHOLE, [7, 2]), {4: "broken"})
    store = FeatureStore(tmp_path, SPEC)
    assert store.unfinished() == [NAMES]
    with store.writer(NAMES) as writer:
        assert [row for row, done in enumerate(writer.done) if done] == [2, 4, 7]
        rest = [0, 1, 3, 5, 6, 8, 9]
        writer.write(rest, part(WHOLE, rest))
        writer.finish()
    assert store.unfinished() == [] and store.missed == {NAMES[4]: "broken"}
    kept = [row for row in range(10) if row != 4]
    found = FeatureStore(tmp_path, SPEC).read([NAMES[row] for row in kept])
    assert torch.equal(found.tokens, WHOLE.tokens[kept].half())


@settings(max_examples=25, deadline=None)
@given(
    order=st.permutations(range(10)),
    cuts=st.lists(st.integers(1, 9), max_size=4, unique=True),
    missed=st.sets(st.integers(0, 9), max_size=9),
)
def test_the_files_do_not_depend_on_the_batches(tmp_path_factory, order, cuts, missed):
    def make(batches: list[list[int]]) -> dict[str, bytes]:
        root = tmp_path_factory.mktemp("any")
        for batch in batches:
            with FeatureStore(root, SPEC).writer(NAMES) as writer:  # each batch by a writer of its own
                rows = [row for row in batch if row not in missed]
                lost = {row: f"because {row}" for row in batch if row in missed}
                writer.write(rows, part(WHOLE, rows) if rows else None, lost)
                if all(writer.done):
                    writer.finish()
        return contents(FeatureStore(root, SPEC).folder)

    edges = [0, *sorted(cuts), 10]
    batches = [list(order[a:b]) for a, b in pairwise(edges)]
    assert make(batches) == make([list(range(10))])


@pytest.mark.parametrize("damage", ["tokens", "journal", "cut journal", "gone", "foreign"])
def test_of_unfinished_work_only_what_is_whole_is_believed(tmp_path, damage, unbroken):
    """As after a crash of the machine, which may keep the journal and lose the numbers."""
    with FeatureStore(tmp_path, SPEC).writer(NAMES) as writer:
        writer.write([0, 1], part(WHOLE, [0, 1]))
        writer.write([2, 3], part(WHOLE, [2, 3]))
    folder = FeatureStore(tmp_path, SPEC).folder
    tokens, journal = next(folder.glob("*.tokens.part")), next(folder.glob("*.journal"))
    lines = journal.read_bytes().splitlines(keepends=True)
    if damage == "tokens":
        data = bytearray(tokens.read_bytes())
        data[128 + 2 * 240 + 5] ^= 1  # in row 2
        tokens.write_bytes(data)
    elif damage == "journal":
        journal.write_bytes(lines[0] + lines[1] + b"\xff{]\n" + lines[2])
    elif damage == "cut journal":
        journal.write_bytes(b"".join(lines)[:-7])
    elif damage == "gone":
        tokens.unlink()
    else:
        np.save(tokens.with_suffix(".npy"), np.zeros((3, 3)))
        tokens.with_suffix(".npy").rename(tokens)
    with FeatureStore(tmp_path, SPEC).writer(NAMES) as writer:
        kept = [] if damage in ("gone", "foreign") else [0, 1]
        assert [row for row, done in enumerate(writer.done) if done] == kept
    write(tmp_path)
    assert contents(folder) == unbroken


def test_a_shard_is_written_by_one_process_at_a_time(tmp_path):
    store = FeatureStore(tmp_path, SPEC)
    with store.writer(NAMES):
        assert FeatureStore(tmp_path, SPEC).writer(NAMES) is None
        assert FeatureStore(tmp_path, SPEC).writer(NAMES[:5]) is not None
    child = os.fork()
    if child == 0:
        FeatureStore(tmp_path, SPEC).writer(NAMES).write([0], part(WHOLE, [0]))
        (tmp_path / "held").touch()
        time.sleep(60)
        os._exit(0)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    assert store.writer(NAMES) is None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with store.writer(NAMES) as writer:
        assert writer.done[0] and not writer.done[1]


def test_a_complete_shard_is_not_begun_again(tmp_path, unbroken):
    other = FeatureStore(tmp_path, SPEC)
    assert write(tmp_path) and not write(tmp_path)
    assert other.writer(NAMES) is None and NAMES[0] in other  # It has looked.
    assert contents(other.folder) == unbroken


def test_a_writer_that_wrote_nothing_leaves_nothing(tmp_path):
    store = FeatureStore(tmp_path, SPEC)
    with pytest.raises(RuntimeError), store.writer(NAMES):
        raise RuntimeError
    assert list(contents(store.folder)) == ["store.json"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1e6])
@pytest.mark.parametrize("where", ["pooled", "tokens", "frame_vectors"])
def test_numbers_that_cannot_be_held_are_refused_and_nothing_is_listed(tmp_path, bad, where):
    store, _ = filled(tmp_path)
    before, broken = contents(store.folder), features(2)
    getattr(broken, where)[1, 2] = bad
    if where == "pooled" and bad == -1e6:
        return store.append(["a", "b"], broken, {})  # float32 holds it
    with pytest.raises(PaxionError, match=r"expected finite ones.*check its weights"):
        store.append(["a", "b"], broken, {})
    assert "a" not in FeatureStore(tmp_path, SPEC) and "a" not in store
    assert contents(store.folder) == before


def test_a_full_disk_says_what_is_kept_and_loses_nothing(tmp_path, unbroken):
    """The kernel refuses to write past a limit, as it does on a full disk."""
    big = [f"{row:0400}" for row in range(10)]
    store = FeatureStore(tmp_path, SPEC)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with store.writer(big) as writer:
        writer.write([0, 1, 2], part(WHOLE, [0, 1, 2]))
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # less than the tokens take
            with pytest.raises(PaxionError, match=r"cannot write .*the 3 of its 10 clips .* are kept") as caught:
                writer.write([7, 8, 9], part(WHOLE, [7, 8, 9]))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert isinstance(caught.value.__cause__, OSError) and "\n" not in str(caught.value)
    with store.writer(big) as writer:
        assert sum(writer.done) == 3


def test_what_makes_no_sense_is_a_mistake_of_the_program(tmp_path):
    with FeatureStore(tmp_path, SPEC).writer(NAMES) as writer:
        writer.write([0], part(WHOLE, [0]))
        for rows, given_ in (
            ([0], part(WHOLE, [0])),
            ([10], part(WHOLE, [1])),
            ([1, 2], part(WHOLE, [1])),
            ([1], None),
        ):
            with pytest.raises(ValueError, match="got"):
                writer.write(rows, given_)
        with pytest.raises(ValueError, match="other parts or shapes"):
            writer.write([1], features(1, tokens=False))
        with pytest.raises(ValueError, match="9 of 10 rows are not done"):
            writer.finish()


def test_the_files_are_plain(tmp_path, unbroken):
    """What numpy and json read, without this package."""
    write(tmp_path)
    folder = FeatureStore(tmp_path, SPEC).folder
    told = json.loads(next(folder.glob("shard-*.json")).read_text())
    assert told["keys"] == [None if row == 4 else name for row, name in enumerate(NAMES)]
    assert told["missed"] == {NAMES[4]: MISSED[4]}
    tokens = np.load(next(folder.glob("*.tokens.npy")), allow_pickle=False)
    assert tokens.dtype == np.float16 and tokens.shape == (10, 5, 3, 8)
    assert not tokens[4].any() and (tokens[5] == WHOLE.tokens[5].half().numpy()).all()
