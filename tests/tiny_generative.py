"""Tiny models that write about pictures, randomly initialised, of four families, saved as their makers do."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}
CHAT = (
    "{% for m in messages %}user: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


def tokenizer(special: list[str], names: dict[str, str], chat: str | None) -> PreTrainedTokenizerFast:
    """Byte pairs, trained on a few words."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<pad>", "<eos>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    inner.train_from_iterator(["a star falls rises yes no A B does the clip show user assistant"] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", extra_special_tokens=names, chat_template=chat
    )


def _saved(
    folder: Path, model: object, pictures: object, words: PreTrainedTokenizerFast, processor: str, **more: object
) -> Path:
    import json

    for part in (model, pictures, words):
        part.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": processor, **more}))
    return folder


def qwen(folder: Path) -> Path:
    """Qwen2.5-VL."""
    names = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
    special = [*names.values(), "<|vision_start|>", "<|vision_end|>"]
    words = tokenizer(special, names, CHAT.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"))
    ids = words.convert_tokens_to_ids
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            **TEXT,
            "vocab_size": len(words),
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        image_token_id=ids(special[0]),
        video_token_id=ids(special[1]),
        vision_start_token_id=ids(special[2]),
        vision_end_token_id=ids(special[3]),
    )
    torch.manual_seed(0)
    model = transformers.Qwen2_5_VLForConditionalGeneration(config)
    pictures = transformers.Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=56 * 56)
    return _saved(folder, model, pictures, words, "Qwen2_5_VLProcessor")


def llava(folder: Path) -> Path:
    """LLaVA, without a chat template."""
    words = tokenizer(["<image>"], {"image_token": "<image>"}, None)
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(**TEXT, vocab_size=len(words), pad_token_id=0),
        vision_config=transformers.CLIPVisionConfig(**VISION),
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(config)
    side = {"height": 28, "width": 28}
    pictures = transformers.CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=side)
    told = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return _saved(folder, model, pictures, words, "LlavaProcessor", **told)


def internvl(folder: Path) -> Path:
    """InternVL."""
    names = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    words = tokenizer([*names.values()], names, CHAT.replace("IMAGE", "<IMG_CONTEXT>\n"))
    config = transformers.InternVLConfig(
        text_config=transformers.Qwen2Config(**TEXT, vocab_size=len(words)),
        vision_config={**VISION, "image_size": [28, 28], "patch_size": [14, 14]},
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=1,
        downsample_ratio=0.5,
    )
    torch.manual_seed(0)
    model = transformers.InternVLForConditionalGeneration(config)
    pictures = transformers.GotOcr2ImageProcessorPil(size={"height": 28, "width": 28})
    return _saved(folder, model, pictures, words, "InternVLProcessor", image_seq_length=1)


def idefics(folder: Path) -> Path:
    """Idefics3, of which SmolVLM is made."""
    special = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"]
    words = tokenizer(special, {}, CHAT.replace("IMAGE", "<image>"))
    config = transformers.Idefics3Config(
        text_config=transformers.LlamaConfig(**TEXT, vocab_size=len(words), pad_token_id=0),
        vision_config=VISION,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = transformers.Idefics3ForConditionalGeneration(config)
    edge = {"longest_edge": 28}
    pictures = transformers.Idefics3ImageProcessorPil(size=edge, max_image_size=edge)
    return _saved(folder, model, pictures, words, "Idefics3Processor", image_seq_len=1)


FAMILIES = {"qwen2.5-vl": qwen, "llava": llava, "internvl": internvl, "idefics3": idefics}
