"""Experiments that run: what is done stays done, what is killed goes on, what fails stops only what needs it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.experiment.digests import DONE, LOCK, begin, digests, finish, hashing
from paxion.experiment.planning import plan
from paxion.experiment.reading import read_experiment
from paxion.experiment.running import RUNNING, experiment_lock, run
from paxion.experiment.stages import Stage
from paxion.features.locks import locked
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.results import read_results

TEXT = """
[backbones.tiny]
load = "world:{folder}/tiny.safetensors"
[data.clips]
kind = "manifest"
path = "{folder}/clips.jsonl"
[models.patcher]
train = "clips"
recipe = "patcher-vtc"
save_every = 0.0
change = {{ epochs = 3, batch = 8 }}
[models.continued]
start = "patcher"
train = "clips"
recipe = "patcher-vtc"
change = {{ epochs = 1, batch = 8 }}
[tasks.probes]
probe = "clips"
tasks = ["antonym", "reversal", "object", "text_to_video"]
models = ["backbone", "patcher", "continued"]
[[tables]]
title = "All"
task = "probes"
data = "world-A"
rows = ["backbone", "patcher", "continued"]
columns = [{{ score = "antonym" }}, {{ score = "reversal" }}, {{ score = "text_to_video", metric = "R@5" }}]
reference = "patcher"
"""
STAGES = 4


@pytest.fixture(scope="module")
def file(tiny_manifest, tiny_backbone, tmp_path_factory) -> Path:
    """An experiment on a few clips with a tiny backbone."""
    folder = tmp_path_factory.mktemp("given")
    save_world(tiny_backbone, folder / "tiny.safetensors", {})
    samples = [replace(s, video=str(video_path(tiny_manifest, s))) for s in read_manifest(tiny_manifest)]
    wanted = [s for s in samples if s.split == "train"][:16] + [s for s in samples if s.source == "world-A"][-24:]
    write_manifest(folder / "clips.jsonl", list({s.id: s for s in wanted}.values()))
    (folder / "mine.toml").write_text(TEXT.format(folder=folder))
    return folder / "mine.toml"


@pytest.fixture(scope="module")
def finished(file, tmp_path_factory) -> Path:
    """It, its commands typed by hand. In this process: starting one costs more than all that it does here."""
    out = tmp_path_factory.mktemp("finished") / "out"
    made = plan(read_experiment(file))
    with experiment_lock(out), hashing(out) as hash_of:
        for name, digest in digests(made, hash_of).items():
            begin(out, made.stages[name], digest)
            assert main(made.stages[name].line(out)) == 0
            finish(out, made.stages[name], digest, 0.0)
    assert main(["experiment", str(file), "--out", str(out)]) == 0
    return out


def numbers(out: Path) -> list[tuple[object, ...]]:
    """Every score of an experiment."""
    scores = json.loads((out / "results.json").read_text())["scores"]
    return [tuple(score.values()) for score in scores]


def times(out: Path) -> dict[str, int]:
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "paxion", "experiment", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_writes_its_tables_and_every_score(finished):
    text = (finished / "tables.md").read_text()
    assert "| backbone | " in text and "less patcher" in text and "…" not in text
    assert (finished / "tables.tex").read_text().count(r"\begin{tabular}") == 1
    assert (finished / "tables.html").read_text().count("<table>") == 1
    lines = (finished / "tables.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * 3
    ours = read_results(finished / "tasks/tiny/0/probes/plain").scores
    assert [n[5] for n in numbers(finished)] == [score.value for score in ours if score.model != "chance"]


def test_a_second_run_does_nothing_and_says_so(file, finished):
    before = times(finished)
    code = "import sys; from paxion.cli import main; main(sys.argv[1:]); print('heavy:', 'torch' in sys.modules)"
    words = [sys.executable, "-c", code, "experiment", str(file), "--out", str(finished)]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "heavy: False" in out  # what it looks at takes no time
    assert f"all {STAGES} stages are done: nothing to do" in out and "tables.md" in out
    assert {name: when for name, when in times(finished).items() if before.get(name) != when} == {}


def test_tables_that_are_gone_or_asked_otherwise_are_written_again(file, finished, tmp_path, capsys):
    (finished / "tables.html").unlink()
    assert main(["experiment", str(file), "--out", str(finished), "--tables-only"]) == 0
    assert (finished / "tables.html").exists()
    changed = tmp_path / "mine.toml"
    changed.write_text(file.read_text().replace('"All"', '"Some & all"'))
    assert main(["experiment", str(changed), "--out", str(finished)]) == 0
    assert r"\caption{Some \& all." in (finished / "tables.tex").read_text()
    assert "<h2>Some &amp; all</h2>" in (finished / "tables.html").read_text()
    changed.write_text(file.read_text().replace("[backbones.tiny]", '[backbones.tiny]\ngroup = "small"'))
    assert main(["experiment", str(changed), "--out", str(finished)]) == 0
    assert "All,small," in (finished / "tables.csv").read_text()
    assert main(["experiment", str(file), "--out", str(finished)]) == 0
    assert "to do, " not in capsys.readouterr().out


def test_what_is_stopped_at_any_moment_goes_on_and_ends_the_same(file, finished, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in this process, which has made what it is compared with
    draw = random.Random(6)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        running = start(file, "--out", tmp_path / "out", "--jobs", 1)
        try:
            running.wait(draw.uniform(1.5, 8))
        except subprocess.TimeoutExpired:
            running.send_signal(number)
        out, err = running.communicate(timeout=90)
        if "stopped: " in out:
            assert running.returncode == 1 and err.endswith("interrupted; the same command goes on where it stopped\n")
    assert main(["experiment", str(file), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 0
    assert numbers(tmp_path / "out") == numbers(finished)
    assert (tmp_path / "out/tables.md").read_text() == (finished / "tables.md").read_text()


def test_partial_tables_say_that_they_are(file, tmp_path, capsys):
    assert main(["experiment", str(file), "--out", str(tmp_path / "out"), "--tables-only"]) == 0
    assert f"(of 0 of {STAGES} stages)" in capsys.readouterr().out
    text = (tmp_path / "out/tables.md").read_text()
    assert "| patcher | … | … | … |" in text and "Not complete: 9 cells" in text


def test_a_folder_of_something_else_is_left_alone(file, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mine.txt").write_text("mine")
    assert main(["experiment", str(file), "--out", str(tmp_path)]) == 1
    assert "has files that are no experiment's" in capsys.readouterr().err
    assert (tmp_path / "data/mine.txt").read_text() == "mine"


def test_two_experiments_do_not_share_a_folder(file, tmp_path, capsys):
    held = locked(tmp_path / LOCK)
    try:
        assert main(["experiment", str(file), "--out", str(tmp_path)]) == 1
    finally:
        os.close(held)
    err = capsys.readouterr().err
    assert "another experiment is running in" in err and err.count("\n") == 1


# What follows runs commands that do nearly nothing: a file is shown, or there is no such file.

SHOW, FAIL = ("experiment", "world", "--show"), ("experiment", "nothing-of-this-name")


def staged(tmp_path: Path, *stages: Stage, jobs: int = 2):
    tmp_path.joinpath(RUNNING).mkdir(exist_ok=True)
    told: list[str] = []
    return run(stages, {stage.name: f"d-{stage.name}" for stage in stages}, tmp_path, jobs, told.append), told


def test_what_fails_stops_what_needs_it_and_nothing_else(tmp_path):
    stages = (
        Stage("a", FAIL), Stage("b", SHOW, needs=("a",)), Stage("c", SHOW, needs=("b",)), Stage("d", SHOW),
        Stage("e", SHOW, needs=("d",)),
    )  # fmt: skip
    outcome, told = staged(tmp_path, *stages)
    assert outcome.done == ["d", "e"] and outcome.skipped == ["b", "c"] and outcome.left == []
    assert list(outcome.failed) == ["a"] and outcome.failed["a"].startswith("nothing-of-this-name is no file; give")
    assert any(line.endswith(f"(log: {tmp_path / 'a/stage.log'})") for line in told)
    assert not (tmp_path / "a" / DONE).exists() and (tmp_path / "e" / DONE).exists()


def test_what_was_done_with_other_options_is_done_in_an_empty_folder(tmp_path):
    staged(tmp_path, Stage("a", SHOW))
    (tmp_path / "a/left.txt").write_text("of the first run")
    run([Stage("a", SHOW)], {"a": "another"}, tmp_path, 1, print)
    assert not (tmp_path / "a/left.txt").exists()
    assert json.loads((tmp_path / "a" / DONE).read_text())["digest"] == "another"


def test_what_was_begun_goes_on_in_its_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/begun.json").write_text(json.dumps({"digest": "d-a"}))
    (tmp_path / "a/last.pt").write_text("half")
    staged(tmp_path, Stage("a", SHOW))
    assert (tmp_path / "a/last.pt").read_text() == "half" and (tmp_path / "a" / DONE).exists()


def test_what_a_killed_experiment_left_running_is_stopped_first(tmp_path):
    (tmp_path / RUNNING).mkdir()
    lock = locked(tmp_path / RUNNING / "a")
    orphan = subprocess.Popen(["sleep", "100"], start_new_session=True, pass_fds=(lock,))
    (tmp_path / RUNNING / "a").write_text(str(orphan.pid))
    os.close(lock)
    outcome, told = staged(tmp_path, Stage("a", SHOW))
    assert outcome.done == ["a"] and orphan.wait(10) == -signal.SIGTERM
    assert any("a process of a killed run still works there" in line for line in told)


def test_stages_of_similar_names_are_not_taken_for_one_another(tmp_path):
    stages = Stage("a/b-c", SHOW), Stage("a-b/c", SHOW)
    outcome, told = staged(tmp_path, *stages)
    assert sorted(outcome.done) == ["a-b/c", "a/b-c"] and not any("killed run" in line for line in told)
