"""patch and fuse from the command line: fields can be changed, runs are described, several processes work together."""

from __future__ import annotations

import ast
import json
import os
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
    import paxion.patching.recipes
    import paxion.training_cli

    for module, name in ((paxion.patching.recipes, "Recipe"), (paxion.training_cli, "Change")):
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
