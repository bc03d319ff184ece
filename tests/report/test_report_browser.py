"""The page in a real browser: tables are ordered, clips are chosen, and nothing is asked from outside."""

import pytest

from browser import CHROMIUM, Browser
from paxion.report import choose_examples, write_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the path")
ROWS = "[...document.querySelectorAll('table.sortable')[0].tBodies[0].rows].map((row) => row.cells[%d].innerText)"
SHOWN = "[...document.querySelectorAll('.card')].filter((card) => card.checkVisibility()).length"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(browser, make_scores, make_world, draw, tmp_path):
    samples, rows = make_world()
    examples = choose_examples(rows, samples, lambda data, sample: draw(data + sample.id))
    path = tmp_path / "report.html"
    write_page(path, scores=make_scores(), provenance={"missed": []}, examples=examples)
    browser.events.clear()
    browser.open(path)
    yield browser
    assert browser.complaints == []
    assert set(browser.requests) <= {path.resolve().as_uri()} | {
        url for url in browser.requests if url.startswith("data:")
    }


def test_a_heading_orders_the_rows_both_ways_and_back(page):
    button = "document.querySelectorAll('table.sortable')[0].tHead.rows[0].cells[1].querySelector('button')"
    given = page.js(ROWS % 0)
    orders = []
    for wanted in ("descending", "ascending", "none"):
        page.js(f"{button}.focus()")
        page.press("Enter")
        assert page.js(f"{button}.parentElement.getAttribute('aria-sort')") == wanted
        orders.append([float(cell.split()[0]) for cell in page.js(ROWS % 1) if cell != "not scored"])
    assert orders[0] == sorted(orders[0], reverse=True) and orders[1] == sorted(orders[1])
    assert len(set(orders[0])) > 2 and page.js(ROWS % 0) == given


def test_names_are_ordered_by_their_letters(page):
    page.js("document.querySelector('table.sortable thead button').click()")
    names = [name.split("\n")[0] for name in page.js(ROWS % 0)]
    assert names == sorted(names, key=str.lower)


def test_clips_are_chosen_by_outcome_and_by_words(page):
    everything = page.js(SHOWN)
    assert page.js("document.getElementById('shown').textContent") == f"{everything} of {everything} clips shown"
    page.js("document.querySelector('#filter select[name=task]').value = 'reversal'")
    page.js("document.querySelector('#filter').dispatchEvent(new Event('input'))")
    turned = page.js("document.querySelectorAll('.card[data-task=reversal]').length")
    assert 0 < page.js(SHOWN) == turned < everything
    page.js("document.querySelector('#filter input').focus()")
    page.write("no caption says this")
    assert page.js(SHOWN) == 0
    assert page.js("document.getElementById('shown').textContent") == f"0 of {everything} clips shown"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_text_has_contrast(page, scheme):
    page.media(prefers_color_scheme=scheme)
    luminance = """(name) => {
      const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
      const parts = [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16) / 255);
      const line = parts.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
      return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2];
    }"""
    paper = page.js(f"({luminance})('--paper')")
    for name in ("--ink", "--faint", "--yes", "--no"):
        ink = page.js(f"({luminance})('{name}')")
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, name


def test_every_control_can_be_reached_and_has_a_name(page):
    named = (
        "[...document.querySelectorAll('button, select, input')].map((e) => e.textContent.trim() || e.labels.length)"
    )
    assert all(page.js(named))
    page.press("Tab")
    assert page.js("document.activeElement.className") == "skip"
