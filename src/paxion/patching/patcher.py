"""The Knowledge Patcher: frozen tokens of a clip in, Q latents in the joint space out, aware of the frames' order."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from paxion.patching.perceiver import Perceiver


@dataclass(frozen=True)
class PatcherConfig:
    """What a patcher is made of. The defaults are the paper's; the first four come from the backbone."""

    dim: int
    """D"""
    token_width: int
    """C"""
    frames: int
    """T"""
    tokens_per_frame: int
    """P"""
    depth: int = 1
    heads: int = 8
    dim_head: int = 64
    latents: int = 16
    """Q"""
    ff_mult: int = 2
    temporal_embedding: bool = True
    """Add a learned vector per frame to its tokens. Without it and without differences, order is invisible."""
    temporal_dropout: float = 0.1
    """Dropout on that vector, drawn anew for every token of the frame and shared by the batch."""
    spatial_embedding: bool = False
    """Not the paper's: add a learned vector per place in the frame."""
    difference_tokens: bool = False
    """Not the paper's: append P tokens per frame made of its tokens and how they change over time."""
    pooled: bool = False
    """Return the mean over the latents, (B, 1, D)."""
    temperature: float = 0.07

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is int and value < 1:
                raise ValueError(f"got {field.name} {value}, expected at least 1")
        if self.difference_tokens and self.frames < 2:
            raise ValueError(f"got {self.frames} frame with difference_tokens, expected at least 2 frames")
        if self.depth > 64:
            raise ValueError(f"got depth {self.depth}, expected at most 64")
        if not self.temperature > 0:
            raise ValueError(f"got temperature {self.temperature}, expected above 0")
        if not 0 <= self.temporal_dropout < 1:
            raise ValueError(f"got temporal_dropout {self.temporal_dropout}, expected 0 or more, below 1")


class KnowledgePatcher(nn.Module):
    """A Perceiver over the tokens of a frozen backbone, each marked with its frame.

    Parameters: `perceiver`, the codes and `temperature`, a learned scalar that divides the similarities in every loss.
    A reversed clip is encoded by flipping its tokens over T before the call, or together with the clip by `both`.

    Source: Paxion (NeurIPS 2023), section on the knowledge patcher; the spatial code and the difference tokens are
    ours.
    """

    def __init__(self, config: PatcherConfig) -> None:
        """Every code starts at a standard deviation of 1, as the paper's temporal one does.

        Frame differences cancel the places that a backbone has written into its tokens, so the spatial code has to be
        as easy to tell apart as the temporal one.
        """
        super().__init__()
        self.config = config
        width = config.token_width
        self.perceiver = Perceiver(
            config.dim, width, config.depth, config.heads, config.dim_head, config.latents, config.ff_mult
        )
        self.temporal_embedding = nn.Parameter(torch.randn(config.frames, width)) if config.temporal_embedding else None
        self.spatial_embedding = (
            nn.Parameter(torch.randn(config.tokens_per_frame, width)) if config.spatial_embedding else None
        )
        # Two layers, so that what changes can be read together with what it is: turning left or right is told by
        # neither the picture nor its change alone.
        self.difference = (
            nn.Sequential(nn.Linear(2 * width, width // 2), nn.GELU(), nn.Linear(width // 2, width))
            if config.difference_tokens
            else None
        )
        self.temperature = nn.Parameter(torch.tensor(config.temperature))

    def forward(self, tokens: Tensor) -> Tensor:
        """Patch a batch of clips.

        Args:
            tokens: (B, T, P, C) of any floating type.

        Returns:
            (B, Q, D), or (B, 1, D) if pooled; not of unit length.

        Raises:
            ValueError: T, P or C is not what the patcher was made for.
        """
        if self._frozen(tokens):
            return self._pooled(self.perceiver.read(tokens, self.code()[None])[0])
        tokens = tokens.to(self.temperature.dtype)
        code = self.code()
        media = tokens + code
        if self.difference is not None:
            media = torch.cat([media, self.difference(torch.cat([tokens, frame_differences(tokens)], -1)) + code], 2)
        return self._pooled(self.perceiver(media.flatten(1, 2)))

    def both(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The clips, and the same clips reversed: what two calls of `forward` would give, with their work shared.

        A reversed clip is the same tokens with the codes of the other end: attention does not see an order.
        """
        if self._frozen(tokens):
            forwards, backwards = self.perceiver.read(tokens, torch.stack([self.code(), self.code().flip(0)]))
            return self._pooled(forwards), self._pooled(backwards)
        return self(tokens), self(tokens.flip(1))

    def code(self) -> Tensor:
        """What is added to the tokens of every clip, (T, P, C), or (T, 1, C) where all tokens of a frame have the same.

        In training, each call draws a new dropout mask, which differs from token to token.
        """
        config = self.config
        code = self.temperature.new_zeros(config.frames, 1, config.token_width)
        if self.temporal_embedding is not None:
            code = self.temporal_embedding[:, None]
            if self.training and config.temporal_dropout:
                code = code * _dropout_mask((code.shape[0], config.tokens_per_frame, code.shape[2]), config, code)
        if self.spatial_embedding is not None:
            code = code + self.spatial_embedding
        return code

    def _frozen(self, tokens: Tensor) -> bool:
        """Whether the tokens are all that is attended, and nobody asks for their gradient."""
        self._check(tokens)
        return self.difference is None and not tokens.requires_grad

    def _pooled(self, latents: Tensor) -> Tensor:
        return latents.mean(-2, keepdim=True) if self.config.pooled else latents

    def _check(self, tokens: Tensor) -> None:
        expected = (self.config.frames, self.config.tokens_per_frame, self.config.token_width)
        if tokens.ndim != 4 or tuple(tokens.shape[1:]) != expected:
            got = f"got tokens {tuple(tokens.shape)}, expected (B, {', '.join(map(str, expected))})"
            frames = tokens.ndim == 4 and tokens.shape[1] != self.config.frames
            raise ValueError(f"{got}: the patcher was made for {self.config.frames} frames" if frames else got)


def _dropout_mask(shape: tuple[int, ...], config: PatcherConfig, like: Tensor) -> Tensor:
    """What to multiply by: 0 where a number is dropped, else what keeps the mean.

    Four numbers are decided by one draw of 64 bits, five times faster on a CPU than a draw for each: the probability is
    a multiple of 1 / 65536.
    """
    numbers = shape[0] * shape[1] * shape[2]
    draws = torch.empty(-(-numbers // 4), dtype=torch.int64, device=like.device).random_(-(2**63), None)
    dropped = round(config.temporal_dropout * 2**16)
    kept = draws.view(torch.int16)[:numbers].view(shape) >= dropped - 2**15
    return kept.to(like.dtype).mul_(2**16 / max(1, 2**16 - dropped))


def frame_differences(tokens: Tensor) -> Tensor:
    """How tokens (B, T, P, C) change per frame, same shape: central differences, one-sided at the first and last frame.

    The reversed clip has the reversed differences with their signs flipped, which is what makes the direction of a
    motion easy to read. T must be at least 2.
    """
    differences: Tensor = torch.gradient(tokens, dim=1)[0]
    return differences
