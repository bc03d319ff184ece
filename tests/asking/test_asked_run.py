"""A run of `paxion ask` from end to end: what it prints and the folder it writes."""

from __future__ import annotations

import pytest
from answerers import Scripted
from rich.console import Console

from paxion.asked_run import ask_answerers
from paxion.asking.model import Likelihood
from paxion.asking.run import Plan
from paxion.commands import report
from paxion.manifest import read_manifest
from paxion.records import PaxionError
from paxion.results import read_results, read_rows, read_strata

CONTROLS = ("none", "shuffled", "blind")


@pytest.fixture(scope="module")
def plan(tiny_manifest):
    found = [s for s in read_manifest(tiny_manifest) if s.split == "test" and s.antonym and s.choices][:6]
    return Plan(tiny_manifest, {"world": found}, tasks=("antonym", "twins", "reversal", "questions"), controls=CONTROLS)


def test_a_run_is_a_folder_like_any_other(plan, tmp_path, capsys):
    models = [
        Scripted("always-A", lambda clip, prompt: "A"),
        Scripted("rubbish", lambda clip, prompt: "[b] I see", lambda clip, prompt, text: Likelihood(-len(text) / 3, 2)),
    ]
    assert ask_answerers(Console(width=160), models, plan, "test", tmp_path / "cache", tmp_path / "run") == 0
    printed = capsys.readouterr().out
    for told in ("always-A [choice]", "rubbish [likelihood-blind]", "both orders", "unparsed", "cannot be parsed",
                 "Visual Gain of always-A [choice], world: antonym: 0.0", "gives no log-likelihoods"):  # fmt: skip
        assert told in printed
    results, rows, strata = (read(tmp_path / "run") for read in (read_results, read_rows, read_strata))
    assert results.provenance["protocol"] == "ask" and "{options}" in results.provenance["prompts"]["choice"]
    assert set(results.provenance["answerers"]) == {"always-A", "rubbish"}
    assert {score.control for score in results.scores} == set(CONTROLS)
    assert {row.id.removesuffix("#reversed") for row in rows} == set(strata)
    level = next(score for score in results.scores if score.model == "chance")
    always = next(s for s in results.scores if (s.model, s.task, s.metric) == ("always-A [choice]", *KEY))
    assert always.value == pytest.approx(level.value)
    page = tmp_path / "run" / "report.html"
    assert "always-A [choice]" in page.read_text()
    page.unlink()
    assert report(Console(quiet=True), (tmp_path / "run",), None, 2) == 0 and page.is_file()


KEY = ("questions", "accuracy")


def test_the_same_model_twice_is_refused(plan, tmp_path):
    with pytest.raises(PaxionError, match="two models that are called a"):
        ask_answerers(
            Console(quiet=True),
            [Scripted("a"), Scripted("a")],
            plan,
            "test",
            tmp_path / "cache",
            tmp_path / "out",
        )
