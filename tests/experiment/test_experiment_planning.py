"""From files to stages: what is run, in which order, and what depends on what."""

from __future__ import annotations

from pathlib import Path

import pytest

from paxion.experiment.digests import digests, hashing
from paxion.experiment.planning import plan
from paxion.experiment.reading import read_experiment
from paxion.experiment.stages import Plan

TEXT = """
seeds = [0, 1]
[backbones.a]
load = "world"
group = "world"
[backbones.b]
pretrain = { seed = 1 }
group = "world"
[data.clips]
kind = "world"
[data.other]
kind = "manifest"
path = "other.jsonl"
[data.published]
kind = "formats"
of = "clips"
[data.label]
kind = "file"
of = "published"
path = "ssv2/label.json"
videos = "ssv2/videos"
[models.fuser]
fuse = "patcher"
train = "clips"
[models.patcher]
train = "clips"
recipe = "patcher-vtc"
change = { epochs = 1, joint = false }
[models.only-a]
start = "patcher"
train = "other"
backbones = ["a"]
[models.sum]
of = "fuser"
[tasks.probes]
probe = "other"
models = ["backbone", "fuser", "only-a", "sum"]
[tasks.label]
evaluate = "label"
task = "ssv2-label"
models = ["fuser"]
"""


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.jsonl").write_text("{}\n")
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    return path


def planned(file: Path, *changes: str) -> Plan:
    return plan(read_experiment(file, changes))


def line(made: Plan, name: str) -> str:
    return " ".join(made.stages[name].line(Path("out")))


def test_no_stage_comes_before_what_it_needs(file):
    seen: set[str] = set()
    for name, stage in planned(file).stages.items():
        assert set(stage.needs) <= seen, name
        seen.add(name)


def test_commands_are_those_that_one_would_type(file):
    made = planned(file)
    assert line(made, "models/b/1/fuser") == (
        "fuse out/data/clips/manifest.jsonl --patcher out/models/b/1/patcher --backbone "
        "world:out/backbones/b/backbone.safetensors --store out/features --dtype float16 --seed 1 "
        "--out out/models/b/1/fuser"
    )
    assert "--recipe patcher-vtc --change.epochs 1 --change.joint False" in line(made, "models/a/0/patcher")
    assert line(made, "tasks/a/0/probes/plain").startswith(
        "probe other.jsonl --models backbone fuser=out/models/a/0/fuser only-a=out/models/a/0/only-a --backbone world"
    )
    asked = line(made, "tasks/a/0/probes/sum")
    assert asked.startswith("evaluate other.jsonl --models fuser=out/models/a/0/fuser ")
    assert "--methods softmax-sum --tasks antonym reversal object text_to_video" in asked
    assert line(made, "tasks/a/0/label/plain").startswith(
        "evaluate out/data/published/ssv2/label.json --videos out/data/published/ssv2/videos --models fuser="
    )


def test_every_command_is_understood_by_the_command_line(file):
    import tyro

    from paxion.cli import Command

    for name, stage in planned(file).stages.items():
        words = stage.line(Path("out"))
        try:
            tyro.cli(Command, args=words, config=(tyro.conf.OmitSubcommandPrefixes,))
        except SystemExit:
            pytest.fail(f"{name}: {words}")


def test_the_backbone_is_asked_once_and_models_where_they_are(file):
    made = planned(file)
    assert {key[1:3] for key in made.asked if key[0] == "backbone"} == {("a", 0), ("b", 0)}
    assert {key[1:3] for key in made.asked if key[0] == "only-a"} == {("a", 0), ("a", 1)}
    assert made.asked["sum", "b", 1, "probes"].called == "fuser [softmax-sum]"
    assert "models/b/0/only-a" not in made.stages


def test_a_change_reaches_what_depends_on_it_and_nothing_else(file, tmp_path):
    def found(*changes: str) -> dict[str, str]:
        with hashing(tmp_path / "out") as hash_of:
            return digests(planned(file, *changes), hash_of)

    def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
        assert before.keys() == after.keys()
        return {name for name in before if before[name] != after[name]}

    before = found()
    assert found() == before
    assert found("data.clips.train=9") != before
    # A fuser: itself, and where it or its ensemble is asked; not the patcher below it.
    assert changed(before, found("models.fuser.recipe=side-tuning")) == {
        f"{home}/{backbone}/{seed}/{end}"
        for backbone in "ab"
        for seed in (0, 1)
        for home, end in (
            ("models", "fuser"),
            ("tasks", "probes/plain"),
            ("tasks", "probes/sum"),
            ("tasks", "label/plain"),
        )
    }
    # One backbone: nothing of the other.
    assert {name for name in changed(before, found("backbones.b.pretrain.seed=2")) if "/a/" in name} == set()
    # A file from outside: by what is in it. Its time alone changes nothing.
    (tmp_path / "other.jsonl").touch()
    assert found() == before
    (tmp_path / "other.jsonl").write_text("{ }\n")
    touched = changed(before, found())
    assert "models/a/0/only-a" in touched and "tasks/a/0/probes/sum" in touched
    assert not any(name.endswith(("/fuser", "/patcher", "label/plain")) or name.startswith("data/") for name in touched)
    # How many processes decode is no part of the result.
    (tmp_path / "other.jsonl").write_text("{}\n")
    assert found("models.patcher.workers=2", "tasks.label.workers=1") == before


def test_methods_that_share_a_stage_are_not_taken_for_another_model(file):
    file.write_text(
        TEXT.replace('"only-a", "sum"]', '"only-a", "sum", "b", "sum-b"]')
        + '[models.b]\nof = "patcher"\n[models.sum-b]\nof = "patcher"\nmethod = "two-step"\n'
    )
    made = planned(file)
    stages = {name: made.asked[name, "a", 0, "probes"].stage for name in ("sum", "b", "sum-b")}
    assert stages["sum"] == stages["b"] != stages["sum-b"]
    assert "--methods two-step" in line(made, stages["sum-b"]) and "--methods softmax-sum" in line(made, stages["b"])


def test_a_dry_run_leaves_nothing_in_a_folder(file, tmp_path):
    out = tmp_path / "empty"
    out.mkdir()
    with hashing(out) as hash_of:
        digests(planned(file), hash_of)
    assert list(out.iterdir()) == []
