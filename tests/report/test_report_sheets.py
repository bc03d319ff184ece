import io
import random
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from paxion.report.sheets import choose_examples, contact_sheet


def opened(webp):
    image = Image.open(io.BytesIO(webp))
    assert image.format == "WEBP"
    return np.asarray(image.convert("RGBA"))


def test_sheet_has_the_frames_in_order_with_clear_gaps():
    frames = np.zeros((4, 20, 30, 3), np.uint8)
    for index, frame in enumerate(frames):
        frame[...] = 60 * index
    sheet = opened(contact_sheet(frames, gap=3))
    assert sheet.shape == (20, 4 * 30 + 3 * 3, 4)
    for index in range(4):
        middle = sheet[10, index * 33 + 15]
        assert abs(int(middle[0]) - 60 * index) <= 4 and middle[3] == 255
    assert sheet[10, 31, 3] == 0, "a gap is transparent"


@pytest.mark.parametrize(("scale", "size"), [(2, (9 * 128 + 8 * 3, 128)), (0.5, (9 * 32 + 8 * 3, 32))])
def test_sheet_scales(draw, scale, size):
    assert Image.open(io.BytesIO(contact_sheet(draw("a"), scale))).size == size


def test_tensor_gives_the_same_bytes_as_the_array(draw):
    assert contact_sheet(torch.from_numpy(draw("a"))) == contact_sheet(draw("a"))


@pytest.mark.parametrize(("shape", "dtype"), [((3, 8, 8, 3), "f4"), ((8, 8, 3), "u1"), ((0, 8, 8, 3), "u1")])
def test_wrong_frames_are_refused(shape, dtype):
    frames = np.zeros(shape, dtype)
    with pytest.raises(ValueError, match=r"expected uint8 of shape \(T, H, W, 3\)"):
        contact_sheet(frames)


def drawn(samples, rows, draw, **options):
    return choose_examples(rows, samples, lambda data, sample: draw(data + sample.id), **options)


def identities(examples):
    return [(example.data, example.task, example.sample.id) for example in examples]


def test_examples_have_every_outcome_both_worlds_and_many_actions(make_world, draw):
    samples, rows = make_world()
    examples = drawn(samples, rows, draw)
    credits = [{score.model: score.credit for score in example.scores} for example in examples]
    kinds = Counter((e.task, c["backbone"] == 1, c["patcher"] == 1) for e, c in zip(examples, credits, strict=True))
    assert kinds == {
        ("antonym", False, True): 4, ("antonym", False, False): 2, ("antonym", True, False): 2,
        ("reversal", False, True): 2, ("reversal", False, False): 1,
    }  # fmt: skip
    assert len({e.sample.action for e in examples[:4]}) == 4
    assert Counter(e.data for e in examples[:4]) == {"world-A": 2, "world-B": 2}
    assert len({(e.data, e.sample.id) for e in examples}) == len(examples), "no clip twice"
    assert all([score.model for score in e.scores] == ["backbone", "patcher", "fuser"] for e in examples)
    assert (examples[0].peers, examples[0].total) == (15, 40)
    np.testing.assert_array_equal(examples[0].frames, draw(examples[0].data + examples[0].sample.id))


def test_as_many_examples_as_asked_for_in_the_same_shares(make_world, draw):
    samples, rows = make_world(400)
    examples = drawn(samples, rows, draw, clips=50)
    credits = [{score.model: score.credit for score in example.scores} for example in examples]
    kinds = Counter((e.task, c["backbone"] == 1, c["patcher"] == 1) for e, c in zip(examples, credits, strict=True))
    # The shares of 50 are 16.7, 8.3, 8.3, 8.3, 4.2 and 4.2; no clip here comes out as the last would want it.
    assert kinds == {
        ("antonym", False, True): 17, ("antonym", False, False): 9, ("antonym", True, False): 8,
        ("reversal", False, True): 8, ("reversal", False, False): 4,
    }  # fmt: skip
    assert drawn(samples, rows, draw, clips=0) == []


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_rows(make_world, draw):
    samples, rows = make_world()
    shuffled = random.Random(1).sample(rows, len(rows))
    first = identities(drawn(samples, rows, draw))
    assert identities(drawn(samples, shuffled, draw)) == first
    assert identities(drawn(samples, rows, draw, seed=1)) != first


def test_backbone_alone_and_unknown_samples(make_world, draw):
    samples, rows = make_world()
    alone = drawn({"world-A": samples["world-A"]}, [row for row in rows if row.model == "backbone"], draw)
    assert {e.data for e in alone} == {"world-A"}
    assert {e.scores[0].credit for e in alone if e.task == "antonym"} == {0.0, 1.0}
    assert drawn({}, rows, draw) == []
    assert drawn(samples, [], draw) == []
