"""Dummies: models of which it is known what they see, so that every metric and control has a known value for them.

A dummy is an encoder of clips that are nothing but names: each frame says whose it is and which. So a dummy goes
through the same controls, similarities and metrics as every other model. What each must score is in `dummy_levels.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from paxion.backbones.base import Features, normalise
from paxion.evaluation.evaluate import Evaluation, evaluate
from paxion.evaluation.settings import DEFAULT, Settings
from paxion.features.spec import BLIND, StoreSpec
from paxion.records import PaxionError, Sample, unknown_name
from paxion.video.controls import frame_order
from paxion.video.transform import Transform

PREFIX = "dummy:"
DUMMIES = {
    "random": "guesses",
    "oracle": "knows what a clip shows, and its direction where the frames are in order",
    "order-blind": "knows what a clip shows but for its direction: caption and antonym are one to it",
    "verb-only": "knows the action and its direction, not the objects",
    "longest-text": "prefers the longest text, whatever the clip",
    "first-frame-oracle": "knows the direction from the first frame that it is shown, if that is an end of the clip",
}
"""The dummies and what they see."""
FRAMES = 8
WIDTH = 128
Direction = Literal["forward", "backward", "unknown"]


@dataclass(frozen=True)
class View:
    """What a dummy is shown: whose clip (its place among the samples), and which of its frames, in order."""

    sample: int
    frames: tuple[int, ...]

    @property
    def direction(self) -> Direction:
        """As far as the order of the frames tells."""
        straight = sorted(set(self.frames))
        if len(straight) < len(self.frames):
            return "unknown"
        found: dict[tuple[int, ...], Direction] = {tuple(straight): "forward", tuple(straight[::-1]): "backward"}
        return found.get(self.frames, "unknown")


@dataclass(frozen=True)
class Dummy:
    """A dummy's knowledge: which texts it cannot tell apart, and which it takes a clip to show."""

    name: str
    samples: Sequence[Sample]
    settings: Settings = DEFAULT
    seed: int = 0

    def kind(self, text: str) -> str:
        """What the dummy makes of a text: texts of one kind are one to it. verb-only hears the action alone."""
        text = self._unprompted.get(text, text)
        return self._actions.get(text, text) if self.name == "verb-only" else text

    def likes(self, view: View | None) -> frozenset[str]:
        """The kinds of texts that it takes a clip to show. view: None under `blind`, where there is nothing to see."""
        if view is None or self.name in ("random", "longest-text"):
            return frozenset()
        sample, direction = self.samples[view.sample], view.direction
        if self.name == "order-blind":
            direction = "unknown"
        elif self.name == "first-frame-oracle":
            ends: dict[int, Direction] = {0: "forward", FRAMES - 1: "backward"}
            direction = ends.get(view.frames[0], "unknown")
        said = [sample.caption] if direction != "backward" else []
        if direction != "forward" and sample.antonym is not None:
            said.append(sample.antonym)
        # Whoever knows what is said of a clip knows the names of that action.
        named = [name for text in said for name in self._templates.get(text, ())]
        if direction != "backward" and sample.template is not None:
            named.append(sample.template)
        if sample.choices and sample.answer is not None and direction != "backward":
            # Who knows half of what a clip shows cannot choose between the answers.
            sure = direction == "forward" and self.name != "verb-only"
            fitting = [sample.choices[sample.answer]] if sure else sample.choices
            named += [self.settings.question(sample.question or "", choice) for choice in fitting]
        return frozenset(self.kind(text) for text in (*said, *named))

    @cached_property
    def _templates(self) -> Mapping[str, tuple[str, ...]]:
        """The templates of the clips with a caption."""
        found: dict[str, dict[str, None]] = {}
        for sample in self.samples:
            if sample.template is not None:
                found.setdefault(sample.caption, {})[sample.template] = None
        return {caption: tuple(templates) for caption, templates in found.items()}

    @cached_property
    def _actions(self) -> Mapping[str, str]:
        """The action that a text says: of a caption, its label; of a foil that is no caption, that of its caption or
        the opposite of it.
        """
        found: dict[str, str] = {}
        for sample in self.samples:
            action = sample.action or sample.template or sample.verb or sample.caption
            found.setdefault(sample.caption, f"action {action}")
            if sample.template is not None:
                found.setdefault(sample.template, f"action {action}")
        for sample in self.samples:
            if sample.replaced is not None:
                found.setdefault(sample.replaced, found[sample.caption])
            if sample.antonym is not None:
                found.setdefault(sample.antonym, f"opposite of {found[sample.caption]}")
        return found

    @cached_property
    def _unprompted(self) -> Mapping[str, str]:
        """The action's name in each of its prompts."""
        labels = {sample.template for sample in self.samples if sample.template is not None} | set(self.settings.labels)
        prompts = [prompt for prompt in self.settings.prompts if prompt != "{}"]
        return {prompt.format(label): label for prompt in prompts for label in labels}


@dataclass(frozen=True)
class DummyEncoder:
    """A dummy as an encoder: a kind of text is a random unit vector, a clip is those of all that it is taken to show.

    So a text that fits scores 1, and one that does not scores by chance. What sees nothing scores 0 throughout.
    """

    dummy: Dummy

    @property
    def name(self) -> str:
        """What results call it."""
        return PREFIX + self.dummy.name

    def encode_clips(self, features: Features) -> Tensor:
        """(B, Q, WIDTH) from clips of `DummyClips`."""
        assert features.tokens is not None
        places = features.tokens[:, :, 0].long().tolist()
        found = [self._clip([(int(whose), int(frame)) for whose, frame in clip]) for clip in places]
        widest = max(len(vectors) for vectors in found)
        # Repeated vectors change no maximum.
        return torch.stack([vectors[torch.arange(widest) % len(vectors)] for vectors in found])

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """(K, WIDTH)"""
        if self.dummy.name != "longest-text":
            return torch.stack([_drawn(f"text {self.dummy.kind(text)}") for text in texts])
        lengths = torch.tensor([float(len(text)) for text in texts]) / self._longest / 2
        vectors = torch.zeros(len(texts), WIDTH)
        vectors[:, 0], vectors[:, 1] = lengths, (1 - lengths**2).sqrt()
        return vectors

    def _clip(self, clip: list[tuple[int, int]]) -> Tensor:
        view = None if clip[0][0] < 0 else View(clip[0][0], tuple(frame for _, frame in clip))
        if self.dummy.name == "longest-text":
            return torch.eye(WIDTH)[:1]
        if view is None:
            return torch.zeros(1, WIDTH)
        if likes := sorted(self.dummy.likes(view)):
            return torch.stack([_drawn(f"text {kind}") for kind in likes])
        return _drawn(f"clip {self.dummy.samples[view.sample].id} {view.frames} {self.dummy.seed}")[None]

    @cached_property
    def _longest(self) -> float:
        known, settings = self.dummy.samples, self.dummy.settings
        texts = [text for s in known for text in (s.caption, s.antonym, s.replaced, s.template) if text]
        texts += [settings.question(s.question or "", choice) for s in known for choice in s.choices or ()]
        texts += [*settings.labels, *settings.texts]
        return 2.0 * max(len(text) for text in texts) + 100


@dataclass(frozen=True)
class DummyClips:
    """A source of clips that say of each frame whose it is and which: tokens (B, FRAMES, 1, 2)."""

    count: int
    """Number of samples; the key of a clip is its place among them."""
    reorderable: bool = True

    @property
    def spec(self) -> StoreSpec:
        """As if a backbone had seen each frame by itself."""
        return StoreSpec("dummy", "0", "midpoint", FRAMES, Transform(16), per_frame=True, dtype="float32")

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        """See `features.source.FeatureSource`."""
        if control == BLIND:
            nothing = torch.full((len(keys), FRAMES, 2), -1.0)
            return Features(nothing[:, 0], nothing[:, :, None], nothing)
        orders = torch.stack([frame_order(control, FRAMES, seed) for seed in (seeds or keys)])
        whose = torch.tensor([float(key) for key in keys])[:, None].expand(-1, FRAMES)
        frames = torch.stack([whose, orders.float()], -1)
        return Features(frames[:, 0], frames[:, :, None], frames)

    def prefetch(self, keys: Sequence[str]) -> None:
        """Nothing is to be read."""


def dummy_evaluation(
    name: str,
    samples: Sequence[Sample],
    *,
    data: str,
    tasks: Sequence[str],
    controls: Sequence[str] = ("none",),
    seed: int = 0,
    settings: Settings = DEFAULT,
) -> Evaluation:
    """What a dummy scores on samples, whose videos are not read. name: one of DUMMIES, or `dummy:` and that.

    Raises PaxionError for another name, and as `evaluate` does.
    """
    short = name.removeprefix(PREFIX)
    if short not in DUMMIES:
        raise unknown_name("dummy", short, DUMMIES)
    if settings.method.kind != "plain":
        raise PaxionError(f"got the method {settings.method.kind} for {name}, expected plain: it has no backbone")
    encoder = DummyEncoder(Dummy(short, samples, settings, seed))
    keys = {sample.id: str(place) for place, sample in enumerate(samples)}
    return evaluate(
        encoder, DummyClips(len(samples)), keys, samples,
        data=data, tasks=tasks, controls=controls, seed=seed, settings=settings,
    )  # fmt: skip


def _drawn(name: str) -> Tensor:
    """A random unit vector (WIDTH,) that depends on the name alone."""
    random = np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()[:8], "big"))
    return normalise(torch.from_numpy(random.standard_normal(WIDTH))).float()
