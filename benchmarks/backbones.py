"""Clips a second of each backbone, beside a plain implementation of the same model on the same weights in the same run.

    python benchmarks/backbones.py [--only clip-vip singularity ...] [--rounds 5] [--device cuda] [--dtype bf16]

Sizes are the published ones, weights random, clips of 8 frames of 224 x 224 pixels, a batch of --batch. The two ways
take turns; shown are medians, the median of the ratios of neighbouring turns, and the largest difference of their
answers. Plain means:

internvideo, clip-vip  attention by a softmax over all pairs of tokens (CLIP-ViP: of the whole clip, with a mask), as
                       published, with separate passes for the activation x * sigmoid(1.702 x)
singularity            transformers' BeitModel for the frames, attention over time by a softmax
hf:clip                transformers' CLIPModel.get_image_features, which gives the vectors; ours gives the tokens too
texts                  CLIP's text tower on every caption, padded to 77, in one batch; three in four are repeats
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from paxion.backbones.base import Features, text_vectors
from paxion.backbones.beit import BeitConfig, beit_state
from paxion.backbones.bert import BertConfig
from paxion.backbones.clip_vip import ClipVip, ClipVipConfig
from paxion.backbones.internvideo import InternVideo, InternVideoConfig
from paxion.backbones.load import DTYPES, load_backbone
from paxion.backbones.singularity import Singularity, SingularityConfig, time_embeddings
from paxion.backbones.transformer import Block, join_heads, split_heads
from paxion.video.transform import Transform

Way = Callable[[], Tensor]


def no_texts(_: object) -> Tensor:
    return torch.zeros(0, 2, dtype=torch.long)


def filled(model: nn.Module, device: str, dtype: torch.dtype) -> nn.Module:
    """The model with small random weights."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim > 1:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.02)
            elif "norm" in name and name.endswith("weight"):
                value.fill_(1.0)
    return model.to(device, dtype).eval().requires_grad_(False)


def plain_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1) @ value


def plain_block(block: Block, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    query, key, value = split_heads(block.qkv(block.attention_norm(tokens)), 3, block.heads)
    tokens = tokens + block.out(join_heads(plain_attention(query, key, value, mask)))
    return tokens + plain_mlp(block, block.mlp_norm(tokens))


def plain_mlp(block: Block, tokens: Tensor) -> Tensor:
    hidden = block.expand(tokens)
    return block.contract(hidden * torch.sigmoid(1.702 * hidden))


def plain_clip_vip(model: ClipVip, video: Tensor) -> Features:
    bare = copy.copy(model)
    bare._modules = {**model._modules, "blocks": nn.ModuleList()}
    tokens = bare.hidden(video)
    proxies, places, frames = 1 + len(model.proxies), model.tokens_per_frame, video.shape[1]
    frame = torch.arange(frames, device=video.device).repeat_interleave(places)
    mask = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=video.device)
    mask[proxies:, proxies:] = frame[:, None] == frame
    for block in model.blocks:
        tokens = plain_block(block, tokens, mask)
    patches = tokens[:, proxies:].reshape(len(video), frames, places, -1)
    return Features(model.projection(model.last_norm(tokens[:, 0])), patches)


def plain_internvideo(model: InternVideo, video: Tensor) -> Features:
    batch, frames = video.shape[:2]
    patches = model.patches(video.flatten(0, 1).to(model.balance)).flatten(2).transpose(1, 2)
    tokens = torch.cat((model.frame_class.expand(len(patches), 1, -1), patches), 1) + model.position
    tokens = model.first_norm(tokens)
    clip = model.clip_token.expand(batch, -1, -1)
    alone = len(model.blocks) - len(model.extractors)
    for number, block in enumerate(model.blocks):
        tokens = plain_block(block, tokens)
        if number >= alone:
            clip = plain_extractor(model.extractors[number - alone], clip, tokens.unflatten(0, (batch, frames)))
    tokens = tokens.unflatten(0, (batch, frames))
    weight = model.balance.sigmoid()
    pooled = model.projection(model.last_norm((1 - weight) * clip[:, 0] + weight * tokens[:, :, 0].mean(1)))
    return Features(pooled, tokens)


def plain_extractor(extractor: nn.Module, clip: Tensor, tokens: Tensor) -> Tensor:
    block, side = extractor.block, math.isqrt(tokens.shape[2] - 1)
    volume = tokens[:, :, 1:].unflatten(2, (side, side)).permute(0, 4, 1, 2, 3).contiguous()
    nearby = extractor.neighbours(volume).permute(0, 2, 3, 4, 1).flatten(2, 3)
    tokens = torch.cat((tokens[:, :, :1], tokens[:, :, 1:] + nearby), 2).flatten(1, 2)
    memory = extractor.memory_norm(tokens)
    queries = split_heads(block.qkv(block.attention_norm(clip)), 3, block.heads)[0]
    _, keys, values = split_heads(block.qkv(memory), 3, block.heads)
    clip = clip + block.out(join_heads(plain_attention(queries, keys, values)))
    return clip + plain_mlp(block, block.mlp_norm(clip))


def internvideo(device: str, dtype: torch.dtype, batch: int) -> tuple[Way, Way]:
    model = filled(InternVideo(InternVideoConfig(), no_texts), device, dtype)
    video = torch.randn(batch, 8, 3, 224, 224, device=device)
    return lambda: model.encode_video(video).pooled, lambda: plain_internvideo(model, video).pooled


def clip_vip(device: str, dtype: torch.dtype, batch: int, patch: int = 32) -> tuple[Way, Way]:
    model = filled(ClipVip(ClipVipConfig(patch=patch), no_texts), device, dtype)
    video = torch.randn(batch, 8, 3, 224, 224, device=device)
    return lambda: model.encode_video(video).pooled, lambda: plain_clip_vip(model, video).pooled


def singularity(device: str, dtype: torch.dtype, batch: int) -> tuple[Way, Way]:
    from transformers import BeitConfig as TheirConfig
    from transformers import BeitModel

    vision = BeitConfig(768, 12, 12, 3072, 16, 14, False)
    text = BertConfig(768, 9, 12, 3072, 30522, 512)
    model = filled(Singularity(SingularityConfig(vision, text, 256, 2), no_texts, 8, Transform(224)), device, dtype)
    with tempfile.TemporaryDirectory() as folder:
        TheirConfig(use_relative_position_bias=True, layer_norm_eps=1e-12).save_pretrained(folder)
        state = {name: value.float().cpu().contiguous() for name, value in beit_state(model.vision, "").items()}
        save_file(state, f"{folder}/model.safetensors", metadata={"format": "pt"})
        theirs = BeitModel.from_pretrained(folder).to(device, dtype).eval().requires_grad_(False)
    video = torch.randn(batch, 8, 3, 224, 224, device=device)

    def plain() -> Tensor:
        found = theirs(video.flatten(0, 1).to(dtype))
        tokens = model.vision_norm(found.last_hidden_state).unflatten(0, (batch, 8)) + time_embeddings(model.time, 8)
        tracks = tokens.transpose(1, 2).flatten(0, 1)
        for block in model.time_blocks:
            tracks = block(tracks)
        return model.projection(found.pooler_output).unflatten(0, (batch, 8)).mean(1)

    return lambda: model.encode_video(video).pooled, plain


def hugging_face_clip(device: str, dtype: torch.dtype, batch: int) -> tuple[Way, Way]:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

    torch.manual_seed(0)
    theirs = CLIPModel(CLIPConfig(projection_dim=512)).to(dtype).eval().requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        CLIPImageProcessor().save_pretrained(folder)
        CLIPTokenizerFast(
            vocab={"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2}, merges=[], unk_token="<|endoftext|>"
        ).save_pretrained(folder)
        names = [name for name, kind in DTYPES.items() if kind == dtype]
        ours = load_backbone(f"hf:{folder},dtype={names[0]}", device)
    theirs = theirs.to(device)
    video = torch.randn(batch, 8, 3, 224, 224, device=device)

    def plain() -> Tensor:
        frames = video.flatten(0, 1).to(dtype)
        found = theirs.get_image_features(pixel_values=frames)
        vectors = getattr(found, "pooler_output", found)
        unit = nn.functional.normalize(vectors, dim=-1).unflatten(0, (batch, 8))
        return nn.functional.normalize(unit.mean(1), dim=-1)

    return lambda: ours.encode_video(video).pooled, plain


def texts(device: str, dtype: torch.dtype, batch: int) -> tuple[Way, Way]:
    del batch
    from paxion.backbones.tokenizers import clip_tokenizer

    model = filled(ClipVip(ClipVipConfig(), clip_tokenizer()), device, dtype)
    things = ("a book", "the red cup", "a small box from the table", "the drawer of the kitchen cabinet")
    distinct = [f"{verb} {thing}" for verb in ("pushing", "pulling", "lifting", "opening") for thing in things]
    captions = distinct * 4

    def plain() -> Tensor:
        ids = model.tokenize(captions).to(device)
        return nn.functional.normalize(model.text(nn.functional.pad(ids, (0, 77 - ids.shape[1]))).float(), dim=-1).cpu()

    def fast() -> Tensor:
        vectors = text_vectors(model, captions)
        return torch.stack([vectors[text] for text in captions])

    return fast, plain


BACKBONES = {
    "clip-vip B/32": clip_vip,
    "clip-vip B/16": lambda *known: clip_vip(*known, patch=16),
    "internvideo L/14": internvideo,
    "singularity B/16": singularity,
    "hf:clip B/32": hugging_face_clip,
    "texts": texts,
}


@torch.inference_mode()
def compare(fast: Way, plain: Way, rounds: int, device: str) -> tuple[float, float, float, float]:
    """Median seconds of both, the median ratio, and the largest difference as a share of the largest number."""

    def timed(way: Way) -> tuple[float, Tensor]:
        began = time.perf_counter()
        answer = way()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began, answer.float()

    (_, one), (_, two) = timed(fast), timed(plain)
    pairs = [(timed(fast)[0], timed(plain)[0]) for _ in range(rounds)]
    ratio = statistics.median(slow / quick for quick, slow in pairs)
    quick, slow = (statistics.median(times) for times in zip(*pairs, strict=True))
    return quick, slow, ratio, float((one - two).abs().max() / two.abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="parts of the names of those to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    given = parser.parse_args()
    where = torch.cuda.get_device_name() if given.device == "cuda" else f"{os.cpu_count()} CPU cores"
    print(f"{where}, {platform.machine()}, torch {torch.__version__}, {given.dtype}, batch {given.batch}")
    print(f"{'':18}{'ours /s':>9}{'plain /s':>10}{'faster':>8}{'difference':>12}")
    for name, make in BACKBONES.items():
        if given.only and not any(part in name for part in given.only):
            continue
        count = 64 if name == "texts" else given.batch
        quick, slow, ratio, difference = compare(
            *make(given.device, DTYPES[given.dtype], given.batch), given.rounds, given.device
        )
        print(f"{name:18}{count / quick:9.2f}{count / slow:10.2f}{ratio:7.2f}x{difference:12.1e}", flush=True)


if __name__ == "__main__":
    main()
