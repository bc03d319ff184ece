import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.evaluation.ngrams import words
from paxion.evaluation.strata import BANDS, LONGEST, STRATA, length_band, strata_by_id, strata_of, verb_pair
from paxion.records import PaxionError, Sample
from paxion.results import read_strata, write_strata

BARE = Sample("a", "a.mp4", "book falling", "test", "g")
TEXT = st.lists(st.sampled_from(["open", "close", "up", "down", "cup"]), min_size=1, max_size=6).map(" ".join)


def test_absent_facts_are_absent():
    assert strata_of(BARE) == {"caption length": "up to 5 words"}


def test_every_fact_has_its_stratum():
    full = Sample(
        "a", "a.mp4", "a book falling off a table", "test", "g", antonym="a book rising off a table",
        template="something falling off something", verb="fall", salient=False, source="set", kind="TN",
    )  # fmt: skip
    assert strata_of(full) == {
        "verb": "fall",
        "verb pair": "falling / rising",
        "template": "something falling off something",
        "source": "set",
        "salience": "not salient",
        "caption length": "6 to 8 words",
        "kind": "TN",
    }
    assert set(strata_of(full)) == set(STRATA)


@pytest.mark.parametrize(
    ("caption", "antonym", "pair"),
    [
        ("book falling", "book rising", "falling / rising"),
        ("book rising", "book falling", "falling / rising"),
        ("pushing a cup from left to right", "pushing a cup from right to left", "left … right / right … left"),
        ("putting a cup into box", "taking cup out of box", "putting a … into / taking … out of"),
        ("opening a box, closing a bag", "closing a box, opening a bag", "closing … opening / opening … closing"),
        ("Moving it up.", "moving it down", "down / up"),
        ("book falling", "something entirely different", None),
        ("holding a cup", "not holding a cup", None),
        ("holding a cup", "Holding a cup!", None),
    ],
)  # fmt: skip
def test_a_verb_pair_is_what_changed(caption, antonym, pair):
    assert verb_pair(caption, antonym) == verb_pair(antonym, caption) == pair


@given(TEXT, TEXT)
def test_a_verb_pair_has_no_direction_and_no_words_of_its_own(caption, antonym):
    pair = verb_pair(caption, antonym)
    assert pair == verb_pair(antonym, caption)
    if pair is not None:
        assert set(words(pair)) <= set(words(caption)) | set(words(antonym))
        assert len(pair.split(" / ")) == 2


@given(st.integers(0, 60))
def test_every_length_has_one_band(count):
    band = length_band(" ".join(["word"] * count))
    below = [name for longest, name in BANDS if count <= longest]
    assert band == (below[0] if below else LONGEST)


def test_strata_come_back_as_they_were_written(tmp_path):
    strata = strata_by_id([BARE, Sample("b\u2028c", "b.mp4", "x" * 9, "test", "g", verb="é")])
    write_strata(tmp_path, strata)
    assert read_strata(tmp_path) == strata
    assert [path.name for path in tmp_path.iterdir()] == ["strata.jsonl"]
    assert read_strata(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "expected"),
        ("{", "not JSON"),
        ('{"id": "a"}', "expected"),
        ('{"id": 3, "strata": {}}', "expected"),
        ('{"id": "a", "strata": {"verb": 3}}', "expected"),
        ('{"id": "a", "strata": {"verb": ""}}', "expected"),
        ('{"id": "z", "strata": {}}', "the id 'z' is there twice"),
    ],
)
def test_lines_that_are_no_strata_are_refused(tmp_path, line, message):
    (tmp_path / "strata.jsonl").write_text('{"id": "z", "strata": {}}\n' + line + "\n")
    with pytest.raises(PaxionError, match=f"strata.jsonl:2: .*{message}"):
        read_strata(tmp_path)
