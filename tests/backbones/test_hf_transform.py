"""What the processors of Hugging Face do to a frame, as a Transform: the same pixels to a millionth."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from tiny_hf import FAMILIES, PATCH, SIZE, close, pooled, write_tiny
from torch import Tensor

from paxion.backbones.base import normalise
from paxion.backbones.hf_transform import patches, read_transform, transform_of
from paxion.backbones.hugging_face import load_hugging_face
from paxion.records import PaxionError
from paxion.video.transform import CLIP_MEAN, CLIP_STD, Transform, prepare

# Shrunk and enlarged, of odd margins, and of the right size already.
SHAPES = [(47, 61), (61, 47), (33, 33), (19, 26), (26, 19), (120, 37), (32, 32), (35, 32), (39, 53)]
PROCESSOR = {"do_resize": True, "resample": 2, "do_rescale": True, "do_normalize": False}


def noise(height: int, width: int, frames: int = 1) -> Tensor:
    return torch.randint(
        0, 256, (frames, height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(height)
    )


@pytest.fixture(scope="module", params=[family for family in FAMILIES if family != "videoprism"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of every family with an image processor; that of VideoPrism is one for video and needs torchvision."""
    return write_tiny(request.param, tmp_path_factory.mktemp("hf") / request.param)


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_the_transform_is_that_of_the_processor(folder: Path, height: int, width: int) -> None:
    if folder.name == "naflex":
        width = height  # it keeps the proportions of others
    frames = noise(height, width, 2)
    processor = hf.AutoImageProcessor.from_pretrained(folder)
    expected = torch.as_tensor(np.asarray(processor([frame.numpy() for frame in frames])["pixel_values"]))
    transform, patch = read_transform(folder)
    assert patch == (PATCH if folder.name == "naflex" else None)
    got = prepare(frames, transform)
    if patch:
        got = patches(got, patch)["pixel_values"]
    torch.testing.assert_close(got, expected.reshape(got.shape), rtol=0, atol=1e-6)


def test_naflex_patches_are_those_of_its_processor(tmp_path: Path) -> None:
    """With room for more patches than a square holds, the rest is padding that the mask hides."""
    folder = write_tiny("naflex", tmp_path / "naflex")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "max_num_patches": 19}))
    backbone, model = load_hugging_face(str(folder)), hf.AutoModel.from_pretrained(folder)
    frames = noise(45, 45, 2)
    inputs = hf.AutoImageProcessor.from_pretrained(folder)([frame.numpy() for frame in frames], return_tensors="pt")
    assert inputs["pixel_values"].shape[1] == 19
    with torch.inference_mode():
        got = backbone.encode_video(prepare(frames, backbone.transform)[None]).frame_vectors
        assert got is not None
        close(got[0], normalise(pooled(model.get_image_features(**inputs))))


@pytest.mark.skipif("videoprism" not in FAMILIES, reason="this transformers has no VideoPrism")
def test_a_video_processor_is_read_from_its_file(tmp_path: Path) -> None:
    """Pillow's bicubic to a square, and numbers from 0 to 1: what the tiny VideoPrism's file says."""
    folder = write_tiny("videoprism", tmp_path / "model")
    frames = noise(57, 91)
    expected = np.asarray(Image.fromarray(frames[0].numpy()).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) / 255
    transform, patch = read_transform(folder)
    assert patch is None
    got = prepare(frames, transform)[0].permute(1, 2, 0)
    torch.testing.assert_close(got, torch.from_numpy(expected).float(), rtol=0, atol=1e-6)
    nested = json.loads((folder / "processor_config.json").read_text())["video_processor"]
    (folder / "processor_config.json").unlink()
    (folder / "video_preprocessor_config.json").write_text(json.dumps(nested))
    assert read_transform(folder) == (transform, None)


def test_a_processor_within_a_processor(tmp_path: Path) -> None:
    """How transformers 5 writes it."""
    copy = write_tiny("clip", tmp_path / "model")
    expected = read_transform(copy)
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").unlink()
    (copy / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    assert read_transform(copy) == expected


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"size": {"height": 32, "width": 32}, "do_pad": True}, "padding"),
        ({"size": {"height": 32, "width": 48}}, "size"),
        ({"size": {"shortest_edge": 32}}, "without a crop"),
        ({"size": {"shortest_edge": 32, "longest_edge": 64}}, "longest_edge"),
        ({"size": {"shortest_edge": 24}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}}, "crop"),
        ({"size": {"shortest_edge": 64}, "do_center_crop": True, "crop_size": {"height": 32, "width": 48}}, "crop"),
        ({"size": {"height": 32, "width": 32}, "resample": 5}, "resample"),
        ({"size": {"height": 32, "width": 32}, "do_resize": False}, "do_resize"),
        ({}, "'size'"),
        ({"size": 32}, "size {'shortest_edge': 32} without a crop"),
        ({"size": "big"}, "size 'big'"),
        ({"size": 0, "do_center_crop": True, "crop_size": 0}, "size"),
        ({"size": 32, "do_center_crop": True, "crop_size": -1}, "a crop of -1"),
        ({"size": 10**6, "do_center_crop": True, "crop_size": 32}, "size"),
        ({"size": [32, 32], "do_normalize": True, "image_mean": 0.5}, "'image_std'"),
        ({"size": [32, 32], "do_normalize": True, "image_mean": [0.5], "image_std": 1}, r"image_mean \[0.5\]"),
        ({"size": [32, 32], "do_normalize": True, "image_mean": 0, "image_std": [1, 1, 0]}, r"image_std \[1, 1, 0\]"),
        ({"size": [32, 32], "do_normalize": True, "image_mean": 0, "image_std": -1}, "image_std -1"),
        ({"size": [32, 32], "do_normalize": True, "image_mean": math.nan, "image_std": 1}, "image_mean nan"),
        ({"size": [32, 32], "rescale_factor": 0}, "rescale_factor 0"),
        ({"size": [32, 32], "rescale_factor": None}, "rescale_factor None"),
        ({"size": [32, 32], "resample": [2]}, r"resample \[2\]"),
    ],
)
def test_what_a_transform_cannot_express_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(PaxionError, match=reason) as caught:
        transform_of({**PROCESSOR, **settings}, "here")
    assert "\n" not in str(caught.value)


def test_a_crop_from_a_larger_edge_is_expressed() -> None:
    settings = {**PROCESSOR, "size": {"shortest_edge": 40}, "do_center_crop": True, "resample": 3}
    got = transform_of({**settings, "crop_size": {"height": 32, "width": 32}}, "here")
    assert got == Transform(32, (0, 0, 0), (1, 1, 1), "short", 40, "bicubic", "down")


def test_plain_numbers_are_sizes() -> None:
    """As in older files: one number is the short edge, and the side of a crop; two are height and width."""
    settings = {**PROCESSOR, "size": 40, "do_center_crop": True, "crop_size": 32}
    assert transform_of(settings, "here") == Transform(32, (0, 0, 0), (1, 1, 1), "short", 40, "bilinear", "down")
    expected = Transform(32, (0, 0, 0), (1, 1, 1), "exact", None, "bilinear", "down")
    assert transform_of({**PROCESSOR, "size": [32, 32]}, "here") == expected


ODD = [None, [], {}, "x", True, -1, 0, 1.5, 32, [1, 2], math.nan, math.inf, 10**9, {"height": 32}, {"shortest_edge": 0}]
KEYS = [
    *("do_resize", "size", "resample", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"),
    *("do_center_crop", "crop_size", "do_pad", "max_num_patches", "patch_size"),
    *("video_processor", "video_processor_type", "image_processor_type"),
]


@pytest.mark.parametrize("family", ["clip", "naflex", "videoprism"])
@pytest.mark.parametrize("key", KEYS)
def test_whatever_a_setting_holds(families: dict[str, Path], tmp_path: Path, family: str, key: str) -> None:
    """Either a transform that can be run or one line that names the folder."""
    if family not in families:
        pytest.skip("of a later transformers")
    name = "processor_config.json" if family == "videoprism" else "preprocessor_config.json"
    (tmp_path / "config.json").write_text((families[family] / "config.json").read_text())
    for value in ODD:
        content = json.loads((families[family] / name).read_text())
        (content if key == "video_processor" else content.get("video_processor", content))[key] = value
        (tmp_path / name).write_text(json.dumps(content))
        try:
            transform, _ = read_transform(tmp_path)
        except PaxionError as error:
            assert "\n" not in str(error) and str(tmp_path) in str(error), (key, value)
        else:
            assert torch.isfinite(prepare(noise(33, 47), transform)).all(), (key, value)


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {
        family: write_tiny(family, root / family) for family in ("clip", "naflex", "videoprism") if family in FAMILIES
    }


def test_a_folder_without_a_processor(families: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((families["clip"] / "config.json").read_text())
    with pytest.raises(PaxionError, match=r"has no image processor \(preprocessor_config\.json\)"):
        read_transform(tmp_path)


def test_a_processor_that_does_more_than_it_says_is_refused(tmp_path: Path) -> None:
    """EfficientNet's divides by the deviation once more when include_top is set."""
    folder = write_tiny("align", tmp_path / "model")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "include_top": True}))
    with pytest.raises(PaxionError, match=r"EfficientNet.*does more to a frame"):
        load_hugging_face(str(folder))


def test_the_statistics_of_clip_are_the_library_s() -> None:
    processor = hf.CLIPImageProcessor()
    assert tuple(processor.image_mean) == CLIP_MEAN and tuple(processor.image_std) == CLIP_STD
