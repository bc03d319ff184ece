import json

import pytest
from annotations import given, written

from paxion.data.rows import BadRow
from paxion.data.samples import first_existing, to_samples
from paxion.data.ssv2 import read_ssv2
from paxion.records import Sample


def read(tmp_path, *videos, unique=False, rooted=True, **values):
    records = [(line, {"video": video}) for line, video in enumerate(videos, 1)]
    rows = to_samples(
        tmp_path / "file",
        records,
        lambda row: [Sample(row["video"], row["video"], "pushing a cup", "train", "g", **values)],
        unique=unique,
        rooted=rooted,
    )
    return given(rows)


@pytest.mark.parametrize(
    "video",
    [
        "/etc/passwd",
        "../a.mp4",
        "a/../../b.mp4",
        "a/..",
        "..",
        "..\\a.mp4",
        "\\\\host\\a.mp4",
        "C:\\a.mp4",
        "c:a.mp4",
        "a\0.mp4",
    ],
)
def test_a_video_must_lie_under_the_root(tmp_path, video):
    samples, bad = read(tmp_path, video)
    assert not samples and bad[0][0] == 1 and "expected a path under the folder of the videos" in bad[0][1]
    assert read(tmp_path, video, rooted=False)[0]


@pytest.mark.parametrize("video", ["a..b.mp4", "...mp4", "a b%20ü.mp4", "a/b/..c.mp4", "#1.mp4"])
def test_odd_names_stay(tmp_path, video):
    assert [sample.video for sample in read(tmp_path, video)[0]] == [video]


def test_an_id_of_the_data_set_comes_once(tmp_path):
    samples, bad = read(tmp_path, "a", "b", "a", unique=True)
    assert [sample.id for sample in samples] == ["a", "b"]
    assert bad == [(3, 'id: got "a" again (first on line 1), expected ids that are unique')]


def test_records_on_one_line_are_told_by_their_place(tmp_path):
    row = {"id": "1", "label": "holding cup", "template": "Holding [something]"}
    path = written(tmp_path / "train.json", json.dumps([row, row | {"id": "2"}, row, 5]))
    samples, bad = given(read_ssv2(path, split="train"))
    assert [sample.id for sample in samples] == ["1", "2"]
    assert bad == [
        (1, 'record 3 of the line: id: got "1" again (first on line 1), expected ids that are unique'),
        (1, "record 4 of the line: got a value that is no object (int), expected {...}"),
    ]


def test_a_sample_has_a_name(tmp_path):
    assert read(tmp_path, " ")[1] == [(1, "id: got nothing, expected text")]


def test_other_ids_are_numbered_and_never_meet_another(tmp_path):
    samples, _ = read(tmp_path, "a", "a#2", "a", "a", "a#2")
    assert [sample.id for sample in samples] == ["a", "a#2", "a#2#2", "a#3", "a#2#3"]
    assert {sample.video for sample in samples} == {"a", "a#2"}


def test_a_foil_is_another_text(tmp_path):
    assert "antonym: got the caption itself" in read(tmp_path, "a", antonym=" Pushing  a cup")[1][0][1]
    assert "replaced: got the caption itself" in read(tmp_path, "a", replaced="pushing a cup")[1][0][1]
    assert read(tmp_path, "a", antonym="pulling a cup", replaced="pushing a pen")[0]


def test_an_answer_is_one_of_the_choices(tmp_path):
    assert "expected one of the 2 choices" in read(tmp_path, "a", answer=2, choices=("x", "y"))[1][0][1]
    assert "expected one of the 0 choices" in read(tmp_path, "a", answer=0)[1][0][1]


def test_bad_rows_pass(tmp_path):
    row = BadRow("f", 3, "got nothing")
    assert list(to_samples(tmp_path, [row], lambda row: [], unique=True)) == [row]


def test_the_first_candidate_that_exists_is_taken(tmp_path):
    (tmp_path / "b.mp4").touch()
    assert first_existing(None, "a.webm", "b.mp4") == "a.webm"
    assert first_existing(tmp_path, "a.webm", "b.mp4") == "b.mp4"
    assert first_existing(tmp_path, "a.webm", "a.mp4") == "a.webm"
    assert first_existing(tmp_path, "a\0", "x" * 5000, "b.mp4") == "b.mp4"
