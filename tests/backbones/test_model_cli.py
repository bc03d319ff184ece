"""models, check, import, export, and probing several backbones, from the command line on real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from published import clip_vocabulary

from paxion.backbones.catalogue import CATALOGUE
from paxion.backbones.clip_text import TextConfig
from paxion.backbones.internvideo import InternVideo, InternVideoConfig, published_state
from paxion.backbones.load import SCHEMES
from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.patching.fuser import FuserConfig
from paxion.patching.model import PatchedModel
from paxion.patching.official import model_to_official
from paxion.patching.patcher import PatcherConfig
from paxion.results import read_results

TINY = InternVideoConfig(TextConfig(64, 2, 1, 256, 24), width=64, layers=5, heads=1, patch=8, size=32)


@pytest.fixture
def call(capsys):
    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert status == 0 or printed.err.count("\n") == 1
        return status, " ".join(printed.out.split()), printed.err

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A checkpoint of the published code: InternVideo, a patcher and a fuser in one file."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("published")
    clip_vocabulary(folder)
    backbone = InternVideo(TINY, lambda texts: torch.zeros(0, 2, dtype=torch.long))
    model = PatchedModel(PatcherConfig(24, 64, 4, 17, latents=5), FuserConfig("xattn", 24, 64, raw_pooled=True))
    state = {f"vl_backbone.{name}": 0.1 * torch.randn(value.shape) for name, value in published_state(backbone).items()}
    path = folder / "checkpoint_best.pth"
    torch.save({"model": state | model_to_official(model), "epoch": 0, "config": {"run": {"lr": 1e-5}}}, path)
    return path


def test_models_are_listed_with_their_sizes(call):
    status, out, _ = call("models")
    assert status == 0
    for name in SCHEMES:
        assert name in out
    for known in CATALOGUE:
        assert str(known.tokens_per_frame) in out and known.name[:12] in out
    assert ",frames=... frames of a clip" in out


def test_the_world_is_checked_on_its_own_words(call, tiny_manifest):
    status, out, _ = call("check", "world")
    assert status == 0 and "FAIL" not in out
    assert "The text tower separates captions from antonyms: patching can help." in out
    cosine = float(out.split("antonym cosine ")[1].split()[0])
    assert 0.6 < cosine < 0.75
    assert call("check", "world", "--manifest", tiny_manifest)[0] == 0


def test_a_broken_promise_ends_with_status_1(call, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from paxion.backbones.world import load_world\n"
        "def backbone():\n    model = load_world()\n    model.tokens_per_frame = 9\n    return model\n"
    )
    status, out, err = call("check", f"python:{tmp_path / 'mine.py'}")
    assert status == 1 and "FAIL shapes got tokens (3, 9, 17, 128), expected (3, 9, 9, 128)" in out
    assert "breaks the contract: shapes: got tokens" in err


def test_a_published_checkpoint_is_imported_probed_and_exported(call, whole, tiny_manifest, tmp_path, monkeypatch):
    monkeypatch.chdir(whole.parent)
    backbone, adapter = f"internvideo:{whole.name},frames=4", tmp_path / "adapter"
    status, out, _ = call("import", whole.name, "--backbone", backbone, "--out", adapter)
    assert status == 0 and "the one that you gave, number for number" in out
    card = json.loads((adapter / "adapter.json").read_text())
    assert card["backbone"]["source"] == f"internvideo:{whole},frames=4"

    monkeypatch.chdir(tmp_path)  # The adapter finds its backbone by itself, from anywhere.
    assert call("check", adapter)[0] == 0
    probe = ["probe", tiny_manifest, "--store", tmp_path / "store", "--tasks", "antonym", "reversal", "--out"]
    assert call(*probe, tmp_path / "one", "--models", "backbone", adapter, "--backbone", backbone_at(whole))[0] == 0
    results = read_results(tmp_path / "one")
    assert {score.model for score in results.scores} == {"backbone", "checkpoint_best"}
    assert results.provenance["backbone"]["name"] == "internvideo"

    assert call("export", adapter, "--out", tmp_path / "again.pth")[0] == 0
    again, first = (torch.load(path, weights_only=True)["model"] for path in (tmp_path / "again.pth", whole))
    assert again.keys() == {name for name in first if not name.startswith("vl_backbone.")}
    assert all(torch.equal(value, first[name]) for name, value in again.items())


def backbone_at(whole: Path) -> str:
    return f"internvideo:{whole},frames=4"


def test_another_backbone_than_that_of_the_file_is_refused(call, whole, tmp_path):
    content = torch.load(whole, weights_only=True)
    content["model"]["vl_backbone.visual.transformer.balance"] += 1
    other = whole.parent / "other.pth"
    torch.save(content, other)
    status, _, err = call("import", other, "--backbone", backbone_at(whole), "--out", tmp_path / "a")
    assert status == 1 and "vl_backbone.visual.transformer.balance" in err and str(other) in err
    assert not (tmp_path / "a" / "adapter.json").exists()


def test_backbones_are_compared_in_one_table(call, whole, tiny_backbone, tiny_manifest, tmp_path):
    weights = tmp_path / "tiny.safetensors"
    save_world(tiny_backbone, weights, {})
    names = [f"world:{weights}", backbone_at(whole)]
    run = ["probe", tiny_manifest, "--store", tmp_path / "store", "--tasks", "antonym", "--out", tmp_path / "both"]
    assert call(*run, "--models", *names)[0] == 0
    results = read_results(tmp_path / "both")
    assert {score.model for score in results.scores} == {"world", "internvideo"}
    assert [one["name"] for one in results.provenance["backbones"]] == ["world", "internvideo"]


def test_backbone_is_that_of_the_adapters_beside_it(call, whole, tiny_manifest, tmp_path):
    adapter = tmp_path / "adapter"
    assert call("import", whole, "--backbone", backbone_at(whole), "--out", adapter)[0] == 0
    probe = ["probe", tiny_manifest, "--store", tmp_path / "store", "--tasks", "antonym", "--out", tmp_path / "run"]
    assert call(*probe, "--models", "backbone", adapter)[0] == 0
    origin = read_results(tmp_path / "run").provenance
    assert origin["backbone"]["name"] == "internvideo" and "backbones" not in origin
    revision = origin["backbone"]["revision"]
    assert origin["models_on"] == {
        "backbone": {"backbone": f"internvideo {revision}", "adapter": False},
        "checkpoint_best": {"backbone": f"internvideo {revision}", "adapter": True},
    }
    # The same backbone in another spelling is the same.
    for other in (backbone_at(whole), f"{backbone_at(whole)},preprocessing=own"):
        assert call(*probe, "--models", other, adapter)[0] == 0
        assert "backbones" not in read_results(tmp_path / "run").provenance


def test_backbone_beside_adapters_of_several_must_be_named(call, whole, tiny_backbone, tiny_manifest, tmp_path):
    save_world(tiny_backbone, tmp_path / "tiny.safetensors", {})
    known = ["--backbone", f"world:{tmp_path / 'tiny.safetensors'}", "--store", tmp_path / "store"]
    patch = ["patch", tiny_manifest, "--recipe", "patcher-vtc", *known, "--change.epochs", "1"]
    assert call(*patch, "--out", tmp_path / "one")[0] == 0
    assert call("import", whole, "--backbone", backbone_at(whole), "--out", tmp_path / "two")[0] == 0
    probe = ["probe", tiny_manifest, "--store", tmp_path / "store", "--tasks", "antonym", "--out", tmp_path / "run"]
    status, _, err = call(*probe, "--models", "backbone", tmp_path / "one", tmp_path / "two")
    assert status == 1 and "name the backbone that you mean" in err
    assert call(*probe, "--models", tmp_path / "one", tmp_path / "two")[0] == 0
    (tmp_path / "tiny.safetensors").unlink()
    status, _, err = call("check", tmp_path / "one")
    assert status == 1 and f"{tmp_path / 'one'} needs its backbone: no backbone weights at" in err


def test_models_are_named_once(capsys, tiny_manifest):
    assert main(["probe", str(tiny_manifest), "--model", "world", "--model", "hf:a"]) == 2
    assert "give --models once" in capsys.readouterr().err


def test_one_backbone_can_be_named_as_model(call, tiny_backbone, tiny_manifest, tmp_path):
    weights = tmp_path / "tiny.safetensors"
    save_world(tiny_backbone, weights, {})
    run = ["probe", tiny_manifest, "--store", tmp_path / "store", "--tasks", "antonym", "--out", tmp_path / "one"]
    assert call(*run, "--model", f"world:{weights}")[0] == 0
    without = tmp_path / "without.jsonl"
    rows = [json.loads(line) | {"antonym": None} for line in tiny_manifest.read_text().splitlines()]
    without.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, _, err = call("check", f"world:{weights}", "--manifest", without)
    assert status == 1 and "has no antonyms to measure on" in err
    assert {score.model for score in read_results(tmp_path / "one").scores} == {"backbone"}


def test_a_patcher_is_trained_on(call, tiny_backbone, tiny_manifest, tmp_path):
    weights = tmp_path / "tiny.safetensors"
    save_world(tiny_backbone, weights, {})
    known = ["--backbone", f"world:{weights}", "--store", tmp_path / "store", "--change.epochs", "1"]
    assert call("patch", tiny_manifest, "--recipe", "patcher", "--out", tmp_path / "first", *known)[0] == 0
    assert (
        call(
            "patch",
            tiny_manifest,
            "--recipe",
            "patcher-vtc",
            "--start",
            tmp_path / "first",
            "--out",
            tmp_path / "ft",
            *known,
        )[0]
        == 0
    )
    first, then = (json.loads((tmp_path / name / "adapter.json").read_text()) for name in ("first", "ft"))
    assert then["patcher"] == first["patcher"] and then["recipe"]["vac"] is False
    for recipe in ("patcher-pooled", "kp-transformer"):
        assert call("patch", tiny_manifest, "--recipe", recipe, "--out", tmp_path / recipe, *known)[0] == 0
        assert call("check", tmp_path / recipe)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "wrold"], "unknown model 'wrold' (did you mean 'world'?)"),
        (["check", "hf:openai/none,frame=3"], "unknown option of hf 'frame'"),
        (["import", "none.pth", "--backbone", "world"], "no checkpoint at none.pth"),
        (["import", "none.pth", "--backbone", "wrold"], "unknown backbone 'wrold'"),
        (["export", "none"], "none is no adapter"),
        (["check", "openai/clip-vit-base-patch32"], "did you mean 'hf:openai/clip-vit-base-patch32'?"),
    ],
)
def test_errors_are_one_line(call, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    status, _, err = call(*arguments)
    assert status == 1 and says in err
