import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from paxion.records import PaxionError
from paxion.report import choose_examples, render_page, write_page
from paxion.report.page import flatten
from paxion.report.plots import accuracy_plot, controls_plot
from paxion.report.table import main_table, percent

VOID = {"meta", "img", "br", "link", "hr", "input"}
PROVENANCE = {
    "paxion": "0.1.0", "date": "2025-06-01T10:00:00+00:00", "command": "paxion quickstart --out results", "missed": [],
    "backbone": {"name": "world", "antonym_cosine": 0.314}, "seeds": [0],
}  # fmt: skip


class Page(HTMLParser):
    """Checks that tags nest, and keeps what the tests ask for."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words, self.ids = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def examples(make_world, draw):
    samples, rows = make_world()
    return choose_examples(rows, samples, lambda data, sample: draw(data + sample.id))


@pytest.fixture(scope="module")
def html(make_scores, examples, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "new" / "report.html"
    write_page(path, scores=make_scores(), provenance=PROVENANCE, examples=examples)
    return path.read_text(encoding="utf-8")


def test_whole_page(make_scores, html):
    scores, page = make_scores(), Page(html)
    assert len(html) < 1_500_000
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.ids) == len(set(page.ids)), "ids of the drawings do not clash"
    assert {a["href"][1:] for a in page.all("a")} <= set(page.ids)
    for data in ("world-A", "world-B"):
        assert data in page.text
        for row in main_table(scores, data):
            assert row.model in page.text
            for cell in filter(None, row.cells):
                assert f"{percent(cell.value)} ± {percent(cell.half)}" in page.text
    assert "No clip was missed." in page.text
    assert "paxion quickstart --out results" in page.text
    assert "backbone.antonym_cosine" in page.text
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    assert len(page.all("caption")) == len(page.all("table")) > 4
    assert all(th.get("scope") for th in page.all("th"))


def test_nothing_is_asked_from_outside(html):
    page = Page(html)
    for _, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "data", "action"):
            if name in attrs:
                assert attrs[name].startswith(("data:image/webp;base64,", "#"))
    assert page.all("script") == [{}] and not page.all("link")
    assert not re.search(r"url\(\s*['\"]?(?!#)", html) and "@import" not in html and "http" not in page.text
    assert "default-src 'none'" in html


def test_sheets_decode_and_have_an_alternative_text(html, examples):
    page = Page(html)
    images = page.all("img")
    assert len(images) == len(examples) == 11
    for attrs, example in zip(images, examples, strict=True):
        image = Image.open(io.BytesIO(base64.b64decode(attrs["src"].split(",")[1])))
        assert image.size == (9 * 64 + 8 * 3, 64) == (int(attrs["width"]), int(attrs["height"]))
        assert example.sample.caption in attrs["alt"]
        assert example.sample.antonym in page.text or example.task == "reversal"
    assert "✓ right" in page.text and "✗ wrong" in page.text and "= tie" in page.text


def test_large_frames_are_shrunk(make_scores, examples, draw):
    large = replace(examples[0], frames=draw("a", 360, 640))
    (image,) = Page(render_page(scores=make_scores(), provenance={}, examples=[large])).all("img")
    assert int(image["width"]) <= 1230
    assert Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))).width == int(image["width"])


def test_fifty_clips_stay_below_three_megabytes(make_world, make_scores, draw):
    samples, rows = make_world(400)
    chosen = choose_examples(rows, samples, lambda data, one: draw(data + one.id, 224, 224), clips=55)
    assert len(chosen) >= 50
    assert len(render_page(scores=make_scores(), provenance={}, examples=chosen)) < 3_000_000


def test_everything_from_the_data_is_escaped(make_score, examples):
    evil = '<script>alert("x")</script>'
    sample = replace(examples[0].sample, caption=evil, antonym=evil)
    page = Page(
        render_page(
            scores=[make_score(evil, "antonym", 0.7, data=evil), make_score("$a_b$", "antonym", 0.7, data=evil)],
            provenance={"command": evil, evil: {evil: evil}, "missed": [{"data": evil, "reason": evil, "count": 3}]},
            examples=[replace(examples[0], sample=sample)],
        )
    )
    assert page.all("script") == [{}], "the page's own, which alone has the digest that the browser is told"
    assert page.text.count(evil) >= 8
    assert "$a_b$" in page.text, "a name is no formula"


def test_plots_have_a_role_a_label_and_every_model(make_scores):
    for plot in (accuracy_plot(make_scores()), controls_plot(make_scores())):
        for svg in (plot.wide, plot.narrow):
            page = Page(svg)
            ((root),) = page.all("svg")
            assert root["role"] == "img" and "patcher" in root["aria-label"] and "84.3 %" in root["aria-label"]
            assert "http" not in svg and "<style" not in svg and "guessing" in page.text
            sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
            assert sizes and min(sizes) >= 9
    text = Page(accuracy_plot(make_scores()).wide).text
    assert all(name in text for name in ("backbone", "patcher-dvdm", "ensemble", "text:best", "world-A", "world-B"))
    assert "last frame only" in Page(controls_plot(make_scores()).wide).text


def test_same_input_same_bytes(html, make_scores, examples):
    assert render_page(scores=make_scores(), provenance=PROVENANCE, examples=examples) == html


def test_missed_clips_are_listed(make_scores):
    missed = [{"data": "world-A", "task": "antonym", "reason": "no such file", "count": 3, "examples": ["a", "b"]}]
    text = Page(render_page(scores=make_scores(), provenance={"missed": missed})).text
    assert "no such file" in text and "a, b" in text and "No clip was missed" not in text


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        (lambda s: s.control == "none", "No control was run"),
        (lambda s: s.data == "world-A", "Only one set of clips"),
        (lambda s: s.model == "backbone", "nothing to compare it with"),
        (lambda s: s.control == "blind", "nothing was scored without a control"),
        (lambda s: s.model.startswith("text:"), "No model that sees clips"),
        (lambda s: False, "Nothing was scored"),
    ],
)
def test_missing_pieces_are_said(make_scores, keep, said):
    text = Page(render_page(scores=[s for s in make_scores() if keep(s)], provenance={})).text
    assert said in text
    assert "No clips were given to show" in text and "has not recorded its command" in text
    assert "has not recorded whether clips were missed" in text


def test_several_seeds_show_their_deviation(make_scores):
    text = Page(render_page(scores=make_scores(seeds=(0, 1, 2)), provenance={})).text
    assert "85.6 ± 2.4 sd 1.3" in text and "means over the training runs" in text


def test_provenance_is_flattened():
    nested = {"a": {"b": {"c": 1}, "d": [1, 2]}, "e": "text", "f": {}}
    assert flatten(nested) == [("a.b.c", "1"), ("a.d", "[1, 2]"), ("e", "text"), ("f", "{}")]
    assert flatten({}) == []


def test_page_that_cannot_be_written(tmp_path, make_scores):
    (tmp_path / "file").write_text("")
    with pytest.raises(PaxionError, match="cannot write"):
        write_page(tmp_path / "file" / "report.html", scores=make_scores(), provenance={})


def test_a_run_without_probes_shows_its_own_tasks_and_nothing_of_probes(make_scores, make_score):
    kept = [score for score in make_scores() if score.task == "video_to_text"]
    parts = [
        replace(make_score(model, f"questions{part}", 0.4), metric="accuracy")
        for model in ("backbone", "fuser")
        for part in ("", ":CW", ":hard")
    ]
    provenance = {"notes": ["two clips share a caption"], "missed": []}
    text = Page(render_page(scores=[*kept, *parts], provenance=provenance)).text
    assert "puts the right caption first for" in text and "answers 40.0 % of the questions right" in text
    assert "two clips share a caption." in text and "Every kind of question on world-A" in text and "CW" in text
    assert "antonym" not in text and "No control was run" not in text and "paxion inspect" in text
