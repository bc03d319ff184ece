import json
import math

import pytest
from annotations import ANNOTATIONS, CODE, given, jsonl, real, written

from paxion.data.table import read_manifest_rows, read_table
from paxion.manifest import read_manifest, write_manifest
from paxion.records import PaxionError, Sample

DROID = ANNOTATIONS.parent / "droid" / "index.csv"


def test_only_a_video_and_a_caption_are_needed(tmp_path):
    path = written(
        tmp_path / "mine.csv", 'file, narration\na b%.mp4, opening a box \nc.mp4,"closing, slowly"\na b%.mp4,again\n'
    )
    samples, bad = given(read_table(path, split="val"))
    assert bad == []
    assert [(s.id, s.video, s.group, s.caption) for s in samples] == [
        ("a b%.mp4", "a b%.mp4", "a b%.mp4", "opening a box"),
        ("c.mp4", "c.mp4", "c.mp4", "closing, slowly"),
        ("a b%.mp4#2", "a b%.mp4", "a b%.mp4", "again"),
    ]
    assert {(s.split, s.source, s.start, s.antonym_note) for s in samples} == {("val", "mine", None, None)}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_are_found_by_the_names_the_user_gives(tmp_path, mark):
    rows = [
        ("clip", "what", "opp", "from", "to", "label", "Split", "salient", "objects"),
        ("a.mp4", "opening a box", "closing a box", "0:01.5", "4", "x", "validation", "yes", "['a box']"),
        ("b.mp4", "running", "", "", "", "y", "", "0", ""),
    ]
    path = written(tmp_path / "t.csv", "\n".join(mark.join(row) for row in rows))
    columns = {"video": "clip", "caption": "what", "antonym": "opp", "start": "from", "end": "to", "action": "label"}
    (first, second), bad = given(read_table(path, split="test", columns=columns))
    assert bad == []
    assert (first.video, first.caption, first.action) == ("a.mp4", "opening a box", "x")
    assert (first.antonym, first.antonym_note) == ("closing a box", "published")
    assert (first.start, first.end, first.salient, first.objects) == (1.5, 4.0, True, ("a box",))
    assert (first.split, second.split) == ("val", "test")
    assert (second.start, second.end, second.antonym, second.salient, second.objects) == (None, None, None, False, None)


def test_json_rows_may_have_more_fields_further_down(tmp_path):
    rows = [
        {"video": "a.mp4", "text": "opening", "extra": [1]},
        {"video": "b.mp4", "text": "closing", "antonym": "opening", "salient": True, "start": 1, "choices": ["x", "y"]},
        {"video": 7, "text": "closing", "antonym": None, "objects": "['a']"},
    ]
    for path in (jsonl(tmp_path / "t.jsonl", *rows), written(tmp_path / "t.json", rows)):
        (first, second, third), bad = given(read_table(path, split="train"))
        assert bad == [] and first.antonym is None
        assert (second.antonym, second.salient, second.start, second.choices) == ("opening", True, 1.0, ("x", "y"))
        assert (third.video, third.objects) == ("7", ("a",))


def test_an_answer_is_read_where_there_are_choices(tmp_path):
    row = {"video": "a.mp4", "caption": "x", "choices": ["p", "q"], "answer": 1}
    (sample,), _ = given(read_table(jsonl(tmp_path / "a.jsonl", row), split="train"))
    assert sample.answer == 1
    (sample,), _ = given(read_table(written(tmp_path / "a.csv", "video,caption,answer\na.mp4,x,q\n"), split="train"))
    assert sample.answer is None
    wrong = [row | {"answer": answer} for answer in (2, 0.5, "q", True)]
    assert len(given(read_table(jsonl(tmp_path / "a.jsonl", row, *wrong), split="train"))[1]) == 4


def test_bad_rows_of_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = [
        "a.mp4,x,0,1,10,,",
        "a.mp4,x,0,12,10,,",
        "a.mp4,x,nan,1,10,,",
        "a.mp4,x,-1,1,10,,",
        "a.mp4,x,3,2,10,,",
        "/a.mp4,x,,,,,",
        "../a.mp4,x,,,,,",
        ",x,,,,,",
        "a.mp4, ,,,,,",
        "a.mp4,x,,,,dev2,",
        f'a.mp4,x,,,,,"{CODE}"',
        "a.mp4,x,,",
    ]
    path = written(tmp_path / "t.csv", "video,caption,start,end,duration,split,objects\n" + "\n".join(cells))
    path.write_bytes(path.read_bytes() + b"\nb.mp4,caf\xe9,,,,,\n")
    samples, bad = given(read_table(path, split="train"))
    assert len(samples) == 1 and [line for line, _ in bad] == list(range(3, 15))
    assert bad[0][1] == "end: got 12, expected at most the 10 seconds of the video"
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]


def test_given_ids_come_once_and_nan_is_no_time(tmp_path):
    row = {"id": "1", "video": "a.mp4", "caption": "x"}
    path = jsonl(
        tmp_path / "t.jsonl",
        row,
        row,
        row | {"id": None},
        row | {"id": "2", "start": math.nan, "end": 5},
        row | {"id": "3", "salient": "maybe"},
    )
    samples, bad = given(read_table(path, split="train"))
    assert [s.id for s in samples] == ["1"] and [line for line, _ in bad] == [2, 3, 4, 5]


def test_wrong_columns_are_told_with_those_that_are_there(tmp_path):
    path = written(tmp_path / "t.csv", "video,words\na.mp4,x\n")
    with pytest.raises(
        PaxionError,
        match=r"no column for the caption \(caption, text, narration, label\); it has the columns video, words",
    ):
        list(read_table(path, split="train"))
    with pytest.raises(PaxionError, match="no column 'wrds' for caption; it has the columns video, words"):
        list(read_table(path, split="train", columns={"caption": "wrds"}))
    with pytest.raises(PaxionError, match=r"unknown field 'captoin' .did you mean 'caption'"):
        list(read_table(path, split="train", columns={"captoin": "words"}))
    with pytest.raises(PaxionError, match="no column for the video"):
        list(read_table(jsonl(tmp_path / "t.jsonl", {"words": "x"}), split="train"))


@real
def test_the_real_robot_clips():
    samples, bad = given(read_table(DROID, split="test", columns={"duration": "duration_s"}))
    assert (len(samples), bad) == (200, []) and samples[0].caption == "Put the pot upright"


def test_a_manifest_is_read_row_by_row(tmp_path):
    path = tmp_path / "manifest.jsonl"
    rows = [
        Sample("1", "/abs/a.mp4", "opening", "val", "g", antonym="closing", start=0.0, end=2.5, objects=("a",)),
        Sample("2", "../b.mp4", "closing", "train", "h", salient=True, choices=("x", "y"), answer=1),
    ]
    write_manifest(path, rows)
    assert given(read_manifest_rows(path, split="test")) == (rows, []) and read_manifest(path) == rows
    assert [line for line, _ in given(read_manifest_rows(path, split="test", videos=tmp_path))[1]] == [1, 2]


def test_bad_rows_of_a_manifest(tmp_path):
    row = {"id": "1", "video": "a.mp4", "caption": "opening", "split": "val", "group": "g"}
    wrong = [
        *(
            "{",
            row,
            row | {"id": "2", "split": "dev"},
            row | {"id": "3", "start": math.nan},
            row | {"id": "4", "cation": "x"},
        ),
        *({"id": "5"}, row | {"id": "6", "start": 3, "end": 2}, row | {"id": "7", "antonym": "Opening"}, [1]),
        json.dumps(row)[:-1] + ', "id": "8"}',
    ]
    samples, bad = given(read_manifest_rows(jsonl(tmp_path / "m.jsonl", row, *wrong), split="test"))
    assert len(samples) == 1 and [line for line, _ in bad] == list(range(2, 12))
    assert bad[4][1] == "cation: got an unknown field, expected one of " + bad[4][1].split("expected one of ")[1]
    with pytest.raises(PaxionError, match="is empty"):
        list(read_manifest_rows(written(tmp_path / "e.jsonl", "\n"), split="test"))
