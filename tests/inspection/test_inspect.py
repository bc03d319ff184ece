"""Looking at single clips: inspect and score on real files, and what they say of bad input."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from paxion.backbones.base import BackboneEncoder
from paxion.backbones.load import load_backbone
from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.inspection.found import by_task, outcome, own_texts, read_run, worst
from paxion.inspection.one_clip import best, encode_one, text_scores
from paxion.manifest import read_manifest, video_path
from paxion.records import PaxionError, Row, Sample
from paxion.results import read_rows


@pytest.fixture(scope="module")
def weights(tiny_backbone, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_world(tiny_backbone, path, {"command": "none: untrained"})
    return f"world:{path}"


@pytest.fixture(scope="module")
def patcher(tiny_manifest, weights, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    given = ["--backbone", weights, "--store", str(folder / "store"), "--change.epochs", "1"]
    assert main(["patch", str(tiny_manifest), "--out", str(folder / "kp"), *given]) == 0
    return folder / "kp"


@pytest.fixture(scope="module")
def probed(tiny_manifest, weights, patcher, tmp_path_factory) -> Path:
    """A run of two models, of a seed that the page must not mind."""
    out = tmp_path_factory.mktemp("runs") / "probe"
    models = ["--models", weights, str(patcher), "--store", str(patcher.parent / "store"), "--out", str(out)]
    assert main(["probe", str(tiny_manifest), *models]) == 0
    return out


@pytest.fixture(scope="module")
def saved(weights):
    """The backbone as its file has it, in half precision."""
    return load_backbone(weights)


def told(capsys, *arguments: object) -> tuple[int, str, str]:
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as error:
        status = int(error.code or 0)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    return status, " ".join(printed.out.split()), " ".join(printed.err.split())


def test_scores_of_one_clip_are_those_of_the_run(probed, tiny_manifest, saved):
    run = read_run(probed)
    rows = [row for row in run.rows if row.task == "antonym" and row.model == "backbone"][:4]
    for row in rows:
        sample = run.samples[row.id]
        clip = encode_one(saved, tiny_manifest, sample)
        assert sample.antonym is not None
        right, wrong = text_scores(BackboneEncoder("backbone", saved), clip, [sample.caption, sample.antonym])
        # The store keeps what it was computed from in half precision.
        assert right.forward == pytest.approx(row.right, abs=2e-4)
        assert wrong.forward == pytest.approx(row.wrong, abs=2e-4)
        # Its vector is a mean over frames, which their order does not change.
        assert right.backward == pytest.approx(right.forward, abs=1e-6)


def test_scores_backwards_are_those_of_the_reversal_probe(probed, capsys):
    run = read_run(probed)
    row = next(row for row in run.rows if row.task == "reversal" and row.model == "patcher")
    assert told(capsys, "inspect", probed, "--sample", row.id, "--top", 0)[0] == 0
    page = (probed / "inspect.html").read_text(encoding="utf-8")
    assert f"{row.right:.3f}" in page and f"backwards {row.wrong:.3f}" in page


def test_inspect_shows_clip_texts_models_and_ranks(probed, capsys):
    status, said, _ = told(capsys, "inspect", probed, "--worst", 2, "--task", "antonym", "--model", "patcher")
    assert status == 0
    run = read_run(probed)
    samples = worst(run, 2, "antonym", "patcher")
    page = (probed / "inspect.html").read_text(encoding="utf-8")
    for sample in samples:
        assert sample.id in said and sample.id in page
        for text in (sample.caption, sample.antonym, sample.replaced, sample.template):
            assert text and text in said and text in page
    assert page.count("data:image/webp;base64,") == 2 * len(samples)
    assert "video_to_action" in page and "rank" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_worst_are_wrong_by_the_largest_margin(probed):
    run = read_run(probed)
    rows = {row.id: row for row in run.rows if (row.task, row.model, row.control) == ("antonym", "patcher", "none")}
    found = [rows[sample.id] for sample in worst(run, len(rows), "antonym", "patcher")]
    assert {row.id for row in found} == set(rows)
    assert found == sorted(found, key=lambda row: (row.credit, row.right - row.wrong, row.id))
    assert [sample.id for sample in worst(run, 1)] == [found[0].id]  # the patcher's, in the first task


def test_a_run_whose_models_are_gone_shows_what_it_has_kept(probed, capsys, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(probed, copy)
    results = json.loads((copy / "results.json").read_text())
    results["provenance"]["models"] = ["runs/gone"]
    (copy / "results.json").write_text(json.dumps(results))
    row = read_rows(copy)[0]
    status, said, _ = told(capsys, "inspect", copy, "--sample", row.id)
    assert status == 0 and "cannot be loaded" in said and "runs/gone" in said
    assert outcome(row) in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sample", "A-test-00000-forwards"], "did you mean"),
        (["--worst", "0", "--task", "antonyms"], "did you mean 'antonym'"),
        (["--worst", "1", "--model", "patchr"], "did you mean 'patcher'"),
        (["--worst", "-1"], "expected at least 1"),
        (["--top", "-1"], "expected 0 or more"),
        (["--sample", "x", "--worst", "1"], "beside"),
    ],
)
def test_inspect_names_what_is_wrong(probed, capsys, arguments, message):
    status, _, error = told(capsys, "inspect", probed, *arguments)
    assert status == 1 and message in error


def test_inspect_wants_the_clips(probed, capsys, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(probed, copy)
    text = (copy / "results.json").read_text().replace("manifest.jsonl", "moved.jsonl")
    (copy / "results.json").write_text(text)
    status, _, error = told(capsys, "inspect", copy)
    assert status == 1 and "moved.jsonl" in error
    assert told(capsys, "inspect", tmp_path)[0] == 1


def test_score_prints_every_text_for_every_model(tiny_manifest, saved, weights, patcher, capsys):
    sample = next(s for s in read_manifest(tiny_manifest) if s.split == "test" and s.antonym)
    video = video_path(tiny_manifest, sample)
    status, said, _ = told(capsys, "score", "--model", weights, video, sample.caption, sample.antonym)
    assert status == 0 and sample.caption in said and str(sample.antonym) in said
    clip = encode_one(saved, tiny_manifest, sample)
    scores = text_scores(BackboneEncoder("backbone", saved), clip, [sample.caption, str(sample.antonym)])
    assert all(f"{score.forward:.3f} (same)" in said for score in scores)
    texts = (sample.caption, sample.antonym)
    chosen = " and ".join(f'"{texts[place]}"' for place in best([score.forward for score in scores]))
    assert f"backbone prefers {chosen}" in said
    given = ["--model", weights, "--model", patcher]
    status, said, _ = told(capsys, "score", *given, video, sample.caption, sample.antonym)
    assert status == 0 and "backbone prefers" in said and "patcher prefers" in said


def test_score_of_a_window_differs(tmp_path, tiny_manifest, saved, weights, capsys):
    sample = next(s for s in read_manifest(tiny_manifest) if s.action == "up-down+")
    video = video_path(tiny_manifest, sample)
    whole = told(capsys, "score", "--model", weights, video, sample.caption)[1]
    part = told(capsys, "score", "--model", weights, "--end", 0.2, video, sample.caption)[1]
    assert whole != part


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.mp4", "a text"], "no video file at"),
        (["{video}", " "], "got no text or an empty one"),
        (["{video}", "a text", "--sampler", "midpoints"], "did you mean 'midpoint'"),
        (["{video}", "a text", "--start", "3", "--end", "2"], "expected 0 or more, and an end after the start"),
        (["{video}", "a text", "--start", "nan"], "expected 0 or more"),
        (["{broken}", "a text"], "cannot read"),
    ],
)
def test_score_names_what_is_wrong(tiny_manifest, weights, capsys, tmp_path, arguments, message):
    video = video_path(tiny_manifest, read_manifest(tiny_manifest)[0])
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    given = [argument.format(video=video, broken=broken) for argument in arguments]
    status, _, error = told(capsys, "score", "--model", weights, *given)
    assert status == 1 and message in error


def test_texts_of_a_sample_are_named_once():
    sample = Sample("1", "v.mp4", "a", "test", "g", antonym="b", template="a", question="what?", choices=("b", "c"),
                    answer=1)  # fmt: skip
    assert own_texts(sample, "{choice}") == {"a": "caption; template", "b": "antonym; choice 1", "c": "choice 2, right"}
    assert "what? c" in own_texts(sample)


def test_rows_of_several_seeds_show_the_first():
    row = Row("1", "g", "m", "d", "antonym", "none", 0, 0.5, 0.2, 1.0)
    rows = [row, replace(row, seed=1, credit=0.0), replace(row, id="2")]
    assert by_task(rows, "1") == {("antonym", "none"): {"m": row}}
    assert outcome(row) == "right +0.300"
    assert outcome(replace(row, task="video_to_text", rank=3.0)) == "rank 3"
    assert outcome(replace(row, task="questions", rank=1.0, credit=0.5, right=0.2)) == "tie +0.000"


def test_no_texts_and_no_numbers_are_refused(tiny_manifest, saved):
    sample = read_manifest(tiny_manifest)[0]
    clip = encode_one(saved, tiny_manifest, sample)
    encoder = BackboneEncoder("backbone", saved)
    with pytest.raises(PaxionError, match="no texts"):
        text_scores(encoder, clip, [])
    broken = replace(clip, features=replace(clip.features, pooled=torch.full_like(clip.features.pooled, torch.nan)))
    with pytest.raises(PaxionError, match="finite"):
        text_scores(encoder, broken, ["a text"])
