import csv

import pytest
from annotations import ANNOTATIONS, CODE, given, real, written

from paxion.data.nextqa import read_nextqa
from paxion.records import PaxionError

COLUMNS = [
    *("video", "frame_count", "width", "height", "question", "answer", "qid", "type"),
    *("a0", "a1", "a2", "a3", "a4"),
]


def table(path, *rows, columns=COLUMNS):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def question(
    video="11",
    qid="0",
    answer="1",
    text="what did the boy do",
    kind="TN",
    choices=("sit", "open it", "run", "jump", "cry"),
):
    return [video, 300, 640, 480, text, answer, qid, kind, *choices]


def test_a_question_and_its_right_answer_are_the_caption(tmp_path):
    path = table(tmp_path / "val.csv", question(), question(qid="1", text="did he, or she, stop? "))
    (first, second), bad = given(read_nextqa(path, split="val"))
    assert bad == []
    assert (first.id, first.video, first.group, first.kind, first.source) == ("11_0", "11.mp4", "11", "TN", "nextqa")
    assert (first.caption, first.question, first.answer) == ("what did the boy do? open it", "what did the boy do", 1)
    assert first.choices == ("sit", "open it", "run", "jump", "cry") and first.antonym_choices is None
    assert second.caption == "did he, or she, stop? open it"


def test_the_map_beside_the_csv_says_where_videos_lie(tmp_path):
    path = table(tmp_path / "val.csv", question(), question(video="12"), question(video="13"))
    ids = written(tmp_path / "map_vid_vidorID.json", {"11": "1101/11", "13": "../13"})
    samples, bad = given(read_nextqa(path, split="val"))
    assert [s.video for s in samples] == ["1101/11.mp4"]
    assert [line for line, _ in bad] == [3, 4] and "expected one that" in bad[0][1]
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "11.mp4").touch()
    assert given(read_nextqa(path, split="val", videos=flat))[0][0].video == "11.mp4"
    other = written(tmp_path / "other.json", {"12": "x/12"})
    assert [s.video for s in given(read_nextqa(path, split="val", ids=other))[0]] == ["x/12.mp4"]
    for wrong in ("{", "[]", "{}", '{"11": 5}'):
        with pytest.raises(PaxionError, match="is no map of videos"):
            list(read_nextqa(path, split="val", ids=written(ids, wrong)))


def test_antonyms_of_choices_are_read_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = [*COLUMNS, "action_antonym_choices"]
    path = table(
        tmp_path / "val.csv",
        [*question(), "['stand', \"don't close it\"]"],
        [*question(qid="1"), "[]"],
        [*question(qid="2"), ""],
        [*question(qid="3"), CODE],
        [*question(qid="4"), f"[{CODE}]"],
        [*question(qid="5"), "[1, 2]"],
        columns=columns,
    )
    samples, bad = given(read_nextqa(path, split="val"))
    assert [s.antonym_choices for s in samples] == [("stand", "don't close it"), None, None]
    assert [line for line, _ in bad] == [5, 6, 7] and all("expected a list of strings" in message for _, message in bad)
    assert [file.name for file in tmp_path.iterdir()] == ["val.csv"]


def test_bad_rows(tmp_path):
    path = table(
        tmp_path / "val.csv",
        question(),
        question(),
        question(qid="1", answer="5"),
        question(qid="2", answer="nan"),
        question(qid="3", text=""),
        question(qid="4", choices=("a", "b", "", "d", "e")),
        question(qid="5", video="../11"),
        question(qid="6")[:-1],
        question(qid="7", answer="-1"),
    )
    path.write_bytes(path.read_bytes() + b"11,1,1,1,caf\xe9,0,8,TN,a,b,c,d,e\n")
    samples, bad = given(read_nextqa(path, split="val"))
    assert len(samples) == 1 and [line for line, _ in bad] == list(range(3, 12))
    with pytest.raises(PaxionError, match="the column 'a4' nowhere"):
        list(read_nextqa(table(tmp_path / "test.csv", question()[:-1], columns=COLUMNS[:-1]), split="test"))


@real
def test_the_real_validation_questions():
    samples, bad = given(read_nextqa(ANNOTATIONS / "nextqa_val.csv", split="val"))
    assert (len(samples), bad) == (4996, [])
    assert len({s.group for s in samples}) == 570
    kinds = {kind: sum(s.kind == kind for s in samples) for kind in ("CW", "CH", "TN", "TC", "TP", "DC", "DL", "DO")}
    assert kinds == {"CW": 1924, "CH": 683, "TN": 895, "TC": 663, "TP": 54, "DC": 177, "DL": 295, "DO": 305}
    assert all(s.video.endswith(f"/{s.group}.mp4") and "??" not in s.caption and "? " in s.caption for s in samples)
