"""The small frozen backbone that ships with the package: a frame transformer and a word transformer, order-blind.

A clip's vector is the mean of its frames' vectors, and frames never see each other: reversing a clip cannot change it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from paxion.backbones.base import Features, normalise
from paxion.files import write_bytes
from paxion.records import PaxionError
from paxion.video.transform import Transform

SHIPPED = Path(__file__).parent / "weights" / "world.safetensors"
PADDING, UNKNOWN = 0, 1


@dataclass(frozen=True)
class WorldConfig:
    """Sizes of the backbone; the defaults are those of the shipped weights."""

    vocabulary: tuple[str, ...]
    size: int = 64
    frames: int = 9
    width: int = 128
    heads: int = 4
    frame_blocks: int = 3
    text_blocks: int = 2
    dim: int = 128
    words: int = 16
    """Longest text in words; the rest is cut off."""


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (N, L, width) in and out; mask (N, 1, 1, L) is true where a token may be attended."""
        batch, length, width = tokens.shape
        qkv = self.qkv(self.attention_norm(tokens)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return tokens + self.mlp(self.mlp_norm(tokens))  # type: ignore[no-any-return]


class WorldBackbone(nn.Module):
    """See the module docstring; keeps the `Backbone` contract of backbones/base.py."""

    name = "world"
    per_frame = True

    def __init__(self, config: WorldConfig) -> None:
        super().__init__()
        self.config = config
        self.revision = "untrained"
        self.dim, self.token_width, self.frames = config.dim, config.width, config.frames
        self.transform = Transform(config.size, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        grid = config.size // 16
        self.tokens_per_frame = grid * grid + 1
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv2d(3, width // 2, 4, 4),
            nn.GELU(),
            nn.Conv2d(width // 2, width, 3, 2, 1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, 2, 1),
        )
        self.frame_class = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.frame_position = nn.Parameter(torch.randn(1, self.tokens_per_frame, width) * 0.02)
        self.frame_blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.frame_blocks))
        self.frame_norm, self.frame_out = nn.LayerNorm(width), nn.Linear(width, config.dim, bias=False)
        self.index = {word: number + 2 for number, word in enumerate(config.vocabulary)}
        self.word = nn.Embedding(len(self.index) + 2, width)
        self.word_position = nn.Parameter(torch.randn(1, config.words, width) * 0.5)
        self.text_blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.text_blocks))
        self.text_norm, self.text_out = nn.LayerNorm(width), nn.Linear(width, config.dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    @property
    def projection(self) -> nn.Linear:
        """From token width C to joint width D."""
        return self.frame_out

    def frames_forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (N, 3, size, size) to vectors (N, D), not normalised, and the patcher's tokens (N, P, C)."""
        patches = self.stem(frames).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.frame_class.expand(len(patches), -1, -1), patches), 1) + self.frame_position
        for block in self.frame_blocks:
            tokens = block(tokens)
        # Normed once here, so that what the store keeps has unit scale.
        return self.frame_out(self.frame_norm(tokens[:, 0])), F.layer_norm(tokens, tokens.shape[-1:])

    def encode_video(self, video: Tensor) -> Features:
        """Clips (B, T, 3, size, size), normalised by mean and std, to features."""
        batch, frames = video.shape[:2]
        vectors, tokens = self.frames_forward(video.flatten(0, 1).to(self.word.weight.dtype))
        frame_vectors = vectors.view(batch, frames, -1)
        return Features(
            pooled=normalise(frame_vectors.mean(1)),
            tokens=tokens.view(batch, frames, *tokens.shape[1:]),
            frame_vectors=frame_vectors,
        )

    def words_of(self, texts: Sequence[str]) -> Tensor:
        """Word numbers (K, words) of texts, zero padded; an unseen word is UNKNOWN, punctuation is dropped."""
        rows = torch.full((len(texts), self.config.words), PADDING)
        for row, text in zip(rows, texts, strict=True):
            numbers = [self.index.get(word, UNKNOWN) for word in re.findall(r"[\w']+", text.lower())]
            numbers = numbers[: self.config.words]
            row[: len(numbers)] = torch.tensor(numbers, dtype=torch.long)
        return rows.to(self.word.weight.device)

    def text_forward(self, words: Tensor) -> Tensor:
        """Word numbers (K, words) to unit vectors (K, D)."""
        present = words != PADDING
        tokens = self.word(words) + self.word_position
        for block in self.text_blocks:
            tokens = block(tokens, present[:, None, None])
        weight = present[..., None].to(tokens.dtype)
        pooled = (self.text_norm(tokens) * weight).sum(1) / weight.sum(1).clamp_min(1)
        return normalise(self.text_out(pooled))

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors (K, D)."""
        return self.text_forward(self.words_of(texts))


def save_world(model: WorldBackbone, path: Path, card: dict[str, object]) -> None:
    """Write the weights as safetensors, with the configuration and how they came about in the header."""
    # One entry only: safetensors writes several in any order, and the same weights should give the same file.
    header = {"world": json.dumps({"config": asdict(model.config), "card": card})}
    weights = {name: value.detach().cpu().half().contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, save(weights, metadata=header))


def read_card(path: Path = SHIPPED) -> dict[str, object]:
    """How the weights of a world backbone came about: command, seed, scores."""
    return dict(_header(path)["card"])


def _header(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise PaxionError(f"no backbone weights at {path}; make some with: paxion world pretrain --out {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("world", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise PaxionError(
            f"{path} is not a safetensors file ({error}); give one made by: paxion world pretrain"
        ) from None
    if not isinstance(header, dict) or not {"config", "card"} <= set(header):
        raise PaxionError(f"{path} is no world backbone: its header lacks 'config'; give one of: paxion world pretrain")
    return header


def load_world(path: Path | str = SHIPPED) -> WorldBackbone:
    """The frozen world backbone in eval mode, float32. Raises PaxionError for a missing or foreign file.

    path: empty for the weights that ship with the package.
    """
    path = Path(path) if str(path) else SHIPPED
    config = _header(path)["config"]
    try:
        model = WorldBackbone(WorldConfig(**{**config, "vocabulary": tuple(config["vocabulary"])}))
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise PaxionError(
            f"{path} is no world backbone: its 'config' does not fit ({error}); give one of: paxion world pretrain"
        ) from None
    try:
        model.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except RuntimeError as error:
        raise PaxionError(f"{path} does not fit the world backbone: {str(error).splitlines()[-1].strip()}") from None
    model.revision = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return model.eval().requires_grad_(False)
