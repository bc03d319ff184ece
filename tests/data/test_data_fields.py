import math

import pytest
from annotations import CODE
from hypothesis import given
from hypothesis import strategies as st

from paxion.data.fields import needed_text, phrases, seconds, split_named, strings, text, window
from paxion.data.rows import RowError


def test_text_is_kept_as_written_and_nothing_is_none():
    row = {"a": " x ", "b": "", "c": None, "d": math.nan, "e": 5, "f": " \t"}
    assert [text(row, name) for name in "abcdefg"] == [" x ", None, None, None, "5", None, None]
    with pytest.raises(RowError, match="b: got nothing"):
        needed_text(row, "b")
    for value in (True, 1.5, ["a"], {}):
        with pytest.raises(RowError, match="expected text"):
            text({"a": value}, "a")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12.5", 12.5),
        (3, 3.0),
        ("", None),
        (None, None),
        ("00:01:02.50", 62.5),
        ("1:02", 62.0),
        ("100:00:00", 360000.0),
    ],
)
def test_seconds_are_read_from_numbers_and_clocks(value, expected):
    assert seconds(value, "start") == expected


@pytest.mark.parametrize(
    "value", ["nan", math.nan, "inf", -math.inf, "1e999", "1_0", "00:61:00", "00:00:61", "x", True, [1], 10**400]
)
def test_what_is_no_time_is_refused(value):
    with pytest.raises(RowError, match=r"start: got .*, expected seconds"):
        seconds(value, "start")


def test_windows_are_held_against_the_length_of_the_video():
    assert window(None, None) == (None, None)
    assert window(0.0, 5.0) == (0.0, 5.0)
    assert window(2.0, 10.4, 10.0) == (2.0, 10.0)
    assert window(-0.4, 3.0, 10.0) == (0.0, 3.0)
    for bad in [(-0.1, 2.0, None), (-0.6, 2.0, 10.0), (2.0, 2.0, None), (3.0, 2.0, None), (0.0, 10.6, 10.0)]:
        with pytest.raises(RowError, match="expected"):
            window(*bad)
    # Cut to the video, nothing of it is left.
    for bad in [(10.2, 10.4, 10.0), (10.0, None, 10.0), (None, -0.1, 10.0)]:
        with pytest.raises(RowError, match="expected more than start"):
            window(*bad)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), min_size=1))
def test_lists_are_read_from_lists_and_from_what_python_writes(items):
    assert strings(items, "x") == strings(repr(items), "x") == tuple(items)


def test_empty_lists_are_none():
    assert (
        strings("[]", "x")
        is strings([], "x")
        is strings("", "x")
        is strings(None, "x")
        is strings(math.nan, "x")
        is None
    )


@pytest.mark.parametrize(
    "value",
    [
        CODE,
        f"[{CODE}]",
        "[1, 2]",
        "['a', '']",
        "'a'",
        "{'a': 1}",
        "['a'",
        "[[" * 9000,
        "-" * 9000 + "1",
        "[" + "'a'," * 9000 + "]",
        3,
        [1],
    ],
)
def test_what_is_no_list_of_strings_is_refused_and_never_run(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RowError, match="expected a list of strings"):
        strings(value, "x")
    assert not list(tmp_path.iterdir())


def test_phrases_are_taken_as_the_caption_writes_them():
    assert phrases("Cup falling off a cupboard", ["cup"]) == ("Cup",)
    assert phrases("putting cup onto cup", ["cup", "cup"]) == ("cup", "cup")
    assert phrases("pouring tea into a cup", ["a cup", "tea"]) == ("tea", "a cup")
    assert phrases("pouring tea", ["coffee", ""]) is None
    assert phrases("İ opening a box", ["box"]) == ("box",)


def test_words_for_splits():
    assert [split_named(word) for word in ("Training", "validate", "dev", "test ", "clip")] == [
        "train",
        "val",
        "val",
        "test",
        None,
    ]
