"""Recipes: what is trained, on which objectives, for how long. Every choice was made on validation clips."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from paxion.patching.baselines import TransformerConfig, transformer_config
from paxion.patching.fuser import FuserConfig, FuserKind
from paxion.patching.patcher import PatcherConfig
from paxion.records import PaxionError

Architecture = Literal["perceiver", "transformer"]


@dataclass(frozen=True)
class Recipe:
    """One training run. VTC is always on, with weight 1."""

    vac: bool = False
    """Antonyms of the batch as further wrong texts (VAC)."""
    atm: float = 0.0
    """Weight of action-temporal matching; the paper's is 0.4."""
    antonym_pair: float = 0.0
    """Weight of the two-way choice between caption and antonym (ours)."""
    template: float = 0.0
    """Weight of the choice among all templates of the training set (ours)."""
    spatial_embedding: bool = False
    difference_tokens: bool = False
    architecture: Architecture = "perceiver"
    """perceiver: the Knowledge Patcher. transformer: the KP-Transformer, of the paper's sizes, not those below."""
    latents: int = 8
    heads: int = 4
    dim_head: int = 32
    pooled: bool = False
    """The patcher gives the mean of its latents."""
    control: str = "none"
    """What is shown of each clip in training; anything but "none" asks what can be learned without the whole clip."""
    token_noise: float = 0.0
    """Standard deviation of normal noise on the tokens in training, as a share of their own (ours). Without it, longer
    training loses objects of a visual domain that was not trained on."""
    fuser: FuserKind | None = None
    raw_pooled: bool = False
    """The fuser reads the backbone's vectors at the length that they have, as the paper's does."""
    joint: bool = True
    """With a fuser: train the patcher on."""
    epochs: int = 20
    batch: int = 64
    rate: float = 3e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    cosine: bool = True
    """Anneal the rate to zero over all steps; otherwise it is constant."""
    warmup: int = 30
    """Steps over which the rate rises."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.architecture not in get_args(Architecture):
            raise PaxionError(f"got architecture {self.architecture!r}, expected {' or '.join(get_args(Architecture))}")
        if self.atm and self.control != "none":
            raise PaxionError(f"got control {self.control!r} with ATM, expected none: ATM compares whole clips")
        perceiver_only = [name for name in ("spatial_embedding", "difference_tokens", "pooled") if getattr(self, name)]
        if self.architecture == "transformer" and perceiver_only:
            raise PaxionError(f"got {perceiver_only[0]} with architecture transformer, which has none; leave it out")
        for name, least in (("epochs", 1), ("batch", 2)):
            if getattr(self, name) < least:
                raise PaxionError(f"got {name} {getattr(self, name)}, expected at least {least}")
        for name in ("atm", "antonym_pair", "template", "token_noise", "rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise PaxionError(f"got {name} {getattr(self, name)}, expected 0 or more")

    def patcher_config(
        self, dim: int, token_width: int, frames: int, tokens_per_frame: int, projection: nn.Linear | None = None
    ) -> PatcherConfig | TransformerConfig:
        """The patcher for a backbone of these sizes and with this `token_projection`."""
        if self.architecture == "transformer":
            return transformer_config(dim, token_width, projection)
        return PatcherConfig(
            dim, token_width, frames, tokens_per_frame, heads=self.heads, dim_head=self.dim_head, latents=self.latents,
            spatial_embedding=self.spatial_embedding, difference_tokens=self.difference_tokens, pooled=self.pooled,
        )  # fmt: skip

    def fuser_config(self, dim: int, token_width: int) -> FuserConfig | None:
        """The fuser for a backbone of these sizes, if the recipe has one."""
        if self.fuser is None:
            return None
        return FuserConfig(self.fuser, dim, token_width, self.heads, self.dim_head, raw_pooled=self.raw_pooled)


_OURS = {
    "vac": True,
    "atm": 1.0,
    "antonym_pair": 1.0,
    "template": 1.0,
    "spatial_embedding": True,
    "difference_tokens": True,
    "token_noise": 0.7,
}

RECIPES: dict[str, Recipe] = {
    "patcher-vtc": Recipe(),
    "patcher-dvdm": Recipe(vac=True, atm=0.4),
    "patcher-pooled": Recipe(vac=True, atm=0.4, pooled=True),
    "kp-transformer": Recipe(architecture="transformer", rate=1e-3),
    "patcher-vtc-differences": Recipe(spatial_embedding=True, difference_tokens=True),
    "patcher-last-frame": Recipe(control="last", spatial_embedding=True),
    "patcher": Recipe(**_OURS),  # type: ignore[arg-type]
    "fuser": Recipe(**_OURS, fuser="xattn", epochs=6, rate=1e-3),  # type: ignore[arg-type]
    "side-tuning": Recipe(**_OURS, fuser="side_tuning", epochs=6, rate=1e-3),  # type: ignore[arg-type]
}
"""patcher-dvdm has the paper's objectives and patcher at the world's size, patcher is our default. Between them the
paper's baselines (the mean of the latents, and the KP-Transformer) and two of ours: the default's tokens without its
objectives, and what a single frame gives away. The last two start from a trained patcher."""
