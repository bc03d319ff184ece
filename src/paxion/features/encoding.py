"""From decoded clips to features: one pass of the frozen backbone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from paxion.backbones.base import Backbone, Features
from paxion.features.numbers import number
from paxion.records import PaxionError
from paxion.video.controls import blind_clip
from paxion.video.transform import fit, normalise


@torch.no_grad()
def encode(backbone: Backbone, clips: Tensor, device: str) -> Features:
    """The features of clips (B, T, 3, size, size) uint8, on `device`. Raises PaxionError when its memory is too small.

    Frame vectors are given only for a backbone that works frame by frame: they are leave to reorder frames.
    """
    transform = backbone.transform
    try:
        features = backbone.encode_video(normalise(clips.to(device), transform.mean, transform.std))
    except torch.OutOfMemoryError:
        raise PaxionError(
            f"got a batch of {len(clips)} clips, too many for the memory of {device}; give a smaller one"
        ) from None
    vectors = features.frame_vectors if backbone.per_frame else None
    return Features(features.pooled.float(), features.tokens, vectors)


def encode_blind(backbone: Backbone, device: str) -> Features:
    """The features of the one grey clip."""
    size = backbone.transform.size
    return encode(backbone, fit(blind_clip(backbone.frames, size, size), backbone.transform)[None], device)


def fetch(features: Features, dtype: str) -> Callable[[], Features]:
    """Begin to copy features to the CPU, as a store of `dtype` holds them; the function that is given waits for them.

    Meanwhile a GPU can begin with the next batch.
    """
    if features.pooled.device.type != "cuda":
        return lambda: features

    def copied(part: str, values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        held = values if dtype == "int8" else values.to(number(part, dtype).memory)
        return held.to("cpu", non_blocking=True)

    pooled = features.pooled.to("cpu", non_blocking=True)
    found = Features(pooled, copied("tokens", features.tokens), copied("vectors", features.frame_vectors))
    ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
    ready.record(torch.cuda.current_stream(features.pooled.device))

    def wait() -> Features:
        ready.synchronize()
        return found

    return wait
