"""The folder for lmms-eval: loaded by lmms-eval itself where it is installed, and without it by what it consists of."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from paxion.cli import main
from paxion.exporting.lmms_eval import export_lmms_eval
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.records import PaxionError
from paxion.video.decode import read_clip

TASKS = ("paxion_antonym", "paxion_object", "paxion_reversal")


@pytest.fixture(scope="module")
def small(tiny_manifest, tmp_path_factory) -> Path:
    """Eight test clips of the tiny world: one a window, one without a file, one not reversible, all with foils."""
    rows = [row for row in read_manifest(tiny_manifest) if row.split == "test" and row.antonym and row.replaced][:8]
    rows = [replace(row, video=str(video_path(tiny_manifest, row)), reversible=None) for row in rows]
    rows[1] = replace(rows[1], start=0.25, end=1.0)
    rows[2] = replace(rows[2], video="gone.mp4")
    rows[3] = replace(rows[3], reversible=False)
    path = tmp_path_factory.mktemp("small") / "manifest.jsonl"
    write_manifest(path, rows)
    return path


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("lmms") / "tasks"
    assert main(["export", "lmms-eval", str(small), "--out", str(out), "--seed", "1"]) == 0
    return out


@pytest.fixture(scope="module")
def functions(folder):
    spec = importlib.util.spec_from_file_location("exported_functions", folder / "utils.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def docs_of(folder: Path, task: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"paxion_{task}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("task", ["antonym", "object"])
def test_both_orders_of_every_choice_are_asked_and_the_missing_clip_is_named(folder, small, functions, task):
    docs = docs_of(folder, task)
    foil = {"antonym": "antonym", "object": "replaced"}[task]
    expected = {row.id: (row.caption, getattr(row, foil)) for row in read_manifest(small) if row.video != "gone.mp4"}
    assert len(docs) == 14 and {doc["pair"] for doc in docs} == set(expected)
    for doc in docs:
        caption, wrong = expected[doc["pair"]]
        assert (doc["A"], doc["B"]) == ((caption, wrong), (wrong, caption))[doc["half"]]
        assert doc[functions.doc_to_target(doc)] == caption
        assert read_clip(functions.doc_to_visual(doc)[0]).total > 0
        assert f"A. {doc['A']}\nB. {doc['B']}\n" in functions.doc_to_text(doc)
    assert {doc["half"] for doc in docs} == {0, 1} == {doc["half"] for doc in docs[::2]}
    note = json.loads((folder / "export.json").read_text())
    assert len(note["missed"]) == 1 and "gone.mp4" in next(iter(note["missed"].values()))
    assert note["left_out"] == {"reversal: not reversible": 1}


def test_the_reversal_is_the_clip_backwards_and_coded_alike(folder, functions):
    docs = docs_of(folder, "reversal")
    assert len(docs) == 12
    pairs = {doc["pair"]: {} for doc in docs}
    for doc in docs:
        pairs[doc["pair"]][doc["answer"]] = functions.doc_to_visual(doc)[0]
    for pair in pairs.values():
        forward, backward = read_clip(pair["yes"]), read_clip(pair["no"])
        total = forward.total
        assert total == backward.total
        forward, backward = (read_clip(pair[name], frames=total).frames.int() for name in ("yes", "no"))
        # Each frame is coded by itself, at one quantiser: the same picture gives the same pixels in both files.
        assert torch.equal(forward, backward.flip(0)) and not torch.equal(forward, backward)


def test_a_window_is_cut_out(folder, small, functions):
    row = read_manifest(small)[1]
    doc = next(doc for doc in docs_of(folder, "antonym") if doc["pair"] == row.id)
    cut = read_clip(functions.doc_to_visual(doc)[0])
    inside = read_clip(row.video, "endpoints", 2, row.start, row.end).indices
    assert cut.total == inside[1] - inside[0] + 1 < read_clip(row.video).total


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        *((text, "A") for text in ("A", "a", "(A)", "A.", "Answer: A", "The answer is A.", "A. ball up", "Ball up.")),
        *((text, "B") for text in ("B", "**B**", "(b)", "B) ball down", "ball down")),
        *((text, None) for text in ("", "A or B", "AB", "I think A is", "Both", "A. ball down", "ball", "A ball", "C")),
    ],
)
def test_a_letter_is_read_strictly(functions, said, answer):
    assert functions.parse({"task": "antonym", "A": "ball up", "B": "ball down"}, said) == answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        *(("yes", "yes"), ("Yes.", "yes"), ("NO", "no"), ("Answer: no", "no"), ("yes and no", None), ("", None)),
        *(("No idea", None), ("yesterday", None), ("Yes, but backwards", None), ("A", None)),
    ],
)
def test_yes_and_no_are_read_strictly(functions, said, answer):
    assert functions.parse({"task": "reversal"}, said) == answer


def scored(functions, docs, answer) -> dict[str, float]:
    items: dict[str, list] = {}
    for doc in docs:
        for name, item in functions.process_results(doc, [answer(doc)]).items():
            items.setdefault(name, []).append(item)
    how = {"accuracy": functions.mean_score, "unparsed": functions.mean_score, "both_right": functions.both_right}
    how |= dict.fromkeys(("consistent", "same_answer"), functions.agreement)
    how["answered_first"] = functions.answered_first
    return {name: how[name](found) for name, found in items.items()}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda doc: doc["answer"], (1, 1, 1, 0.5, 0)),
        (lambda doc: "BA"[doc["answer"] == "B"], (0, 0, 1, 0.5, 0)),
        (lambda doc: "A", (0.5, 0, 0, 1, 0)),
        (lambda doc: doc["answer"] if doc["half"] else "hm", (0.5, 0, 0, 0, 0.5)),
    ],
)
def test_known_answerers_score_what_they_must(functions, folder, answer, expected):
    names = "accuracy", "both_right", "consistent", "answered_first", "unparsed"
    assert scored(functions, docs_of(folder, "antonym"), answer) == dict(zip(names, expected, strict=True))


def test_a_model_blind_to_order_says_the_same_of_a_clip_and_its_reversal(functions, folder):
    got = scored(functions, docs_of(folder, "reversal"), lambda doc: "yes")
    assert got == {"accuracy": 0.5, "both_right": 0, "same_answer": 1, "answered_first": 1, "unparsed": 0}


def test_half_a_pair_does_not_count_as_a_pair(functions, folder):
    got = scored(functions, docs_of(folder, "antonym")[:3], lambda doc: doc["answer"])
    assert got["both_right"] == 1 and got["accuracy"] == 1
    got = scored(functions, docs_of(folder, "antonym")[:1], lambda doc: doc["answer"])
    assert got["both_right"] != got["both_right"]  # NaN: no pair at all


def test_the_yaml_names_functions_and_data_that_are_there(folder, functions):
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: getattr(functions, node.value.removeprefix("utils.")))
    for task in TASKS:
        config = yaml.load((folder / f"{task}.yaml").read_text(), Loader)
        assert config["task"] == task and config["cluster_key"] == "group"
        assert Path(config["dataset_kwargs"]["data_files"]["test"]) == folder / f"{task}.jsonl"
        doc = docs_of(folder, task.removeprefix("paxion_"))[0]
        metrics = {metric["metric"]: metric["aggregation"] for metric in config["metric_list"]}
        items = config["process_results"](doc, [config["doc_to_target"](doc)])
        assert set(items) == set(metrics) and metrics["accuracy"]([items["accuracy"]]) == 1


def test_lmms_eval_loads_and_scores_the_tasks(folder, tmp_path, monkeypatch):
    for name in ("HF_HOME", "HF_DATASETS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    tasks = pytest.importorskip("lmms_eval.tasks", reason="lmms-eval is not installed", exc_type=ImportError)
    from lmms_eval.evaluator_utils import TaskOutput

    manager = tasks.TaskManager(include_path=str(folder))
    found = tasks.get_task_dict(list(TASKS), manager)
    assert set(found) == set(TASKS)
    for task in found.values():
        documents = list(task.test_docs())
        assert len(documents) in (12, 14)
        output = TaskOutput.from_taskdict(task.config.task, task)
        for doc in documents:
            assert Path(task.doc_to_visual(doc)[0]).is_file() and doc["caption"] in task.doc_to_text(doc)
            for name, item in task.process_results(doc, [task.doc_to_target(doc)]).items():
                output.sample_metrics[name, "none"].append(item)
        output.calculate_aggregate_metric(bootstrap_iters=10)
        output.calculate_clt_aggregate_metric()
        assert output.agg_metrics["accuracy,none"] == output.agg_metrics["both_right,none"] == 1
        assert output.agg_metrics["accuracy_stderr_clustered,none"] == 0
        assert output.agg_metrics["unparsed,none"] == 0


def test_the_same_seed_gives_the_same_files(small, folder, tmp_path):
    export_lmms_eval(small, tmp_path / "again", tasks=["antonym"], seed=1)
    export_lmms_eval(small, tmp_path / "other", tasks=["antonym"], seed=2)
    same, other = ((tmp_path / name / "paxion_antonym.jsonl").read_text() for name in ("again", "other"))
    assert same == (folder / "paxion_antonym.jsonl").read_text() != other
    assert sorted(same.splitlines()) == sorted(other.splitlines())


def test_bad_input_is_one_line_and_leaves_nothing(small, folder, tmp_path, capsys):
    alone = tmp_path / "in" / "manifest.jsonl"
    write_manifest(alone, [replace(read_manifest(small)[0], video="gone.mp4")])
    cases = [
        (["lmms-eval", small, "--out", folder], "not empty"),
        (["lmms-eval", alone, "--out", tmp_path / "out"], "none of the 1 clips can be read"),
        (["lmms-eval", small, "--out", tmp_path / "out", "--split", "val"], "no row of"),
        (["lmms-eval", small, "--out", tmp_path / "out", "--split", "tset"], "did you mean 'test'"),
        (["vlmevalkit", small, "--out", tmp_path / "out", "--tasks", "reversal"], "unknown task"),
        (["dataset", alone, "--out", tmp_path / "out"], "none of the 1 clips can be read"),
    ]
    for arguments, message in cases:
        assert main(["export", *map(str, arguments)]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1 and error.startswith("paxion: ")
        assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_folder_that_is_taken_stays_as_it_is(small, tmp_path):
    (tmp_path / "mine").write_text("text")
    with pytest.raises(PaxionError, match="not empty"):
        export_lmms_eval(small, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
