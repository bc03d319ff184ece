"""Evaluation sets as they are published: what is scored, what the candidates are, and what is said of bad input."""

from __future__ import annotations

import pytest
from annotations import ANNOTATIONS, jsonl, real, written

from paxion.data.benchmarks import bench_of, read_bench
from paxion.data.lists import read_ids, read_labels
from paxion.data.prompts import ENSEMBLES, prompts_of
from paxion.records import PaxionError

TEMPORAL = ",index,video_id,text,dataset\n"
HEAD = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"


def row(name: str, **more: object) -> dict[str, object]:
    return {"id": name, "video": f"{name}.mp4", "caption": f"caption {name}", "split": "test", "group": name, **more}


def test_ssv2_label_is_retrieval_and_keeps_captions_whose_videos_are_missing(tmp_path):
    rows = [{"video": "1.webm", "caption": "Holding [a cup]"}, {"video": ["2.webm"], "caption": "Opening a box"}]
    path = written(tmp_path / "ssv2_ret_label_val_small.json", rows)
    (tmp_path / "clips").mkdir()
    written(tmp_path / "clips" / "1.mp4", "")
    bench = read_bench(path, videos=tmp_path / "clips")
    assert (bench.name, bench.tasks, bench.labels) == ("ssv2-label", ("text_to_video", "video_to_text"), ())
    assert [(s.caption, s.template, s.source) for s in bench.samples] == [
        ("Holding a cup", None, "ssv2-label"), ("Opening a box", None, "ssv2-label"),
    ]  # fmt: skip
    assert [s.video for s in bench.samples] == [str(tmp_path / "clips" / name) for name in ("1.mp4", "2.webm")]
    # The name decides where --task does not: the same file as templates has actions.
    assert read_bench(path, "ssv2-template").labels == ("Holding a cup", "Opening a box")


def test_an_empty_video_list_is_a_counted_problem_and_a_clip_with_two_captions_a_note(tmp_path):
    rows = [
        {"video": [], "caption": "Lifting a cup"},
        {"video": "1.webm", "caption": "Holding a cup"},
        {"video": "1.webm", "caption": "Opening a box"},
    ]
    bench = read_bench(written(tmp_path / "label.json", rows), "ssv2-label")
    (problem,) = bench.problems
    assert (
        problem.count == 1
        and "video: got no name" in problem.reason
        and f"{tmp_path / 'label.json'}:" in problem.reason
    )
    assert [s.id for s in bench.samples] == ["1", "1#2"]
    assert "1 clips stand at several captions" in bench.notes[0] and "1.webm" in bench.notes[0]


def test_a_retrieval_file_of_neither_name_must_be_told(tmp_path):
    path = written(tmp_path / "mine.json", [{"video": ["1.webm"], "caption": "x"}])
    with pytest.raises(PaxionError, match=r"say which: --task ssv2-label or ssv2-template"):
        read_bench(path)


def test_temporal_has_the_labels_of_its_subset_and_is_told_where_it_has_one(tmp_path):
    kinetics = "0,0,high jump/abcdefghijk_000001_000009,high jump,kinetics\n"
    ssv2 = "1,1,77,Moving [something] up,SSv2\n2,2,78,Moving [something] down,SSv2\n"
    both = written(tmp_path / "val-v1.0.csv", TEMPORAL + kinetics + ssv2)
    with pytest.raises(PaxionError, match=r"rows of both; say which to score: --task temporal-ssv2|holds rows of both"):
        bench_of(both)
    assert read_bench(both, "temporal-ssv2").labels == ("Moving something up", "Moving something down")
    assert read_bench(both, "temporal-kinetics").labels == ("high jump",)
    assert bench_of(written(tmp_path / "one.csv", TEMPORAL + ssv2)) == "temporal-ssv2"


def test_the_labels_of_a_list_are_the_candidates_and_bad_lines_are_counted(tmp_path):
    path = written(tmp_path / "validationSet.csv", "clapping/x_1.mp4,clapping,3,0\nriding/y_2.mp4,playing+music,2,1\n")
    labels = written(tmp_path / "moments_categories.txt", "clapping,0\nplaying+music,1\n\nsneezing,2\nclapping,3\n")
    bench = read_bench(path, labels=labels)
    assert bench.name == "moments" and bench.labels == ("clapping", "playing music", "sneezing")
    (problem,) = bench.problems
    assert (problem.task, problem.count) == ("labels", 2) and "got an empty label" in problem.reason
    assert ":5:" in problem.examples[1] and 'label "clapping" again (first on line 1)' in problem.examples[1]
    assert "1 of 3 labels" in bench.notes[0] and "sneezing" in bench.notes[0]
    assert read_bench(path).labels == ("clapping", "playing music")
    with pytest.raises(PaxionError, match=r"index 0 at two labels"):
        read_labels(written(tmp_path / "twice.txt", "a,0\nb,0\n"))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('air drumming\n"high jump"\n', ["air drumming", "high jump"]),
        ('["a", "b"]', ["a", "b"]),
        ('{"Holding [something]": "0", "Moving": "1"}', ["Holding something", "Moving"]),
        ("a, b and c\nd\n", ["a, b and c", "d"]),
    ],
)
def test_labels_are_lines_or_json(tmp_path, content, found):
    assert read_labels(written(tmp_path / "labels", content)) == (found, [])


@pytest.mark.parametrize(
    "content",
    [
        "5_0\n7_6\n",
        "video,qid\n5,0\n7,6\n",
        "5,0\n\n7,6\n",
        '["5_0", "7_6"]',
        '[["5", 0], ["7", "6"]]',
        '{"5": [0], "7": [6]}',
    ],
)
def test_hard_ids_are_lines_pairs_or_json(tmp_path, content):
    assert read_ids(written(tmp_path / "hard", content)) == {"5_0", "7_6"}


@pytest.mark.parametrize("content", ['{"5": "06"}', "[5]", "1,2,3\n", "[[", "\n"])
def test_other_lists_of_ids_are_refused(tmp_path, content):
    with pytest.raises(PaxionError) as error:
        read_ids(written(tmp_path / "hard", content))
    assert "\n" not in str(error.value)


def test_nextqa_counts_questions_without_five_choices_and_finds_its_hard_ones(tmp_path):
    good = "5,9,8,8,what happens,1,{},CW,a,b,c,d,e\n"
    path = written(tmp_path / "val.csv", HEAD + good.format(0) + good.format(1) + "5,9,8,8,why,1,2,CW,a,b,c,d,\n")
    bench = read_bench(path, hard=written(tmp_path / "hard.txt", "5_1\n6_0\n"))
    assert (bench.name, bench.tasks, [s.id for s in bench.samples]) == ("nextqa", ("questions",), ["5_0", "5_1"])
    assert bench.hard == {"5_1", "6_0"}, "unknown ids are counted by the evaluation"
    assert bench.problems[0].count == 1 and "a4: got nothing" in bench.problems[0].reason
    with pytest.raises(PaxionError, match=r"none of the 1 ids .* expected such as '5_0'"):
        read_bench(path, hard=written(tmp_path / "other.txt", "x\n"))
    with pytest.raises(PaxionError, match=r"none of the tasks .questions. has labels"):
        read_bench(path, labels=written(tmp_path / "labels", "a\n"))


def test_a_manifest_is_asked_what_its_fields_allow(tmp_path):
    asked = {"question": "what", "choices": ["a", "b"], "answer": 0}
    path = jsonl(tmp_path / "m.jsonl", row("1", source="x"), row("2", template="t"), row("3", split="val", **asked))
    bench = read_bench(path)
    assert bench.tasks == ("text_to_video", "video_to_text", "video_to_action") and bench.labels == ("t",)
    assert [s.source for s in bench.samples] == ["x", None] and bench.samples[0].video == str(tmp_path / "1.mp4")
    val = read_bench(path, split="val")
    assert val.tasks == ("text_to_video", "video_to_text", "questions")
    assert read_bench(path, tasks=("reversal", "reversal")).tasks == ("reversal",)
    with pytest.raises(PaxionError, match=r"has nothing for the task antonym as manifest; it allows"):
        read_bench(path, tasks=("antonym",))
    with pytest.raises(PaxionError, match=r"did you mean 'video_to_text'"):
        read_bench(path, tasks=("video_to_txt",))
    with pytest.raises(PaxionError, match=r"has no train rows"):
        read_bench(path, split="train")


def test_a_bad_row_of_a_manifest_is_counted_and_the_others_are_kept(tmp_path):
    bench = read_bench(jsonl(tmp_path / "m.jsonl", row("1"), row("2", answer=7, choices=["a"]), '{"id": ""}', row("3")))
    assert [s.id for s in bench.samples] == ["1", "3"]
    assert bench.problems[0].count == 2 and bench.problems[0].data == "m"


def test_what_is_no_evaluation_set_is_said(tmp_path):
    path = written(tmp_path / "validation.json", [{"id": "1", "label": "a", "template": "b"}])
    with pytest.raises(PaxionError, match=r"format ssv2, which is no evaluation set .*paxion build"):
        read_bench(path)
    with pytest.raises(PaxionError, match=r"did you mean 'nextqa'"):
        read_bench(path, "nexqa")
    with pytest.raises(PaxionError, match=r"got --videos .* which is no folder"):
        read_bench(path, "ssv2-label", videos=tmp_path / "none")
    bad = written(tmp_path / "validationSet.csv", "a.mp4,clapping,few,0\n")
    with pytest.raises(PaxionError, match=r"has no row that can be used as moments, the first: .*:1: agree: got"):
        read_bench(bad, "moments")


def test_prompts_are_texts_or_names():
    assert prompts_of(["a video of {}", "a video of {}"]) == ("a video of {}",)
    assert prompts_of(["ensemble"]) == ENSEMBLES["ensemble"]
    assert all(prompt.count("{}") == 1 for prompts in ENSEMBLES.values() for prompt in prompts)
    with pytest.raises(PaxionError, match=r"did you mean 'ensemble'"):
        prompts_of(["ensembel"])


@real
def test_the_published_files_are_read_whole():
    bench = read_bench(ANNOTATIONS / "nextqa_val.csv")
    assert (bench.name, len(bench.samples), bench.problems) == ("nextqa", 4996, ())
    assert len(read_labels(ANNOTATIONS / "kinetics400.txt")[0]) == 400
    assert len(read_labels(ANNOTATIONS / "moments_v1_339.txt")[0]) == 339
    assert len(read_labels(ANNOTATIONS / "ssv2_174_templates.txt")[0]) == 174


def test_lists_that_are_no_lists_are_refused(tmp_path):
    (tmp_path / "labels.json").write_text('["falling", null]')
    with pytest.raises(PaxionError, match="got null, expected labels as texts"):
        read_labels(tmp_path / "labels.json")
    (tmp_path / "hard.txt").write_text('"' + "a" * 200_000 + "\n1_1\n")
    with pytest.raises(PaxionError, match="give a list of ids"):
        read_ids(tmp_path / "hard.txt")
