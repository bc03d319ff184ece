"""Tiny dual encoders of every family, randomly initialised, written to a folder as the hub has them."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor

from paxion.world.captions import vocabulary

SIZE, PATCH, WIDTH, DIM = 32, 8, 32, 16
PAD, UNKNOWN, START = 0, 1, 2
WORDS = [*sorted(set(vocabulary()) | {"a", "person", "opens", "closes", "the", "door"}), *string.punctuation]
END = START + 1 + len(WORDS)
"""The last id: X-CLIP looks for the largest."""

TOWER = {"hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**TOWER, "image_size": SIZE, "patch_size": PATCH}
TEXT = {**TOWER, "vocab_size": END + 1, "pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END}
ROBERTA = {**TEXT, "max_position_embeddings": 80, "type_vocab_size": 1, "project_dim": WIDTH}
BERT = {**TEXT, "max_position_embeddings": 77}
LIKE_CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": SIZE},
    "crop_size": {"height": SIZE, "width": SIZE},
}
LIKE_SIGLIP = {
    "image_processor_type": "SiglipImageProcessor",
    "size": {"height": SIZE, "width": SIZE},
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}


def clip() -> tuple[Any, dict[str, Any]]:
    config = hf.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=DIM)
    return hf.CLIPModel(config), LIKE_CLIP


def siglip() -> tuple[Any, dict[str, Any]]:
    text = {**TEXT, "max_position_embeddings": 64, "projection_size": WIDTH}
    return hf.SiglipModel(hf.SiglipConfig(text_config=text, vision_config=VISION)), LIKE_SIGLIP


def naflex() -> tuple[Any, dict[str, Any]]:
    text = {**TEXT, "max_position_embeddings": 64, "projection_size": WIDTH}
    vision = {**TOWER, "patch_size": PATCH, "num_patches": 16}
    processor = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": PATCH, "max_num_patches": 16}
    return hf.Siglip2Model(hf.Siglip2Config(text_config=text, vision_config=vision)), processor


def metaclip2() -> tuple[Any, dict[str, Any]]:
    config = hf.MetaClip2Config(text_config=TEXT, vision_config=VISION, projection_dim=DIM)
    return hf.MetaClip2Model(config), LIKE_CLIP


def xclip() -> tuple[Any, dict[str, Any]]:
    across = {"mit_hidden_size": DIM, "mit_intermediate_size": 32, "mit_num_attention_heads": 2, "num_frames": 4}
    config = hf.XCLIPConfig(
        text_config=TEXT, vision_config={**VISION, **across}, projection_dim=DIM, prompt_num_attention_heads=2
    )
    # As published: an old name, sizes as numbers, bilinear.
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    processor = {
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "VideoMAEFeatureExtractor",
        "image_mean": mean,
        "image_std": std,
        "resample": 2,
        "size": SIZE,
        "crop_size": SIZE,
    }
    return hf.XCLIPModel(config), processor


def videoprism() -> tuple[Any, dict[str, Any]]:
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_attention_heads": 2,
        "image_size": SIZE,
        "tubelet_size": [1, PATCH, PATCH],
        "num_frames": 4,
        "num_spatial_layers": 2,
        "num_temporal_layers": 1,
        "num_auxiliary_layers": 1,
    }
    text = {**TEXT, "max_position_embeddings": 64}
    processor = {
        "video_processor_type": "LlavaOnevisionVideoProcessor",
        "do_resize": True,
        "size": {"height": SIZE, "width": SIZE},
        "resample": 3,
        "do_center_crop": None,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": False,
        "do_sample_frames": True,
    }
    model = hf.VideoPrismClipModel(hf.VideoPrismConfig(text_config=text, vision_config=vision))
    for name, weight in model.named_parameters():  # the pooling starts at zero, which would hide what it does
        if name.endswith(("per_dim_scale", "cls_emb")):
            torch.nn.init.normal_(weight)
    return model, processor


def altclip() -> tuple[Any, dict[str, Any]]:
    config = hf.AltCLIPConfig(text_config=ROBERTA, vision_config=VISION, projection_dim=DIM)
    return hf.AltCLIPModel(config), LIKE_CLIP


def chinese_clip() -> tuple[Any, dict[str, Any]]:
    config = hf.ChineseCLIPConfig(text_config=BERT, vision_config=VISION, projection_dim=DIM)
    processor = {**LIKE_SIGLIP, "image_processor_type": "ChineseCLIPImageProcessor", "do_center_crop": False}
    return hf.ChineseCLIPModel(config), processor


def blip() -> tuple[Any, dict[str, Any]]:
    text = {**BERT, "encoder_hidden_size": WIDTH, "projection_dim": DIM}
    config = hf.BlipConfig(text_config=text, vision_config=VISION, projection_dim=DIM)
    return hf.BlipModel(config), {**LIKE_SIGLIP, "image_processor_type": "BlipImageProcessor"}


def align() -> tuple[Any, dict[str, Any]]:
    vision = {
        "image_size": SIZE,
        "kernel_sizes": [3, 3],
        "in_channels": [32, 16],
        "out_channels": [16, 24],
        "depthwise_padding": [],
        "strides": [2, 2],
        "num_block_repeats": [1, 1],
        "expand_ratios": [1, 2],
        "hidden_dim": 24,
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
    }
    processor = {
        "image_processor_type": "EfficientNetImageProcessor",
        "size": {"height": SIZE + 6, "width": SIZE + 6},
        "crop_size": {"height": SIZE, "width": SIZE},
        "do_center_crop": True,
        "include_top": False,
        "rescale_factor": 1 / 127.5,
        "rescale_offset": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "resample": 2,
    }
    return hf.AlignModel(hf.AlignConfig(text_config=BERT, vision_config=vision, projection_dim=24)), processor


FAMILIES: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "clip": clip,
    "siglip": siglip,
    "naflex": naflex,
    "metaclip2": metaclip2,
    "xclip": xclip,
    "videoprism": videoprism,
    "altclip": altclip,
    "chinese_clip": chinese_clip,
    "blip": blip,
    "align": align,
}
if not hasattr(hf, "VideoPrismClipModel"):
    del FAMILIES["videoprism"]  # of a later transformers


def tokenizer(family: str, length: int) -> Any:
    """Words and punctuation, case kept, between a start and an end token; letters for the family that has its own."""
    if family == "naflex" and hasattr(hf, "Siglip2Tokenizer"):
        letters = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *string.ascii_lowercase, *string.punctuation]
        return hf.Siglip2Tokenizer({letter: i for i, letter in enumerate(letters)}, [])
    ids = {"<pad>": PAD, "<unk>": UNKNOWN, "<s>": START, **{word: START + 1 + i for i, word in enumerate(WORDS)}}
    words = Tokenizer(models.WordLevel({**ids, "</s>": END}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", START), ("</s>", END)])
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return hf.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=length, **special)


def write_tiny(family: str, folder: Path, length: int = 10**30, seed: int = 0) -> Path:
    """Write the model, the tokenizer and the processor's configuration. length: what the tokenizer calls its limit."""
    torch.manual_seed(seed)
    model, processor = FAMILIES[family]()
    for weight in model.parameters():  # weights as they start differ too little from clip to clip
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=2 * weight[0].numel() ** -0.5)
    model.save_pretrained(folder)
    tokenizer(family, length).save_pretrained(folder)
    if "video_processor_type" in processor:
        (folder / "processor_config.json").write_text(json.dumps({"video_processor": processor}))
    else:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def pooled(output: Any) -> Tensor:
    """The vectors (N, D) that get_..._features gives, whatever the version of the library."""
    return getattr(output, "pooler_output", output)


def close(got: Tensor, expected: Tensor, atol: float = 1e-5) -> None:
    """Fail unless two tensors are equal up to rounding."""
    torch.testing.assert_close(got, expected, rtol=0, atol=atol * max(1.0, float(expected.abs().max())))
