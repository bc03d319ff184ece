"""LoRA on the backbone: which of its layers get a low-rank update, the matrices in training, and the folder of a run.

What a user would reach for instead of a patcher. The extra `peft` puts the matrices in place, so that gradients flow
through the backbone; once trained they are merged into its weights (backbones/low_rank.py), which needs no extra.

Source: LoRA (Hu et al., ICLR 2022).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import save
from torch import Tensor, nn

from paxion import __version__
from paxion.backbones.base import Backbone, Features, normalise, token_projection
from paxion.backbones.load import parse
from paxion.backbones.low_rank import CARD, LARGEST, WEIGHTS, linear_layers, modules_of, shown, updated_revision
from paxion.files import make_folder, write_bytes, write_text
from paxion.patching.recipe import Recipe
from paxion.records import PaxionError

Towers = Literal["vision", "both"]
AUTO = "auto"
TEMPERATURE = 0.07
"""What the learned temperature starts from, as a patcher's."""


@dataclass(frozen=True)
class Lora:
    """The size and the place of the update."""

    rank: int = 8
    """r"""
    alpha: float = 16.0
    """The update is (alpha / r) B A."""
    targets: tuple[str, ...] = (AUTO,)
    """Names of linear layers, or how they end (`qkv`, `self_attn.q_proj`); `auto`: all but what maps to the joint
    space and what embeds."""
    towers: Towers = "vision"
    """vision: texts keep their vectors. both: the text tower is trained too."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 1 <= self.rank <= LARGEST:
            raise PaxionError(f"got rank {self.rank}, expected 1 to {LARGEST}")
        if not 0 < self.alpha < math.inf:
            raise PaxionError(f"got alpha {self.alpha}, expected a number above 0")
        if self.towers not in get_args(Towers):
            raise PaxionError(f"got towers {self.towers!r}, expected {' or '.join(get_args(Towers))}")
        if not self.targets:
            raise PaxionError("got no targets, expected auto or names of linear layers")


class LoraModel(nn.Module):
    """What is trained: A and B of every layer, in its order, and the temperature that divides similarities.

    The backbone reads the very same parameters, and is no part of this module. In a training it takes the place of a
    `PatchedModel` without a fuser.
    """

    fuser = None

    def __init__(self, layers: Sequence[str], pairs: Sequence[tuple[nn.Parameter, nn.Parameter]]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.values = nn.ParameterList([value for pair in pairs for value in pair])
        self.temperature = nn.Parameter(torch.tensor(TEMPERATURE, device=pairs[0][0].device))

    def forward(self, features: Features) -> Tensor:
        """The pooled vectors of B clips, which carry the gradient, as (B, 1, D) unit vectors."""
        return normalise(features.pooled.float())[:, None]

    def named(self) -> dict[str, Tensor]:
        """The matrices by their names in the file, float32 on the CPU."""
        names = [f"{layer}.{part}" for layer in self.layers for part in "AB"]
        values = [value.detach().float().cpu().contiguous() for value in self.values]
        return dict(zip(names, values, strict=True))


def check_peft() -> None:
    """Raise PaxionError unless peft can be imported."""
    try:
        import peft  # noqa: F401
    except Exception as error:  # what it imports itself may be of another version, and fail in any way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PaxionError(f"peft cannot be imported ({reason}), which LoRA needs; pip install 'paxion[lora]'") from None


def check_trainable(name: str) -> None:
    """Raise PaxionError for a backbone whose options do not go with its training."""
    for option, value in parse(name)[2].items():
        if (option == "dtype" and value != "float32") or (option == "compile" and value == "yes") or option == "tokens":
            advice = "; paxion lora --precision bf16 computes in half precision" if option == "dtype" else ""
            raise PaxionError(f"got {option}={value} for LoRA, expected {name.partition(',')[0]} without it{advice}")


def run_layers(backbone: Backbone) -> tuple[list[str], list[str]]:
    """The linear layers that are called when a black clip is encoded, and when a text is, in their order.

    Those whose weights are read without a call (inside torch's MultiheadAttention) cannot be given an update, and are
    not among them.
    """
    size = backbone.transform.size
    weight = next(modules_of(backbone).parameters())
    with torch.no_grad():
        with _called(backbone) as vision:
            backbone.encode_video(torch.zeros(1, backbone.frames, 3, size, size, device=weight.device))
        with _called(backbone) as text:
            backbone.encode_texts(["a"])
    return list(dict.fromkeys(vision)), list(dict.fromkeys(text))


@contextmanager
def _called(backbone: Backbone) -> Iterator[list[str]]:
    """The names of the linear layers that are called within the block, each time."""
    names: list[str] = []
    with ExitStack() as hooks:
        for name, layer in linear_layers(backbone).items():
            handle = layer.register_forward_hook(lambda *_, name=name: names.append(name))
            hooks.callback(handle.remove)
        yield names


def chosen_layers(backbone: Backbone, lora: Lora) -> list[str]:
    """The layers that get an update, by their names in `modules_of` the backbone.

    With targets `auto`: all that are called in a tower, without those with `embed` in their name, and without the map
    to the joint space: the backbone's `projection`, else the layer that is called last.

    Raises PaxionError for a target that no layer is called, with those that there are, and for a tower without linear
    layers.
    """
    vision, text = run_layers(backbone)
    shared = set(vision) & set(text)
    towers = [("vision", vision if lora.towers == "both" else [name for name in vision if name not in shared])]
    towers += [("text", text)] if lora.towers == "both" else []
    projection, layers = token_projection(backbone), linear_layers(backbone)
    chosen: list[str] = []
    for tower, names in towers:
        last = next((name for name in names if layers[name] is projection), names[-1] if names else None)
        inner = [name for name in names if name != last and "embed" not in name]
        if not inner:
            raise PaxionError(f"the {tower} tower of {backbone.name} has no linear layers to update; patch it instead")
        chosen += inner if lora.targets == (AUTO,) else [name for name in names if _fits(name, lora.targets)]
    there = [name for _, names in towers for name in names]
    for target in lora.targets:
        if target != AUTO and not any(_fits(name, (target,)) for name in there):
            ends = ", ".join(dict.fromkeys(re.sub(r"^.*?\.\d+\.", "", name) for name in there))
            raise PaxionError(f"got target {target!r}, expected auto or linear layers of {backbone.name}: {ends}")
        if target == AUTO and lora.targets != (AUTO,):
            raise PaxionError(f"got targets {' '.join(lora.targets)}, expected auto alone or names alone")
    return list(dict.fromkeys(chosen))


def _fits(name: str, targets: Sequence[str]) -> bool:
    return any(name == target or name.endswith(f".{target}") for target in targets)


def inject(backbone: Backbone, lora: Lora, seed: int) -> LoraModel:
    """Put fresh matrices into a backbone, in place, and freeze all else: B is zero, so it gives what it gave.

    Raises PaxionError without peft, as `chosen_layers` does, and when no gradient reaches the matrices.
    """
    check_peft()
    from peft import LoraConfig, inject_adapter_in_model

    layers, root = chosen_layers(backbone, lora), modules_of(backbone)
    # Whole names: what ends alike in the other tower stays as it is.
    whole = "|".join(map(re.escape, layers))
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=whole)
    torch.manual_seed(seed)
    inject_adapter_in_model(config, root)
    root.eval()
    found: list[Any] = [root.get_submodule(name) for name in layers]
    pairs = [(layer.lora_A["default"].weight, layer.lora_B["default"].weight) for layer in found]
    _check_gradient(backbone, lora, root)
    return LoraModel(layers, pairs)


def _check_gradient(backbone: Backbone, lora: Lora, root: nn.Module) -> None:
    size, device = backbone.transform.size, next(root.parameters()).device
    seen = {"encode_video": backbone.encode_video(torch.zeros(1, backbone.frames, 3, size, size, device=device)).pooled}
    if lora.towers == "both":
        seen["encode_texts"] = backbone.encode_texts(["a"])
    for function, vectors in seen.items():
        if not vectors.requires_grad:
            raise PaxionError(
                f"{function} of {backbone.name} lets no gradient through, so that nothing can be trained; take "
                "torch.no_grad, inference_mode or detach out of it"
            )


def save_low_rank(
    folder: Path,
    model: LoraModel,
    backbone: Backbone,
    lora: Lora,
    recipe: Recipe,
    provenance: Mapping[str, Any],
    source: str | None,
) -> None:
    """Write what was trained, without the backbone, and what is needed to load it again. The card is written last.

    source: what `load_backbone` was given, so that the update can find its backbone by itself.
    """
    make_folder(folder)
    named = model.named()
    write_bytes(folder / WEIGHTS, save(named))
    card = {
        "paxion": __version__,
        "name": folder.resolve().name,
        "revision": updated_revision(backbone.revision, named, lora.alpha / lora.rank),
        "backbone": {"name": backbone.name, "revision": backbone.revision, "source": source, **shown(backbone)},
        "rank": lora.rank,
        "alpha": lora.alpha,
        "targets": list(lora.targets),
        "towers": lora.towers,
        "layers": list(model.layers),
        "temperature": float(model.temperature.detach()),
        "recipe": asdict(recipe),
        "provenance": dict(provenance),
    }
    write_text(folder / CARD, json.dumps(card, indent=1, default=str) + "\n")
