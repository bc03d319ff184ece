"""The writer must not tell which way a clip ran: the reversal probe compares a clip with its own reversal."""

from pathlib import Path

import pytest
import torch

from paxion.records import PaxionError
from paxion.video.decode import read_clip
from paxion.video.encode import write_clip


def noisy(frames: int = 9, size: int = 64, seed: int = 0) -> torch.Tensor:
    """A soft picture that moves a little, with noise anew in every frame."""
    generator = torch.Generator().manual_seed(seed)
    still = torch.rand(1, 3, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(still, (size, size), mode="bicubic")[0].permute(1, 2, 0)
    moved = torch.stack([smooth.roll(2 * number, 0) for number in range(frames)])
    noise = 0.05 * torch.randn(moved.shape, generator=generator)
    return ((moved + noise).clamp(0, 1) * 255).to(torch.uint8)


def read(path: Path, frames: int = 9) -> torch.Tensor:
    return read_clip(path, "midpoint", frames).frames


def test_a_reversed_clip_decodes_to_the_reversed_frames(tmp_path: Path):
    clip = noisy()
    write_clip(tmp_path / "a.mp4", clip)
    write_clip(tmp_path / "b.mp4", clip.flip(0))
    assert torch.equal(read(tmp_path / "b.mp4"), read(tmp_path / "a.mp4").flip(0))


def test_every_frame_is_coded_alike_wherever_it_stands(tmp_path: Path):
    """Nine times the same noisy frame comes back as nine equal frames: none is refined or blurred by its neighbours."""
    write_clip(tmp_path / "a.mp4", noisy()[:1].expand(9, -1, -1, -1))
    frames = read(tmp_path / "a.mp4")
    assert torch.equal(frames, frames[:1].expand(9, -1, -1, -1))


def test_the_same_frames_give_the_same_file(tmp_path: Path):
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, noisy())
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_frames_come_back_close_and_quality_counts(tmp_path: Path):
    clip = noisy()
    errors = []
    for quality in (4, 18, 40):
        write_clip(tmp_path / "a.mp4", clip, quality=quality)
        # Luma only: 4:2:0 averages the colour of four pixels, noise and all.
        errors.append((read(tmp_path / "a.mp4").float().mean(-1) - clip.float().mean(-1)).abs().mean().item())
    assert errors[0] < errors[1] < errors[2]
    assert errors[1] < 6


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PaxionError, match="cannot write"):
        write_clip(tmp_path / "file" / "a.mp4", noisy())
