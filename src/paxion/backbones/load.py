"""From a name to a backbone: `world`, or `world:PATH` for weights of your own."""

from __future__ import annotations

from pathlib import Path

from paxion.backbones.base import Backbone
from paxion.backbones.world import SHIPPED, load_world
from paxion.records import unknown_name

SCHEMES = {"world": "the small order-blind backbone that ships with the package; world:PATH reads other weights"}


def load_backbone(name: str, device: str = "cpu") -> Backbone:
    """The frozen backbone of a name, in eval mode on `device`. Raises PaxionError for a name that is not known."""
    scheme, _, path = name.partition(":")
    if scheme not in SCHEMES:
        raise unknown_name("backbone", scheme, SCHEMES)
    return load_world(Path(path) if path else SHIPPED).to(device)
