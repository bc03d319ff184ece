"""BERT, as Singularity uses it: over the tokens of a text, and its blocks along the frames of a clip.

Source: https://arxiv.org/abs/1810.04805; names in checkpoints as in Hugging Face's implementation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from paxion.backbones.published import layer_state
from paxion.backbones.transformer import EPSILON, join_heads, split_heads


@dataclass(frozen=True)
class BertConfig:
    """Sizes of the tower; the defaults are those of Singularity, which reads texts with 9 of the 12 layers of BERT."""

    width: int = 768
    layers: int = 9
    heads: int = 12
    hidden: int = 3072
    words: int = 30522
    length: int = 512
    """Longest text in tokens."""


class BertBlock(nn.Module):
    """A post-norm transformer block."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (N, L, width) in and out; mask (N, 1, 1, L) is true where a token may be attended."""
        query, key, value = split_heads(self.qkv(tokens), 3, self.heads)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        tokens = self.attention_norm(tokens + self.out(join_heads(mixed)))
        return self.mlp_norm(tokens + self.contract(F.gelu(self.expand(tokens))))  # type: ignore[no-any-return]


class Bert(nn.Module):
    """The text tower. A text is one sentence: always the first of the two that BERT tells apart."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.word, self.position = nn.Embedding(config.words, width), nn.Embedding(config.length, width)
        self.sentence = nn.Embedding(2, width)
        self.embedding_norm = nn.LayerNorm(width, EPSILON)
        self.blocks = nn.ModuleList(BertBlock(width, config.heads, config.hidden) for _ in range(config.layers))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Ids and mask (K, L), the mask 1 where a token is, to tokens (K, L, width)."""
        places = self.position.weight[: ids.shape[1]] + self.sentence.weight[0]
        tokens = self.embedding_norm(self.word(ids) + places)
        attended = mask[:, None, None].bool()
        for block in self.blocks:
            tokens = block(tokens, attended)
        return tokens  # type: ignore[no-any-return]


def bert_state(bert: Bert, prefix: str) -> dict[str, Tensor]:
    """The tower's own weights by their published names, all of which start with `prefix`."""
    return {
        **layer_state(bert.word, f"{prefix}embeddings.word_embeddings"),
        **layer_state(bert.position, f"{prefix}embeddings.position_embeddings"),
        **layer_state(bert.sentence, f"{prefix}embeddings.token_type_embeddings"),
        **layer_state(bert.embedding_norm, f"{prefix}embeddings.LayerNorm"),
        **blocks_state(bert.blocks, f"{prefix}encoder."),
    }


def blocks_state(blocks: Iterable[nn.Module], prefix: str) -> dict[str, Tensor]:
    """The weights of blocks by their published names, all of which start with `prefix`."""
    state: dict[str, Tensor] = {}
    for number, block in enumerate(blocks):
        assert isinstance(block, BertBlock)
        stem = f"{prefix}layer.{number}"
        weights, biases = block.qkv.weight.chunk(3), block.qkv.bias.chunk(3)
        for name, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
            state |= {f"{stem}.attention.self.{name}.weight": weight, f"{stem}.attention.self.{name}.bias": bias}
        state |= layer_state(block.out, f"{stem}.attention.output.dense")
        state |= layer_state(block.attention_norm, f"{stem}.attention.output.LayerNorm")
        state |= layer_state(block.expand, f"{stem}.intermediate.dense")
        state |= layer_state(block.contract, f"{stem}.output.dense")
        state |= layer_state(block.mlp_norm, f"{stem}.output.LayerNorm")
    return state
