"""The similarity rule."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from paxion.similarity import late_interaction, paired_similarity, similarity


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_similarity_is_the_best_dot_product():
    video = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[-1.0, 0.0], [0.0, -3.0]]])
    text = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
    assert similarity(video, text).tolist() == [[2.0, 1.0, -1.0], [-1.0, 0.0, 3.0]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(1, 4), st.integers(1, 5), st.integers(1, 12), st.integers(0, 1000))
def test_chunks_do_not_change_the_result(clips, latents, texts, chunk, seed):
    video, text = numbers(clips, latents, 6, seed=seed), numbers(texts, 6, seed=seed + 1)
    scores = similarity(video, text, chunk)
    assert scores.shape == (clips, texts)
    torch.testing.assert_close(scores, (video @ text.T).amax(1))


def test_a_weighted_vector_added_to_every_latent_adds_its_weighted_score():
    """What the ensemble encoder relies on."""
    latents, pooled, text = numbers(3, 4, 6), numbers(3, 6, seed=1), numbers(5, 6, seed=2)
    scores = similarity(latents + 0.5 * pooled[:, None], text)
    torch.testing.assert_close(scores, similarity(latents, text) + 0.5 * pooled @ text.T)


def test_several_against_several_take_the_mean_over_the_target_then_the_best_query():
    query, target = numbers(3, 2, 6), numbers(4, 5, 6, seed=1)
    want = torch.stack([torch.stack([(q @ t.T).mean(1).max() for t in target]) for q in query])
    torch.testing.assert_close(late_interaction(query, target), want)
    assert (late_interaction(target, query).T - want).abs().max() > 1e-3


def test_one_against_several_takes_the_best_on_either_side():
    one, several = numbers(3, 6), numbers(4, 5, 6, seed=1)
    want = torch.einsum("nqd,bd->bnq", several, one).amax(2)
    torch.testing.assert_close(late_interaction(one, several), want)
    torch.testing.assert_close(late_interaction(several, one), want.T)


class Largest(TorchDispatchMode):
    """Notes the largest tensor that is made, forward and backward."""

    numbers = 0

    def __torch_dispatch__(self, function, types, given=(), options=None):
        made = function(*given, **(options or {}))
        # Views and expansions have no numbers of their own.
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.untyped_storage().nbytes() // one.element_size())
        return made


def scored(query, target, most):
    """Scores, the gradients of a loss of them, and the largest tensor on the way."""
    query, target = query.clone().requires_grad_(), target.clone().requires_grad_()
    with Largest() as largest:
        scores = late_interaction(query, target, most)
        scores.logsumexp(1).square().sum().backward()
    return scores.detach(), query.grad, target.grad, largest.numbers


@pytest.mark.parametrize("shapes", [((64, 16, 8), (96, 8)), ((96, 8), (64, 16, 8)), ((20, 3, 8), (30, 2, 8))])
@pytest.mark.parametrize("most", [1, 1000, 5000])
def test_a_few_queries_at_a_time_give_the_same_scores_and_gradients(shapes, most):
    query, target = numbers(*shapes[0]), numbers(*shapes[1], seed=1)
    *plain, whole = scored(query, target, 10**9)
    *chunked, largest = scored(query, target, most)
    for one, other in zip(plain, chunked, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)
    dots = len(query) * len(target) * (query.shape[1] if query.ndim == 3 else 1)
    of_one = dots // len(query) * (target.shape[1] if query.ndim == 2 else 1)
    assert whole >= of_one * len(query) // 2
    # Nothing but the inputs, the scores and one chunk.
    assert largest <= max(most, of_one, query.numel(), target.numel(), len(query) * len(target))


def test_a_large_batch_never_lies_in_memory_at_once():
    """256 x 512 x 16 of 4,096 x 8,192 x 16, with as small a share of it at a time."""
    video, text = numbers(256, 16, 8).float(), numbers(512, 8, seed=1).float()
    assert scored(video, text, 2**25 // 256)[-1] == 256 * 512 == 2**25 // 256
    assert scored(video, text, 10**9)[-1] >= 256 * 512 * 16


def test_a_small_problem_is_one_product():
    video, text = numbers(64, 16, 8).float(), numbers(128, 8, seed=1).float()
    assert torch.equal(late_interaction(video, text), torch.einsum("bqd,nd->bqn", video, text).amax(1))


@pytest.mark.parametrize("shapes", [((3, 2, 6), (3, 6)), ((3, 6), (3, 2, 6)), ((3, 2, 6), (3, 4, 6)), ((3, 6), (3, 6))])
def test_paired_similarity_is_the_diagonal(shapes):
    query, target = numbers(*shapes[0]), numbers(*shapes[1], seed=1)
    torch.testing.assert_close(paired_similarity(query, target), late_interaction(query, target).diagonal())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_precision_is_kept(dtype):
    assert similarity(numbers(3, 2, 6).to(dtype), numbers(4, 6).to(dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: similarity(numbers(2, 6), numbers(3, 6)), r"got video \(2, 6\)"),
        (lambda: similarity(numbers(2, 2, 6), numbers(3, 5)), "with the same D"),
        (lambda: similarity(numbers(2, 2, 6), numbers(3, 6), chunk=0), "got chunk 0"),
        (lambda: late_interaction(numbers(6), numbers(3, 6)), r"got vectors \(6,\) and \(3, 6\)"),
        (lambda: paired_similarity(numbers(2, 6), numbers(3, 6)), "got 2 queries and 3 targets"),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
