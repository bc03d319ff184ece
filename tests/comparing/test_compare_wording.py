"""What a comparison says in the terminal and in Markdown."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from paxion.comparing.comparison import Comparison, Line, Paired, StratumLine
from paxion.comparing.files import markdown
from paxion.comparing.tables import SHOWN, print_comparison
from paxion.comparing.wording import asked, conclusions, probability, signed

BETTER = Paired(0.5, 0.9, 0.4, 0.3, 0.5, 100, 50, 0.00005, 0.0001, 1e-12, 0.1)
WORSE = replace(BETTER, difference=-0.4, low=-0.5, high=-0.3)
SAME = replace(BETTER, difference=0.0, low=0.0, high=0.0, p=1.0, holm=1.0, detectable=None)
LINE = Line("model", "set", "antonym", "none", "accuracy", BETTER, (), (), (1, 1))
LINES = (
    LINE,
    replace(LINE, task="object", paired=WORSE),
    replace(LINE, task="text_to_video", metric="R@1", paired=SAME),
    replace(LINE, control="blind", paired=WORSE),
    replace(LINE, model="[red]other", paired=SAME),
)
FOUND = Comparison("base|line", ("model", "[red]other"), LINES, None, 3, (), ("a note",))


def printed(comparison):
    console = Console(file=io.StringIO(), width=80)
    print_comparison(console, comparison)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("p", "shown"), [(1.0, "1"), (0.99996, "1"), (0.5, ".5000"), (0.00006, ".0001"), (0.00004, "<.0001"), (0, "<.0001")]
)
def test_p_values_are_as_long_as_is_worth_reading(p, shown):
    assert probability(p) == shown


def test_what_rounds_to_nothing_has_no_sign():
    assert [signed(value) for value in (0.0004, -0.0004, 0.0006, -0.0006)] == ["0.0", "0.0", "+0.1", "-0.1"]


def test_each_model_is_judged_by_holms_p_without_the_controls():
    assert conclusions(FOUND) == [
        "set: model against base|line: better on antonym; worse on object; no difference found on text to video R@1.",
        "set: [red]other against base|line: no difference found on antonym.",
    ]
    assert conclusions(replace(FOUND, lines=(replace(LINE, control="blind"),))) == [
        "set: model against base|line: better on antonym (blind)."
    ]


def test_the_tables_fit_and_say_all_names_as_they_are():
    shown = printed(FOUND)
    tables = shown.partition("a note")[0]
    assert max(len(line.rstrip()) for line in tables.splitlines()) <= 80
    assert "[red]other against base|line" in shown and "+40.0 ±10.0" in shown and "(seed 3)" in shown
    assert "all 5 lines" in " ".join(shown.split())


def test_strata_that_are_not_shown_are_counted():
    strata = tuple(StratumLine(f"verb-{i}", SAME) for i in range(SHOWN + 2))
    shown = printed(replace(FOUND, lines=(replace(LINE, strata=strata),), by="verb"))
    assert f"verb-{SHOWN - 1}" in shown and f"verb-{SHOWN} " not in shown and "2 more are in comparison.json" in shown
    text = markdown(replace(FOUND, lines=(replace(LINE, strata=strata),), by="verb"))
    assert f"| verb-{SHOWN + 1} |" in text


def test_markdown_keeps_its_columns_whatever_the_names():
    rows = [line for line in markdown(FOUND).splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1 and len(rows) == 2 + len(LINES)
    assert "\\[red\\]other" in rows[-1]


def test_a_line_says_its_control_and_the_metric_of_retrieval():
    assert [asked(line) for line in LINES[2:4]] == ["text to video R@1", "antonym (blind)"]
