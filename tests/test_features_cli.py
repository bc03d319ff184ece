"""paxion features make, status, verify and prune, on real files."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.manifest import read_manifest, video_path, write_manifest


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Run `paxion features` in an empty folder; gives its status, what it printed and what it complained of."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            status = main(["features", *map(str, arguments)])
        except SystemExit as error:
            status = int(error.code or 0)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return status, printed.out, printed.err

    return run


@pytest.fixture
def made(call, tiny_backbone, tiny_manifest, tmp_path) -> tuple[Path, Path]:
    """A manifest of six clips, one of which is broken, and the store of the others in ./features."""
    weights, manifest = tmp_path / "tiny.safetensors", tmp_path / "six.jsonl"
    save_world(tiny_backbone, weights, {"command": "none"})
    samples = [replace(s, video=str(video_path(tiny_manifest, s))) for s in read_manifest(tiny_manifest)[:6]]
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    samples[3] = replace(samples[3], video=str(tmp_path / "broken.mp4"))
    write_manifest(manifest, samples)
    status, out, _ = call(manifest, "--backbone", f"world:{weights}", "--workers", 0)
    assert status == 0 and "1 of 6 clips cannot be read" in out and "the store: features/world-" in out
    (folder,) = (path for path in Path("features").iterdir() if path.is_dir())
    return manifest, folder


def test_make_can_be_said_or_left_out_and_has_a_store_for_each_way(call, made, tmp_path):
    manifest, folder = made
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    known = [manifest, "--backbone", f"world:{tmp_path / 'tiny.safetensors'}", "--workers", 0]
    assert call("make", *known)[0] == 0
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    for more in (["--dtype", "int8"], ["--sampler", "endpoints"]):
        assert call("make", *known, *more)[0] == 0
    assert call("make", manifest, "--backbone", f"{known[2]},tokens=pool2", "--workers", 0)[0] == 0
    status, out, _ = call("status")
    assert status == 0 and out.count("5 clips") == 4
    for said in ("midpoint, 64 pixels, all tokens, int8", "by endpoints", "tokens=pool2, float16", "1 missed"):
        assert said in out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--dtype", "int4"], "unknown dtype of a feature store 'int4' (did you mean 'int8'?)"),
        (["--sampler", "midpiont"], "unknown sampler 'midpiont' (did you mean 'midpoint'?)"),
        (["--controls", "reversd"], "unknown control 'reversd' (did you mean 'reversed'?)"),
        (["--backbone", "world,tokens=pool3"], "got tokens=pool3, expected one of"),
    ],
)
def test_what_cannot_be_made_is_said_and_nothing_is_begun(call, tiny_manifest, more, said):
    status, _, err = call("make", tiny_manifest, *more)
    assert status == 1 and said in err and err.count("\n") == 1
    assert not Path("features").exists()


def test_status_lists_the_reasons_when_asked(call, made):
    _, folder = made
    status, out, _ = call("status", folder)
    assert status == 0 and "1 missed, 0 shards unfinished" in out and "broken.mp4" not in out
    status, out, _ = call("status", folder, "--missed")
    assert "broken.mp4" in out


def test_without_stores(call, tmp_path):
    assert call("status")[0] == 1
    (tmp_path / "features").mkdir()
    status, out, _ = call("status")
    assert status == 0 and "no feature store in features" in out
    assert call("verify")[0] == call("prune")[0] == 0


def test_verify_names_repair_drops_and_make_encodes_again(call, made, tmp_path):
    manifest, folder = made
    assert call("verify")[0] == 0
    path = next(path for path in folder.glob("*.tokens.npy") if path.stat().st_size > 50_000)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    status, out, err = call("verify")
    assert status == 1 and f"damaged: {path}: its sum is wrong" in out and "1 damaged in features" in err
    assert path.exists()
    status, out, _ = call("verify", "--repair")
    assert status == 0 and "dropped" in out and not path.exists()
    assert call(manifest, "--backbone", f"world:{tmp_path / 'tiny.safetensors'}", "--workers", 0)[0] == 0
    assert path.read_bytes() == content and call("verify")[0] == 0


def test_a_store_json_that_is_damaged_is_said_by_every_command(call, made):
    _, folder = made
    (folder / "store.json").write_text("{")
    assert "store.json is damaged" in call("status")[1]
    status, out, err = call("verify", "--repair")
    assert status == 1 and "store.json is damaged" in out and err.count("\n") == 1
    status, _, err = call("prune")
    assert status == 1 and "store.json is damaged" in err


def test_prune_says_first_and_removes_when_told(call, made, tiny_manifest):
    manifest, folder = made
    before = sorted(folder.iterdir())
    other = Path("other.jsonl")
    write_manifest(
        other, [replace(s, video=str(video_path(tiny_manifest, s))) for s in read_manifest(tiny_manifest)[9:11]]
    )
    old = folder / ".shard-0123456789abcdef-abcd1234.json"
    old.write_bytes(b"x" * 2000)
    os.utime(old, (time.time() - 7200,) * 2)
    status, out, _ = call("prune", "--dry-run", "--manifest", manifest)
    assert status == 0 and "2.0 kB would be free" in out and old.exists()
    status, out, _ = call("prune", "--manifest", manifest, other)
    assert status == 0 and "2.0 kB are free again" in out and sorted(folder.iterdir()) == before
    status, out, _ = call("prune", "--manifest", other)
    assert status == 0 and "no clip of the manifests" in out
    assert "0 clips" in call("status")[1]
    status, out, _ = call("prune")
    assert status == 0 and "0 bytes are free again" in out
