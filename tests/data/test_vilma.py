import json
import math

import pytest
from annotations import ANNOTATIONS, CODE, given, jsonl, real, written

from paxion.data.vilma import read_vilma
from paxion.data.vitatecs import read_vitatecs
from paxion.records import PaxionError

VILMA = ANNOTATIONS / "vilma"


def item(**values):
    """An item in the format of ViLMA's probe files; the texts are ours."""
    defaults = {
        "dataset": "coin",
        "original_split": "val",
        "linguistic_phenomena": "change-of-state",
        "youtube_id": "abcdefghijk",
        "video_file": None,
        "start_time": 96.0,
        "end_time": 97,
        "time_unit": "sec",
        "change_of_state": {"verb": "open"},
        "caption": "Someone opens a box.",
        "foils": ["Someone closes a box.", "Someone shuts a box."],
        "proficiency": {"caption": "There is a box.", "foils": ["There is a cup."], "human": {"caption": 1}},
        "mturk": {"foil": 0, "caption": 3, "other": 0},
    }
    return defaults | values


def test_each_foil_is_a_sample(tmp_path):
    path = written(tmp_path / "change-state-action.json", {"k1": item(), "k2": item(foils=["Someone closes a box."])})
    samples, bad = given(read_vilma(path, split="test"))
    assert bad == [] and [s.id for s in samples] == ["k1#0", "k1#1", "k2#0"]
    assert [s.antonym for s in samples[:2]] == ["Someone closes a box.", "Someone shuts a box."]
    first = samples[0]
    assert (first.video, first.group, first.start, first.end) == ("abcdefghijk.mp4", "abcdefghijk", 96.0, 97.0)
    assert (first.split, first.source, first.kind) == ("test", "vilma-change-state-action", "change-of-state")
    assert (first.verb, first.antonym_note, first.replaced, first.replaced_note) == ("open", "published", None, None)


def test_foils_of_the_noun_replace_an_object(tmp_path):
    path = written(
        tmp_path / "rare-actions-noun-foils.json", {"k": item(foil_masked_pos=["noun"], foils=["Someone opens a jar."])}
    )
    ((sample,), _) = given(read_vilma(path, split="test"))
    assert (sample.antonym, sample.antonym_note) == (None, None)
    assert (sample.replaced, sample.replaced_note) == ("Someone opens a jar.", "published")


def test_where_videos_lie(tmp_path):
    sth = {
        "dataset": "something-something-v2",
        "youtube_id": None,
        "video_file": "63238",
        "start_time": None,
        "end_time": None,
    }
    quva = {
        "dataset": "QUVA",
        "youtube_id": None,
        "video_file": "000_a.mp4",
        "start_time": 56,
        "end_time": 96,
        "time_unit": "pts",
        "normalized": True,
    }
    vidsitu = {
        "dataset": "VidSitu",
        "youtube_id": "abcdefghijk10",
        "video_file": "abcdefghijk10_20_30",
        "start_time": 20,
        "end_time": 30,
    }
    star = {"dataset": "star", "youtube_id": None, "video_file": "T832F", "start_time": 0.4, "end_time": 10.6}
    one = {"foils": ["Someone closes a box."]}
    path = written(
        tmp_path / "x-y.json", {str(n): item(**one, **place) for n, place in enumerate((sth, quva, vidsitu, star))}
    )
    samples, bad = given(read_vilma(path, split="test"))
    assert bad == []
    assert [(s.video, s.group, s.start, s.end) for s in samples] == [
        ("63238.webm", "63238", None, None),
        ("normalized_videos/000_a.mp4", "000_a.mp4", 1.8667, 3.2),
        ("abcdefghijk.mp4", "abcdefghijk", 20.0, 30.0),
        ("T832F.mp4", "T832F", 0.4, 10.6),
    ]
    for name in ("63238.mp4", "000_a.mp4", "abcdefghijk10_20_30.mp4"):
        (tmp_path / name).touch()
    samples, _ = given(read_vilma(path, split="test", videos=tmp_path))
    assert [(s.video, s.start) for s in samples[:3]] == [
        ("63238.mp4", None),
        ("000_a.mp4", 1.8667),
        ("abcdefghijk10_20_30.mp4", None),
    ]


def test_validated_items_only(tmp_path):
    content = {
        "good": item(),
        "doubted": item(mturk={"caption": 1}),
        "hard": item(proficiency={"human": {"caption": 0}}),
        "odd": item(mturk={"caption": "3"}),
        "unjudged": item(mturk=None, proficiency={}),
    }
    samples, _ = given(read_vilma(written(tmp_path / "a.json", content), split="test", validated=True))
    assert {s.id.split("#")[0] for s in samples} == {"good", "unjudged"}


def test_bad_items(tmp_path):
    wrong = {
        "no foils": item(foils=[]),
        "code": item(foils=CODE),
        "numbers": item(foils=[1]),
        "no caption": item(caption=None),
        "caption again": item(foils=["someone opens a box."]),
        "window": item(start_time=98),
        "nan": item(start_time=math.nan),
        "negative": item(start_time=-1),
        "no video": item(youtube_id=None),
        "outside": item(youtube_id="../../../x"),
        "frames": item(time_unit="pts"),
        "unit": item(time_unit="ms"),
        "text": "not an item",
        "lacking": {"caption": "x"},
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in {"good": item(), **wrong}.items()]
    path = written(tmp_path / "a.json", "{\n" + ",\n".join([*lines, lines[0]]) + "\n}")
    samples, bad = given(read_vilma(path, split="test"))
    assert [s.id for s in samples] == ["good#0", "good#1"]
    # The last item has the key of the first: it is one bad row, whatever the number of its foils.
    assert [line for line, _ in bad] == [*range(3, 18)]
    assert "again (first on line 2)" in bad[-1][1]


def test_other_files_are_refused(tmp_path):
    with pytest.raises(PaxionError, match="without captions, expected a probe file of ViLMA"):
        list(read_vilma(written(tmp_path / "quva-proficiency-foils.json", {"000": {"0": ["a"]}}), split="test"))
    with pytest.raises(PaxionError, match="lack the field caption, foils; it has the fields 0, key"):
        list(read_vilma(written(tmp_path / "other.json", {"000": {"0": ["a"]}}), split="test"))


@real
@pytest.mark.parametrize(
    ("name", "samples", "bad", "validated", "groups"),
    [
        ("SRL_Action_Replacement_Top_1000", 1899, 0, 1362, 789),
        ("SRL_Actor_Swapping", 450, 2, 207, 367),
        ("change-state-action", 624, 0, 314, 599),
        ("change-state-inverse", 624, 0, 236, 599),
        ("change-state-poststate", 624, 0, 254, 599),
        ("change-state-prestate", 624, 0, 194, 599),
        ("counting-easy-digits", 999, 0, 999, 100),
        ("rare-actions-noun-foils", 970, 2, 691, 327),
        ("rare-actions-verb-foils", 977, 1, 751, 331),
        ("relations", 708, 0, 393, 708),
    ],
)
def test_the_real_probe_files(name, samples, bad, validated, groups):
    found, wrong = given(read_vilma(VILMA / f"{name}.json", split="test"))
    assert (len(found), len(wrong), len({s.group for s in found})) == (samples, bad, groups)
    # The published files hold five foils that are the caption itself.
    assert all("got the caption itself" in message for _, message in wrong)
    assert len(given(read_vilma(VILMA / f"{name}.json", split="test", validated=True))[0]) == validated
    assert len({s.id for s in found}) == samples
    assert all((s.replaced is not None) == (name == "rare-actions-noun-foils") for s in found)
    assert all((s.antonym is None) == (name == "rare-actions-noun-foils") for s in found)


@real
def test_bad_rows_of_a_real_file_stand_on_their_line():
    path = VILMA / "SRL_Actor_Swapping.json"
    lines = path.read_text("utf-8").split("\n")
    assert [lines[line - 1].strip() for line, _ in given(read_vilma(path, split="test"))[1]] == [
        '"2963": {',
        '"3547": {',
    ]


@real
def test_the_real_proficiency_file_is_refused():
    with pytest.raises(PaxionError, match="without captions"):
        list(read_vilma(VILMA / "quva-proficiency-foils.json", split="test"))


PAIR = {
    "src_dataset": "MSRVTT",
    "video_name": "video1.mp4",
    "caption": "a man is opening a box",
    "counterfactual": "a man is closing a box",
    "aspect": "Direction",
}


def test_vitatecs(tmp_path):
    flat = PAIR | {"src_dataset": "VATEX", "video_name": "abc_000002_000012.mp4", "aspect": "Type"}
    path = jsonl(tmp_path / "Direction.jsonl", PAIR, PAIR, flat)
    (first, again, other), bad = given(read_vitatecs(path, split="test"))
    assert bad == [] and (first.id, again.id) == ("MSRVTT/video1", "MSRVTT/video1#2")
    assert (first.video, first.group, first.source) == ("MSRVTT/video1.mp4", "MSRVTT/video1.mp4", "vitatecs-direction")
    assert (first.antonym, first.antonym_note, first.kind) == ("a man is closing a box", "published", "Direction")
    assert (other.source, other.kind, other.replaced) == ("vitatecs-type", "Type", None)
    (tmp_path / "abc_000002_000012.mp4").touch()
    assert given(read_vitatecs(path, split="test", videos=tmp_path))[0][2].video == "abc_000002_000012.mp4"


def test_bad_rows_of_vitatecs(tmp_path):
    path = jsonl(
        tmp_path / "a.jsonl",
        *(PAIR, PAIR | {"video_name": "../x.mp4"}, PAIR | {"counterfactual": math.nan}, PAIR | {"aspect": ""}, "{"),
        *(PAIR | {"counterfactual": "A man is opening a  box"}, PAIR | {"caption": [CODE]}, {"caption": "x"}),
    )
    path.write_bytes(path.read_bytes() + b'{"caption": "\xff"}\n')
    samples, bad = given(read_vitatecs(path, split="test"))
    assert len(samples) == 1 and [line for line, _ in bad] == list(range(2, 10))


@real
def test_the_real_direction_pairs():
    samples, bad = given(read_vitatecs(ANNOTATIONS / "vitatecs" / "Direction_first1200.jsonl", split="test"))
    assert (len(samples), bad, len({s.group for s in samples})) == (1200, [], 820)
    assert {s.source for s in samples} == {"vitatecs-direction"} and len({s.id for s in samples}) == 1200
