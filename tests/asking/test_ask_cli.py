"""`paxion ask` from end to end: real clips, a tiny model of Hugging Face, through the command line."""

from __future__ import annotations

import json

from paxion.cli import main
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.results import read_results, read_rows, read_strata
from tiny_generative import FAMILIES


def test_a_model_is_asked_once_and_all_is_written(tiny_manifest, tmp_path, capsys):
    from dataclasses import replace

    model = FAMILIES["qwen2.5-vl"](tmp_path / "tiny")
    samples = [s for s in read_manifest(tiny_manifest) if s.split == "test" and s.antonym][:5]
    samples = [replace(s, video=str(video_path(tiny_manifest, s))) for s in samples]
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    manifest = tmp_path / "m.jsonl"
    write_manifest(manifest, [*samples, replace(samples[0], id="broken", video="broken.mp4")])
    out, cache = tmp_path / "run", tmp_path / "answers"
    command = ["ask", str(manifest), "--models", f"hf:{model},frames=3", "--out", str(out), "--cache", str(cache)]
    assert main([*command, "--controls", "none", "blind"]) == 0
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err and "Blind Gap" in printed.out
    results = read_results(out)
    models = {score.model for score in results.scores if score.model != "chance"}
    expected = {"likelihood", "likelihood/token", "likelihood-blind", "choice", "yes-no"}
    assert models == {f"tiny [{how}]" for how in expected}
    values = {(s.model, s.task, s.control, s.metric): s.value for s in results.scores}
    assert values["tiny [likelihood-blind]", "antonym", "blind", "accuracy"] == 0.5
    assert "broken" in str(results.provenance["missed"])
    assert {row.id.removesuffix("#reversed") for row in read_rows(out)} <= read_strata(out).keys()
    assert (out / "report.html").is_file()
    kept = sum(len(file.read_text().splitlines()) for file in cache.rglob("*") if file.is_file())
    assert main([*command, "--controls", "none", "blind", "--out", str(tmp_path / "again")]) == 0
    assert sum(len(file.read_text().splitlines()) for file in cache.rglob("*") if file.is_file()) == kept
    assert read_results(tmp_path / "again").scores == results.scores
    first = json.loads((out / "results.json").read_text())["provenance"]
    assert first["protocol"].startswith("ask") and first["manifest"]["split"] == "test"
    assert main(["compare", f"{out}:tiny [choice]", f"{out}:tiny [yes-no]"]) == 0


def test_a_model_that_is_none_is_one_line(tiny_manifest, capsys):
    assert main(["ask", str(tiny_manifest), "--models", "qwen"]) == 1
    error = capsys.readouterr().err
    assert "unknown generative model 'qwen'" in error and error.count("\n") == 1
