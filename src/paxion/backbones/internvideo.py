"""InternVideo-MM (Wang et al. 2022), L/14 and B/16: frames are encoded alone, then read by a clip token.

The layout of the published checkpoint and what the model does with it: published code of Paxion and InternVideo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paxion.backbones.base import Features, normalise
from paxion.backbones.clip_text import TextConfig, TextTower
from paxion.backbones.published import (
    Checkpoint,
    asked_frames,
    asked_size,
    detached,
    frozen,
    layer_state,
    openai_state,
    read_checkpoint,
)
from paxion.backbones.transformer import Block, check_size, join_heads, split_heads
from paxion.records import PaxionError
from paxion.video.transform import Transform, squashed


@dataclass(frozen=True)
class InternVideoConfig:
    """Sizes of the model; the defaults are those of L/14."""

    text: TextConfig = field(default_factory=lambda: TextConfig(768, 12, 12, 3072, 768))
    width: int = 1024
    layers: int = 24
    heads: int = 16
    patch: int = 14
    size: int = 224
    extractors: int = 4
    """The last so many blocks are each followed by an extractor."""


class Extractor(nn.Module):
    """Cross-attention of a clip token to all tokens of the clip, which see their neighbours in space and time first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.neighbours = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.block = Block(width, heads, 4 * width)
        self.memory_norm = nn.LayerNorm(width)

    def forward(self, clip: Tensor, tokens: Tensor) -> Tensor:
        """The clip token (B, 1, C), the tokens (B, T, P, C) with each frame's class token first; a new clip token."""
        classes, patches = tokens[:, :, :1], tokens[:, :, 1:]
        batch, times, places, width = patches.shape
        side = math.isqrt(places)
        # Channels stay last in memory, for which a convolution of single channels is several times as fast.
        volume = patches.reshape(batch, times, side, side, width).permute(0, 4, 1, 2, 3)
        nearby = self.neighbours(volume).permute(0, 2, 3, 4, 1).flatten(2, 3)
        memory = self.memory_norm(torch.cat((classes, patches + nearby), 2).flatten(1, 2))
        block = self.block
        weight, bias = block.qkv.weight, block.qkv.bias
        (query,) = split_heads(F.linear(block.attention_norm(clip), weight[:width], bias[:width]), 1, block.heads)
        key, value = split_heads(F.linear(memory, weight[width:], bias[width:]), 2, block.heads)
        clip = clip + block.out(join_heads(F.scaled_dot_product_attention(query, key, value)))
        return clip + block.mlp(block.mlp_norm(clip))


class InternVideo(nn.Module):
    """See the module docstring; keeps the `Backbone` contract of backbones/base.py.

    Tokens of a frame depend on that frame alone; the pooled vector depends on the order of the frames.
    """

    name = "internvideo"
    per_frame = True

    def __init__(
        self,
        config: InternVideoConfig,
        tokenize: Callable[[Sequence[str]], Tensor],
        frames: int = 8,
        transform: Transform | None = None,
    ) -> None:
        super().__init__()
        width, self.revision = config.width, "untrained"
        self.config, self.tokenize, self.frames = config, tokenize, frames
        self.transform = transform or Transform(config.size)
        self.dim, self.token_width = config.text.dim, width
        self.tokens_per_frame = (config.size // config.patch) ** 2 + 1
        self.patches = nn.Conv2d(3, width, config.patch, config.patch, bias=False)
        self.frame_class = nn.Parameter(torch.zeros(width))
        self.position = nn.Parameter(torch.zeros(self.tokens_per_frame, width))
        self.first_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, config.heads, 4 * width) for _ in range(config.layers))
        self.clip_token = nn.Parameter(torch.zeros(1, 1, width))
        self.extractors = nn.ModuleList(Extractor(width, config.heads) for _ in range(config.extractors))
        self.balance = nn.Parameter(torch.zeros(width))
        self.last_norm, self.projection = nn.LayerNorm(width), nn.Linear(width, self.dim, bias=False)
        self.text = TextTower(config.text)
        self.text_mask = nn.Parameter(torch.zeros(1, 1, config.text.width))
        """Stands for hidden words in pretraining; not used here."""
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def encode_video(self, video: Tensor) -> Features:
        """Clips (B, T, 3, size, size) to pooled vectors (B, D) and the last block's tokens (B, T, P, C), not normed.

        Raises ValueError for frames of another size.
        """
        check_size(video, self.config.size)
        batch, times = video.shape[:2]
        patches = self.patches(video.flatten(0, 1).to(self.balance)).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.frame_class.expand(len(patches), 1, -1), patches), 1) + self.position
        tokens = self.first_norm(tokens)
        clip = self.clip_token.expand(batch, -1, -1)
        alone = len(self.blocks) - len(self.extractors)
        for block in self.blocks[:alone]:
            tokens = block(tokens)
        for block, extractor in zip(self.blocks[alone:], self.extractors, strict=True):
            tokens = block(tokens)
            clip = extractor(clip, tokens.view(batch, times, *tokens.shape[1:]))
        tokens = tokens.view(batch, times, *tokens.shape[1:])
        pooled = torch.lerp(clip[:, 0], tokens[:, :, 0].mean(1), self.balance.sigmoid())
        return Features(self.projection(self.last_norm(pooled)), tokens)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors (K, D), float32 whatever the model's precision."""
        return normalise(self.text(self.tokenize(texts).to(self.balance.device)).float())


def published_state(model: InternVideo) -> dict[str, Tensor]:
    """The model's own weights by their published names."""
    state: dict[str, Tensor] = {
        "visual_proj": model.projection.weight.T,
        "positional_embedding": model.text.position,
        "text_projection": model.text.projection.weight.T,
        "logit_scale": model.logit_scale,
        "text_mask_embedding": model.text_mask,
        "visual.class_embedding": model.frame_class,
        "visual.positional_embedding": model.position,
        "visual.conv1.weight": model.patches.weight.unsqueeze(2),
        "visual.transformer.temporal_cls_token": model.clip_token,
        "visual.transformer.balance": model.balance,
    }
    state |= layer_state(model.first_norm, "visual.ln_pre")
    state |= layer_state(model.last_norm, "visual_ln_post")
    state |= layer_state(model.text.embedding, "token_embedding")
    state |= layer_state(model.text.norm, "ln_final")
    for number, block in enumerate(model.blocks):
        state |= openai_state(block, f"visual.transformer.resblocks.{number}")
    for number, extractor in enumerate(model.extractors):
        state |= layer_state(extractor.get_submodule("neighbours"), f"visual.transformer.dpe.{number}")
        state |= openai_state(extractor.get_submodule("block"), f"visual.transformer.dec.{number}")
        state |= layer_state(extractor.get_submodule("memory_norm"), f"visual.transformer.dec.{number}.ln_3")
    for number, block in enumerate(model.text.blocks):
        state |= openai_state(block, f"transformer.resblocks.{number}")
    return detached(state)


def sizes(checkpoint: Checkpoint) -> InternVideoConfig:
    """The sizes of the model in a checkpoint; heads are 64 wide. Raises PaxionError when they cannot be told."""
    width = checkpoint.width("visual.class_embedding")
    text_width = checkpoint.width("ln_final.weight")
    _, dim = checkpoint.shape("visual_proj", 2)
    layers = checkpoint.layers("transformer.resblocks.")
    patch = checkpoint.shape("visual.conv1.weight", 5)[-1]
    blocks, extractors = (checkpoint.layers(f"visual.transformer.{kind}.") for kind in ("resblocks", "dpe"))
    if extractors > blocks:
        key = f"{checkpoint.prefix}visual.transformer.dpe"
        raise PaxionError(
            f"{checkpoint.path}: {extractors} layers under {key!r}, expected at most {blocks}, those of the tower; "
            "is it another model's?"
        )
    return InternVideoConfig(
        TextConfig(text_width, layers, text_width // 64, 4 * text_width, dim),
        width,
        blocks,
        width // 64,
        patch,
        patch * checkpoint.grid("visual.positional_embedding"),
        extractors,
    )


def load_internvideo(
    path: str,
    *,
    frames: int | None = None,
    preprocessing: str = "own",
    vocabulary: str | None = None,
    size: int | None = None,
) -> InternVideo:
    """The frozen model of a published checkpoint, in eval mode, float32.

    path: `InternVideo-MM-L-14.ckpt`, whose other heads are passed over, or a whole model of Paxion.
    preprocessing: "own" (short side scaled, centre cropped) or "paper" (frames squashed, as published with Paxion).
    size: side of a frame, a multiple of the patch; as trained by default, else positions are interpolated.

    Raises PaxionError for a file that is missing, broken or another model's, and when there is no CLIP vocabulary.
    """
    from paxion.backbones.tokenizers import clip_tokenizer

    checkpoint = read_checkpoint(Path(path), "vl_backbone.", "clip.")
    config = sizes(checkpoint)
    frames, size = asked_frames(frames), asked_size(size, config.size, config.patch)
    checkpoint = checkpoint.resized("visual.positional_embedding", size // config.patch)
    config = replace(config, size=size)
    tokenize = clip_tokenizer(vocabulary, Path(path).parent, openai=True)
    transform = squashed(size) if preprocessing == "paper" else Transform(size)
    return frozen(lambda: InternVideo(config, tokenize, frames, transform), published_state, checkpoint)
