"""The Hugging Face dataset folder: its files, its card, and what `datasets` makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from paxion.cli import main
from paxion.manifest import manifest_hash, read_manifest, video_path, write_manifest


@pytest.fixture(scope="module")
def manifest(tiny_manifest, tmp_path_factory) -> Path:
    """Three training rows, two of them parts of one file, two test rows, and one without a file."""
    train, test = ([row for row in read_manifest(tiny_manifest) if row.split == split] for split in ("train", "test"))
    rows = [replace(row, video=str(video_path(tiny_manifest, row))) for row in (*train[:3], *test[:2])]
    rows[1] = replace(rows[1], video=rows[0].video, start=0.5, end=1.0)
    path = tmp_path_factory.mktemp("data") / "manifest.jsonl"
    write_manifest(path, [*rows, replace(test[2], video="gone.mp4")])
    return path


@pytest.fixture(scope="module")
def folder(manifest) -> Path:
    out = manifest.parent / "dataset"
    assert main(["export", "dataset", str(manifest), "--out", str(out), "--license", "cc-by-4.0"]) == 0
    return out


def test_rows_files_and_windows(folder, manifest):
    samples = {sample.id: sample for sample in read_manifest(manifest)}
    rows = [json.loads(line) for line in (folder / "train" / "metadata.jsonl").read_text().splitlines()]
    assert [row["start"] for row in rows] == [0, 0.5, 0] and rows[1]["end"] == 1 < rows[0]["end"]
    assert len({row["file_name"] for row in rows}) == 2
    for row in rows:
        sample = samples[row["id"]]
        assert (row["caption"], row["group"], row["original"]) == (sample.caption, sample.group, sample.video)
        assert (folder / "train" / row["file_name"]).read_bytes() == Path(sample.video).read_bytes()
    assert not (folder / "validation").exists()


def test_the_card(folder, manifest):
    yaml = pytest.importorskip("yaml")
    text = (folder / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "cc-by-4.0"
    assert front["configs"][0]["data_files"] == [
        {"split": "train", "path": "train/**"},
        {"split": "test", "path": "test/**"},
    ]
    assert front["dataset_info"]["splits"] == [
        {"name": "train", "num_examples": 3},
        {"name": "test", "num_examples": 2},
    ]
    missing = read_manifest(manifest)[-1].id
    assert manifest_hash(manifest) in text and "1 clips could not be read" in text and f"`{missing}`" in text


def test_links(manifest, tmp_path):
    assert main(["export", "dataset", str(manifest), "--out", str(tmp_path / "d"), "--link", "--split", "test"]) == 0
    files = list((tmp_path / "d" / "test" / "videos").iterdir())
    assert len(files) == 2 and all(file.is_symlink() and file.is_file() for file in files)


@pytest.mark.parametrize("how", ["folder", "videofolder", "json"])
def test_datasets_reads_it(folder, manifest, tmp_path, how):
    datasets = pytest.importorskip("datasets")
    cache = str(tmp_path / "cache")
    if how == "folder":
        found = datasets.load_dataset(str(folder), cache_dir=cache)
    elif how == "videofolder":
        found = datasets.load_dataset("videofolder", data_dir=str(folder), cache_dir=cache)
    else:
        files = {split: str(folder / split / "metadata.jsonl") for split in ("train", "test")}
        found = datasets.load_dataset("json", data_files=files, cache_dir=cache)
    captions = [sample.caption for sample in read_manifest(manifest)]
    assert found["train"]["caption"][:] + found["test"]["caption"][:] == captions[:5]
    assert found["train"]["start"][:] == [0, 0.5, 0] and found["train"]["end"][1] == 1
    if how != "json":
        paths = [row["path"] for row in found["train"].cast_column("video", datasets.Video(decode=False))["video"]]
        assert paths[0] == paths[1] and all(Path(path).is_file() for path in paths)
