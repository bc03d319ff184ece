"""paxion lora, and paxion models --cost, from the command line on real files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.results import read_results


@pytest.fixture(scope="module")
def manifest(tiny_manifest, tmp_path_factory):
    """32 training clips and 20 to test on."""
    folder = tmp_path_factory.mktemp("lora-given")
    samples = [replace(s, video=str(video_path(tiny_manifest, s))) for s in read_manifest(tiny_manifest)[:52]]
    splits = ["train"] * 32 + ["test"] * 20
    rows = [replace(s, split=split, group=split + s.group) for s, split in zip(samples, splits, strict=True)]
    write_manifest(folder / "m.jsonl", rows)
    return folder / "m.jsonl"


@pytest.fixture(scope="module")
def backbone(tiny_backbone, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("lora-backbone") / "tiny.safetensors"
    save_world(tiny_backbone, path, {})
    return f"world:{path}"


def call(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(manifest, backbone, tmp_path_factory):
    pytest.importorskip("peft", reason="needs the extra lora")
    out = tmp_path_factory.mktemp("runs") / "update"
    assert call(*train(manifest, backbone, out)) == 0
    return out


def train(manifest, backbone, out) -> list[object]:
    given = ["lora", manifest, "--backbone", backbone, "--out", out, "--epochs", 2, "--batch", 16, "--rank", 2]
    return [*given, "--workers", 0, "--sampler", "endpoints", "--rate", 0.01]


def test_a_run_is_described_and_the_same_command_does_nothing_again(folder, manifest, backbone, capsys):
    card = json.loads((folder / "lora.json").read_text())
    assert card["name"] == "update" and card["rank"] == 2 and card["towers"] == "vision"
    assert card["recipe"]["sampler"] == "endpoints" and card["recipe"]["epochs"] == 2 and card["recipe"]["vac"]
    assert card["backbone"]["source"] == backbone and card["provenance"]["clips"] == 32
    assert card["provenance"]["cost"].keys() == {"trainable", "steps", "seconds", "cpu_seconds"}
    assert card["provenance"]["left_out"] == {}
    written = (folder / "lora.safetensors").read_bytes()
    assert call(*train(manifest, backbone, folder)) == 0
    assert "going on after step 4 of 4" in capsys.readouterr().out
    assert (folder / "lora.safetensors").read_bytes() == written


def test_the_folder_is_a_model_like_any_other(folder, manifest, backbone, tmp_path, capsys):
    probe = ["probe", manifest, "--store", tmp_path / "f", "--out", tmp_path / "p", "--tasks", "antonym", "reversal"]
    assert call(*probe, "--models", "backbone", folder, f"again=lora:{folder}") == 0
    results = read_results(tmp_path / "p")
    assert results.provenance["sampler"] == "endpoints"
    scores = {(score.model, score.task): score for score in results.scores}
    assert {model for model, _ in scores} == {"backbone", "update", "again"}
    reversal = scores["update", "reversal"]
    assert reversal.ties == reversal.n and reversal.value == 0.5
    for task in ("antonym", "reversal"):
        assert scores["update", task].value == scores["again", task].value
    who = results.provenance["models_on"]
    assert who["update"]["adapter"] and who["update"]["backbone"] == who["backbone"]["backbone"]
    assert len(list((tmp_path / "f").iterdir())) == 2  # weights of its own, features of its own

    # It is a backbone too: a patcher is trained on top of it, and finds it again.
    patch = ["patch", manifest, "--store", tmp_path / "f", "--out", tmp_path / "kp", "--recipe", "patcher-vtc"]
    changes = ["--change.epochs", 1, "--change.batch", 16, "--change.sampler", "endpoints"]
    assert call(*patch, "--backbone", f"lora:{folder}", *changes) == 0
    assert json.loads((tmp_path / "kp/adapter.json").read_text())["backbone"]["source"] == f"lora:{folder}"
    assert call(*probe, "--models", tmp_path / "kp") == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--recipe", "patcher-dvd"], "unknown recipe 'patcher-dvd' (did you mean 'patcher-dvdm'?)"),
        (["--targets", "q_proj"], "got target 'q_proj', expected auto or linear layers of world: qkv, out"),
        (["--rank", "0"], "got rank 0, expected 1 to 4096"),
        (["--backbone", "world,dtype=bf16"], "got dtype=bf16 for LoRA, expected world without it; paxion lora --prec"),
        (["--batch", "1"], "got batch 1, expected at least 2"),
        (["--save-every", "-1"], "got save_every -1.0, expected 0 or more"),
        (["--memory", "-1"], "expected 0 or more"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(manifest, backbone, tmp_path, capsys, arguments, says):
    pytest.importorskip("peft", reason="needs the extra lora")
    given = ["lora", manifest, "--backbone", backbone, "--out", tmp_path, "--workers", 0, "--batch", 16, *arguments]
    assert call(*given) == 1
    err = capsys.readouterr().err
    assert says in err and err.startswith("paxion: ") and err.count("\n") == 1, err


def test_costs_are_printed_and_given_as_json(backbone, capsys):
    assert call("models", "--cost", backbone) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "patcher, absorbed" in out and "fuser gated_xattn" in out and "kp-transformer" in out
    assert call("models", "--cost", backbone, "--json", "--recipe", "patcher", "--rank", 3) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["backbone"] for row in rows} == {backbone}
    assert [row["part"] for row in rows][:2] == ["vision tower", "text tower"] and rows[-1]["part"] == "lora, rank 3"
    assert call("models", "--cost", backbone, "--recipe", "fuser") == 1
    assert "unknown recipe 'fuser'" in capsys.readouterr().err


def test_the_costs_of_several_are_printed_beside_each_other(backbone, capsys, monkeypatch):
    import paxion.cost_commands

    monkeypatch.setattr(paxion.cost_commands, "FEW", 1)
    assert call("models", "--cost", backbone, "clip-vip:/none/pretrain_clipvip_base_32.pt") == 1
    assert "no checkpoint at" in capsys.readouterr().err
    assert call("models", "--cost", backbone, "clip-vip:pretrain_clipvip_base_32.pt") == 0
    out = capsys.readouterr().out
    assert "parameters, 10^6" in out and "multiply-adds of a clip, 10^9" in out
