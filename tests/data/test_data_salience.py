"""The published lists of clips with a change of state, which lie beside the annotations."""

from __future__ import annotations

from annotations import given, jsonl, written

from paxion.data.ego4d import read_ego4d
from paxion.data.salience import window_key
from paxion.data.ssv2 import read_ssv2

NARRATION = {
    "video_uid": "v",
    "narration_source": "narration_pass_1",
    "clip_text": "#C C opens a box",
    "clip_uid": "c",
    "Unnamed: 10": float("nan"),
}
# The numbers of the published files: those of the narration are floats, and written as Python writes them.
FLAGS = {"clip_uid": "c", "state_2_t_sim_diff": 0.004, "v_2_v_sim": 0.9}


def rows(*ids: int) -> list[dict[str, object]]:
    return [{"id": number, "label": "Opening box", "template": "Opening something"} for number in ids]


def test_ssv2_finds_the_list_of_its_part_by_id(tmp_path):
    validation, train = written(tmp_path / "validation.json", rows(1, 2, 3)), written(tmp_path / "train.json", rows(1))
    assert [s.salient for s in given(read_ssv2(validation, split="val"))[0]] == [None, None, None]
    flags = {"1": FLAGS | {"if_keep": True}, "2": FLAGS | {"if_keep": False}, "9": FLAGS | {"if_keep": True}}
    written(tmp_path / "state_change_heavy_instance_filtering_val.json", flags)
    assert [s.salient for s in given(read_ssv2(validation, split="test"))[0]] == [True, False, None]
    assert [s.salient for s in given(read_ssv2(train, split="train"))[0]] == [None]


def test_ego4d_finds_it_by_clip_and_window(tmp_path):
    windows = [(0.0, 1.5), (3, 4.1257899999999999), (5.0, 6.0)]
    narrations = [
        NARRATION | {"narration_ind": number, "clip_relative_start": start, "clip_relative_end": end}
        for number, (start, end) in enumerate(windows)
    ]
    path = jsonl(tmp_path / "test.jsonl", *narrations)
    flags = {"c__0.0__1.5": FLAGS | {"if_keep": False}, "c__3.0__4.12579": FLAGS | {"if_keep": True}}
    written(tmp_path / "state_change_heavy_instance_filtering_test.json", flags)
    samples, bad = given(read_ego4d(path, split="test"))
    assert [s.salient for s in samples] == [False, True, None] and bad == []
    assert window_key("c", 3, 4.12579) == "c__3.0__4.12579"


def test_a_flag_that_is_none_is_a_bad_row_of_the_list(tmp_path):
    path = written(tmp_path / "train.json", rows(1, 2))
    flags = {"1": FLAGS | {"if_keep": "yes"}, "2": FLAGS | {"if_keep": True}, "3": FLAGS}
    beside = written(tmp_path / "state_change_heavy_instance_filtering_train.json", flags)
    found = list(read_ssv2(path, split="train"))
    samples, bad = given(found)
    assert [s.salient for s in samples] == [None, True]
    assert [message for _, message in bad] == [
        'if_keep: got "yes", expected true or false',
        "got no field if_keep",
    ] and found[0].file == str(beside)
    # A list of nothing is no list.
    written(beside, {})
    assert given(read_ssv2(path, split="train"))[1] == []
