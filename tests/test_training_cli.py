"""patch and fuse from the command line: fields can be changed, runs are described, several processes work together."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import get_type_hints

import pytest
import torch

from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.spent import total
from paxion.training_cli import Change


@pytest.fixture(scope="module")
def given(tiny_backbone, tiny_manifest, tmp_path_factory) -> list[str]:
    """A manifest with 32 training clips and 20 to validate on, and what every call names."""
    folder = tmp_path_factory.mktemp("given")
    save_world(tiny_backbone, folder / "tiny.safetensors", {})
    samples = [replace(s, video=str(video_path(tiny_manifest, s))) for s in read_manifest(tiny_manifest)[:52]]
    splits = ["train"] * 32 + ["val"] * 20
    write_manifest(
        folder / "m.jsonl",
        [replace(s, split=split, group=f"{split}{s.group}") for s, split in zip(samples, splits, strict=True)],
    )
    return [str(folder / "m.jsonl"), "--backbone", f"world:{folder / 'tiny.safetensors'}", "--store", str(folder / "f")]


QUICK = ["--change.epochs", "1", "--change.batch", "16"]


def call(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def docstrings(path: str, name: str) -> dict[str, str]:
    """What is said below each field of a dataclass."""
    (found,) = [n for n in ast.parse(Path(path).read_text()).body if isinstance(n, ast.ClassDef) and n.name == name]
    said = {}
    for field, after in zip(found.body, [*found.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr):
            said[field.target.id] = after.value.value
    return said


def test_every_field_of_a_recipe_can_be_changed():
    assert [field.name for field in fields(Change)] == [field.name for field in fields(Recipe)]
    recipe, change = get_type_hints(Recipe), get_type_hints(Change)
    for name, kind in recipe.items():
        assert change[name] == (kind | None), name
    assert all(value is None for value in asdict(Change()).values())


def test_every_field_of_a_recipe_is_documented():
    import paxion.patching.recipe
    import paxion.training_cli

    for module, name in ((paxion.patching.recipe, "Recipe"), (paxion.training_cli, "Change")):
        assert docstrings(module.__file__, name).keys() == {field.name for field in fields(Recipe)}


def test_the_command_line_loads_nothing_heavy():
    heavy = ("torch", "accelerate", "transformers", "rich.progress")
    code = f"import sys, paxion.cli; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_run_is_described_beside_it_and_in_its_card(given, tmp_path):
    out = tmp_path / "run"
    assert call("patch", *given, "--out", out, *QUICK, "--change.latents", 4, "--seed", 3) == 0
    config, card = json.loads((out / "config.json").read_text()), json.loads((out / "adapter.json").read_text())
    recipe = asdict(replace(RECIPES["patcher"], epochs=1, batch=16, latents=4))
    assert config["recipe"] == card["recipe"] == recipe
    assert (config["seed"], config["processes"], config["device"], config["name"]) == (3, 1, "cpu", "patcher")
    assert config["backbone"]["name"] == "world" and len(config["backbone"]["revision"]) == 12
    for name in ("data", "features", "manifest", "torch", "paxion", "python", "accelerate", "command"):
        assert config[name] == card["provenance"][name] and config[name], name
    assert (card["provenance"]["clips"], card["provenance"]["missed"]) == (32, 0)


def test_validations_are_logged_and_the_best_is_kept(given, tmp_path, capsys):
    out, changes = tmp_path / "run", ["--change.epochs", 3, "--change.batch", 16, "--change.validate", 1]
    assert call("patch", *given, "--out", out, *changes, "--change.keep", "best") == 0
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert all({"val_loss", "val_antonym", "val_reversal"} <= line.keys() for line in lines)
    assert (out / "best.pt").exists()
    best = max(range(3), key=lambda epoch: (lines[epoch]["val_antonym"] + lines[epoch]["val_reversal"], -epoch))
    kept = torch.load(out / "best.pt", weights_only=True)
    assert kept["step"] == 2 * (best + 1)


def test_on_the_fly_gives_what_a_store_gives_and_says_what_it_costs(given, tmp_path, capsys):
    for out, extra in ((tmp_path / "store", ["--dtype", "float32"]), (tmp_path / "live", ["--on-the-fly"])):
        assert call("patch", *given, "--out", out, *QUICK, *extra) == 0
    said = capsys.readouterr().out
    assert "encodes 32 clips" in said and "a store would take" in said and "paxion features" in said
    stored, live = (json.loads((tmp_path / name / "log.jsonl").read_text()) for name in ("store", "live"))
    for name in ("vtc+vac", "atm", "antonym_pair", "template"):
        assert live[name] == pytest.approx(stored[name], abs=1e-4)


def test_an_adapter_is_probed_on_the_frames_that_it_was_trained_on(given, tmp_path, capsys):
    for name in ("paper-vtc", "patcher-vtc"):
        assert call("patch", *given, "--out", tmp_path / name, "--recipe", name, *QUICK) == 0
    probe = ["probe", *given, "--split", "val", "--tasks", "antonym", "--out", tmp_path / "probe"]
    for models, sampler in (("paper-vtc", "paper"), ("patcher-vtc", "midpoint")):
        assert call(*probe, "--models", "backbone", tmp_path / models) == 0
        assert json.loads((tmp_path / "probe/results.json").read_text())["provenance"]["sampler"] == sampler
    both = [tmp_path / "paper-vtc", tmp_path / "patcher-vtc"]
    assert call(*probe, "--models", *both) == 1
    assert "samplers midpoint and paper; choose one with --sampler" in capsys.readouterr().err
    assert call(*probe, "--models", *both, "--sampler", "endpoints") == 0
    assert call(*probe, "--models", *both, "--sampler", "endpoint") == 1


def test_what_starts_from_an_adapter_goes_on_with_its_frames(given, tmp_path):
    assert call("patch", *given, "--out", tmp_path / "paper", "--recipe", "paper-vtc", *QUICK) == 0
    more = ["--start", tmp_path / "paper", "--recipe", "patcher-vtc"]
    for name, extra, sampler in (("same", [], "paper"), ("other", ["--change.sampler", "midpoint"], "midpoint")):
        assert call("patch", *given, "--out", tmp_path / name, *more, *extra, *QUICK) == 0
        assert json.loads((tmp_path / name / "config.json").read_text())["recipe"]["sampler"] == sampler


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["patch", "--change.batch", 63, "--change.accumulate", 2],
            "got batch 63 for 2 parts, expected a multiple of 2",
        ),
        (["patch", "--change.fuser", "xattn"], "got fuser xattn for paxion patch, expected none"),
        (["patch", "--change.keep", "best"], "got keep best without validations, expected validate 1 or more"),
        (["patch", "--change.patience", 2], "got patience 2 without validations"),
        (["patch", "--change.sampler", "midpont"], "unknown sampler 'midpont' (did you mean 'midpoint'?)"),
        (["patch", "--change.temporal-dropout", 1], "got temporal_dropout 1.0, expected 0 or more, below 1"),
        (["patch", "--change.rate", "nan"], "got rate nan, expected 0 or more"),
        (["patch", "--track", "tensorbord"], "unknown tracker 'tensorbord' (did you mean 'tensorboard'?)"),
        (["patch", "--dtype", "float8"], "float8"),
        (["patch", "--save-every", "-1"], "got save_every -1.0, expected 0 or more"),
        (["patch", "--recipe", "paper-ft"], "recipe paper-ft goes on from a trained patcher, got none; give it with"),
        (["patch", "--recipe", "patcher-continued"], "give it with --start FOLDER"),
        (["patch", "--recipe", "paper-fuser"], "recipe paper-fuser trains a fuser: give it to paxion fuse, with"),
        (["fuse", "--patcher", "none", "--recipe", "paper-vtc"], "recipe paper-vtc trains a patcher and no fuser"),
        (["fuse", "--patcher", "none"], "none is no adapter"),
        (["patch", "--recipe", "paper-nextqa"], "unknown recipe 'paper-nextqa' (did you mean 'paper-nextqa-ft'?)"),
        (["patch", "--change.texts", "template"], "got vac with texts 'template'"),
        (["patch", "--change.question-text", "{answer}"], "{choice}"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(given, tmp_path, capsys, arguments, says):
    command, *rest = arguments
    assert call(command, *given, "--out", tmp_path / "run", *QUICK, *rest) == 1
    err = capsys.readouterr().err
    assert says in err and err.startswith("paxion: ") and err.count("\n") == 1, err


def test_two_processes_train_together_from_the_command_line(given, tmp_path):
    """They extract side by side into a new store, one of them talks, and the weights are those of one process."""
    fresh = [*given[:3], "--store", str(tmp_path / "f")]
    assert call("patch", *given, "--out", tmp_path / "one", *QUICK) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "paxion"]
    command += ["patch", *fresh, "--out", str(tmp_path / "two"), *QUICK]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as started:  # fmt: skip
        try:
            out, err = started.communicate(timeout=200)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
    assert started.returncode == 0, err
    assert out.count("the adapter:") == 1
    assert json.loads((tmp_path / "two/config.json").read_text())["processes"] == 2
    one, two = (json.loads((tmp_path / name / "log.jsonl").read_text()) for name in ("one", "two"))
    for name in ("vtc+vac", "atm", "antonym_pair", "template", "temperature"):
        assert two[name] == pytest.approx(one[name], abs=1e-5)


def test_a_run_of_two_processes_is_not_gone_on_with_by_one(given, tmp_path, capsys):
    assert call("patch", *given, "--out", tmp_path, *QUICK) == 0
    stored = torch.load(tmp_path / "last.pt", weights_only=True)
    stored["run"]["processes"] = 2
    torch.save(stored, tmp_path / "last.pt")
    assert call("patch", *given, "--out", tmp_path, *QUICK) == 1
    assert "was written by 2 processes, got 1" in capsys.readouterr().err


@pytest.mark.parametrize("environment", [{"RANK": "0"}, {"WORLD_SIZE": "2", "RANK": "1"}, {"ACCELERATE_USE_CPU": "1"}])
def test_a_wrong_start_of_several_processes_is_explained(given, tmp_path, environment):
    done = subprocess.run(
        [sys.executable, "-m", "paxion", "patch", *given, "--out", str(tmp_path), *QUICK],
        capture_output=True, text=True, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 1 and "torchrun --nproc_per_node 2 -m paxion" in done.stderr
    assert done.stderr.startswith("paxion: got ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["patch", "fuse"])
def test_the_help_names_every_recipe(command):
    done = subprocess.run([sys.executable, "-m", "paxion", command, "--help"], capture_output=True, text=True)
    words = re.findall(r"[a-z0-9-]+", done.stdout)
    assert {name for name, one in RECIPES.items() if (one.fuser is None) == (command == "patch")} <= set(words)


def test_every_recipe_is_in_the_table_of_the_docs():
    table = Path(__file__).parents[1] / "docs/training.md"
    rows = [line for line in table.read_text().splitlines() if line.startswith("|")]
    told = [name for line in rows for name in re.findall(r"`([a-z0-9-]+)`", line.split("|")[1])]
    assert set(RECIPES) <= set(told)


def test_cost_and_origin_go_into_the_card(given, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert call("patch", *given, "--out", first, *QUICK) == 0
    assert call("fuse", *given, "--patcher", first, "--out", second, *QUICK) == 0
    cards = [json.loads((folder / "adapter.json").read_text())["provenance"] for folder in (first, second)]
    for folder, card in zip((first, second), cards, strict=True):
        assert card["cost"] == json.loads((folder / "config.json").read_text())["cost"]
        assert card["cost"]["steps"] == 2 and card["cost"]["cpu_seconds"] > 0
    assert cards[0]["started_from"] is None
    assert cards[1]["started_from"] == {"name": "patcher", "cost": cards[0]["cost"], "started_from": None}
    assert total(cards[1])["steps"] == 4


def test_questions_are_trained_on_from_the_command_line(given, tmp_path, capsys):
    """Of a manifest some of whose rows ask nothing: those are said, and not encoded."""
    samples = read_manifest(Path(given[0]))
    some = [replace(s, question=None, choices=None, answer=None) if n < 5 else s for n, s in enumerate(samples)]
    write_manifest(tmp_path / "some.jsonl", some)
    where = [str(tmp_path / "some.jsonl"), *given[1:3], "--store", tmp_path / "new"]
    extra = ["--change.validate", 1, "--change.question-text", "{choice}"]
    for command, recipe, folder in (
        (["patch"], "paper-nextqa-patcher", "patcher"),
        (["fuse", "--patcher", tmp_path / "patcher"], "fuser-questions", "fuser"),
    ):
        assert call(*command, *where, "--recipe", recipe, "--out", tmp_path / folder, *QUICK, *extra) == 0
        (line,) = [json.loads(line) for line in (tmp_path / folder / "log.jsonl").read_text().splitlines()]
        assert {"val_loss", "val_questions"} <= line.keys() and ("choice" in line or "choice+vac" in line)
    said = capsys.readouterr().out
    assert "5 rows are not trained on: no question" in said and "of 47" in said
    assert json.loads((tmp_path / "fuser/config.json").read_text())["left_out"] == {"no question": 5}
    # Captions of the same rows are trained on as before.
    assert call("patch", *where, "--out", tmp_path / "captions", *QUICK) == 0
    assert json.loads((tmp_path / "captions/config.json").read_text())["clips"] == 32


@pytest.mark.parametrize(
    ("recipe", "says"),
    [("paper-nextqa-patcher", "got 0 of 32 rows with a question, its"), ("paper-ft-template", "rows with a template")],
)
def test_a_manifest_without_what_a_recipe_trains_on_is_one_line(given, tmp_path, capsys, recipe, says):
    samples = read_manifest(Path(given[0]))
    none = [replace(s, question=None, choices=None, answer=None, template=None) for s in samples]
    write_manifest(tmp_path / "none.jsonl", none)
    where = [str(tmp_path / "none.jsonl"), *given[1:3], "--store", tmp_path / "new"]
    assert call("patch", *given, "--out", tmp_path / "start", *QUICK) == 0
    start = ["--start", tmp_path / "start"]
    capsys.readouterr()
    assert call("patch", *where, "--recipe", recipe, "--out", tmp_path / "run", *start) == 1
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1 and not (tmp_path / "new").exists()


def test_a_change_without_an_effect_is_refused(given, tmp_path, capsys):
    assert call("patch", *given, "--out", tmp_path / "kp", "--recipe", "patcher-vtc", *QUICK) == 0
    fuse = ["fuse", *given, "--patcher", tmp_path / "kp", "--out", tmp_path / "kf"]
    patch = ["patch", *given, "--out", tmp_path / "o", "--recipe", "patcher-vtc"]
    for arguments, said in (
        ([*patch, "--change.joint", "False"], "got joint False for paxion patch, expected none"),
        ([*patch, "--change.raw-pooled", "True"], "got raw_pooled True for paxion patch, expected none"),
        ([*fuse, "--change.latents", 16], "got latents 16, expected 8: a patcher to start from keeps its own"),
        ([*patch, "--start", tmp_path / "kp", "--change.difference-tokens", "True"], "got difference_tokens True, exp"),
    ):
        capsys.readouterr()
        assert call(*arguments) == 1
        assert said in capsys.readouterr().err


def test_atm_on_a_patcher_without_a_code_of_the_frames_is_said_to_train_nothing(given, tmp_path, capsys):
    patch = ["patch", *given, "--recipe", "patcher-dvdm", *QUICK]
    assert call(*patch, "--out", tmp_path / "coded") == 0
    assert "ATM trains nothing" not in capsys.readouterr().out
    assert call(*patch, "--out", tmp_path / "blind", "--change.temporal-embedding", "False") == 0
    assert "ATM trains nothing" in " ".join(capsys.readouterr().out.split())


def test_only_recipes_that_gather_clips_say_what_their_number_of_processes_does(given, tmp_path, capsys):
    said = "protocol paper was published for 2 processes, got 1 of 32 clips; text to video"
    for recipe, expected in (("paper-vtc", True), ("paper-nextqa-patcher", False)):
        assert call("patch", *given, "--out", tmp_path / recipe, "--recipe", recipe) == 0
        assert (said in " ".join(capsys.readouterr().out.split())) is expected
