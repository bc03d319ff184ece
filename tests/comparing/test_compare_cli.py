"""`paxion compare` from end to end on real probe runs, its files, and the refusals one by one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from paxion.backbones.world import WorldBackbone, save_world
from paxion.cli import main
from paxion.comparing.reading import read_runs, split_name
from paxion.evaluation.paired import paired_difference
from paxion.records import PaxionError
from paxion.results import read_rows


@pytest.fixture(scope="module")
def runs(tiny_backbone, tiny_manifest, tmp_path_factory) -> Path:
    """A folder with the runs `one` and `two`, of two backbones on the same clips, and `both`."""
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(1)
    other = WorldBackbone(tiny_backbone.config).eval()
    models = []
    for name, backbone in (("one", tiny_backbone), ("two", other)):
        save_world(backbone, folder / f"{name}.safetensors", {"command": "none: untrained"})
        models.append(f"{name}=world:{folder / name}.safetensors")
    for name, asked in (("one", models[:1]), ("two", models[1:]), ("both", models)):
        asks = ["--tasks", "antonym", "object", "--controls", "none", "last", "--store", str(folder / "store")]
        assert main(["probe", str(tiny_manifest), "--models", *asked, "--out", str(folder / name), *asks]) == 0
    return folder


@pytest.fixture
def compare(capsys):
    """Compare; gives status, what was printed on one line, and the complaint."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["compare", *map(str, arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert status == 0 or (printed.err.startswith("paxion: ") and printed.err.count("\n") == 1)
        return status, " ".join(printed.out.split()), printed.err

    return run


def copied(run: Path, folder: Path, **provenance: object) -> Path:
    """A copy of a run whose provenance says otherwise."""
    shutil.copytree(run, folder)
    content = json.loads((folder / "results.json").read_text())
    content["provenance"] |= provenance
    (folder / "results.json").write_text(json.dumps(content))
    return folder


def edited(run: Path, folder: Path, edit) -> Path:
    """A copy of a run whose rows were edited: a function of their lines."""
    copied(run, folder)
    lines = edit((folder / "samples.jsonl").read_text().splitlines())
    (folder / "samples.jsonl").write_text("".join(line + "\n" for line in lines))
    return folder


def test_two_runs_side_by_side(compare, runs, tmp_path):
    status, out, _ = compare(runs / "one", runs / "two", "--by", "verb pair", "--controls", "all", "--out", tmp_path)
    assert status == 0
    assert "world-A: two against one" in out and "antonym by verb pair, worst first" in out
    assert "Holm: p corrected over all 8 lines of this comparison" in out
    found = json.loads((tmp_path / "comparison.json").read_text())
    first, second = ({(r.id, r.data, r.task, r.control): r for r in read_rows(runs / name)} for name in ("one", "two"))
    assert len(found["lines"]) == len({key[1:] for key in first}) == 8
    for line in found["lines"]:
        keys = [key for key in first if key[1:] == (line["data"], line["task"], line["control"])]
        ours, theirs = ([rows[key].credit for key in keys] for rows in (second, first))
        expected = paired_difference(ours, theirs, [first[key].group for key in keys])
        assert line["paired"]["difference"] == pytest.approx(expected.value, abs=1e-12)
        assert (line["paired"]["n"], line["paired"]["groups"]) == (len(keys), expected.groups)
        assert sum(stratum["paired"]["n"] for stratum in line["strata"]) == len(keys)
    assert [run["engine"][:4] for run in found["runs"]] == ["PyAV", "PyAV"]
    assert {run["manifest"] for run in found["runs"]} == {found["runs"][0]["manifest"]} != {None}
    text = (tmp_path / "comparison.md").read_text()
    assert "| world-B | object (last) | two |" in text and "by verb pair, worst first" in text


def test_models_of_one_run_are_the_same_comparison(compare, runs):
    _, apart, _ = compare(runs / "one", runs / "two", "--json")
    _, together, _ = compare(runs / "both", "--json")
    _, named, _ = compare(f"{runs / 'both'}:one", f"{runs / 'both'}:two", "--json")
    assert json.loads(apart)["lines"] == json.loads(together)["lines"] == json.loads(named)["lines"]


def test_a_run_and_itself(compare, runs):
    status, out, _ = compare(runs / "one", runs / "one", "--json")
    found = json.loads(out)
    assert status == 0 and found["models"] == [f"{runs / 'one'}:one #2"]
    assert {(line["paired"]["difference"], line["paired"]["p"]) for line in found["lines"]} == {(0.0, 1.0)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one"], "got one model (one) to compare, expected two or more"),
        (["both:one"], "got one model (one) to compare"),
        (["one", "two:twoo"], "unknown model of {}/two 'twoo' (did you mean 'two'?)"),
        (["one", "three"], "got '{}/three', expected the folder of a run, or RUN:MODEL: there is no such folder"),
        (["one", "store"], "cannot read {}/store/results.json"),
        (["one", "two", "--tasks", "antonims"], "unknown task 'antonims' (did you mean 'antonym'?)"),
        (["one", "two", "--tasks", "reversal"], "unknown task 'reversal'"),
        (["one", "two", "--controls", "blind"], "unknown control 'blind'"),
        (["one", "two", "--by", "verbs"], "unknown stratum 'verbs' (did you mean 'verb'?)"),
        (["one", "two", "--allow", "everything"], "unknown --allow 'everything'"),
        (["one", "two", "--out", "{}/one.safetensors/x"], "cannot write"),
    ],
)  # fmt: skip
def test_bad_arguments(compare, runs, arguments, message):
    given = [each if each.startswith("-") or i > 1 else f"{runs}/{each}" for i, each in enumerate(arguments)]
    status, _, error = compare(*(each.format(runs) for each in given))
    assert status == 1 and message.format(runs) in error


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ("protocol", {"protocol": "paper"}),
        ("manifest", {"manifest": {"path": "m.jsonl", "hash": "other", "split": "test"}}),
        ("split", None),
        ("sampler", {"sampler": "endpoints"}),
        ("engine", {"engine": "PyAV 1.0"}),
    ],
)
def test_runs_that_were_asked_something_else(compare, runs, tmp_path, fact, said):
    manifest = json.loads((runs / "two" / "results.json").read_text())["provenance"]["manifest"]
    said = said or {"manifest": manifest | {"split": "val"}}
    other = copied(runs / "two", tmp_path / "two", **said)
    status, _, error = compare(runs / "one", other)
    value = said["manifest"]["hash" if fact == "manifest" else "split"] if "manifest" in said else said[fact]
    assert status == 1 and f"differ in {fact}: " in error and f" and {value};" in error and f"--allow {fact}" in error
    status, out, _ = compare(runs / "one", other, "--allow", fact, "--out", tmp_path / "out")
    assert status == 0 and f"allowed to differ: {fact} is " in out
    (allowed,) = json.loads((tmp_path / "out" / "comparison.json").read_text())["allowed"]
    assert (allowed["fact"], allowed["value"]) == (fact, value)
    assert f"Allowed to differ in {fact}" in (tmp_path / "out" / "comparison.md").read_text()


def test_bad_rows(compare, runs, tmp_path):
    nan = edited(runs / "two", tmp_path / "nan", lambda rows: [rows[0].replace('"right": ', '"right": NaN, "x": ')])
    status, _, error = compare(runs / "one", nan)
    assert status == 1 and "samples.jsonl" in error
    twice = edited(runs / "two", tmp_path / "twice", lambda rows: [*rows, rows[0], rows[0]])
    status, _, error = compare(runs / "one", twice)
    assert status == 1 and "2 rows (" in error and "twice under one data set, task, control and seed" in error
    strange = edited(runs / "two", tmp_path / "strange", lambda rows: [r.replace('"id": "', '"id": "x') for r in rows])
    status, _, error = compare(runs / "one", strange)
    assert status == 1 and "the runs have no samples in common" in error
    empty = edited(runs / "two", tmp_path / "empty", lambda rows: [])
    status, _, error = compare(runs / "one", empty)
    assert status == 1 and "has no rows of any model" in error
    few = edited(runs / "two", tmp_path / "few", lambda rows: rows[3:])
    status, out, _ = compare(runs / "one", few, "--json")
    assert status == 0 and "only one has 3 samples (" in out


def test_runs_without_facts_are_not_broken_down(compare, runs, tmp_path):
    one, two = (copied(runs / name, tmp_path / name) for name in ("one", "two"))
    for folder in (one, two):
        (folder / "strata.jsonl").unlink()
    assert compare(one, two)[0] == 0
    status, _, error = compare(one, two, "--by", "verb")
    assert status == 1 and "samples has a verb" in error and "score a manifest that has such facts" in error
    (two / "strata.jsonl").write_text('{"id": "a"}\n')
    status, _, error = compare(one, two)
    assert status == 1 and "strata.jsonl:1: expected" in error


def test_seeds_of_a_model_are_one_model(compare, runs, tmp_path):
    again, plus = (copied(runs / "two", tmp_path / name) for name in ("again", "a+b"))
    once, twice = (json.loads(compare(runs / "one", name, "--json")[1]) for name in (plus, f"{runs}/two+{again}:two"))
    assert twice["models"] == ["two x2"] and twice["lines"][0]["seeds"] == [1, 2]
    assert [line["paired"] for line in once["lines"]] == [line["paired"] for line in twice["lines"]]
    _, out, _ = compare(runs / "one", f"{runs}/one+{runs}/two", "--json")
    for line, halved in zip(once["lines"], json.loads(out)["lines"], strict=True):
        assert halved["paired"]["difference"] == pytest.approx(line["paired"]["difference"] / 2)
    status, _, error = compare(runs / "one", f"{runs}/two+{runs}/both")
    assert status == 1 and f"{runs}/both has several models, expected one in {runs}/two+" in error
    status, _, error = compare(runs / "one", f"{again}+{runs}/three")
    assert status == 1 and "there is no such folder" in error
    other = copied(runs / "two", tmp_path / "other", sampler="endpoints")
    status, _, error = compare(runs / "one", f"{again}+{other}")
    assert status == 1 and "differ in sampler: midpoint and endpoints" in error


def test_names_with_colons(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "a:b", "c:d"):
        Path(folder).mkdir()
    assert split_name("a") == (Path("a"), None)
    assert split_name("a:b") == (Path("a:b"), None)
    assert split_name("a/:b") == (Path("a"), "b")
    assert split_name("a:b:text:best") == (Path("a:b"), "text:best")
    assert split_name("c:d:dummy:random") == (Path("c:d"), "dummy:random")
    assert split_name("a:dummy:random") == (Path("a"), "dummy:random")
    for bad in ("c:", "c", ":b", "z:b"):
        with pytest.raises(PaxionError, match="there is no such folder"):
            split_name(bad)
    assert [run.model for run in read_runs([f"{runs}/both:two", f"{runs}/both"])] == ["two", "one", "two"]


def test_predictions_of_two_models_for_the_same_questions(compare, tmp_path):
    """Two runs of rescore from files of their own; another right answer is another question."""
    answers = ["yes", "no"] * 10
    said = {"one": ["yes"] * 20, "two": answers, "moved": answers, "fewer": answers}
    for name, predictions in said.items():
        gold = ["no", *answers[1:]] if name == "moved" else answers
        rows = [f"q{i},{right},{text},v{i // 4},{('fall', 'open')[i % 2]}"
                for i, (right, text) in enumerate(zip(gold, predictions, strict=True))]  # fmt: skip
        rows = rows[1:] if name == "fewer" else rows
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,answer,prediction,group,verb", *rows]) + "\n")
        assert main(["rescore", str(tmp_path / f"{name}.csv"), "--out", str(tmp_path / name)]) == 0
    status, out, _ = compare(tmp_path / "one", tmp_path / "two", "--by", "verb", "--json")
    (line,) = json.loads(out)["lines"]
    assert status == 0 and (line["paired"]["baseline"], line["paired"]["model"], line["paired"]["groups"]) == (
        0.5,
        1,
        5,
    )
    assert [(each["name"], each["paired"]["difference"]) for each in line["strata"]] == [("fall", 0.0), ("open", 1.0)]
    for other in ("moved", "fewer"):
        status, _, error = compare(tmp_path / "one", tmp_path / other)
        assert status == 1 and "differ in manifest" in error and error.rstrip().endswith("--allow manifest")
    status, out, _ = compare(tmp_path / "one", tmp_path / "fewer", "--allow", "manifest")
    assert status == 0 and "only one has 1 sample (q0): in no number" in out
