"""Adapters on disk: a few MB of safetensors and a JSON card. Of the backbone, only a KP-Transformer's projection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
from safetensors.torch import save

from paxion import __version__
from paxion.backbones.base import Backbone
from paxion.backbones.reduced import kept_tokens
from paxion.backbones.state import load_exactly, read_file, tensors
from paxion.files import make_folder, write_bytes, write_text
from paxion.patching.baselines import TransformerConfig
from paxion.patching.fuser import FuserConfig
from paxion.patching.model import PatchedEncoder, PatchedModel
from paxion.patching.patcher import PatcherConfig
from paxion.patching.recipe import Recipe
from paxion.records import PaxionError

CARD, WEIGHTS = "adapter.json", "adapter.safetensors"
PATCHERS: dict[str, type[PatcherConfig] | type[TransformerConfig]] = {
    "perceiver": PatcherConfig,
    "transformer": TransformerConfig,
}
Config = TypeVar("Config")
SEEN = ("frames", "transform", "tokens")
"""What an adapter was trained with, as its card has it."""
LARGEST = 2**16
"""No size in a card is larger: memory is taken by what it says."""


@dataclass(frozen=True)
class Adapter:
    """What an adapter folder holds."""

    name: str
    backbone: str
    """The name and revision of the backbone that it was trained on."""
    revision: str
    source: str | None
    """What `load_backbone` made that backbone from, where it is known."""
    sampler: str | None
    """Which frames it was trained on (video/sample.py), as far as the card says."""
    seen: dict[str, Any]
    """The frames, the transform and the tokens that it was trained with, as far as the card says."""
    model: PatchedModel
    """In eval mode."""


def save_adapter(
    folder: Path,
    name: str,
    model: PatchedModel,
    backbone: Backbone,
    recipe: Recipe | None,
    provenance: Mapping[str, Any],
    source: str | None = None,
) -> None:
    """Write a trained patcher (and fuser) with what is needed to load it again. The card is written last.

    recipe: None when it was not trained here. source: what `load_backbone` was given, so that the adapter can find its
    backbone by itself.
    """
    make_folder(folder)
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    write_bytes(folder / WEIGHTS, save(weights))
    config = model.patcher.config
    kind = next(kind for kind, known in PATCHERS.items() if isinstance(config, known))
    card = {
        "paxion": __version__,
        "name": name,
        "backbone": {"name": backbone.name, "revision": backbone.revision, "source": source, **_seen(backbone)},
        "patcher": {"kind": kind, **asdict(config)},
        "fuser": None if model.fuser is None else asdict(model.fuser.config),
        "recipe": None if recipe is None else asdict(recipe),
        "provenance": dict(provenance),
    }
    write_text(folder / CARD, json.dumps(card, indent=1) + "\n")


def read_adapter(folder: Path) -> Adapter:
    """An adapter without its backbone. Raises PaxionError when the folder is none, or is damaged."""
    adapter, path = _adapter(folder), folder / WEIGHTS
    state = tensors(read_file(path), path)
    adapter.model.to_empty(device="cpu")
    load_exactly(adapter.model.state_dict(), state, path)
    return adapter


def adapter_backbone(folder: Path) -> str | None:
    """What `load_backbone` makes an adapter's backbone from, or None where its card does not say.

    Raises PaxionError when the folder is no adapter.
    """
    return _adapter(folder).source


def adapter_sampler(folder: Path) -> str | None:
    """Which frames an adapter was trained on, or None where its card does not say.

    Raises PaxionError when the folder is no adapter.
    """
    return _adapter(folder).sampler


def adapter_name(folder: Path) -> str:
    """What results call an adapter. Raises PaxionError when the folder is none."""
    return _adapter(folder).name


def load_adapter(folder: Path, backbone: Backbone, device: str = "cpu") -> PatchedEncoder:
    """The patched model of an adapter folder, in eval mode, on the backbone that it was trained on.

    Raises PaxionError when the folder is no adapter, or was trained on other weights, frames or pixels. The backbone's
    name may be another: a folder that was renamed holds the same weights.
    """
    adapter = read_adapter(folder)
    if adapter.revision != backbone.revision:
        raise PaxionError(
            f"{folder} was trained on {adapter.backbone} {adapter.revision}, got {backbone.name} "
            f"{backbone.revision}; load that backbone, or train again"
        )
    tokens, kept = adapter.seen["tokens"], kept_tokens(backbone)
    if tokens != kept:
        raise PaxionError(f"{folder} was trained with tokens={tokens}, got tokens={kept}; load it with tokens={tokens}")
    for name, value in asdict(adapter.model.patcher.config).items():
        given = getattr(backbone, name, value)
        if name in ("dim", "token_width", "frames", "tokens_per_frame") and given != value:
            advice = f"load it with frames={value}" if name == "frames" else "load another, or train again"
            raise PaxionError(f"{folder} was trained on {name} {value}, got a backbone with {given}; {advice}")
    for name, value in _seen(backbone).items():
        if adapter.seen.get(name, value) != value:
            advice = f"load it with frames={adapter.seen.get(name)}" if name == "frames" else "load it as it was then"
            raise PaxionError(f"{folder} was trained with {name} {adapter.seen.get(name)}, got {value}; {advice}")
    return PatchedEncoder(adapter.name, backbone, adapter.model.to(device).requires_grad_(False))


def _seen(backbone: Backbone) -> dict[str, Any]:
    """What a backbone is shown of a clip, as JSON has it."""
    shown = {
        "frames": backbone.frames, "transform": asdict(backbone.transform), "tokens": kept_tokens(backbone)
    }  # fmt: skip
    return dict(json.loads(json.dumps(shown)))


def _adapter(folder: Path) -> Adapter:
    """What the card says, with a model whose weights are yet to be read."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        trained_on = card["backbone"]
        # Cards without a kind are older than the KP-Transformer.
        patcher = {"kind": "perceiver", **card["patcher"]}
        config = _config(PATCHERS[patcher.pop("kind")], patcher)
        fuser = None if card["fuser"] is None else _config(FuserConfig, card["fuser"])
        source, sampler = trained_on.get("source"), (card.get("recipe") or {}).get("sampler")
        for text in (card["name"], trained_on["name"], trained_on["revision"], source, sampler):
            if text is not None and (not isinstance(text, str) or "\n" in text):
                raise TypeError(f"got {text!r}, expected a line of text")
        with torch.device("meta"):
            model = PatchedModel(config, fuser).eval()
        return Adapter(
            name=card["name"],
            backbone=trained_on["name"],
            revision=trained_on["revision"],
            source=source,
            sampler=sampler,
            # Cards without tokens are older than the option.
            seen={"tokens": "all"} | {name: trained_on[name] for name in SEEN if name in trained_on},
            model=model,
        )
    except Exception as error:  # There is no end to how a card can be damaged.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PaxionError(f"{folder} is no adapter ({CARD}: {reason}); give one made by paxion patch or fuse") from None


def _config(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration from its entries in a card, of the right types."""
    types = get_type_hints(kind)
    for name, value in values.items():
        expected = types.get(name)
        if expected in (int, bool) and type(value) is not expected:
            raise TypeError(f"{name} is {value!r}, expected {expected.__name__}")
        if expected is int and value > LARGEST:
            raise ValueError(f"{name} is {value}, expected at most {LARGEST}")
        if expected is float and type(value) not in (int, float):
            raise TypeError(f"{name} is {value!r}, expected a number")
    return kind(**values)
