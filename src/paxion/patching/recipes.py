"""Recipes: what is trained, on which objectives, for how long. Every choice was made on validation clips."""

from __future__ import annotations

import math
from dataclasses import dataclass

from paxion.patching.fuser import FuserConfig, FuserKind
from paxion.patching.patcher import PatcherConfig
from paxion.records import PaxionError


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
    latents: int = 8
    heads: int = 4
    dim_head: int = 32
    control: str = "none"
    """What is shown of each clip in training; anything but "none" asks what can be learned without the whole clip."""
    token_noise: float = 0.0
    """Standard deviation of normal noise on the tokens in training (ours; the world's tokens have unit scale). Without
    it, longer training loses objects of a visual domain that was not trained on."""
    fuser: FuserKind | None = None
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
        if self.atm and self.control != "none":
            raise PaxionError(f"got control {self.control!r} with ATM, expected none: ATM compares whole clips")
        for name, least in (("epochs", 1), ("batch", 2)):
            if getattr(self, name) < least:
                raise PaxionError(f"got {name} {getattr(self, name)}, expected at least {least}")
        for name in ("atm", "antonym_pair", "template", "token_noise", "rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise PaxionError(f"got {name} {getattr(self, name)}, expected 0 or more")

    def patcher_config(self, dim: int, token_width: int, frames: int, tokens_per_frame: int) -> PatcherConfig:
        """The patcher for a backbone of these sizes."""
        return PatcherConfig(
            dim, token_width, frames, tokens_per_frame, heads=self.heads, dim_head=self.dim_head, latents=self.latents,
            spatial_embedding=self.spatial_embedding, difference_tokens=self.difference_tokens,
        )  # fmt: skip

    def fuser_config(self, dim: int, token_width: int) -> FuserConfig | None:
        """The fuser for a backbone of these sizes, if the recipe has one."""
        return None if self.fuser is None else FuserConfig(self.fuser, dim, token_width, self.heads, self.dim_head)


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
    "patcher-vtc-differences": Recipe(spatial_embedding=True, difference_tokens=True),
    "patcher-last-frame": Recipe(control="last", spatial_embedding=True),
    "patcher": Recipe(**_OURS),  # type: ignore[arg-type]
    "fuser": Recipe(**_OURS, fuser="xattn", epochs=6, rate=1e-3),  # type: ignore[arg-type]
    "side-tuning": Recipe(**_OURS, fuser="side_tuning", epochs=6, rate=1e-3),  # type: ignore[arg-type]
}
"""patcher-dvdm has the paper's objectives and patcher at the world's size, patcher is our default. Between them two
baselines: the default's tokens without its objectives, and what a single frame gives away. The last two start from a
trained patcher."""
