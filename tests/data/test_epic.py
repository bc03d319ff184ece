import csv

import pytest
from annotations import CODE, given, written

from paxion.data.epic import read_epic
from paxion.records import PaxionError

COLUMNS = [
    *("narration_id", "participant_id", "video_id", "narration_timestamp", "start_timestamp", "stop_timestamp"),
    *("start_frame", "stop_frame", "narration", "verb", "verb_class", "noun", "noun_class"),
    *("all_nouns", "all_noun_classes"),
]


def row(**values):
    """A row in the format of EPIC_100_train.csv; the narrations are ours."""
    defaults = {
        "narration_id": "P01_01_0",
        "participant_id": "P01",
        "video_id": "P01_01",
        "narration_timestamp": "00:00:01.089",
        "start_timestamp": "00:00:00.14",
        "stop_timestamp": "00:01:03.37",
        "start_frame": 8,
        "stop_frame": 202,
        "narration": "put chopping board and knife away",
        "verb": "put-away",
        "verb_class": 1,
        "noun": "board:chopping",
        "noun_class": 4,
        "all_nouns": "['board:chopping', 'knife']",
        "all_noun_classes": "[4, 5]",
    }
    return {**defaults, **values}


def table(path, *rows, columns=COLUMNS):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_narration(tmp_path):
    path = table(
        tmp_path / "EPIC_100_train.csv",
        row(),
        row(narration_id="P01_01_1", narration="open door", all_nouns="['door:kitchen', 'tap']"),
    )
    (first, second), bad = given(read_epic(path, split="train"))
    assert bad == []
    assert (first.id, first.video, first.group, first.source) == ("P01_01_0", "P01/videos/P01_01.MP4", "P01_01", "epic")
    assert (first.start, first.end) == (0.14, 63.37)
    assert (first.caption, first.verb, first.action) == (
        "put chopping board and knife away",
        "put-away",
        "verb 1, noun 4",
    )
    assert first.objects == ("chopping board", "knife")
    assert second.objects == ("door",)


@pytest.mark.parametrize("there", ["P01/videos/P01_01.mp4", "P01/P01_01.MP4", "P01_01.mp4"])
def test_videos_lie_in_several_ways(tmp_path, there):
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).touch()
    assert given(read_epic(table(tmp_path / "t.csv", row()), split="train", videos=tmp_path))[0][0].video == there


def test_bad_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = [
        row(),
        row(narration_id="1", start_timestamp="00:02:00.00"),
        row(narration_id="2", stop_timestamp=""),
        row(narration_id="3", stop_timestamp="nan"),
        row(narration_id="4", start_timestamp="00:75:00"),
        row(narration_id="5", participant_id="..", video_id="../x"),
        row(narration_id="6", narration=" "),
        row(narration_id="7", all_nouns=CODE),
        row(narration_id="8", all_nouns=f"[{CODE}]"),
        row(narration_id=""),
    ]
    path = table(tmp_path / "t.csv", row(), *wrong)
    path.write_bytes(path.read_bytes() + b"P01_01_9,P01\nP01_01_9,P01,\xff\n")
    samples, bad = given(read_epic(path, split="train"))
    assert [s.id for s in samples] == ["P01_01_0"] and [line for line, _ in bad] == list(range(3, 15))
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]


def test_the_test_set_has_no_narrations(tmp_path):
    path = table(tmp_path / "EPIC_100_test_timestamps.csv", row(), columns=COLUMNS[:8])
    with pytest.raises(PaxionError, match=r"the column 'narration' nowhere, .* columns narration_id, participant_id"):
        list(read_epic(path, split="test"))
    with pytest.raises(PaxionError, match="nowhere"):
        list(read_epic(written(tmp_path / "x.csv", "a\n1\n"), split="test"))
