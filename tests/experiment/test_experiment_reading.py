"""Files of experiments: what is wrong is said before anything runs, a line each, and names its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from paxion.cli import main
from paxion.experiment.checking import find_problems
from paxion.experiment.reading import SHIPPED, find_experiment, read_experiment
from paxion.records import PaxionError

GOOD = """
seeds = [0, 1]
[backbones.world]
load = "world"
[data.clips]
kind = "world"
train = 21
[models.patcher]
train = "clips"
recipe = "patcher-vtc"
change = { epochs = 1, batch = 16 }
[models.fuser]
fuse = "patcher"
train = "clips"
[models.ensemble]
of = "patcher"
method = "score-sum"
weight = 0.5
[tasks.probes]
probe = "clips"
models = ["backbone", "patcher", "fuser", "ensemble"]
[[tables]]
title = "All"
task = "probes"
data = "world-A"
rows = ["backbone", "patcher", { label = "KF", models = ["fuser"] }]
columns = [{ score = "antonym" }, { score = "text_to_video", label = "t2v" }]
reference = "patcher"
"""


def problems(tmp_path: Path, text: str, *changes: str) -> str:
    """Everything that is complained of."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    try:
        return "\n".join(find_problems(read_experiment(path, changes)))
    except PaxionError as error:
        return str(error)


def test_a_good_file_has_no_problems(tmp_path):
    assert problems(tmp_path, GOOD) == ""
    (tmp_path / "mine.toml").write_text(GOOD)
    read = read_experiment(tmp_path / "mine.toml")
    assert (read.name, read.seeds, read.tables[0].columns[1].metric) == ("mine", (0, 1), "R@1")
    assert read.tables[0].columns[0].metric == "accuracy" and read.tables[0].rows[2].models == ("fuser",)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seeds = [0, 1]", "seed = [0, 1]", "seed: unknown key (did you mean 'seeds'?)"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "seeds: got [0, 0], expected one or more, each once"),
        ("seeds = [0, 1]", "seeds = [-1]", "seeds: got [-1], expected a list of whole numbers from 0"),
        ("seeds = [0, 1]", 'name = "a/b"', 'name: got "a/b", expected letters'),
        ("train = 21", "trian = 21", "data.clips.trian: unknown key (did you mean 'train'?)"),
        ("train = 21", 'train = "21"', 'data.clips.train: got "21", expected a whole number'),
        ("train = 21", "train = true", "data.clips.train: got true, expected a whole number"),
        ("train = 21", 'out = "elsewhere"', "data.clips.out: unknown key"),
        ('kind = "world"', 'kind = "wrold"', "data.clips.kind: unknown kind (did you mean 'world'?)"),
        ('kind = "world"\n', "", "data.clips.kind: missing; expected text"),
        ("epochs = 1,", "epoch = 1,", "models.patcher.change.epoch: unknown key (did you mean 'epochs'?)"),
        ("epochs = 1,", "epochs = 1.5,", "models.patcher.change.epochs: got 1.5, expected a whole number"),
        ("{ epochs = 1, batch = 16 }", "3", "models.patcher.change: got 3, expected a table"),
        ('fuse = "patcher"', 'fuse = "patch"', "models.fuser: there is no model 'patch' (did you mean 'patcher'?)"),
        ('fuse = "patcher"', 'fuse = "ensemble"', "models.fuser: ensemble is a method"),
        ('fuse = "patcher"', 'fuse = "patcher"\nstart = "patcher"', "models.fuser: expected one of start, fuse and of"),
        ('fuse = "patcher"', 'fuse = "fuser"', "models: fuser needs fuser: a circle"),
        ('train = "clips"\nrecipe', 'train = "clip"\nrecipe', "models.patcher.train: there is no data 'clip'"),
        ('"score-sum"', '"softmax-sum"', 'models.ensemble.weight: only with method = "score-sum"'),
        ("weight = 0.5", 'weight = "best"', 'models.ensemble.weight: got "best", expected "val" or a number from 0'),
        ('"backbone", "patcher", "fuser"', '"backbone", "pacher"', "tasks.probes.models: there is no model 'pacher'"),
        ('probe = "clips"', 'probe = "clip"', "tasks.probes.probe: there is no data 'clip' (did you mean 'clips'?)"),
        ('probe = "clips"', 'probe = "clips"\ncontrol = ["first"]', "control: unknown key (did you mean 'controls'?)"),
        ('task = "probes"', 'task = "probe"', "tables.1.columns: there is no task 'probe'"),
        ('reference = "patcher"', 'reference = "fuser"', "tables.1.reference: there is no row 'fuser'"),
        ('models = ["fuser"] }', 'models = ["fuser", "patcher"] }', "has fuser and patcher, and task probes asks both"),
        ('load = "world"', 'laod = "world"', "backbones.world.laod: unknown key (did you mean 'load'?)"),
        ('load = "world"', 'load = "world:gone.pt"', "there is no file or folder gone.pt"),
        ('load = "world"', "", "backbones.world: expected either load or pretrain"),
        ("[models.patcher]", "[models.backbone]", "models.backbone: expected a name of letters"),
        ("[models.patcher]", "[models.patcher", "is no TOML"),
        ("[models.ensemble]", "[models.plain]", "models.plain: expected a name of letters"),
        ('"patcher", "fuser", "ensemble"]', '"patcher", "patcher"]', "tasks.probes.models: patcher is there twice"),
        ('score = "antonym"', 'score = "antonmy"', "there is no score 'antonmy' (did you mean 'antonym'?)"),
        ('score = "antonym"', 'score = "antonym", control = "first"', "task probes is asked under none, and not first"),
        ('probe = "clips"', 'probe = "clips"\ntasks = ["antonym"]', "task probes asks no text_to_video; add it to"),
        (
            'columns = [{ score = "antonym" }, { score = "text_to_video", label = "t2v" }]',
            "columns = []",
            "there is none",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_key(tmp_path, old, new, says):
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new))
    assert says in found, found


def test_several_problems_are_told_together(tmp_path):
    text = GOOD.replace("train = 21", "trian = 21").replace("epochs = 1,", "epoch = 1,").replace('"antonym"', "3")
    assert len(problems(tmp_path, text).splitlines()) == 3


def test_a_weight_is_not_chosen_on_videos_of_another_folder(tmp_path):
    files = "".join(f'[data.{name}]\nkind = "file"\nof = "f-{name}"\npath = "a.csv"\nvideos = "v"\n' for name in "ab")
    files += "".join(f'[data.f-{name}]\nkind = "formats"\nof = "clips"\n' for name in "ab")
    files += '[tasks.asked]\nevaluate = "a"\nval = "b"\nmodels = ["ensemble"]\n'
    text = GOOD.replace("weight = 0.5", 'weight = "val"') + files
    assert "tasks.asked.val: the videos of b are elsewhere than those of a" in problems(tmp_path, text)
    assert problems(tmp_path, text.replace('videos = "v"\n', "")) == ""
    assert "tasks.asked.val: missing" in problems(tmp_path, text.replace('val = "b"\n', ""))


def test_circles_of_several_are_found(tmp_path):
    text = GOOD.replace('recipe = "patcher-vtc"', 'start = "fuser"')
    assert "a circle" in problems(tmp_path, text)
    more = '[data.a]\nkind = "salience"\nof = "b"\n[data.b]\nkind = "salience"\nof = "a"\n'
    assert "data: a needs b needs a: a circle" in problems(tmp_path, GOOD + more)


def test_values_can_be_given_on_the_command_line(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    read = read_experiment(path, ["data.clips.train=42", "seeds=[3]", "models.patcher.recipe=patcher-dvdm"])
    assert read.data["clips"].options["train"] == 42 and read.seeds == (3,)
    assert read.models["patcher"].options["recipe"] == "patcher-dvdm"
    assert "there is no data.clip" in problems(tmp_path, GOOD, "data.clip.train=42")
    assert "expected TABLE.KEY=VALUE" in problems(tmp_path, GOOD, "data.clips.train")
    assert "data.clips.trian: unknown key" in problems(tmp_path, GOOD, "data.clips.trian=42")


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.toml")))
def test_shipped_experiments_lack_nothing_but_paths(name):
    read = read_experiment(find_experiment(name))
    left = [line for line in find_problems(read) if "fill in" not in line]
    assert left == [] and read.name == name and read.tables
    assert bool(read.missing) == (name in ("paper", "metaworld"))


def test_the_published_study_says_what_to_fill_in_and_runs_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", "paper", "--out", "runs"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("paxion: ") and "fill in" in line and "--set " in line for line in lines)
    assert any("data.ssv2.videos: fill in folder of the videos of Something-Something v2" in line for line in lines)
    assert len(lines) == len(read_experiment(find_experiment("paper")).missing) and not (tmp_path / "runs").exists()


def test_what_is_not_there_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", "wrold"]) == 1
    assert "shipped experiments: metaworld, paper, world" in capsys.readouterr().err
    assert main(["experiment", "world", "--show"]) == 0
    (tmp_path / "my.toml").write_text(capsys.readouterr().out)
    assert main(["experiment", "my.toml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    several = ["--set", "data.world.train=7", "--set", "data.world.val=8"]
    assert main(["experiment", "my.toml", "--dry-run", *several]) == 0
    assert "paxion world make --train 7 --val 8 " in capsys.readouterr().out
    assert out.startswith("to do    paxion world make ") and "runs/world/data/world/manifest.jsonl" in out
    assert not (tmp_path / "runs").exists()
