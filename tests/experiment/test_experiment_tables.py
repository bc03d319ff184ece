"""Tables from scores: who is compared with whom, what is best, and what is not there."""

from __future__ import annotations

import csv
import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from paxion.experiment.latex import latex
from paxion.experiment.markdown import markdown
from paxion.experiment.page import page
from paxion.experiment.reading import read_experiment
from paxion.experiment.scores import Measured
from paxion.experiment.tables import make_tables
from paxion.experiment.writing import write_tables
from paxion.records import Score

TEXT = """
seeds = [0, 1]
[backbones.a]
load = "world"
group = "g"
[backbones.b]
load = "world"
group = "g"
[data.clips]
kind = "world"
[models.one]
train = "clips"
[models.two]
train = "clips"
[models.label-two]
start = "two"
train = "clips"
[tasks.probes]
probe = "clips"
models = ["backbone", "one", "two"]
[tasks.other]
probe = "clips"
models = ["label-two"]
[[tables]]
title = "T <1> & 50 %"
rows = ["backbone", "one", { label = "two_x", models = ["two", "label-two"] }]
columns = [
  { task = "probes", score = "antonym" },
  { task = "other", score = "text_to_video", label = "t2v" },
]
reference = "one"
cost = true
"""
VALUES = {
    "one": {("a", 0): 0.6, ("a", 1): 0.7, ("b", 0): 0.6, ("b", 1): 0.8},
    "two": {("a", 0): 0.7, ("a", 1): 0.8, ("b", 0): 0.7, ("b", 1): 0.8},
    "backbone": {("a", 0): 0.5, ("b", 0): 0.4},
}


@pytest.fixture
def experiment(tmp_path):
    (tmp_path / "t.toml").write_text(TEXT)
    return read_experiment(tmp_path / "t.toml")


def measured() -> Measured:
    scores = {
        (model, backbone, seed, "probes"): [
            Score(model, "world-A", "antonym", "none", "accuracy", value, value - 0.05, value + 0.05, 90, 0, seed)
        ]
        for model, found in VALUES.items()
        for (backbone, seed), value in found.items()
    }
    t2v = Score("label-two", "world-A", "text_to_video", "none", "R@1", 0.3, 0.2, 0.4, 90, 0, 0)
    scores["label-two", "a", 0, "other"] = [t2v]
    costs = {("one", "a", 0): (1200, 10.0), ("one", "a", 1): (1200, 14.0), ("two", "a", 0): (1300, 1.25)}
    missed = {("probes", "world-A", "antonym", "no antonym"): 3, ("probes", "world-A", "object", "none such"): 9}
    return Measured(scores, {}, missed, costs)


def test_means_best_and_differences(experiment):
    (table,) = make_tables(experiment, measured())
    (part,) = table.parts
    backbone, one, two = (line.cells[0] for line in part.lines)
    assert (backbone.value, one.value, two.value) == pytest.approx((0.45, 0.675, 0.75))
    assert (backbone.runs, one.runs, one.wanted, one.freedom) == (2, 4, 4, 1)
    assert [cell.best for cell in (backbone, one, two)] == [False, False, True]
    assert one.deviation == pytest.approx(0.0957, abs=1e-4)
    assert all(0 <= cell.low <= cell.value <= cell.high <= 1 for cell in (backbone, one, two))
    less = {line.label: line.cells[0] for line in part.differences}
    assert less["two_x"].value == pytest.approx(0.075) and less["two_x"].runs == 4
    # The backbone has no seeds: each run of the reference is compared with it.
    assert less["backbone"].value == pytest.approx(-0.225) and less["backbone"].runs == less["backbone"].wanted == 4
    assert part.lines[1].cost == (1200, 12.0)


def test_a_row_of_several_models_takes_the_one_that_was_asked_and_gaps_are_counted(experiment):
    (table,) = make_tables(experiment, measured())
    t2v = table.parts[0].lines[2].cells[1]
    assert (t2v.value, t2v.kind, t2v.low, t2v.high, t2v.runs, t2v.wanted) == (0.3, "sample", 0.2, 0.4, 1, 4)
    assert [line.asked for line in table.parts[0].lines] == [(True, False), (True, False), (True, True)]
    notes = " ".join(table.notes)
    assert "Not complete: 1 cells" in notes and "Not scored: 3 of world-A (antonym): no antonym." in notes
    assert "none such" not in notes  # of a score that the table does not show


def test_a_number_that_no_task_gave_is_no_gap(tmp_path):
    wrong = '{ task = "probes", score = "antonym", data = "world-X", label = "X" },\n]\nreference'
    (tmp_path / "t.toml").write_text(TEXT.replace("]\nreference", wrong))
    (table,) = make_tables(read_experiment(tmp_path / "t.toml"), measured())
    (part,) = table.parts
    assert not any(line.asked[2] for line in (*part.lines, *part.differences))
    notes = " ".join(table.notes)
    assert "Not complete: 1 cells" in notes
    assert "X: no single antonym accuracy of world-X (control none) in what task probes gave" in notes
    assert "its data: world-A" in notes


def test_all_formats_say_the_same(experiment, tmp_path):
    write_tables(tmp_path, experiment, measured(), {}, "t.toml")
    said = {path.suffix: path.read_text() for path in sorted(tmp_path.glob("tables.*"))}
    for number in ("67.5", "75.0", "7.5", "22.5"):
        assert all(number in text for suffix, text in said.items() if suffix != ".csv"), number
    rows = list(csv.DictReader(io.StringIO(said[".csv"])))
    assert len(rows) == 11 and {row["row"] for row in rows} == {"backbone", "one", "two_x"}
    ours = [float(row["value"]) for row in rows if row["model"] == "two"]
    assert sorted(ours) == sorted(VALUES["two"].values())
    costs = {(r["model"], r["backbone"], r["seed"]): (r["trainable"], r["cpu_seconds"]) for r in rows}
    assert costs["one", "a", "1"] == ("1200", "14.0")
    assert costs["one", "b", "0"] == costs["backbone", "a", "0"] == ("", "")


def test_signs_of_each_format_are_written_out(experiment):
    tables = make_tables(experiment, measured())
    text = latex("x", tables)
    assert r"T \textless{}1\textgreater{} \& 50 \%" in text and r"two\_x" in text
    assert text.count("{") == text.count("}") and r"\dots{}" in text
    body = [line for line in text.splitlines() if line.endswith(r" \\") and "&" in line]
    assert {re.sub(r"\\&", "", line).count("&") for line in body} == {4}
    assert r"two\_x" in markdown("x", "", tables)
    lines = [line for line in markdown("x", "", tables).splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {6, 4}
    shown = page("x", "a < b", tables)
    assert "T &lt;1&gt; &amp; 50 %" in shown and "a &lt; b" in shown and "http" not in shown

    found: list[str] = []

    class Cells(HTMLParser):
        def handle_data(self, data: str) -> None:
            found.append(html.unescape(data).strip())

    parser = Cells()
    parser.feed(shown)
    assert "67.5 ± 9.6" in found and "1,200" in found


def test_with_one_run_the_samples_are_paired(tmp_path):
    text = TEXT.replace("seeds = [0, 1]", "seeds = [0]").replace('[backbones.b]\nload = "world"\ngroup = "g"\n', "")
    (tmp_path / "t.toml").write_text(text)
    found = measured()
    found = replace_samples(found, tmp_path)
    (table,) = make_tables(read_experiment(tmp_path / "t.toml"), found)
    two = next(line.cells[0] for line in table.parts[0].differences if line.label == "two_x")
    assert two.kind == "sample" and two.deviation is None and two.low < two.value < two.high
    assert "it says nothing of other runs" in " ".join(table.notes)


def replace_samples(found: Measured, out: Path) -> Measured:
    """The same scores with ten samples behind each."""
    from paxion.experiment.stages import Asked
    from paxion.records import Row

    rows = [
        Row(str(i), str(i), model, "world-A", "antonym", "none", 0, 0.0, 0.0, float(i < right))
        for model, right in (("one", 6), ("two", 7), ("backbone", 5))
        for i in range(10)
    ]
    scores = {key: [replace(score, n=10) for score in of] for key, of in found.scores.items() if key[1:3] == ("a", 0)}
    asked = {key: Asked("stage", key[0]) for key in scores}
    return Measured(scores, {}, {}, {}, asked, out, {"stage": rows})
