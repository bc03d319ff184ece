"""Adapters on disk: a few MB of safetensors and a JSON card, never the backbone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from paxion import __version__
from paxion.backbones.base import Backbone
from paxion.files import make_folder, write_bytes, write_text
from paxion.patching.fuser import FuserConfig
from paxion.patching.model import PatchedEncoder, PatchedModel
from paxion.patching.patcher import PatcherConfig
from paxion.patching.recipes import Recipe
from paxion.records import PaxionError

CARD, WEIGHTS = "adapter.json", "adapter.safetensors"


def save_adapter(
    folder: Path, name: str, model: PatchedModel, backbone: Backbone, recipe: Recipe, provenance: Mapping[str, Any]
) -> None:
    """Write a trained patcher (and fuser) with what is needed to load it again. The card is written last."""
    make_folder(folder)
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    write_bytes(folder / WEIGHTS, save(weights))
    card = {
        "paxion": __version__,
        "name": name,
        "backbone": {"name": backbone.name, "revision": backbone.revision},
        "patcher": asdict(model.patcher.config),
        "fuser": None if model.fuser is None else asdict(model.fuser.config),
        "recipe": asdict(recipe),
        "provenance": dict(provenance),
    }
    write_text(folder / CARD, json.dumps(card, indent=1) + "\n")


def load_adapter(folder: Path, backbone: Backbone, device: str = "cpu") -> PatchedEncoder:
    """The patched model of an adapter folder, in eval mode, on the backbone that it was trained on.

    Raises PaxionError when the folder is no adapter, or was trained on another backbone or revision.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        fuser = card["fuser"] and FuserConfig(**card["fuser"])
        model = PatchedModel(PatcherConfig(**card["patcher"]), fuser)
        trained_on, name = (card["backbone"]["name"], card["backbone"]["revision"]), str(card["name"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise PaxionError(
            f"{folder} is no adapter ({CARD}: {type(error).__name__}: {error}); give one made by paxion patch or fuse"
        ) from None
    if trained_on != (backbone.name, backbone.revision):
        raise PaxionError(
            f"{folder} was trained on {trained_on[0]} {trained_on[1]}, got {backbone.name} "
            f"{backbone.revision}; load that backbone, or train again"
        )
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise PaxionError(f"{folder / WEIGHTS} cannot be loaded ({reason}); train again, or copy it again") from None
    return PatchedEncoder(name, backbone, model.to(device).eval().requires_grad_(False))
