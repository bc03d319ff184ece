"""The losses: published numbers, hand-written formulas, and what masks leave out."""

import math

import pytest
import torch
from golden import GRADIENT, assert_close, assert_gradients, assert_loss, cases, load

from paxion.backbones.base import normalise
from paxion.patching.objectives import (
    Gathered,
    action_temporal_matching,
    antonym_pair,
    contrastive,
    multiple_choice,
    template_contrastive,
)


def leaves(case):
    """The inputs of a loss case and its temperature, ready for gradients."""
    named = case.inputs | {"temp": case.weights["temp"]}
    return {key: value.requires_grad_() for key, value in named.items()}


def gradients_of(named):
    return {key: value.grad for key, value in named.items()}


def some_unit_vectors(*shapes, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [normalise(torch.randn(shape, generator=generator, dtype=dtype)).requires_grad_() for shape in shapes]


@cases(
    "c_vtc_text2d",
    "c_vtc_text3d",
    "c_vtc_vac_text2d",
    "c_vtc_vac_text3d",
    "c_fuser_text2d_visual2d",
    "c_fuser_text2d_visual3d",
    "c_fuser_text3d_visual2d",
)
def test_contrastive_equals_the_published_one(case):
    case = load(case)
    given = leaves(case)
    loss = contrastive(given["visual_feat"], given["text_feat"], given["temp"], antonym=given.get("antonym_text_feat"))
    loss.backward()
    assert_loss(loss, case.outputs["loss"])
    assert_gradients(gradients_of(given), case, GRADIENT)


@cases("c_mp2_vtc_text2d", "c_mp2_vtc_vac_text2d", "c_mp2_fuser_text2d_visual2d")
@pytest.mark.parametrize("rank", [0, 1])
def test_contrastive_over_two_processes_equals_the_published_one(case, rank):
    case = load(case)
    mine = f"rank{rank}/"
    given = {key.removeprefix(mine): value for key, value in leaves(case).items() if key.startswith((mine, "temp"))}
    batches = Gathered(case.outputs[f"{mine}visual_feat_all"], case.outputs[f"{mine}text_feat_all"], rank)
    loss = contrastive(given["visual_feat"], given["text_feat"], given["temp"], gathered=batches)
    loss.backward()
    assert_loss(loss, case.outputs[f"{mine}loss"])
    assert_gradients(gradients_of(given), case, GRADIENT, f"{mine}grad/")


@cases("c_atm_text2d", "c_atm_text2d_with_shuffled")
def test_temporal_matching_equals_the_published_one(case):
    case = load(case)
    given = leaves(case)
    loss = action_temporal_matching(
        given["v"], given["v_reversed"], given["text_feat"], given["temp"], shuffled=given.get("v_shuffled")
    )
    loss.backward()
    assert_loss(loss, case.outputs["loss"])
    assert_gradients(gradients_of(given), case, GRADIENT)


def score(clip, text):
    """Best dot product, by hand."""
    return max(sum(a * b for a, b in zip(vector, text.tolist(), strict=True)) for vector in clip.tolist())


def smoothed(scores, right, temperature=0.07, smoothing=0.1):
    """Cross entropy of one row, by hand."""
    total = sum(math.exp(s / temperature) for s in scores)
    logs = [s / temperature - math.log(total) for s in scores]
    return -(1 - smoothing) * logs[right] - smoothing * sum(logs) / len(logs)


def contrastive_by_hand(video, text, wrong_texts):
    texts = [*text, *wrong_texts]
    rows = range(len(video))
    v2t = sum(smoothed([score(video[i], t) for t in texts], i) for i in rows) / len(video)
    t2v = sum(smoothed([score(clip, text[i]) for clip in video], i) for i in rows) / len(video)
    return (v2t + t2v) / 2


@pytest.mark.parametrize("has", [None, [True, True, True], [True, False, True], [False, False, False]])
def test_contrastive_equals_its_formula(has):
    video, text, antonym = some_unit_vectors((3, 2, 4), (3, 4), (3, 4))
    mask = None if has is None else torch.tensor(has)
    loss = contrastive(video, text, 0.07, antonym=antonym, has_antonym=mask)
    wrong = [row for row, kept in zip(antonym, has or [True] * 3, strict=True) if kept]
    assert loss.item() == pytest.approx(contrastive_by_hand(video, text, wrong), abs=1e-9)


def test_contrastive_without_antonyms_is_symmetrical_for_single_vectors():
    video, text = some_unit_vectors((5, 4), (5, 4))
    torch.testing.assert_close(contrastive(video, text, 0.07), contrastive(text, video, 0.07))
    torch.testing.assert_close(contrastive(video[:, None], text, 0.07), contrastive(video, text, 0.07))


def test_masked_antonyms_get_no_gradient():
    video, text, antonym = some_unit_vectors((3, 2, 4), (3, 4), (3, 4))
    contrastive(video, text, 0.07, antonym=antonym, has_antonym=torch.tensor([True, False, True])).backward()
    assert antonym.grad.any(1).tolist() == [True, False, True]


def test_gathered_masks_move_the_targets():
    """Two ranks by hand; rank 0 lacks an antonym, so rank 1's captions start one column earlier."""
    video, text, antonym = some_unit_vectors((4, 2, 4), (4, 4), (4, 4))
    has = torch.tensor([False, True, True, False])
    blocks = torch.cat([text[:2], antonym[:2], text[2:], antonym[2:]])
    kept = torch.tensor([True, True, False, True, True, True, True, False])
    loss = contrastive(video[2:], text[2:], 0.07, gathered=Gathered(video, blocks, rank=1, kept=kept))
    columns = [*text, *antonym[has]]
    v2t = sum(smoothed([score(video[i], t) for t in columns], i) for i in (2, 3)) / 2
    t2v = sum(smoothed([score(clip, text[i]) for clip in video], i) for i in (2, 3)) / 2
    assert loss.item() == pytest.approx((v2t + t2v) / 2, abs=1e-9)


def test_contrastive_falls_when_clips_approach_their_captions():
    video, text = some_unit_vectors((6, 8), (6, 8))
    moved = normalise(video + text)
    assert contrastive(moved, text, 0.07) < contrastive(video, text, 0.07) - 0.1


@pytest.mark.parametrize("salient", [[True, False, True], [True, True, True]])
def test_temporal_matching_is_the_mean_over_salient_clips(salient):
    video, backwards, text = some_unit_vectors((3, 2, 4), (3, 2, 4), (3, 4))
    loss = action_temporal_matching(video, backwards, text, 0.07, salient=torch.tensor(salient))
    rows = [i for i in range(3) if salient[i]]
    want = sum(smoothed([score(video[i], text[i]), score(backwards[i], text[i])], 0) for i in rows) / len(rows)
    assert loss.item() == pytest.approx(want, abs=1e-9)


def test_temporal_matching_without_salient_clips_is_a_zero_to_go_backward_from():
    video, backwards, text = some_unit_vectors((3, 2, 4), (3, 2, 4), (3, 4))
    loss = action_temporal_matching(video, backwards, text, 0.07, salient=torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert not any(leaf.grad.any() for leaf in (video, backwards, text))


def test_temporal_matching_of_a_clip_equal_to_its_reverse_is_log_two():
    video, text = some_unit_vectors((3, 2, 4), (3, 4))
    assert action_temporal_matching(video, video, text, 0.07).item() == pytest.approx(math.log(2))


def test_antonym_pair_equals_its_formula():
    video, text, antonym = some_unit_vectors((3, 2, 4), (3, 4), (3, 4))
    has = torch.tensor([True, False, True])
    loss = antonym_pair(video, text, antonym, 0.07, has_antonym=has)
    want = sum(smoothed([score(video[i], text[i]), score(video[i], antonym[i])], 0) for i in (0, 2)) / 2
    assert loss.item() == pytest.approx(want, abs=1e-9)
    assert antonym_pair(video, text, antonym, 0.07, has_antonym=~has & has) == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("count", [5, 10])
def test_multiple_choice_equals_its_formula(count, smoothing):
    video, choices = some_unit_vectors((3, 2, 4), (3, count, 4))
    answer = torch.tensor([0, 3, 4])
    loss = multiple_choice(video, choices, answer, 0.07, label_smoothing=smoothing)
    rows = [[score(video[i], text) for text in choices[i]] for i in range(3)]
    want = sum(smoothed(row, right, smoothing=smoothing) for row, right in zip(rows, answer.tolist(), strict=True)) / 3
    assert loss.item() == pytest.approx(want, abs=1e-9)


def test_multiple_choice_takes_single_vectors_and_only_a_clips_own_texts():
    video, choices = some_unit_vectors((3, 4), (3, 5, 4))
    answer = torch.tensor([1, 0, 4])
    loss = multiple_choice(video, choices, answer, 0.07)
    torch.testing.assert_close(multiple_choice(video[:, None], choices, answer, 0.07), loss)
    (gradient,) = torch.autograd.grad(multiple_choice(video[:1], choices[:1], answer[:1], 0.07), choices)
    assert gradient[0].any() and not gradient[1:].any()


def test_template_contrastive_equals_its_formula_and_skips_clips_without_template():
    video, templates = some_unit_vectors((3, 2, 4), (5, 4))
    positives = torch.tensor([[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]]).bool()
    loss = template_contrastive(video, templates, positives, 0.07)
    want = 0.0
    for i in (0, 2):
        powers = [math.exp(score(video[i], template) / 0.07) for template in templates]
        want -= math.log(sum(p for p, yes in zip(powers, positives[i], strict=True) if yes) / sum(powers)) / 2
    assert loss.item() == pytest.approx(want, abs=1e-9)
    loss.backward()
    assert video.grad.isfinite().all() and not video.grad[1].any() and video.grad[0].any()


def test_template_contrastive_without_any_template_is_zero():
    video, templates = some_unit_vectors((3, 2, 4), (5, 4))
    loss = template_contrastive(video, templates, torch.zeros(3, 5, dtype=torch.bool), 0.07)
    loss.backward()
    assert loss == 0 and not video.grad.any()


def test_losses_run_in_bfloat16():
    video, backwards, text, antonym = some_unit_vectors((3, 2, 4), (3, 2, 4), (3, 4), (3, 4), dtype=torch.float32)
    exact = contrastive(video, text, 0.07, antonym=antonym), action_temporal_matching(video, backwards, text, 0.07)
    video, backwards, text, antonym = (x.detach().bfloat16() for x in (video, backwards, text, antonym))
    rough = contrastive(video, text, 0.07, antonym=antonym), action_temporal_matching(video, backwards, text, 0.07)
    for got, want in zip(rough, exact, strict=True):
        assert_close(got.float(), want.detach(), 0.05)


def test_losses_refuse_what_does_not_fit():
    video, text = (x.detach() for x in some_unit_vectors((4, 2, 4), (4, 4)))
    with pytest.raises(ValueError, match="got 4 clips and 3 texts"):
        contrastive(video, text[:3], 0.07)
    with pytest.raises(ValueError, match=r"got antonym \(3, 4\), expected the shape of text, \(4, 4\)"):
        contrastive(video, text, 0.07, antonym=text[:3])
    with pytest.raises(ValueError, match="got 4 clips and 4 texts for rank 1, expected W blocks of 4"):
        contrastive(video, text, 0.07, gathered=Gathered(video, text, rank=1))
    with pytest.raises(ValueError, match="got 3 queries and 4 targets"):
        action_temporal_matching(video[:3], video, text, 0.07)
    for answer, choices in ((4, (4, 5, 3)), (3, (4, 5, 4)), (4, (3, 5, 4)), (4, (5, 4))):
        with pytest.raises(ValueError, match=r"expected \(B, Q, D\), \(B, K, D\) and \(B,\)"):
            multiple_choice(video, torch.zeros(choices), torch.zeros(answer, dtype=torch.long), 0.07)
    with pytest.raises(ValueError, match=r"got positives \(4, 3\), expected \(4, 4\)"):
        template_contrastive(video, text, torch.ones(4, 3, dtype=torch.bool), 0.07)
