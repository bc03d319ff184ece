"""`check_encoder` passes models that keep the contract, and names what is wrong with each that breaks it once."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from paxion.backbones.base import Features
from paxion.evaluation.separation import PAIRS, Separation, separation, separation_verdict
from paxion.patching.model import PatchedEncoder, PatchedModel
from paxion.patching.patcher import PatcherConfig
from paxion.records import PaxionError
from paxion.testing import check_encoder
from paxion.world.captions import vocabulary

WORDS = tuple((f"{one} {other}", f"{other} {one}") for one, other in zip(vocabulary(), vocabulary()[1:], strict=False))


class Changed:
    """The tiny backbone with some answers changed."""

    def __init__(self, backbone, video=None, texts=None, **attributes):
        self._backbone, self._video, self._texts = backbone, video, texts
        for name, value in attributes.items():
            setattr(self, name, value)

    def __getattr__(self, name):
        return getattr(self._backbone, name)

    def encode_video(self, video):
        return self._backbone.encode_video(video) if self._video is None else self._video(video)

    def encode_texts(self, texts):
        return self._backbone.encode_texts(texts) if self._texts is None else self._texts(texts)


def failed(report) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in report.failures())


def test_the_small_backbone_and_a_patched_one_keep_the_contract(tiny_backbone):
    report = check_encoder(tiny_backbone, WORDS)
    assert report.failures() == [] and report.separation.pairs == len(WORDS)
    config = PatcherConfig(16, 32, 9, 17, heads=2, dim_head=8, latents=3)
    patched = PatchedEncoder("patched", tiny_backbone, PatchedModel(config).eval().requires_grad_(False))
    report = check_encoder(patched, WORDS)
    assert report.failures() == [] and report.model == "patched"
    assert {check.name for check in report.checks} >= {"shapes", "per_frame", "clips: shapes", "texts", "antonyms"}


def test_precision_is_allowed_for(tiny_backbone):
    half = copy.deepcopy(tiny_backbone).to(torch.bfloat16)
    assert check_encoder(half, WORDS).failures() == []


def test_each_broken_promise_is_named(tiny_backbone):
    b, generator = tiny_backbone, torch.Generator().manual_seed(0)

    def over(video, **parts):
        return replace(b.encode_video(video), frame_vectors=None, **parts)

    def mixed(video):  # each frame sees the one before
        tokens = b.encode_video(video).tokens
        return over(video, tokens=tokens + 0.1 * tokens.roll(1, 1))

    def noisy(video):
        pooled = b.encode_video(video).pooled
        return over(video, pooled=pooled + 0.01 * torch.randn(pooled.shape, generator=generator))

    def centred(video):  # depends on the rest of the batch
        pooled = b.encode_video(video).pooled
        return over(video, pooled=pooled - 0.5 * pooled.mean(0))

    def picky(video):
        if video.dtype != torch.float32:
            raise RuntimeError("expected Float but found Double\nand more")
        return b.encode_video(video)

    def infinite(video):
        return over(video, pooled=b.encode_video(video).pooled / 0)

    def leaking(video):  # the mean of all frames does not tell their order
        tokens = b.encode_video(video).tokens
        return over(video, tokens=tokens - 0.9 * tokens.mean(1, keepdim=True))

    assert "moved or replaced" in failed(check_encoder(Changed(b, video=leaking), WORDS))["per_frame"]
    broken = {
        "per_frame": Changed(b, video=mixed),
        "determinism": Changed(b, video=noisy),
        "batch invariance": Changed(b, video=centred),
        "precision": Changed(b, video=picky),
        "shapes": Changed(b, video=infinite),
        "texts": Changed(b, texts=lambda texts: 2 * b.encode_texts(texts)),
        "attributes": Changed(b, dim="16"),
        "antonyms": Changed(b, texts=lambda texts: b.encode_texts(texts) * float("nan")),
    }
    assert check_encoder(broken["antonyms"], WORDS).verdict() == ""
    for wrong in (torch.nn.Identity(), torch.nn.Linear(32, 7)):
        assert "expected nn.Linear(32, 16)" in failed(check_encoder(Changed(b, projection=wrong), WORDS))["shapes"]
    assert set(failed(check_encoder(Changed(b, frames=9.0), WORDS))) == {"attributes"}
    for name, model in broken.items():
        assert name in failed(check_encoder(model, WORDS)), name
    assert (
        failed(check_encoder(broken["precision"], WORDS))["precision"]
        == "RuntimeError: expected Float but found Double"
    )


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"tokens_per_frame": 16}, "got tokens (3, 9, 17, 32), expected (3, 9, 16, 32)"),
        ({"dim": 8}, "got pooled (3, 16), expected (3, 8)"),
    ],
)
def test_wrong_sizes_are_told_with_both(tiny_backbone, attributes, says):
    assert failed(check_encoder(Changed(tiny_backbone, **attributes), WORDS))["shapes"] == says


def test_frame_vectors_must_give_pooled(tiny_backbone):
    def wrong(video):
        features = tiny_backbone.encode_video(video)
        return Features(features.pooled, features.tokens, features.frame_vectors * torch.arange(9.0)[:, None])

    assert "frame_vectors" in failed(check_encoder(Changed(tiny_backbone, video=wrong), WORDS))["shapes"]


def test_training_mode_and_trainable_weights_are_found(tiny_backbone):
    assert "training" in failed(check_encoder(copy.deepcopy(tiny_backbone).train(), WORDS))["frozen"]
    thawed = copy.deepcopy(tiny_backbone).requires_grad_(True)
    assert "requires gradients" in failed(check_encoder(thawed, WORDS))["frozen"]


def test_a_model_that_could_promise_more_is_told(tiny_backbone):
    checks = check_encoder(Changed(tiny_backbone, per_frame=False), WORDS).checks
    assert "could be declared" in next(check for check in checks if check.name == "per_frame").detail


def test_something_that_is_no_backbone_fails_without_a_traceback():
    report = check_encoder(object())  # type: ignore[arg-type]
    assert "attributes" in failed(report) and report.separation is None and report.verdict() == ""


class Texts:
    """Vectors by hand."""

    def __init__(self, cosine: float):
        self.cosine = cosine

    def encode_texts(self, texts):
        """A caption has its own direction; its antonym (upper case) lies at the given cosine."""
        rows = torch.zeros(len(texts), 20)
        for row, text in zip(rows, texts, strict=True):
            number = ord(text.lower()) - ord("a")
            row[2 * number] = self.cosine if text.isupper() else 1.0
            row[2 * number + 1] = (1 - self.cosine**2) ** 0.5 if text.isupper() else 0.0
        return rows


@pytest.mark.parametrize(
    ("cosine", "says"),
    [
        (0.5, "separates captions from antonyms: patching can help"),
        (0.95, "a little"),
        (0.99, "does not separate"),
        (1.0, "does not know these words"),
    ],
)
def test_the_cosine_is_measured_and_judged(cosine, says):
    found = separation(Texts(cosine), [("a", "A"), ("b", "B"), ("c", "C")])
    assert found == Separation(pytest.approx(cosine), pytest.approx(0.0), 3 if cosine == 1 else 0, 3)
    assert says in separation_verdict(found)


def test_no_pairs_are_refused():
    with pytest.raises(PaxionError, match="no pair"):
        separation(Texts(0.5), [])


def test_the_built_in_pairs_differ_and_are_distinct():
    texts = [text for pair in PAIRS for text in pair]
    assert len(PAIRS) == 40 and len(set(texts)) == len(texts)
    for caption, antonym in PAIRS:
        shared = set(caption.split()) & set(antonym.split())
        assert shared, (caption, antonym)
