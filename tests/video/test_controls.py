from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paxion.records import PaxionError
from paxion.video.controls import CONTROLS, apply, blind_clip, frame_order

ORDERS = [control for control in CONTROLS if control != "blind"]
CLIP = torch.arange(5 * 4 * 6 * 3, dtype=torch.int64).view(5, 4, 6, 3).to(torch.uint8)


@pytest.mark.parametrize(
    ("control", "odd", "even"),
    [
        ("none", [0, 1, 2, 3, 4], [0, 1, 2, 3]),
        ("reversed", [4, 3, 2, 1, 0], [3, 2, 1, 0]),
        ("first", [0] * 5, [0] * 4),
        ("middle", [2] * 5, [1] * 4),
        ("last", [4] * 5, [3] * 4),
    ],
)
def test_orders(control: str, odd: list[int], even: list[int]) -> None:
    assert frame_order(control, 5, "").tolist() == odd
    assert frame_order(control, 4, "").tolist() == even


@given(st.sampled_from(ORDERS), st.integers(1, 40), st.text())
def test_every_order_indexes_the_frames(control: str, frames: int, key: str) -> None:
    order = frame_order(control, frames, key)
    assert order.shape == (frames,) and order.dtype == torch.int64
    assert order.min() >= 0 and order.max() < frames


@given(st.integers(1, 40), st.text())
def test_shuffled_is_a_permutation_that_is_neither_the_clip_nor_its_reversal(frames: int, key: str) -> None:
    order = frame_order("shuffled", frames, key).tolist()
    straight = list(range(frames))
    assert sorted(order) == straight
    if frames >= 3:
        assert order not in (straight, straight[::-1])


def test_shuffled_depends_on_the_key_alone() -> None:
    """The written numbers keep old results reproducible: a change of the order must be noticed."""
    assert frame_order("shuffled", 8, "clip-1/0").tolist() == [3, 4, 7, 0, 1, 2, 6, 5]
    orders = {tuple(frame_order("shuffled", 8, f"clip-{i}/0").tolist()) for i in range(200)}
    assert len(orders) > 190


def test_all_remaining_shuffles_of_three_frames_are_equally_frequent() -> None:
    drawn = [tuple(frame_order("shuffled", 3, str(i)).tolist()) for i in range(1200)]
    counts = [drawn.count(order) for order in {(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1)}]
    assert sum(counts) == 1200
    assert min(counts) > 240  # 300 expected, standard deviation 15


@pytest.mark.parametrize("control", ORDERS)
def test_apply_takes_the_frames_in_that_order(control: str) -> None:
    order = frame_order(control, 5, "key").tolist()
    assert torch.equal(apply(control, CLIP, "key"), torch.stack([CLIP[i] for i in order]))


def test_reversing_twice_gives_the_clip() -> None:
    assert torch.equal(apply("reversed", apply("reversed", CLIP, ""), ""), CLIP)
    assert torch.equal(apply("reversed", CLIP, ""), CLIP.flip(0))


@pytest.mark.parametrize("frames", [1, 3, 5, 9])
def test_middle_frame_is_the_same_in_the_reversed_clip_of_odd_length(frames: int) -> None:
    middle = frame_order("middle", frames, "")
    assert torch.equal(frame_order("reversed", frames, "")[middle], middle)


def test_blind_shows_mid_grey() -> None:
    clip = apply("blind", CLIP, "")
    assert clip.shape == CLIP.shape and clip.dtype == torch.uint8
    assert clip.unique().tolist() == [127]
    assert torch.equal(blind_clip(5, 4, 6), clip)


def test_blind_is_no_order() -> None:
    with pytest.raises(ValueError, match="not an order") as caught:
        frame_order("blind", 5, "")
    assert not isinstance(caught.value, PaxionError)


@pytest.mark.parametrize("call", [lambda: frame_order("shufled", 5, ""), lambda: apply("shufled", CLIP, "")])
def test_an_unknown_control_is_an_error_that_names_the_nearest(call: object) -> None:
    assert callable(call)
    with pytest.raises(PaxionError, match=r"unknown control 'shufled' \(did you mean 'shuffled'\?\)"):
        call()


def test_a_frozen_clip_shows_one_frame_and_any_frame_may_be_it() -> None:
    assert frame_order("frozen", 8, "clip-1/0").tolist() == [frame_order("frozen", 8, "clip-1/0")[0].item()] * 8
    shown = [int(frame_order("frozen", 8, f"clip-{i}/0")[0]) for i in range(1600)]
    assert all(150 < shown.count(place) < 250 for place in range(8))  # 200 expected, standard deviation 13
