"""The table for VLMEvalKit is read back as it was written, by csv and by pandas; its frames are the exact ones."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from paxion.cli import main
from paxion.exporting.vlmevalkit import COLUMNS, table
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.video.decode import read_clip


@pytest.fixture(scope="module")
def exported(tiny_manifest, tmp_path_factory) -> tuple[Path, Path]:
    rows = [row for row in read_manifest(tiny_manifest) if row.split == "test" and row.antonym and row.replaced][:4]
    rows = [replace(row, video=str(video_path(tiny_manifest, row))) for row in rows]
    rows[0] = replace(rows[0], caption='a "tab\there",\nand a line', start=0.25, end=1.0)
    rows[1] = replace(rows[1], antonym="None")
    path = tmp_path_factory.mktemp("vlm") / "manifest.jsonl"
    write_manifest(path, rows)
    out = path.parent / "tables"
    assert main(["export", "vlmevalkit", str(path), "--out", str(out)]) == 0
    return path, out


def test_both_orders_with_the_eight_exact_frames(exported):
    manifest, out = exported
    samples = {sample.id: sample for sample in read_manifest(manifest)}
    with (out / "paxion_object.tsv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert tuple(rows[0]) == COLUMNS and [int(row["index"]) for row in rows] == list(range(8))
    assert {(row["id"], row["order"]) for row in rows} == {(name, order) for name in samples for order in "01"}
    for row in rows:
        sample = samples[row["id"]]
        assert row[row["answer"]] == sample.caption and row["BA"["AB".index(row["answer"])]] == sample.replaced
        assert row["group"] == sample.group and row["category"] == "object"
        frames = np.stack([np.asarray(Image.open(path)) for path in json.loads(row["image_path"])])
        expected = read_clip(sample.video, "midpoint", 8, sample.start, sample.end).frames.numpy()
        np.testing.assert_array_equal(frames, expected)


def test_a_text_that_pandas_would_lose_is_left_out_and_counted(exported):
    pandas = pytest.importorskip("pandas")
    _, out = exported
    frame = pandas.read_csv(out / "paxion_antonym.tsv", sep="\t")
    assert len(frame) == 6 and not frame.isna().any().any()
    note = json.loads((out / "export.json").read_text())
    assert note["left_out"] == {"antonym: a text that pandas reads as nothing": 1}


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_any_text_is_read_back(rows):
    pandas = pytest.importorskip("pandas")
    text = table(("a", "b"), rows)
    assert list(csv.reader(io.StringIO(text, newline=""), delimiter="\t")) == [["a", "b"], *map(list, rows)]
    read = pandas.read_csv(io.StringIO(text, newline=""), sep="\t", dtype=str, keep_default_na=False)
    assert list(read.itertuples(index=False, name=None)) == rows
