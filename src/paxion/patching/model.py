"""A patched model: a patcher, with or without a fuser, from cached features to unit vectors, and as an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paxion.backbones.base import Backbone, Features, normalise
from paxion.patching.baselines import TransformerConfig, TransformerPatcher
from paxion.patching.fuser import FuserConfig, KnowledgeFuser
from paxion.patching.patcher import KnowledgePatcher, PatcherConfig


class PatchedModel(nn.Module):
    """The trainable part: Knowledge Patcher, then Knowledge Fuser if there is one. The backbone is not in it.

    A KP-Transformer may stand in for the patcher.
    """

    patcher: KnowledgePatcher | TransformerPatcher

    def __init__(self, patcher: PatcherConfig | TransformerConfig, fuser: FuserConfig | None = None) -> None:
        super().__init__()
        if isinstance(patcher, PatcherConfig):
            self.patcher = KnowledgePatcher(patcher)
        else:
            self.patcher = TransformerPatcher(patcher)
        self.fuser = None if fuser is None else KnowledgeFuser(fuser)

    @property
    def temperature(self) -> nn.Parameter:
        """The learned divisor of the similarities that training uses."""
        return self.patcher.temperature if self.fuser is None else self.fuser.temperature

    def forward(self, features: Features) -> Tensor:
        """Features of B clips to (B, Q, D) unit vectors; Q is 1 after most fusers."""
        if features.tokens is None:
            raise ValueError("got features without tokens, expected a backbone that gives tokens")
        tokens = features.tokens.to(self.temperature.dtype)
        latents = self.patcher(tokens)
        if self.fuser is not None:
            pooled = features.pooled.to(latents.dtype)
            if not self.fuser.config.raw_pooled:
                # Unit vectors would vanish beside the fuser's residual branches.
                pooled = normalise(pooled) * latents.shape[-1] ** 0.5
            latents = self.fuser(pooled, latents, tokens)
        return normalise(latents)

    def both(self, features: Features) -> tuple[Tensor, Tensor]:
        """What `forward` gives for B clips and for their reversals, whose tokens are the flipped ones (per-frame).

        For a model without a fuser, which would read the pooled vectors of the reversals.
        """
        if self.fuser is not None or features.tokens is None:
            raise ValueError("got a fuser or no tokens, expected a patcher alone and tokens")
        forwards, backwards = self.patcher.both(features.tokens)
        return normalise(forwards), normalise(backwards)


@dataclass(frozen=True)
class PatchedEncoder:
    """A patched model and its backbone's text tower as an encoder."""

    name: str
    backbone: Backbone
    model: PatchedModel

    @torch.inference_mode()
    def encode_clips(self, features: Features) -> Tensor:
        """(B, Q, D) unit vectors."""
        self.model.eval()
        return self.model(features)  # type: ignore[no-any-return]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """(K, D) unit vectors of the frozen backbone."""
        return self.backbone.encode_texts(texts)


@dataclass(frozen=True)
class EnsembleEncoder:
    """Patched model plus weighted backbone, without training.

    A clip's vectors are y_q + weight * g, so that the usual maximum over dot products is exactly
    score(patched) + weight * score(backbone).
    """

    name: str
    patched: PatchedEncoder
    weight: float

    def encode_clips(self, features: Features) -> Tensor:
        """(B, Q, D) sums of unit vectors."""
        backbone = normalise(features.pooled.float())[:, None]
        return self.patched.encode_clips(features) + self.weight * backbone

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """(K, D) unit vectors."""
        return self.patched.encode_texts(texts)
