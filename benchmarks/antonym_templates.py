"""The antonyms of the 174 templates of Something-Something v2, each with a verdict, as docs/ssv2_templates.md.

    python benchmarks/antonym_templates.py > docs/ssv2_templates.md
    python benchmarks/antonym_templates.py --update        # after a change of the lexicon

The list holds what was read and judged: template, antonym, verdict, what the reversed clip shows. The page is made of
it, so the script stops when the code gives anything else. --update takes over what the code gives now; lines that
changed get "?" for a verdict, and the tests fail until somebody has read them.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.reversals import reversal

LIST = Path(__file__).parents[1] / "tests/actionbench/ssv2_templates.txt"
KINDS = {
    "both are templates": "the antonym is one of the 174 as well",
    "good": "the opposite, in English that a person might write",
    "acceptable": "false of the clip and readable, but another wording would be better",
    "doubtful": "false of the clip, but not its opposite",
    "rightly none": "there is no antonym, and no plain one was thought of",
    "none yet": "there is no antonym, but one is thinkable",
}
"""Verdicts. A remark may follow behind a colon."""
NAMED = ("=", "same", "no name", "unknown")
PAGE = """\
# Antonyms of the Something-Something templates

The {templates} templates of Something-Something v2, what `paxion build` makes of each, and the verdict of a reviewer.
Every line was read, once, by one reviewer. `python benchmarks/antonym_templates.py` prints this page from
[the reviewed list](../tests/actionbench/ssv2_templates.txt), and `tests/actionbench/test_antonym_templates.py` fails
when the code gives anything else.

**{some} of {templates} templates have an antonym**; {none} have none, with a reason.

| verdict | templates | meaning |
|---|---|---|
{counts}

Where both are templates, a set can be balanced so that the text alone tells nothing. The other antonyms never occur as
captions, which gives them away to a scorer that knows the templates: `paxion audit` measures that.

**Backwards** says what the reversed clip shows, which is another question: the antonym ({opposite} templates),
something else that has a name ({words}), something that contradicts the caption and has no name ({nameless}), the same
({same}; not in the reversal probe), or it is not known ({unknown}).

| template | antonym | backwards | verdict |
|---|---|---|---|
{rows}
"""


@dataclass(frozen=True)
class Line:
    """One line of the list."""

    template: str
    antonym: str
    """ "-": there is none."""
    verdict: str
    backwards: str
    """ "=": the antonym; "same"; "no name"; "unknown"; otherwise in words."""

    @property
    def kind(self) -> str:
        return self.verdict.partition(":")[0]


@dataclass(frozen=True)
class Plan:
    list: Path = LIST
    """The reviewed list."""
    update: bool = False
    """Write what the code gives now into the list, instead of a page."""


def main(plan: Plan) -> None:
    text = plan.list.read_text("utf-8")
    lines = read_lines(text)
    now = [current(line) for line in lines]
    changed = [line.template for line, other in zip(lines, now, strict=True) if line != other]
    if plan.update:
        comments = [line for line in text.splitlines() if line.startswith("#")]
        rows = ["\t".join((line.template, line.antonym, line.verdict, line.backwards)) for line in now]
        plan.list.write_text("\n".join([*comments, *rows]) + "\n", "utf-8")
        print(f"{len(changed)} lines changed; judge those with a ? in {plan.list}", file=sys.stderr)
    elif changed:
        sys.exit(f"the code gives something else for {len(changed)} templates ({changed[0]} ...): see --update")
    else:
        sys.stdout.write(page(lines))


def read_lines(text: str) -> list[Line]:
    """The lines of the list, without its comments."""
    return [Line(*line.split("\t")) for line in text.splitlines() if line and not line.startswith("#")]


def current(line: Line) -> Line:
    """The line with what the code gives now; without a verdict when that is something else."""
    other = antonym(line.template).text or "-"
    backwards = shown_backwards(line.template, other)
    if (other, backwards) == (line.antonym, line.backwards):
        return line
    return replace(line, antonym=other, backwards=backwards, verdict="?")


def shown_backwards(template: str, other: str) -> str:
    found = reversal(template)
    if found.reversible is None:
        return "unknown"
    if not found.reversible:
        return "same"
    return "=" if found.text == other else found.text or "no name"


def page(lines: list[Line]) -> str:
    kinds = Counter(line.kind for line in lines)
    shown = Counter(line.backwards if line.backwards in NAMED else "words" for line in lines)
    some = sum(line.antonym != "-" for line in lines)
    counts = [f"| {kind} | {kinds[kind]} | {meaning} |" for kind, meaning in KINDS.items()]
    return PAGE.format(
        templates=len(lines),
        some=some,
        none=len(lines) - some,
        counts="\n".join(counts),
        rows="\n".join(row(line) for line in lines),
        opposite=shown["="],
        words=shown["words"],
        nameless=shown["no name"],
        same=shown["same"],
        unknown=shown["unknown"],
    )


def row(line: Line) -> str:
    other = line.antonym if line.antonym != "-" else f"*none:* {antonym(line.template).note.replace('|', '/')}"
    backwards = "the antonym" if line.backwards == "=" else line.backwards
    return f"| {line.template} | {other} | {backwards} | {line.verdict} |"


if __name__ == "__main__":
    main(tyro.cli(Plan, description=__doc__))
