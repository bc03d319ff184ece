"""What features ought to be: clips through the backbone, without any store."""

from __future__ import annotations

from pathlib import Path

import torch

from paxion.backbones.base import Features
from paxion.manifest import video_path
from paxion.video.controls import apply
from paxion.video.decode import read_clip
from paxion.video.transform import prepare


def from_scratch(backbone, manifest: Path, samples, control: str, keys: list[str]) -> Features:
    """The controlled clips through the backbone."""
    videos = []
    for sample, key in zip(samples, keys, strict=True):
        frames = read_clip(video_path(manifest, sample), "midpoint", backbone.frames).frames
        videos.append(prepare(apply(control, frames, key), backbone.transform))
    return backbone.encode_video(torch.stack(videos))


def assert_same(found: Features, expected: Features) -> None:
    torch.testing.assert_close(found.pooled, expected.pooled, rtol=0, atol=2e-3)
    assert found.tokens is not None and expected.tokens is not None
    torch.testing.assert_close(found.tokens.float(), expected.tokens.float(), rtol=2e-3, atol=2e-3)
