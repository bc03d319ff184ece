"""Published predictions: the layouts as published, written here by hand, through the command line."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from paxion.cli import main
from paxion.evaluation.statistics import estimate
from paxion.results import read_results, read_rows, read_strata


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def values(run: Path) -> dict[tuple[str, str, str], float]:
    return {(score.model, score.task, score.metric): score.value for score in read_results(run).scores}


def missed(run: Path) -> dict[str, tuple[int, list[str]]]:
    return {miss["reason"]: (miss["count"], list(miss["examples"])) for miss in read_results(run).provenance["missed"]}


def rescore(tmp_path: Path, *arguments: object) -> Path:
    out = tmp_path / "run"
    assert main(["rescore", *map(str, arguments), "--out", str(out)]) == 0
    return out


def refused(capsys, *arguments: object) -> str:
    assert main(["rescore", *map(str, arguments)]) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return " ".join(error.split())


def item(question: str, gold: str, said: str, rating: object = None) -> dict[str, object]:
    """As in the published files: the rating is by a match of words or by another model's judgement."""
    found = {"question": question, "gt-answer": gold, "video-llm-prediction": said, "match_success": True}
    return found if rating is None else found | {"rating": rating}


def rated(question: str, gold: str, said: str) -> dict[str, object]:
    return item(question, gold, said, int(said.lower().startswith(gold)))


def twins(both: int, same: int, neither: int, aspect: str = "direction") -> dict[str, object]:
    """So many twins of which both answers are right, the same, or both wrong."""
    content: dict[str, object] = {}
    answers = [("Yes.", "No. It does not.")] * both + [("Yes.", "Yes, it does.")] * same + [("No.", "Yes.")] * neither
    for number, (clip, turned) in enumerate(answers):
        video, question = f"10{number // 2}", f"Is thing {number} rising?"
        for name, gold, said in ((video, "yes", clip), (video + "_reverse", "no", turned)):
            content.setdefault(name, {}).setdefault(aspect, []).append(rated(question, gold, said))
    return content


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((22, 84, 18), (".516", ".177", ".677")),
        ((10, 105, 9), (".504", ".081", ".847")),
        ((1, 121, 2), (".496", ".008", ".976")),
    ],
)
def test_twins_of_tempcompass(tmp_path, counts, expected):
    content = twins(*counts)
    # Another aspect, a clip that was joined, and a question that is right of both are no twins of direction.
    content["100"]["speed"] = [rated("Is it fast?", "yes", "Yes."), rated("Is it slow?", "no", "No.")]
    content["100_reverse"]["speed"] = [rated("Is it fast?", "yes", "No.")]
    content["100_conc_101"] = {"order": [rated("Is thing 0 rising?", "no", "No.")]}
    run = rescore(tmp_path, written(tmp_path / "a-model" / "yes_no.json", content))
    scores = {s.metric: s for s in read_results(run).scores if s.task == "twins"}
    found = tuple(f"{scores[name].value:.3f}"[1:] for name in ("accuracy", "both_right", "same_answer"))
    assert found == expected
    assert {score.n for score in scores.values()} == {124}
    assert {score.model for score in scores.values()} == {"a-model"}
    page = (run / "report.html").read_text()
    assert "a-model is right on both a clip and its reversal in" in page and "Three questions about every" not in page
    by_kind = values(run)
    assert by_kind["a-model", "yes_no:speed", "accuracy"] == pytest.approx(2 / 3)
    assert by_kind["a-model", "yes_no:order", "accuracy"] == 1
    assert read_strata(run)["100/direction/Is thing 0 rising?"] == {"kind": "direction"}


def test_twins_by_aspect_and_intervals_by_source(tmp_path):
    content = twins(3, 5, 2)
    for video, aspects in twins(4, 4, 0, "attribute_change").items():
        content.setdefault(video, {}).update(aspects)
    run = rescore(tmp_path, written(tmp_path / "m" / "yes_no.json", content))
    scores = {(s.task, s.metric): s for s in read_results(run).scores}
    assert (scores["twins:direction", "both_right"].value, scores["twins:direction", "both_right"].n) == (0.3, 10)
    assert scores["twins:attribute_change", "same_answer"].value == 0.5
    assert scores["twins", "both_right"].value == pytest.approx(7 / 18)
    rows = [row for row in read_rows(run) if row.task == "yes_no"]
    found = estimate(np.array([row.credit for row in rows]), [row.group for row in rows])
    assert {row.group for row in rows} == {f"10{i}" for i in range(5)}
    assert scores["yes_no", "accuracy"].low == pytest.approx(found.low)
    # 18 of the 36 are yes; said: yes of every clip but 2, and of all reversals but 7.
    assert scores["yes_no", "answered_first"].value == pytest.approx((16 + 11) / 36)
    assert scores["yes_no", "gold_yes"].value == pytest.approx(16 / 18)
    assert scores["yes_no", "gold_no"].value == pytest.approx(7 / 18)


def test_a_rating_counts_as_published_and_text_is_read_strictly(tmp_path):
    content = {
        "1": {"direction": [item("Up?", "yes", "It seems to rise.", 1), item("Down?", "no", "No.", 0)]},
        "2": {"direction": [item("Up?", "yes", "It might.", 0), item("Down?", "no", "Yes and no.", 0)]},
    }
    file = written(tmp_path / "m" / "yes_no.json", content)
    run = rescore(tmp_path, file)
    assert values(run)["m", "yes_no", "accuracy"] == 0.25
    assert values(run)["m", "yes_no", "unparsed"] == 0.75
    assert "1 ratings of m contradict the answer" in read_results(run).provenance["notes"][0]
    assert missed(run)["m: an answer that cannot be read, its published rating counts"][0] == 3
    run = rescore(tmp_path, file, "--judge", "text")
    assert values(run)["m", "yes_no", "accuracy"] == 0.25
    assert missed(run)["m: an answer that cannot be read, counted as wrong"] == (
        3,
        ["1/direction/Up?", "2/direction/Up?", "2/direction/Down?"],
    )
    assert read_results(run).provenance["protocol"] == "rescored: answers parsed strictly"


def test_place_of_the_right_answer(tmp_path):
    def matching(gold: int, said: str) -> dict[str, object]:
        question = "Which caption fits?\nOption 1: It rises.\nOption 2: It falls."
        return {
            "question": question,
            "answer": f"Option {gold}: It {('rises', 'falls')[gold - 1]}.",
            "prediction": said,
        }

    said = [(1, "Option 1: It rises."), (1, "It rises."), (2, "Option 1"), (2, "option 2."), (2, "Option 1 or 2")]
    content = {f"{n}": {"direction": [matching(gold, text)]} for n, (gold, text) in enumerate(said)}
    found = values(rescore(tmp_path, written(tmp_path / "m" / "caption_matching.json", content)))
    assert found["m", "caption_matching", "gold_1"] == 1
    assert found["m", "caption_matching", "gold_2"] == pytest.approx(1 / 3)
    assert found["m", "caption_matching", "answered_first"] == 0.75
    assert found["m", "caption_matching", "unparsed"] == 0.2


def test_several_models_are_held_to_the_same_questions(tmp_path):
    content = twins(2, 2, 0)
    one = written(tmp_path / "one" / "yes_no.json", content)
    other = dict(content)
    lost = other.pop("100")["direction"]
    run = rescore(tmp_path, one, written(tmp_path / "two" / "yes_no.json", other))
    assert {name for name, _, _ in values(run)} == {"one", "two"}
    assert missed(run)["two: no prediction"][0] == len(lost)
    again = rescore(tmp_path / "again", one)
    assert read_results(again).provenance["manifest"]["hash"] == read_results(run).provenance["manifest"]["hash"]


def test_vilma(tmp_path):
    random = np.random.default_rng(0)
    annotations = {
        f"item-{i}": {
            "youtube_id": f"video-{i // 3}",
            "caption": "it jumps",
            "foils": ["it descends"],
            "linguistic_phenomena": "change-of-state",
            "mturk": {"caption": 2 if i % 5 else 1, "foil": 1},
            "proficiency": {"human": {"caption": 1}},
        }
        for i in range(30)
    }
    scores = {name: {"scores": random.normal([0.5, 0], 1).tolist()} for name in annotations}
    easy = {name: {"scores": random.normal([2, 0], 1).tolist()} for name in annotations}
    kept = [name for i, name in enumerate(annotations) if i % 5]
    file = written(tmp_path / "model.json", scores)
    guide = written(tmp_path / "change-state-action.json", annotations)
    prof = written(tmp_path / "prof" / "model.json", easy)
    run = rescore(tmp_path, file, "--annotations", guide, "--proficiency", prof)
    found, task = values(run), "change-state-action"
    right, passed = ([given[n]["scores"][0] > given[n]["scores"][1] for n in kept] for given in (scores, easy))
    assert found["model", task, "accuracy"] == pytest.approx(np.mean(right))
    assert found["model", f"{task} combined", "accuracy"] == pytest.approx(np.mean(np.logical_and(right, passed)))
    flat = [scores[name]["scores"][place] for place in (0, 1) for name in kept]
    truth = [1] * len(kept) + [0] * len(kept)
    assert found["model", task, "AUROC"] == pytest.approx(roc_auc_score(truth, flat), abs=1e-10)
    assert {row.group for row in read_rows(run)} == {f"video-{i}" for i in range(10)}
    assert missed(run)["model: not validated by people, as in ViLMA's own evaluation (model.json)"][0] == 6
    del scores["item-1"]
    scores["item-2"]["scores"][1] = math.nan
    scores["item-99"] = {"scores": [1.0, 0.0]}
    run = rescore(tmp_path, written(file, scores), "--annotations", guide)
    reasons = {reason.removeprefix("model: "): count for reason, count in missed(run).items()}
    assert reasons["no prediction (model.json)"] == (1, ["item-1"])
    assert reasons["a score that is no finite number (model.json)"] == (1, ["item-2"])
    assert reasons[f"unknown to {guide} (model.json)"] == (1, ["item-99"])
    perplexities = {name: {"scores": [1.0, 2.0]} for name in ("a", "b")}
    low = rescore(tmp_path, written(tmp_path / "p.json", perplexities), "--lower-is-better")
    assert values(low)["p", "vilma", "accuracy"] == 1


def lines(path: Path, samples: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
    return path


def test_lmms_eval_answers(tmp_path):
    def sample(number: int, target: str, said: object) -> dict[str, object]:
        doc = {"video_name": f"v{number // 2}", "candidates": ["it rises", "it falls", "it spins"], "dim": "direction"}
        return {"doc_id": number, "doc": doc, "target": target, "filtered_resps": [said], "acc": 1.0}

    said = [
        ("A", "A"),
        ("B", "(B)"),
        ("C", "The answer is A"),
        ("A", "A. it rises"),
        ("B", "hard to tell"),
        ("C", "it spins"),
    ]
    file = lines(tmp_path / "mymodel" / "20250101_samples_mvbench.jsonl", [sample(i, *s) for i, s in enumerate(said)])
    run = rescore(tmp_path, file)
    found = values(run)
    assert found["mymodel", "mvbench", "accuracy"] == pytest.approx(4 / 6)
    assert found["mymodel", "mvbench", "unparsed"] == pytest.approx(1 / 6)
    assert missed(run)["mymodel: an answer that cannot be read, counted as wrong"] == (1, ["4"])
    assert {row.group for row in read_rows(run)} == {"v0", "v1", "v2"}


def test_lmms_eval_likelihoods(tmp_path):
    def sample(number: int, target: object, *scores: float) -> dict[str, object]:
        return {"doc_id": number, "doc": {}, "target": target, "filtered_resps": [[score, False] for score in scores]}

    samples = [
        sample(0, 0, -1, -2),
        sample(1, 1, -1, -2),
        sample(2, "1", -3, -2),
        sample(3, 0, -2, -2),
        sample(4, 0, -1, math.nan),
    ]
    run = rescore(tmp_path, lines(tmp_path / "m" / "samples_t.jsonl", samples))
    assert [row.credit for row in read_rows(run)] == [1, 0, 1, 0.5]
    assert missed(run)["m: a score that is no finite number (samples_t.jsonl)"] == (1, ["4"])


def table(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_table_of_scores(tmp_path):
    rows = [
        {"id": f"s{i}", "group": f"g{i // 2}", "right": r, "wrong": w, "verb": "fall"}
        for i, (r, w) in enumerate([(1, 0), (0, 1), (2, 2), ("nan", 1), ("", 0)])
    ]
    run = rescore(tmp_path, table(tmp_path / "mine.csv", rows))
    assert values(run)["mine", "predictions", "accuracy"] == 0.5
    assert missed(run)["mine: a score that is no finite number (mine.csv)"] == (2, ["s3", "s4"])
    assert read_strata(run)["s0"] == {"verb": "fall"}


def test_a_table_of_answers_with_twins(tmp_path):
    rows = [
        {"id": "a", "answer": "yes", "prediction": "Yes.", "twin": "", "model": "m"},
        {"id": "b", "answer": "no", "prediction": "Yes.", "twin": "a", "model": "m"},
        {"id": "a", "answer": "yes", "prediction": "Yes.", "twin": "", "model": "n"},
        {"id": "b", "answer": "no", "prediction": "perhaps", "twin": "a", "model": "n"},
    ]
    run = rescore(tmp_path, table(tmp_path / "t.csv", rows))
    assert values(run)["m", "twins", "same_answer"] == 1
    assert values(run)["n", "predictions", "unparsed"] == 0.5


def test_what_is_given_twice_counts_once_or_is_refused(tmp_path, capsys):
    row = {"id": "a", "right": 1, "wrong": 0}
    run = rescore(tmp_path, table(tmp_path / "t.csv", [row, row, {**row, "id": "b"}]))
    assert len(read_rows(run)) == 2
    assert "1 predictions of t are given twice and count once: 'a'" in read_results(run).provenance["notes"][0]
    said = refused(capsys, table(tmp_path / "u.csv", [row, {**row, "right": 2}]))
    assert "1 ids have two different predictions of u (first 'a'), expected one each" in said
    (tmp_path / "j.json").write_text('{"x": {"scores": [1, 0]}, "x": {"scores": [0, 1]}}')
    assert "'x' is there twice with different content" in refused(capsys, tmp_path / "j.json")


def test_a_manifest_says_what_should_be_there(tmp_path, tiny_manifest):
    manifest = tiny_manifest
    ids = [json.loads(line)["id"] for line in manifest.read_text().splitlines()[:6]]
    rows = [{"id": name, "right": 1, "wrong": 0} for name in (*ids[:4], "nobody")]
    run = rescore(tmp_path, table(tmp_path / "t.csv", rows), "--manifest", manifest)
    assert missed(run)["t: an id that the manifest does not have"] == (1, ["nobody"])
    count = len(manifest.read_text().splitlines())
    assert missed(run)["t: no prediction"][0] == count - 4
    assert "verb" in read_strata(run)[ids[0]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.json", {"a": 1}, "is not of a known format, expected one of tempcompass, vilma, lmms-eval, csv"),
        ("x.json", {"1": {"d": [item("q", "maybe", "Yes.")]}}, "none of the 1 predictions can be used, the first"),
    ],
)
def test_files_that_cannot_be_scored(tmp_path, capsys, name, content, said):
    assert said in refused(capsys, written(tmp_path / name, content))


def test_mixed_protocols_and_other_refusals(tmp_path, capsys):
    rating = written(tmp_path / "a" / "yes_no.json", {"1": {"d": [item("q", "yes", "Yes.", 1)]}})
    text = written(tmp_path / "b" / "yes_no.json", {"1": {"d": [item("q", "yes", "Yes.")]}})
    said = refused(capsys, rating, text)
    assert "mixed protocols (yes_no.json of a: published ratings, yes_no.json of b: answers parsed strictly)" in said
    assert main(["rescore", str(rating), str(text), "--judge", "text", "--out", str(tmp_path / "run")]) == 0
    rows = [{"id": "a", "right": 1, "wrong": 0, "protocol": "x"}, {"id": "b", "right": 1, "wrong": 0, "protocol": "y"}]
    assert "mixed protocols (1 of 'x', 1 of 'y')" in refused(capsys, table(tmp_path / "t.csv", rows))
    scores = table(tmp_path / "s.csv", [{"id": "a", "right": 1, "wrong": 0}])
    assert "mixed formats" in refused(capsys, rating, scores)
    assert "unknown format 'vilam' (did you mean 'vilma'?)" in refused(capsys, scores, "--format", "vilam")
    assert "got 1 models for 2 files" in refused(capsys, rating, text, "--models", "m")
    assert "got --annotations, which is for vilma" in refused(capsys, scores, "--annotations", rating)
    assert "cannot read" in refused(capsys, tmp_path / "none.json")
    bad = tmp_path / "bad.csv"
    bad.write_text("id,rigth,wrong\na,1,0\n")
    assert "has the columns id, rigth, wrong, expected id and either right and wrong" in refused(capsys, bad)
    assert "not JSON" in refused(capsys, *[p for p in [tmp_path / "b.json"] if p.write_text("{") or True])


TWO = ("It rises.", "It falls.")


@pytest.mark.parametrize(
    ("name", "options", "gold", "said", "place", "right"),
    [
        ("caption_matching", [f"Sentence {a}: {b}" for a, b in zip("AB", TWO, strict=True)], 1, 0, "gold_2", 0),
        ("caption_matching", [f"Caption {a}: {b}" for a, b in zip("AB", TWO, strict=True)], 0, 0, "gold_1", 1),
        ("caption_matching", [f"Option {a}: {b}" for a, b in zip("12", TWO, strict=True)], 1, 1, "gold_2", 1),
        ("multi-choice", ["A. up", "B. down", "C. left", "D. right"], 3, 3, "gold_4", 1),
    ],
)
def test_every_published_way_to_list_options_is_read(tmp_path, name, options, gold, said, place, right):
    def asked(options: list[str], gold: str, said: str) -> dict[str, str]:
        return {"question": "\n".join(["Which?", *options]), "gt-answer": gold, "video-llm-prediction": said}

    other = asked(["A. up", "B. down", "C. left"], "C. left", "C.")
    content = {"1": {"direction": [asked(options, options[gold], options[said]), other]}}
    found = values(rescore(tmp_path, written(tmp_path / "m" / f"{name}.json", content)))
    assert (found["m", name, "unparsed"], found["m", name, place]) == (0, right)


def test_captions_are_scored_by_their_ratings_and_a_missing_rating_is_counted(tmp_path):
    def judged(rating: object) -> dict[str, object]:
        told = {"chatgpt-answer": "A. up", "video-llm-prediction": "A cup goes up and down.", "gt-answer": "A. up"}
        return told if rating is None else told | {"rating": rating}

    content = {"1": {"direction": [judged(1), judged(0), judged(1), judged(None)]}}
    folder = tmp_path / "model"
    written(folder / "captioning.json", content)
    written(folder / "yes_no.json", {"1": {"direction": [item("Up?", "yes", "Yes.", 1)]}})
    run = rescore(tmp_path, folder)
    assert values(run)["model", "captioning", "accuracy"] == pytest.approx(2 / 3)
    assert values(run)["model", "yes_no", "accuracy"] == 1
    reason = "model: no rating, where ratings count (mixed protocols) (captioning.json)"
    assert missed(run)[reason] == (1, ["1/direction/ (4)"])
