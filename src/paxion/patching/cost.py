"""What models cost: parameters, and multiply-adds of a clip, of a backbone and of what is put on it.

Multiply-adds are those of matrix products and convolutions, as torch's own counter sees them in a pass of one clip; its
attention is made to run as plain products, which the counter knows. Norms, softmax and activations are not counted.
A parameter is counted where it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from paxion.backbones.base import Backbone, token_projection
from paxion.backbones.low_rank import linear_layers, matrix_shapes, modules_of
from paxion.patching.baselines import TransformerPatcher, transformer_config
from paxion.patching.fuser import FuserConfig, KnowledgeFuser
from paxion.patching.lora import Lora, chosen_layers
from paxion.patching.patcher import KnowledgePatcher
from paxion.patching.plain import plain_patcher
from paxion.patching.recipe import Recipe
from paxion.records import PaxionError

TEXT = "a person opens the door"
"""What is encoded for the cost of a text."""


@dataclass(frozen=True)
class Cost:
    """One model, or one part of a model, on one backbone."""

    backbone: str
    part: str
    parameters: int
    """Those that the part reads; of what is trained: those that are trained."""
    macs: int
    """Multiply-adds of a clip (of a text, for the text tower)."""


def measured(call: Callable[[], object]) -> tuple[int, int]:
    """How many parameters a call reads, and its multiply-adds."""
    counter, used = FlopCounterMode(display=False), _Used()
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter, used:
        call()
    return sum(value.numel() for value in used.found.values()), counter.get_total_flops() // 2


class _Used(TorchFunctionMode):
    """Notes every parameter that a function of torch is given."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, nn.Parameter] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in tree_leaves((args, kwargs or {})):
            if isinstance(value, nn.Parameter):
                self.found[id(value)] = value
        return func(*args, **(kwargs or {}))


def backbone_costs(backbone: Backbone, name: str) -> list[Cost]:
    """Of the vision tower and a clip, and of the text tower and a text."""
    shape = (1, backbone.frames, 3, backbone.transform.size, backbone.transform.size)
    weight = next(modules_of(backbone).parameters(), torch.zeros(()))
    video = torch.zeros(shape, device=weight.device)
    return [
        Cost(name, "vision tower", *measured(lambda: backbone.encode_video(video))),
        Cost(name, "text tower", *measured(lambda: backbone.encode_texts([TEXT]))),
    ]


def patching_costs(backbone: Backbone, name: str, recipe: Recipe, lora: Lora) -> list[Cost]:
    """Of what is put on a backbone: a recipe's patcher, the four kinds of fuser, the KP-Transformer, LoRA.

    The patcher twice: as textbooks have it, with every key and value, and as it is computed here, absorbed. A fuser's
    cost is that beside its patcher's; a low-rank update costs nothing once it is merged.
    """
    found: list[Cost] = []
    if backbone.tokens_per_frame:
        found += _patchers(backbone, name, recipe)
    try:
        layers = linear_layers(backbone)
        shapes = matrix_shapes({layer: layers[layer] for layer in chosen_layers(backbone, lora)}, lora.rank)
    except PaxionError:  # no linear layers to update
        return found
    parameters = 1 + sum(rows * columns for rows, columns in shapes.values())
    return [*found, Cost(name, f"lora, rank {lora.rank}", parameters, 0)]


def _patchers(backbone: Backbone, name: str, recipe: Recipe) -> list[Cost]:
    dim, width, frames, places = backbone.dim, backbone.token_width, backbone.frames, backbone.tokens_per_frame
    config = recipe.patcher_config(dim, width, frames, places)
    tokens = torch.zeros(1, frames, places, width)
    latents, pooled = torch.zeros(1, recipe.latents, dim), torch.zeros(1, dim)
    found = []
    if recipe.architecture == "perceiver":
        patcher = KnowledgePatcher(config).eval().requires_grad_(False)  # type: ignore[arg-type]
        if not recipe.difference_tokens:
            macs = measured(lambda: plain_patcher(patcher, tokens))[1]
            found += [Cost(name, "patcher, plain", _count(patcher), macs)]
        found += [Cost(name, "patcher, absorbed", _count(patcher), measured(lambda: patcher(tokens))[1])]
    for kind in ("xattn", "gated_xattn", "xattn_v2", "side_tuning"):
        fuser = KnowledgeFuser(FuserConfig(kind, dim, width, recipe.heads, recipe.dim_head))
        fuser = fuser.eval().requires_grad_(False)
        # A fuser's temperature takes the place of its patcher's, which has been counted.
        macs = measured(partial(fuser, pooled, latents, tokens))[1]
        part = "side-tuning" if kind == "side_tuning" else f"fuser {kind}"
        found.append(Cost(name, part, _count(fuser) - 1, macs))
    with torch.device("meta"):
        transformer = TransformerPatcher(transformer_config(dim, width, token_projection(backbone)))
        macs = measured(lambda: transformer.eval().requires_grad_(False)(tokens.to("meta")))[1]
    return [*found, Cost(name, "kp-transformer", _count(transformer), macs)]


def _count(module: nn.Module) -> int:
    """Trained parameters; a frozen projection is kept in buffers."""
    return sum(value.numel() for value in module.parameters())


def costs(backbone: Backbone, name: str, recipe: Recipe, lora: Lora | None = None) -> list[Cost]:
    """All of a backbone, and of what can be put on it."""
    return [*backbone_costs(backbone, name), *patching_costs(backbone, name, recipe, lora or Lora())]
