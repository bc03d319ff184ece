import io

import pytest
from rich.console import Console

from paxion.report.table import chance, data_names, look_up, main_table, model_names, print_table


def printed(scores, width=80):
    console = Console(file=io.StringIO(), width=width)
    print_table(console, scores)
    return console.file.getvalue()


def test_rows_are_models_in_order_and_cells_are_their_scores(make_scores):
    rows = main_table(make_scores(), "world-A")
    assert [row.model for row in rows] == [
        "backbone", "patcher-vtc", "patcher-dvdm", "patcher", "fuser", "side-tuning", "ensemble", "text:best",
    ]  # fmt: skip
    assert [round(cell.value, 3) for cell in rows[0].cells] == [0.502, 0.5, 0.951, 0.121, 0.118, 0.052]
    assert rows[-1].cells[1] is None and rows[-1].cells[0].value == 0.513
    assert rows[0].cells[1].ties == 800


def test_best_is_what_prints_highest_among_models_that_see_clips(make_score):
    scores = [
        make_score("backbone", "antonym", 0.50012), make_score("patcher", "antonym", 0.50044),
        make_score("text:best", "antonym", 0.9), make_score("backbone", "object", 0.9),
    ]  # fmt: skip
    backbone, patcher, text = main_table(scores, "world-A")
    assert (backbone.best[0], patcher.best[0], text.best[0]) == (True, True, False)
    assert not backbone.best[2], "alone in its column"


def test_unknown_models_and_data_follow_the_known_ones(make_score):
    scores = [make_score("mine", "antonym", 0.6, data="own"), make_score("backbone", "antonym", 0.5, data="world-B")]
    assert model_names(scores) == ["backbone", "mine"]
    assert data_names(scores) == ["world-B", "own"]


def test_several_seeds_give_mean_and_deviation(make_scores):
    cell = look_up(make_scores(seeds=(0, 1, 2)), "patcher", "world-A", "antonym")
    assert cell.value == pytest.approx(0.843 + 0.013)
    assert cell.deviation == pytest.approx(0.013)
    assert cell.seeds == 3
    assert look_up(make_scores(), "patcher", "world-A", "antonym").deviation is None


def test_chance_is_one_half_or_k_over_the_gallery(make_score):
    scores = [
        make_score("backbone", "text_to_video", 0.1, n=400), make_score("backbone", "video_to_text", 0.1, n=200),
        make_score("backbone", "video_to_action", 0.1), make_score("backbone", "antonym", 0.5),
    ]  # fmt: skip
    assert chance(scores, "world-A", "antonym", "accuracy") == 0.5
    assert chance(scores, "world-A", "text_to_video", "R@1") == 1 / 200, "texts search among the 200 clips"
    assert chance(scores, "world-A", "video_to_text", "R@5") == 5 / 400
    assert chance(scores, "world-A", "video_to_action", "R@1") is None
    given = make_score("chance", "video_to_action", 1 / 38)
    assert chance([*scores, given], "world-A", "video_to_action", "R@1") == pytest.approx(1 / 38)
    assert "chance" not in model_names([*scores, given])


def test_terminal_table_fits_80_columns_and_shows_every_number(make_scores):
    text = printed(make_scores())
    assert max(map(len, text.splitlines())) <= 80
    for expected in ("world-A", "world-B", "84.3 ±2.5", "75.2 ±3.0", "41.2 ±3.4", "patcher-dvdm", "guessing", "800"):
        assert expected in text
    assert "sd" not in text and "…" not in text
    assert "sd 1.3" in printed(make_scores(seeds=(0, 1, 2)))


def test_best_is_bold_in_the_terminal(make_scores):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    print_table(console, make_scores())
    assert "\x1b[1m95.1\x1b[0m" in console.file.getvalue()
    assert "\x1b[1m87.2\x1b[0m" not in console.file.getvalue()


def test_markup_in_names_is_text_and_nothing_to_show_is_said(make_score):
    assert "[bold]x" in printed([make_score("[bold]x", "antonym", 0.6, data="[red]d")])
    assert "[red]d" in printed([make_score("m", "antonym", 0.6, data="[red]d", control="blind")])
    assert "No scores" in printed([])
