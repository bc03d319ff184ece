"""From any captioned videos to an ActionBench: rows with foils, splits by source video, and the closed balanced split.

The annotations are read twice and never held in memory: first to learn the objects they name and which source videos
cross splits, then to write each row with its foils.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from inspect import signature
from pathlib import Path
from typing import Any, cast

from paxion.actionbench.antonyms import Foil, foil_of, read_caption
from paxion.actionbench.balance import Rows, as_closed, choose
from paxion.actionbench.objects import find_objects, learn_vocabulary, replace_object
from paxion.actionbench.reversals import Reversal, reversal_of
from paxion.actionbench.splits import GroupSplits, check_groups, draw_split
from paxion.actionbench.verbs import Tagger
from paxion.actionbench.videos import video_flaw
from paxion.actionbench.vocabulary import Vocabulary, read_vocabulary
from paxion.actionbench.words import Edit, apply_edits, like
from paxion.data.formats import FORMATS, format_of, split_of
from paxion.data.rows import BadRow
from paxion.manifest import read_rows, write_manifest
from paxion.records import PaxionError, Sample, Split, unknown_name

DRAWN = cast(Split, "drawn")
"""Stands for the split of a row whose data set says none."""
TESTED = ("vilma", "vitatecs", "temporal")
"""Data sets that are tests as a whole."""
BESIDE = ("manifest", "table")
"""Formats whose video paths are relative to the file, unless a video root is given."""
SHOWN = 20
"""Bad rows that an error names."""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What is to be built."""

    annotations: tuple[Path, ...]
    """Files, or folders of class folders, in one format."""
    out: Path
    """Folder for manifest.jsonl and closed.jsonl."""
    format: str | None = None
    """Name in `data.formats.FORMATS`. None: told from each file."""
    videos: Path | None = None
    """Folder that the data set's video paths start from."""
    split: Split | None = None
    """All rows are in it. None: what the data set says, or drawn by source video where it says nothing."""
    resplit: bool = False
    """Draw all splits by source video."""
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Of the source videos, in train, val and test."""
    skip_bad: int = 0
    """How many bad rows are left out; more are an error."""
    vocabulary: Path | None = None
    """List of objects for the replaced captions, one a line. None: those that the captions name."""
    every_object: bool = False
    """Replace all objects of a caption, as published for Something-Something."""
    check_videos: bool = False
    """Rows whose video cannot be read, or ends before their window does, are bad rows."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the format's reader."""
    seed: int = 0


@dataclass
class Built:
    """What was built, in counts."""

    rows: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    groups: int = 0
    foils: Counter[str] = field(default_factory=Counter)
    """antonym, antonym published, replaced, replaced published, reversal: rows that have one; not reversible."""
    no_antonym: Counter[str] = field(default_factory=Counter)
    """Reason to rows."""
    closed: Counter[str] = field(default_factory=Counter)
    """Rows of the closed split by split."""
    closed_pairs: int = 0
    """Pairs of texts in it."""
    closed_by: str = "caption"
    """caption or template: what its texts are."""
    bad: list[BadRow] = field(default_factory=list)
    unfit: set[str] = field(default_factory=set)
    """Ids of the bad rows whose video is at fault."""


def build(plan: BuildPlan, tagger: Tagger | None = None) -> Built:
    """Write manifest.jsonl and closed.jsonl into the folder of the plan; gives the counts.

    Raises PaxionError for rows that cannot be used (more than `skip_bad`), for source videos that cross splits, and
    when no row is left.
    """
    built = Built()
    groups = GroupSplits()
    vocabulary = _learn(plan, built, groups)
    if not plan.resplit:
        check_groups(groups.crossing())
    built.groups = len(groups.seen)
    noted = Rows(plan.seed)

    def rows() -> Iterator[Sample]:
        for sample in _rows(plan, None):
            if sample.id in built.unfit:
                continue
            made = with_foils(sample, vocabulary, tagger=tagger, every_object=plan.every_object, seed=plan.seed)
            _count(built, made)
            noted.add(made)
            yield made

    manifest = plan.out / "manifest.jsonl"
    write_manifest(manifest, rows())
    _write_closed(plan, built, manifest, noted)
    return built


def with_foils(
    sample: Sample,
    vocabulary: Vocabulary | None,
    *,
    tagger: Tagger | None = None,
    every_object: bool = False,
    seed: int = 0,
) -> Sample:
    """The row with its antonym, replaced caption and reversal, each with a note; published foils are kept as they are.

    A question is no caption: its choices are its foils, and those that can be turned round give further wrong ones.
    """
    if _asks(sample):
        note = "a question: its choices are the foils"
        turned = sample.antonym_choices or turned_choices(sample, tagger)
        return replace(sample, antonym_choices=turned, antonym_note=note, replaced_note=note)
    made, backwards, verb, template = foils_of(sample.caption, sample.objects, tagger)
    changes: dict[str, Any] = {"verb": sample.verb or verb, "reversal": sample.reversal or backwards.text}
    if sample.template is None:
        changes["template"] = template
    if sample.reversible is None:
        changes["reversible"] = backwards.reversible
    if sample.antonym is None:
        changes |= {"antonym": made.text, "antonym_note": made.note}
    if sample.replaced is None and vocabulary is None:
        changes["replaced_note"] = "no caption of the data set names an object"
    elif sample.replaced is None and vocabulary is not None:
        other = replace_object(
            sample.caption, vocabulary, objects=sample.objects, key=sample.id, seed=seed, every=every_object
        )
        changes |= {"replaced": other.text, "replaced_note": other.note}
    return replace(sample, **changes)


def template_of(caption: str, objects: tuple[str, ...] | None = None) -> str | None:
    """The caption with its objects blanked, "Put something in something"; None when it names none."""
    spans = find_objects(caption, objects)
    edits = [Edit(span.start, span.end, like(caption[span.start], "something")) for span in spans]
    return apply_edits(caption, edits) if edits else None


def turned_choices(sample: Sample, tagger: Tagger | None = None) -> tuple[str, ...] | None:
    """The antonyms of a question's choices, as far as they have one that is no other choice; None without any."""
    made = [foils_of(choice, None, tagger)[0].text for choice in sample.choices or ()]
    return tuple(text for text in made if text is not None and text not in (sample.choices or ())) or None


@lru_cache(maxsize=1 << 16)
def foils_of(
    caption: str, objects: tuple[str, ...] | None = None, tagger: Tagger | None = None
) -> tuple[Foil, Reversal, str | None, str | None]:
    """(antonym, reversal, main verb, template) of a caption, from one reading. Narrations repeat: some are kept."""
    reading = read_caption(caption, objects=objects, tagger=tagger)
    verb = reading.turned[0].verb.verb if reading.turned else reading.verbs[0] if reading.verbs else None
    return foil_of(caption, reading), reversal_of(caption, reading), verb, template_of(caption, objects)


def _learn(plan: BuildPlan, built: Built, groups: GroupSplits) -> Vocabulary | None:
    """Read all rows once: note bad rows and groups, and learn the vocabulary."""

    whole = False

    def captions() -> Iterator[tuple[str, tuple[str, ...] | None]]:
        nonlocal whole
        for number, sample in enumerate(_rows(plan, built.bad), 1):
            flaw = video_flaw(sample, plan.out) if plan.check_videos else None
            if flaw is not None:
                built.unfit.add(sample.id)
                built.bad.append(
                    BadRow(os.path.normpath(plan.out / sample.video), 0, f"row {number}, {sample.id}: {flaw}")
                )
                continue
            built.rows += 1
            groups.add(sample.group, sample.split)
            if not _asks(sample):
                yield sample.caption, sample.objects
        whole = True

    learnt = None
    try:
        learnt = learn_vocabulary(captions())
    except PaxionError:
        # When all was read, what is missing is an object in any caption: the rows say so.
        if not whole:
            raise
    _check_bad(plan, built)
    return read_vocabulary(plan.vocabulary) if plan.vocabulary is not None else learnt


def _check_bad(plan: BuildPlan, built: Built) -> None:
    if len(built.bad) > plan.skip_bad:
        lines = "".join(f"\n  {row}" for row in built.bad[:SHOWN])
        more = f"\n  and {len(built.bad) - SHOWN} more" if len(built.bad) > SHOWN else ""
        raise PaxionError(
            f"got {len(built.bad)} bad rows, expected at most {plan.skip_bad}: mend them, or leave them out with "
            f"--skip-bad {len(built.bad)}{lines}{more}"
        )
    if built.rows == 0:
        raise PaxionError(f"got no sound row in {', '.join(map(str, plan.annotations))}, expected captioned clips")


def _rows(plan: BuildPlan, bad: list[BadRow] | None) -> Iterator[Sample]:
    """All sound rows, with their split and their video relative to the out folder. bad: collects the others."""
    several = len(plan.annotations) > 1
    seen: set[int] = set()
    for path in plan.annotations:
        name = plan.format or format_of(path)
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
        _check_options(name, plan.options)
        given = plan.split or (split_of(path) if not plan.resplit else None) or ("test" if name in TESTED else DRAWN)
        root = plan.videos or (path if path.is_dir() else path.parent if name in BESIDE else None)
        for row in FORMATS[name].read(path, split=given, videos=plan.videos, **plan.options):
            if isinstance(row, BadRow):
                if bad is not None:
                    bad.append(row)
                continue
            if several:
                # Ids are unique within a file only.
                row = replace(row, id=f"{path.stem}/{row.id}") if hash(row.id) in seen else row
                seen.add(hash(row.id))
            yield replace(row, split=_split(plan, row), video=_video(plan.out, root, row.video))


def _asks(sample: Sample) -> bool:
    """Its caption is a question with its answer, as in NExT-QA, not what a clip shows."""
    return sample.question is not None and sample.caption.startswith(sample.question.rstrip("? "))


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise PaxionError for an option that the format's reader does not take."""
    for option in options:
        takers = [known for known, found in FORMATS.items() if option in signature(found.read).parameters]
        if name not in takers:
            raise PaxionError(f"got --{option} for the format {name}, expected {' or '.join(takers)}; leave it out")


def _split(plan: BuildPlan, row: Sample) -> Split:
    if plan.split is not None:
        return plan.split
    return draw_split(row.group, plan.shares, plan.seed) if plan.resplit or row.split == DRAWN else row.split


def _video(out: Path, root: Path | None, video: str) -> str:
    return video if root is None else os.path.relpath(root / video, out)


def _count(built: Built, made: Sample) -> None:
    built.splits[made.split] += 1
    for name in ("antonym", "replaced"):
        if getattr(made, name) is not None:
            built.foils[name] += 1
            built.foils[f"{name} published"] += getattr(made, f"{name}_note") == "published"
    built.foils["antonym choices"] += made.antonym_choices is not None
    built.foils["reversal"] += made.reversal is not None
    built.foils["not reversible"] += made.reversible is False
    if made.antonym is None:
        built.no_antonym[made.antonym_note or "no reason"] += 1


def _write_closed(plan: BuildPlan, built: Built, manifest: Path, noted: Rows) -> None:
    chosen = {closed.row: closed for closed in choose(noted)}
    path = plan.out / "closed.jsonl"
    path.unlink(missing_ok=True)
    if not chosen:
        return
    built.closed_by = "caption" if next(iter(chosen.values())).texts is None else "template"
    pairs: set[frozenset[str]] = set()

    def rows() -> Iterator[Sample]:
        for number, sample in enumerate(read_rows(manifest)):
            if number in chosen:
                row = as_closed(sample, chosen[number])
                assert row.antonym is not None
                built.closed[row.split] += 1
                pairs.add(frozenset((row.caption.casefold(), row.antonym.casefold())))
                yield row

    write_manifest(path, rows())
    built.closed_pairs = len(pairs)
