"""The models of the catalogue without their weights, on torch's meta device: for what depends on sizes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from paxion.backbones.base import Backbone, Features, mean_of_frames
from paxion.backbones.catalogue import CATALOGUE, Known
from paxion.records import unknown_name
from paxion.video.transform import Transform

WORDS = 16
"""Tokens of the text that a skeleton reads, where the model does not pad to a length of its own."""
_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_HUGE = {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16, "intermediate_size": 5120}
_SO400M = {"hidden_size": 1152, "num_hidden_layers": 27, "num_attention_heads": 16, "intermediate_size": 4304}

CONFIGURATIONS: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "hf:openai/clip-vit-base-patch32": ("CLIPConfig", {}, {}, {}),
    "hf:openai/clip-vit-base-patch16": ("CLIPConfig", {"patch_size": 16}, {}, {}),
    "hf:openai/clip-vit-large-patch14": (
        "CLIPConfig",
        {**_LARGE, "patch_size": 14},
        {**_BASE, "projection_dim": 768},
        {"projection_dim": 768},
    ),
    "hf:google/siglip-base-patch16-224": ("SiglipConfig", {}, {}, {}),
    "hf:google/siglip-so400m-patch14-384": (
        "SiglipConfig",
        {**_SO400M, "image_size": 384, "patch_size": 14},
        {**_SO400M, "projection_size": 1152},
        {},
    ),
    "hf:google/siglip2-base-patch16-224": ("SiglipConfig", {}, {"vocab_size": 256000}, {}),
    "hf:google/siglip2-base-patch16-naflex": ("SiglipConfig", {"image_size": 256}, {"vocab_size": 256000}, {}),
    "hf:facebook/metaclip-2-worldwide-huge-quickgelu": (
        "MetaClip2Config",
        {**_HUGE, "patch_size": 14},
        {**_LARGE, "vocab_size": 901629},
        {"projection_dim": 1024},
    ),
    "hf:microsoft/xclip-base-patch32": ("XCLIPConfig", {}, {}, {}),
    "hf:google/videoprism-lvt-base-f16r288": ("VideoPrismConfig", {}, {}, {}),
    "open-clip:ViT-B-32/laion2b_s34b_b79k": ("CLIPConfig", {}, {}, {}),
}
"""Class of transformers' configuration, and what differs from its defaults: of the vision tower, the text tower, both.
The model of open_clip has the layers of OpenAI's, and NaFlex, on square frames, those of SigLIP."""


@dataclass
class Skeleton:
    """A model of transformers as a backbone without numbers; keeps the `Backbone` contract on the meta device."""

    name: str
    model: Any
    known: Known
    length: int
    """Tokens of a text."""

    def __post_init__(self) -> None:
        """The sizes of the catalogue."""
        known = self.known
        self.revision, self.transform = "none", Transform(known.size)
        self.dim, self.token_width, self.frames = known.dim, known.token_width, known.frames
        self.tokens_per_frame, self.per_frame = known.tokens_per_frame, known.per_frame
        found = getattr(self.model, "visual_projection", None)
        fits = isinstance(found, nn.Linear) and (found.in_features, found.out_features) == (self.token_width, self.dim)
        self.projection = found if fits else None

    def encode_video(self, video: Tensor) -> Features:
        """Clips (B, T, 3, size, size) to pooled vectors (B, D)."""
        if hasattr(self.model, "get_video_features"):
            return Features(_vector(self.model.get_video_features(video)))
        frames = video.flatten(0, 1)
        seen = self.model.get_image_features(frames)
        return mean_of_frames(_vector(seen), None, video.shape[1])

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Vectors (K, D) of K texts, whatever they are."""
        ids = torch.zeros(len(texts), self.length, dtype=torch.long, device="meta")
        return _vector(self.model.get_text_features(ids))


def _vector(output: Any) -> Tensor:
    vector: Tensor = getattr(output, "pooler_output", output)
    return vector


def skeleton(name: str) -> Backbone:
    """A model of the catalogue, frozen, in eval mode, on the meta device. Raises PaxionError for another name."""
    by_name = {known.name: known for known in CATALOGUE}
    if name not in by_name:
        raise unknown_name("model of the catalogue", name, by_name)
    if name == "world":
        from paxion.backbones.world import load_world

        return cast(Backbone, load_world().to("meta"))
    with torch.device("meta"):
        if name in OURS:
            return cast(Backbone, OURS[name]().eval().requires_grad_(False))
        model, padded = _of_transformers(*CONFIGURATIONS[name])
    length = model.config.text_config.max_position_embeddings if padded else WORDS
    return cast(Backbone, Skeleton(name, model.eval().requires_grad_(False), by_name[name], length))


def _of_transformers(kind: str, vision: dict[str, Any], text: dict[str, Any], both: dict[str, Any]) -> tuple[Any, bool]:
    """A model of transformers, and whether it was trained on texts padded to a fixed length."""
    import transformers

    from paxion.backbones.hf_files import quiet
    from paxion.backbones.hugging_face import PADDED

    with quiet():
        parts = {"vision_config": vision, "text_config": text}
        config = getattr(transformers, kind)(**{part: sizes for part, sizes in parts.items() if sizes}, **both)
        return transformers.AutoModel.from_config(config), config.model_type in PADDED


def _ids(texts: Sequence[str]) -> Tensor:
    return torch.zeros(len(texts), WORDS, dtype=torch.long)


def _internvideo(**sizes: Any) -> nn.Module:
    from paxion.backbones.internvideo import InternVideo, InternVideoConfig

    return InternVideo(InternVideoConfig(**sizes), _ids)


def _internvideo_b16() -> nn.Module:
    from paxion.backbones.clip_text import TextConfig

    return _internvideo(text=TextConfig(512, 12, 8, 2048, 512), width=768, layers=12, heads=12, patch=16)


def _clip_vip(**sizes: Any) -> nn.Module:
    from paxion.backbones.clip_vip import ClipVip, ClipVipConfig

    return ClipVip(ClipVipConfig(**sizes), _ids)


def _singularity() -> nn.Module:
    from paxion.backbones.beit import BeitConfig
    from paxion.backbones.bert import BertConfig
    from paxion.backbones.singularity import Singularity, SingularityConfig

    def tokenize(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        return _ids(texts), torch.ones(len(texts), WORDS, dtype=torch.long)

    return Singularity(SingularityConfig(BeitConfig(), BertConfig(), 256, 2), tokenize, 8, Transform(224))


OURS: dict[str, Callable[[], nn.Module]] = {
    "internvideo:InternVideo-MM-L-14.ckpt": _internvideo,
    "internvideo:InternVideo-MM-B-16.ckpt": _internvideo_b16,
    "clip-vip:pretrain_clipvip_base_32.pt": _clip_vip,
    "clip-vip:pretrain_clipvip_base_16.pt": lambda: _clip_vip(patch=16),
    "singularity:singularity_temporal_17m.pth": _singularity,
}
