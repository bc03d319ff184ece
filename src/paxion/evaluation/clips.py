"""The vectors of all clips of a data set under a control. Many of them lie in a file, not in memory."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from paxion.backbones.base import Encoder, Features
from paxion.features.source import FeatureSource
from paxion.features.spec import BLIND
from paxion.records import PaxionError, Sample
from paxion.video.controls import frame_order

HELD = 2**28
"""Bytes of vectors that are held in memory. More go to a file in the folder for temporary files (TMPDIR)."""
MIRRORS = {"none": "reversed", "reversed": "none", "first": "last", "last": "first", "frozen": "frozen", BLIND: BLIND}
"""What a reversed clip shows under a control, said as a control of the clip itself."""


def mirror(control: str, frames: int) -> str | None:
    """The control of a clip that shows what its reversal shows under `control`; None if there is none."""
    if control == "middle" and frames % 2:
        return control
    return MIRRORS.get(control)


def clip_vectors(
    encoders: Sequence[Encoder],
    source: FeatureSource,
    keys: Mapping[str, str],
    samples: Sequence[Sample],
    *,
    control: str = "none",
    backwards: bool = False,
    seed: int = 0,
    batch: int = 256,
    device: str = "cpu",
) -> list[tuple[Tensor, Tensor | None]]:
    """Of each encoder, the vectors (B, Q, D) of the clips under a control and, if asked for, those of their reversals.

    Each clip is read once for all encoders. More than HELD bytes are kept in an unlinked temporary file that is mapped
    into memory: the system drops its pages when it needs the room.
    Raises PaxionError when that file does not fit on its disk.
    """
    forward = [Stack(len(samples)) for _ in encoders]
    backward = [Stack(len(samples)) for _ in encoders]
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        wanted = [keys[sample.id] for sample in part]
        seeds = [f"{sample.id}/{seed}" for sample in part]
        _encode(encoders, source.read(wanted, control, seeds), forward, device)
        if backwards:
            _encode(encoders, _turned(source, wanted, control, seeds), backward, device)
    return [
        (clips.whole(), turned.whole() if backwards else None) for clips, turned in zip(forward, backward, strict=True)
    ]


class Stack:
    """Rows (count, ...) of single precision that come in parts, in order."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._parts: list[Tensor] = []
        self._file: BinaryIO | None = None
        self._width: tuple[int, ...] = ()

    def add(self, part: Tensor) -> None:
        """Append rows. Raises PaxionError when they do not fit on the disk."""
        if not self._width:
            self._width = tuple(part.shape[1:])
            if self._bytes > HELD:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the rows)
        if self._file is None:
            self._parts.append(part)
            return
        try:
            self._file.write(np.ascontiguousarray(part.numpy()).data)
            self._file.flush()
        except OSError as error:
            raise PaxionError(
                f"cannot keep {self._bytes / 1e9:.1f} GB of vectors in {tempfile.gettempdir()}: {error.strerror}; "
                "free some space there or name another folder with TMPDIR"
            ) from error

    def whole(self) -> Tensor:
        """All rows. Those in a file are mapped, and go when the tensor does."""
        if self._file is None:
            return torch.cat(self._parts)
        # Copy on write: mapped for reading only, they would be a tensor that may not be written, which torch warns of.
        mapped = np.memmap(self._file, np.float32, "c", shape=(self.count, *self._width))
        self._file.close()
        return torch.from_numpy(np.asarray(mapped))

    @property
    def _bytes(self) -> int:
        return 4 * self.count * math.prod(self._width)


def _turned(source: FeatureSource, keys: Sequence[str], control: str, seeds: Sequence[str]) -> Features:
    """The features of the reversed clips under a control."""
    same = mirror(control, source.spec.frames)
    if same is not None:
        return source.read(keys, same, seeds)
    orders = torch.stack([frame_order(control, source.spec.frames, seed) for seed in seeds])
    return source.read(keys, "reversed").reordered(orders)


def _encode(encoders: Sequence[Encoder], features: Features, into: Iterable[Stack], device: str) -> None:
    tokens = None if features.tokens is None else features.tokens.to(device)
    there = Features(features.pooled.to(device), tokens)
    with torch.inference_mode():
        for encoder, stack in zip(encoders, into, strict=True):
            stack.add(encoder.encode_clips(there).float().cpu())
