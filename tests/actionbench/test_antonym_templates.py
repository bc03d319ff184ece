"""The 174 templates of Something-Something v2: no antonym changes unseen. The list beside this file was read by eye."""

import re
import sys
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.reversals import reversal

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks/antonym_templates.py"
LIST = Path(__file__).with_name("ssv2_templates.txt")
LABELS = ROOT.parent / "shared/corpus/annotations/ssv2_174_templates.txt"
KINDS = ("both are templates", "good", "acceptable", "doubtful", "rightly none", "none yet")


@dataclass(frozen=True)
class Line:
    template: str
    antonym: str | None
    verdict: str
    backwards: str


def read() -> list[Line]:
    rows = [line.split("\t") for line in LIST.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [Line(template, None if other == "-" else other, *rest) for template, other, *rest in rows]


LINES = read()
TEMPLATES = {line.template for line in LINES}


def test_the_list_is_complete_and_at_least_150_have_an_antonym() -> None:
    assert len(LINES) == len(TEMPLATES) == 174
    assert sum(line.antonym is not None for line in LINES) >= 150


@pytest.mark.skipif(not LABELS.is_file(), reason=f"needs {LABELS}")
def test_the_templates_are_those_of_the_label_map() -> None:
    assert [line.template for line in LINES] == LABELS.read_text("utf-8").splitlines()


def test_every_template_gives_the_antonym_that_was_reviewed() -> None:
    changes = []
    for line in LINES:
        got = antonym(line.template)
        assert got.note, line.template
        if got.text != line.antonym:
            changes.append(f"{line.template}\n  reviewed: {line.antonym}\n  now:      {got.text or got.note}")
    assert not changes, "read these, then see benchmarks/antonym_templates.py --update:\n" + "\n".join(changes)


def test_every_template_gives_the_reversal_that_was_reviewed() -> None:
    changes = []
    for line in LINES:
        got = reversal(line.template)
        words = {"=": line.antonym, "same": line.template, "no name": None, "unknown": None}
        expected = words.get(line.backwards, line.backwards)
        reversible = {"same": False, "unknown": None}.get(line.backwards, True)
        if (got.text, got.reversible) != (expected, reversible):
            changes.append(f"{line.template}\n  reviewed: {line.backwards}\n  now:      {got}")
    assert not changes, "read these, then see benchmarks/antonym_templates.py --update:\n" + "\n".join(changes)


def test_every_line_has_a_verdict() -> None:
    for line in LINES:
        kind, _, remark = line.verdict.partition(": ")
        assert kind in KINDS, f"{line.template}: read it and say one of {', '.join(KINDS)}"
        assert remark or kind in ("both are templates", "good", "rightly none"), f"{line.template}: say why"
        assert (line.antonym is None) == (kind in ("rightly none", "none yet")), line
        assert (line.antonym in TEMPLATES) == (kind == "both are templates"), line


def test_templates_that_answer_each_other() -> None:
    answers = {line.template: line.antonym for line in LINES}
    mutual = [one for one, other in answers.items() if other in answers and answers[other] == one]
    assert len(mutual) >= 60, "these make a set in which text alone tells nothing"


# Balls and stones come first, for what else is thrown is not caught.
NAMES = (("a red ball", "the left shoe", "an open box", "wug"), ("stone", "wug", "the closed drawer", "two pull tabs"))


def filled(template: str, objects: tuple[str, ...]) -> str:
    """A label: the template with its slots filled in order, with a capital as it had."""
    names = iter(objects)

    def name(match: re.Match[str]) -> str:
        found = next(names)
        return found[:1].upper() + found[1:] if match[0][0].isupper() else found

    return re.sub(r"[Ss]omething(?! (?:soft|unbendable|wet|similar|else))", name, template)


@pytest.mark.parametrize("objects", NAMES)
def test_labels_are_turned_round_as_their_templates(objects: tuple[str, ...]) -> None:
    wrong = []
    for line in LINES:
        label = filled(line.template, objects)
        named = [name for name in objects if name.casefold() in label.casefold()]
        expected = None if line.antonym is None else filled(line.antonym, objects)
        got = antonym(label, objects=named).text
        if got != expected:
            wrong.append(f"{label}\n  expected: {expected}\n  got:      {got}")
    assert not wrong, "\n".join(wrong)


def load_script() -> ModuleType:
    spec = spec_from_file_location("antonym_templates", SCRIPT)
    assert spec is not None and spec.loader is not None
    sys.modules["antonym_templates"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(capsys: pytest.CaptureFixture[str]) -> None:
    script = load_script()
    script.main(script.Plan())
    assert capsys.readouterr().out == (ROOT / "docs/ssv2_templates.md").read_text("utf-8"), (
        "write it again: python benchmarks/antonym_templates.py > docs/ssv2_templates.md"
    )


def test_a_changed_antonym_is_not_published_until_it_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load_script()
    copy = tmp_path / "list.txt"
    kept = "Closing something\tOpening something\tgood\t=\n"
    copy.write_text("# a list\nOpening something\tShutting something\tgood\t=\n" + kept)
    with pytest.raises(SystemExit, match=r"for 1 templates \(Opening something"):
        script.main(script.Plan(copy))
    assert capsys.readouterr().out == ""
    script.main(script.Plan(copy, update=True))
    assert copy.read_text() == "# a list\nOpening something\tClosing something\t?\t=\n" + kept
