"""Answerers of which it is known what they do: real behaviour, without weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from torch import Tensor

from paxion.asking.model import Failed, Likelihood

Say = Callable[[Tensor | None, str], str | Failed]
Like = Callable[[Tensor | None, str, str], Likelihood | Failed]


class Scripted:
    """Says and scores what its functions say, and counts what it was asked."""

    revision = "1"
    frames = 4

    def __init__(self, name: str, say: Say = lambda clip, prompt: "A", like: Like | None = None) -> None:
        self.name, self.say, self.like = name, say, like
        self.scores_text = like is not None
        self.calls = 0

    def answer(self, clips: Sequence[Tensor | None], prompts: Sequence[str], tokens: int = 16) -> list[str | Failed]:
        self.calls += len(prompts)
        return [self.say(clip, prompt) for clip, prompt in zip(clips, prompts, strict=True)]

    def likelihood(
        self, clips: Sequence[Tensor | None], prompts: Sequence[str], continuations: Sequence[str]
    ) -> list[Likelihood | Failed]:
        assert self.like is not None
        self.calls += len(prompts)
        return [self.like(*asked) for asked in zip(clips, prompts, continuations, strict=True)]


def options_of(prompt: str) -> dict[str, str]:
    """The letters and texts listed in a prompt."""
    return dict(re.findall(r"^([A-Z])\. (.*)$", prompt, re.MULTILINE))


def caption_of(prompt: str) -> str:
    """The caption that a yes-no prompt asks about."""
    return prompt.split('"')[1]
