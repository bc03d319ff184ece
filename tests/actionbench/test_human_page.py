"""The kit in a real browser: real keys are pressed, and what is saved is scored."""

import json
import time
from contextlib import contextmanager

import pytest

from browser import CHROMIUM, Browser
from paxion.actionbench.human import write_kit
from paxion.actionbench.human_score import score_answers

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the path")
READY = "videos.length > 0 && videos.every((video) => video.readyState >= 2 && video.videoWidth > 0)"


@pytest.fixture(scope="module")
def kit(tmp_path_factory, tiny_manifest, tiny_samples):
    samples = [sample for sample in tiny_samples if sample.split == "test"]
    return write_kit(tmp_path_factory.mktemp("kit") / "kit.html", tiny_manifest, samples, n=2, data="tiny")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@contextmanager
def page(browser, kit, **media):
    """The kit in a browser. At the end, the page has complained of nothing and asked for nothing from outside."""
    browser.events.clear()
    browser.media(**media)
    browser.open(kit.path)
    yield
    assert browser.complaints == []
    assert {url for url in browser.requests if not url.startswith("blob:")} == {kit.path.resolve().as_uri()}


def start(browser, name):
    browser.js("document.getElementById('name').value = ''")
    browser.press("Tab")
    assert browser.js("document.activeElement.id") == "name"
    browser.write(name)
    browser.press("Enter")


def answer(browser, key):
    place = browser.js("at")
    browser.until(READY)
    browser.press(key)
    browser.until(f"at !== {place} || !document.getElementById('end').hidden")


def seen(browser):
    """Which section is shown."""
    return browser.js("[...document.querySelectorAll('section')].filter((s) => !s.hidden).map((s) => s.id).join()")


def saved(browser, folder, name):
    """Press S, and give the file that is downloaded."""
    path = folder / name
    path.unlink(missing_ok=True)
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.press("s")
    end = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.02)
    return path


def test_answering_with_the_keyboard(kit, chromium, tmp_path):
    key, count = kit.key, len(kit.key.questions)
    browser = chromium
    with page(browser, kit):
        assert seen(browser) == "start" and "two captions" in browser.js("document.body.innerText")
        browser.press("1")
        assert seen(browser) == "start", "keys that answer do nothing before the start"
        start(browser, " Anna  B/ee ")
        for number, question in enumerate(key.questions[:-1]):
            browser.until(READY)
            assert browser.js("document.activeElement.id") == "prompt"
            assert browser.js("document.getElementById('place').textContent") == f"Question {number + 1} of {count}"
            found = browser.js("videos.map((v) => [v.videoWidth, v.videoHeight, v.duration, v.muted])")
            assert found == [[64, 64, pytest.approx(1.125, abs=0.01), True]] * (1 + (question.task == "reversal"))
            options = browser.js("[...document.querySelectorAll('#options button')].map((b) => b.innerText)")
            if question.task == "reversal":
                assert question.caption in browser.js("document.getElementById('caption').innerText")
            else:
                assert [option.split("\n")[-1] for option in options] == [question.first, question.second]
            # The first is answered wrongly at first, the second never.
            right = "ArrowLeft" if question.right == 1 else "2"
            answer(browser, {0: "0", 1: "n"}.get(number, right))
        assert browser.js("document.getElementById('progress').value") == count - 2
        browser.press("b")
        browser.js("go(0)")
        assert browser.js("document.querySelector('[aria-pressed=true]').dataset.answer") == "0"
        browser.press(str(3 - key.questions[0].right))
        browser.press(str(key.questions[0].right))  # before the next question comes: still an answer to this one
        browser.until("at === 1")
        browser.js(f"go({count - 1})")
        answer(browser, "2" if key.questions[-1].right == 2 else "ArrowLeft")
        assert seen(browser) == "end" and f"{count - 1} of {count}" in browser.js("document.body.innerText")
        path = saved(browser, tmp_path, "answers-Anna-B-ee.json")
        assert browser.js("JSON.parse(document.getElementById('text').value).answers.length") == count - 1
    content = json.loads(path.read_text())
    assert content["person"] == "Anna B/ee" and content["answers"][0]["changes"] == 2
    assert all(0 < row["ms"] < 20_000 for row in content["answers"])
    person = score_answers(key, [path]).people[0]
    assert person.accuracy["all"].value == 1 and person.accuracy["all"].n == count - 1 and person.unanswered == 1


def test_a_closed_tab_loses_nothing(kit, tmp_path):
    with Browser(tmp_path / "profile") as browser, page(browser, kit):
        start(browser, "AB")
        answer(browser, "1")
        answer(browser, "2")
        browser.open(kit.path)
        assert browser.js("[answers.size, document.getElementById('name').value]") == [0, "AB"]
        assert "2 of 6 answers of AB are kept" in browser.js("document.getElementById('kept').textContent")
        start(browser, "ab")
        assert browser.js("[at, answers.size]") == [2, 2]
        answer(browser, "0")
    with Browser(tmp_path / "profile") as browser, page(browser, kit):  # the browser was closed
        start(browser, "AB")
        assert browser.js("[at, answers.size]") == [3, 3]
        browser.press("Escape")
        browser.js("window.confirm = () => false")
        start(browser, "CD")
        assert browser.js("[at, answers.size]") == [0, 0], "another person starts anew"
        answer(browser, "1")
        browser.press("Escape")
        browser.js("window.confirm = () => true")
        start(browser, "CDE")
        assert browser.js("[person, at, answers.size, keptAnswers('CDE').size]") == ["CDE", 1, 1, 1], "a name put right"
        path = saved(browser, tmp_path, "answers-CDE.json")
    assert [row["answer"] for row in json.loads(path.read_text())["answers"]] == [1]


def test_playing(kit, chromium):
    browser = chromium
    with page(browser, kit):
        start(browser, "player")
        reversal = next(i for i, question in enumerate(kit.key.questions) if question.task == "reversal")
        browser.js(f"go({reversal})")
        browser.until(f"{READY} && videos.every((video) => !video.paused)")
        browser.until("videos.every((video) => video.ended)")
        browser.until("videos.every((video) => !video.ended && video.currentTime < 0.9)")  # a round later
        browser.press(" ")
        assert browser.js("videos.every((video) => video.paused) && !playing")
        assert "Play" in browser.js("document.getElementById('play').innerText")
        browser.press("r")
        browser.until("videos.every((video) => !video.paused && video.currentTime > 0.1)")
        # What one clip shows at first, the other shows at last.
        script = """new Promise(async (done) => {
          const shot = async (video, time) => {
            await new Promise((seeked) => { video.onseeked = seeked; video.currentTime = time; });
            const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
            const pen = canvas.getContext("2d");
            pen.drawImage(video, 0, 0);
            return pen.getImageData(0, 0, 64, 64).data;
          };
          toggle();
          const differ = (a, b) => a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
          const [one, other] = videos;
          const first = await shot(one, 0.01);
          done([differ(first, await shot(other, other.duration - 0.02)), differ(first, await shot(other, 0.01))]);
        })"""
        same, apart = browser.js(script)
        assert apart > 2 * same


def test_little_motion_and_dark(kit, chromium):
    browser = chromium
    with page(browser, kit, prefers_reduced_motion="reduce", prefers_color_scheme="dark"):
        assert browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(21, 22, 26)"
        assert "press Space to play" in browser.js("document.body.innerText")
        start(browser, "calm")
        browser.until(READY)
        assert browser.js("videos.every((video) => video.paused && video.currentTime === 0)")
        browser.press(" ")
        browser.until("videos.every((video) => video.ended) && !playing")
        time.sleep(0.8)
        assert browser.js("videos.every((video) => video.ended)"), "it is not repeated"
        # Buttons work by keyboard too, and each has a name.
        assert browser.js("[...document.querySelectorAll('button')].every((button) => button.textContent.trim())")
        for _ in range(10):
            browser.press("Tab")
            if browser.js("document.activeElement.dataset.answer") == "2":
                break
        browser.press(" ")
        browser.until("at === 1")
        assert browser.js("answers.get('q001').answer") == 2


def test_a_browser_that_keeps_nothing_says_so(kit, chromium):
    browser = chromium
    forget = "Storage.prototype.setItem = Storage.prototype.getItem = () => { throw new Error('no storage'); };"
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=forget)
    with page(browser, kit):
        assert "does not keep answers" in browser.js("document.body.innerText")
        start(browser, "AB")
        answer(browser, "1")
        assert browser.js("answers.size") == 1
    browser.call("Page.removeScriptToEvaluateOnNewDocument", **script)
