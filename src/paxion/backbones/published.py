"""What the readers of published checkpoints share: which tensors of a file are the backbone's, and where they go.

A model states its own weights under the published names (`state`), as views of its memory: pieces of a fused matrix,
a matrix turned over. Filling the views fills the model, and what a file lacks is told by its published name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paxion.backbones.state import check_names, check_type, digest_of, load_exactly, read_file, tensors
from paxion.records import PaxionError

FRAMES = 8
"""Frames of a clip, as in Paxion."""
MOST_FRAMES, LARGEST = 1024, 4096
"""Frames of a clip and pixels along a side of one: more is a slip."""

Model = TypeVar("Model", bound=nn.Module)

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

        Raises PaxionError when it is missing, has not so many dimensions, is empty or holds no floating numbers.
        """
        key = self.prefix + name
        if key not in self.tensors:
            raise PaxionError(f"{self.path}: missing key {key!r}; is it another model's?")
        shape = tuple(self.tensors[key].shape)
        if len(shape) != dimensions or 0 in shape:
            expected = f"{dimensions} dimension{'s' * (dimensions > 1)}, none empty"
            raise PaxionError(
                f"{self.path}: key {key!r} has shape {shape}, expected {expected}; is it another model's?"
            )
        check_type(self.tensors[key], key, self.path)
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
        if side < 1 or side * side != places - 1:
            raise PaxionError(
                f"{self.path}: key {self.prefix + name!r} has {places} places, expected one more than a square; "
                "is it another model's?"
            )
        return side

    def layers(self, stem: str) -> int:
        """How many layers there are under `stem`, at least one; a gap in their numbers is a missing key."""
        pattern = re.compile(re.escape(self.prefix + stem) + r"(\d+)\.")
        return max(1, len({found[1] for name in self.tensors if (found := pattern.match(name))}))

    def resized(self, name: str, grid: int) -> Checkpoint:
        """With the embeddings of places (P, C) under `name` interpolated for `grid` × `grid` patches."""
        key = self.prefix + name
        fitted = resize_positions(self.tensors[key][None], grid)[0]
        return replace(self, tensors={**self.tensors, key: fitted})

    def check(self, state: Mapping[str, Tensor]) -> None:
        """Compare names, shapes and types with `state`, as for `fill`, which may be without memory (meta).

        Raises PaxionError as `check_names` does.
        """
        check_names(self._full(state), self.tensors, self.path)

    def fill(self, state: Mapping[str, Tensor]) -> None:
        """Write the tensors into `state`, a model's own weights by their published names without the prefix.

        Raises PaxionError as `load_exactly` does.
        """
        load_exactly(self._full(state), self.tensors, self.path)

    def _full(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {self.prefix + name: value for name, value in state.items()}


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


def frozen(
    build: Callable[[], Model], state_of: Callable[..., dict[str, Tensor]], checkpoint: Checkpoint, **layout: str
) -> Model:
    """The model that `build` makes, with the weights of a checkpoint, in eval mode, float32.

    state_of: the model's `published_state`; `layout` is what it must be told to give the names in this file. The
        revision goes by the weights and the names that it gives without, and is the same for all files that hold them.

    Raises PaxionError as `Checkpoint.fill` does; unless names and shapes fit, no memory is taken for the model.
    """
    with torch.device("meta"):
        model = build()
    checkpoint.check(state_of(model, **layout))
    model.to_empty(device="cpu")
    checkpoint.fill(state_of(model, **layout))
    named: Any = model
    named.revision = digest_of(state_of(model))
    return model.eval().requires_grad_(False)


def asked_frames(frames: int | None) -> int:
    """How many frames a clip has, as asked for or as in Paxion. Raises PaxionError for a number of no sense."""
    if frames is None:
        return FRAMES
    if not 1 <= frames <= MOST_FRAMES:
        raise PaxionError(f"got frames={frames}, expected 1 to {MOST_FRAMES}")
    return frames


def asked_size(size: int | None, trained: int, patch: int) -> int:
    """The side of a frame in pixels, as asked for or as trained.

    Raises PaxionError when patches of `patch` pixels do not fill it, or when it is of no sense.
    """
    if size is None:
        return trained
    if not patch <= size <= LARGEST or size % patch:
        raise PaxionError(f"got size={size}, expected a multiple of the patch of {patch} pixels, at most {LARGEST}")
    return size


def detached(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same memory without gradients: for a model's own weights, which are written and compared."""
    return {name: value.detach() for name, value in state.items()}


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
