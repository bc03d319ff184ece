"""Training the small backbone: single frames against captions, and texts against each other.

Frames carry no order, so frame-text training alone maps a caption and its antonym to the same vector (cosine 0.99), and
no patcher could then tell them apart. The text loss mends that: paraphrases attract, antonyms are hard negatives. The
text tower has thus *seen* the antonym pairs, as a language model has; the frame tower has not, and stays order-blind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paxion.backbones.world import WorldBackbone, WorldConfig
from paxion.records import PaxionError
from paxion.world.captions import blank, fill, say, vocabulary
from paxion.world.generate import FRAMES, draw_scene
from paxion.world.render import render


@dataclass(frozen=True)
class PretrainPlan:
    """The recipe; every choice was made on validation scenes."""

    seed: int = 0
    scenes: int = 12000
    """Scenes of domain A, of a stream that no split shares; two frames of each are rendered."""
    steps: int = 1600
    batch: int = 128
    rate: float = 1e-3
    text_weight: float = 0.5
    abstract: float = 0.12
    """Share of captions whose objects are blanked, so that templates have a meaning too."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        for name, least in (("seed", 0), ("scenes", 2), ("steps", 1), ("batch", 2)):
            if getattr(self, name) < least:
                raise PaxionError(f"got {name} {getattr(self, name)} for pretraining, expected {least} or more")


def render_frames(plan: PretrainPlan, tick: Callable[[int], object] | None = None) -> tuple[Tensor, list[list[str]]]:
    """Two random frames of every scene, uint8 (scenes, 2, 64, 64, 3), and its texts.

    Texts of a scene: three paraphrases, three antonyms (paraphrases again where there is none), the same six blanked.
    """
    rng = np.random.default_rng([plan.seed, 77])
    frames = torch.empty(plan.scenes, 2, 64, 64, 3, dtype=torch.uint8)
    texts = []
    for number in range(plan.scenes):
        scene = draw_scene(plan.seed, "A", "pretrain", number)
        frames[number] = render(scene.picture, rng.choice(FRAMES, 2, replace=False).tolist())
        sayings = [say(scene.action, scene.forward, paraphrase, scene.cast) for paraphrase in range(3)]
        patterns = [saying.pattern for saying in sayings]
        patterns += [saying.opposite or saying.pattern for saying in sayings]
        texts.append([fill(pattern, scene.cast) for pattern in patterns] + [blank(pattern) for pattern in patterns])
        if tick is not None:
            tick(1)
    return frames, texts


def pretrain(
    plan: PretrainPlan, tick: Callable[[dict[str, float]], object] | None = None, device: str = "cpu"
) -> tuple[WorldBackbone, dict[str, object]]:
    """Train a backbone; returns it in eval mode with its card: plan and final losses. tick gets each step's losses."""
    torch.manual_seed(plan.seed)
    model = WorldBackbone(WorldConfig(tuple(vocabulary()))).to(device).train()
    frames, texts = render_frames(plan)
    words = model.words_of([text for scene in texts for text in scene]).view(plan.scenes, 12, -1)
    opposed = words[:, 0].ne(words[:, 3]).any(-1)  # scenes whose action has an opposite
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=0.05, betas=(0.9, 0.98))
    generator = torch.Generator().manual_seed(plan.seed)
    losses: dict[str, float] = {}
    for step in range(plan.steps):
        warm = min(1.0, (step + 1) / 50)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * warm * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
        rows = torch.randint(plan.scenes, (plan.batch,), generator=generator)
        which = torch.randint(2, (plan.batch,), generator=generator)
        pictures = _augment(frames[rows, which].to(device), generator)
        abstract = (torch.rand(plan.batch, generator=generator) < plan.abstract).long() * 6
        first = torch.randint(3, (plan.batch,), generator=generator)
        second = (first + 1 + torch.randint(2, (plan.batch,), generator=generator)) % 3
        anchors = model.text_forward(words[rows, first + abstract])
        vectors = F.normalize(model.frames_forward(pictures)[0], dim=-1)
        scale = model.logit_scale.clamp(max=math.log(100)).exp()
        logits = scale * vectors @ anchors.T
        # Two clips of a batch that share a caption are not each other's negatives.
        said, target = words[rows, first + abstract], torch.arange(plan.batch, device=device)
        same = _same_words(said, said).fill_diagonal_(False)
        logits = logits.masked_fill(same, -math.inf)
        seen = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        half = slice(plan.batch // 2)
        said = text_loss(
            model, anchors[half], words[rows, second + abstract][half], words[rows, first + 3 + abstract][half],
            opposed[rows][half].to(device), scale,
        )  # fmt: skip
        loss = seen + plan.text_weight * said
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses = {"step": step + 1, "frame_text": float(seen.detach()), "text": float(said.detach())}
        if tick is not None:
            tick(losses)
    return model.eval().requires_grad_(False), {"plan": asdict(plan), "losses": losses}


def text_loss(
    model: WorldBackbone, anchors: Tensor, paraphrases: Tensor, antonyms: Tensor, opposed: Tensor, scale: Tensor
) -> Tensor:
    """InfoNCE between texts: anchor (N, D) to its paraphrase (N, words), with all antonyms (N, words) as negatives.

    opposed (N,) is true where an antonym exists.
    """
    texts = torch.cat((paraphrases, antonyms))
    logits = scale * anchors @ model.text_forward(texts).T
    target = torch.arange(len(anchors), device=anchors.device)
    # Another row's text may be word for word the wanted one (blanked captions often are): then it is no negative.
    excluded = _same_words(paraphrases, texts)
    excluded[target, target] = False
    excluded[:, len(anchors) :] |= ~opposed
    return F.cross_entropy(logits.masked_fill(excluded, -math.inf), target)


def _same_words(some: Tensor, others: Tensor) -> Tensor:
    """(N, K) bool: which of K texts (K, words) are word for word which of N texts (N, words)."""
    return (some[:, None] == others[None]).all(-1)


def _augment(frames: Tensor, generator: torch.Generator) -> Tensor:
    """uint8 (N, H, W, 3) to normalised float (N, 3, H, W) with random light, saturation and noise per frame."""
    pixels = frames.permute(0, 3, 1, 2).float() / 255

    def draw(low: float, high: float) -> Tensor:
        return (torch.rand(len(pixels), 1, 1, 1, generator=generator) * (high - low) + low).to(pixels.device)

    pixels = pixels * draw(0.7, 1.25)
    grey = pixels.mean(1, keepdim=True)
    pixels = grey + (pixels - grey) * draw(0.4, 1.15)
    noise = torch.randn(pixels.shape, generator=generator).to(pixels.device)
    pixels = (pixels + noise * draw(0.0, 0.09)).clamp(0, 1)
    return (pixels - 0.5) / 0.25
