"""The contract of a backbone, as checks that anyone can run on a model of their own: `paxion check MODEL` and tests.

from paxion.testing import check_encoder

def test_my_backbone():
    assert check_encoder(MyBackbone()).failures() == []
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from paxion.backbones.base import Backbone, Encoder, Features, normalise, token_projection
from paxion.evaluation.separation import PAIRS, Separation, separation, separation_verdict
from paxion.video.transform import Transform

TEXTS = ("opening the drawer", "a cat", "a person slowly moves the red cup from the left of the table to the right")
# Largest differences allowed, as a share of the largest number: rounding, not the batch's other rows.
FULL, HALF = 1e-4, 3e-2


class BrokenContractError(Exception):
    """The contract is not kept; the message says where."""


@dataclass(frozen=True)
class Check:
    """One line of a report."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class ContractReport:
    """What `check_encoder` found."""

    model: str
    checks: tuple[Check, ...]
    separation: Separation | None
    """None when the text tower could not be run."""

    def failures(self) -> list[str]:
        """The checks that failed, one line each; empty when the contract is kept."""
        return [f"{check.name}: {check.detail}" for check in self.checks if not check.passed]

    def verdict(self) -> str:
        """What the text tower means for patching, in a sentence."""
        return "" if self.separation is None else separation_verdict(self.separation)


def check_encoder(
    model: Backbone | Encoder, pairs: Sequence[tuple[str, str]] = PAIRS, *, seed: int = 0
) -> ContractReport:
    """Check a backbone, or a patched model together with its backbone, against the protocols of backbones/base.py.

    Random clips and a few texts are encoded: shapes, finite numbers, determinism, independence of the rest of the
    batch, `per_frame` as declared, precision and device. Then the antonym cosine of the text tower is measured.

    pairs: (caption, antonym) to measure on. A check whose model raises has failed with what was raised.
    """
    backbone: Any = model if hasattr(model, "encode_video") else getattr(model, "backbone", None)
    checks = _run(_check_attributes(backbone))
    found: list[Separation] = []
    if checks[0].passed:
        checks += _run(_check_backbone(backbone, seed))
        if hasattr(model, "encode_clips") and all(check.passed for check in checks):
            checks += _run(_check_clips(model, backbone, seed))
        checks += _run(_check_texts(model, backbone, pairs, found))
    return ContractReport(str(getattr(model, "name", type(model).__name__)), tuple(checks), found[0] if found else None)


Steps = Iterator[tuple[str, Callable[[], str | None]]]
"""Checks by name: each gives None, or a remark, or raises BrokenContractError with what is wrong."""


def _run(steps: Steps) -> list[Check]:
    checks = []
    for name, step in steps:
        try:
            with torch.inference_mode():
                detail = step()
            checks.append(Check(name, True, detail or ""))
        except BrokenContractError as problem:
            checks.append(Check(name, False, str(problem)))
        except Exception as error:  # whatever a model of someone else raises is a finding about it
            reason = (str(error).splitlines() or [""])[0]
            checks.append(Check(name, False, f"{type(error).__name__}: {reason}"))
    return checks


def _check_attributes(backbone: Any) -> Steps:
    """What a backbone says of itself: the other steps rely on it."""

    def attributes() -> str:
        missing = [name for name in Backbone.__annotations__ if not hasattr(backbone, name)]
        _need(not missing, f"got no {', '.join(missing)}, expected what the Backbone protocol names")
        for name in ("dim", "token_width", "tokens_per_frame", "frames"):
            value, least = getattr(backbone, name), 1 if name in ("dim", "frames") else 0
            whole = type(value) is int and value >= least
            _need(whole, f"got {name} {value!r}, expected a whole number, {least} or more")
        kind = type(backbone.transform).__name__
        _need(isinstance(backbone.transform, Transform), f"got transform of type {kind}, expected a Transform")
        for name in ("name", "revision"):
            _need(getattr(backbone, name), f"got an empty {name}, expected what identifies the weights")
        sizes = f"D {backbone.dim}, C {backbone.token_width}, P {backbone.tokens_per_frame}, T {backbone.frames}"
        return f"{sizes}, {backbone.transform.size} pixels, per_frame {backbone.per_frame}"

    yield "attributes", attributes


def _check_backbone(backbone: Any, seed: int) -> Steps:
    """The steps for a backbone's video tower."""
    clips = random_clips(backbone, 3, seed)

    def frozen() -> None:
        if isinstance(backbone, nn.Module):
            _need(not backbone.training, "got a model in training mode, expected eval()")
            trainable = next((name for name, value in backbone.named_parameters() if value.requires_grad), None)
            _need(trainable is None, f"{trainable} requires gradients, expected requires_grad_(False)")

    def shapes() -> str:
        features = backbone.encode_video(clips)
        frames, tokens = backbone.frames, features.tokens
        _shape("pooled", features.pooled, (3, backbone.dim))
        if tokens is None:
            _need(backbone.tokens_per_frame == 0, "got no tokens, expected some, or tokens_per_frame 0")
        else:
            _shape("tokens", tokens, (3, frames, backbone.tokens_per_frame, backbone.token_width))
        if features.frame_vectors is not None:
            _shape("frame_vectors", features.frame_vectors, (3, frames, backbone.dim))
            mean = normalise(features.frame_vectors.float().mean(1))
            allowed = _allowed(features.frame_vectors)
            _close(mean, normalise(features.pooled.float()), "the mean of frame_vectors and pooled", allowed)
        if tokens is not None:
            token_projection(backbone)  # raises for one that does not fit
        return "no tokens: it can be probed, not patched" if tokens is None else ""

    def deterministic() -> None:
        one, two = backbone.encode_video(clips), backbone.encode_video(clips)
        for name, first, second in _parts(one, two):
            _need(torch.equal(first, second), f"{name} of the same clips differ between two calls; is dropout on?")

    def batch() -> None:
        together, alone = backbone.encode_video(clips), backbone.encode_video(clips[1:2])
        for name, first, second in _parts(together, alone):
            _close(second, first[1:2], f"{name} of a clip alone and in a batch")

    def per_frame() -> str:
        order = torch.randperm(backbone.frames, generator=torch.Generator().manual_seed(seed))
        there, back = backbone.encode_video(clips), backbone.encode_video(clips[:, order])
        blind = _distance(normalise(there.pooled.float()), normalise(back.pooled.float())) < _allowed(there.pooled)
        remark = "pooled is blind to the order of frames" if blind else "pooled depends on the order of frames"
        if there.tokens is None or back.tokens is None or backbone.frames == 1:
            return remark
        still = backbone.encode_video(clips[:, :1].expand_as(clips).contiguous())
        pairs = [(there.tokens[:, order], back.tokens), (there.tokens[:, 0], still.tokens[:, 0])]
        if there.frame_vectors is not None:
            pairs += [(there.frame_vectors[:, 0], still.frame_vectors[:, 0])]
        distance = max(_distance(one, other) for one, other in pairs)
        if backbone.per_frame:
            _need(
                distance <= _allowed(back.tokens),
                f"per_frame is declared, but what is said of a frame differs by {distance:.1e} when the other frames "
                f"are moved or replaced, expected rounding (below {_allowed(back.tokens):.0e})",
            )
        elif distance <= FULL and there.frame_vectors is not None:
            remark += "; tokens of a frame too are its own: per_frame could be declared, which saves the second pass"
        return remark

    def precision() -> None:
        wide, plain = backbone.encode_video(clips.double()), backbone.encode_video(clips)
        for name, first, second in _parts(wide, plain):
            _need(first.dtype.is_floating_point, f"{name} is {first.dtype}, expected floating point")
            _close(first, second, f"{name} of double and single precision clips (cast the input)")

    def device() -> str:
        where, texts = backbone.encode_video(clips).pooled.device, backbone.encode_texts(list(TEXTS))
        _need(isinstance(texts, Tensor), f"got texts as {type(texts).__name__}, expected a tensor (K, D)")
        _need(texts.device == where, "video and text vectors are on different devices")
        return str(where)

    yield "frozen", frozen
    yield "shapes", shapes
    yield "determinism", deterministic
    yield "batch invariance", batch
    yield "per_frame", per_frame
    yield "precision", precision
    yield "device", device


def _check_clips(model: Any, backbone: Any, seed: int) -> Steps:
    """The steps for an encoder on top of a backbone."""
    features = backbone.encode_video(random_clips(backbone, 3, seed))

    def shapes() -> str:
        clips = model.encode_clips(features)
        _need(clips.ndim == 3, f"got clips {tuple(clips.shape)}, expected (B, Q, {backbone.dim})")
        _shape("clips", clips, (3, clips.shape[1], backbone.dim))
        return f"Q {clips.shape[1]}"

    def batch() -> None:
        tokens, vectors = (part if part is None else part[1:2] for part in (features.tokens, features.frame_vectors))
        alone = model.encode_clips(Features(features.pooled[1:2], tokens, vectors))
        _close(alone, model.encode_clips(features)[1:2], "vectors of a clip alone and in a batch")

    def deterministic() -> None:
        same = torch.equal(model.encode_clips(features), model.encode_clips(features))
        _need(same, "vectors of the same clips differ between two calls; is dropout on?")

    yield "clips: shapes", shapes
    yield "clips: batch invariance", batch
    yield "clips: determinism", deterministic


def _check_texts(model: Any, backbone: Any, pairs: Sequence[tuple[str, str]], found: list[Separation]) -> Steps:
    """The steps for the text tower; `found` gets its antonym cosine."""

    def texts() -> None:
        vectors = model.encode_texts(list(TEXTS))
        _shape("texts", vectors, (len(TEXTS), backbone.dim))
        length = vectors.float().norm(dim=-1)
        allowed = 1e-4 if vectors.dtype == torch.float32 else 1e-2
        _need((length - 1).abs().max() < allowed, f"got text vectors of length {float(length.max()):.3f}, expected 1")
        _shape("no texts", model.encode_texts([]), (0, backbone.dim))
        alone = torch.cat([model.encode_texts([text]) for text in TEXTS])
        allowed = FULL if working_precision(backbone) in (torch.float32, torch.float64) else HALF
        _close(alone, vectors, "vectors of a text alone and in a batch", allowed)

    def cosine() -> str:
        measured = separation(model, pairs)
        _need(math.isfinite(measured.antonym), "the antonym cosine is not a number: the text vectors are not")
        found.append(measured)
        return f"antonym cosine {measured.antonym:.3f} (unrelated captions {measured.unrelated:.3f})"

    yield "texts", texts
    yield "antonyms", cosine


def random_clips(backbone: Backbone, clips: int, seed: int = 0) -> Tensor:
    """Random clips (B, T, 3, size, size), as if from the backbone's transform, on the device of its weights."""
    side = backbone.transform.size
    generator = torch.Generator().manual_seed(seed)
    video = torch.randn(clips, backbone.frames, 3, side, side, generator=generator)
    weights = next(backbone.parameters(), None) if isinstance(backbone, nn.Module) else None
    return video if weights is None else video.to(weights.device)


def working_precision(backbone: Backbone) -> torch.dtype:
    """What the backbone computes in, whatever it hands out."""
    weights = backbone.parameters() if isinstance(backbone, nn.Module) else iter(())
    return next((value.dtype for value in weights if value.is_floating_point()), torch.float32)


def _parts(one: Features, two: Features) -> Iterator[tuple[str, Tensor, Tensor]]:
    for name in ("pooled", "tokens", "frame_vectors"):
        first, second = getattr(one, name), getattr(two, name)
        _need((first is None) == (second is None), f"{name} is given for some clips and not for others")
        if first is not None:
            yield name, first, second


def _need(kept: bool | Tensor, problem: str) -> None:
    if not kept:
        raise BrokenContractError(problem)


def _shape(name: str, got: Tensor, expected: tuple[int, ...]) -> None:
    _need(tuple(got.shape) == expected, f"got {name} {tuple(got.shape)}, expected {expected}")
    _need(torch.isfinite(got).all(), f"{name} holds numbers that are not finite")


def _allowed(values: Tensor) -> float:
    return FULL if values.dtype in (torch.float32, torch.float64) else HALF


def _distance(one: Tensor, two: Tensor) -> float:
    """Largest difference as a share of the largest number."""
    return float((one.float() - two.float()).abs().max() / two.float().abs().max().clamp_min(1e-12))


def _close(got: Tensor, expected: Tensor, what: str, allowed: float = 0.0) -> None:
    distance, allowed = _distance(got, expected), max(allowed, _allowed(got), _allowed(expected))
    _need(distance <= allowed, f"{what} differ by {distance:.1e}, expected rounding (below {allowed:.0e})")
