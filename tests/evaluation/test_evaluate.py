"""The evaluation of a whole data set: what a blind model must score, what is missed, and who is compared with whom."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from paxion.backbones.base import BackboneEncoder, Features, normalise
from paxion.evaluation.evaluate import Evaluation, evaluate
from paxion.features.store import FeatureStore, StoreSpec
from paxion.records import PROBES, RETRIEVALS, TWINS, PaxionError, Sample
from paxion.results import Missed
from paxion.video.controls import CONTROLS, MEASURED, frame_order

ASKED = PROBES + TWINS + RETRIEVALS


def vectors_of(texts: Sequence[str], dim: int) -> Tensor:
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts]
    return normalise(torch.stack([torch.randn(dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds]))


@dataclass(frozen=True)
class OrderedEncoder:
    """Sees the order of frames: place t of a clip is multiplied by t. Texts are vectors by their hash."""

    name: str = "ordered"

    def encode_clips(self, features: Features) -> Tensor:
        tokens = features.tokens.float().mean(2)
        places = torch.linspace(-1, 1, tokens.shape[1])[:, None]
        return normalise(torch.cat([(tokens * places).sum(1), tokens.mean(1)], -1))[:, None]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return vectors_of(texts, 64)


@pytest.fixture(scope="module")
def tested(tiny_features, tiny_samples):
    samples = [sample for sample in tiny_samples if sample.split == "test" and sample.source == "world-A"]
    return tiny_features.store, tiny_features.keys, samples


def run(tested, encoder, **options) -> Evaluation:
    store, keys, samples = tested
    return evaluate(encoder, store, options.pop("keys", keys), options.pop("samples", samples), data="w", **options)


def scores(found: Evaluation, metric: str = "accuracy") -> dict[tuple[str, str], object]:
    return {(score.task, score.control): score for score in found.scores if score.metric == metric}


@pytest.mark.parametrize("control", [control for control in CONTROLS if control not in ("first", "last")])
def test_a_model_that_is_blind_to_order_ties_on_every_reversal(tested, tiny_backbone, control):
    found = run(tested, BackboneEncoder("b", tiny_backbone), tasks=("reversal",), controls=(control,))
    score = scores(found)["reversal", control]
    assert (score.value, score.low, score.high) == (0.5, 0.5, 0.5)
    assert score.ties == score.n == 34


def test_a_model_that_sees_order_does_not_tie(tested):
    found = scores(run(tested, OrderedEncoder(), tasks=("reversal",), controls=("none", "reversed", "shuffled")))
    assert {score.ties for score in found.values()} == {0}
    # Under "reversed" right and wrong change places.
    assert found["reversal", "none"].value + found["reversal", "reversed"].value == pytest.approx(1)


@pytest.mark.parametrize("control", ("middle", "frozen", "blind"))
def test_a_picture_that_clip_and_reversal_share_has_no_direction(tested, control):
    score = scores(run(tested, OrderedEncoder(), tasks=("reversal",), controls=(control,)))["reversal", control]
    assert (score.value, score.ties) == (0.5, score.n)


def test_the_first_frame_of_a_clip_is_the_last_of_its_reversal(tested, tiny_backbone):
    """What a still end frame gives away: the first frame against the last, so the two controls answer oppositely."""
    found = run(tested, BackboneEncoder("b", tiny_backbone), tasks=("reversal",), controls=("first", "last"))
    first = {row.id: row for row in found.rows if row.control == "first"}
    last = {row.id: row for row in found.rows if row.control == "last"}
    assert len(first) == 34
    for name, row in first.items():
        assert (row.right, row.wrong) == pytest.approx((last[name].wrong, last[name].right), abs=1e-6)
    assert len({round(row.right - row.wrong, 6) for row in first.values()}) > 2


def test_a_shuffled_reversal_is_the_reversal_in_the_same_random_order(tested):
    store, keys, samples = tested
    encoder = OrderedEncoder()
    found = run(tested, encoder, tasks=("reversal",), controls=("shuffled",), seed=5)
    for row in found.rows[:5]:
        (sample,) = [sample for sample in samples if sample.id == row.id]
        flipped = store.read([keys[row.id]], "reversed")
        order = frame_order("shuffled", store.spec.frames, f"{row.id}/5")
        (vectors,) = encoder.encode_clips(flipped.reordered(order))
        (text,) = encoder.encode_texts([sample.caption])
        assert row.wrong == pytest.approx((vectors @ text).max().item(), abs=1e-5)


def test_a_blind_antonym_choice_depends_on_the_texts_only(tested):
    found = run(tested, OrderedEncoder(), tasks=("antonym", "object"), controls=("blind",))
    samples = {sample.id: sample for sample in tested[2]}
    antonym = {row.id: row for row in found.rows if row.task == "antonym"}
    chosen = {}
    for row in antonym.values():
        sample = samples[row.id]
        texts = frozenset((sample.caption, sample.antonym))
        winner = sample.caption if row.credit == 1 else sample.antonym
        assert row.credit in (0, 1)
        assert chosen.setdefault(texts, winner) == winner
    # Each antonym is the caption of the twin, so what is won with one is lost with the other.
    assert scores(found)["antonym", "blind"].value == 0.5
    blind = OrderedEncoder().encode_clips(tested[0].read(["blind"]))[0, 0]
    for row in antonym.values():
        (text,) = OrderedEncoder().encode_texts([samples[row.id].caption])
        assert row.right == pytest.approx((blind @ text).item(), abs=1e-5)


def test_every_similarity_by_hand(tested):
    """Right and wrong of each row, from the store's features and the encoder alone."""
    store, keys, samples = tested
    encoder = OrderedEncoder()
    found = run(tested, encoder, tasks=PROBES, controls=("none", "shuffled"), seed=3)
    by_id = {sample.id: sample for sample in samples}
    assert Counter(row.task for row in found.rows if row.control == "none") == {
        "antonym": 36,
        "reversal": 34,
        "object": 39,
    }
    for row in found.rows:
        sample = by_id[row.id]
        clip = store.read([keys[row.id]], row.control, [f"{row.id}/3"])
        right, wrong_clip = encoder.encode_clips(clip)[0, 0], clip
        texts = [sample.caption, {"antonym": sample.antonym, "object": sample.replaced}.get(row.task) or sample.caption]
        if row.task == "reversal":
            # The control acts on the reversed clip.
            back = store.read([keys[row.id]], "reversed")
            wrong_clip = back.reordered(frame_order(row.control, store.spec.frames, f"{row.id}/3"))
        wrong = encoder.encode_clips(wrong_clip)[0, 0]
        text = encoder.encode_texts(texts)
        assert row.right == pytest.approx((right @ text[0]).item(), abs=1e-5)
        assert row.wrong == pytest.approx((wrong @ text[1]).item(), abs=1e-5)
        assert row.credit == float(row.right > row.wrong)


def test_the_batch_and_the_other_tasks_change_nothing(tested):
    whole = run(tested, OrderedEncoder(), tasks=ASKED, controls=("none", "shuffled"))
    parts = run(tested, OrderedEncoder(), tasks=("antonym",), controls=("none", "shuffled"), batch=5)
    for one, other in zip((r for r in whole.rows if r.task == "antonym"), parts.rows, strict=True):
        assert (one.id, one.control, one.credit) == (other.id, other.control, other.credit)
        assert one.right == pytest.approx(other.right, abs=1e-6)


def test_the_seed_draws_the_shuffle_and_nothing_else(tested):
    first, again, other = (
        run(tested, OrderedEncoder(), tasks=("antonym",), controls=("none", "shuffled"), seed=seed)
        for seed in (0, 0, 1)
    )
    assert first.rows == again.rows
    for one, two in zip(first.rows, other.rows, strict=True):
        if one.control == "none":
            assert replace(one, seed=1) == two
    differ = [one.right != two.right for one, two in zip(first.rows, other.rows, strict=True) if one.control != "none"]
    assert sum(differ) > len(differ) / 2


def test_every_task_is_scored_under_every_control(tested):
    found = run(tested, OrderedEncoder(), tasks=ASKED, controls=MEASURED)
    asked = {(score.task, score.control) for score in found.scores}
    assert asked == {(task, control) for task in ASKED for control in MEASURED if control != "antonym_said"} | {
        ("reversal", "antonym_said")
    }
    assert {score.model for score in found.scores} == {"ordered"}


def test_clips_that_cannot_be_read_are_missed_and_not_scored(tested):
    _, keys, samples = tested
    gone = [samples[number].id for number in (0, 3, 4, 10, 20, 30, 31)]
    kept = {name: key for name, key in keys.items() if name not in gone}
    whole, found = run(tested, OrderedEncoder(), tasks=PROBES), run(tested, OrderedEncoder(), tasks=PROBES, keys=kept)
    (miss,) = [miss for miss in found.missed if "read" in miss.reason]
    assert (miss.data, miss.count, miss.examples) == ("w", 7, tuple(gone[:5]))
    assert miss.task == "all"
    assert not {row.id for row in found.rows} & set(gone)
    assert scores(found)["object", "none"].n == len(samples) - 7
    left = {(row.id, row.task): row.credit for row in found.rows}
    assert left == {(r.id, r.task): r.credit for r in whole.rows if r.id not in gone}
    with pytest.raises(PaxionError, match="none of the 39 clips of w can be read"):
        run(tested, OrderedEncoder(), keys={})


def test_samples_without_a_foil_are_counted_as_missed(tested):
    found = run(tested, OrderedEncoder(), tasks=PROBES, controls=("none", "middle"))
    assert {(miss.task, miss.reason, miss.count) for miss in found.missed} == {
        ("antonym", "no antonym", 3),
        ("reversal", "not reversible", 5),
    }
    for task in PROBES:
        missed = sum(miss.count for miss in found.missed if miss.task == task)
        assert scores(found)[task, "none"].n + missed == len(tested[2])


def test_misses_are_counted_also_without_the_plain_clips(tested):
    found = run(tested, OrderedEncoder(), tasks=("antonym",), controls=("first", "last"))
    assert [(miss.task, miss.count) for miss in found.missed] == [("antonym", 3)]


def test_a_task_that_nobody_can_take_gives_no_score(tested):
    _, _, samples = tested
    plain = [replace(sample, antonym=None) for sample in samples]
    found = run(tested, OrderedEncoder(), samples=plain, tasks=("antonym",))
    assert found.scores == found.rows == []
    assert found.missed == [Missed("w", "antonym", "no antonym", len(samples))]


@pytest.mark.parametrize("options", [{"tasks": ("antonyms",)}, {"controls": ("none", "midle")}])
def test_unknown_names_are_said(tested, options):
    with pytest.raises(PaxionError, match=r"did you mean .*give one of") as caught:
        run(tested, OrderedEncoder(), **options)
    assert "\n" not in str(caught.value)


def test_a_clip_that_is_not_a_number_is_named(tested):
    class Broken(OrderedEncoder):
        def encode_clips(self, features: Features) -> Tensor:
            vectors = super().encode_clips(features)
            vectors[1] = float("nan")
            return vectors

    with pytest.raises(PaxionError, match=f'sample "{tested[2][1].id}"'):
        run(tested, Broken(), tasks=("object",))


def test_a_known_miss_is_not_listed_twice():
    total, part = Evaluation(), Evaluation(missed=[Missed("w", "antonym", "no antonym", 3)])
    total.add(part)
    total.add(part)
    assert total.missed == part.missed


def unordered_store(tmp_path) -> tuple[FeatureStore, dict[str, str], list[Sample]]:
    """Features that cannot be reordered, with the variants that extraction makes by default, and "shuffled"."""
    store = FeatureStore(tmp_path, StoreSpec("toy", "1", "midpoint", 5, 32))
    generator = torch.Generator().manual_seed(0)
    for names in (["blind"], [f"k{n}{v}" for n in range(4) for v in ("", "#reversed", "#shuffled")]):
        tokens = torch.randn(len(names), 5, 2, 32, generator=generator)
        store.append(names, Features(normalise(tokens.mean((1, 2))), tokens), {})
    samples = [Sample(str(n), "v", f"caption {n}", "test", str(n), antonym=f"foil {n}") for n in range(4)]
    return store, {str(n): f"k{n}" for n in range(4)}, samples


def test_a_backbone_that_cannot_be_reordered_is_scored_on_its_encoded_reversals(tmp_path):
    store, keys, samples = unordered_store(tmp_path)
    encoder = OrderedEncoder()
    found = evaluate(encoder, store, keys, samples, data="w", tasks=("reversal",), controls=("none", "reversed"))
    for row in found.rows:
        (text,) = encoder.encode_texts([f"caption {row.id}"])
        there, back = (
            (encoder.encode_clips(store.read([keys[row.id]], control))[0, 0] @ text).item()
            for control in ("none", "reversed")
        )
        expected = (there, back) if row.control == "none" else (back, there)
        assert (row.right, row.wrong) == pytest.approx(expected, abs=1e-6)


def test_a_reversal_that_nobody_encoded_is_missed_not_made_up(tmp_path):
    store, keys, samples = unordered_store(tmp_path)
    found = evaluate(
        OrderedEncoder(), store, keys, samples, data="w", tasks=("antonym", "reversal"), controls=("none", "shuffled")
    )
    assert set(scores(found)) == {("antonym", "none"), ("antonym", "shuffled"), ("reversal", "none")}
    (miss,) = found.missed
    assert (miss.task, miss.count) == ("reversal", 4)
    assert "shuffled" in miss.reason
