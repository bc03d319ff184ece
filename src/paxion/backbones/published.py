"""What the readers of published checkpoints share: which tensors of a file are the backbone's, and where they go.

A model states its own weights under the published names (`state`), as views of its memory: pieces of a fused matrix,
a matrix turned over. Filling the views fills the model, and what a file lacks is told by its published name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paxion.backbones.state import load_exactly, read_file, tensors
from paxion.records import PaxionError

_OPENAI = {
    "out": "attn.out_proj",
    "attention_norm": "ln_1",
    "expand": "mlp.c_fc",
    "contract": "mlp.c_proj",
    "mlp_norm": "ln_2",
}
_HUGGING_FACE = {
    "out": "self_attn.out_proj",
    "attention_norm": "layer_norm1",
    "expand": "mlp.fc1",
    "contract": "mlp.fc2",
    "mlp_norm": "layer_norm2",
}


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a backbone in a file."""

    path: Path
    prefix: str
    """What the names of all of them start with."""
    tensors: dict[str, Tensor]
    """By their full names."""

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """The shape of a tensor, whose name is given without the prefix.

        Raises PaxionError when it is missing or has not so many dimensions.
        """
        key = self.prefix + name
        if key not in self.tensors:
            raise PaxionError(f"{self.path}: missing key {key!r}; is it another model's?")
        shape = tuple(self.tensors[key].shape)
        if len(shape) != dimensions or 0 in shape:
            raise PaxionError(
                f"{self.path}: key {key!r} has shape {shape}, expected {dimensions} dimensions; is it another model's?"
            )
        return shape

    def width(self, name: str) -> int:
        """The length of a vector, a multiple of 64, the width of a head. Raises PaxionError otherwise."""
        (width,) = self.shape(name, 1)
        if width % 64:
            raise PaxionError(
                f"{self.path}: key {self.prefix + name!r} has shape ({width},), expected a multiple of 64; "
                "is it another model's?"
            )
        return width

    def grid(self, name: str) -> int:
        """Patches along a side, by the positional embedding of a class token and the patches."""
        places, _ = self.shape(name, 2)
        side = math.isqrt(places - 1)
        if side * side != places - 1:
            raise PaxionError(
                f"{self.path}: key {self.prefix + name!r} has {places} places, expected one more than a square; "
                "is it another model's?"
            )
        return side

    def layers(self, stem: str) -> int:
        """How many layers there are under `stem`, at least one; a gap in their numbers is a missing key."""
        pattern = re.compile(re.escape(self.prefix + stem) + r"(\d+)\.")
        return max(1, len({found[1] for name in self.tensors if (found := pattern.match(name))}))

    def resized(self, name: str, patch: int, size: int) -> Checkpoint:
        """With the embeddings of places (P, C) under `name` interpolated for frames of `size` × `size` pixels.

        Raises PaxionError when patches of `patch` pixels do not fill them.
        """
        if size < patch or size % patch:
            raise PaxionError(f"got size={size}, expected a multiple of the patch of {patch} pixels")
        key = self.prefix + name
        fitted = resize_positions(self.tensors[key][None], size // patch)[0]
        return replace(self, tensors={**self.tensors, key: fitted})

    def fill(self, state: Mapping[str, Tensor]) -> None:
        """Write the tensors into `state`, a model's own weights by their published names without the prefix.

        Raises PaxionError as `load_exactly` does.
        """
        load_exactly({self.prefix + name: value for name, value in state.items()}, self.tensors, self.path)


def read_checkpoint(path: Path, *prefixes: str) -> Checkpoint:
    """The tensors in a file whose names start with the first of `prefixes` that occurs, or all if none does.

    They are at the top level, under `state_dict` or, in the checkpoints of Paxion, under `model`.

    Raises PaxionError as `read_file` and `tensors` do.
    """
    content = read_file(path)
    within = next((key for key in ("model", "state_dict") if isinstance(content.get(key), Mapping)), None)
    found = tensors(content, path, within)
    prefix = next((prefix for prefix in prefixes if any(name.startswith(prefix) for name in found)), "")
    return Checkpoint(path, prefix, {name: value for name, value in found.items() if name.startswith(prefix)})


def layer_state(layer: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The weight and, if there is one, the bias of a layer, under `prefix`."""
    return {f"{prefix}.{kind}": value for kind, value in layer.named_parameters()}


def openai_state(block: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The weights of a `Block` by the names of OpenAI's CLIP, which fuses queries, keys and values as we do."""
    state: dict[str, Tensor] = {}
    for kind, value in block.get_submodule("qkv").named_parameters():
        state[f"{prefix}.attn.in_proj_{kind}"] = value
    for ours, theirs in _OPENAI.items():
        state |= layer_state(block.get_submodule(ours), f"{prefix}.{theirs}")
    return state


def hugging_face_state(block: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The weights of a `Block` by the names of Hugging Face's CLIP."""
    state: dict[str, Tensor] = {}
    for kind, value in block.get_submodule("qkv").named_parameters():
        for letter, part in zip("qkv", value.chunk(3), strict=True):
            state[f"{prefix}.self_attn.{letter}_proj.{kind}"] = part
    for ours, theirs in _HUGGING_FACE.items():
        state |= layer_state(block.get_submodule(ours), f"{prefix}.{theirs}")
    return state


def resize_positions(embedding: Tensor, grid: int) -> Tensor:
    """Embeddings of places (1, 1 + old², width) for another grid, bicubic; the first is the class token's and stays."""
    old = round((embedding.shape[1] - 1) ** 0.5)
    if old == grid:
        return embedding
    square = embedding[:, 1:].float().view(1, old, old, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(square, (grid, grid), mode="bicubic", align_corners=False).flatten(2).transpose(1, 2)
    return torch.cat((embedding[:, :1], resized.to(embedding.dtype)), 1)
