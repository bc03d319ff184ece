"""From annotation files to an ActionBench, on files of several formats."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from paxion.actionbench.build import BuildPlan, build, foils_of, template_of, with_foils
from paxion.actionbench.vocabulary import built_in_vocabulary
from paxion.manifest import read_manifest
from paxion.records import PaxionError, Sample
from paxion.video.encode import write_clip

CAPTIONS = (
    "Open the drawer", "Close the drawer", "Put the cup on the table", "Take the cup off the table", "Stir the soup",
    "Move the pen to the left", "Move the pen to the right", "Pick up the towel", "Put down the towel",
    "Wash the plate",
)  # fmt: skip


@pytest.fixture
def table(tmp_path):
    """A table of ten captioned clips from five source videos."""
    path = tmp_path / "clips.csv"
    rows = [f"v{number // 2}.mp4,{caption},{number}" for number, caption in enumerate(CAPTIONS)]
    path.write_text("\n".join(["video,caption,id", *rows]) + "\n", "utf-8")
    return path


def test_a_table_becomes_a_manifest_with_foils_and_notes(table, tmp_path):
    out = tmp_path / "bench"
    built = build(BuildPlan((table,), out, split="test"))
    rows = {sample.caption: sample for sample in read_manifest(out / "manifest.jsonl")}
    assert built.rows == len(rows) == 10 and built.splits == {"test": 10} and built.groups == 5
    assert rows["Open the drawer"].antonym == "Close the drawer" == rows["Open the drawer"].reversal
    assert rows["Put the cup on the table"].antonym == "Take the cup off the table"
    assert rows["Open the drawer"].verb == "open" and rows["Open the drawer"].template == "Open something"
    assert rows["Stir the soup"].antonym is None and "direction" in rows["Stir the soup"].antonym_note
    assert rows["Stir the soup"].reversible is False and rows["Open the drawer"].reversible is True
    assert rows["Open the drawer"].video == "../v0.mp4"
    for sample in rows.values():
        assert sample.antonym_note and sample.replaced_note
        assert sample.replaced is None or sample.replaced.casefold() != sample.caption.casefold()
    assert built.foils["antonym"] == sum(sample.antonym is not None for sample in rows.values()) == 8
    assert sum(built.no_antonym.values()) == 2


def test_the_closed_split_is_written_beside_it(table, tmp_path):
    built = build(BuildPlan((table,), tmp_path / "bench", split="test"))
    closed = read_manifest(tmp_path / "bench" / "closed.jsonl")
    pairs = [(sample.caption, sample.antonym) for sample in closed]
    assert pairs and sorted(pairs) == sorted((foil, caption) for caption, foil in pairs)
    assert sum(built.closed.values()) == len(closed) == 2 * built.closed_pairs


def test_the_same_seed_gives_the_same_files(table, tmp_path):
    texts = []
    for name in ("one", "two"):
        build(BuildPlan((table,), tmp_path / name, seed=3))
        texts.append([(tmp_path / name / file).read_text() for file in ("manifest.jsonl", "closed.jsonl")])
    assert texts[0] == texts[1]


def test_splits_are_drawn_by_source_video_where_the_data_set_says_none(table, tmp_path):
    rows = [f"{table.read_text()}"] + [f"w{n}.mp4,Open the box,x{n}\n" for n in range(200)]
    table.write_text("".join(rows))
    build(BuildPlan((table,), tmp_path / "bench", shares=(0.5, 0.25, 0.25)))
    samples = read_manifest(tmp_path / "bench" / "manifest.jsonl")
    splits = {sample.group: set() for sample in samples}
    for sample in samples:
        splits[sample.group].add(sample.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {sample.split for sample in samples} == {"train", "val", "test"}


def test_published_splits_that_share_a_source_video_are_refused_and_can_be_drawn_anew(tmp_path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text(f"video,caption,id\na.mp4,Open the {name} box,1\n")
    files = (tmp_path / "train.csv", tmp_path / "test.csv")
    with pytest.raises(PaxionError, match=r"'a\.mp4'.*--resplit"):
        build(BuildPlan(files, tmp_path / "bench"))
    built = build(BuildPlan(files, tmp_path / "bench", resplit=True))
    samples = read_manifest(tmp_path / "bench" / "manifest.jsonl")
    assert len({sample.split for sample in samples}) == 1 and len(built.splits) == 1
    # The same id in two files: the second is told apart.
    assert [sample.id for sample in samples] == ["1", "test/1"]


def test_published_foils_and_template_objects_are_used(tmp_path):
    rows = [
        {
            "id": "5",
            "label": "Putting a closed box into a drawer",
            "template": "Putting [something] into [something]",
            "placeholders": ["a closed box", "a drawer"],
        },
        {
            "id": "6",
            "label": "Opening a book",
            "template": "Opening [something]",
            "placeholders": ["a book"],
            "label_action_antonym_clip_text": "Shutting a book",
        },
    ]
    (tmp_path / "validation.json").write_text(json.dumps(rows))
    built = build(BuildPlan((tmp_path / "validation.json",), tmp_path / "bench"))
    one, two = read_manifest(tmp_path / "bench" / "manifest.jsonl")
    assert one.antonym == "Taking a closed box out of a drawer" and one.split == two.split == "val"
    assert two.antonym == "Shutting a book" and two.antonym_note == "published"
    assert built.foils["antonym published"] == 1 and one.template == "Putting something into something"


def test_bad_rows_are_listed_with_file_and_line_and_stop_the_build(table, tmp_path):
    lines = table.read_text().splitlines()
    lines[3] = "v9.mp4,too,many,cells,here"
    lines.append("../../outside.mp4,Open the gate,77")
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(PaxionError, match="got 2 bad rows") as error:
        build(BuildPlan((table,), tmp_path / "bench"))
    assert f"{table}:4:" in str(error.value) and f"{table}:12:" in str(error.value)
    assert not (tmp_path / "bench" / "manifest.jsonl").exists()
    built = build(BuildPlan((table,), tmp_path / "bench", skip_bad=2))
    assert built.rows == 9 and len(built.bad) == 2


def test_files_without_a_sound_row_or_a_known_format_are_one_clear_error(tmp_path):
    empty = tmp_path / "empty.csv"
    empty.write_text("video,caption\n")
    with pytest.raises(PaxionError):
        build(BuildPlan((empty,), tmp_path / "bench"))
    with pytest.raises(PaxionError, match=r"unknown format 'sssv2' .did you mean 'ssv2'"):
        build(BuildPlan((empty,), tmp_path / "bench", format="sssv2"))


def test_nothing_in_a_table_is_evaluated(tmp_path):
    path = tmp_path / "t.csv"
    code = "__import__('os').system('touch hacked')"
    path.write_text(f'video,caption,objects\na.mp4,Open the box,"{code}"\n')
    with pytest.raises(PaxionError, match="bad rows"):
        build(BuildPlan((path,), tmp_path / "bench"))


def test_questions_get_no_foils_of_ours():
    sample = Sample("1", "a.mp4", "what does he do? open the door", "test", "a", question="what does he do?")
    asked = replace(sample, choices=("open the door", "laugh", "sit down", "stand up"), answer=0)
    made = with_foils(asked, built_in_vocabulary())
    assert made.antonym is None and made.replaced is None and "question" in made.antonym_note
    # "sit down" and "stand up" are each other's antonym: choices already.
    assert made.antonym_choices == ("close the door",)
    published = with_foils(replace(asked, antonym_choices=("shut the door",)), built_in_vocabulary())
    assert published.antonym_choices == ("shut the door",)


def test_a_caption_is_explained_by_its_foils():
    made, backwards, verb, template = foils_of("Pulling a cart from left to right")
    assert made.text == "Pulling a cart from right to left"
    assert (
        backwards.text == "Pushing a cart from right to left"
        and verb == "pull"
        and template == "Pulling something from left to right"
    )
    assert template_of("Put the pen in the red cup") == "Put something in something"
    assert template_of("walking") is None


def test_a_manifest_can_be_built_again_without_losing_a_field(table, tmp_path):
    build(BuildPlan((table,), tmp_path / "one", split="test"))
    build(BuildPlan((tmp_path / "one" / "manifest.jsonl",), tmp_path / "two"))
    one, two = (read_manifest(tmp_path / name / "manifest.jsonl") for name in ("one", "two"))
    assert [
        replace(a, replaced=b.replaced, replaced_note=b.replaced_note) for a, b in zip(one, two, strict=True)
    ] == two


def test_videos_that_cannot_be_read_or_end_too_early_are_bad_rows_when_looked_at(tmp_path):
    write_clip(tmp_path / "two_seconds.mp4", torch.zeros(20, 32, 32, 3, dtype=torch.uint8), 10)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    rows = [("two_seconds.mp4", 0, 2), ("two_seconds.mp4", 1, 9), ("broken.mp4", 0, 1), ("none.mp4", 0, 1)]
    table = tmp_path / "t.csv"
    lines = [f"{n},{video},Open the box,{start},{end}" for n, (video, start, end) in enumerate(rows)]
    table.write_text("\n".join(["id,video,caption,start,end", *lines]) + "\n")
    assert build(BuildPlan((table,), tmp_path / "a", split="test")).rows == 4
    with pytest.raises(PaxionError, match="got 3 bad rows") as error:
        build(BuildPlan((table,), tmp_path / "b", split="test", check_videos=True))
    for said in ("row 2, 1: end: got 9 s, expected at most 2.00", "broken.mp4", "no video file at"):
        assert said in str(error.value)
    built = build(BuildPlan((table,), tmp_path / "c", split="test", check_videos=True, skip_bad=3))
    assert built.rows == 1 and [row.id for row in read_manifest(tmp_path / "c" / "manifest.jsonl")] == ["0"]


def test_a_set_that_names_no_object_says_so_in_its_rows(tmp_path):
    (tmp_path / "t.csv").write_text("video,caption\na.mp4,jumping\nb.mp4,walking\n")
    build(BuildPlan((tmp_path / "t.csv",), tmp_path / "bench", split="test"))
    rows = read_manifest(tmp_path / "bench" / "manifest.jsonl")
    assert all(row.replaced is None and "names an object" in row.replaced_note for row in rows)


def test_a_second_file_that_cannot_be_read_is_not_taken_for_a_set_without_objects(table, tmp_path):
    with pytest.raises(PaxionError, match=r"none\.csv"):
        build(BuildPlan((table, tmp_path / "none.csv"), tmp_path / "bench", split="test"))
    assert not (tmp_path / "bench" / "manifest.jsonl").exists()
