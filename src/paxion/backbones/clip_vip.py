"""CLIP-ViP (Xue et al., ICLR 2023), B/32 and B/16: frames see each other through a few global tokens.

The layout of the published checkpoint and what the model does with it: published code of Paxion and CLIP-ViP.
"""

from __future__ import annotations

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
    hugging_face_state,
    layer_state,
    read_checkpoint,
)
from paxion.backbones.transformer import Attend, Block, check_size
from paxion.video.transform import Transform, squashed


@dataclass(frozen=True)
class ClipVipConfig:
    """Sizes of the model; the defaults are those of B/32."""

    text: TextConfig = field(default_factory=TextConfig)
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    patch: int = 32
    size: int = 224
    proxies: int = 3
    """Global tokens besides the class token."""
    moments: int = 12
    """Frames that the temporal embedding was trained on."""


class ClipVip(nn.Module):
    """See the module docstring; keeps the `Backbone` contract of backbones/base.py."""

    name = "clip-vip"
    per_frame = False

    def __init__(
        self,
        config: ClipVipConfig,
        tokenize: Callable[[Sequence[str]], Tensor],
        frames: int = 8,
        transform: Transform | None = None,
    ) -> None:
        super().__init__()
        width, self.revision = config.width, "untrained"
        self.config, self.tokenize, self.frames = config, tokenize, frames
        self.transform = transform or Transform(config.size)
        self.dim, self.token_width = config.text.dim, width
        self.tokens_per_frame = (config.size // config.patch) ** 2
        self.patches = nn.Conv2d(3, width, config.patch, config.patch, bias=False)
        self.class_token = nn.Parameter(torch.zeros(width))
        self.proxies = nn.Parameter(torch.zeros(config.proxies, width))
        self.position = nn.Embedding(self.tokens_per_frame + 1, width)
        self.time = nn.Parameter(torch.zeros(1, config.moments, width))
        self.first_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, config.heads, config.hidden) for _ in range(config.layers))
        self.last_norm, self.projection = nn.LayerNorm(width), nn.Linear(width, self.dim, bias=False)
        self.text = TextTower(config.text)
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def encode_video(self, video: Tensor) -> Features:
        """Clips (B, T, 3, size, size) to pooled vectors (B, D) and the last block's tokens (B, T, P, C), not normed.

        Raises ValueError for frames of another size.
        """
        tokens = self.hidden(video)
        patches = tokens[:, 1 + len(self.proxies) :]
        return Features(
            self.projection(self.last_norm(tokens[:, 0])),
            patches.reshape(*video.shape[:2], self.tokens_per_frame, self.token_width),
        )

    def hidden(self, video: Tensor) -> Tensor:
        """Clips (B, T, 3, size, size) to all tokens of the last block (B, G + T · P, C), the G global ones first."""
        check_size(video, self.config.size)
        batch, times = video.shape[:2]
        place = self.position.weight
        patches = self.patches(video.flatten(0, 1).to(place)).flatten(2).transpose(1, 2) + place[1:]
        patches = patches.view(batch, times, *patches.shape[1:]) + self.time_embeddings(times)[:, None]
        everywhere = torch.cat((self.class_token[None], self.proxies)) + place[0]
        tokens = torch.cat((everywhere.expand(batch, -1, -1), patches.flatten(1, 2)), 1)
        tokens = self.first_norm(tokens)
        attend = attend_by_proxy(len(everywhere), times)
        for block in self.blocks:
            tokens = block(tokens, attend)
        return tokens  # type: ignore[no-any-return]

    def time_embeddings(self, count: int) -> Tensor:
        """The embeddings (count, C) of `count` frames, linearly interpolated from those that were trained."""
        if count == self.time.shape[1]:
            return self.time[0]
        between: Tensor = F.interpolate(self.time.float().mT, count, mode="linear")
        return between[0].T.to(self.time)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors (K, D), float32 whatever the model's precision."""
        return normalise(self.text(self.tokenize(texts).to(self.logit_scale.device)).float())


def attend_by_proxy(proxies: int, times: int) -> Attend:
    """Attention over (proxies + times · P) tokens: proxies attend to all, patches to the proxies and their own frame.

    This costs T · P · (G + P) instead of the (T · P)² of all pairs, and needs no mask.
    """

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        batch, heads, _, size = query.shape

        def frames(tokens: Tensor) -> Tensor:
            """(B, heads, times · P, d) to (B · times, heads, P, d)."""
            return tokens.reshape(batch, heads, times, -1, size).transpose(1, 2).flatten(0, 1)

        def memory(tokens: Tensor) -> Tensor:
            """What each frame attends to: (B · times, heads, proxies + P, d)."""
            shared = tokens[:, :, :proxies].repeat_interleave(times, 0)
            return torch.cat((shared, frames(tokens[:, :, proxies:])), 2)

        over_all = F.scaled_dot_product_attention(query[:, :, :proxies], key, value)
        within = F.scaled_dot_product_attention(frames(query[:, :, proxies:]), memory(key), memory(value))
        within = within.view(batch, times, heads, -1, size).transpose(1, 2).flatten(2, 3)
        return torch.cat((over_all, within), 2)

    return attend


def published_state(model: ClipVip) -> dict[str, Tensor]:
    """The model's own weights by their published names."""
    state: dict[str, Tensor] = {
        "logit_scale": model.logit_scale,
        "text_model.embeddings.position_embedding.weight": model.text.position,
        "vision_model.embeddings.added_cls": model.proxies,
        "vision_model.embeddings.class_embedding": model.class_token,
        "vision_model.embeddings.temporal_embedding": model.time,
    }
    state |= layer_state(model.text.embedding, "text_model.embeddings.token_embedding")
    state |= layer_state(model.text.norm, "text_model.final_layer_norm")
    state |= layer_state(model.text.projection, "text_projection")
    state |= layer_state(model.patches, "vision_model.embeddings.patch_embedding")
    state |= layer_state(model.position, "vision_model.embeddings.position_embedding")
    state |= layer_state(model.first_norm, "vision_model.pre_layrnorm")
    state |= layer_state(model.last_norm, "vision_model.post_layernorm")
    state |= layer_state(model.projection, "visual_projection")
    for number, block in enumerate(model.text.blocks):
        state |= hugging_face_state(block, f"text_model.encoder.layers.{number}")
    for number, block in enumerate(model.blocks):
        state |= hugging_face_state(block, f"vision_model.encoder.layers.{number}")
    return detached(state)


def sizes(checkpoint: Checkpoint) -> ClipVipConfig:
    """The sizes of the model in a checkpoint; heads are 64 wide. Raises PaxionError when they cannot be told."""
    vision = "vision_model.embeddings"
    width = checkpoint.width(f"{vision}.class_embedding")
    text_width = checkpoint.width("text_model.final_layer_norm.weight")
    dim, _ = checkpoint.shape("text_projection.weight", 2)
    (text_hidden,) = checkpoint.shape("text_model.encoder.layers.0.mlp.fc1.bias", 1)
    (hidden,) = checkpoint.shape("vision_model.encoder.layers.0.mlp.fc1.bias", 1)
    patch = checkpoint.shape(f"{vision}.patch_embedding.weight", 4)[-1]
    text_layers = checkpoint.layers("text_model.encoder.layers.")
    return ClipVipConfig(
        TextConfig(text_width, text_layers, text_width // 64, text_hidden, dim),
        width,
        checkpoint.layers("vision_model.encoder.layers."),
        width // 64,
        hidden,
        patch,
        patch * checkpoint.grid(f"{vision}.position_embedding.weight"),
        checkpoint.shape(f"{vision}.added_cls", 2)[0],
        checkpoint.shape(f"{vision}.temporal_embedding", 3)[1],
    )


def load_clip_vip(
    path: str,
    *,
    frames: int | None = None,
    preprocessing: str = "own",
    vocabulary: str | None = None,
    size: int | None = None,
) -> ClipVip:
    """The frozen model of a published checkpoint, in eval mode, float32.

    path: `pretrain_clipvip_base_32.pt` or `_16.pt`, or a whole model of Paxion.
    preprocessing: "own" (short side scaled, centre cropped) or "paper" (frames squashed, as published with Paxion).
    size: side of a frame, a multiple of the patch; as trained by default, else positions are interpolated.

    Raises PaxionError for a file that is missing, broken or another model's, and when there is no CLIP vocabulary.
    """
    from paxion.backbones.tokenizers import clip_tokenizer

    checkpoint = read_checkpoint(Path(path), "vl_backbone.clipmodel.", "clipmodel.")
    for tower in ("text", "vision"):
        # Counts from 0, which transformers kept in its checkpoints once.
        checkpoint.tensors.pop(f"{checkpoint.prefix}{tower}_model.embeddings.position_ids", None)
    config = sizes(checkpoint)
    frames, size = asked_frames(frames), asked_size(size, config.size, config.patch)
    checkpoint = checkpoint.resized("vision_model.embeddings.position_embedding.weight", size // config.patch)
    config = replace(config, size=size)
    tokenize = clip_tokenizer(vocabulary, Path(path).parent)
    transform = squashed(size) if preprocessing == "paper" else Transform(size)
    return frozen(lambda: ClipVip(config, tokenize, frames, transform), published_state, checkpoint)
