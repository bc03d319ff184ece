"""The whole experiment, small: every file is there, every model is in the table, and nothing is done twice."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.evaluation.chance import action_chance
from paxion.evaluation.twins import TURNED
from paxion.manifest import read_manifest
from paxion.patching.recipes import RECIPES
from paxion.quickstart import SHORTCUT, TRAINED, QuickstartPlan
from paxion.records import PROBES, RETRIEVALS, Sample
from paxion.results import Results, read_results, read_rows

MODELS = {"backbone", "patcher", "patcher-dvdm", "patcher-vtc", "fuser", "side-tuning", "ensemble"}
CONTROLLED = {"backbone", "patcher", "fuser"}


def command(out: Path, weights: Path) -> list[str]:
    sizes = ["--train", "84", "--test", "21", "--epochs", "0.05"]
    return ["quickstart", "--out", str(out), "--backbone", f"world:{weights}", *sizes]


@pytest.fixture(scope="module")
def run(tiny_backbone, tmp_path_factory) -> tuple[Path, Path, float]:
    """A finished run, its backbone, and how long it took."""
    folder = tmp_path_factory.mktemp("quickstart")
    weights = folder / "tiny.safetensors"
    save_world(tiny_backbone, weights, {})
    began = time.perf_counter()
    assert main(command(folder / "run", weights)) == 0
    return folder / "run", weights, time.perf_counter() - began


def test_everything_is_written(run):
    out, *_ = run
    assert {path.name for path in out.iterdir()} >= {"report.html", "results.json", "samples.jsonl", "world", "models"}
    assert {path.name for path in (out / "models").iterdir()} == {*TRAINED, SHORTCUT}
    for name in TRAINED:
        assert {"adapter.json", "adapter.safetensors", "log.jsonl"} <= {
            p.name for p in (out / "models" / name).iterdir()
        }
        assert len((out / "models" / name / "log.jsonl").read_text().splitlines()) == max(
            1, round(0.05 * RECIPES[name].epochs)
        )
    page = (out / "report.html").read_text()
    assert all(name in page for name in MODELS) and "data:image/webp" in page


def test_every_model_is_scored_on_both_worlds(run):
    results = read_results(run[0])
    kinds = {(s.model, s.data, s.task, s.control) for s in results.scores}
    for data in ("world-A", "world-B"):
        for model in MODELS:
            assert {(model, data, task, "none") for task in (*PROBES, *RETRIEVALS)} <= kinds
            controls = {control for name, where, _, control in kinds if (name, where) == (model, data)}
            still = {"first", "middle", "last", "shuffled", "blind"}
            assert controls == {"none", *(still if model in CONTROLLED else ())}
        for model, task in (("text:best", "antonym"), ("text:best", "object"), ("chance", "video_to_action")):
            assert (model, data, task, "none") in kinds
    assert len({(s.model, s.data, s.task, s.control, s.metric) for s in results.scores}) == len(results.scores)
    assert all(0 <= s.low <= s.value <= s.high <= 1 and s.n > 0 and s.seed == 0 for s in results.scores)
    tests = [s for s in read_manifest(run[0] / "world" / "manifest.jsonl") if s.split == "test"]
    assert {row.id.removesuffix(TURNED) for row in read_rows(run[0])} == {sample.id for sample in tests}


def test_what_an_order_blind_backbone_must_score(run):
    for score in read_results(run[0]).scores:
        blind = score.model == "backbone" and score.control in ("none", "shuffled")
        if (score.task, score.metric) == ("reversal", "accuracy") and (blind or score.control in ("middle", "blind")):
            assert (score.value, score.ties) == (0.5, score.n), score


def test_the_provenance_is_enough_to_run_it_again(run):
    found = read_results(run[0]).provenance
    assert (found["seed"], found["patcher_seed"], found["sampler"]) == (0, 0, "midpoint")
    assert found["backbone"]["name"] == "world" and len(found["backbone"]["revision"]) == 12
    assert -1 <= found["backbone"]["antonym_cosine"] <= 1
    assert set(found["recipes"]) == {*TRAINED, SHORTCUT} and found["recipes"]["fuser"]["epochs"] == 1
    assert all(miss["count"] > 0 for miss in found["missed"])
    assert not [miss for miss in found["missed"] if "read" in miss["reason"]]


def scores(results: Results) -> list[object]:
    return sorted(results.scores, key=repr)


def test_a_second_run_reuses_everything_and_a_lost_adapter_is_made_the_same_again(run):
    out, weights, took = run
    before = read_results(out)
    card = json.loads((out / "models" / "fuser" / "adapter.json").read_text())
    assert card["provenance"]["cost"]["steps"] and card["provenance"]["started_from"]["cost"]["steps"]
    del card["recipe"]["texts"]  # as written by a version that did not have the field
    (out / "models" / "fuser" / "adapter.json").write_text(json.dumps(card))
    kept = {
        path: path.stat().st_mtime_ns
        for part in ("world", "features", "models")
        for path in (out / part).rglob("*")
        if path.is_file()
    }
    assert len(kept) > 200
    began = time.perf_counter()
    assert main(command(out, weights)) == 0
    assert time.perf_counter() - began < took / 2
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert scores(read_results(out)) == scores(before)

    # The weights depend on the seed alone, so that the fuser's are those of the first run too.
    (out / "models" / "fuser" / "adapter.json").unlink()
    old = (out / "models" / "fuser" / "adapter.safetensors").read_bytes()
    assert main(command(out, weights)) == 0
    assert (out / "models" / "fuser" / "adapter.safetensors").read_bytes() == old
    untouched = [path for path in kept if path.parent.name != "fuser"]
    assert {path: path.stat().st_mtime_ns for path in untouched} == {path: kept[path] for path in untouched}
    assert scores(read_results(out)) == scores(before)


def test_plans_scale(tmp_path):
    plan = QuickstartPlan(tmp_path)
    assert (plan.world.train, plan.world.val, plan.world.test) == (4000, 300, 600)
    assert plan.recipe("patcher") == RECIPES["patcher"] and plan.training_seed == 0
    small = replace(plan, train=84, seed=3, epochs=0.001)
    assert small.world.val == 21 and small.recipe("patcher").epochs == 1 and small.training_seed == 3
    assert replace(small, patcher_seed=5).training_seed == 5 and replace(small, patcher_seed=0).training_seed == 0


def test_the_chance_of_guessing_an_action():
    def sample(number: int, action: str, template: str) -> Sample:
        return Sample(str(number), "v", "c", "test", "g", action=action, template=template)

    samples = [
        sample(0, "open", "one"),
        sample(1, "open", "two"),
        sample(2, "close", "three"),
        sample(3, "close", "three"),
    ]
    score = action_chance("d", samples, seed=7)[0]
    assert score.value == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 / 3) / 4)
    assert (score.model, score.n, score.seed) == ("chance", 4, 7)


def test_the_world_of_the_run_is_described_where_it_lies(run):
    made = json.loads((run[0] / "world" / "world.json").read_text())
    assert (made["train"], made["test"]) == (84, 21)
