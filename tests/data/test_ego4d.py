import json
import math

import pytest
from annotations import CODE, given, jsonl, written

from paxion.data.ego4d import read_ego4d
from paxion.records import PaxionError

UID = "001e3e4e-0000-4000-8000-000000000001"
# The columns of EgoClip, with the nameless last one that some copies have; the rows are ours.
HEADER = (
    "clip_idx\tvideo_uid\tvideo_dur\tnarration_source\tnarration_ind\tnarration_time\tclip_start\tclip_end\tclip_text"
    "\ttag_verb\ttag_noun\t\n"
)
# The fields of ActionBench-Ego4D.
CLIP = {
    "video_uid": UID,
    "video_dur": 571.4,
    "narration_source": "narration_pass_1",
    "narration_ind": 229,
    "narration_time": 592.69,
    "clip_start": 592.35,
    "clip_end": 593.03,
    "clip_text": "#C C lifts up the lid of the pan.",
    "action_antonym_clip_text": "#C C lowers down the lid of the pan.",
    "tag_verb": "[17, 93]",
    "tag_noun": "[321]",
    "Unnamed: 10": math.nan,
    "clip_uid": "c1",
    "narration_relative_time": 12.69,
    "clip_relative_start": 12.35,
    "clip_relative_end": 13.03,
    "clip_fps": 30.0,
}


def egoclip(number, *, uid=UID, dur="128.03", start="2.96", end="3.72", text="#C C picks a bag", verb="[93]"):
    return f"{number}\t{uid}\t{dur}\tnarration_pass_1\t{number}\t3.34\t{start}\t{end}\t{text}\t{verb}\t[192, 115]\n"


def test_egoclip(tmp_path):
    path = written(
        tmp_path / "egoclip.csv", HEADER + egoclip(0) + egoclip(1, text='"#C C says ""hi"""').replace("\n", "\t\n")
    )
    (first, second), bad = given(read_ego4d(path, split="train"))
    assert bad == []
    assert (first.id, first.video, first.group) == (f"{UID}_narration_pass_1_0", f"{UID}.mp4", UID)
    assert (first.caption, first.start, first.end) == ("#C C picks a bag", 2.96, 3.72)
    assert (first.split, first.source, first.antonym) == ("train", "ego4d", None)
    assert second.caption == '#C C says "hi"'


def test_bad_lines_of_egoclip_are_listed_one_by_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = {
        2: egoclip(0),
        3: egoclip(1)[:60] + "\n",
        4: egoclip(2, text="#C C opens\ta box"),
        5: egoclip(3, start="nan"),
        6: egoclip(4, end="2.0"),
        7: egoclip(5, start="-2"),
        8: egoclip(6, start="120", end="129"),
        9: egoclip(0),
        10: egoclip(7, uid="../../etc/x"),
        11: egoclip(8, text=" "),
        12: egoclip(9, start=""),
        13: egoclip(10, verb=CODE),
        14: egoclip(11, start="127", end="128.4"),
        15: egoclip(12, start="-0.3"),
    }
    path = written(tmp_path / "egoclip.csv", HEADER + "".join(rows.values()))
    samples, bad = given(read_ego4d(path, split="train"))
    messages = dict(bad)
    assert sorted(messages) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert "columns, expected 11" in messages[3] and "got 12 columns" in messages[4]
    assert messages[5] == 'clip_start: got "nan", expected seconds'
    assert messages[8] == "end: got 129, expected at most the 128.03 seconds of the video"
    assert messages[9].endswith("again (first on line 2), expected ids that are unique")
    # Tags are not read, let alone run. Windows that are a little too long are cut to the video.
    assert [(s.start, s.end) for s in samples[1:]] == [(2.96, 3.72), (127.0, 128.03), (0.0, 3.72)]
    assert [file.name for file in tmp_path.iterdir()] == ["egoclip.csv"]


def test_a_row_in_another_encoding_costs_itself_only(tmp_path):
    path = written(
        tmp_path / "e.tsv",
        (HEADER + egoclip(0)).encode() + egoclip(1, text="café").encode("latin-1") + egoclip(2).encode(),
    )
    samples, bad = given(read_ego4d(path, split="train"))
    assert [s.id[-1] for s in samples] == ["0", "2"] and bad[0][0] == 3 and "not UTF-8" in bad[0][1]


def test_actionbench(tmp_path):
    shuffled = CLIP | {"narration_ind": 230, "object_shuffled_clip_text": "#C C lifts up the hat of the pan."}
    path = jsonl(tmp_path / "val.jsonl", CLIP, shuffled)
    assert "NaN" in path.read_text()
    (first, second), bad = given(read_ego4d(path, split="val"))
    assert bad == []
    assert (first.id, first.video, first.group) == ("c1_narration_pass_1_229", "c1.mp4", UID)
    assert (first.start, first.end, first.caption) == (12.35, 13.03, CLIP["clip_text"])
    assert (first.antonym, first.antonym_note) == (CLIP["action_antonym_clip_text"], "published")
    assert (first.replaced, first.replaced_note) == (None, None)
    assert (second.replaced, second.replaced_note) == (shuffled["object_shuffled_clip_text"], "published")


def test_bad_lines_of_actionbench(tmp_path):
    path = jsonl(
        tmp_path / "train.jsonl",
        *(CLIP, "{", CLIP, CLIP | {"narration_ind": 1, "clip_relative_start": math.nan}),
        *(CLIP | {"narration_ind": 2, "clip_uid": "/abs"}, CLIP | {"narration_ind": 3, "clip_text": math.nan}),
        *({"clip_text": "x"}, CLIP | {"narration_ind": 4, "action_antonym_clip_text": CLIP["clip_text"]}),
        *(CLIP | {"narration_ind": 5, "clip_relative_end": None}, CLIP | {"narration_ind": 6}),
        json.dumps(CLIP | {"narration_ind": 7})[:-5],
    )
    samples, bad = given(read_ego4d(path, split="train"))
    assert len(samples) == 2 and [line for line, _ in bad] == [2, 3, 4, 5, 6, 7, 8, 9, 11]


def test_other_tables_say_what_they_have(tmp_path):
    with pytest.raises(PaxionError, match=r"the column 'video_uid' nowhere, .* it has the columns id, clip_text"):
        list(read_ego4d(written(tmp_path / "a.tsv", "id\tclip_text\n1\tx\n"), split="train"))
    with pytest.raises(PaxionError, match=r"lack the field video_uid, .*it has the fields clip_text"):
        list(read_ego4d(jsonl(tmp_path / "a.jsonl", {"clip_text": "x"}), split="train"))
