"""The page of an audit: what text alone gets right, and by which words. One file that needs nothing from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from paxion.actionbench.audit import Audit, audit_summary, times
from paxion.actionbench.wording import OFTEN, Substitution
from paxion.evaluation.statistics import Estimate
from paxion.files import write_text
from paxion.report.page import flatten
from paxion.report.table import percent

GLOSSES = {
    "naive-bayes": "how often captions and foils use each word and word pair",
    "naive-bayes-words": "the same, words only",
    "bag-of-words": "logistic regression on the words",
    "bigrams": "logistic regression on words, word pairs, and the first and last word",
    "unigram": "how common the words are in captions",
    "unigram-opposed": "how rare they are",
    "bigram-model": "how likely each word is in captions, after the one before",
    "bigram-model-opposed": "how unlikely",
    "unseen-words": "fewer words that captions never use",
    "popularity": "the very text has been a caption before",
    "characters": "the longer text, or the shorter one, in characters",
    "words": "the longer text, or the shorter one, in words",
    "capitals": "more capitals, or fewer",
    "first-capital": "starts with a capital, or does not",
    "punctuation": "more punctuation marks, or fewer",
    "plausibility": "a given language model",
}
REMEDIES = {
    "length": "Write foils as long as their captions; of several candidates, take the one nearest in length.",
    "case": "Write captions and foils by the same rule for capitals, in every file.",
    "punctuation": "Write captions and foils by the same rule for full stops and commas.",
    "vocabulary": "Take the words of foils from captions of the same set.",
    "one-way substitutions": "Exchange words in both directions about as often: where “to” becomes “from” in some "
    "pairs, “from” must become “to” in as many.",
    "real captions": "Prefer foils that are captions of other clips, each as often foil as caption: the closed split "
    "has only such pairs.",
    "repeats across splits": "Do not compare models that were trained on the other splits with models that were not.",
    "true foils": "Remove pairs whose foil is a caption of the same clip: either answer is right there.",
    "empty foils": "Remove pairs whose foil is the caption itself.",
}
OPPOSED = "-opposed"
SUBSTITUTIONS = 18
UNUSED = 24
SHOWN_CUES = 18


@dataclass(frozen=True, slots=True)
class Bar:
    """A scorer's line: what it reached, and where its dot and its interval are drawn, in percent."""

    name: str
    gloss: str
    found: Estimate
    kind: str
    """"verdict" for the number that counts, "lean" for the one that leans high, else ""."""


def write_audit_page(path: Path | str, audit: Audit, provenance: Mapping[str, object] | None = None) -> None:
    """Write the page of an audit to `path`. It opens offline, and the same input gives the same bytes.

    provenance: where the pairs come from, say {"file": ..., "command": ..., "date": ...}, as `results.provenance` gives
    it. Raises PaxionError where the file cannot be written.
    """
    write_text(Path(path), render_audit(audit, provenance))


def write_audit(folder: Path | str, audit: Audit, provenance: Mapping[str, object] | None = None) -> None:
    """Write audit.html and audit.json to `folder`: the page, and the same as data with the provenance.

    Raises PaxionError where a file cannot be written.
    """
    given = dict(provenance or {})
    text = json.dumps({"provenance": given, **audit_summary(audit)}, indent=1, ensure_ascii=False, default=str)
    write_text(Path(folder) / "audit.json", text + "\n")
    write_audit_page(Path(folder) / "audit.html", audit, given)


def render_audit(audit: Audit, provenance: Mapping[str, object] | None = None) -> str:
    """The HTML of `write_audit_page`. Everything that comes from the data is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = percent
    environment.filters["tied"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    source = resources.files("paxion.report").joinpath("audit.html").read_text(encoding="utf-8")
    given = dict(provenance or {})
    command = given.pop("command", None)
    often = [change for change in audit.wording.substitutions if change.count + change.back >= OFTEN]
    return environment.from_string(source).render(
        title="Could text alone have solved it?",
        about=_about(audit, given),
        audit=audit,
        bars=bars(audit),
        cues=audit.wording.cues[:SHOWN_CUES],
        often=OFTEN,
        substitutions=often[:SUBSTITUTIONS],
        substitution_count=len(often),
        one_way_count=sum(change.one_way for change in often),
        arrow=arrow,
        unused=audit.wording.unused[:UNUSED],
        examples=[
            (example, marked(example.caption, example.caption_words), marked(example.foil, example.foil_words))
            for example in audit.examples
        ],
        remedies=[REMEDIES[f.name] for f in audit.findings if f.grade != "ok" and f.name in REMEDIES],
        command=command if isinstance(command, str) else None,
        facts=_facts(audit, given),
    )


def bars(audit: Audit) -> list[Bar]:
    """The lines of the plot: the number of the verdict first, then every scorer, the highest first."""
    found = audit.separability
    if found is None:
        return []
    order = sorted(found.scorers, key=lambda name: -found.scorers[name].value)
    # Of a scorer and the one that says the opposite, one line says all.
    order = [name for name in order if _opposite(name) not in order[: order.index(name)]]
    picked = ", ".join(dict.fromkeys(found.chosen))
    return [
        Bar("best, picked fairly", f"picked on the other folds each time: {picked}", found.nested, "verdict"),
        *(
            Bar(name, GLOSSES.get(name, ""), found.scorers[name], "lean" if name == found.best else "")
            for name in order
        ),
    ]


def arrow(change: Substitution) -> str:
    """A substitution in words; "(nothing)" where words are added or left out."""
    return f"{change.old or '(nothing)'} → {change.new or '(nothing)'}"


def marked(text: str, phrases: Iterable[str]) -> Markup:
    """The text with the given words or word pairs marked, wherever they stand."""
    patterns = [r"[^\w']+".join(map(re.escape, phrase.split())) for phrase in phrases if phrase.split()]
    if not patterns:
        return escape(text)
    # The longest first: a word pair is marked whole, not its first word alone.
    patterns.sort(key=len, reverse=True)
    found = re.compile(rf"(?<![\w'])(?:{'|'.join(patterns)})(?![\w'])", re.IGNORECASE)
    pieces, end = [], 0
    for match in found.finditer(text):
        pieces += [escape(text[end : match.start()]), Markup("<mark>{}</mark>").format(match.group())]
        end = match.end()
    return Markup("").join([*pieces, escape(text[end:])])


def _opposite(name: str) -> str:
    return name.removesuffix(OPPOSED) if name.endswith(OPPOSED) else name + OPPOSED


def _about(audit: Audit, given: Mapping[str, object]) -> str:
    kind = {"antonym": "antonyms", "replaced": "replaced objects"}[audit.field]
    parts = [f"paxion {metadata.version('paxion')}", audit.data, kind, str(given.get("date", ""))[:10]]
    return " · ".join(part for part in parts if part)


def _facts(audit: Audit, given: Mapping[str, object]) -> list[tuple[str, str]]:
    """Where the numbers come from, the audit's own facts first."""
    own = {
        "foil": audit.field,
        "rows": audit.rows,
        "rows with this foil": audit.available,
        "pairs judged": f"{audit.pairs} (a sample of whole groups)" if audit.sampled else audit.pairs,
        "groups (sources)": audit.groups,
        "folds": f"{audit.folds}, drawn {times(audit.separability.draws)}" if audit.separability else "none",
        "seed": audit.seed,
        "paxion": metadata.version("paxion"),
    }
    return flatten(own | {key: value for key, value in given.items() if key not in own})
