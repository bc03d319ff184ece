"""The subcommands about data, from end to end on real files: what they write, say, and with which status they end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.manifest import read_manifest, write_manifest
from paxion.results import read_results

DROID = Path(__file__).parents[2] / "shared" / "corpus" / "droid"


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; gives its status, what it printed and what it complained of."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:
            status = int(error.code or 0)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return status, printed.out, printed.err

    return run


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "clips.csv"
    verbs = ("Open", "Close", "Fold", "Unfold", "Stir")
    rows = [f"v{n}.mp4,{verb} the {noun}" for n, verb in enumerate(verbs) for noun in ("box", "bag", "map")]
    path.write_text("\n".join(["file,text", *rows]) + "\n")
    return path


def test_build_writes_manifest_closed_split_and_record_and_says_what_it_did(call, table):
    status, out, _ = call("build", table, "--out", "bench", "--split", "test", "--tagger", "rules")
    assert status == 0
    assert "15 clips of 5 source videos: 15 test" in out and "antonym: 12 rows (80.0 %)" in out
    assert '3 without an antonym: "stir"' in out and "closed and balanced, by caption: 12 rows, 6 pairs" in out
    record = json.loads(Path("bench/build.json").read_text())
    assert record["counts"]["rows"] == 15 and record["tagger"] == "rules" and record["counts"]["closed"] == {"test": 12}
    assert len(read_manifest("bench/manifest.jsonl")) == 15 and len(read_manifest("bench/closed.jsonl")) == 12


def test_build_explains_a_caption(call):
    status, out, _ = call("build", "--explain", "pushing a cup from left to right", "--tagger", "rules")
    assert status == 0
    assert "pushing a cup from right to left" in out and "pulling a cup from right to left" in out
    status, out, _ = call("build", "--explain", "stirring the soup", "--tagger", "rules")
    assert "antonym   none" in out and "does not contradict the caption" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "got no annotations"),
        (("none.csv",), "none.csv"),
        (("clips.csv", "--format", "epik"), "did you mean 'epic'"),
        (("clips.csv", "--split", "tests"), "did you mean 'test'"),
        (("clips.csv", "--shares", "0.5", "0.2", "0.2"), "add up to 1"),
        (("clips.csv", "--tagger", "spacey"), "did you mean 'spacy'"),
        (("clips.csv", "--columns", "caption", "words"), "words"),
        (("clips.csv", "--columns", "captoin", "text"), "caption"),
        (("clips.csv", "--ids", "map.json"), "--ids"),
        (("clips.csv", "--vocabulary", "none.txt"), "none.txt"),
        (("clips.csv", "--out", "clips.csv/bench"), "clips.csv/bench"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_status_1(call, table, arguments, complaint):
    status, _, err = call("build", *arguments)
    assert status == 1 and complaint in err and err.count("\n") == 1, err


def test_bad_rows_stop_the_build_unless_allowed(call, table):
    table.write_text(table.read_text() + "v9.mp4\n/etc/passwd,Open the gate\n")
    status, _, err = call("build", table)
    assert status == 1 and "got 2 bad rows" in err and f"{table}:17:" in err and "--skip-bad 2" in err
    status, out, _ = call("build", table, "--skip-bad", "2", "--split", "test")
    assert status == 0 and "bad rows left out: 2" in out and f"{table}:17:" in out


def test_audit_tells_a_cue_and_balance_takes_it_away(call, tmp_path):
    rows = []
    for number in range(120):
        cue = number % 3 == 0
        rows.append(
            {
                "id": str(number),
                "video": f"{number}.mp4",
                "caption": f"a man walks to house {number % 7}",
                "split": "test",
            }
            | {"group": str(number), "antonym": f"a man {'crawls' if cue else 'strolls'} to house {number % 7}"}
        )
    Path("m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, out, _ = call("audit", "m.jsonl", "--out", "audit")
    assert status == 0 and "text-only classifier" in out and "audit.html" in out
    results = read_results("audit")
    assert max(score.value for score in results.scores) > 0.95
    page = Path("audit/audit.html").read_text()
    assert "strolls" in page and "http://" not in page and "https://" not in page
    assert json.loads(Path("audit/audit.json").read_text())["grade"] == "problem"


def test_balance_writes_the_closed_pairs(call, table):
    call("build", table, "--out", "bench", "--split", "test")
    status, out, err = call("audit", "bench/manifest.jsonl", "--out", "audit", "--balance", "bench/even.jsonl")
    assert status == 0, err
    even = read_manifest("bench/even.jsonl")
    pairs = sorted((sample.caption, sample.antonym) for sample in even)
    assert pairs == sorted((foil, caption) for caption, foil in pairs) and f"{len(even)} of 12 pairs left" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("clips.csv", "--field", "antonyms"), "did you mean 'antonym'"),
        (("none.jsonl",), "none.jsonl"),
        (("clips.csv", "--validated"), "expected vilma"),
    ],
)
def test_what_an_audit_cannot_use_is_one_line(call, table, arguments, complaint):
    status, _, err = call("audit", *arguments)
    assert status == 1 and complaint in err and err.count("\n") == 1


def test_a_language_model_can_be_one_scorer_more(call, table):
    call("build", table, "--out", "bench", "--split", "test")
    rows = [row for row in read_manifest("bench/manifest.jsonl") if row.antonym] * 4
    write_manifest("many.jsonl", [replace(row, id=str(n), group=str(n)) for n, row in enumerate(rows)])
    liking = {row.caption: 0.0 for row in rows} | {row.antonym: -1.0 for row in rows if row.antonym.startswith("Un")}
    Path("likely.json").write_text(json.dumps({row.antonym: 0.0 for row in rows} | liking))
    status, out, err = call("audit", "many.jsonl", "--plausibility", "likely.json")
    assert status == 0 and "text:plausibility" in out, err
    Path("likely.json").write_text("{}")
    status, _, err = call("audit", "many.jsonl", "--plausibility", "likely.json")
    assert status == 1 and "has no number for" in err


def test_salience_marks_a_manifest(call, tiny_manifest, tiny_backbone, tmp_path):
    weights = tmp_path / "tiny.safetensors"
    save_world(tiny_backbone, weights, {"command": "none: untrained"})
    samples = read_manifest(tiny_manifest)[:12]
    manifest = tmp_path / "m.jsonl"
    for sample in samples:
        link = tmp_path / sample.video
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(tiny_manifest.parent / sample.video)
    write_manifest(manifest, samples)
    arguments = ("salience", manifest, "--out", tmp_path / "marked.jsonl", "--backbone", f"world:{weights}")
    status, out, err = call(*arguments, "--keep", "0.5", "1.0", "--store", tmp_path / "store")
    assert status == 0, err
    marked = read_manifest(tmp_path / "marked.jsonl")
    assert sum(sample.salient is True for sample in marked) == 6 and "6 of 12 clips are salient" in out
    assert all(sample.text_change is not None and sample.state_similarity is not None for sample in marked)
    status, _, err = call(*arguments[:3], tmp_path / "elsewhere" / "m.jsonl", *arguments[4:])
    assert status == 1 and "beside" in err


def test_a_kit_is_made_and_scored(call, tiny_manifest):
    status, out, err = call("human", "make", tiny_manifest, "--out", "kit.html", "-n", "2", "--side", "64")
    assert status == 0, err
    assert "2 antonym" in out and Path("kit.html").is_file()
    status, _, err = call("human", "score", "kit.html", "nobody.json")
    assert status == 1 and "nobody.json" in err
    status, _, err = call("human", "make", tiny_manifest, "--split", "tets")
    assert status == 1 and "did you mean 'test'" in err


@pytest.mark.skipif(not DROID.is_dir(), reason="the robot clips lie in ../shared, which is not there")
def test_the_probes_run_unchanged_on_real_robot_clips(call, tiny_backbone, tmp_path):
    weights = tmp_path / "tiny.safetensors"
    save_world(tiny_backbone, weights, {"command": "none: untrained"})
    lines = (DROID / "index.csv").read_text().splitlines()[:9]
    Path("few.csv").write_text("\n".join(lines) + "\n")
    assert call("build", "few.csv", "--videos", DROID, "--split", "test", "--out", "bench")[0] == 0
    status, _, err = call(
        "probe", "bench/manifest.jsonl", "--backbone", f"world:{weights}", "--tasks", "antonym", "reversal", "object"
    )
    assert status == 0, err
    assert {score.task for score in read_results("runs/probe").scores} == {"antonym", "reversal", "object"}
