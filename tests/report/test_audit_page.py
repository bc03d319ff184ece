"""The page of an audit: whole, escaped, readable without a network."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from paxion.actionbench.audit import audit
from paxion.records import PaxionError, Sample
from paxion.report.audit_page import GLOSSES, REMEDIES, bars, marked, render_audit, write_audit, write_audit_page


def rows(n=80, evil=""):
    """Foils that swap "to" for "from", most often this way round."""
    out = []
    for i in range(n):
        a, b = ("to", "from") if i % 16 else ("from", "to")
        text = f"moving it {{}} thing{i}{evil}"
        out.append(Sample(f"r{i}", "v", text.format(a), "test", f"g{i}", antonym=text.format(b), source=f"set{evil}"))
    return out


class Tags(HTMLParser):
    VOID = ("meta", "br", "line")

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.outside = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href") and not value.startswith("#")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.outside == []
    return tags


def test_the_page_says_what_was_found():
    result = audit(rows())
    page = render_audit(result, {"file": "pairs.jsonl", "command": "paxion audit pairs.jsonl", "date": "2026-11-24T08"})
    parsed(page)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.replace("\N{NO-BREAK SPACE}", " ")))
    assert result.verdict in text
    assert result.worst in text
    for finding in result.findings:
        assert finding.sentence in text
    assert "to → from" in text
    assert "paxion audit pairs.jsonl" in text
    assert "pairs.jsonl" in text
    assert "2026-11-24" in text
    assert "<mark>from</mark>" in page
    assert REMEDIES["one-way substitutions"] in text
    assert render_audit(result) == render_audit(result)


def test_what_the_data_say_stays_text():
    page = render_audit(audit(rows(evil="<script>alert(1)</script>&")), {"file": "<img src=x>"})
    tags = parsed(page)
    assert "script" not in tags.seen
    assert "img" not in tags.seen
    assert "&lt;script&gt;" in page


def test_the_first_line_is_the_one_that_counts():
    result = audit(rows())
    lines = bars(result)
    assert lines[0].found == result.separability.nested
    assert [line.name for line in lines if line.kind == "lean"] == [result.separability.best]
    values = [line.found.value for line in lines[1:]]
    assert values == sorted(values, reverse=True)
    # Of a scorer and its opposite only the better one is shown.
    assert len({line.name.removesuffix("-opposed") for line in lines}) == len(lines)
    assert all(line.gloss for line in lines)
    assert set(result.separability.scorers) < set(GLOSSES)


@pytest.mark.parametrize("change", [{}, {"antonym": None}])
def test_too_few_pairs_make_a_page_as_well(change):
    result = audit([replace(row, **change) for row in rows(5)])
    page = render_audit(result)
    parsed(page)
    assert "Cannot tell" in page
    assert "there is no number" in page


def test_marks_are_whole_words_and_longest_first():
    assert marked("Out of it & cut out of", ["out", "out of"]) == "<mark>Out of</mark> it &amp; cut <mark>out of</mark>"
    assert marked("<b>", []) == "&lt;b&gt;"
    assert marked("pick-up up", ["pick up"]) == "<mark>pick-up</mark> up"


def test_files(tmp_path):
    result = audit(rows())
    write_audit(tmp_path, result, {"file": "x.jsonl"})
    found = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    assert (found["provenance"], found["verdict"]) == ({"file": "x.jsonl"}, result.verdict)
    assert (tmp_path / "audit.html").read_text(encoding="utf-8") == render_audit(result, {"file": "x.jsonl"})
    (tmp_path / "file").write_text("")
    with pytest.raises(PaxionError, match="cannot write"):
        write_audit_page(tmp_path / "file" / "audit.html", result)
