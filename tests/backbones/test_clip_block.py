"""The shared block against CLIP's formula written out, and its gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from paxion.backbones.transformer import Block, attend_all, attend_before


def plain(block: Block, tokens: Tensor, causal: bool) -> Tensor:
    """The block as it is defined, one head and one step after the other."""
    query, key, value = block.qkv(block.attention_norm(tokens)).chunk(3, -1)
    size, length = tokens.shape[-1] // block.heads, tokens.shape[1]
    hidden = torch.full((length, length), -torch.inf, dtype=tokens.dtype).triu(1) if causal else 0
    heads = []
    for head in range(block.heads):
        part = slice(head * size, (head + 1) * size)
        weights = (query[..., part] @ key[..., part].mT / size**0.5 + hidden).softmax(-1)
        heads.append(weights @ value[..., part])
    tokens = tokens + block.out(torch.cat(heads, -1))
    expanded = block.expand(block.mlp_norm(tokens))
    return tokens + block.contract(expanded * (1.702 * expanded).sigmoid())


def test_a_block_is_the_formula_of_clip_and_so_are_its_gradients():
    torch.manual_seed(0)
    block = Block(12, 3, 20).double()
    for attend, causal in ((attend_all, False), (attend_before, True)):
        tokens = torch.randn(2, 5, 12, dtype=torch.float64, requires_grad=True)
        watched = [tokens, *block.parameters()]
        got, want = block(tokens, attend), plain(block, tokens, causal)
        torch.testing.assert_close(got, want)
        direction = torch.randn_like(got)
        torch.testing.assert_close(
            torch.autograd.grad(got, watched, direction), torch.autograd.grad(want, watched, direction)
        )
