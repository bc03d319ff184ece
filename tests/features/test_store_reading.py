"""Reading a store: rows come back in the order asked, under every control, by threads, forks and pickles alike."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_store import NAMES, SPEC, features, filled, part, with_dtype

from paxion.backbones.base import Features
from paxion.features.rows import FILES
from paxion.features.store import BLIND, FeatureStore, variant
from paxion.records import PaxionError
from paxion.video.controls import CONTROLS, frame_order

ORDERS = [control for control in CONTROLS if control != BLIND]


def same(one: Features, other: Features) -> bool:
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(a is b is None or (a.dtype == b.dtype and torch.equal(a, b)) for a, b in pairs)


@pytest.mark.parametrize("rows", [[0, 1, 2], [9, 0, 5, 4, 3], [7, 7, 0, 7], [6]])
@pytest.mark.parametrize("again", [False, True])
def test_rows_come_back_in_the_order_asked(tmp_path, rows, again):
    store, whole = filled(tmp_path)
    store = FeatureStore(tmp_path, SPEC) if again else store
    found = store.read([NAMES[row] for row in rows])
    assert torch.equal(found.tokens, whole.tokens[rows].half())
    assert torch.equal(found.frame_vectors, whole.frame_vectors[rows].half())
    torch.testing.assert_close(found.pooled, whole.pooled[rows], rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "float32"])
@pytest.mark.parametrize("control", ORDERS)
def test_a_control_takes_the_frames_in_its_order(tmp_path, dtype, control):
    """Derived by the kernel or by an index, it is `Features.reordered` to the bit."""
    store, _ = filled(tmp_path, with_dtype(dtype))
    seeds = [f"{name}/3" for name in NAMES]
    orders = torch.stack([frame_order(control, 5, seed) for seed in seeds])
    assert same(store.read(NAMES, control, seeds), store.read(NAMES).reordered(orders))
    orders = torch.stack([frame_order(control, 5, name) for name in NAMES])
    assert same(store.read(NAMES, control), store.read(NAMES).reordered(orders))


@pytest.fixture(scope="module")
def ten(tmp_path_factory) -> tuple[FeatureStore, Features]:
    return filled(tmp_path_factory.mktemp("ten"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=30), st.sampled_from(ORDERS))
def test_a_batch_is_its_clips_one_by_one(ten, names, control):
    store, _ = ten
    alone = [store.read([name], control) for name in names]
    whole = Features(*(torch.cat(values) for values in zip(*(vars(one).values() for one in alone), strict=True)))
    found = store.read(names, control)
    assert torch.equal(found.tokens, whole.tokens) and torch.equal(found.frame_vectors, whole.frame_vectors)
    torch.testing.assert_close(found.pooled, whole.pooled, rtol=0, atol=1e-6)


def test_a_clip_and_its_reversal_have_the_same_rounding(ten):
    """Both are derived from the rounded vectors, so that an order-blind model ties to the last bits."""
    store, whole = ten
    there, back = store.read(NAMES), store.read(NAMES, "reversed")
    torch.testing.assert_close(there.pooled, back.pooled, rtol=0, atol=1e-6)
    assert torch.equal(there.tokens.flip(1), back.tokens)
    assert (there.pooled - whole.pooled).abs().max() > 1e-6  # The rounding is there.


def test_blind_is_the_one_grey_clip_for_all(ten):
    store, _ = ten
    found = store.read(NAMES[:3], BLIND)
    assert len(found.pooled) == 3
    assert torch.equal(found.tokens, store.read([BLIND] * 3).tokens)


def test_controls_differ_from_each_other(tiny_features, tiny_samples):
    key = tiny_features.keys[tiny_samples[20].id]
    shown = [control for control in CONTROLS if control != "frozen"]  # its frame may be the first one
    tokens = [tiny_features.store.read([key], control).tokens for control in shown]
    for one in range(len(tokens)):
        for other in range(one):
            assert not torch.equal(tokens[one], tokens[other]), (shown[one], shown[other])


def test_an_unknown_control_is_said(ten):
    with pytest.raises(PaxionError, match="did you mean 'shuffled'"):
        ten[0].read(NAMES[:1], "shufled")


def test_what_a_backbone_does_not_give_is_not_there(tmp_path):
    store, _ = filled(tmp_path, vectors=False, tokens=False)
    found = store.read(NAMES[:2])
    assert (found.tokens, found.frame_vectors) == (None, None)
    assert not store.reorderable
    with pytest.raises(PaxionError, match="2 clips are not in the store"):
        store.read(NAMES[:2], "reversed")


def test_a_controlled_clip_is_the_one_that_was_encoded_as_such(tmp_path):
    """Tokens that see other frames cannot be derived."""
    store, whole = filled(tmp_path, vectors=False)
    turned = features(10, seed=5, vectors=False)
    store.append([variant(name, "reversed") for name in NAMES], turned, {})
    found = store.read(NAMES, "reversed")
    assert torch.equal(found.tokens, turned.tokens.half()) and torch.equal(found.pooled, turned.pooled)
    assert torch.equal(store.read(NAMES).pooled, whole.pooled)


@pytest.mark.parametrize("control", ["reversed", "shuffled", "middle"])
def test_of_a_controlled_clip_whose_tokens_can_be_derived_only_the_vector_is_kept(tmp_path, control):
    """InternVideo: frames are encoded alone, and then read in order."""
    store, whole = filled(tmp_path, replace(SPEC, per_frame=True), vectors=False)
    turned = features(10, seed=5, vectors=False, tokens=False)
    store.append([variant(name, control) for name in NAMES], turned, {})
    picked = [3, 8, 3]
    found = store.read([NAMES[row] for row in picked], control, ["other"] * 3)
    # The vector was made of the order that the key draws, so the tokens must be too.
    orders = torch.stack([frame_order(control, 5, NAMES[row]) for row in picked])
    assert torch.equal(found.pooled, turned.pooled[picked])
    assert torch.equal(found.tokens, whole.tokens[torch.tensor(picked)[:, None], orders].half())


def test_absent_clips_are_counted(ten):
    with pytest.raises(PaxionError, match=r"2 clips are not in the store.*extract them first"):
        ten[0].read([NAMES[0], "x", "y"])


def test_shards_that_do_not_fit_each_other_are_never_read_together(tmp_path):
    """A part that is not there must not pass for one that the backbone does not give."""
    store, _ = filled(tmp_path)
    store.append(["bare"], features(1, tokens=False), {})
    assert store.read(["bare"]).tokens is None
    with pytest.raises(PaxionError, match="other parts or shapes"):
        store.read([NAMES[0], "bare"])
    with pytest.raises(PaxionError, match="other parts or shapes"):
        store.read(["bare", NAMES[0]])


def test_the_length_and_the_keys(ten):
    store, _ = ten
    assert len(store) == 11 and set(store) == {BLIND, *NAMES}
    assert NAMES[3] in store and "x" not in store


def read_in_a_child(store: FeatureStore, names: list[str], queue) -> None:
    queue.put(store.read(names, "reversed").tokens.numpy())


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_processes_can_share_a_store(ten, way):
    """Files opened before a fork are read from by parent and child at once."""
    store, whole = ten
    store.read(NAMES)
    context = multiprocessing.get_context(way)
    queue = context.Queue()
    names = [NAMES[row] for row in (8, 1, 5)]
    child = context.Process(target=read_in_a_child, args=(store, names, queue))
    child.start()
    mine = store.read(names, "reversed").tokens
    assert (queue.get(timeout=60) == mine.numpy()).all()
    child.join()
    assert torch.equal(mine, whole.tokens[[8, 1, 5]].flip(1).half())


def test_a_store_can_be_pickled_and_goes_on_finding_shards(tmp_path):
    store, _ = filled(tmp_path)
    copy = pickle.loads(pickle.dumps(store))
    assert same(copy.read(NAMES), store.read(NAMES))
    store.append(["new"], features(1), {})
    copy.refresh()
    assert "new" in copy


def test_threads_read_while_files_are_opened_and_closed(tmp_path):
    """More files than are held open at once: none may be closed under a reader."""
    store, whole = FeatureStore(tmp_path, SPEC), features(100)
    names = [f"n{row}" for row in range(100)]
    for row, name in enumerate(names):
        store.append([name], part(whole, [row]), {})
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir())) if descriptors.is_dir() else None

    def read(seed: int) -> bool:
        rows = torch.randint(100, (40,), generator=torch.Generator().manual_seed(seed)).tolist()
        store.prefetch([names[row] for row in rows])
        return torch.equal(store.read([names[row] for row in rows]).tokens, whole.tokens[rows].half())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(60)))
    if before is not None:
        assert len(list(descriptors.iterdir())) <= before + FILES


def test_prefetching_changes_nothing_and_does_not_mind_what_is_not_there(tmp_path):
    store, _ = filled(tmp_path)
    before = store.read(NAMES)
    store.prefetch([*NAMES, "x"])
    next(store.folder.glob("*.tokens.npy")).unlink()
    FeatureStore(tmp_path, SPEC).prefetch(NAMES)
    store.prefetch(NAMES)
    assert same(before, store.read(NAMES))  # Open files outlast their names.
