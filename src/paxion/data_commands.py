"""What the subcommands about data do: build, audit, salience, human. Each returns the exit status."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from torch import Tensor

from paxion.actionbench.build import BuildPlan, build, foils_of
from paxion.actionbench.objects import replace_object
from paxion.actionbench.summary import counts, summary
from paxion.actionbench.tagging import load_tagger
from paxion.actionbench.vocabulary import built_in_vocabulary
from paxion.data.formats import FORMATS, format_of, split_of
from paxion.data.rows import BadRow
from paxion.files import make_folder, write_text
from paxion.manifest import manifest_hash, read_manifest, write_manifest
from paxion.records import SPLITS, PaxionError, Sample, Split, unknown_name
from paxion.results import Results, provenance, write_results

SHOWN = 8
"""Bad rows that are named."""


def say(console: Console, line: str) -> None:
    """Print one line as it is: captions and paths may hold what rich takes for markup."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def run_build(
    console: Console,
    annotations: tuple[Path, ...],
    out: Path,
    format: str | None,
    videos: Path | None,
    split: str | None,
    resplit: bool,
    shares: tuple[float, float, float],
    skip_bad: int,
    vocabulary: Path | None,
    check_videos: bool,
    every_object: bool,
    tagger: str,
    explain: str | None,
    reader: Any,
    seed: int,
) -> int:
    """Build an ActionBench, or explain what becomes of one caption. reader: a dataclass of reader options."""
    tag, tagger_name = load_tagger(tagger)
    if explain is not None:
        _explain(console, explain, tag, tagger_name, seed)
        return 0
    if not annotations:
        raise PaxionError('got no annotations, expected one or more files; or --explain "pushing a cup"')
    plan = BuildPlan(
        annotations=annotations,
        out=out,
        format=format,
        videos=videos,
        split=_split(split),
        resplit=resplit,
        shares=shares,
        skip_bad=skip_bad,
        vocabulary=vocabulary,
        every_object=every_object,
        check_videos=check_videos,
        options={name: value for name, value in asdict(reader).items() if value},
        seed=seed,
    )
    make_folder(out)
    with console.status("building"):
        built = build(plan, tag)
    manifest = out / "manifest.jsonl"
    record = provenance(
        annotations=list(annotations),
        tagger=tagger_name,
        seed=seed,
        manifest=manifest_hash(manifest),
        counts=counts(built),
    )
    write_text(out / "build.json", json.dumps(record, indent=1, ensure_ascii=False, default=str) + "\n")
    for line in summary(built):
        say(console, line)
    say(console, f"the manifest: {manifest}")
    if built.closed:
        say(console, f"the closed split: {out / 'closed.jsonl'}")
    say(console, f"could text alone tell? paxion audit {manifest}")
    return 0


def _explain(console: Console, caption: str, tag: Any, tagger_name: str, seed: int) -> None:
    made, backwards, verb, template = foils_of(caption, None, tag)
    other = replace_object(caption, built_in_vocabulary(), key=caption, seed=seed)
    rows = [
        ("caption", caption, f"main verb: {verb or 'none that is known'} (tagger: {tagger_name})"),
        ("antonym", made.text, made.note),
        ("reversal", backwards.text, backwards.note + _says(backwards.reversible)),
        ("replaced", other.text, f"{other.note} (from the built-in list)"),
        ("template", template, "objects blanked"),
    ]
    for name, text, note in rows:
        say(console, f"{name:9} {text or 'none'}")
        say(console, f"{'':9}   {note}")


def _says(reversible: bool | None) -> str:
    if reversible is None:
        return "; whether it contradicts the caption is not known"
    return "; it contradicts the caption" if reversible else "; it does not contradict the caption"


def run_audit(
    console: Console,
    pairs: Path,
    field: str,
    format: str | None,
    split: str | None,
    out: Path,
    balance: Path | None,
    skip_bad: int,
    validated: bool,
    plausibility: Path | None,
    cap: int,
    seed: int,
) -> int:
    """Audit the foils of a set of pairs, and write the subset that text alone cannot tell."""
    from paxion.actionbench.audit import audit, audit_lines, audit_scores
    from paxion.actionbench.thinning import thin
    from paxion.report.audit_page import write_audit

    if field not in ("antonym", "replaced"):
        raise unknown_name("field", field, ("antonym", "replaced"))
    samples = _pairs(console, pairs, format, split, skip_bad, validated)
    with console.status("auditing"):
        likely = None if plausibility is None else _plausibility(plausibility)
        kind: Literal["antonym", "replaced"] = "antonym" if field == "antonym" else "replaced"
        result = audit(samples, kind, plausibility=likely, seed=seed, cap=cap)
    about = provenance(file=pairs, field=field, seed=seed, missed=[])
    make_folder(out)
    write_audit(out, result, about)
    write_results(out, Results(about, audit_scores(result)), [])
    for line in audit_lines(result):
        say(console, line)
    for score in audit_scores(result):
        if not score.model.endswith(("-opposed", "best")):
            say(
                console,
                f"{score.model:24} {100 * score.value:5.1f} %  ({100 * score.low:.1f} to {100 * score.high:.1f})",
            )
    say(console, f"the page: {out / 'audit.html'}")
    if balance is not None:
        with console.status("balancing") as status:
            thinned = thin(samples, result.field, seed=seed, tell=status.update)
        if not thinned.samples:
            raise PaxionError(f"no pair of {pairs} can be kept: text alone tells them all; nothing was written")
        write_manifest(balance, thinned.samples)
        say(console, f"{len(thinned.samples)} of {thinned.available} pairs left: {balance}")
        if thinned.after is not None:
            say(console, f"of these: {thinned.after.verdict}")
        for warning in thinned.warnings:
            say(console, warning)
    return 0


def _plausibility(path: Path) -> Callable[[Sequence[str]], Tensor]:
    """Log-likelihoods of texts, as a language model gave them to a JSON file of text and number."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PaxionError(f"cannot read {path}: {error}; expected a JSON object of text and log-likelihood") from error
    if not isinstance(found, dict) or not all(isinstance(value, int | float) for value in found.values()):
        raise PaxionError(f"{path} is no JSON object of text and log-likelihood: write one number for each text")

    def likelihoods(texts: Sequence[str]) -> Tensor:
        missing = [text for text in texts if text not in found]
        if missing:
            raise PaxionError(f'{path} has no number for "{missing[0]}", expected one for every caption and foil')
        return torch.tensor([float(found[text]) for text in texts], dtype=torch.float64)

    return likelihoods


def _pairs(
    console: Console, path: Path, format: str | None, split: str | None, skip_bad: int, validated: bool
) -> list[Sample]:
    """The rows of a manifest or of any annotation file with foils."""
    name = format or format_of(path)
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    if validated and name != "vilma":
        raise PaxionError(f"got --validated for the format {name}, expected vilma: only its items carry people's votes")
    options = {"validated": True} if validated else {}
    found = list(FORMATS[name].read(path, split=split_of(path) or "test", **options))
    bad = [row for row in found if isinstance(row, BadRow)]
    for row in bad[:SHOWN]:
        say(console, str(row))
    if len(bad) > skip_bad:
        raise PaxionError(
            f"got {len(bad)} bad rows in {path}, expected at most {skip_bad}: mend them, or give --skip-bad {len(bad)}"
        )
    wanted = _split(split)
    return [row for row in found if not isinstance(row, BadRow) and (wanted is None or row.split == wanted)]


def run_salience(
    console: Console,
    manifest: Path,
    out: Path,
    backbone: str,
    store: Path,
    text_change: float,
    state_similarity: float,
    keep: tuple[float, float] | None,
) -> int:
    """Mark which clips show a visible change of state."""
    from paxion.actionbench.salience import Thresholds, mark_salience
    from paxion.backbones.load import load_backbone
    from paxion.commands import compute_features, device

    samples = read_manifest(manifest)
    model = load_backbone(backbone, device())
    if out.resolve().parent != manifest.resolve().parent:
        raise PaxionError(f"got --out {out}, expected a file beside {manifest}: its video paths are relative to it")
    if not model.per_frame or model.frames < 2:
        kind = "per-frame" if model.per_frame else "not per-frame"
        raise PaxionError(
            f"got backbone {model.name} ({kind}, frames={model.frames}), expected a per-frame one with at least 2 "
            "frames, such as hf:openai/clip-vit-base-patch32"
        )
    extracted = compute_features(console, model, manifest, samples, store)
    given = None if keep is not None else Thresholds(text_change, state_similarity)
    marked = mark_salience(samples, extracted, model, thresholds=given, quantile=keep)
    write_manifest(out, marked.samples)
    used = marked.thresholds
    say(
        console,
        f"{marked.salient} of {len(samples) - marked.missed} clips are salient (text change above "
        f"{used.text_change:.6g}, state similarity below {used.state_similarity:.6g}); {marked.missed} cannot be read",
    )
    say(console, f"the manifest: {out}")
    return 0


def make_kit(
    console: Console,
    manifest: Path,
    out: Path,
    n: int,
    split: str,
    tasks: Sequence[str],
    side: int,
    seconds: float,
    seed: int,
) -> int:
    """Write a human baseline kit."""
    from paxion.actionbench.human import describe, write_kit

    wanted = _split(split)
    samples = [sample for sample in read_manifest(manifest) if sample.split == wanted]
    if not samples:
        raise PaxionError(f"{manifest} has no rows in {split}; give another --split")
    with console.status("encoding clips"):
        kit = write_kit(out, manifest, samples, n=n, seed=seed, tasks=tasks, side=side, seconds=seconds)
    say(console, describe(kit))
    return 0


def score_kit(console: Console, kit: Path, answers: tuple[Path, ...], out: Path) -> int:
    """Score the answers of one or more people."""
    from paxion.actionbench.human_key import read_key
    from paxion.actionbench.human_score import result_text, score_answers

    result = score_answers(read_key(kit), answers)
    make_folder(out)
    write_results(out, Results(provenance(kit=kit, answers=list(answers), missed=[]), list(result.scores)), [])
    say(console, result_text(result))
    return 0


def _split(name: str | None) -> Split | None:
    for split in SPLITS:
        if name == split:
            return split
    if name is not None:
        raise unknown_name("split", name, SPLITS)
    return None
