"""Worlds in the published formats: what the readers read is what the manifest says, to the frame."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from annotations import given
from torch import Tensor

from paxion.cli import main
from paxion.data.ego4d import read_ego4d
from paxion.data.formats import format_of, split_of
from paxion.data.kinetics import read_kinetics
from paxion.data.moments import read_moments
from paxion.data.nextqa import read_nextqa
from paxion.data.publishing.publish import WRITERS, publish
from paxion.data.publishing.rows import blanked, bracketed, placeholders
from paxion.data.publishing.videos import join, look_at, put
from paxion.data.ssv2 import read_ssv2, read_ssv2_labels, read_ssv2_retrieval
from paxion.data.temporal import read_temporal
from paxion.formats_commands import action_names
from paxion.manifest import read_manifest, write_manifest
from paxion.records import PaxionError, Sample
from paxion.video.decode import read_clip
from paxion.video.encode import write_clip

FRAMES = 9
NAMES = action_names()
ACTIONBENCH = "ssv2/shuffled_object_and_action_antonyms"
ANTONYMS = "ego4d/egoclip_subset_action_antonyms_train_val_test_split"
SHUFFLED = "ego4d/egoclip_subset_action_antonyms_object_shuffled_train_val_test_split"


@pytest.fixture(scope="module")
def world(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """World A of the tiny world in every format. Read only."""
    out = tmp_path_factory.mktemp("published")
    publish(tiny_manifest, out, source="world-A", names=NAMES)
    return out


@pytest.fixture(scope="module")
def rows(tiny_manifest: Path) -> dict[str, list[Sample]]:
    """The rows of world A by split."""
    samples = [sample for sample in read_manifest(tiny_manifest) if sample.source == "world-A"]
    return {split: [sample for sample in samples if sample.split == split] for split in ("train", "val", "test")}


def read(found: Iterable[object]) -> list[Sample]:
    """What a reader gives when nothing is wrong."""
    samples, bad = given(found)  # type: ignore[arg-type]
    assert bad == []
    return samples


def pixels(path: Path, sample: Sample) -> Tensor:
    found = read_clip(path, "midpoint", FRAMES, sample.start, sample.end)
    assert len(set(found.indices)) == FRAMES
    return found.frames


def same_frames(tiny_manifest: Path, expected: list[Sample], videos: Path, found: list[Sample]) -> None:
    """Every fifth clip shows the frames of its row, all of them and no others."""
    for sample, other in list(zip(expected, found, strict=True))[::5]:
        assert torch.equal(pixels(tiny_manifest.parent / sample.video, sample), pixels(videos / other.video, other)), (
            other.id
        )


def folded(texts: Iterable[str | None]) -> list[str | None]:
    return [text and text.casefold() for text in texts]


def test_ssv2_as_published(world, tiny_manifest, rows):
    folder = world / "ssv2" / "original"
    ids = json.loads((world / "ids.json").read_text())
    for name, split in (("train", "train"), ("validation", "test")):
        path = folder / f"{name}.json"
        raw = json.loads(path.read_text())
        assert all(set(row) == {"id", "label", "template", "placeholders"} for row in raw)
        assert all(isinstance(row["id"], str) and "[" in row["template"] for row in raw)
        assert format_of(path) == "ssv2"
        found = read(read_ssv2(path, split=split, videos=world / "ssv2/videos"))
        assert [ids[sample.id] for sample in found] == [sample.id for sample in rows[split]]
        assert [sample.caption for sample in found] == [sample.caption for sample in rows[split]]
        assert folded(s.template for s in found) == [sample.template for sample in rows[split]]
        assert all(blanked(s.caption, s.objects).casefold() == s.template.casefold() for s in found)
        same_frames(tiny_manifest, rows[split], world / "ssv2/videos", found)
    for folder in (world / "ssv2/original", world / ACTIONBENCH):
        test = read(read_ssv2(folder / "test.json", split="test", videos=world / "ssv2/videos"))
        assert folded(s.caption for s in test) == [sample.template for sample in rows["val"]]
        answers = read(read_ssv2(folder / "test-answers.csv", split="test"))
        assert [s.id for s in answers] == [s.id for s in test]
        labels = read_ssv2_labels(folder / "labels.json")
        assert {s.template for part in rows.values() for s in part} == set(folded(labels))


def test_actionbench_ssv2(world, rows):
    raw = json.loads((world / ACTIONBENCH / "validation.json").read_text())
    assert all(type(row["id"]) is int and "[" not in row["template"] for row in raw)
    assert all(row["label_object_shuffled_clip_text"].islower() for row in raw)
    found = read(read_ssv2(world / ACTIONBENCH / "validation.json", split="val"))
    # As published, rows without an antonym are left out; of train they stay.
    expected = [sample for sample in rows["test"] if sample.antonym]
    for field in ("caption", "antonym", "replaced", "template"):
        assert folded(getattr(s, field) for s in found) == [getattr(s, field) for s in expected]
    assert {s.antonym_note for s in found} == {s.replaced_note for s in found} == {"published"}
    assert [s.salient for s in found] == [s.salient for s in expected]
    assert all(s.caption[0].isupper() and s.caption[1:].islower() for s in found)
    antonyms = {row["label"]: row["template_action_antonym_clip_text"] for row in raw}
    assert all("something" in text and text != row for row, text in antonyms.items())
    train = read(read_ssv2(world / ACTIONBENCH / "train.json", split="train"))
    assert folded(s.antonym for s in train) == [s.antonym for s in rows["train"]]
    assert [s.salient for s in train] == [s.salient for s in rows["train"]]
    assert {True, False} == {s.salient for s in train}


def test_ssv2_label_and_template(world, tiny_manifest, rows):
    for part, split in (("train", "train"), ("val_small", "test")):
        path = world / f"ssv2/ssv2_ret_label_{part}.json"
        assert format_of(path) == "ssv2-retrieval"
        found = read(read_ssv2_retrieval(path, split="val", videos=world / "ssv2/videos"))
        assert sorted(s.caption for s in found) == sorted(s.caption for s in rows[split])
        texts = [row["caption"] for row in json.loads(path.read_text())]
        assert len(set(texts)) == len(texts)
        same = {s.caption: s for s in rows[split]}
        same_frames(tiny_manifest, [same[s.caption] for s in found], world / "ssv2/videos", found)
        path = world / f"ssv2/ssv2_ret_template_{part}.json"
        found = read(read_ssv2_retrieval(path, split="val", videos=world / "ssv2/videos"))
        assert sorted(folded(s.action for s in found)) == sorted(NAMES[s.action] for s in rows[split])
    # One text an action, whatever its paraphrases.
    assert len(json.loads(path.read_text())) == len({s.action for s in rows["test"]}) == 39


def test_rows_with_one_caption_are_one_text_with_several_videos(tiny_manifest, rows, tmp_path):
    videos = [os.fspath(tiny_manifest.parent / sample.video) for sample in rows["test"][:2]]
    twice = [replace(sample, video=video, caption="x") for sample, video in zip(rows["test"], videos, strict=False)]
    twice = [replace(sample, antonym=None, replaced=None, action="a") for sample in twice]
    write_manifest(tmp_path / "manifest.jsonl", twice)
    publish(tmp_path / "manifest.jsonl", tmp_path / "out", formats=["ssv2"])
    (row,) = json.loads((tmp_path / "out/ssv2/ssv2_ret_label_val_small.json").read_text())
    assert row == {"video": ["100001.webm", "100002.webm"], "caption": "x"}


@pytest.mark.parametrize("subset", ["ssv2", "kinetics"])
def test_temporal(world, tiny_manifest, rows, subset):
    path = world / "temporal/val-v1.0.csv"
    header = path.read_text().splitlines()[0]
    assert header == ",index,video_id,text,dataset" and format_of(path) == "temporal"
    found = read(read_temporal(path, split="test", videos=world / "temporal/videos", subset=subset))
    assert folded(s.caption for s in found) == [NAMES[s.action] for s in rows["test"]]
    same_frames(tiny_manifest, rows["test"], world / "temporal/videos", found)
    whole = [s.start is None and s.end is None for s in found]
    if subset == "ssv2":
        assert all(whole)
    else:
        # Twins are windows of one video, so that they stay in one group.
        assert not any(whole)
        groups = {a.group: b.group for a, b in zip(rows["test"], found, strict=True)}
        assert [groups[s.group] for s in rows["test"]] == [s.group for s in found]
        assert len(set(groups.values())) == len(groups) < len(found)
        assert {s.end - s.start for s in found} == {2.0}


def test_nextqa(world, tiny_manifest, rows):
    for name, split in (("train", "train"), ("val", "test"), ("test", "val")):
        path = world / f"nextqa/{name}.csv"
        assert format_of(path) == "nextqa" and split_of(path) == name
        found = read(read_nextqa(path, split=split, videos=world / "nextqa/videos"))
        for field in ("question", "choices", "answer", "antonym_choices", "kind"):
            assert [getattr(s, field) for s in found] == [getattr(s, field) for s in rows[split]], field
        assert all("/" in s.video for s in found)
        same_frames(tiny_manifest, rows[split], world / "nextqa/videos", found)
        with path.open() as file:
            assert {(r["frame_count"], r["width"], r["height"]) for r in csv.DictReader(file)} == {("9", "64", "64")}
        if name == "val":
            hard = (world / "nextqa/hard.txt").read_text().split()
            chosen = [expected for s, expected in zip(found, rows[split], strict=True) if s.id in hard]
            assert 0 < len(chosen) < len(found) // 3
            for sample in chosen:
                assert sample.antonym in sample.choices
                others = [choice for choice in sample.choices if choice != sample.caption]
                assert any(placeholders(sample.template, choice) for choice in others)


def test_moments(world, tiny_manifest, rows):
    path = world / "moments/validationSet.csv"
    assert format_of(path) == "moments" and "+" in path.read_text()
    found = read(read_moments(path, split="val", videos=world / "moments/videos"))
    assert [s.action for s in found] == [NAMES[s.action] for s in rows["test"]]
    assert all(s.video.startswith("validation/") for s in found)
    same_frames(tiny_manifest, rows["test"], world / "moments/videos", found)
    groups = {a.group: b.group for a, b in zip(rows["test"], found, strict=True)}
    assert [groups[s.group] for s in rows["test"]] == [s.group for s in found]
    train = read(read_moments(world / "moments/trainingSet.csv", split="train", videos=world / "moments/videos"))
    assert [s.action for s in train] == [NAMES[s.action] for s in rows["train"]]
    lines = [line.rsplit(",", 1) for line in (world / "moments/moments_categories.txt").read_text().splitlines()]
    assert [int(number) for _, number in lines] == list(range(len(lines)))
    labels = {label.replace("+", " ") for label, _ in lines}
    assert labels > {s.action for s in found} and "sneezing" in labels


def test_kinetics(world, tiny_manifest, rows):
    videos = world / "kinetics/videos"
    for name, folder, split in (("train", "train", "train"), ("validate", "val", "test"), ("test", "test", "val")):
        path = world / f"kinetics/{name}.csv"
        assert format_of(path) == "kinetics"
        found = read(read_kinetics(path, split="test", videos=videos))
        assert [s.action for s in found] == [NAMES[s.action] for s in rows[split]]
        assert {s.split for s in found} == {folder}
        same_frames(tiny_manifest, rows[split], videos, found)
        in_folder = read(read_kinetics(videos / folder, split="test"))
        assert sorted((s.id, s.action, s.group) for s in in_folder) == sorted((s.id, s.action, s.group) for s in found)
    labels = (world / "kinetics/kinetics_labels.txt").read_text().splitlines()
    assert labels == sorted({NAMES[s.action] for part in rows.values() for s in part})


def test_actionbench_ego4d(world, tiny_manifest, rows):
    for name, split in (("train", "train"), ("val", "val"), ("test", "test")):
        path = world / ANTONYMS / f"{name}.jsonl"
        raw = [json.loads(line) for line in path.read_text().splitlines()]
        assert all(math.isnan(row["Unnamed: 10"]) and isinstance(row["tag_noun"], str) for row in raw)
        assert all(row["clip_end"] <= row["video_dur"] and row["clip_fps"] == 30.0 for row in raw)
        assert format_of(path) == "ego4d" and split_of(path) == name
        found = read(read_ego4d(path, split=split))
        expected = [sample for sample in rows[split] if sample.antonym]
        for field in ("caption", "antonym", "salient"):
            assert [getattr(s, field) for s in found] == [getattr(s, field) for s in expected], field
        same_frames(tiny_manifest, expected, world / "ego4d/clips", found)
        # Several narrations a file, whole groups.
        assert 2 < len(found) / len({s.video for s in found}) < 6
        groups: dict[str, set[str]] = {}
        for sample, other in zip(expected, found, strict=True):
            groups.setdefault(sample.group, set()).add(other.group)
        assert all(len(videos) == 1 for videos in groups.values())
        if name != "train":
            shuffled = read(read_ego4d(world / SHUFFLED / f"{name}.jsonl", split=split))
            assert [s.replaced for s in shuffled] == [s.replaced for s in expected]
            assert [(s.id, s.video, s.start, s.end) for s in shuffled] == [
                (s.id, s.video, s.start, s.end) for s in found
            ]


BUILDS = {
    "ssv2": (("original/train.json", "original/validation.json", "original/test.json"), "videos"),
    "actionbench": (("train.json", "validation.json", "test.json"), "../videos"),
    "template": (("ssv2_ret_template_train.json", "ssv2_ret_template_val_small.json"), "videos"),
    "label": (("ssv2_ret_label_train.json", "ssv2_ret_label_val_small.json"), "videos"),
    "temporal": (("val-v1.0.csv",), "videos"),
    "nextqa": (("train.csv", "val.csv", "test.csv"), "videos"),
    "moments": (("trainingSet.csv", "validationSet.csv"), "videos"),
    "kinetics": (("train.csv", "validate.csv", "test.csv"), "videos"),
    "ego4d": (("train.jsonl", "val.jsonl", "test.jsonl"), "../clips"),
}
FOLDERS = {"actionbench": ACTIONBENCH, "template": "ssv2", "label": "ssv2", "ego4d": ANTONYMS}


@pytest.mark.parametrize("name", BUILDS)
def test_build_reads_every_written_set(world, tmp_path, capsys, name):
    files, videos = BUILDS[name]
    folder = world / FOLDERS.get(name, name)
    command = ["build", *(str(folder / file) for file in files), "--videos", str((folder / videos).resolve())]
    assert main([*command, "--check-videos", "--out", str(tmp_path / "bench")]) == 0
    assert main(["validate", str(tmp_path / "bench/manifest.jsonl"), "--check-files"]) == 0
    built = read_manifest(tmp_path / "bench/manifest.jsonl")
    assert len(built) >= 75 or name in ("template", "label", "moments")
    if name == "nextqa":
        assert {len(sample.choices) for sample in built} == {5}
    capsys.readouterr()


def test_the_command_counts_what_it_leaves_out(tiny_manifest, tmp_path, capsys):
    out = tmp_path / "b"
    arguments = ["world", "formats", str(tiny_manifest), "--source", "world-B", "--out", str(out)]
    assert main([*arguments, "--formats", "ssv2", "moments"]) == 0
    said = capsys.readouterr().out
    assert "shuffled_object_and_action_antonyms/validation.json: 36 (left out: 3 without antonym)" in said
    assert "moments/trainingSet.csv: 0" in said
    # A part without rows has no file; formats that were not asked for have no folder.
    assert not (out / "moments/trainingSet.csv").exists() and not (out / "nextqa").exists()
    assert {path.name for path in out.iterdir()} == {"ids.json", "ssv2", "moments"}


def test_another_run_leaves_everything_as_it_is(tiny_manifest, tmp_path):
    states = []
    for _ in range(2):
        publish(tiny_manifest, tmp_path, source="world-B", names=NAMES, formats=["ssv2", "temporal", "nextqa"])
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        states.append({path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in files})
    assert states[0] == states[1] and not [name for name in states[0] if "/." in name]
    clip = next((tmp_path / "ssv2/videos").iterdir())
    assert clip.is_symlink()  # nothing is stored twice, and a feature store knows the clip
    assert clip.exists() and not clip.readlink().is_absolute()  # a world and its formats can be moved together


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_part_to_evaluate_on_is_chosen(tiny_manifest, rows, tmp_path, split):
    publish(tiny_manifest, tmp_path, evaluated=split, source="world-A", names=NAMES, formats=["moments", "nextqa"])
    found = read(read_moments(tmp_path / "moments/validationSet.csv", split="val"))
    assert len(found) == len(rows[split])
    other = {"val": "test", "test": "val"}[split]
    assert [s.choices for s in read(read_nextqa(tmp_path / "nextqa/test.csv", split="test"))] == [
        s.choices for s in rows[other]
    ]


def bare(tiny_manifest: Path, sample: Sample, **fields: object) -> Sample:
    """The sample with its video as an absolute path, and nothing but the required fields and those given."""
    video = os.fspath(tiny_manifest.parent / sample.video)
    return replace(
        Sample(sample.id, video, sample.caption, sample.split, sample.group),
        **fields,  # type: ignore[arg-type]
    )


def test_a_manifest_of_another_kind_gives_the_formats_that_it_can(tiny_manifest, rows, tmp_path):
    """Windows are cut, actions are called by their commonest template, and what is missing is counted."""
    first, second, third = rows["test"][:3]
    samples = [
        bare(tiny_manifest, first, start=0.25, end=0.75, action="up", template="Lifting something"),
        bare(tiny_manifest, second, action="up", template="Raising something", caption="Raising a box"),
        bare(tiny_manifest, third, action="up", template="Raising something", kind="odd", question="why?"),
    ]
    write_manifest(tmp_path / "manifest.jsonl", samples)
    out = tmp_path / "out"
    written = publish(tmp_path / "manifest.jsonl", out)
    counts = {f"{name}/{file.file}": file for name, files in written.items() for file in files}
    assert counts["ssv2/original/validation.json"].rows == 1
    assert counts["ssv2/original/validation.json"].left_out == {"template that fits its caption": 2}
    assert counts["nextqa/val.csv"].left_out == {"question": 2, "5 choices": 1}
    assert counts["temporal/val-v1.0.csv"].rows == 6
    assert not (out / "nextqa/val.csv").exists()
    temporal = read(read_temporal(out / "temporal/val-v1.0.csv", split="test", videos=out / "temporal/videos"))
    assert {s.caption for s in temporal} == {"Raising something"}
    whole = read_clip(tiny_manifest.parent / first.video, "midpoint", FRAMES).frames
    for sample in (s for s in temporal if s.id in ("100001", f"Raising something/{temporal[3].group}_000000_000001")):
        cut = read_clip(out / "temporal/videos" / sample.video, "midpoint", 4, sample.start, sample.end)
        assert torch.equal(cut.frames, whole[2:6])
    assert look_at(out / "temporal/videos/100001.mp4", None, None).frames == 4


def test_what_cannot_be_written_is_said(tiny_manifest, rows, tmp_path, capsys):
    out = str(tmp_path / "out")
    with pytest.raises(PaxionError, match=r"unknown source 'world-C' .*: give one of world-A, world-B"):
        publish(tiny_manifest, tmp_path / "out", source="world-C")
    with pytest.raises(PaxionError, match=r"unknown format 'ssv3'"):
        publish(tiny_manifest, tmp_path / "out", formats=["ssv3"])
    with pytest.raises(PaxionError, match=r"no row is in the split val, the rows are in test"):
        publish(tiny_manifest, tmp_path / "out", source="world-B", evaluated="val")
    assert main(["world", "formats", str(tiny_manifest), "--out", out, "--split", "train"]) == 1
    assert "unknown split to evaluate on 'train'" in capsys.readouterr().err
    gone = tmp_path / "gone.jsonl"
    write_manifest(gone, [replace(sample, video=f"none/{sample.id}.mp4") for sample in rows["test"]])
    assert main(["world", "formats", str(gone), "--out", out]) == 1
    assert f"{len(rows['test'])} of {len(rows['test'])} rows of {gone} have no video file" in capsys.readouterr().err
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    write_manifest(gone, [replace(rows["test"][0], video="broken.mp4")])
    assert main(["world", "formats", str(gone), "--out", out]) == 1
    assert "broken.mp4" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_clips_of_different_sizes_do_not_share_a_file(tiny_manifest, rows, tmp_path):
    write_clip(tmp_path / "wide.mp4", torch.randint(0, 255, (5, 32, 48, 3), dtype=torch.uint8))
    samples = [bare(tiny_manifest, sample, antonym="x", action="a") for sample in rows["test"][:5]]
    samples.insert(
        1, replace(samples[0], id="wide", video=os.fspath(tmp_path / "wide.mp4"), caption="wide", action="w")
    )
    write_manifest(tmp_path / "manifest.jsonl", samples)
    publish(tmp_path / "manifest.jsonl", tmp_path / "out", formats=["ego4d", "temporal"])
    found = read(read_ego4d(tmp_path / "out" / ANTONYMS / "test.jsonl", split="test"))
    assert [s.caption for s in found] == [s.caption for s in samples]
    assert [s.video == found[1].video for s in found] == [False, True, False, False, False, False]
    path, videos = tmp_path / "out/temporal/val-v1.0.csv", tmp_path / "out/temporal/videos"
    found = read(read_temporal(path, split="test", videos=videos, subset="kinetics"))
    sizes = [look_at(videos / s.video, s.start, s.end).width for s in found]
    assert sorted(sizes) == [48, 64, 64, 64, 64, 64] and len({s.video for s in found}) == 4
    wide = look_at(tmp_path / "wide.mp4", None, None)
    with pytest.raises(PaxionError, match="different sizes"):
        join([wide, look_at(Path(samples[0].video), None, None)], [0, 0], tmp_path / "joined.mp4")


def test_joined_clips_come_back_to_the_bit(tmp_path):
    torch.manual_seed(0)
    shots = []
    for number, frames in enumerate((3, 7, 1)):
        path = tmp_path / f"{number}.mp4"
        write_clip(path, torch.randint(0, 255, (frames, 34, 50, 3), dtype=torch.uint8), fps=(5, 30, 8)[number])
        shots.append(look_at(path, None, None))
    for lengths in ([0, 0, 0], [1, 2, 3]):
        windows = join(shots, lengths, tmp_path / "joined.mp4")
        assert windows[0][0] == 0 and all(a[1] == b[0] for a, b in pairwise(windows))
        for shot, (start, end) in zip(shots, windows, strict=True):
            cut = read_clip(tmp_path / "joined.mp4", "midpoint", shot.frames, start, end)
            assert len(set(cut.indices)) == shot.frames and cut.total == 11
            assert torch.equal(cut.frames, read_clip(shot.path, "midpoint", shot.frames).frames)
    assert [end - start for start, end in windows] == [1, 2, 3]


def test_where_no_hard_link_can_be_a_symbolic_one_is_put(tiny_manifest, rows):
    memory = Path("/dev/shm")
    source = tiny_manifest.parent / rows["test"][0].video
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == source.stat().st_dev:
        pytest.skip("no second file system to link to")
    target = memory / f"paxion-{os.getpid()}" / "a.mp4"
    try:
        put(look_at(source, None, None), target)
        assert target.is_symlink() and target.read_bytes() == source.read_bytes()
    finally:
        target.unlink(missing_ok=True)
        target.parent.rmdir()


def test_templates_and_their_objects():
    assert placeholders("Putting something into something", "putting red star into blue box") == (
        "red star",
        "blue box",
    )
    assert placeholders("Putting something into something", "moving red star") is None
    assert placeholders("Falling", "Falling") is placeholders(None, "Falling") is None
    assert bracketed("Something on something") == "[Something] on [something]"
    assert blanked("cup in a cup, cupboard", ["cup", "a cup"]) == "something in something, cupboard"
    assert set(WRITERS) == {"ssv2", "temporal", "nextqa", "moments", "kinetics", "ego4d"}
