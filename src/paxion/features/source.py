"""What training and evaluation read features from: a store on disk, or the frozen backbone itself, on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from paxion.backbones.base import Features
from paxion.features.spec import StoreSpec


class FeatureSource(Protocol):
    """Features of clips by their keys (`spec.clip_key`): `store.FeatureStore` and `live.LiveFeatures` are such.

    A clip's features do not depend on what it is read with, up to rounding; a clip that the source cannot give is an
    error, never another clip.
    """

    @property
    def spec(self) -> StoreSpec:
        """What made the features.

        per_frame: the tokens of a reordered clip are the reordered tokens. Who needs nothing but the tokens of the
        reversed clip flips those that it has read and does not read it: pooled may cost another pass.
        """
        ...

    @property
    def reorderable(self) -> bool:
        """Whether all that is said of a reordered clip can be derived, pooled too: every control is there to be read,
        drawn from any seed. Otherwise a shuffled clip is drawn from its key.
        """
        ...

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        """The features of B clips under a control (video/controls.py), in the order of the keys; keys may repeat.

        seeds: what the shuffled order of each clip is drawn from, where `reorderable` (default: its key).
        Raises PaxionError when a clip is not there.
        """
        ...

    def prefetch(self, keys: Sequence[str]) -> None:
        """Say what is read next. Returns at once; it changes the time that the read takes, never what it gives."""
        ...
