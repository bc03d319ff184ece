import sys
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.backbones.base import normalise
from paxion.evaluation import retrieval
from paxion.evaluation import scores as tiles
from paxion.evaluation.ranking import average_precision, expected_rank, expected_recall, rank
from paxion.evaluation.retrieval import text_to_video, video_to_action, video_to_text
from paxion.records import PaxionError, Sample
from paxion.similarity import similarity

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
RUN = {"model": "m", "data": "d"}


def samples(n: int, captions: int, templates: int = 3) -> list[Sample]:
    return [
        Sample(f"s{i}", "v", f"c{i % captions}", "test", f"g{i // 2}", template=f"t{i % templates}") for i in range(n)
    ]


def vectors(*shape: int, seed: int = 0) -> torch.Tensor:
    return normalise(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def texts(*names: str) -> dict[str, torch.Tensor]:
    return dict(zip(names, vectors(len(names), 8, seed=1), strict=True))


def values(result: retrieval.Retrieval) -> dict[str, float]:
    return {score.metric: score.value for score in result.scores}


def one_hot(index: int) -> torch.Tensor:
    return torch.eye(8)[index]


# Few levels, so that ties are common.
tied_queries = (
    st.integers(1, 6)
    .flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(0, 2), min_size=n, max_size=n), st.lists(st.booleans(), min_size=n, max_size=n)
        )
    )
    .filter(lambda query: any(query[1]))
)


def every_order(levels: list[int], right: list[bool]) -> list[list[bool]]:
    """Whether right, place by place, for each order that does not contradict the scores."""
    orders = [o for o in permutations(range(len(levels))) if all(levels[a] >= levels[b] for a, b in pairwise(o))]
    return [[right[i] for i in order] for order in orders]


@settings(deadline=None, max_examples=60)
@given(tied_queries)
def test_credit_and_rank_are_means_over_all_orders_of_ties(query):
    levels, right = query
    orders = every_order(levels, right)
    ranking = rank(torch.tensor([levels]) / 10, torch.tensor([right]))
    for k in (1, 2, 5):
        assert expected_recall(ranking, k).item() == pytest.approx(np.mean([any(order[:k]) for order in orders]))
    assert expected_rank(ranking).item() == pytest.approx(np.mean([order.index(True) + 1 for order in orders]))


@settings(deadline=None, max_examples=60)
@given(tied_queries)
def test_average_precision_is_the_mean_over_all_orders_of_ties(query):
    levels, right = query

    def plain(order: list[bool]) -> float:
        return float(np.mean([sum(order[: i + 1]) / (i + 1) for i, hit in enumerate(order) if hit]))

    expected = np.mean([plain(order) for order in every_order(levels, right)])
    assert average_precision(np.array(levels) / 10, np.array(right)) == pytest.approx(expected)


def test_average_precision_by_hand():
    scores, relevant = np.array([0.9, 0.1, 0.7, 0.5]), np.array([True, True, False, False])
    assert average_precision(scores, relevant) == pytest.approx((1 / 1 + 2 / 4) / 2)


@pytest.mark.parametrize(("clips", "products"), [(1, 1), (7, 7 * 3 * 4), (512, 10_000)])
def test_recall_is_that_of_a_full_sort(monkeypatch, clips, products):
    monkeypatch.setattr(tiles, "CLIPS", clips)
    monkeypatch.setattr(tiles, "PRODUCTS", products)
    rows, video = samples(40, 25), vectors(40, 3, 8)
    text = texts(*(f"c{i}" for i in range(25)))
    names = list(text)
    scores = similarity(video, torch.stack(list(text.values())))

    def first_right(order: torch.Tensor, right: set[int]) -> int:
        return next(place for place, i in enumerate(order.tolist()) if i in right)

    to_text = [first_right(scores[i].argsort(descending=True), {names.index(rows[i].caption)}) for i in range(40)]
    clips = {k: {i for i in range(40) if rows[i].caption == names[k]} for k in range(25)}
    to_video = [first_right(scores[:, k].argsort(descending=True), clips[k]) for k in range(25)]
    for found, places in [
        (video_to_text(video, rows, text, **RUN), to_text),
        (text_to_video(video, rows, text, **RUN), to_video),
    ]:
        assert values(found) == pytest.approx({f"R@{k}": np.mean(np.array(places) < k) for k in (1, 5, 10)})
        assert [row.rank for row in found.rows] == [place + 1 for place in places]
        assert [row.credit for row in found.rows] == [float(place == 0) for place in places]
        assert [row.right > row.wrong for row in found.rows] == [place == 0 for place in places]
        assert {score.n for score in found.scores} == {len(places)}
        assert all(score.low < score.value < score.high for score in found.scores)


def test_a_caption_query_is_named_after_its_first_clip():
    found = text_to_video(vectors(8, 1, 8), samples(8, 5), texts(*(f"c{i}" for i in range(5))), **RUN)
    assert [(row.id, row.group) for row in found.rows] == [(f"s{i}", f"g{i // 2}") for i in range(5)]


@pytest.mark.parametrize(("captions", "metrics"), [(4, ["R@1"]), (5, ["R@1"]), (6, ["R@1", "R@5"]), (11, None)])
def test_depths_that_cannot_fail_are_left_out(captions, metrics):
    found = video_to_text(vectors(22, 1, 8), samples(22, captions), texts(*(f"c{i}" for i in range(captions))), **RUN)
    assert list(values(found)) == (metrics or ["R@1", "R@5", "R@10"])


def test_a_blind_model_is_at_chance():
    video = torch.ones(40, 1, 8)
    found = video_to_text(video, samples(40, 20), {f"c{i}": torch.ones(8) for i in range(20)}, **RUN)
    assert values(found) == pytest.approx({"R@1": 1 / 20, "R@5": 5 / 20, "R@10": 10 / 20})
    assert found.scores[0].ties == 40
    assert found.rows[0].rank == 10.5


def test_all_templates_of_an_action_are_right():
    rows = [
        Sample("a", "v", "c", "test", "g1", template="pushing", action="push"),
        Sample("b", "v", "c", "test", "g2", template="shoving", action="push"),
        Sample("c", "v", "c", "test", "g3", template="pulling", action="pull"),
        Sample("d", "v", "c", "test", "g4", template="push"),
        Sample("e", "v", "c", "test", "g5"),
    ]
    text = {name: one_hot(i) for i, name in enumerate(["pushing", "shoving", "pulling", "push"])}
    # a and b are each nearest to the paraphrase; c is wrong; d (no action) is right with its own template only.
    video = torch.stack([text[name] for name in ("shoving", "pushing", "pushing", "push", "pulling")])[:, None]
    found = video_to_action(video, rows, text, **RUN)
    assert found.skipped == {"no template": 1}
    assert {row.id: row.credit for row in found.rows} == {"a": 1, "b": 1, "c": 0, "d": 1}
    assert values(found)["R@1"] == 0.75
    # Over clips a b c d, right ones in brackets. pushing: (b), c, tied above (a), d. shoving: (a), then (b), c, d tied.
    # pulling: no clip points there, all tie. push: (d) first.
    pushing = average_precision(np.array([0, 1, 1, 0.0]), np.array([True, True, False, False]))
    shoving = average_precision(np.array([1, 0, 0, 0.0]), np.array([True, True, False, False]))
    pulling = np.mean([1, 1 / 2, 1 / 3, 1 / 4])
    assert values(found)["mAP"] == pytest.approx(np.mean([pushing, shoving, pulling, 1.0]))
    assert [score.n for score in found.scores] == [4, 4]


def test_mean_average_precision_does_not_depend_on_chunks(monkeypatch):
    rows, video, text = samples(30, 5, 6), vectors(30, 2, 8), texts(*(f"t{i}" for i in range(6)))
    whole = video_to_action(video, rows, text, **RUN)
    assert list(values(whole)) == ["R@1", "R@5", "mAP"]
    monkeypatch.setattr(tiles, "CLIPS", 4)
    monkeypatch.setattr(tiles, "PRODUCTS", 20)
    assert values(video_to_action(video, rows, text, **RUN)) == pytest.approx(values(whole))


def test_queries_that_cannot_be_wrong_are_skipped():
    one_caption = video_to_text(vectors(4, 1, 8), samples(4, 1), texts("c0"), **RUN)
    assert (one_caption.rows, one_caption.scores, one_caption.skipped) == ([], [], {"no wrong candidate": 4})
    no_template = video_to_action(vectors(1, 1, 8), [Sample("a", "v", "c", "test", "g")], {}, **RUN)
    assert (no_template.rows, no_template.scores, no_template.skipped) == ([], [], {"no template": 1})


def test_a_similarity_that_is_not_finite_names_the_sample():
    video, text = vectors(6, 1, 8), texts("c0", "c1", "c2", "t0", "t1", "t2")
    video[4] = float("nan")
    for task in (text_to_video, video_to_text, video_to_action):
        with pytest.raises(PaxionError, match=r'sample "s4": got a similarity of nan'):
            task(video, samples(6, 3), text, **RUN)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden data of the published code is not beside the checkout")
@pytest.mark.parametrize(
    ("name", "clips"), [("backbone", "video_raw"), ("knowledge_patcher", "video_latents"), ("fuser_2d", "fused2d")]
)
def test_recall_is_that_of_the_published_code(monkeypatch, name, clips):
    monkeypatch.syspath_prepend(str(GOLDEN))
    from golden_io import load

    inputs, _, _, meta = load("g_retrieval", str(GOLDEN))
    sys.modules.pop("golden_io")
    video = normalise(inputs[clips]).reshape(56, -1, 24)
    scores = similarity(video, normalise(inputs["text_raw"]))
    # The last 8 texts are second captions of the first 8 clips.
    right = torch.arange(56)[:, None] == torch.arange(64) % 56
    expected = meta["results"][f"{name}/default"]
    for direction, ranking in [("v2t", rank(scores, right)), ("t2v", rank(scores.T, right.T))]:
        for k in (1, 5, 10):
            assert 100 * expected_recall(ranking, k).mean().item() == pytest.approx(expected[f"{direction}_r{k}"])
