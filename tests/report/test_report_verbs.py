import re
from dataclasses import replace

import pytest

from paxion.report import render_page
from paxion.report.plots import verbs_plot
from paxion.report.verbs import FEWEST, verb_tables


def test_verbs_have_their_accuracy_worst_first(make_world):
    samples, rows = make_world()
    table, _ = verb_tables(rows, samples)
    assert (table.data, table.models, table.tasks) == ("world-A", ("backbone", "patcher"), ("antonym", "reversal"))
    by_hand = {}
    for sample in samples["world-A"]:
        credits = [r.credit for r in rows if (r.id, r.data, r.model, r.task, r.control) == (
            sample.id, "world-A", "patcher", "antonym", "none")]  # fmt: skip
        by_hand.setdefault(sample.verb, []).extend(credits)
    means = {verb: sum(credits) / len(credits) for verb, credits in by_hand.items()}
    assert [line.verb for line in table.lines] == sorted(means, key=lambda verb: (means[verb], verb))
    for line in table.lines:
        assert line.clips == len(by_hand[line.verb]) == 8
        assert line.cells[2].value == pytest.approx(means[line.verb])
        assert line.cells[1].value == 0.5 and line.cells[1].ties == 8, "the backbone ties on every reversal"


def test_rare_verbs_and_clips_without_one_are_counted(make_world):
    samples, rows = make_world()
    changed = [
        replace(sample, verb="rare" if index < FEWEST - 1 else None if index < 10 else sample.verb)
        for index, sample in enumerate(samples["world-A"])
    ]
    (table,) = verb_tables(rows, {"world-A": changed})
    assert (table.rare, table.unnamed) == (1, 10 - FEWEST + 1)
    assert "rare" not in {line.verb for line in table.lines}
    text = re.sub(r"\s+", " ", render_page(scores=[], provenance={}, verbs=[table]))
    assert f"Left out: 1 verb of fewer than {FEWEST} clips, 6 clips without a verb." in text


def test_without_verbs_there_is_no_table_and_no_section(make_world):
    samples, rows = make_world()
    assert verb_tables(rows, {name: [replace(s, verb=None) for s in listed] for name, listed in samples.items()}) == []
    assert verb_tables([], samples) == []
    assert "Which actions?" not in render_page(scores=[], provenance={})


def test_credits_of_several_seeds_are_averaged_by_sample(make_world):
    samples, rows = make_world()
    again = [replace(row, seed=1, credit=1 - row.credit) for row in rows]
    table, _ = verb_tables([*rows, *again], samples)
    assert {cell.value for line in table.lines for cell in line.cells} == {0.5}
    assert {(cell.n, cell.seeds) for line in table.lines for cell in line.cells} == {(8, 2)}


def test_the_plot_shows_the_worst_and_says_how_many_there_are(make_world):
    table = verb_tables(*reversed(make_world()))[0]
    plot = verbs_plot(table, 3)
    assert plot.title == "The 3 of 5 verbs that patcher has least right on world-A, worst first"
    assert all(f"{line.verb} (8)" in plot.wide for line in table.lines[:3])
    assert f"{table.lines[3].verb} (8)" not in plot.wide
