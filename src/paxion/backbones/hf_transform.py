"""What a Hugging Face folder asks to be done to a frame, as a `Transform`: read from its configuration, then compared.

The processors themselves are not used on videos: those for video need torchvision, and each scales in its own way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paxion.backbones.hf_files import one_line
from paxion.records import PaxionError
from paxion.video.transform import Interpolation, Transform, prepare

Settings = Mapping[str, Any]
Channels = tuple[float, float, float]
METHODS: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""By Pillow's numbers, which the configurations use."""
LARGEST = 4096
"""Side of a frame in pixels; what is larger is a slip."""
PROCESSORS = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
TOLERANCE = 1e-3
"""Mean difference from the processor, in normalised units: rounding, and the two grey levels by which torchvision's
scaling differs from Pillow's on single pixels. A crop that is a pixel off is a thousand times worse on noise."""


def read_transform(folder: Path) -> tuple[Transform, int | None]:
    """The transform of the folder's processor, and the side of a patch where the model takes patches (see `patches`).

    Raises PaxionError where there is none, or where it does what a `Transform` cannot express. An image processor is
    run on two noisy frames and must agree. A video processor is read from its JSON file only.
    """
    settings = _video_settings(folder)
    if settings is not None:
        return transform_of(settings, str(folder)), None
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise PaxionError(f"{folder} has no image processor ({PROCESSORS[0]}); save the model's processor to it")
    from transformers import AutoImageProcessor

    with one_line(f"cannot read the image processor of {folder}"):
        processor = AutoImageProcessor.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, backend="pil"
        )
        settings, patch = processor.to_dict(), None
        if {"max_num_patches", "patch_size"} <= set(settings):
            patch = int(settings["patch_size"])
            settings["size"] = [patch * math.isqrt(int(settings["max_num_patches"]))] * 2
    transform = transform_of(settings, str(folder))
    edge = transform.edge or transform.size
    small, large = (edge // 2 + 1, edge // 2 + 8), (2 * edge - 1, edge + 11)
    if patch:  # whose frames keep their proportions: only square ones are treated alike
        small, large = (edge // 2 + 1,) * 2, (2 * edge - 1,) * 2
    with one_line(f"cannot run the image processor of {folder}"):
        for height, width in (small, large):
            _compare(processor, transform, patch, height, width, folder)
    return transform, patch


def _video_settings(folder: Path) -> Settings | None:
    """The settings of the folder's video processor; None when it has none."""
    for name in ("processor_config.json", "video_preprocessor_config.json", "preprocessor_config.json"):
        path = folder / name
        if not path.is_file():
            continue
        with one_line(f"{path} is no JSON file"):
            content = json.loads(path.read_text(encoding="utf-8"))
        content = content if isinstance(content, dict) else {}
        found = content.get("video_processor") or content
        if not isinstance(found, dict):
            raise PaxionError(f"{path} holds {found!r} as its video_processor, expected settings; download it again")
        if "video_processor_type" in found or name.startswith("video_"):
            return dict(found)
    return None


def transform_of(settings: Settings, source: str) -> Transform:
    """A processor's settings, named as Hugging Face names them, as a Transform.

    Raises PaxionError for a setting that is missing or makes no sense, or that a Transform cannot express. source: what
    messages name.
    """
    with one_line(f"cannot read the settings of the processor of {source}"):
        return _transform(settings, source)


def _transform(settings: Settings, source: str) -> Transform:
    def refusal(what: str) -> PaxionError:
        return PaxionError(f"the processor of {source} asks for {what}, which paxion does not do to a frame")

    normalised = ("image_mean", "image_std") if settings.get("do_normalize") else ()
    for name in ("do_resize", "size", "resample", "do_rescale", "do_normalize", *normalised):
        if name not in settings:
            raise PaxionError(f"the processor of {source} does not say {name!r}; add it to its JSON file")
    if settings.get("do_pad") or not settings["do_resize"]:
        raise refusal("padding" if settings.get("do_pad") else "frames of any size (do_resize is false)")
    size = _sides(settings["size"], ("shortest_edge",))
    edge, exact = _side(size), "height" in size
    if set(size) not in ({"shortest_edge"}, {"height", "width"}) or edge is None:
        raise refusal(f"size {size or repr(settings['size'])}")
    side = edge
    if settings.get("do_center_crop"):
        crop = _sides(settings.get("crop_size"), ("height", "width"))
        cropped = _side(crop)
        if set(crop) != {"height", "width"} or cropped is None or cropped > edge:
            raise refusal(f"a crop of {settings.get('crop_size')!r} from {size}")
        side = cropped
    elif not exact:
        raise refusal(f"size {size} without a crop")
    method = next((method for number, method in METHODS.items() if number == settings["resample"]), None)
    if method is None:
        raise refusal(f"resample {settings['resample']!r}")
    mean, std = _normalisation(settings, source)
    return Transform(side, mean, std, "exact" if exact else "short", None if edge == side else edge, method, "down")


def _sides(given: Any, of_one: tuple[str, ...]) -> dict[str, Any]:
    """A size by its names. Older files have plain numbers: one, which stands for the sides `of_one`, or two."""
    if isinstance(given, Mapping):
        return {str(key): value for key, value in given.items() if value is not None}
    if type(given) is int:
        return dict.fromkeys(of_one, given)
    return dict(zip(("height", "width"), given, strict=True)) if isinstance(given, list) and len(given) == 2 else {}


def _side(size: Mapping[str, Any]) -> int | None:
    """The side that all sides are equal to, if it is one of a frame."""
    first = next(iter(size.values()), None)
    same = type(first) is int and 1 <= first <= LARGEST and all(side == first for side in size.values())
    return first if same else None


def _normalisation(settings: Settings, source: str) -> tuple[Channels, Channels]:
    """Mean and std of values in 0 .. 1 that amount to the settings' rescaling and normalisation."""

    def wrong(what: str) -> PaxionError:
        return PaxionError(f"the processor of {source} has {what}; mend its JSON file")

    def channels(name: str, default: float) -> Channels:
        given = settings[name] if settings["do_normalize"] else default
        values = given if isinstance(given, list | tuple) else [given] * 3
        if len(values) != 3 or not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
            raise wrong(f"{name} {given!r}, expected three numbers")
        return float(values[0]), float(values[1]), float(values[2])

    per_step = settings.get("rescale_factor", 1 / 255) if settings["do_rescale"] else 1.0
    if not isinstance(per_step, int | float) or not 0 < per_step < math.inf:
        raise wrong(f"rescale_factor {per_step!r}, expected a number above 0")
    factor, offset = 255 * per_step, 1.0 if settings.get("rescale_offset") else 0.0
    mean, std = channels("image_mean", 0.0), channels("image_std", 1.0)
    if min(std) <= 0:
        raise wrong(f"image_std {settings['image_std']}, expected numbers above 0")
    first, second, third = ((value + offset) / factor for value in mean)
    one, two, three = (value / factor for value in std)
    return (first, second, third), (one, two, three)


def patches(frames: Tensor, patch: int) -> dict[str, Tensor]:
    """Square frames (N, 3, S, S) as the input of a model that takes patches (SigLIP 2 NaFlex): all of them are seen.

    Gives pixel_values (N, S/patch squared, patch * patch * 3), pixel_attention_mask and spatial_shapes.
    """
    count, channels, grid = frames.shape[0], frames.shape[1], frames.shape[-1] // patch
    cut = frames.reshape(count, channels, grid, patch, grid, patch).permute(0, 2, 4, 3, 5, 1)
    return {
        "pixel_values": cut.reshape(count, grid * grid, patch * patch * channels),
        "pixel_attention_mask": torch.ones(count, grid * grid, dtype=torch.int32, device=frames.device),
        "spatial_shapes": torch.full((count, 2), grid, dtype=torch.long, device=frames.device),
    }


def _compare(processor: Any, transform: Transform, patch: int | None, height: int, width: int, folder: Path) -> None:
    """Raise PaxionError unless a noisy frame comes out of the transform as out of the processor."""
    noise = torch.Generator().manual_seed(0)
    frame = torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8, generator=noise)
    got = prepare(frame, transform)
    if patch:
        got = patches(got, patch)["pixel_values"]
    expected = torch.as_tensor(processor([frame[0].numpy()], return_tensors="pt")["pixel_values"])
    if patch:
        expected = expected[:, : got.shape[1]]  # what follows is padding
    if expected.numel() != got.numel() or (expected.reshape(got.shape) - got).abs().mean() > TOLERANCE:
        raise PaxionError(
            f"the processor of {folder} ({type(processor).__name__}) does more to a frame than its settings say, and "
            "paxion cannot follow it; save the model with the processor of a model that paxion reads"
        )
