import json
import re

import pytest
from annotations import ANNOTATIONS, CODE, given, real, written

from paxion.data.ssv2 import read_ssv2, read_ssv2_labels, read_ssv2_retrieval
from paxion.records import PaxionError

# The format of Something-Something v2; ids and captions are ours.
TRAIN = [
    {
        "id": "101",
        "label": "holding cup next to a big box",
        "template": "Holding [something] next to [something]",
        "placeholders": ["cup", "a big box"],
    },
    {
        "id": "102",
        "label": "putting 3 pens onto table",
        "template": "Putting [number of] [something] onto [something]",
        "placeholders": ["3", "pens", "table"],
    },
    {
        "id": "103",
        "label": "Ball falling like a rock",
        "template": "[Something] falling like a rock",
        "placeholders": ["ball"],
    },
]


def test_the_official_json(tmp_path):
    samples, bad = given(read_ssv2(written(tmp_path / "train.json", TRAIN), split="train"))
    assert bad == []
    first, second, third = samples
    assert (first.id, first.video, first.group, first.split, first.source) == (
        "101",
        "101.webm",
        "101",
        "train",
        "ssv2",
    )
    assert first.caption == "holding cup next to a big box"
    assert first.template == first.action == "Holding something next to something"
    assert first.objects == ("cup", "a big box")
    assert first.antonym is first.replaced is first.antonym_note is None
    assert second.template == "Putting number of something onto something"
    assert second.objects == ("pens", "table")
    assert third.objects == ("Ball",)


def test_videos_are_webm_or_what_is_there(tmp_path):
    path = written(tmp_path / "train.json", TRAIN)
    (tmp_path / "101.mp4").touch()
    assert [s.video for s in given(read_ssv2(path, split="train", videos=tmp_path))[0]] == [
        "101.mp4",
        "102.webm",
        "103.webm",
    ]


def test_actionbench_keeps_what_is_published(tmp_path):
    validation = [
        {
            "id": 7,
            "label": "Opening box",
            "template": "Opening something",
            "placeholders": ["box"],
            "template_action_antonym_clip_text": "Closing something",
            "label_action_antonym_clip_text": "Closing box",
            "label_object_shuffled_clip_text": "opening lamp",
        }
    ]
    ((sample,), bad) = given(read_ssv2(written(tmp_path / "validation.json", validation), split="val"))
    assert (sample.id, sample.antonym, sample.antonym_note) == ("7", "Closing box", "published")
    assert (sample.replaced, sample.replaced_note) == ("opening lamp", "published")
    assert (sample.template, sample.objects, bad) == ("Opening something", ("box",), [])


def test_a_train_json_finds_its_antonyms_beside_it(tmp_path):
    path = written(tmp_path / "train.json", TRAIN)
    antonyms = [
        {"id": 103, "label": "Ball falling like a rock", "label_action_antonym_clip_text": "Ball rising like a rock"},
        {"id": 999, "label": "x", "label_action_antonym_clip_text": None},
    ]
    beside = written(tmp_path / "train_antonym.json", antonyms)
    rows = list(read_ssv2(path, split="train"))
    samples, bad = given(rows)
    assert [(s.antonym, s.antonym_note) for s in samples] == [
        (None, None),
        (None, None),
        ("Ball rising like a rock", "published"),
    ]
    assert bad == [(7, "label_action_antonym_clip_text: got nothing, expected text")] and rows[0].file == str(beside)


@pytest.mark.parametrize("header", ["", "id;template\n"])
def test_the_test_set_takes_its_templates_from_the_answers(tmp_path, header):
    path = written(tmp_path / "test.json", [{"id": "1420"}, {"id": "3"}, {"id": "4"}])
    answers = written(
        tmp_path / "test-answers.csv",
        header + "3;Putting [something], something and something on it\n1420;Opening something\n",
    )
    samples, bad = given(read_ssv2(path, split="test"))
    assert [(s.id, s.caption, s.template, s.objects) for s in samples] == [
        ("1420", "Opening something", "Opening something", None),
        (
            "3",
            "Putting something, something and something on it",
            "Putting something, something and something on it",
            None,
        ),
    ]
    assert bad == [(8, 'id: got "4", expected one that has a template')]
    assert [s.id for s in given(read_ssv2(answers, split="test"))[0]] == ["3", "1420"]


def test_the_test_set_without_answers_says_what_is_missing(tmp_path):
    with pytest.raises(PaxionError, match=r"captions come from .*test-answers\.csv, which is not there"):
        list(read_ssv2(written(tmp_path / "test.json", [{"id": "1"}]), split="test"))


def test_bad_rows(tmp_path):
    rows = [
        TRAIN[0],
        TRAIN[0],
        TRAIN[1] | {"id": "../../x"},
        TRAIN[1] | {"label": " "},
        TRAIN[1] | {"placeholders": CODE},
        {"id": "5", "template": "Opening [something]"},
        [1],
        TRAIN[1] | {"id": None},
        TRAIN[1] | {"id": "9", "label_action_antonym_clip_text": "Putting 3 pens onto table"},
    ]
    path = written(tmp_path / "train.json", "[" + ",\n".join(json.dumps(row) for row in rows) + "]")
    samples, bad = given(read_ssv2(path, split="train"))
    assert [s.id for s in samples] == ["101"]
    assert [line for line, _ in bad] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert "again (first on line 1)" in bad[0][1] and "under the folder of the videos" in bad[1][1]
    # A first row without a label does not make it the test set.
    assert given(read_ssv2(written(path, [{"id": "1"}, TRAIN[0]]), split="train"))[1] == [(2, "got no field label")]
    with pytest.raises(PaxionError, match=r"lack the field id, label; it has the fields video, caption"):
        list(read_ssv2(written(tmp_path / "other.json", [{"video": "a", "caption": "b"}]), split="train"))


def test_retrieval_gives_a_row_for_each_video(tmp_path):
    content = [
        {"video": ["62211.webm", "7.webm"], "caption": "Approaching [something] with your camera"},
        {"video": "7.webm", "caption": "Opening something"},
        {"video": [], "caption": "Opening something"},
        {"video": ["../7.webm"], "caption": "Opening something"},
        {"video": [7], "caption": "Opening something"},
        {"video": "8.webm", "caption": ""},
    ]
    samples, bad = given(
        read_ssv2_retrieval(written(tmp_path / "ssv2_ret_template_val_small.json", content), split="val")
    )
    assert [(s.id, s.video, s.group) for s in samples] == [
        ("62211", "62211.webm", "62211"),
        ("7", "7.webm", "7"),
        ("7#2", "7.webm", "7"),
    ]
    assert (
        {s.caption for s in samples[:2]}
        == {"Approaching something with your camera"}
        == {s.action for s in samples[:2]}
    )
    assert len(bad) == 4
    (sample,), _ = given(
        read_ssv2_retrieval(written(tmp_path / "ssv2_ret_label_train.json", content[1:2]), split="train")
    )
    assert sample.action is sample.template is None


def test_labels_are_read_in_their_order(tmp_path):
    assert read_ssv2_labels(written(tmp_path / "labels.json", {"B something": "1", "A something": "0"})) == (
        "A something",
        "B something",
    )
    for wrong in ({"A": "1"}, {"A": "x"}, ["A"], "{", {"A": None}):
        with pytest.raises(PaxionError, match=r"is no labels\.json"):
            read_ssv2_labels(written(tmp_path / "labels.json", wrong))
    with pytest.raises(PaxionError, match="cannot read"):
        read_ssv2_labels(tmp_path / "none.json")


@real
def test_the_174_real_templates_survive_as_labels(tmp_path):
    templates = (ANNOTATIONS / "ssv2_174_templates.txt").read_text("utf-8").splitlines()
    assert len(templates) == 174
    rows = [
        {
            "id": str(number),
            "label": name.lower(),
            "template": re.sub("([Ss]omething)", r"[\1]", name),
            "placeholders": [],
        }
        for number, name in enumerate(templates)
    ]
    samples, bad = given(read_ssv2(written(tmp_path / "validation.json", rows), split="val"))
    assert bad == [] and [s.action for s in samples] == templates
