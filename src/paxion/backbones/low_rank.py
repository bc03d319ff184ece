"""A backbone with low-rank updates (LoRA) in its linear layers, merged into their weights: W + (alpha / r) B A.

A folder made by `paxion lora` holds lora.json and lora.safetensors: for each layer, by its name in the backbone,
`NAME.A` (r, in) and `NAME.B` (out, r). The weights of the backbone are not in it.

Source: LoRA (Hu et al., ICLR 2022).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from paxion.backbones.base import Backbone, BackboneEncoder, Features
from paxion.backbones.state import digest_of, load_exactly, read_file, tensors
from paxion.records import PaxionError

CARD, WEIGHTS = "lora.json", "lora.safetensors"
LARGEST = 4096
"""No rank is larger: memory is taken by what a card says."""


@dataclass(frozen=True)
class LowRank:
    """What the card of a LoRA folder says."""

    backbone: str
    """The name and revision of the backbone that it was trained on."""
    revision: str
    source: str | None
    """What `load_backbone` made that backbone from, where it is known."""
    rank: int
    """r"""
    alpha: float
    layers: tuple[str, ...]
    """The linear layers that have an update, by their names in `modules_of` the backbone."""
    sampler: str | None
    """Which frames it was trained on (video/sample.py)."""
    seen: dict[str, Any]
    """The frames and the transform that it was trained with."""


@dataclass(frozen=True)
class LowRankEncoder:
    """A backbone with low-rank updates as an encoder: its pooled vector is the one vector of a clip."""

    name: str
    backbone: Backbone
    on: str
    """The name and revision of the backbone without them."""

    def encode_clips(self, features: Features) -> Tensor:
        """(B, 1, D) unit vectors."""
        return BackboneEncoder(self.name, self.backbone).encode_clips(features)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """(K, D) unit vectors."""
        return self.backbone.encode_texts(texts)


def modules_of(backbone: Backbone) -> nn.Module:
    """What holds the layers of a backbone: itself where it is a module, else the modules among its attributes.

    Raises PaxionError when there is none.
    """
    if isinstance(backbone, nn.Module):
        return backbone
    held = {name: value for name, value in vars(backbone).items() if isinstance(value, nn.Module)}
    if not held:
        raise PaxionError(
            f"{backbone.name} holds no torch module, so its weights cannot be reached; derive it from nn.Module, or "
            "keep the model in an attribute"
        )
    return nn.ModuleDict(held)


def linear_layers(backbone: Backbone) -> dict[str, nn.Linear]:
    """The linear layers of a backbone by their names in `modules_of` it, wherever they are used."""
    return {name: layer for name, layer in modules_of(backbone).named_modules() if isinstance(layer, nn.Linear)}


def shown(backbone: Backbone) -> dict[str, Any]:
    """What a backbone is shown of a clip, as JSON has it."""
    return dict(json.loads(json.dumps({"frames": backbone.frames, "transform": asdict(backbone.transform)})))


def is_low_rank(folder: Path) -> bool:
    """Whether a folder says that it holds low-rank updates."""
    return (folder / CARD).is_file()


def read_low_rank(folder: Path) -> LowRank:
    """The card of a LoRA folder. Raises PaxionError when the folder is none, or is damaged."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        trained_on = card["backbone"]
        rank, alpha, layers = card["rank"], card["alpha"], card["layers"]
        if type(rank) is not int or not 1 <= rank <= LARGEST:
            raise ValueError(f"rank is {rank!r}, expected a whole number from 1 to {LARGEST}")
        if type(alpha) not in (int, float) or not 0 < alpha < math.inf:
            raise ValueError(f"alpha is {alpha!r}, expected a number above 0")
        if not isinstance(layers, list) or not layers or not all(isinstance(name, str) for name in layers):
            raise TypeError("layers are no list of names")
        source, sampler = trained_on["source"], card["recipe"]["sampler"]
        for text in (trained_on["name"], trained_on["revision"], source, sampler):
            if text is not None and (not isinstance(text, str) or "\n" in text):
                raise TypeError(f"got {text!r}, expected a line of text")
        seen = {name: trained_on[name] for name in ("frames", "transform")}
        return LowRank(
            trained_on["name"], trained_on["revision"], source, rank, float(alpha), tuple(layers), sampler, seen
        )
    except Exception as error:  # There is no end to how a card can be damaged.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PaxionError(f"{folder} is no LoRA folder ({CARD}: {reason}); give one made by paxion lora") from None


def matrix_shapes(layers: Mapping[str, nn.Linear], rank: int) -> dict[str, tuple[int, int]]:
    """The shapes of the matrices of some layers, by their names in the file."""
    shapes: dict[str, tuple[int, int]] = {}
    for name, layer in layers.items():
        shapes |= {f"{name}.A": (rank, layer.in_features), f"{name}.B": (layer.out_features, rank)}
    return shapes


def updated_revision(revision: str, matrices: Mapping[str, Tensor], scale: float) -> str:
    """What identifies a backbone's weights with an update: its own revision and a digest of the update."""
    return f"{revision}-lora-{digest_of({**matrices, 'scale': torch.tensor(scale)})}"


@torch.no_grad()
def merge(backbone: Backbone, matrices: Mapping[str, Tensor], scale: float) -> None:
    """Add an update to the weights of a backbone, in place: W + scale B A, for every `NAME.A` and `NAME.B`.

    It is another backbone then, with a revision of its own.
    """
    layers = linear_layers(backbone)
    for name in (key.removesuffix(".A") for key in matrices if key.endswith(".A")):
        weight, a, b = layers[name].weight, matrices[f"{name}.A"], matrices[f"{name}.B"]
        weight += scale * (b.double() @ a.double()).to(weight)
    backbone.revision = updated_revision(backbone.revision, matrices, scale)


def low_rank(folder: Path, base: Backbone) -> Backbone:
    """The backbone `base` with the update of a LoRA folder: `base` itself, changed.

    Raises PaxionError when the folder is none, when the update was trained on other weights, frames or pixels, and when
    its matrices do not fit exactly.
    """
    told, path = read_low_rank(folder), folder / WEIGHTS
    if told.revision != base.revision:
        raise PaxionError(
            f"{folder} was trained on {told.backbone} {told.revision}, got {base.name} {base.revision}; load that "
            "backbone, or train again"
        )
    for name, value in shown(base).items():
        if told.seen[name] != value:
            advice = f"load it with frames={told.seen[name]}" if name == "frames" else "load it as it was then"
            raise PaxionError(f"{folder} was trained with {name} {told.seen[name]}, got {value}; {advice}")
    there = linear_layers(base)
    missing = [name for name in told.layers if name not in there]
    if missing:
        raise PaxionError(f"{folder} updates the layer {missing[0]!r}, which {base.name} does not have; train again")
    halved = [name for name in told.layers if there[name].weight.dtype != torch.float32]
    if halved:
        raise PaxionError(
            f"got {base.name} in half precision, in which an update is lost; load it in float32 (after lora:{folder}, "
            "dtype= converts the sum)"
        )
    state = tensors(read_file(path), path)
    shapes = matrix_shapes({name: there[name] for name in told.layers}, told.rank)
    matrices = {name: torch.zeros(shape) for name, shape in shapes.items()}
    load_exactly(matrices, state, path)
    merge(base, matrices, told.alpha / told.rank)
    pinned: Any = base
    pinned.pinned = str(folder.resolve())
    return base


def load_low_rank(path: str, *, base: str | None = None, device: str = "cpu") -> Backbone:
    """The backbone of a LoRA folder, frozen, in eval mode.

    base: name of the backbone to put the update on; by default the one that it was trained on.

    Raises PaxionError as `low_rank` and `load_backbone` do, and when nothing says which backbone it was trained on.
    """
    from paxion.backbones.load import load_backbone  # which loads this scheme too

    folder = Path(path)
    name = base or read_low_rank(folder).source
    if name is None:
        raise PaxionError(f"{folder} does not say what its backbone is loaded from; name it with --backbone")
    try:
        loaded = load_backbone(name, device)
    except PaxionError as error:
        if base is not None:
            raise
        raise PaxionError(f"{folder} needs its backbone: {error}; or name it with --backbone") from None
    return low_rank(folder, loaded)
