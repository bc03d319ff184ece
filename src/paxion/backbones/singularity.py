"""Singularity-temporal: BEiT on every frame, two transformer blocks along time, BERT on the texts.

Source: https://arxiv.org/abs/2206.03428; the layout of checkpoints and what Paxion makes of them: published code.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paxion.backbones.base import Features, normalise
from paxion.backbones.beit import (
    SPECIAL,
    TABLE,
    Beit,
    BeitConfig,
    beit_state,
    resize_table,
    table_rows,
)
from paxion.backbones.bert import Bert, BertBlock, BertConfig, bert_state, blocks_state
from paxion.backbones.published import (
    Checkpoint,
    asked_frames,
    asked_size,
    detached,
    frozen,
    layer_state,
    read_checkpoint,
    resize_positions,
)
from paxion.backbones.state import FLOATS
from paxion.backbones.transformer import EPSILON, check_size
from paxion.records import PaxionError
from paxion.video.transform import Transform, squashed

NUMBER = r"0|[1-9]\d{0,3}"
"""Of a layer, in a regular expression."""
POSITIONS = "vision_encoder.embeddings.position_embeddings"

Tokenize = Callable[[Sequence[str]], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class SingularityConfig:
    """Sizes of the model."""

    vision: BeitConfig
    text: BertConfig
    dim: int
    """D, 256 in Singularity-temporal-17m."""
    layers: int
    """Blocks along time: 2."""


class Singularity(nn.Module):
    """See the module docstring; keeps the `Backbone` contract of backbones/base.py.

    The pooled vector is a mean over frames and does not depend on their order; the tokens do, so there are no
    frame vectors: a reordered clip must be encoded anew.
    """

    name = "singularity"
    per_frame = False

    def __init__(self, config: SingularityConfig, tokenize: Tokenize, frames: int, transform: Transform) -> None:
        super().__init__()
        self.config, self.tokenize, self.frames, self.transform = config, tokenize, frames, transform
        self.revision = "untrained"
        vision, text = config.vision, config.text
        self.dim, self.token_width, self.tokens_per_frame = config.dim, vision.width, 1 + vision.grid**2
        self.vision, self.text = Beit(vision), Bert(text)
        self.vision_norm = nn.LayerNorm(vision.width, EPSILON)
        self.time = nn.Parameter(torch.zeros(1, frames, 1, vision.width))
        blocks = (BertBlock(vision.width, vision.heads, vision.hidden) for _ in range(config.layers))
        self.time_blocks = nn.ModuleList(blocks)
        self.projection = nn.Linear(vision.width, config.dim)
        self.text_projection = nn.Linear(text.width, config.dim)
        self.temperature = nn.Parameter(torch.tensor(0.07))

    def encode_video(self, video: Tensor) -> Features:
        """Clips (B, T, 3, size, size) to pooled vectors (B, D) and tokens (B, T, P, C), each frame's class token first.

        Raises ValueError for frames of another size.
        """
        check_size(video, self.transform.size)
        clips = video.shape[:2]
        tokens, pooled = self.vision(video.flatten(0, 1).to(self.time))
        tokens = self.vision_norm(tokens).unflatten(0, clips) + time_embeddings(self.time, clips[1])
        if clips[1] > 1:
            tracks = tokens.transpose(1, 2).flatten(0, 1)
            for block in self.time_blocks:
                tracks = block(tracks)
            tokens = tracks.unflatten(0, (clips[0], -1)).transpose(1, 2)
        return Features(self.projection(pooled).unflatten(0, clips).mean(1), tokens)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors (K, D), float32 whatever the model's precision."""
        ids, mask = (part.to(self.time.device) for part in self.tokenize(texts))
        return normalise(self.text_projection(self.text(ids, mask)[:, 0]).float())


def time_embeddings(embeddings: Tensor, frames: int) -> Tensor:
    """Embeddings of moments (1, trained, 1, C) for clips of T frames: the first T, or spread over them if T is more."""
    if frames <= embeddings.shape[1]:
        return embeddings[:, :frames]
    spread = F.interpolate(embeddings[:, :, 0].transpose(1, 2), frames, mode="linear", align_corners=False)
    return spread.transpose(1, 2)[:, :, None]


def fit_frames(embeddings: Tensor, frames: int) -> Tensor:
    """Embeddings of moments (1, trained, 1, C) for a model of `frames`: cut, or with zeros for the untrained ones."""
    return F.pad(embeddings[:, :frames], (0, 0, 0, 0, 0, max(0, frames - embeddings.shape[1])))


def published_state(model: Singularity, text: str = "text_encoder.") -> dict[str, Tensor]:
    """The model's own weights by their published names; `text` is what those of the text tower start with."""
    state = {
        "temp": model.temperature,
        "temporal_embeddings": model.time,
        **beit_state(model.vision, "vision_encoder."),
        **layer_state(model.vision_norm, "vision_layernorm"),
        **bert_state(model.text, text),
        **layer_state(model.projection, "vision_proj"),
        **layer_state(model.text_projection, "text_proj"),
        **blocks_state(model.time_blocks, "temporal_vision_encoder."),
    }
    return detached(state)


def sizes(checkpoint: Checkpoint, text: str) -> SingularityConfig:
    """The sizes of the model in a checkpoint, as trained. Raises PaxionError when they cannot be told.

    The heads of BERT, and of the blocks along time, are as wide as those of BEiT; the layers of BERT that read texts
    alone are those below the first one with cross-attention.
    """
    first, words = "vision_encoder.encoder.layer.0.", f"{text}embeddings.word_embeddings.weight"
    width, _, patch, _ = checkpoint.shape("vision_encoder.embeddings.patch_embeddings.projection.weight", 4)
    rows, heads = checkpoint.shape(first + TABLE, 2)
    grid = (math.isqrt(max(rows - SPECIAL, 1)) + 1) // 2
    if table_rows(grid) != rows or width % heads:
        raise _foreign(checkpoint, first + TABLE, f"a row for each offset in a square, and heads that divide {width}")
    vocabulary, text_width = checkpoint.shape(words, 2)
    if text_width % (width // heads):
        raise _foreign(checkpoint, words, f"a width that heads of {width // heads} divide")
    vision = BeitConfig(
        width,
        checkpoint.layers("vision_encoder.encoder.layer."),
        heads,
        checkpoint.shape(first + "intermediate.dense.weight", 2)[0],
        patch,
        grid,
        checkpoint.prefix + POSITIONS in checkpoint.tensors,
    )
    bert = BertConfig(
        text_width,
        _first_fusion_layer(checkpoint, text),
        text_width // (width // heads),
        checkpoint.shape(f"{text}encoder.layer.0.intermediate.dense.weight", 2)[0],
        vocabulary,
        checkpoint.shape(f"{text}embeddings.position_embeddings.weight", 2)[0],
    )
    dim = checkpoint.shape("vision_proj.weight", 2)[0]
    checkpoint.shape("temporal_embeddings", 4)
    return SingularityConfig(vision, bert, dim, checkpoint.layers("temporal_vision_encoder.layer."))


def _foreign(checkpoint: Checkpoint, name: str, expected: str) -> PaxionError:
    key = checkpoint.prefix + name
    shape = tuple(checkpoint.tensors[key].shape)
    return PaxionError(f"{checkpoint.path}: key {key!r} has shape {shape}, expected {expected}; is it another model's?")


def _first_fusion_layer(checkpoint: Checkpoint, text: str) -> int:
    """The layer of BERT where fusion begins: it and all that follow have the same cross-attention, those below none.

    Raises PaxionError that names the first key which does not agree with that.
    """
    stem = f"{checkpoint.prefix}{text}encoder.layer."
    pattern = re.compile(re.escape(stem) + rf"({NUMBER})\.(crossattention\..+)?")
    crossing: dict[int, set[str]] = {}
    for name in checkpoint.tensors:
        if found := pattern.match(name):
            crossing.setdefault(int(found[1]), set()).update([found[2]] if found[2] else [])
    layers = sorted(crossing)
    # What most layers have; of those as many have, what the later ones have.
    counts = Counter(frozenset(crossing[layer]) for layer in reversed(layers) if crossing[layer])
    if not counts:
        key = f"{stem}9.crossattention.self.query.weight"
        raise PaxionError(f"{checkpoint.path}: missing key {key!r}; is it another model's?")
    usual = counts.most_common(1)[0][0]
    first = next(layer for layer in layers if crossing[layer] == usual)
    for layer in layers:
        wanted = usual if layer >= first else frozenset()
        odd = crossing[layer] - wanted or wanted - crossing[layer]
        if odd or (layer == first and not 1 <= first <= len(layers)):
            key = f"{stem}{layer}.{min(odd or usual)}"
            raise PaxionError(
                f"{checkpoint.path}: key {key!r} does not fit, expected cross-attention in the last layers of the text "
                "tower, the same in each, and in none below; is it another model's?"
            )
    return first


def _used(checkpoint: Checkpoint, text: str, config: SingularityConfig) -> Checkpoint:
    """Without what encoding a clip or a text alone never touches: its names, and no others, are passed over."""
    unused = re.compile(
        re.escape(checkpoint.prefix) + r"(itm_head\."  # does this text match this clip
        r"|text_encoder\.cls\."  # which word was hidden
        r"|.*\.(position_ids|relative_position_index)$"  # not weights: computed here
        rf"|{re.escape(text)}encoder\.layer\.(?P<layer>{NUMBER})\.)"  # those that fuse clip and text
    )

    def passed_over(name: str) -> bool:
        found = unused.match(name)
        return found is not None and (found["layer"] is None or int(found["layer"]) >= config.text.layers)

    return replace(
        checkpoint, tensors={key: value for key, value in checkpoint.tensors.items() if not passed_over(key)}
    )


def _fitted(checkpoint: Checkpoint, vision: BeitConfig, grid: int, frames: int) -> Checkpoint:
    """With what depends on the number of frames and on their size fitted; `vision` is as trained.

    A tensor whose shape or type is wrong stays as it is: it is refused later, by what it has in the file.
    """
    fitted = dict(checkpoint.tensors)
    for key, value in fitted.items():
        name, shape = key.removeprefix(checkpoint.prefix), tuple(value.shape)
        if value.dtype not in FLOATS:
            continue
        if name == "temporal_embeddings" and value.ndim == 4 and shape == (1, shape[1], 1, vision.width):
            fitted[key] = fit_frames(value, frames)
        elif name.endswith(TABLE) and shape == (table_rows(vision.grid), vision.heads):
            fitted[key] = resize_table(value, grid)
        elif name == POSITIONS and shape == (1, 1 + vision.grid**2, vision.width):
            fitted[key] = resize_positions(value, grid)
    return replace(checkpoint, tensors=fitted)


def load_singularity(
    path: str,
    *,
    frames: int | None = None,
    preprocessing: str = "own",
    vocabulary: str | None = None,
    size: int | None = None,
) -> Singularity:
    """The frozen model of a published checkpoint, in eval mode, float32.

    path: `singularity_temporal_17m.pth`, as published or a whole model of Paxion. Of its 216 M parameters, the 188 M
        that encode clips and texts are read; the layers and heads that fuse them are passed over.
    frames: 8 by default, as in Paxion; the model was trained with 4, and later moments have no embedding of their own.
    preprocessing: "own", as BEiT was trained: both sides scaled, bicubic, mean and deviation 0.5. "paper", as published
        with Paxion: the same with the mean and deviation of CLIP.
    size: side of a frame, a multiple of the patch; as trained by default, else biases and positions are interpolated.

    Raises PaxionError for a file that is missing, broken or another model's, and when there is no BERT vocabulary.
    """
    from paxion.backbones.tokenizers import bert_tokenizer

    checkpoint = read_checkpoint(Path(path), "vl_backbone.")
    published = any(name.startswith(f"{checkpoint.prefix}text_encoder.bert.") for name in checkpoint.tensors)
    text = "text_encoder.bert." if published else "text_encoder."
    trained = sizes(checkpoint, text)
    patch = trained.vision.patch
    frames, size = asked_frames(frames), asked_size(size, trained.vision.grid * patch, patch)
    config = replace(trained, vision=replace(trained.vision, grid=size // patch))
    tokenize = bert_tokenizer(
        vocabulary, Path(path).parent, words=config.text.words, length=config.text.length, separator=False
    )
    transform = squashed(size)
    if preprocessing == "own":
        transform = replace(transform, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    used = _fitted(_used(checkpoint, text, config), trained.vision, config.vision.grid, frames)
    return frozen(lambda: Singularity(config, tokenize, frames, transform), published_state, used, text=text)
