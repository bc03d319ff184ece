"""Fit the map of benchmarks/real_encoders.py from frames to texts, on single frames and captions of a train split.

    python benchmarks/align_encoders.py bench/manifest.jsonl --out runs/map.safetensors
    paxion probe bench/manifest.jsonl --model python:benchmarks/real_encoders.py:runs/map.safetensors

Ridge regression from a frame's features to the vector of its clip's caption. Each frame is fitted by itself, so what
comes out is as blind to the order of frames as the untrained map is; what a single frame shows, it may learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from safetensors.torch import save
from torch import Tensor, nn

from paxion.backbones.base import text_vectors
from paxion.features.extract import extract
from paxion.files import write_bytes
from paxion.manifest import read_manifest
from paxion.records import PaxionError
from real_encoders import unmapped

RIDGE = 1e-2
"""Weight of the penalty, as a share of the mean variance of all frames summed over the features."""


@dataclass(frozen=True)
class Align:
    manifest: Annotated[Path, tyro.conf.Positional]
    split: str = "train"
    out: Path = Path("runs/map.safetensors")
    store: Path = Path("features")


def fit_map(frames: Tensor, texts: Tensor, ridge: float = RIDGE) -> nn.Linear:
    """The linear map that takes frames to their captions, both as differences from their means: least squares, damped.

    The mean caption is left out of what the map gives: it is equal for all clips, and would prefer common captions.

    frames: (B, T, F) unit vectors; texts: (B, D). Raises PaxionError for fewer than two clips.
    """
    if len(frames) < 2:
        raise PaxionError(f"got {len(frames)} clips to fit a map on, expected at least 2; check the split")
    flat = frames.double().flatten(0, 1)
    mean = flat.mean(0)
    inputs = flat - mean
    wanted = (texts - texts.mean(0)).double().repeat_interleave(frames.shape[1], 0)
    gram = inputs.T @ inputs
    gram.diagonal().add_(ridge * gram.diagonal().sum())
    weight = torch.linalg.solve(gram, inputs.T @ wanted).T
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(weight)
        linear.bias.copy_(-weight @ mean)
    return linear.requires_grad_(False)


def main() -> None:
    """Fit a map and write it."""
    align = tyro.cli(Align, description=__doc__)
    samples = [sample for sample in read_manifest(align.manifest) if sample.split == align.split]
    backbone = unmapped()
    found = extract(backbone, align.manifest, samples, align.store, workers=0)
    rows = [sample for sample in samples if sample.id in found.keys]
    if len(rows) < 2:
        raise SystemExit(f"got {len(rows)} clips of split {align.split} that can be read, expected at least 2")
    frames = torch.cat([found.store.read([found.keys[row.id]]).frame_vectors.float() for row in rows])
    texts = text_vectors(backbone, [row.caption for row in rows])
    linear = fit_map(frames, torch.stack([texts[row.caption] for row in rows]))
    write_bytes(align.out, save({"weight": linear.weight.contiguous(), "bias": linear.bias.contiguous()}))
    print(f"the map, fitted on {len(rows)} clips: {align.out}")


if __name__ == "__main__":
    main()
