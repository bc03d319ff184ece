"""The example in docs/backbones.md, taken from the page and run as a user would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paxion.backbones.load import OPTIONS, SCHEMES, load_backbone
from paxion.cli import main
from paxion.testing import check_encoder

PAGE = Path(__file__).parents[1] / "docs" / "backbones.md"


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    block = re.search(r"```python\n(# my_backbone\.py\n.*?)```", PAGE.read_text(), re.DOTALL)
    assert block
    path = tmp_path_factory.mktemp("example") / "my_backbone.py"
    path.write_text(block[1])
    return path


def test_the_example_is_as_short_as_it_says(example):
    code = [line for line in example.read_text().splitlines() if line.strip() and line[0] not in "#if"]
    assert len(code) <= 20


def test_the_example_keeps_the_contract(example):
    report = check_encoder(load_backbone(f"python:{example}"))
    assert report.failures() == []
    assert len(report.checks) >= 10


def test_the_example_is_checked_probed_and_patched(example, tiny_manifest, tmp_path, capsys):
    name, store = f"python:{example}", str(tmp_path / "store")
    assert main(["check", name]) == 0
    assert "antonym cosine" in capsys.readouterr().out
    probe = ["probe", str(tiny_manifest), "--store", store, "--tasks", "antonym", "reversal"]
    assert main([*probe, "--model", name, "--out", str(tmp_path / "probe")]) == 0
    patcher = tmp_path / "patcher"
    patch = ["patch", str(tiny_manifest), "--backbone", name, "--out", str(patcher), "--store", store]
    assert main([*patch, "--recipe", "patcher-dvdm", "--change.epochs", "1"]) == 0
    # The adapter knows what it was trained on.
    assert main([*probe, "--models", str(patcher), name, "--out", str(tmp_path / "both")]) == 0
    assert main(["check", str(patcher)]) == 0
    assert "Q 8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("per_frame = 64, 48, 49", "per_frame = 64, 48, 0", "gives no tokens, which a patcher reads"),
        ('"1", 8, True', '"1", 1, True', "does not fit random-patches: got 1 frame with difference_tokens"),
    ],
)
def test_what_cannot_be_patched_is_refused_before_it_is_encoded(
    example, tiny_manifest, tmp_path, capsys, old, new, says
):
    changed = tmp_path / "changed.py"
    assert old in example.read_text()
    changed.write_text(example.read_text().replace(old, new))
    store = tmp_path / "store"
    patch = ["patch", str(tiny_manifest), "--backbone", f"python:{changed}", "--out", str(tmp_path / "out")]
    assert main([*patch, "--store", str(store)]) == 1
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and not store.exists()


def test_the_page_names_every_scheme_and_option():
    text = PAGE.read_text()
    for scheme in SCHEMES:
        assert f"`{scheme}" in text
    for option in OPTIONS:
        assert f"`,{option}=" in text
