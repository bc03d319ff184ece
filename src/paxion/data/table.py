"""Plain tables (csv, tsv, jsonl, a json list) with columns that the user names, and manifests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields as fields_of
from itertools import islice
from pathlib import Path
from typing import Any

from paxion.data.fields import number, seconds, shown, split_named, strings, text, window
from paxion.data.json_rows import read_json, read_jsonl
from paxion.data.rows import BadRow, RowError, columns_of, file_lines, listed, read_columns
from paxion.data.samples import PUBLISHED, first_existing, to_samples
from paxion.manifest import field_problems, from_json
from paxion.records import SPLITS, PaxionError, Sample, Split, unknown_name

ALIASES = {"video": ("video", "file", "path"), "caption": ("caption", "text", "narration", "label")}
"""Names of the columns that are taken for the video and the caption when none is named, the first that is there."""
FIELDS = (*(field.name for field in fields_of(Sample)), "duration")
"""What a column may be: a field of a sample, or the length of the video in seconds, which windows must keep to."""
_LOOK = 20  # Rows of a json file that show which fields there are.


def read_table(
    path: Path, *, split: Split, videos: Path | None = None, columns: Mapping[str, str] | None = None
) -> Iterator[Sample | BadRow]:
    """Read a csv, `;`-csv, tsv, jsonl or json list. Only a video and a caption are needed.

    columns: field of `Sample` (or "duration") to the name of its column. Columns that are named as a field need not be
    given, nor those in ALIASES. A row's own split wins over `split`. Without ids the video is the id (numbered when it
    comes again), without groups the video is the group. Text is stripped; lists are written ["a", "b"].
    Raises PaxionError for a column that the file lacks, or a field that samples lack.
    """
    path = Path(path)
    opening = next(file_lines(path))[1].lstrip()[:1]
    if opening in (b"[", b"{"):
        opener = read_json if opening == b"[" else read_jsonl
        rows = [found[1] for found in islice(opener(path), _LOOK) if not isinstance(found, BadRow)]
        chosen = _chosen(path, columns or {}, list(dict.fromkeys(name for row in rows for name in row)))
        records = opener(path, (chosen["video"], chosen["caption"]))
        # Rows further down may have fields that the first ones lack.
        chosen = {field: field for field in FIELDS if field not in ("id", "answer")} | chosen
    else:
        chosen = _chosen(path, columns or {}, columns_of(path)[0])
        records = read_columns(path, tuple(chosen.values()))

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        values: dict[str, Any] = {
            field: _READ.get(field, _stripped)(row.get(column), column) for field, column in chosen.items()
        }
        for field in ("video", "caption", "id"):
            if field in values and values[field] is None:
                raise RowError(f"{chosen[field]}: got nothing, expected text")
        said = values.get("split")
        own = split if said is None else split_named(said)
        if own is None:
            raise RowError(f"{chosen['split']}: got {shown(said)}, expected one of {', '.join(SPLITS)}")
        start, end = window(values.get("start"), values.get("end"), values.pop("duration", None))
        given = {field: value for field, value in values.items() if value is not None}
        notes = {f"{foil}_note": PUBLISHED for foil in ("antonym", "replaced") if foil in given}
        video = given["video"]
        defaults = {"id": video, "group": video, "source": path.stem} | notes
        always = {"video": first_existing(videos, video), "split": own, "start": start, "end": end}
        yield Sample(**defaults | given | always)

    yield from to_samples(path, records, samples_of, unique="id" in chosen)


def read_manifest_rows(path: Path, *, split: Split, videos: Path | None = None) -> Iterator[Sample | BadRow]:
    """Read the rows of a manifest one by one; those that `paxion validate` would refuse on their own are BadRows.

    Rows tell their split; `split` is not used. Video paths may lead anywhere, as in any manifest, unless `videos` is
    given. That groups keep to one split is not looked at.
    """

    def samples_of(row: dict[str, Any]) -> Iterator[Sample]:
        for field, message in field_problems(Sample, row):
            raise RowError(f"{field}: {message}")
        sample = from_json(Sample, row)
        if sample.split not in SPLITS:
            raise RowError(f"split: got {shown(sample.split)}, expected one of {', '.join(SPLITS)}")
        window(sample.start, sample.end)
        yield sample

    yield from to_samples(Path(path), read_jsonl(Path(path)), samples_of, unique=True, rooted=videos is not None)


def _chosen(path: Path, columns: Mapping[str, str], names: list[str]) -> dict[str, str]:
    """Field to column: those that the user names, then those that their names tell."""
    for field, column in columns.items():
        if field not in FIELDS:
            raise unknown_name("field", field, FIELDS)
        if column not in names:
            raise PaxionError(f"{path} has no column {column!r} for {field}; it has the columns {listed(names)}")
    folded = {name.lower(): name for name in reversed(names)}
    # "answer" may be its text; only where the choices are told is it the place of one.
    chosen = {
        field: folded[field] for field in FIELDS if field in folded and (field != "answer" or "choices" in folded)
    }
    for field, aliases in ALIASES.items():
        found = columns.get(field) or next((folded[name] for name in aliases if name in folded), None)
        if found is None:
            raise PaxionError(
                f"{path} has no column for the {field} ({', '.join(aliases)}); it has the columns "
                f"{listed(names)}: name the one that holds it"
            )
        chosen[field] = found
    return chosen | dict(columns)


def _stripped(value: object, name: str) -> str | None:
    found = text({name: value}, name)
    return None if found is None else found.strip()


def _place(value: object, name: str) -> int | None:
    found = number(value, name)
    if found is not None and not found.is_integer():
        raise RowError(f"{name}: got {shown(value)}, expected a whole number")
    return None if found is None else int(found)


def _flag(value: object, name: str) -> bool | None:
    said = _FLAGS.get(str(value).strip().lower(), value)
    if said is None or isinstance(said, bool):
        return said
    raise RowError(f"{name}: got {shown(value)}, expected true or false")


_FLAGS = {"": None, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_READ: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("start", "end", "duration"), seconds),
    **dict.fromkeys(("text_change", "state_similarity"), number),
    **dict.fromkeys(("salient", "reversible"), _flag),
    **dict.fromkeys(("objects", "choices", "antonym_choices"), strings),
    "answer": _place,
}
