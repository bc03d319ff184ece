"""Files of predictions, told apart and read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from paxion.records import PaxionError, unknown_name
from paxion.rescoring import lmms_eval, tempcompass, vilma
from paxion.rescoring.predictions import PARSED, RATED, Predictions, parse_json, read_text
from paxion.rescoring.table import read_table

FORMATS = ("auto", "tempcompass", "vilma", "lmms-eval", "csv")
JUDGES = {"auto": None, "ratings": RATED, "text": PARSED}
"""How TempCompass answers are judged."""


def read_predictions(
    files: Sequence[Path],
    models: Sequence[str] = (),
    format: str = "auto",
    judge: str = "auto",
    annotations: Path | None = None,
    lower_is_better: bool = False,
) -> list[Predictions]:
    """Read files of predictions. models: what each file's model is called; default: what tells the files apart, the
    folder's name or the file's.

    Raises PaxionError for an unknown format, a file that is not of it, options that no file's format has, files of
    several formats, and files that were judged in several ways.
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    if judge not in JUDGES:
        raise unknown_name("judge", judge, tuple(JUDGES))
    if not files:
        raise PaxionError("got no files, expected at least one file of predictions")
    if models and len(models) != len(files):
        raise PaxionError(f"got {len(models)} models for {len(files)} files, expected one name a file, in their order")
    paths = [file for given in files for file in _listed(given)]
    if models and len(paths) != len(files):
        raise PaxionError("got --models with a folder, expected files: one name each")
    names = list(models) or _names(paths)
    found: list[Predictions] = []
    for path, name in zip(paths, names, strict=True):
        found += _read(path, name, format, judge, annotations, lower_is_better)
    for what, values in (("format", [file.format for file in found]), ("protocol", [file.judged for file in found])):
        if len(set(values)) > 1:
            said = ", ".join(
                f"{file.file.name} of {file.model}: {value}" for file, value in zip(found, values, strict=True)
            )
            more = "; --judge text reads all answers alike" if what == "protocol" and "ratings" in said else ""
            raise PaxionError(f"mixed {what}s ({said}), expected one in a run; rescore them apart{more}")
    for option, given, of in (
        ("--judge", judge != "auto", "tempcompass"),
        ("--annotations", annotations is not None, "vilma"),
        ("--lower-is-better", lower_is_better, "vilma"),
    ):
        if given and found[0].format != of:
            raise PaxionError(f"got {option}, which is for {of}, with files of {found[0].format}; leave it out")
    return found


def _read(
    path: Path, model: str, format: str, judge: str, annotations: Path | None, lower_is_better: bool
) -> list[Predictions]:
    text = read_text(path)
    if format == "csv" or (format == "auto" and path.suffix.lower() == ".csv"):
        return read_table(path, text, model)
    first = text.lstrip().split("\n", 1)[0]
    if format == "lmms-eval" or (format == "auto" and path.suffix.lower() == ".jsonl"):
        if not lmms_eval.looks_like(path, parse_json(first, f"{path}:1") if first else None):
            raise PaxionError(
                f"{path} is no samples file of lmms-eval, expected doc_id and filtered_resps in its lines"
            )
        return [lmms_eval.read_lmms_eval(path, text, model)]
    content = parse_json(text, str(path))
    if format in ("auto", "tempcompass") and tempcompass.looks_like(content):
        return [tempcompass.read_tempcompass(path, content, model, JUDGES[judge])]
    if format in ("auto", "vilma") and vilma.looks_like(content):
        return [vilma.read_vilma(path, content, model, annotations, lower_is_better)]
    wanted = "a known format" if format == "auto" else format
    raise PaxionError(f"{path} is not of {wanted}, expected one of {', '.join(FORMATS[1:])} (docs/rescore.md)")


def _listed(path: Path) -> list[Path]:
    """A file, or the files of predictions in a folder."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in (".json", ".jsonl", ".csv"))
    if not found:
        raise PaxionError(f"{path} holds no .json, .jsonl or .csv file, expected predictions")
    return found


def _names(paths: Sequence[Path]) -> list[str]:
    """The folder's name for files that are called after what was asked, else the file's name."""
    again = Counter(path.name for path in paths)
    return [
        path.resolve().parent.name
        if again[path.name] > 1 or path.stem in tempcompass.KINDS or "samples_" in path.stem
        else path.stem
        for path in paths
    ]
