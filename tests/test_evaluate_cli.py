"""`paxion evaluate` from end to end on real files: published formats, methods, and bad input that is never scored."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.results import read_results, read_rows, read_strata
from paxion.video.controls import ANTONYM_SAID, MEASURED

HEAD = ("video", "frame_count", "width", "height", "question", "answer", "qid", "type", "a0", "a1", "a2", "a3", "a4")


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
    out = tmp_path_factory.mktemp("models") / "patcher"
    small = ["--change.epochs", "1", "--change.batch", "16", "--workers", "0"]
    assert (
        main(["patch", str(tiny_manifest), "--out", str(out), "--backbone", weights, "--store", str(store), *small])
        == 0
    )
    return out


@pytest.fixture
def evaluate(capsys, tmp_path, weights, store):
    """Evaluate a file with the tiny backbone; gives status, what was printed on one line, and the complaint."""

    def run(data: Path, *arguments: object) -> tuple[int, str, str]:
        given = ["evaluate", data, "--backbone", weights, "--store", store, "--out", tmp_path / "out", "--workers", 0]
        status = main([str(argument) for argument in (*given, *arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert status == 0 or (printed.err.startswith("paxion: ") and printed.err.count("\n") == 1)
        return status, " ".join(printed.out.split()), printed.err

    return run


@pytest.fixture(scope="module")
def clips(tiny_manifest) -> tuple[Path, list[tuple[str, str, str]]]:
    """The folder of the videos, and (file, caption, template) of the test clips of world-A."""
    test = [s for s in read_manifest(tiny_manifest) if s.split == "test" and s.source == "world-A"]
    folder = video_path(tiny_manifest, test[0]).parent
    assert all(video_path(tiny_manifest, s).parent == folder for s in test)
    return folder, [(Path(s.video).name, s.caption, s.template or "") for s in test]


def scores_of(folder: Path) -> dict[tuple[str, str, str], float]:
    return {(s.model, s.task, s.metric): s.value for s in read_results(folder).scores}


def test_captions_whose_clips_are_missing_stay_candidates_and_are_counted(evaluate, clips, tmp_path):
    videos, rows = clips
    path = tmp_path / "ssv2_ret_label_val_small.json"
    content = [{"video": name, "caption": caption} for name, caption, _ in rows[:6]]
    extra = [{"video": "gone.mp4", "caption": "a caption of nothing"}, {"video": [], "caption": "nor of this"}]
    path.write_text(json.dumps(content + extra))
    status, out, _ = evaluate(path, "--videos", videos)
    assert status == 0 and "1 of 7 clips cannot be read" in out and "gone" in out
    assert "not scored: 1 of ssv2-label (all): row cannot be used" in out and "video: got no name" in out
    assert "not scored: 1 of ssv2-label (text_to_video): no clip of this text can be read" in out
    captions = len({caption for _, caption, _ in rows[:6]})
    found = scores_of(tmp_path / "out")
    assert found["chance", "video_to_text", "R@1"] == pytest.approx(1 / (captions + 1))
    results = read_results(tmp_path / "out")
    assert {s.n for s in results.scores if s.task == "video_to_text"} == {6}
    assert {s.n for s in results.scores if s.task == "text_to_video"} == {captions}
    assert results.provenance["evaluated"]["task"] == "ssv2-label" and results.provenance["protocol"] == "default"
    written = read_manifest(tmp_path / "out" / "manifest.jsonl")
    assert len(written) == 7 and all(Path(s.video).is_absolute() and s.source == "ssv2-label" for s in written)


def test_a_gallery_without_any_clip_is_an_error(evaluate, tmp_path):
    path = tmp_path / "ssv2_ret_label_val_small.json"
    path.write_text(json.dumps([{"video": "gone.mp4", "caption": "a"}, {"video": "away.mp4", "caption": "b"}]))
    status, _, err = evaluate(path)
    assert status == 1 and "none of the 2 clips" in err and "--videos" in err


def test_duplicate_captions_are_one_candidate_with_several_right_clips(evaluate, clips, tmp_path):
    videos, rows = clips
    path = tmp_path / "label.json"
    path.write_text(
        json.dumps([{"video": name, "caption": f"caption {i // 2}"} for i, (name, *_) in enumerate(rows[:6])])
    )
    status, out, _ = evaluate(path, "--task", "ssv2-label", "--videos", videos)
    assert status == 0 and "6 of 6 clips share their caption with another one (3 captions)" in out
    found = scores_of(tmp_path / "out")
    assert found["chance", "text_to_video", "R@1"] == pytest.approx(2 / 6)
    assert found["chance", "text_to_video", "R@5"] == 1, "two of six clips are right: five hold one"
    assert {s.n for s in read_results(tmp_path / "out").scores if s.task == "text_to_video"} == {3}
    assert "clips share their caption" in (tmp_path / "out" / "report.html").read_text()


def test_labels_without_clips_and_clips_without_labels(evaluate, clips, tmp_path):
    videos, rows = clips
    names = list(Counter(template for *_, template in rows))
    assert len(names) > 3
    path = tmp_path / "validationSet.csv"
    path.write_text("".join(f"{name},{template.replace(' ', '+')},3,0\n" for name, _, template in rows))
    labels = tmp_path / "categories.txt"
    labels.write_text("\n".join([*names[1:], "", names[1], "sneezing"]) + "\n")
    status, out, _ = evaluate(path, "--videos", videos, "--labels", labels, "--prompts", "ensemble", "--per-action")
    assert status == 0
    left = sum(template == names[0] for *_, template in rows)
    assert f"not scored: {left} of moments (video_to_action): its label is not in the list of labels" in out
    assert "not scored: 2 of moments (labels): label cannot be used" in out and '("sneezing")' in out
    results, found = read_results(tmp_path / "out"), scores_of(tmp_path / "out")
    assert found["chance", "video_to_action", "R@1"] == pytest.approx(1 / len(names))
    assert {s.n for s in results.scores if (s.task, s.metric) == ("video_to_action", "R@1")} == {len(rows) - left}
    assert ("backbone", f"video_to_action:{names[1]}", "R@1") in found
    assert f"worst of {len(names) - 1} actions" in out or f"{len(names) - 1} actions, R@1" in out
    assert len(results.provenance["prompts"]) == 7 and results.provenance["labels"]["count"] == len(names)


def test_questions_with_their_groups_and_the_hard_ones(evaluate, clips, tmp_path):
    videos, rows = clips
    path = tmp_path / "val.csv"
    captions = list(dict.fromkeys(caption for _, caption, _ in rows))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        for i, (name, caption, _) in enumerate(rows[:8]):
            choices = [caption, *[other for other in captions if other != caption][:4]]
            writer.writerow([Path(name).stem, 9, 64, 64, "what happens?", 0, i, "CW" if i % 2 else "TN", *choices])
        writer.writerow([Path(rows[0][0]).stem, 9, 64, 64, "why?", 0, 99, "CH", "a", "b", "c", "d", ""])
    hard = tmp_path / "hard.txt"
    hard.write_text(f"{Path(rows[1][0]).stem}_1\nnobody_7\n")
    status, out, _ = evaluate(path, "--videos", videos, "--hard", hard, "--question-text", "{choice}")
    assert status == 0 and "not scored: 1 of nextqa (all): row cannot be used" in out and "a4: got nothing" in out
    assert "not scored: 1 of nextqa (questions:hard): no sample of this id of the hard subset" in out
    results = read_results(tmp_path / "out")
    sizes = {s.task: s.n for s in results.scores if s.model == "backbone"}
    assert sizes == {
        "questions": 8, "questions:causal": 4, "questions:temporal": 4, "questions:TN": 4, "questions:CW": 4,
        "questions:hard": 1,
    }  # fmt: skip
    assert {s.value for s in results.scores if s.model == "chance"} == {0.2}
    assert all(word in out for word in ("questions", "causal", "temporal", "hard", "guessing"))
    assert "Every kind of question" in (tmp_path / "out" / "report.html").read_text()


def test_methods_put_the_backbone_beside_a_patched_model(evaluate, tiny_manifest, patcher, tmp_path):
    every = ("plain", "softmax-sum", "score-sum", "two-step")
    models = ("backbone", f"mine={patcher}")
    status, out, _ = evaluate(
        tiny_manifest, "--models", *models, "--methods", *every, "--tasks", "video_to_text", "--top", 3
    )
    assert status == 0 and "score-sum of mine:" in out and "of the backbone, by" in out
    results = read_results(tmp_path / "out")
    names = {"backbone", "mine", *(f"mine [{kind}]" for kind in every[1:])}
    assert {row.model for row in read_rows(tmp_path / "out")} == names == set(results.provenance["models_on"])
    assert "mine [softmax-sum]" in out, "names are no markup"
    weight = results.provenance["weight"]["mine"]
    plain, summed = scores_of(tmp_path / "out"), "mine [score-sum]"
    status, _, _ = evaluate(
        tiny_manifest, "--models", *models, "--methods", "score-sum", "--tasks", "video_to_text", "--weight", weight
    )
    again = scores_of(tmp_path / "out")
    assert again[summed, "video_to_text", "R@1"] == plain[summed, "video_to_text", "R@1"], "the weight that is recorded"


def test_names_and_choices_that_cannot_be_meant(evaluate, tiny_manifest, patcher, tmp_path):
    for arguments, said in (
        (("--task", "nexqa"), "did you mean 'nextqa'"),
        (("--methods", "two-stepp"), "did you mean 'two-step'"),
        (("--tasks", "video_to_txt"), "did you mean 'video_to_text'"),
        (("--protocol", "papr"), "did you mean 'paper'"),
        (("--prompts", "ensembel"), "did you mean 'ensemble'"),
        (("--prompts", "a video of {} and {}"), "one {}"),
        (("--question-text", "{query}"), "question text"),
        (("--methods", "score-sum", "--weight", "some"), "expected a number or val"),
        (("--methods", "score-sum", "--protocol", "paper"), "use softmax-sum"),
        (("--methods", "score-sum", "--split", "val"), "--weight 0.5"),
    ):
        status, _, err = evaluate(tiny_manifest, *arguments)
        assert status == 1 and said in err, (arguments, err)
    status, _, err = evaluate(tiny_manifest, "--models", "same=backbone", f"same={patcher}")
    assert status == 1 and "two models called 'same'" in err


def test_the_run_can_be_reported_again_and_evaluated_as_a_manifest(evaluate, clips, tiny_manifest, tmp_path, capsys):
    samples = [s for s in read_manifest(tiny_manifest) if s.split == "test"][:6]
    path = tmp_path / "six.jsonl"
    write_manifest(path, samples)  # its videos are not beside it
    status, _, err = evaluate(path)
    assert status == 1 and "none of the 6 clips" in err
    status, _, _ = evaluate(path, "--videos", tiny_manifest.parent, "--tasks", "antonym", "text_to_video")
    assert status == 0
    first = scores_of(tmp_path / "out")
    status, _, _ = evaluate(tmp_path / "out" / "manifest.jsonl", "--tasks", "antonym", "text_to_video")
    assert status == 0 and scores_of(tmp_path / "out") == first
    assert main(["report", str(tmp_path / "out")]) == 0 and "the page" in capsys.readouterr().out


def test_labels_of_another_set_and_a_weight_chosen_on_what_is_scored_are_refused(
    evaluate, tiny_manifest, patcher, tmp_path
):
    others = tmp_path / "labels.txt"
    others.write_text("sneezing\nclapping\n")
    status, _, error = evaluate(tiny_manifest, "--labels", others)
    assert status == 1 and "none of the 2 labels" in error and "give the list of this set" in error
    mixed = ("--models", patcher, "--methods", "score-sum", "--split", "val")
    status, _, error = evaluate(tiny_manifest, *mixed, "--val", tiny_manifest)
    assert status == 1 and "flatters the model" in error
    status, _, error = evaluate(tiny_manifest, *mixed, "--weight", "nan")
    assert status == 1 and "got weight nan" in error
    for name in ("chance", "kp [plain]"):
        status, _, error = evaluate(tiny_manifest, "--models", f"{name}={patcher}")
        assert status == 1 and "which results keep for themselves" in error


def test_a_backbone_that_no_method_applies_to_is_said_to_be_scored_plain(evaluate, tiny_manifest, patcher):
    status, out, _ = evaluate(tiny_manifest, "--methods", "softmax-sum", "--tasks", "questions")
    assert status == 0 and "backbone is scored plain" in out


def test_two_steps_over_fewer_candidates_than_it_orders_again_are_said_to_be_plain(evaluate, tiny_manifest, patcher):
    given = ("--models", patcher, "--methods", "two-step", "--tasks", "questions")
    assert "questions has 5 candidates" in evaluate(tiny_manifest, *given)[1]
    assert "the same as plain" not in evaluate(tiny_manifest, *given, "--top", "2")[1]


def test_every_control_for_every_task(evaluate, tiny_manifest, patcher, tmp_path):
    tasks = ["antonym", "reversal", "twins", "text_to_video", "video_to_action", "questions"]
    status, printed, _ = evaluate(
        tiny_manifest, "--models", "backbone", patcher, "dummy:oracle", "--tasks", *tasks, "--controls", "all"
    )
    assert status == 0
    asked = {(s.model, s.task.partition(":")[0], s.control) for s in read_results(tmp_path / "out").scores}
    for model in ("backbone", "patcher", "dummy:oracle"):
        controls = {(task, control) for name, task, control in asked if name == model}
        assert controls == {(task, control) for task in tasks for control in MEASURED if control != ANTONYM_SAID} | {
            ("reversal", ANTONYM_SAID)
        }
    assert "Blind Gap" in printed and "Visual Gain" in printed and "Order Gain" in printed
    strata = read_strata(tmp_path / "out")
    assert {row.id.removesuffix("#reversed") for row in read_rows(tmp_path / "out")} <= strata.keys()


def test_what_a_control_needs_is_said(evaluate, tiny_manifest):
    status, _, said = evaluate(tiny_manifest, "--tasks", "antonym", "--controls", "antonym_said")
    assert status == 1 and "got the control antonym_said without the task reversal" in said
    status, _, said = evaluate(tiny_manifest, "--controls", "blnd")
    assert status == 1 and "unknown control 'blnd' (did you mean 'blind'?)" in said


def test_dummies_alone_read_no_video(tiny_manifest, tmp_path, capsys):
    manifest = tmp_path / "elsewhere.jsonl"
    shutil.copy(tiny_manifest, manifest)
    out = tmp_path / "run"
    names = ["dummy:oracle", "dummy:order-blind"]
    assert main(["probe", str(manifest), "--models", *names, "--out", str(out), "--store", str(tmp_path / "f")]) == 0
    assert not (tmp_path / "f").exists() and "Traceback" not in capsys.readouterr().err
    found = {(s.model, s.data, s.task): s.value for s in read_results(out).scores if s.metric == "accuracy"}
    assert found["dummy:oracle", "world-A", "antonym"] == 1
    assert found["dummy:order-blind", "world-B", "reversal"] == 0.5
    assert main(["probe", str(manifest), "--models", "dummy:orcale"]) == 1
    assert "unknown dummy 'dummy:orcale' (did you mean 'dummy:oracle'?)" in capsys.readouterr().err
