"""What a model must offer: the Backbone and Encoder protocols and the features that flow between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from paxion.records import PaxionError
from paxion.video.transform import Transform


@dataclass(frozen=True)
class Features:
    """What a frozen backbone says about B clips."""

    pooled: Tensor
    """(B, D) in the joint space, as the backbone gives them: not always of unit length."""
    tokens: Tensor | None = None
    """(B, T, P, C) tokens, what the patcher reads."""
    frame_vectors: Tensor | None = None
    """(B, T, D) one vector a frame, given when pooled is their mean over T, re-normalised."""

    def reordered(self, order: Tensor) -> Features:
        """The features of the clips whose frames are taken in `order` (T,) or (B, T), without running the backbone.

        Valid only for a backbone that is per-frame and gives frame vectors.
        """
        if self.frame_vectors is None:
            raise ValueError("features without frame_vectors cannot be reordered: encode the reordered clip instead")
        rows = order.expand(len(self.pooled), -1)
        clips = rows.new_tensor(range(len(rows)))[:, None]
        vectors = self.frame_vectors[clips, rows]
        return Features(
            pooled=normalise(vectors.float().mean(1)).to(self.pooled.dtype),
            tokens=None if self.tokens is None else self.tokens[clips, rows],
            frame_vectors=vectors,
        )


def normalise(vectors: Tensor) -> Tensor:
    """Vectors (..., D) at unit length."""
    return torch.nn.functional.normalize(vectors, dim=-1)


def mean_of_frames(vectors: Tensor, tokens: Tensor | None, frames: int) -> Features:
    """The features of a frame encoder's clips: their vector is the mean of their frames' unit vectors, re-normalised.

    vectors: (B * T, D), of any length; tokens: (B, T, P, C); frames: T. The features have the precision of the vectors.
    """
    each = normalise(vectors.float()).view(-1, frames, vectors.shape[-1])
    return Features(normalise(each.mean(1)).to(vectors.dtype), tokens, each.to(vectors.dtype))


class Backbone(Protocol):
    """A frozen video-language dual encoder.

    per_frame: the tokens of a frame depend on no other frame, so a reordered clip has the reordered tokens.
    A backbone may also have a `projection`, see `token_projection`.
    """

    name: str
    revision: str
    """What identifies the weights: a hash or a hub revision."""
    dim: int
    """D"""
    token_width: int
    """C"""
    tokens_per_frame: int
    """P"""
    frames: int
    """T, the number of frames that the sampler should take."""
    transform: Transform
    """What a frame goes through first."""
    per_frame: bool

    def encode_video(self, video: Tensor) -> Features:
        """Encode clips (B, T, 3, size, size) that went through `transform`, float32 of any T that the model allows."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode K texts to unit vectors (K, D)."""
        ...


def token_projection(backbone: Backbone) -> nn.Linear | None:
    """The backbone's own frozen map from token width C to joint width D (its `projection`), if it has one.

    Raises PaxionError for anything but an nn.Linear of these widths.
    """
    projection = getattr(backbone, "projection", None)
    if projection is None:
        return None
    if not isinstance(projection, nn.Linear) or projection.weight.shape != (backbone.dim, backbone.token_width):
        expected = f"nn.Linear({backbone.token_width}, {backbone.dim})"
        raise PaxionError(f"got projection {projection} of {backbone.name}, expected {expected} or none")
    return projection


TEMPERATURE = 0.07
"""The temperature of a model that does not say its own: where the training of such models starts."""


def temperature_of(model: object) -> float:
    """What a backbone or an encoder divides similarities by before a softmax: one that it was trained with.

    Its `temperature`, or exp(-`logit_scale`), or that of its inner `model` (an adapter of a library has one), else
    TEMPERATURE. Raises PaxionError for one that is not positive and finite.
    """
    for holder in (model, getattr(model, "model", None)):
        for name in ("temperature", "logit_scale"):
            value = getattr(holder, name, None)
            if not isinstance(value, (int, float, Tensor)):
                continue
            value = value.detach() if isinstance(value, Tensor) else value
            found = float(value) if name == "temperature" else math.exp(-float(value))
            if not (found > 0 and math.isfinite(found)):
                raise PaxionError(f"got a temperature of {found} from {type(model).__name__}, expected a positive one")
            return found
    return TEMPERATURE


class Encoder(Protocol):
    """Anything that maps clips and texts into one space: a backbone, a patched or fused model, an ensemble.

    It may also have a `temperature`, see `temperature_of`.
    """

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    def encode_clips(self, features: Features) -> Tensor:
        """Q vectors per clip, (B, Q, D): unit vectors, or weighted sums of unit vectors for an ensemble."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (K, D)."""
        ...


@dataclass(frozen=True)
class BackboneEncoder:
    """A backbone alone as an encoder: its pooled vector is the one vector of a clip."""

    name: str
    backbone: Backbone

    @property
    def temperature(self) -> float:
        """The backbone's own, see `temperature_of`."""
        return temperature_of(self.backbone)

    def encode_clips(self, features: Features) -> Tensor:
        """(B, 1, D) unit vectors."""
        return normalise(features.pooled.float())[:, None]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """(K, D) unit vectors."""
        return self.backbone.encode_texts(texts)


@torch.inference_mode()
def text_vectors(encoder: Encoder | Backbone, texts: Iterable[str], batch: int = 256) -> dict[str, Tensor]:
    """The vector (D,) of every distinct text, each encoded once, float32 on the CPU."""
    distinct = list(dict.fromkeys(texts))
    vectors: dict[str, Tensor] = {}
    for start in range(0, len(distinct), batch):
        part = distinct[start : start + batch]
        found = encoder.encode_texts(part)
        if found.dtype != torch.float32:
            # Unit vectors of half precision are off by a few thousandths, enough to turn an answer.
            found = normalise(found.float())
        vectors.update(zip(part, found.cpu(), strict=True))
    return vectors
