import json
import math
import random

import pytest
from annotations import ANNOTATIONS, given, real, written
from hypothesis import given as any_of
from hypothesis import strategies as st

from paxion.data.formats import FORMATS, format_of, split_of
from paxion.data.rows import BadRow
from paxion.manifest import read_manifest, write_manifest
from paxion.records import PaxionError, Sample

UID = "001e3e4e-0000-4000-8000-000000000001"
EXAMPLES = {
    "ssv2": (
        "train.json",
        json.dumps([{"id": "1", "label": "holding cup", "template": "Holding [something]", "placeholders": ["cup"]}]),
    ),
    "ssv2-retrieval": ("ret.json", json.dumps([{"video": ["1.webm"], "caption": "Holding [something]"}])),
    "ego4d": (
        "egoclip.csv",
        "video_uid\tvideo_dur\tnarration_source\tnarration_ind\tnarration_time\tclip_start\tclip_end\tclip_text\n"
        f"{UID}\t12.5\tnarration_pass_1\t0\t3.3\t2.9\t3.7\t#C C opens a box\n",
    ),
    "nextqa": ("q.csv", "video,question,answer,qid,type,a0,a1,a2,a3,a4\n1,what,0,0,TN,a,b,c,d,e\n"),
    "temporal": ("val-v1.0.csv", ",index,video_id,text,dataset\n1,2,3,Opening [something],SSv2\n"),
    "moments": ("m.csv", "clapping/a_1.mp4,clapping,3,1\n"),
    "kinetics": ("k.csv", "label,youtube_id,time_start,time_end,split\na b,xyz,0,10,train\n"),
    "epic": (
        "e.csv",
        "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,narration,verb,verb_class,noun_class,all_nouns\n"
        "P01_01_0,P01,P01_01,00:00:00.14,00:00:03.37,open door,open,3,3,['door']\n",
    ),
    "vilma": (
        "v.json",
        json.dumps(
            {"k": {"caption": "opening", "foils": ["closing"], "youtube_id": "abc", "start_time": 1, "end_time": 2}}
        ),
    ),
    "vitatecs": (
        "d.jsonl",
        json.dumps(
            {"src_dataset": "MSRVTT", "video_name": "v.mp4", "caption": "a", "counterfactual": "b", "aspect": "Type"}
        ),
    ),
    "table": ("t.csv", 'video,caption\na.mp4,"opening, a box"\n'),
    "manifest": ("m.jsonl", json.dumps({"id": "1", "video": "a", "caption": "b", "split": "val", "group": "g"})),
}


def test_every_format_has_an_example_and_a_description():
    assert set(EXAMPLES) == set(FORMATS)
    assert all(known.description and isinstance(known.published_splits, bool) for known in FORMATS.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_formats_are_told_and_read(tmp_path, name):
    file, content = EXAMPLES[name]
    for marks in (b"", b"\xef\xbb\xbf"):
        path = written(tmp_path / file, marks + content.replace("\n", "\r\n").encode())
        assert format_of(path) == name
        ((sample,), bad) = given(FORMATS[name].read(path, split="val", videos=tmp_path))
        assert bad == [] and sample.caption
        assert write_manifest(tmp_path / "manifest.jsonl", [sample]) == 1
        assert read_manifest(tmp_path / "manifest.jsonl") == [sample]


@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ("test.json", '[{"id": "1"}]', "ssv2"),
        ("test-answers.csv", "3;Putting something, something and something on the table\n", "ssv2"),
        ("test-answers.csv", "id;template\n3;Opening something\n", "ssv2"),
        ("ssv2_ret_label_train.json", '[{"video": "1.webm", "caption": "opening a box"}]', "ssv2-retrieval"),
        ("mine.json", '[{"video": "1.webm", "caption": "opening a box"}]', "table"),
        ("train.jsonl", '{"clip_text": "#C C opens", "clip_uid": "c", "Unnamed: 10": NaN}', "ego4d"),
        ("vilma.json", '{"k": {"caption": "a",\n "foils": ["b"]}}', "vilma"),
        ("t.tsv", "Path\tText\na\tb\n", "table"),
        ("t.jsonl", '{"file": "a", "narration": "b"}', "table"),
    ],
)
def test_other_shapes_of_the_formats(tmp_path, file, content, name):
    assert format_of(written(tmp_path / file, content)) == name


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n",
        "Swiping Left\n",
        '{"Holding something": "0"}',
        "[]",
        "[1]",
        '{"000": {"0": ["a"]}}',
        "\n",
        "\x00\x01",
        '[{"id": ',
        "",
    ],
)
def test_what_is_in_no_format_is_one_error(tmp_path, content):
    with pytest.raises(PaxionError):
        format_of(written(tmp_path / "x", content))
    with pytest.raises(
        PaxionError, match=r"in no known format, its columns are a, b; expected one of ssv2, .*manifest"
    ):
        format_of(written(tmp_path / "x", "a,b\n1,2\n"))
    with pytest.raises(PaxionError, match="cannot read"):
        format_of(tmp_path / "none")
    assert format_of(tmp_path) == "kinetics"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(
            ("EPIC_100_train.csv", "train"),
            ("EPIC_100_validation.csv", "val"),
            ("nextqa_val.csv", "val"),
            ("test.jsonl", "test"),
        ),
        *(("trainingSet.csv", "train"), ("validationSet_2k.csv", "val"), ("ssv2_ret_label_val_small.json", "val")),
        *(("kinetics400_validate.csv", "val"), ("val-v1.0-2.4k.csv", "val"), ("test-answers.csv", "test")),
        *(
            ("egoclip.csv", None),
            ("train_val.jsonl", None),
            ("restrain.csv", None),
            ("contest.json", None),
            ("train/all.csv", None),
        ),
    ],
)
def test_file_names_tell_splits(name, split):
    assert split_of(name) == split


@any_of(name=st.sampled_from(sorted(EXAMPLES)), seed=st.integers(0, 10**9))
def test_damaged_files_give_samples_bad_rows_or_one_error(tmp_path_factory, name, seed):
    """Bytes of a good file are changed, dropped and doubled; nothing may break but in the known ways."""
    rng = random.Random(seed)
    file, text = EXAMPLES[name]
    content = bytearray(text.encode())
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(content))
        content[at : at + rng.randint(0, 3)] = rng.choice(
            [b"", b'"', b"\xff", b"..", b"/", b"\n", b"NaN", b"-1", b"[", b"\0", b",", b"9e999"]
        )
    path = written(tmp_path_factory.mktemp("damaged") / file, bytes(content))
    try:
        rows = list(FORMATS[name].read(path, split="val", videos=path.parent))
        format_of(path)
    except PaxionError as error:
        assert "\n" not in str(error)
        return
    for row in rows:
        if isinstance(row, BadRow):
            assert row.line >= 1 and row.message
        else:
            assert (
                isinstance(row, Sample)
                and row.id.strip()
                and row.caption.strip()
                and row.video.strip()
                and row.group.strip()
            )
            assert not row.video.startswith("/") and ".." not in row.video.split("/")
            assert all(t is None or (math.isfinite(t) and t >= 0) for t in (row.start, row.end))


@real
def test_the_formats_of_the_real_files():
    files = {
        **{path.name: "vilma" for path in (ANNOTATIONS / "vilma").glob("*.json") if "proficiency" not in path.name},
        "nextqa_val.csv": "nextqa",
        "Direction_first1200.jsonl": "vitatecs",
    }
    assert len(files) == 12
    for name, known in files.items():
        assert format_of(next(ANNOTATIONS.rglob(name))) == known
    for name in ("quva-proficiency-foils.json", "nextqa_map_vid_vidorID.json", "kinetics400.txt"):
        with pytest.raises(PaxionError, match="in no known format"):
            format_of(next(ANNOTATIONS.rglob(name)))
