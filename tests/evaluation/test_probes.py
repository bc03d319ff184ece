import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paxion.backbones.base import normalise
from paxion.evaluation.probes import (
    TIE,
    antonym_scores,
    credits,
    object_scores,
    probe_rows,
    probe_score,
    reversal_scores,
)
from paxion.records import PaxionError, Sample

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"


def samples(n: int) -> list[Sample]:
    return [Sample(f"s{i}", "v", f"c{i}", "test", f"g{i // 2}", antonym=f"a{i}", replaced=f"r{i}") for i in range(n)]


def vectors(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return normalise(torch.randn(shape, generator=generator))


def world(n: int = 6, latents: int = 3) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    text = {f"{kind}{i}": vectors(generator, 8) for kind in "car" for i in range(n)}
    return vectors(generator, n, latents, 8), vectors(generator, n, latents, 8), text


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1))
def test_credits_of_both_orders_sum_to_one(pairs):
    right, wrong = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    assert torch.equal(credits(right, wrong) + credits(wrong, right), torch.ones(len(pairs), dtype=torch.float64))


def test_the_tie_rule():
    right = torch.tensor([0.5, 0.5, 0.5, 0.5, 0.5], dtype=torch.float64)
    wrong = right + torch.tensor([0, 0.9 * TIE, -0.9 * TIE, 1.1 * TIE, -1.1 * TIE], dtype=torch.float64)
    assert credits(right, wrong).tolist() == [0.5, 0.5, 0.5, 0, 1]


def test_scores_are_the_best_dot_product_of_the_clip_with_each_text():
    video, backwards, text = world()
    rows = samples(6)
    best = lambda clips, kind: torch.stack([(clips[i] @ text[f"{kind}{i}"]).max() for i in range(6)])  # noqa: E731
    for choices, right, wrong in [
        (antonym_scores(video, rows, text), best(video, "c"), best(video, "a")),
        (object_scores(video, rows, text), best(video, "c"), best(video, "r")),
        (reversal_scores(video, backwards, rows, text), best(video, "c"), best(backwards, "c")),
    ]:
        assert choices.kept == tuple(range(6))
        torch.testing.assert_close(choices.right, right)
        torch.testing.assert_close(choices.wrong, wrong)


def test_samples_that_cannot_take_part_are_counted():
    video, backwards, text = world()
    rows = samples(6)
    rows[1] = Sample("x", "v", "c1", "test", "g", reversible=False)
    rows[4] = Sample("y", "v", "c4", "test", "g", antonym="a4", reversible=True)
    antonym = antonym_scores(video, rows, text)
    assert (antonym.kept, antonym.skipped) == ((0, 2, 3, 4, 5), {"no antonym": 1})
    replaced = object_scores(video, rows, text)
    assert (replaced.kept, replaced.skipped) == ((0, 2, 3, 5), {"no replaced": 2})
    reversal = reversal_scores(video, backwards, rows, text)
    assert (reversal.kept, reversal.skipped) == ((0, 2, 3, 4, 5), {"not reversible": 1})
    assert [row.id for row in probe_rows(replaced, rows, model="m", data="d")] == ["s0", "s2", "s3", "s5"]


def test_a_clip_that_equals_its_reversal_ties():
    video, _, text = world()
    score = probe_score(probe_rows(reversal_scores(video, video, samples(6), text), samples(6), model="m", data="d"))
    assert (score.value, score.low, score.high, score.n, score.ties) == (0.5, 0.5, 0.5, 6, 6)


def test_rows_and_score_agree():
    video, _, text = world()
    rows = probe_rows(antonym_scores(video, samples(6), text), samples(6), model="m", data="d", control="blind", seed=3)
    score = probe_score(rows)
    assert [row.group for row in rows] == ["g0", "g0", "g1", "g1", "g2", "g2"]
    assert score.value == sum(row.right > row.wrong for row in rows) / 6
    assert (score.model, score.data, score.task, score.control) == ("m", "d", "antonym", "blind")
    assert (score.metric, score.seed, score.n, score.ties) == ("accuracy", 3, 6, 0)
    assert score.low < score.value < score.high


def test_half_precision_features_are_accepted():
    video, _, text = world()
    assert antonym_scores(video.half(), samples(6), {k: v.half() for k, v in text.items()}).right.dtype == torch.float32


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_similarity_that_is_not_finite_names_the_sample(bad):
    video, backwards, text = world()
    video[3] = bad
    for probe in (
        lambda: antonym_scores(video, samples(6), text),
        lambda: reversal_scores(backwards, video, samples(6), text),
    ):
        with pytest.raises(PaxionError, match=r'sample "s3": got a similarity of (nan|-?inf)'):
            probe()


def test_a_text_without_a_vector_is_named():
    video, _, text = world()
    del text["a2"]
    with pytest.raises(PaxionError, match='no vector for the text "a2"'):
        antonym_scores(video, samples(6), text)


def test_a_probe_without_samples_has_no_score():
    video, _, text = world()
    rows = [Sample(f"s{i}", "v", f"c{i}", "test", "g") for i in range(6)]
    choices = antonym_scores(video, rows, text)
    assert (choices.kept, choices.skipped) == ((), {"no antonym": 6})
    with pytest.raises(PaxionError, match="no samples to score"):
        probe_score(probe_rows(choices, rows, model="m", data="d"))


def test_rows_of_two_models_make_no_score():
    video, _, text = world()
    choices = antonym_scores(video, samples(6), text)
    rows = [row for model in "mn" for row in probe_rows(choices, samples(6), model=model, data="d")]
    with pytest.raises(ValueError, match="one probe"):
        probe_score(rows)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden data of the published code is not beside the checkout")
@pytest.mark.parametrize(
    ("name", "clips", "backwards"),
    [
        ("backbone_no_scale", "video_raw", "video_reversed_raw"),
        ("knowledge_patcher", "video_latents", "video_reversed_latents"),
        ("fuser_2d", "fused2d", "fused2d_reversed"),
    ],
)
def test_predictions_are_those_of_the_published_code(monkeypatch, name, clips, backwards):
    monkeypatch.syspath_prepend(str(GOLDEN))
    from golden_io import load

    inputs, _, outputs, _ = load("g_actionbench", str(GOLDEN))
    sys.modules.pop("golden_io")
    unit = {key: normalise(value) for key, value in inputs.items()}
    as_clips = lambda key: unit[key] if unit[key].ndim == 3 else unit[key][:, None]  # noqa: E731
    keys = {"c": "text_raw", "a": "antonym_text_raw", "r": "object_shuffled_text_raw"}
    text = {f"{kind}{i}": vector for kind, key in keys.items() for i, vector in enumerate(unit[key])}
    video, rows = as_clips(clips), samples(24)
    for task, choices in {
        "action_antonym": antonym_scores(video, rows, text),
        "object_shuffle": object_scores(video, rows, text),
        "reversed_video": reversal_scores(video, as_clips(backwards), rows, text),
    }.items():
        credit = credits(choices.right, choices.wrong)
        # The published code answers a tie by a coin (one sample of reversed_video) or as right.
        decided = credit != 0.5
        assert decided.sum() >= 23
        assert torch.equal(1 - credit[decided], outputs[f"{task}/{name}/preds"][decided].double()), task
