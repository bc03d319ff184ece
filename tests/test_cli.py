"""The command line from end to end on real files: what it writes, what it says, and with which status it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from paxion import __version__
from paxion.backbones.world import load_world, save_world
from paxion.cli import main
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.patching.recipes import RECIPES
from paxion.records import PROBES, RETRIEVALS, TWINS, Score
from paxion.results import read_results, read_rows
from paxion.video.controls import ANTONYM_SAID, MEASURED


@pytest.fixture(scope="module")
def weights(tiny_backbone, tmp_path_factory) -> str:
    """`--backbone` of the tiny backbone."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_world(tiny_backbone, path, {"command": "none: untrained"})
    return f"world:{path}"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def patcher(tiny_manifest, weights, store, tmp_path_factory) -> Path:
    """A patcher made by the command line."""
    out = tmp_path_factory.mktemp("models") / "patcher"
    assert main(["patch", str(tiny_manifest), "--out", str(out), "--backbone", weights, "--store", str(store)]) == 0
    return out


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


def one_line(err: str) -> str:
    assert err.startswith("paxion: ") and err.count("\n") == 1, err
    return err


def test_the_version_and_the_help(call):
    for flag in ("--version", "-V"):
        assert call(flag) == (0, f"{__version__}\n", "")
    for arguments in ((), ("--help",), ("-h",)):
        status, out, _ = call(*arguments)
        assert status == 0
        for name in ("quickstart", "world", "validate", "features", "patch", "fuse", "probe", "report"):
            assert name in out
    assert "make" in call("world", "--help")[1] and "pretrain" in call("world", "--help")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["prove"],
        ["validate"],
        ["validate", "m.jsonl", "--nonsense"],
        ["world", "--train", "many"],
        ["fuse", "m.jsonl"],
        ["quickstart", "--epochs", "few"],
    ],
)
def test_bad_usage_exits_with_2(call, arguments):
    status, _, err = call(*arguments)
    assert status == 2 and err


def test_statuses_as_the_shell_sees_them(tmp_path, tiny_manifest):
    def status(*arguments: object) -> tuple[int, str]:
        command = [sys.executable, "-m", "paxion.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, done.stderr

    assert status("validate", tiny_manifest) == (0, "")
    code, err = status("validate", "none.jsonl")
    assert code == 1 and "cannot read none.jsonl" in one_line(err)
    assert status("prove")[0] == 2


def test_validate_says_line_field_and_what_was_expected(call, tiny_manifest, tmp_path):
    good = json.loads(tiny_manifest.read_text().splitlines()[0])
    rows = [
        good,
        good | {"id": "1", "split": "tests"},
        good | {"id": "2", "caption": 3},
        good | {"id": "3", "captions": "x"},
        {name: value for name, value in good.items() if name not in ("id", "video")},
        good,
        good | {"id": "4", "split": "test"},
        good | {"id": "5", "antonym": good["caption"]},
        good | {"id": "6", "start": 2, "end": 1},
        good | {"id": "7", "video": "no [such] file, for all that its name is quite long.mp4"},
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n{broken\n")
    status, out, err = call("validate", path, "--check-files")
    assert status == 1
    lines = [line.removeprefix(f"{path}:") for line in out.splitlines()]
    for number, field, *said in (
        (2, "split", '"tests"', "expected one of train, val, test", "did you mean test?"),
        (3, "caption", "got 3", "expected a string"),
        (4, "captions", "did you mean caption?"),
        (5, "id", "expected a string", "add it"),
        (5, "video", "expected a string", "add it"),
        (6, "id", "first on line 1", "unique"),
        (7, "group", "expected a group to stay within one split"),
        (8, "antonym", "the caption itself"),
        (9, "end", "got 1", "more than start"),
        (10, "video", "no [such] file, for all that its name is quite long.mp4", "expected a file"),
        (11, "row", "not JSON"),
    ):
        (line,) = [line for line in lines if line.startswith(f"{number}: {field}: ")]
        assert all(text in line for text in said), line
    assert f"{len(lines)} problems" in one_line(err)


def test_validate_passes_a_good_manifest(call, tiny_manifest):
    status, out, _ = call("validate", tiny_manifest, "--check-files")
    assert status == 0 and out == f"{tiny_manifest}: {len(read_manifest(tiny_manifest))} clips, no problem found\n"


@pytest.mark.parametrize("arguments", [["world"], ["world", "make"]])
def test_world_writes_clips_and_a_manifest(call, tmp_path, arguments):
    out = tmp_path / "w [1]"
    status, printed, _ = call(*arguments, "--out", out, "--train", 2, "--val", 1, "--test", 1, "--size", 32)
    assert status == 0 and f"the manifest: {out / 'manifest.jsonl'}\n" in printed
    samples = read_manifest(out / "manifest.jsonl")
    assert {sample.split for sample in samples} == {"train", "val", "test"}
    assert all(video_path(out / "manifest.jsonl", sample).stat().st_size > 500 for sample in samples)


@pytest.mark.parametrize("size", ["15", "33", "0", "-64"])
def test_sizes_that_cannot_be_encoded_are_said(call, size):
    status, _, err = call("world", "--size", size)
    assert status == 1 and "expected an even number" in one_line(err)


def test_features_are_made_once(call, tiny_manifest, weights, tmp_path):
    short = tmp_path / "short.jsonl"
    absolute = [replace(s, video=str(video_path(tiny_manifest, s))) for s in read_manifest(tiny_manifest)[:4]]
    write_manifest(short, absolute)
    arguments = ["features", short, "--backbone", weights, "--store", tmp_path / "f", "--workers", 1]
    status, out, _ = call(*arguments)
    assert status == 0 and "the store: " in out
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "f").rglob("*.npy")}
    assert len(files) >= 6
    assert call(*arguments)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "f").rglob("*.npy")} == files


def test_patch_and_fuse_write_adapters_and_logs(call, tiny_manifest, weights, store, patcher, tmp_path):
    fused = tmp_path / "fuser"
    status, out, _ = call(
        "fuse", tiny_manifest, "--patcher", patcher, "--out", fused, "--backbone", weights, "--store", store
    )
    assert status == 0 and f"the adapter: {fused}\n" in out
    train_clips = sum(sample.split == "train" for sample in read_manifest(tiny_manifest))
    for folder, name in ((patcher, "patcher"), (fused, "fuser")):
        assert {"adapter.json", "adapter.safetensors", "log.jsonl"} <= {path.name for path in folder.iterdir()}
        card = json.loads((folder / "adapter.json").read_text())
        assert card["name"] == name
        assert card["provenance"]["clips"] == train_clips and card["provenance"]["missed"] == 0
        assert len((folder / "log.jsonl").read_text().splitlines()) == RECIPES[name].epochs
    # The fuser begins from the patcher of another recipe as well.
    other = tmp_path / "vtc"
    common = ["--backbone", weights, "--store", store]
    assert call("patch", tiny_manifest, "--recipe", "patcher-vtc", "--out", other, *common)[0] == 0
    assert call("fuse", tiny_manifest, "--patcher", other, "--out", tmp_path / "vtc-fused", *common)[0] == 0


def test_every_part_of_a_recipe_can_be_switched(call, tiny_manifest, weights, store, tmp_path):
    folder = tmp_path / "changed"
    changes = ["--change.epochs", 1, "--change.difference-tokens", "False", "--change.atm", 0.4, "--change.template", 0]
    status, _, _ = call(*["patch", tiny_manifest, "--out", folder, "--backbone", weights, "--store", store], *changes)
    assert status == 0
    card = json.loads((folder / "adapter.json").read_text())
    expected = replace(RECIPES["patcher"], epochs=1, difference_tokens=False, atm=0.4, template=0.0)
    assert card["recipe"] == asdict(expected) and card["patcher"]["difference_tokens"] is False
    (line,) = (folder / "log.jsonl").read_text().splitlines()
    assert "template" not in json.loads(line) and "atm" in json.loads(line)
    status, _, err = call("patch", tiny_manifest, "--out", folder, "--backbone", weights, "--change.atm", "-1")
    assert status == 1 and "got atm -1.0, expected 0 or more" in one_line(err)


def test_patching_other_clips_into_the_same_folder_is_refused(call, tiny_manifest, weights, store, tmp_path):
    samples = [replace(s, video=str(video_path(tiny_manifest, s))) for s in read_manifest(tiny_manifest)]
    train = [sample for sample in samples if sample.split == "train"]
    common = ["--out", tmp_path / "out", "--backbone", weights, "--store", store]
    for name, rows in (("one", train[:10]), ("two", train[10:])):
        write_manifest(tmp_path / f"{name}.jsonl", rows)
    assert call("patch", tmp_path / "one.jsonl", *common)[0] == 0
    status, _, err = call("patch", tmp_path / "two.jsonl", *common)
    assert status == 1 and "belongs to another training (other data: got " in one_line(err)
    assert call("patch", tmp_path / "one.jsonl", *common)[0] == 0


def test_probe_scores_every_model_and_control_and_report_writes_the_page_again(
    call, tiny_manifest, weights, store, patcher, tmp_path
):
    out = tmp_path / "run"
    status, printed, _ = call(
        "probe", tiny_manifest, "--models", "backbone", patcher, "--out", out, "--controls", "all",
        "--backbone", weights, "--store", store,
    )  # fmt: skip
    assert status == 0 and f"the page: {out / 'report.html'}\n" in printed
    content = json.loads((out / "results.json").read_text())
    assert list(content) == ["provenance", "scores"]
    names = [field.name for field in fields(Score)]
    assert all(list(score) == names for score in content["scores"])
    results = read_results(out)
    wanted = {
        (model, data, task, control)
        for model in ("backbone", "patcher")
        for data in ("world-A", "world-B")
        for task in (*PROBES, *TWINS, *RETRIEVALS)
        for control in MEASURED
        if control != ANTONYM_SAID or task == "reversal"
    }
    assert {(score.model, score.data, score.task, score.control) for score in results.scores} == wanted | {
        ("chance", data, task, "none")
        for data in ("world-A", "world-B")
        for task in ("video_to_action", "text_to_video")
    }
    # Frames never see each other; only the first and the last frame of a clip are not those of its reversal.
    reversal = [s for s in results.scores if (s.model, s.task, s.metric) == ("backbone", "reversal", "accuracy")]
    reversal = [s for s in reversal if s.control not in ("first", "last")]
    assert all(s.value == 0.5 and s.ties == s.n > 0 for s in reversal)
    assert results.provenance["manifest"]["split"] == "test"
    assert len(read_rows(out)) > 100
    first = (out / "report.html").read_text()
    assert "patcher" in first and "data:image/webp" in first

    (out / "report.html").unlink()
    status, printed, _ = call("report", out)
    assert status == 0 and "data:image/webp" in (out / "report.html").read_text()


def test_two_adapters_of_one_recipe_are_two_models(call, tiny_manifest, weights, store, patcher, tmp_path):
    shutil.copytree(patcher, tmp_path / "again")
    out = tmp_path / "run"
    status, _, _ = call(
        "probe", tiny_manifest, "--models", patcher, tmp_path / "again", patcher, "--out", out,
        "--tasks", "antonym", "antonym", "--controls", "none", "none", "--backbone", weights, "--store", store,
    )  # fmt: skip
    assert status == 0
    kinds = [(score.model, score.data, score.metric, score.control) for score in read_results(out).scores]
    assert len(kinds) == len(set(kinds)) == 8
    assert {kind[2] for kind in kinds} == {"accuracy", "AUROC"}
    assert {kind[0] for kind in kinds} == {str(patcher), str(tmp_path / "again")}


def test_what_cannot_be_scored_is_counted_in_the_result_and_on_the_terminal(call, tiny_manifest, weights, tmp_path):
    samples = [s for s in read_manifest(tiny_manifest) if s.split == "test" and s.source == "world-A" and s.antonym][:6]
    own = [replace(sample, video=str(video_path(tiny_manifest, sample)), reversible=True) for sample in samples]
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    own[0] = replace(own[0], video="broken.mp4")
    own[1] = replace(own[1], antonym=None)
    write_manifest(tmp_path / "m.jsonl", own)
    out = tmp_path / "run"
    status, printed, _ = call("probe", "m.jsonl", "--out", out, "--backbone", weights, "--store", tmp_path / "f")
    assert status == 0
    missed = read_results(out).provenance["missed"]
    (unread,) = [miss for miss in missed if "read" in miss["reason"]]
    assert unread["count"] == 1 and unread["examples"] == [own[0].id] and unread["data"] == "world-A"
    assert [(m["task"], m["count"]) for m in missed if m["reason"] == "no antonym"] == [("antonym", 1), ("twins", 1)]
    assert f"1 of 6 clips cannot be read, and are left out until their files change:\n  {own[0].id}: " in printed
    assert "not scored: 1 of world-A (antonym): no antonym\n" in printed
    assert "clip cannot be read (" in printed
    n = {score.task: score.n for score in read_results(out).scores if score.metric in ("accuracy", "R@1")}
    assert (n["antonym"], n["object"], n["reversal"], n["video_to_text"]) == (4, 5, 5, 5)
    assert own[0].id not in {row.id for row in read_rows(out)}
    assert "clip cannot be read" in (out / "report.html").read_text()


def test_a_manifest_without_any_foil_or_template_is_probed_for_what_it_has(call, tiny_manifest, weights, tmp_path):
    samples = [sample for sample in read_manifest(tiny_manifest) if sample.split == "val"][:5]
    bare = [
        replace(s, video=str(video_path(tiny_manifest, s)), antonym=None, replaced=None, template=None, source=None)
        for s in samples
    ]
    write_manifest(tmp_path / "mine.jsonl", bare)
    common = ["--out", "run", "--split", "val", "--backbone", weights, "--store", "f"]
    assert call("probe", "mine.jsonl", *common)[0] == 0
    results = read_results(Path("run"))
    assert {score.data for score in results.scores} == {"mine"}
    assert {score.task for score in results.scores} == {"reversal", "text_to_video", "video_to_text"}
    assert {m["task"] for m in results.provenance["missed"]} >= {"antonym", "object", "video_to_action"}
    status, printed, _ = call("probe", "mine.jsonl", *common, "--tasks", "antonym")
    assert status == 0 and "not scored: 5 of mine (antonym): no antonym" in printed
    assert read_results(Path("run")).scores == []


def test_a_report_whose_clips_are_gone_is_still_written(call, tiny_manifest, weights, store, tmp_path):
    samples = [s for s in read_manifest(tiny_manifest) if s.split == "test" and s.source == "world-A"][:6]
    for sample in samples:
        (tmp_path / sample.video).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video_path(tiny_manifest, sample), tmp_path / sample.video)
    write_manifest(tmp_path / "m.jsonl", samples)
    assert call("probe", "m.jsonl", "--out", "run", "--backbone", weights, "--store", store)[0] == 0
    shutil.rmtree(tmp_path / "videos")
    assert call("report", "run")[0] == 0
    Path("m.jsonl").unlink()
    status, printed, _ = call("report", "run")
    assert status == 0 and "the manifest m.jsonl is gone" in printed


def test_unknown_names_say_what_was_perhaps_meant(call, tiny_manifest, weights, patcher, tmp_path):
    shutil.copytree(patcher, tmp_path / "runs" / "patcher")
    known = ["--backbone", weights]
    for arguments, said in (
        (["probe", tiny_manifest, "--models", "bacbone", *known], "unknown model 'bacbone' (did you mean 'backbone'?)"),
        (["probe", tiny_manifest, "--models", "runs/pacher", *known], "(did you mean 'runs/patcher'?)"),
        (["probe", tiny_manifest, "--backbone", "wold"], "unknown backbone 'wold' (did you mean 'world'?)"),
        (["patch", tiny_manifest, "--recipe", "pacher", *known], "unknown recipe 'pacher' (did you mean 'patcher'?)"),
        (["fuse", tiny_manifest, "--patcher", patcher, "--recipe", "fusr", *known], "(did you mean 'fuser'?)"),
        (["probe", tiny_manifest, "--tasks", "antonim", *known], "unknown task 'antonim' (did you mean 'antonym'?)"),
        (["probe", tiny_manifest, "--controls", "blnd", *known], "unknown control 'blnd' (did you mean 'blind'?)"),
        (["probe", tiny_manifest, "--split", "tset", *known], "unknown split 'tset' (did you mean 'test'?)"),
    ):
        status, _, err = call(*arguments)
        assert status == 1 and said in one_line(err), arguments
    assert not Path("features").exists()


def test_a_recipe_of_the_other_command_is_refused(call, tiny_manifest, weights, patcher):
    status, _, err = call("patch", tiny_manifest, "--recipe", "fuser", "--backbone", weights)
    assert status == 1 and "recipe fuser trains a fuser: give it to paxion fuse" in one_line(err)
    status, _, err = call("fuse", tiny_manifest, "--patcher", patcher, "--recipe", "patcher", "--backbone", weights)
    assert status == 1 and "recipe patcher trains a patcher and no fuser: give it to paxion patch" in one_line(err)


def test_folders_that_cannot_be_written_end_in_one_line(call, tiny_manifest, weights, store, patcher, tmp_path):
    (tmp_path / "file").write_text("x")
    out, known = tmp_path / "file" / "out", ["--backbone", weights]
    for arguments in (
        ["world", "--out", out, "--train", 1, "--val", 1, "--test", 1],
        ["features", tiny_manifest, "--store", out, *known],
        ["patch", tiny_manifest, "--out", out, "--store", store, *known],
        ["fuse", tiny_manifest, "--patcher", patcher, "--out", out, "--store", store, *known],
        ["probe", tiny_manifest, "--out", out, "--store", store, *known],
        ["quickstart", "--out", out, *known],
        ["probe", tiny_manifest, "--out", tmp_path / "file", "--store", store, *known],
    ):
        status, _, err = call(*arguments)
        assert status == 1 and "file" in one_line(err), arguments


def test_other_mistakes_end_in_one_line(call, tiny_manifest, weights, store, patcher, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    other = tmp_path / "other.safetensors"
    changed = load_world(Path(weights.removeprefix("world:")))
    changed.frame_class.data += 1
    save_world(changed, other, {})
    known = ["--backbone", weights, "--store", store]
    for arguments, said in (
        (["probe", "none.jsonl", *known], "cannot read none.jsonl"),
        (["probe", "empty.jsonl", *known], "empty manifest"),
        (["probe", tiny_manifest, "--models", "empty", *known], "is no adapter"),
        (["probe", tiny_manifest, "--models", patcher, "--backbone", f"world:{other}"], "was trained on world"),
        (["probe", tiny_manifest, "--backbone", "world:none.safetensors"], "no backbone weights at"),
        (["probe", tiny_manifest, "--backbone", f"world:{tmp_path}"], "no backbone weights at"),
        (["probe", tiny_manifest, "--backbone", "world:bad.safetensors"], "is not a safetensors file"),
        (["fuse", tiny_manifest, "--patcher", "empty", *known], "is no adapter"),
        (["patch", tiny_manifest, "--seed", -1, *known], "got seed -1, expected 0 or more"),
        (["world", "--seed", -1], "got seed -1"),
        (["quickstart", "--epochs", "nan"], "got epochs nan, expected a factor above 0"),
        (["quickstart", "--epochs", "-1"], "got epochs -1.0"),
        (["report", "nowhere"], "cannot read nowhere"),
        (["report", "empty"], "results.json"),
    ):
        status, _, err = call(*arguments)
        assert status == 1 and said in one_line(err), arguments


def test_an_interrupt_while_modules_are_imported_is_said_in_a_line(call, tiny_manifest, monkeypatch):
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("paxion.cli.importlib.import_module", interrupted)
    status, _, err = call("validate", tiny_manifest)
    assert (status, one_line(err)) == (1, "paxion: interrupted; the same command goes on where it stopped\n")


def test_a_run_that_is_interrupted_says_how_to_go_on(call, tiny_manifest, weights, tmp_path):
    # An interrupt as it comes: from outside, while the command runs.
    command = [sys.executable, "-c", SLOW, str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(2)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert one_line(err) == "paxion: interrupted; the same command goes on where it stopped\n"


SLOW = """
import os, sys, threading, time
from pathlib import Path
from paxion.cli import main

def watch():
    while not list(Path(sys.argv[1]).rglob("*.mp4")):
        time.sleep(0.02)
    print("going", flush=True)

threading.Thread(target=watch, daemon=True).start()
sys.exit(main(["world", "make", "--out", sys.argv[1] + "/w", "--train", "60", "--val", "0", "--test", "0"]))
"""
