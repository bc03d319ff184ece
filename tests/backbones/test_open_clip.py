"""open_clip models, tiny and random, where the package can be imported: it needs a torchvision that fits torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from paxion.backbones.base import normalise, token_projection
from paxion.backbones.load import load_backbone
from paxion.backbones.open_clip import OpenClipBackbone, load_open_clip, transform_of
from paxion.records import PaxionError
from paxion.testing import check_encoder
from paxion.video.transform import CLIP_MEAN, CLIP_STD, Transform, prepare

try:
    import open_clip

    absent = ""
except (ImportError, RuntimeError) as error:
    absent = f"open_clip cannot be imported: {str(error).splitlines()[0]}"
needs_open_clip = pytest.mark.skipif(bool(absent), reason=absent)

TEXTS = ["a person opens the door", "A person closes the door."]
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.mark.skipif(not absent, reason="open_clip is here")
def test_without_the_package_the_extra_is_named() -> None:
    with pytest.raises(PaxionError, match=r"pip install 'paxion\[openclip\]'") as caught:
        load_backbone("open-clip:ViT-B-32/laion2b_s34b_b79k")
    assert "\n" not in str(caught.value)


SQUARE = {"size": (48, 48), "mean": (0.5,) * 3, "std": (0.25,) * 3}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"size": 32, "mean": CLIP_MEAN, "std": CLIP_STD}, Transform(32)),
        (
            {**SQUARE, "resize_mode": "squash", "interpolation": "bilinear"},
            Transform(48, (0.5,) * 3, (0.25,) * 3, "exact", interpolation="bilinear"),
        ),
        ({**SQUARE, "resize_mode": "shortest", "interpolation": "random"}, Transform(48, (0.5,) * 3, (0.25,) * 3)),
    ],
)
def test_preprocessing_as_a_transform(settings: dict[str, Any], expected: Transform) -> None:
    assert transform_of(settings, "model") == expected


@pytest.mark.parametrize("change", [{"resize_mode": "longest"}, {"size": (48, 32)}])
def test_preprocessing_that_is_not_expressed(change: dict[str, Any]) -> None:
    with pytest.raises(PaxionError, match="which paxion does not do"):
        transform_of({**SQUARE, **change}, "model")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models that open_clip knows by name, with weights."""
    folder = tmp_path_factory.mktemp("open_clip")
    average = {**TINY["vision_cfg"], "pool_type": "avg"}  # type: ignore[dict-item]
    for name, config in (("tiny-clip", TINY), ("tiny-average", {**TINY, "vision_cfg": average, "custom_text": True})):
        (folder / f"{name}.json").write_text(json.dumps(config))
        open_clip.add_model_config(folder / f"{name}.json")
        torch.manual_seed(0)
        save_file(open_clip.create_model(name).state_dict(), folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module", params=["tiny-clip", "tiny-average"])
def tiny(request: pytest.FixtureRequest, folder: Path) -> tuple[OpenClipBackbone, Any]:
    file = str(folder / f"{request.param}.safetensors")
    backbone = load_backbone(f"open-clip:{request.param}/{file}")
    assert isinstance(backbone, OpenClipBackbone)
    return backbone, open_clip.create_model(request.param, pretrained=file).eval()


@needs_open_clip
@torch.inference_mode()
def test_vectors_and_tokens_are_the_model_s(tiny: tuple[OpenClipBackbone, Any]) -> None:
    backbone, model = tiny
    video = torch.randn(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    got = backbone.encode_video(video)
    each = normalise(model.encode_image(video.flatten(0, 1))).view(2, 3, -1)
    torch.testing.assert_close(got.frame_vectors, each)
    torch.testing.assert_close(got.pooled, normalise(each.mean(1)))
    seen: list[Tensor] = []
    model.visual.transformer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.encode_image(video.flatten(0, 1))
    torch.testing.assert_close(got.tokens, seen[0].view(2, 3, 17, 64))
    assert (backbone.dim, backbone.token_width, backbone.tokens_per_frame, backbone.frames) == (16, 64, 17, 8)
    numbers = open_clip.get_tokenizer("tiny-clip")(TEXTS)
    torch.testing.assert_close(backbone.encode_texts(TEXTS), model.encode_text(numbers, normalize=True))


@needs_open_clip
def test_the_contract_and_the_projection(tiny: tuple[OpenClipBackbone, Any], folder: Path) -> None:
    backbone, model = tiny
    assert check_encoder(backbone).failures() == []
    linear = token_projection(backbone)
    assert isinstance(linear, nn.Linear)
    torch.testing.assert_close(linear(torch.eye(64)), model.visual.proj.detach())
    half = load_backbone(f"open-clip:tiny-clip/{folder / 'tiny-clip.safetensors'},dtype=bf16")
    assert half.encode_video(torch.randn(1, 2, 3, 32, 32)).pooled.dtype == torch.bfloat16


@needs_open_clip
@pytest.mark.parametrize("mode", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("height", "width"), [(47, 61), (61, 47), (33, 33), (19, 26), (120, 37), (32, 35)])
def test_the_transform_is_open_clip_s(mode: str, interpolation: str, height: int, width: int) -> None:
    frame = torch.randint(
        0, 256, (1, height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(height)
    )
    settings = {"size": 32, "mean": CLIP_MEAN, "std": CLIP_STD, "resize_mode": mode, "interpolation": interpolation}
    own = open_clip.image_transform(
        32, is_train=False, mean=CLIP_MEAN, std=CLIP_STD, resize_mode=mode, interpolation=interpolation
    )
    expected = own(Image.fromarray(np.asarray(frame[0])))
    torch.testing.assert_close(prepare(frame, transform_of(settings, "tiny"))[0], expected, rtol=0, atol=1e-6)


@needs_open_clip
def test_a_folder_of_open_clip(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": TINY, "preprocess_cfg": {"size": 32, "resize_mode": "squash"}})
    )
    (tmp_path / "open_clip_model.safetensors").write_bytes((folder / "tiny-clip.safetensors").read_bytes())
    backbone = load_open_clip(f"local-dir:{tmp_path}", frames=5)
    assert (backbone.transform.resize, backbone.frames) == ("exact", 5)
    assert backbone.revision == load_open_clip(f"tiny-clip/{folder / 'tiny-clip.safetensors'}").revision
    (tmp_path / "open_clip_model.safetensors").unlink()
    refused(f"local-dir:{tmp_path}", "cannot load open-clip:local-dir:")


@needs_open_clip
def test_a_cut_text_is_told_once(tiny: tuple[OpenClipBackbone, Any], recwarn: pytest.WarningsRecorder) -> None:
    backbone = tiny[0]
    backbone.encode_texts(TEXTS)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="reads 24 tokens and cuts what is longer"):
        backbone.encode_texts([*TEXTS, "a person opens the door " * 9])
    recwarn.clear()
    backbone.encode_texts(["a person opens the door " * 9])
    assert not recwarn.list


def refused(path: str, match: str) -> None:
    with pytest.raises(PaxionError, match=match) as caught:
        load_open_clip(path)
    assert "\n" not in str(caught.value)


@needs_open_clip
def test_what_cannot_be_loaded(folder: Path, tmp_path: Path) -> None:
    good = folder / "tiny-clip.safetensors"
    refused("ViT-B-33/laion", r"unknown open_clip model 'ViT-B-33'.*ViT-B-32")
    refused(
        "ViT-B-32/laion", r"no checkpoint at laion; give a file, or a name of ViT-B-32's weights: .*laion2b_s34b_b79k"
    )
    refused(f"ViT-B-32/{good}", r"cannot load open-clip:ViT-B-32/.*pos_embed width")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(good.read_bytes()[:-50])
    refused(f"tiny-clip/{bad}", r"bad\.safetensors is no checkpoint, or is truncated")
    weights = open_clip.create_model("tiny-clip").state_dict()
    save_file({key: value for key, value in weights.items() if key != "visual.proj"}, bad)
    refused(f"tiny-clip/{bad}", r'Missing key\(s\) in state_dict: "visual\.proj"')
    save_file({**weights, "visual.proj": torch.full((64, 16), torch.inf)}, bad)
    refused(f"tiny-clip/{bad}", r"key 'visual\.proj' holds numbers that are not finite")
    code = tmp_path / "code.pt"
    torch.save({"state_dict": weights, "path": Path("somewhere")}, code)
    refused(f"tiny-clip/{code}", r"code\.pt holds pathlib.*, which is code and not weights")
