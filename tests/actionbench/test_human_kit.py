import json
from collections import Counter
from dataclasses import replace

import pytest

from paxion.actionbench.human import describe, write_kit
from paxion.actionbench.human_key import key_path, read_key
from paxion.records import PaxionError


@pytest.fixture(scope="module")
def test_samples(tiny_samples):
    return [sample for sample in tiny_samples if sample.split == "test"]


@pytest.fixture(scope="module")
def kit(tmp_path_factory, tiny_manifest, test_samples):
    return write_kit(tmp_path_factory.mktemp("kit") / "kit.html", tiny_manifest, test_samples, n=8, data="tiny")


def test_what_is_asked(kit, test_samples):
    known = {sample.id: sample for sample in test_samples}
    questions = kit.key.questions
    assert Counter(question.task for question in questions) == {"antonym": 8, "reversal": 8, "object": 8}
    assert len({question.group for question in questions}) == 24 and kit.repeats == 0
    for question in questions:
        sample = known[question.sample]
        right, wrong = (question.first, question.second)[:: 1 if question.right == 1 else -1]
        assert (question.caption, question.group) == (sample.caption, sample.group)
        if question.task == "reversal":
            assert (right, wrong) == ("forward", "reversed") and sample.reversible and sample.salient
        else:
            assert (right, wrong) == (sample.caption, sample.antonym if question.task == "antonym" else sample.replaced)
    # The right option is the first in half of the questions of each task.
    assert {Counter(q.right for q in questions if q.task == task)[1] for task in kit.tasks} == {4}
    assert [question.task for question in questions] != sorted(question.task for question in questions)
    assert [question.id for question in questions] == [f"q{number:03}" for number in range(1, 25)]


def test_the_key_lies_beside_the_page_not_in_it(kit, test_samples):
    assert kit.key_path.name == "kit.key.json" and read_key(kit.path) == read_key(kit.key_path) == kit.key
    page = kit.path.read_text()
    assert kit.size == kit.path.stat().st_size
    for question in kit.key.questions:
        assert question.sample not in page and question.group not in page
    shown = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert [set(found) for found in shown["questions"]] == [{"id", "caption", "texts", "note"}] * 24
    for question, found in zip(kit.key.questions, shown["questions"], strict=True):
        texts = None if question.task == "reversal" else [question.first, question.second]
        assert (found["texts"], bool(found["caption"])) == (texts, texts is None)
    assert "http://" not in page and "https://" not in page and " src=" not in page


def test_the_same_input_gives_the_same_files(kit, tmp_path, tiny_manifest, test_samples):
    again = write_kit(tmp_path / "again.html", tiny_manifest, test_samples, n=8, data="tiny")
    assert again.path.read_bytes() == kit.path.read_bytes() and again.key == kit.key
    other = write_kit(tmp_path / "other.html", tiny_manifest, test_samples, n=8, data="tiny", seed=1)
    assert other.key.kit != kit.key.kit
    assert {q.sample for q in other.key.questions} != {q.sample for q in kit.key.questions}


def test_a_shortage_is_shared_and_told(tmp_path, tiny_manifest, test_samples):
    kit = write_kit(tmp_path / "kit.html", tiny_manifest, test_samples, n=50, side=32)
    counts = Counter(question.task for question in kit.key.questions)
    assert max(counts.values()) - min(counts.values()) <= 1
    samples = [question.sample for question in kit.key.questions]
    assert len(samples) == len(set(samples)), "a clip is asked about once"
    groups = len({sample.group for sample in test_samples})
    assert len({question.group for question in kit.key.questions}) == groups
    assert kit.repeats == len(samples) - groups > 0
    text = describe(kit)
    assert "fewer than 50" in text and f"for want of groups: {kit.repeats}" in text


def test_the_same_clip_under_another_id_is_not_asked_about_again(tmp_path, tiny_manifest, test_samples):
    twins = [replace(test_samples[0], id=f"twin{i}", group=f"g{i}") for i in range(4)]
    kit = write_kit(tmp_path / "kit.html", tiny_manifest, twins, n=2)
    assert len(kit.key.questions) == 1


def test_clips_that_do_not_fit_are_left_out(tmp_path, tiny_manifest, test_samples):
    moving = [sample for sample in test_samples if sample.reversible][:5]
    samples = [
        replace(moving[0], salient=False),
        replace(moving[1], reversible=False),
        replace(moving[2], start=0.2, end=0.9),
        replace(moving[3], start=0.25),  # short as well, but only its file tells
        moving[4],
    ]
    kit = write_kit(tmp_path / "kit.html", tiny_manifest, samples, n=5, tasks=["reversal"])
    assert [question.sample for question in kit.key.questions] == [moving[4].id]
    assert kit.passed_over == ((moving[3].id, "its clip of 0.88 s is too short for a reversal question"),)
    bare = [replace(sample, antonym=None, replaced=None) for sample in moving]
    with pytest.raises(PaxionError, match="none of the 5 samples can be asked about"):
        write_kit(tmp_path / "kit.html", tiny_manifest, bare, tasks=["antonym", "object"])


def test_unreadable_clips_are_passed_over_and_told(tmp_path, tiny_manifest, test_samples):
    lost = [replace(sample, video=f"lost/{sample.video}") for sample in test_samples[:6]]
    kit = write_kit(tmp_path / "kit.html", tiny_manifest, lost + test_samples[20:40], n=3)
    assert len(kit.key.questions) == 9 and kit.passed_over
    assert "could not be used" in describe(kit) and "no video file" in describe(kit)
    with pytest.raises(PaxionError, match=r"none of the 6 samples .*no video file"):
        write_kit(tmp_path / "none.html", tiny_manifest, lost, n=3)
    assert not (tmp_path / "none.html").exists()


def test_long_clips_say_that_they_are_cut(tmp_path, tiny_manifest, test_samples):
    kit = write_kit(tmp_path / "kit.html", tiny_manifest, test_samples, n=1, seconds=1.0)
    assert kit.cut == 3 and "Only the middle 1.0 of 1.1 seconds are shown." in kit.path.read_text()


def test_texts_cannot_break_the_page(tmp_path, tiny_manifest, test_samples):
    caption = 'closing </script><script>alert(1)</script> & "it"'
    sample = replace(test_samples[0], caption=caption, antonym="{{ opening }}")
    kit = write_kit(tmp_path / "kit.html", tiny_manifest, [sample], n=1, tasks=["antonym"], data="<b>")
    page = kit.path.read_text()
    assert "<script>alert" not in page and "<b> · " not in page
    shown = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert sorted(shown["questions"][0]["texts"]) == sorted([caption, "{{ opening }}"])


def test_options_out_of_bounds(tmp_path, tiny_manifest, test_samples):
    def make(name="kit.html", **options):
        return write_kit(tmp_path / name, tiny_manifest, test_samples, **options)

    with pytest.raises(PaxionError, match=r"the kit is full: .* of 24 questions take more than 0\.05 MB"):
        make(n=8, megabytes=0.05)
    with pytest.raises(PaxionError, match=r"the kit is full: 3 of 3 questions take more than 0\.05 MB"):
        make(n=1, megabytes=0.05)  # the clips would fit, the page with them does not
    for options in ({"n": 0}, {"side": 8}, {"fps": 0}, {"seconds": 0.5}, {"seconds": float("nan")}, {"megabytes": 0}):
        with pytest.raises(PaxionError, match=f"got {next(iter(options))} .*, expected"):
            make(**options)
    with pytest.raises(PaxionError, match=r"ends in \.html"):
        make("kit.json")
    with pytest.raises(PaxionError, match="did you mean 'antonym'"):
        make(tasks=["antonyms"])
    assert list(tmp_path.iterdir()) == []


def test_keys_that_are_none(kit, tmp_path):
    def read(**changes):
        path = tmp_path / "changed.key.json"
        path.write_text(json.dumps(json.loads(kit.key_path.read_text()) | changes))
        return read_key(path)

    assert read() == kit.key and key_path("a/b.html") == key_path("a/b.key.json")
    question = json.loads(kit.key_path.read_text())["questions"][0]
    for changes, message in (
        ({"format": "other"}, "got format 'other', expected 'paxion human key 1'"),
        ({"questions": []}, "expected a list of questions"),
        ({"questions": [question, question]}, "an id twice"),
        ({"questions": [question | {"right": 3}]}, "right 3"),
        ({"questions": [question | {"task": "text_to_video"}]}, "text_to_video"),
        ({"questions": [question | {"right": "1"}]}, "right: got"),
        ({"questions": ["q001"]}, "expected an object"),
        ({"seed": None}, "seed: expected a whole number"),
    ):
        with pytest.raises(PaxionError, match=message):
            read(**changes)
    for content, message in (("[1]", "got format None"), ("{", "not JSON"), ("[" * 100_000, "not JSON")):
        (tmp_path / "broken.key.json").write_text(content)
        with pytest.raises(PaxionError, match=message):
            read_key(tmp_path / "broken.html")
    with pytest.raises(PaxionError, match=r"cannot read .*nowhere\.key\.json"):
        read_key(tmp_path / "nowhere.html")


def test_a_key_is_not_lost_to_another_kit(tmp_path, tiny_manifest, test_samples):
    def make(seed):
        return write_kit(tmp_path / "kit.html", tiny_manifest, test_samples, n=1, seed=seed)

    kit = make(0)
    assert make(0).key == kit.key
    with pytest.raises(PaxionError, match=r"key of another kit .* give another name"):
        make(1)
    assert read_key(tmp_path / "kit.html") == kit.key and kit.key.kit in kit.path.read_text()


def test_a_manifest_that_cannot_be_read(tmp_path, tiny_manifest, test_samples):
    with pytest.raises(PaxionError, match="cannot read"):
        write_kit(tmp_path / "kit.html", tiny_manifest.parent / "none.jsonl", test_samples, n=1)


def test_the_data_is_named_after_its_source(tmp_path, tiny_manifest, test_samples):
    first, other = test_samples[0], next(s for s in test_samples if s.source != test_samples[0].source)
    for drawn, name in (
        ([first], first.source),
        ([first, other], "manifest"),
        ([replace(first, source=None)], "manifest"),
    ):
        kit = write_kit(tmp_path / f"{len(list(tmp_path.iterdir()))}.html", tiny_manifest, drawn, n=1)
        assert kit.key.data == name
