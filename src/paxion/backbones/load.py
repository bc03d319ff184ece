"""From a name to a backbone: a scheme, what it needs after a colon, and options after commas.

world    clip-vip:/weights/pretrain_clipvip_base_32.pt    hf:openai/clip-vit-base-patch32@3d74acf,frames=16,dtype=bf16
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from paxion.backbones.base import Backbone
from paxion.backbones.reduced import check_way, reduced
from paxion.records import PaxionError, unknown_name

AFTER = ("dtype", "compile", "tokens")
"""Options of every backbone, which do not concern its loader."""
OWN = ("frames", "size", "preprocessing", "vocabulary", *AFTER)


@dataclass(frozen=True)
class Scheme:
    """A kind of backbone."""

    loader: str
    """module:function, called with the path and those options that it knows; imported when it is needed."""
    path: str
    """What follows the colon; brackets around what may be left out."""
    about: str
    options: tuple[str, ...]


SCHEMES = {
    "world": Scheme(
        "paxion.backbones.world:load_world", "[PATH]", "the small order-blind backbone that ships with the package",
        AFTER,
    ),
    "internvideo": Scheme(
        "paxion.backbones.internvideo:load_internvideo", "PATH", "InternVideo-MM-L/14 or B/16, a published checkpoint",
        OWN,
    ),
    "clip-vip": Scheme(
        "paxion.backbones.clip_vip:load_clip_vip", "PATH", "CLIP-ViP-B/32 or B/16, a published checkpoint", OWN
    ),
    "singularity": Scheme(
        "paxion.backbones.singularity:load_singularity", "PATH", "Singularity-temporal, a published checkpoint",
        OWN,
    ),
    "hf": Scheme(
        "paxion.backbones.hugging_face:load_hugging_face", "ID[@REVISION] or FOLDER",
        "any Hugging Face model with get_text_features and get_image_features or get_video_features",
        ("frames", "layer", *AFTER),
    ),
    "open-clip": Scheme(
        "paxion.backbones.open_clip:load_open_clip", "MODEL/PRETRAINED or MODEL/PATH",
        "a model of open_clip (extra: openclip)", ("frames", *AFTER),
    ),
    "python": Scheme(
        "paxion.backbones.own:load_own", "FILE.py[:FUNCTION]", "a backbone of your own: the function returns it",
        AFTER,
    ),
    "lora": Scheme(
        "paxion.backbones.low_rank:load_low_rank", "FOLDER", "a backbone with the update that paxion lora trained",
        AFTER,
    ),
}  # fmt: skip

OPTIONS = {
    "frames": "frames of a clip",
    "layer": "which layer's tokens the patcher reads, counted as the model does; -1 is the last",
    "size": "side of the input in pixels, if not as trained: positions are interpolated",
    "preprocessing": "own (as the backbone was trained) or paper (as published with Paxion)",
    "vocabulary": "file or folder of the tokenizer",
    "dtype": "precision of the backbone: float32, bf16 or fp16",
    "compile": "yes: torch.compile",
    "tokens": "which tokens of a frame are kept: all, pool2 (the mean of each 2 x 2), or every2, every3, ...",
}
NUMBERS = ("frames", "layer", "size")
SAME = {"bfloat16": "bf16", "float16": "fp16", "fp32": "float32"}
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def load_backbone(name: str, device: str = "cpu") -> Backbone:
    """The frozen backbone of a name, in eval mode on `device`.

    Raises PaxionError for a scheme or option that is not known, and for weights that are missing or do not fit.
    """
    scheme, path, options = parse(name)
    module, _, function = SCHEMES[scheme].loader.partition(":")
    numbers = dict.fromkeys(NUMBERS, int)
    own = {key: numbers.get(key, str)(value) for key, value in options.items() if key not in AFTER}
    backbone: Any = getattr(importlib.import_module(module), function)(path, **own)
    if not isinstance(backbone, nn.Module):
        if options.keys() & {"dtype", "compile"} or device != "cpu":
            raise PaxionError(
                f"{name} is no torch module, so it cannot be moved or converted; derive it from nn.Module"
            )
        return reduced(cast(Backbone, backbone), options.get("tokens", "all"))
    backbone = backbone.to(device)
    if "dtype" in options:
        backbone = backbone.to(DTYPES[options["dtype"]])
        backbone.revision += f"-{options['dtype']}"
    if options.get("compile") == "yes":
        backbone.encode_video = torch.compile(backbone.encode_video)
    return reduced(cast(Backbone, backbone), options.get("tokens", "all"))


def lasting(name: str, backbone: Backbone) -> str:
    """The name that loads this very backbone again: from any folder, and when the hub has moved on."""
    scheme, path, options = parse(absolute(name))
    return _joined(scheme, getattr(backbone, "pinned", None) or path, options)


def absolute(name: str) -> str:
    """The same name with its files and folders given from the root: it still holds in another folder."""
    scheme, path, options = parse(name)
    if "vocabulary" in options:
        options["vocabulary"] = _from_root(options["vocabulary"])
    if scheme == "python":
        file, _, function = path.partition(".py:")
        path = f"{_from_root(f'{file}.py')}:{function}" if function else _from_root(path)
    elif scheme == "open-clip":
        model, _, weights = path.partition("/")
        path = f"{model}/{_from_root(weights)}" if weights else path
    else:
        path = _from_root(path)
    return _joined(scheme, path, options)


def _joined(scheme: str, path: str, options: dict[str, str]) -> str:
    return "".join([scheme, f":{path}" if path else "", *(f",{key}={value}" for key, value in options.items())])


def _from_root(path: str) -> str:
    return str(Path(path).resolve()) if path and Path(path).exists() else path


def parse(name: str) -> tuple[str, str, dict[str, str]]:
    """The scheme, the path and the options of a backbone's name, checked."""
    rest = name
    options: dict[str, str] = {}
    while found := re.fullmatch(r"(.*),([a-z]+)=([^,]*)", rest, re.DOTALL):
        path = rest.partition(":")[2]
        if path and Path(path).exists():
            break  # a path with a comma and an equals sign in its own name
        if found[2] in options:
            raise PaxionError(f"got {found[2]} twice in {name!r}, expected it once")
        rest, options = found[1], {found[2]: found[3], **options}
    if options.get("dtype") in SAME:
        options["dtype"] = SAME[options["dtype"]]
    scheme, _, path = rest.partition(":")
    if scheme not in SCHEMES:
        raise unknown_name("backbone", scheme, SCHEMES)
    known = SCHEMES[scheme]
    if not path and not known.path.startswith("["):
        raise PaxionError(f"got backbone {name!r}, expected {scheme}:{known.path}")
    for key, value in options.items():
        if key not in known.options:
            raise unknown_name(f"option of {scheme}", key, known.options)
        if key in NUMBERS and not re.fullmatch(r"-?\d+", value):
            raise PaxionError(f"got {key}={value}, expected a whole number")
        if key in ("frames", "size") and int(value) < 1:
            raise PaxionError(f"got {key}={value}, expected at least 1")
        choices = {"dtype": tuple(DTYPES), "compile": ("yes", "no"), "preprocessing": ("own", "paper")}.get(key)
        if choices and value not in choices:
            raise unknown_name(key, value, choices)
        if key == "tokens":
            check_way(value)
    return scheme, path, options
