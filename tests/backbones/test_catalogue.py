"""The sizes that `paxion models` prints are those of the models, run at full size without weights."""

from __future__ import annotations

import pytest
import torch
import transformers

from paxion.backbones.base import Features
from paxion.backbones.beit import BeitConfig
from paxion.backbones.bert import BertConfig
from paxion.backbones.catalogue import CATALOGUE, Known
from paxion.backbones.clip_text import TextConfig
from paxion.backbones.clip_vip import ClipVip, ClipVipConfig
from paxion.backbones.hugging_face import by_frame
from paxion.backbones.internvideo import InternVideo, InternVideoConfig
from paxion.backbones.load import load_backbone
from paxion.backbones.singularity import Singularity, SingularityConfig
from paxion.video.transform import Transform

BY_NAME = {known.name: known for known in CATALOGUE}


def sizes(features: Features) -> tuple[int, int, int]:
    return (features.pooled.shape[-1], features.tokens.shape[-1], features.tokens.shape[-2])


def ours(name: str):
    def no_texts(texts):
        return torch.zeros(len(texts), 2, dtype=torch.long)

    small = InternVideoConfig(TextConfig(512, 12, 8, 2048, 512), width=768, layers=12, heads=12, patch=16)
    singularity = SingularityConfig(BeitConfig(), BertConfig(), 256, 2)
    return {
        "internvideo:InternVideo-MM-L-14.ckpt": lambda: InternVideo(InternVideoConfig(), no_texts),
        "internvideo:InternVideo-MM-B-16.ckpt": lambda: InternVideo(small, no_texts),
        "clip-vip:pretrain_clipvip_base_32.pt": lambda: ClipVip(ClipVipConfig(), no_texts),
        "clip-vip:pretrain_clipvip_base_16.pt": lambda: ClipVip(ClipVipConfig(patch=16), no_texts),
        "singularity:singularity_temporal_17m.pth": lambda: Singularity(singularity, no_texts, 8, Transform(224)),
    }[name]()


@pytest.mark.parametrize(
    "name", [name for name in BY_NAME if name.split(":")[0] in ("internvideo", "clip-vip", "singularity")]
)
def test_the_papers_three(name):
    known = BY_NAME[name]
    with torch.device("meta"):
        model = ours(name).eval()
        features = model.encode_video(torch.zeros(1, known.frames, 3, known.size, known.size))
    assert sizes(features) == (known.dim, known.token_width, known.tokens_per_frame)
    assert (model.dim, model.token_width, model.tokens_per_frame) == sizes(features)
    assert (model.frames, model.transform.size, model.per_frame) == (known.frames, known.size, known.per_frame)


def test_the_small_one():
    model = load_backbone("world")
    sizes = model.dim, model.token_width, model.tokens_per_frame, model.frames, model.transform.size, model.per_frame
    assert BY_NAME["world"] == Known("world", *sizes)


def clip(projection: int, **vision) -> transformers.CLIPConfig:
    return transformers.CLIPConfig(projection_dim=projection, vision_config=vision)


THEIRS = {
    "openai/clip-vit-base-patch32": lambda: clip(512),
    "openai/clip-vit-base-patch16": lambda: clip(512, patch_size=16),
    "openai/clip-vit-large-patch14": lambda: clip(
        768, hidden_size=1024, num_attention_heads=16, intermediate_size=4096, patch_size=14
    ),
    "google/siglip-base-patch16-224": transformers.SiglipConfig,
    "google/siglip-so400m-patch14-384": lambda: transformers.SiglipConfig(
        vision_config={"hidden_size": 1152, "num_attention_heads": 16, "image_size": 384, "patch_size": 14}
    ),
    "microsoft/xclip-base-patch32": transformers.XCLIPConfig,
    "google/videoprism-lvt-base-f16r288": transformers.VideoPrismConfig,
}


@pytest.mark.parametrize("name", THEIRS)
def test_the_configurations_of_others(name):
    known, config = BY_NAME[f"hf:{name}"], THEIRS[name]()
    frames = torch.zeros(known.frames, 3, known.size, known.size, device="meta")
    with torch.device("meta"), torch.inference_mode():
        model = transformers.AutoModel.from_config(config).eval()
        found = model.get_image_features(frames) if known.per_frame else model.get_video_features(frames[None])
    tokens = by_frame(found.last_hidden_state, 1, known.frames)
    pooled = found.pooler_output.flatten(0, -2)[:1]
    assert sizes(Features(pooled, tokens)) == (known.dim, known.token_width, known.tokens_per_frame)
