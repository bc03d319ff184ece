"""Backbones with known sizes, for `paxion models`. Any other model of the same kind loads too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A backbone as `load_backbone` takes it, with its sizes at the default number of frames."""

    name: str
    dim: int
    """D"""
    token_width: int
    """C"""
    tokens_per_frame: int
    """P"""
    frames: int
    """T"""
    size: int
    """Side of the input, pixels."""
    per_frame: bool
    """Tokens of a frame depend on no other frame: the reversed clip needs no second pass for them."""

    @property
    def bytes_per_clip(self) -> int:
        """What the tokens of a clip take in a feature store, at two bytes a number."""
        return 2 * self.frames * self.tokens_per_frame * self.token_width


CATALOGUE = (
    Known("world", 128, 128, 17, 9, 64, True),
    Known("internvideo:InternVideo-MM-L-14.ckpt", 768, 1024, 257, 8, 224, True),
    Known("internvideo:InternVideo-MM-B-16.ckpt", 512, 768, 197, 8, 224, True),
    Known("clip-vip:pretrain_clipvip_base_32.pt", 512, 768, 49, 8, 224, False),
    Known("clip-vip:pretrain_clipvip_base_16.pt", 512, 768, 196, 8, 224, False),
    Known("singularity:singularity_temporal_17m.pth", 256, 768, 197, 8, 224, False),
    Known("hf:openai/clip-vit-base-patch32", 512, 768, 50, 8, 224, True),
    Known("hf:openai/clip-vit-base-patch16", 512, 768, 197, 8, 224, True),
    Known("hf:openai/clip-vit-large-patch14", 768, 1024, 257, 8, 224, True),
    Known("hf:google/siglip-base-patch16-224", 768, 768, 196, 8, 224, True),
    Known("hf:google/siglip-so400m-patch14-384", 1152, 1152, 729, 8, 384, True),
    Known("hf:google/siglip2-base-patch16-224", 768, 768, 196, 8, 224, True),
    Known("hf:google/siglip2-base-patch16-naflex", 768, 768, 256, 8, 256, True),
    Known("hf:facebook/metaclip-2-worldwide-huge-quickgelu", 1024, 1280, 257, 8, 224, True),
    Known("hf:microsoft/xclip-base-patch32", 512, 768, 50, 8, 224, False),
    Known("hf:google/videoprism-lvt-base-f16r288", 768, 768, 256, 16, 288, False),
    Known("open-clip:ViT-B-32/laion2b_s34b_b79k", 512, 768, 50, 8, 224, True),
)
