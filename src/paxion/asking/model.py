"""What a generative model is to paxion: it answers prompts about clips, and says how likely a text is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Likelihood:
    """How likely a model finds a text after a clip and a prompt."""

    total: float
    """Sum of the log-probabilities of the text's tokens, nats."""
    tokens: int


@dataclass(frozen=True)
class Failed:
    """What becomes of one sample that a model fails on: never an exception that ends the run."""

    reason: str


class Answerer(Protocol):
    """A generative model. Clips are (T, H, W, 3) uint8; None: blind, no picture at all."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    @property
    def revision(self) -> str:
        """What its answers depend on besides the name: weights and precision, or the server."""
        ...

    @property
    def frames(self) -> int:
        """How many frames it wants."""
        ...

    @property
    def scores_text(self) -> bool:
        """False where it gives no log-likelihoods."""
        ...

    def answer(self, clips: Sequence[Tensor | None], prompts: Sequence[str], tokens: int = 16) -> list[str | Failed]:
        """What it says, greedily, in at most so many tokens."""
        ...

    def likelihood(
        self, clips: Sequence[Tensor | None], prompts: Sequence[str], continuations: Sequence[str]
    ) -> list[Likelihood | Failed]:
        """How likely each continuation is after its clip and prompt."""
        ...
