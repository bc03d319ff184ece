"""BEiT, the vision tower of Singularity: attention knows how far apart two patches are.

Source: https://arxiv.org/abs/2106.08254; names in checkpoints as in Hugging Face's implementation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paxion.backbones.published import layer_state
from paxion.backbones.transformer import EPSILON, join_heads, split_heads
from paxion.records import PaxionError

SPECIAL = 3
"""Rows that end a table of biases: from the class token, to it, and from it to itself."""
TABLE = "attention.attention.relative_position_bias.relative_position_bias_table"


@dataclass(frozen=True)
class BeitConfig:
    """Sizes of the tower; the defaults are those of the base model."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    patch: int = 16
    grid: int = 14
    """Patches along a side of a frame."""
    positions: bool = False
    """Patches also have an embedding of their place. Published Singularity has none."""


class BeitBlock(nn.Module):
    """A pre-norm block whose branches are scaled, channel by channel; keys have no bias."""

    def __init__(self, config: BeitConfig) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.query_bias, self.value_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.table = nn.Parameter(torch.zeros(table_rows(config.grid), config.heads))
        """For every offset of two patches, the bias of each head."""
        self.expand, self.contract = nn.Linear(width, config.hidden), nn.Linear(config.hidden, width)
        self.attention_scale, self.mlp_scale = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor, offsets: Tensor) -> Tensor:
        """Tokens (N, P, width) in and out; offsets (P, P) are rows of the table."""
        bias = torch.cat((self.query_bias, torch.zeros_like(self.query_bias), self.value_bias))
        projected = F.linear(self.attention_norm(tokens), self.qkv.weight, bias)
        query, key, value = split_heads(projected, 3, self.heads)
        offset_bias = self.table[offsets].permute(2, 0, 1)[None]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=offset_bias)
        tokens = tokens + self.attention_scale * self.out(join_heads(mixed))
        hidden = F.gelu(self.expand(self.mlp_norm(tokens)))
        return tokens + self.mlp_scale * self.contract(hidden)  # type: ignore[no-any-return]


class Beit(nn.Module):
    """Frames to tokens and one vector: the normed mean of their patches."""

    def __init__(self, config: BeitConfig) -> None:
        super().__init__()
        self.config = config
        self.patches = nn.Conv2d(3, config.width, config.patch, config.patch)
        self.frame_class = nn.Parameter(torch.zeros(1, 1, config.width))
        places = torch.zeros(1, 1 + config.grid**2, config.width)
        self.position = nn.Parameter(places) if config.positions else None
        self.blocks = nn.ModuleList(BeitBlock(config) for _ in range(config.layers))
        self.pooled_norm = nn.LayerNorm(config.width, EPSILON)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (N, 3, size, size) to tokens (N, P, width), P = 1 + grid², and pooled (N, width)."""
        patches = self.patches(frames).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.frame_class.expand(len(patches), -1, -1), patches), 1)
        if self.position is not None:
            tokens = tokens + self.position
        offsets = patch_offsets(self.config.grid).to(tokens.device)
        for block in self.blocks:
            tokens = block(tokens, offsets)
        return tokens, self.pooled_norm(tokens[:, 1:].mean(1))


def beit_state(beit: Beit, prefix: str) -> dict[str, Tensor]:
    """The tower's own weights by their published names, all of which start with `prefix`."""
    state: dict[str, Tensor] = {f"{prefix}embeddings.cls_token": beit.frame_class}
    if beit.position is not None:
        state[f"{prefix}embeddings.position_embeddings"] = beit.position
    state |= layer_state(beit.patches, f"{prefix}embeddings.patch_embeddings.projection")
    for number, block in enumerate(beit.blocks):
        state |= _block_state(block, f"{prefix}encoder.layer.{number}")
    return state | layer_state(beit.pooled_norm, f"{prefix}pooler.layernorm")


def _block_state(block: nn.Module, prefix: str) -> dict[str, Tensor]:
    assert isinstance(block, BeitBlock)
    query, key, value = block.qkv.weight.chunk(3)
    own = {
        "lambda_1": block.attention_scale,
        "lambda_2": block.mlp_scale,
        "attention.attention.query.weight": query,
        "attention.attention.query.bias": block.query_bias,
        "attention.attention.key.weight": key,
        "attention.attention.value.weight": value,
        "attention.attention.value.bias": block.value_bias,
        TABLE: block.table,
    }
    return {
        **{f"{prefix}.{name}": weight for name, weight in own.items()},
        **layer_state(block.out, f"{prefix}.attention.output.dense"),
        **layer_state(block.expand, f"{prefix}.intermediate.dense"),
        **layer_state(block.contract, f"{prefix}.output.dense"),
        **layer_state(block.attention_norm, f"{prefix}.layernorm_before"),
        **layer_state(block.mlp_norm, f"{prefix}.layernorm_after"),
    }


def table_rows(grid: int) -> int:
    """How many rows a table of biases has."""
    return (2 * grid - 1) ** 2 + SPECIAL


def patch_offsets(grid: int) -> Tensor:
    """Which row of a table of biases holds for two tokens, (1 + grid², 1 + grid²) int64; from the row to the column."""
    side = 2 * grid - 1
    places = torch.cartesian_prod(torch.arange(grid), torch.arange(grid))
    down, right = (places[:, None] - places[None] + grid - 1).unbind(-1)
    offsets = torch.empty(grid**2 + 1, grid**2 + 1, dtype=torch.long)
    offsets[1:, 1:] = down * side + right
    offsets[0, :], offsets[:, 0], offsets[0, 0] = side**2, side**2 + 1, side**2 + 2
    return offsets


def resize_table(table: Tensor, grid: int) -> Tensor:
    """A table of biases (rows, heads) for another grid: a cubic spline through the trained offsets.

    The trained offsets are spread so that the distances between them grow geometrically from the centre outwards and
    the outermost ones come to the outermost of the new grid: near patches keep their biases. The three biases of the
    class token stay as they are.

    Raises PaxionError for a table of less than 3 × 3 patches, which has too few offsets for a spline.
    """
    side, wanted = round((len(table) - SPECIAL) ** 0.5), 2 * grid - 1
    if side == wanted:
        return table
    if side < 5:
        got = (side + 1) // 2
        raise PaxionError(
            f"got a model trained on {got} × {got} patches, expected at least 3 × 3 to interpolate; "  # noqa: RUF001
            "leave the size as trained"
        )
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        reach = sum(ratio**step for step in range(side // 2))
        low, high = (low, ratio) if reach > wanted // 2 else (ratio, high)
    outward = np.cumsum(ratio ** np.arange(side // 2))
    trained = np.concatenate((-outward[::-1], [0], outward))
    weights = torch.from_numpy(spline_weights(trained, np.arange(wanted) - wanted // 2))
    biases = table[:-SPECIAL].double().view(side, side, -1)
    resized = torch.einsum("yi,xj,ijh->yxh", weights, weights, biases).flatten(0, 1)
    return torch.cat((resized.to(table.dtype), table[-SPECIAL:]))


def spline_weights(places: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights (wanted, places) of the values at `places` in the not-a-knot cubic spline through them, at `wanted`.

    Beyond the outermost places the spline keeps its value there.
    """
    knots = np.concatenate(([places[0]] * 4, places[2:-2], [places[-1]] * 4))

    def basis(at: np.ndarray) -> np.ndarray:
        """The cubic B-splines (at, places), by the recursion of Cox and de Boor."""
        # The last place belongs to the last interval that is not empty.
        interval = np.clip(np.searchsorted(knots, at, "right") - 1, 3, len(knots) - 5)
        found = np.eye(len(knots) - 1)[interval]
        for degree in (1, 2, 3):
            spread = knots[degree:] - knots[:-degree]
            share = (at[:, None] - knots[:-degree]) / np.where(spread > 0, spread, np.inf)
            found = share[:, :-1] * found[:, :-1] + (1 - share[:, 1:]) * found[:, 1:]
        return found

    return basis(np.clip(wanted, places[0], places[-1])) @ np.linalg.inv(basis(places))
