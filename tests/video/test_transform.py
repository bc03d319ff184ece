from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from paxion.video.transform import (
    CLIP_MEAN,
    CLIP_STD,
    Half,
    Interpolation,
    Transform,
    crop,
    normalise,
    prepare,
    resize,
    short_side,
)

PUBLISHED = Path(__file__).parents[3] / "shared" / "golden" / "x_video_transform"


def noise(height: int, width: int, frames: int = 5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (frames, height, width, 3), dtype=torch.uint8, generator=generator)


def pillow(frames: Tensor, width: int, height: int, method: Image.Resampling) -> Tensor:
    resized = [np.asarray(Image.fromarray(frame.numpy()).resize((width, height), method)) for frame in frames]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("name", "edge"),
    [
        ("a", 32),  # 40 x 52 shrunk; the margin of the crop is odd
        ("b", 40),  # right size already, only cropped
        ("c", 32),  # nothing to do
        ("d", 32),  # 20 x 24 enlarged
    ],
)
def test_published_transform(name: str, edge: int) -> None:
    """A grey level is 0.014 here: not one pixel may be a level off."""
    if not PUBLISHED.is_dir():
        pytest.skip("the published outputs are not on this machine")
    frames = load_file(PUBLISHED / "inputs.safetensors")[name]
    expected = load_file(PUBLISHED / "outputs.safetensors")[name]
    got = prepare(frames, Transform(32, edge=edge, interpolation="bilinear"))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "lanczos", "nearest"])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 48), (101, 57), (20, 31), (32, 200)])
def test_resize_is_that_of_pillow(height: int, width: int, interpolation: Interpolation) -> None:
    frames = noise(height, width)
    short = min(height, width)
    shape = 32 * height // short, 32 * width // short
    assert short_side(height, width, 32) == shape
    got = resize(frames.permute(0, 3, 1, 2), shape, interpolation)
    assert torch.equal(got, pillow(frames, shape[1], shape[0], Image.Resampling[interpolation.upper()]))


@pytest.mark.parametrize(("edge", "first"), [(None, 0), (32, 0), (37, 2)])
def test_exact_scales_both_sides(edge: int | None, first: int) -> None:
    frames = noise(41, 27)
    scaled = pillow(frames, edge or 32, edge or 32, Image.Resampling.BICUBIC)
    got = prepare(frames, Transform(32, (0, 0, 0), (1, 1, 1), "exact", edge))
    assert torch.equal(got, scaled[..., first : first + 32, first : first + 32] / 255)


def test_right_size_is_left_alone() -> None:
    video = noise(32, 50).permute(0, 3, 1, 2)
    assert resize(video, (32, 50)) is video
    square = noise(32, 32)
    assert torch.equal(prepare(square, Transform(32, (0, 0, 0), (1, 1, 1))), square.permute(0, 3, 1, 2) / 255)


def test_the_long_side_is_rounded_down() -> None:
    assert short_side(40, 59, 32) == (32, 47)  # 47.2
    assert short_side(59, 41, 32) == (46, 32)  # 46.05
    assert short_side(41, 51, 32) == (32, 39)  # 39.8


@pytest.mark.parametrize("half", ["even", "down"])
@pytest.mark.parametrize(
    ("side", "even", "down"), [(32, 0, 0), (33, 0, 0), (34, 1, 1), (35, 2, 1), (36, 2, 2), (39, 4, 3), (41, 4, 4)]
)
def test_crop_is_central(side: int, even: int, down: int, half: Half) -> None:
    first = even if half == "even" else down
    columns = torch.arange(side).expand(1, 3, 32, side)
    assert torch.equal(crop(columns, 32, half)[0, 0, 0], torch.arange(first, first + 32))
    rows = columns.transpose(2, 3)
    assert torch.equal(crop(rows, 32, half)[0, 0, :, 0], torch.arange(first, first + 32))
    frames = torch.arange(side, dtype=torch.uint8)[:, None, None].expand(1, side, 50, 3)
    shown = prepare(frames, Transform(32, (0, 0, 0), (1, 1, 1), edge=side, half=half))[0, 0, :, 0]
    assert (shown * 255).round().tolist() == list(range(first, first + 32))


def test_normalise_is_per_channel() -> None:
    video = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    got = normalise(video, (0.5, 0.1, 0.0), (0.5, 0.2, 2.0))
    assert got.flatten().tolist() == pytest.approx([-1.0, 0.5, 0.5])


@pytest.mark.parametrize(("height", "width"), [(48, 64), (33, 97), (20, 24)])
def test_transform_of_the_reversed_clip_is_the_reversed_transform(height: int, width: int) -> None:
    frames = noise(height, width, frames=8)
    transform = Transform(32, CLIP_MEAN, CLIP_STD)
    video = prepare(frames, transform)
    assert video.shape == (8, 3, 32, 32) and video.dtype == torch.float32 and video.is_contiguous()
    assert torch.equal(prepare(frames.flip(0), transform), video.flip(0))
    for number in range(8):
        assert torch.equal(prepare(frames[number : number + 1], transform)[0], video[number])
