"""Further sections of the page, and one page for several runs: from dummies, whose numbers are known."""

from __future__ import annotations

import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from browser import CHROMIUM, Browser
from paxion.cli import main
from paxion.comparing.runs import runs_of
from paxion.report.sections import sections
from paxion.results import read_results, read_rows, read_strata


@pytest.fixture(scope="module")
def runs(tiny_manifest, tmp_path_factory) -> Path:
    """Two runs on the same clips under several controls, and one on another split."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copy(tiny_manifest, folder / "manifest.jsonl")
    for name, model, split in (("one", "oracle", "test"), ("two", "order-blind", "test"), ("val", "oracle", "val")):
        controls = ["--controls", "none", "blind", "shuffled", "other", "antonym_said"]
        models = ["--models", f"dummy:{model}", "--split", split, "--out", str(folder / name)]
        assert main(["probe", str(folder / "manifest.jsonl"), *models, *controls]) == 0
    return folder


def found(run: Path) -> dict[str, object]:
    results, rows, strata = read_results(run), read_rows(run), read_strata(run)
    listed = sections(results.scores, rows, strata, runs_of(results.provenance, rows, strata, str(run)))
    return {section.name: section for section in listed}


def test_what_is_known_of_a_run_is_in_its_sections(runs):
    held = found(runs / "one")
    assert list(held) == ["twins", "further", "gains", "breakdowns"]
    grid = next(grid for grid in held["twins"].grids if grid.title.startswith("world-A"))
    rows = dict(grid.rows)
    assert grid.heads == ("accuracy", "both right", "same answer", "text", "video", "group")
    assert [entry.value for entry in rows["dummy:oracle"]] == [1, 1, 0, 1, 1, 1]
    assert [entry.text for entry in rows["guessing"]] == ["50.0", "25.0", "50.0", "25.0", "25.0", "16.7"]
    gains = dict(held["gains"].grids[0].rows)
    assert [entry.value for entry in gains["dummy:oracle, antonym"]] == [0, 0.5, 0.5]
    verbs = next(grid for grid in held["breakdowns"].grids if "by verb pair" in grid.title)
    values = [cells[0].value for _, cells in verbs.rows if cells[0].value is not None]
    assert values == sorted(values) and verbs.first == "verb pair"


def test_several_runs_are_one_page_with_their_comparison(runs, capsys):
    out = runs / "both.html"
    assert main(["report", str(runs / "one"), str(runs / "two"), "--out", str(out)]) == 0
    page = unescape(out.read_text())
    words = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "Comparison" in words and "dummy:order-blind against dummy:oracle: worse on" in words
    assert re.search(r"dummy:order-blind, world-A: antonym 100\.0 50\.0 -50\.0", words)
    assert "the page" in capsys.readouterr().out
    assert out.stat().st_size < 3e6


def test_models_of_one_name_are_told_apart_by_their_runs(runs):
    shutil.copytree(runs / "one", runs / "again", dirs_exist_ok=True)
    out = runs / "same.html"
    assert main(["report", str(runs / "one"), str(runs / "again"), "--out", str(out)]) == 0
    page = out.read_text()
    assert "one:dummy:oracle" in page and "again:dummy:oracle" in page


def test_runs_that_were_not_asked_the_same_are_refused(runs, capsys):
    assert main(["report", str(runs / "one"), str(runs / "val"), "--out", str(runs / "x.html")]) == 1
    error = capsys.readouterr().err
    assert "differ in split: test and val" in error and error.count("\n") == 1
    assert not (runs / "x.html").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the path")
def test_the_page_of_several_runs_in_a_browser(runs, tmp_path):
    out = tmp_path / "both.html"
    assert main(["report", str(runs / "one"), str(runs / "two"), "--out", str(out)]) == 0
    with Browser(tmp_path / "profile") as browser:
        browser.open(out)
        count = browser.js("document.querySelectorAll('section#x, table.sortable').length")
        assert count > 6
        table = "document.querySelector('section[aria-labelledby=comparison] table')"
        cells = f"[...{table}.tBodies[0].rows].map((row) => Number(row.cells[3].dataset.value))"
        browser.js(f"{table}.tHead.rows[0].cells[3].querySelector('button').click()")
        values = browser.js(cells)
        assert values == sorted(values, reverse=True) and len(set(values)) > 1
        # Every table says what it is, and every cell of its head what it heads.
        assert browser.js("[...document.querySelectorAll('table')].every((table) => table.caption)")
        assert browser.js("[...document.querySelectorAll('thead th')].every((head) => head.scope)")
        assert browser.complaints == []
        assert {url for url in browser.requests if not url.startswith("data:")} <= {out.resolve().as_uri()}
