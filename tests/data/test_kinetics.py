import pytest
from annotations import ANNOTATIONS, given, real, written

from paxion.data.kinetics import clip_times, read_kinetics
from paxion.data.moments import read_moments
from paxion.data.temporal import read_temporal
from paxion.records import PaxionError

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"


def test_a_kinetics_csv(tmp_path):
    path = written(
        tmp_path / "k.csv",
        HEADER + "air drumming,abc_-EFGHIJ,10,20,train,0\nabseiling,xyz,0,10,validate,1\nabseiling,uvw,0,10,,1\n",
    )
    samples, bad = given(read_kinetics(path, split="test"))
    assert bad == []
    first = samples[0]
    assert (first.id, first.video) == (
        "air drumming/abc_-EFGHIJ_000010_000020",
        "air drumming/abc_-EFGHIJ_000010_000020.mp4",
    )
    assert (first.group, first.source, first.start, first.end) == ("abc_-EFGHIJ", "kinetics", None, None)
    assert first.caption == first.template == first.action == "air drumming"
    # The row's own split wins; a row without one has the given split.
    assert [s.split for s in samples] == ["train", "val", "test"]


@pytest.mark.parametrize(
    "there",
    [
        "air_drumming/abc_000010_000020.mp4",
        "abc_000010_000020.mp4",
        "validate/abc_000010_000020.mp4",
        "val/air_drumming/abc_000010_000020.mp4",
    ],
)
def test_kinetics_clips_lie_in_several_ways(tmp_path, there):
    path = written(tmp_path / "k.csv", HEADER + "air drumming,abc,10,20,validate,0\n")
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).touch()
    assert [s.video for s in given(read_kinetics(path, split="val", videos=tmp_path))[0]] == [there]


def test_bad_rows_of_kinetics(tmp_path):
    rows = (
        "a,x,0,10,train,0\n"
        "a,x,0,10,train,0\n"
        "a,y,10,10,train,0\n"
        "a,y,nan,10,train,0\n"
        "a,y,-5,10,train,0\n"
        "a,y,,10,train,0\n"
        "a,../y,0,10,train,0\n"
        ",y,0,10,train,0\n"
        "a,y,0,10,holdout,0\n"
        "a,y,0,10\n"
    )
    samples, bad = given(read_kinetics(written(tmp_path / "k.csv", HEADER + rows), split="val"))
    assert len(samples) == 1 and [line for line, _ in bad] == list(range(3, 12))
    with pytest.raises(
        PaxionError, match=r"the column 'label' nowhere, .* columns youtube_id, time_start, time_end, split"
    ):
        list(
            read_kinetics(
                written(tmp_path / "test.csv", "youtube_id,time_start,time_end,split\na,0,10,test\n"), split="test"
            )
        )


def test_class_folders(tmp_path):
    for name in (
        "val/air_drumming/abc_000010_000020.mp4",
        "val/air_drumming/notes.txt",
        "val/abseiling/own clip.WEBM",
        "val/README.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    samples, bad = given(read_kinetics(tmp_path / "val", split="val"))
    assert bad == []
    assert [(s.video, s.caption, s.group) for s in samples] == [
        ("abseiling/own clip.WEBM", "abseiling", "own clip"),
        ("air_drumming/abc_000010_000020.mp4", "air drumming", "abc"),
    ]
    below = given(read_kinetics(tmp_path / "val", split="val", videos=tmp_path))[0]
    assert below[0].video == "val/abseiling/own clip.WEBM"
    (tmp_path / "val/abseiling/own clip.mp4").touch()
    assert "again (first on line 1)" in given(read_kinetics(tmp_path / "val", split="val"))[1][0][1]
    with pytest.raises(PaxionError, match="has no class folders with videos"):
        list(read_kinetics(tmp_path / "val" / "abseiling", split="val"))


def test_clip_times():
    assert clip_times("_a_b_000010_000020") == ("_a_b", 10.0, 20.0)
    assert clip_times("abc_10_20") is clip_times("abc") is None


@real
def test_every_real_class_of_kinetics_gives_a_caption(tmp_path):
    names = (ANNOTATIONS / "kinetics400.txt").read_text("utf-8").splitlines()
    rows = "".join(f'"{name}",id{number},0,10,train,0\n' for number, name in enumerate(names))
    samples, bad = given(read_kinetics(written(tmp_path / "k.csv", HEADER + rows), split="train"))
    assert bad == [] and [s.caption for s in samples] == names and len(names) == 400


TEMPORAL = """,index,video_id,text,dataset
4153,2561,1697,Approaching [something] with your camera,SSv2
188,2281,cartwheeling/RUNwB3-Qx_g_000007_000017,cartwheeling,kinetics
189,2281,cartwheeling/RUNwB3-Qx_g_000007_000017,somersaulting,kinetics
"""


def test_temporal_holds_two_subsets(tmp_path):
    path = written(tmp_path / "val-v1.0.csv", TEMPORAL)
    (ssv2, kinetics, again), bad = given(read_temporal(path, split="val"))
    assert bad == []
    assert (ssv2.video, ssv2.group, ssv2.source, ssv2.start) == ("1697.webm", "1697", "temporal-ssv2", None)
    assert ssv2.caption == ssv2.template == ssv2.action == "Approaching something with your camera"
    assert (kinetics.video, kinetics.group, kinetics.source) == ("RUNwB3-Qx_g.mp4", "RUNwB3-Qx_g", "temporal-kinetics")
    assert (kinetics.start, kinetics.end) == (7.0, 17.0)
    assert again.id == kinetics.id + "#2"
    assert [s.source for s in given(read_temporal(path, split="val", subset="ssv2"))[0]] == ["temporal-ssv2"]
    assert len(given(read_temporal(path, split="val", subset="kinetics"))[0]) == 2
    with pytest.raises(PaxionError, match="unknown subset 'kinetic' "):
        list(read_temporal(path, split="val", subset="kinetic"))
    cut = tmp_path / "cartwheeling/RUNwB3-Qx_g_000007_000017.mp4"
    cut.parent.mkdir()
    cut.touch()
    sample = given(read_temporal(path, split="val", videos=tmp_path, subset="kinetics"))[0][0]
    assert (sample.video, sample.start, sample.end) == ("cartwheeling/RUNwB3-Qx_g_000007_000017.mp4", None, None)


def test_bad_rows_of_temporal(tmp_path):
    rows = (
        "1,1,cart/abc,cart,kinetics\n"
        "1,1,cart/abc_000017_000007,cart,kinetics\n"
        "1,1,5,text,UCF\n"
        "1,1,../5,text,SSv2\n"
        "1,1,5,,SSv2\n"
        "1,1,5\n"
        "1,1,/x_000000_000001,cart,kinetics\n"
    )
    samples, bad = given(read_temporal(written(tmp_path / "val.csv", TEMPORAL + rows), split="val"))
    assert len(samples) == 4 and [line for line, _ in bad] == [5, 6, 7, 8, 9, 10]
    assert samples[-1].video == "x.mp4"


def test_moments(tmp_path):
    content = (
        "clapping/yt-_5KwL3-Lqs_26.mp4,clapping,3,1\nadult+female+singing/flickr-1-2_7.mp4,adult+female+singing,2,0\n"
    )
    path = written(tmp_path / "validationSet.csv", content)
    first, second = given(read_moments(path, split="val"))[0]
    assert (first.id, first.video, first.group) == (
        "clapping/yt-_5KwL3-Lqs_26",
        "clapping/yt-_5KwL3-Lqs_26.mp4",
        "yt-_5KwL3-Lqs",
    )
    assert second.caption == second.template == second.action == "adult female singing"
    assert (second.video, second.source, second.split) == ("adult+female+singing/flickr-1-2_7.mp4", "moments", "val")
    there = tmp_path / "validation" / first.video
    there.parent.mkdir(parents=True)
    there.touch()
    assert given(read_moments(path, split="val", videos=tmp_path))[0][0].video == f"validation/{first.video}"


def test_bad_rows_of_moments(tmp_path):
    rows = (
        "clapping/a.mp4,clapping,3,1\n"
        "clapping/a.mp4,clapping,3,1\n"
        "clapping/b.mp4,clapping\n"
        "clapping/b.mp4,clapping,three,1\n"
        "../b.mp4,clapping,3,1\n"
        "clapping/b.mp4,,3,1\n"
        ",clapping,3,1\n"
        "/,clapping,3,1\n"
        "..,clapping,3,1\n"
    )
    samples, bad = given(read_moments(written(tmp_path / "m.csv", rows), split="train"))
    assert len(samples) == 1 and [line for line, _ in bad] == list(range(2, 10))
