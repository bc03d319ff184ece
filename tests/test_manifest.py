import ast
import hashlib
import json
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import paxion.records
from paxion.manifest import (
    Problem,
    find_problems,
    manifest_hash,
    read_manifest,
    video_path,
    write_manifest,
)
from paxion.records import SPLITS, PaxionError, Sample

ROW = {"id": "a", "video": "a.mp4", "caption": "pushing a cup", "split": "train", "group": "g"}
SAMPLE = Sample("a", "a.mp4", "pushing a cup", "train", "g")


def written(folder: Path, *rows: object) -> Path:
    path = folder / "manifest.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def problems(folder: Path, *rows: object) -> list[Problem]:
    return list(find_problems(written(folder, *rows)))


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(
    rows=st.lists(
        st.tuples(text, text, text, st.none() | text, st.none() | st.booleans(), st.none() | st.floats(0, 1e300)),
        min_size=1,
        max_size=5,
        unique_by=lambda row: row[0],
    )
)
def test_what_is_written_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("manifest") / "m.jsonl"
    samples = [
        Sample(id, video, caption, "val", "g", verb=verb, salient=salient, start=start)
        for id, video, caption, verb, salient, start in rows
    ]
    write_manifest(path, samples)
    assert read_manifest(path) == samples
    assert list(find_problems(path)) == []


def test_nulls_are_left_out_and_keys_keep_their_order(tmp_path):
    write_manifest(tmp_path / "m.jsonl", [replace(SAMPLE, source="world-A", antonym="pulling a cup", start=1.0)])
    assert (tmp_path / "m.jsonl").read_text() == (
        '{"id": "a", "video": "a.mp4", "caption": "pushing a cup", "split": "train", "group": "g", '
        '"antonym": "pulling a cup", "start": 1.0, "source": "world-A"}\n'
    )


def test_byte_order_mark_blank_lines_windows_ends_and_nulls_are_accepted(tmp_path):
    path = tmp_path / "m.jsonl"
    second = ROW | {"id": "b", "antonym": None, "caption": "a\u2028b"}
    text = f"\n{json.dumps(ROW)}\r\n\r\n{json.dumps(second, ensure_ascii=False)}"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_manifest(path) == [SAMPLE, replace(SAMPLE, id="b", caption="a\u2028b")]


def test_line_numbers_count_blank_lines(tmp_path):
    assert [p.line for p in problems(tmp_path, ROW, "", "", ROW)] == [4]


def test_whole_seconds_become_floats(tmp_path):
    (sample,) = read_manifest(written(tmp_path, ROW | {"start": 1, "end": 2}))
    assert isinstance(sample.end, float)
    assert (sample.start, sample.end) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("row", "field", "parts"),
    [
        ("{", "row", ["not JSON"]),
        ("[1]", "row", ["[1]", "an object"]),
        ({k: v for k, v in ROW.items() if k != "group"}, "group", ["no such field", "a string", "add it"]),
        (ROW | {"caption": 3}, "caption", ["got 3", "a string"]),
        (ROW | {"caption": None}, "caption", ["got null", "a string"]),
        (ROW | {"salient": "yes"}, "salient", ['got "yes"', "true or false or null"]),
        (ROW | {"start": True}, "start", ["got true", "a finite number or null"]),
        (ROW | {"start": float("nan")}, "start", ["got NaN", "a finite number"]),
        (ROW | {"end": float("inf")}, "end", ["got Infinity", "a finite number"]),
        (ROW | {"end": 10**400}, "end", ["a finite number"]),
        (ROW | {"id": " "}, "id", ["empty string"]),
        (ROW | {"antonym": ""}, "antonym", ["empty string", "leave the field out"]),
        (ROW | {"split": "Training"}, "split", ['"Training"', "train, val, test", "did you mean train?"]),
        (ROW | {"split": "x"}, "split", ['"x"', "train, val, test"]),
        (ROW | {"antonymm": "x"}, "antonymm", ["unknown field", "did you mean antonym?"]),
        (ROW | {"zzz": "x"}, "zzz", ["unknown field", "remove it"]),
        (ROW | {"start": 2.0, "end": 2.0}, "end", ["got 2", "more than start (2 seconds)"]),
        (ROW | {"end": 0}, "end", ["got 0", "more than start (0 seconds)"]),
        (ROW | {"start": -1}, "start", ["got -1", "0 seconds or more"]),
        (ROW | {"antonym": "Pushing  a cup"}, "antonym", ["the caption itself"]),
        (ROW | {"replaced": "pushing a cup"}, "replaced", ["the caption itself"]),
        ('{"id": "a", "id": "b"}', "id", ["twice"]),
        ('{"caption": "\udcff"}', "row", []),
    ],
)
def test_each_problem_is_found_and_named(tmp_path, row, field, parts):
    path = tmp_path / "m.jsonl"
    line = row if isinstance(row, str) else json.dumps(row)
    path.write_bytes(json.dumps(ROW | {"id": "first"}).encode() + b"\n" + line.encode("utf-8", "surrogateescape"))
    (problem,) = find_problems(path)
    assert (problem.line, problem.field) == (2, field)
    for part in parts:
        assert part in problem.message
    with pytest.raises(PaxionError) as error:
        read_manifest(path)
    assert str(error.value).startswith(f"{path}:2: {field}: {problem.message}")
    assert f"paxion validate {path}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_second_use_of_an_id_names_the_first(tmp_path):
    (problem,) = problems(tmp_path, ROW, ROW | {"id": "b"}, ROW)
    assert (problem.line, problem.field) == (3, "id")
    assert "line 1" in problem.message


def test_a_group_in_two_splits_names_both_lines(tmp_path):
    (problem,) = problems(tmp_path, ROW, ROW | {"id": "b"}, ROW | {"id": "c", "split": "test"})
    assert (problem.line, problem.field) == (3, "group")
    assert "test on line 3" in problem.message
    assert "train on line 1" in problem.message


def test_all_problems_of_a_file_are_listed(tmp_path):
    found = problems(tmp_path, ROW | {"antonym": 1, "verb": 2}, "nonsense", ROW, ROW)
    assert [(p.line, p.field) for p in found] == [(1, "antonym"), (1, "verb"), (2, "row"), (4, "id")]


def test_missing_videos_are_problems_only_when_asked(tmp_path):
    (tmp_path / "there.mp4").touch()
    path = written(tmp_path, ROW, ROW | {"id": "b", "video": "there.mp4"})
    assert list(find_problems(path)) == []
    (problem,) = find_problems(path, check_files=True)
    assert (problem.line, problem.field) == (1, "video")
    assert str(tmp_path / "a.mp4") in problem.message


def test_an_empty_manifest_is_a_problem(tmp_path):
    assert [p.line for p in problems(tmp_path, "")] == [1]


def test_a_missing_manifest_is_one_clear_error(tmp_path):
    for use in (read_manifest, manifest_hash, find_problems):
        with pytest.raises(PaxionError, match=r"cannot read .*none\.jsonl: No such file"):
            use(tmp_path / "none.jsonl")


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    with pytest.raises(PaxionError, match="sample 2: id"):
        write_manifest(tmp_path / "m.jsonl", [SAMPLE, SAMPLE])
    with pytest.raises(PaxionError, match="NaN"):
        write_manifest(tmp_path / "m.jsonl", [replace(SAMPLE, start=float("nan"))])
    assert list(tmp_path.iterdir()) == []


def test_video_paths_are_relative_to_the_manifest(tmp_path):
    assert video_path(tmp_path / "m.jsonl", SAMPLE) == tmp_path / "a.mp4"
    assert video_path(tmp_path / "m.jsonl", replace(SAMPLE, video="/far/b.mp4")) == Path("/far/b.mp4")


def test_the_hash_is_that_of_the_content(tmp_path):
    path = written(tmp_path, ROW)
    assert manifest_hash(path) == hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def test_the_schema_agrees_with_the_record():
    schema = json.loads(Path(paxion.records.__file__).with_name("manifest.schema.json").read_text("utf-8"))
    source = ast.parse(Path(paxion.records.__file__).read_text("utf-8"))
    body = next(node for node in source.body if isinstance(node, ast.ClassDef) and node.name == "Sample").body
    documented = {
        node.target.id: (ast.unparse(node.annotation), after.value.value)
        for node, after in pairwise(body)
        if isinstance(node, ast.AnnAssign)
    }
    names = {"str": "string", "Split": "string", "bool": "boolean", "float": "number", "int": "integer"}
    names["tuple[str, ...]"] = "array"
    assert list(schema["properties"]) == [field.name for field in fields(Sample)] == list(documented)
    assert schema["required"] == ["id", "video", "caption", "split", "group"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["split"]["enum"] == list(SPLITS)
    for name, (annotation, description) in documented.items():
        kinds = [names.get(kind, "null") for kind in annotation.split(" | ")]
        found = schema["properties"][name]
        assert found["type"] == (kinds if len(kinds) > 1 else kinds[0]), name
        assert found["description"] == description
