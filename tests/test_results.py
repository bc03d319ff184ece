import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from paxion.records import PaxionError, Row, Score
from paxion.results import Missed, Results, provenance, read_results, read_rows, write_results

SCORE = Score("clip", "world-A", "antonym", "none", "accuracy", 0.1 + 0.2, 0.25, 1.0, 12, 1, 0)
ROW = Row("a", "g", "clip", "world-A", "antonym", "none", 0, 0.3, 0.1, 1.0)


def test_results_and_rows_come_back_as_they_were(tmp_path):
    rows = [ROW, replace(ROW, id="b\u2028c", rank=2.5)]
    write_results(tmp_path / "run", Results({"seed": 1}, [SCORE, replace(SCORE, seed=1)]), rows)
    assert read_results(tmp_path / "run") == Results({"seed": 1}, [SCORE, replace(SCORE, seed=1)])
    assert read_results(tmp_path / "run" / "results.json").scores[0] == SCORE
    assert read_rows(tmp_path / "run") == rows
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["results.json", "samples.jsonl"]


def test_the_file_is_one_flat_table(tmp_path):
    write_results(tmp_path, Results({}, [SCORE]), [])
    content = json.loads((tmp_path / "results.json").read_text())
    assert list(content) == ["provenance", "scores"]
    names = ["model", "data", "task", "control", "metric", "value", "low", "high", "n", "ties", "seed"]
    assert list(content["scores"][0]) == names


def test_missed_clips_and_paths_in_the_provenance(tmp_path):
    missed = Missed("world-A", "antonym", "no such file", 3, ("a", "b"))
    write_results(tmp_path, Results(provenance(missed=[missed], manifest=Path("m.jsonl"))), [])
    found = read_results(tmp_path).provenance
    assert found["missed"] == [
        {"data": "world-A", "task": "antonym", "reason": "no such file", "count": 3, "examples": ["a", "b"]}
    ]
    assert found["manifest"] == "m.jsonl"


def test_provenance_says_what_ran():
    found = provenance(seed=3)
    assert found["seed"] == 3
    assert found["torch"] == torch.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["date"].endswith("+00:00")
    assert set(found) >= {"paxion", "platform", "cores", "command"}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_never_written(tmp_path, bad):
    with pytest.raises(PaxionError, match=r"score clip / world-A / antonym: value: got (NaN|Infinity)"):
        write_results(tmp_path, Results({}, [replace(SCORE, value=bad)]), [])
    with pytest.raises(PaxionError, match="row a / clip / antonym: right"):
        write_results(tmp_path, Results({}, [SCORE]), [replace(ROW, right=bad)])
    with pytest.raises(PaxionError, match="provenance"):
        write_results(tmp_path, Results({"loss": bad}, [SCORE]), [])
    assert list(tmp_path.iterdir()) == []


def test_whole_numbers_are_read_as_floats(tmp_path):
    (tmp_path / "samples.jsonl").write_text(json.dumps(vars_of(ROW) | {"credit": 1}) + "\n\n")
    (row,) = read_rows(tmp_path)
    assert row == ROW
    assert isinstance(row.credit, float)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", '"provenance" and "scores"'),
        ('{"provenance": {}}', '"provenance" and "scores"'),
        ('{"provenance": {}, "scores": [{"model": "clip"}]}', "score 1: data: got no such field"),
        ('{"provenance": {}, "scores": [3]}', "score 1: row: got 3"),
    ],
)
def test_files_that_are_no_results_are_refused(tmp_path, content, message):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(PaxionError) as error:
        read_results(tmp_path)
    assert str(tmp_path / "results.json") in str(error.value)
    assert message in str(error.value)


def test_a_broken_row_is_named_by_its_line(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(vars_of(ROW)) + "\n" + json.dumps(vars_of(ROW) | {"credit": "high"}) + "\n")
    with pytest.raises(PaxionError, match=r"samples\.jsonl:2: credit: got \"high\", expected a finite number"):
        read_rows(tmp_path)
    path.write_text("{\n")
    with pytest.raises(PaxionError, match=r"samples\.jsonl:1: not JSON"):
        read_rows(path)


def test_a_missing_file_is_one_clear_error(tmp_path):
    for read in (read_results, read_rows):
        with pytest.raises(PaxionError, match=r"cannot read .*: No such file"):
            read(tmp_path / "none")


def vars_of(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in Row.__dataclass_fields__}
