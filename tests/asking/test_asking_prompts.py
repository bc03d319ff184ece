"""Prompts: places are filled once, and other texts are checked before anything is asked."""

from __future__ import annotations

import json

import pytest

from paxion.asking.prompts import OURS, filled, listed, read_prompts
from paxion.records import PaxionError


def test_what_is_filled_in_is_no_place():
    assert filled("{question}\n{options}", question="why {options}?", options="{x} \\1") == "why {options}?\n{x} \\1"
    assert listed(("x", "y")) == "A. x\nB. y"
    with pytest.raises(PaxionError, match="27 options"):
        listed(["x"] * 27)


def test_a_file_changes_what_it_names(tmp_path):
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"yes_no": "Is it {caption}?"}))
    found = read_prompts(path)
    assert found.yes_no == "Is it {caption}?" and found.choice == OURS.choice


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not JSON"),
        ("[]", "got a list"),
        ('{"yesno": "x"}', "did you mean 'yes_no'"),
        ('{"yes_no": "x"}', "expected {caption}, each once"),
        ('{"caption": "{caption}"}', "expected no place"),
        ('{"choice": 3}', "expected a text"),
        ('{"question": "{question} {question} {options}"}', "each once"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, content, why):
    path = tmp_path / "prompts.json"
    path.write_text(content)
    with pytest.raises(PaxionError) as raised:
        read_prompts(path)
    assert why in str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(PaxionError, match="cannot read"):
        read_prompts(tmp_path / "none.json")
