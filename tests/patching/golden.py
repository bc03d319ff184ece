"""Readers for the golden cases: numbers made once with the published code, on weights and inputs generated from names.

A few cases are shipped in tests/patching/golden; all of them are read from ../shared/golden beside the repository, if
it is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

SHIPPED = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[3] / "shared" / "golden"

# Largest error allowed, relative to the largest number of the tensor (a loss: absolute).
FORWARD = 5e-6
LOSS = 1e-5
GRADIENT = 1e-4
MODULE_GRADIENT = 2e-5


@dataclass
class Case:
    inputs: dict[str, Tensor]
    weights: dict[str, Tensor]
    outputs: dict[str, Tensor]
    constructor: dict


def cases(*names: str):
    """Parametrise `case` over the named cases, shipped and shared."""
    here = [pytest.param(SHIPPED / name, id=f"{name}-shipped") for name in names if (SHIPPED / name).is_dir()]
    absent = pytest.mark.skipif(not SHARED.is_dir(), reason="the golden data is not beside the repository")
    there = [pytest.param(SHARED / name, id=f"{name}-shared", marks=absent) for name in names]
    return pytest.mark.parametrize("case", here + there)


def load(folder: Path) -> Case:
    def tensors(name: str) -> dict[str, Tensor]:
        return {key: value for key, value in load_file(folder / f"{name}.safetensors").items() if key != "__none__"}

    constructor = json.loads((folder / "case.json").read_text())["constructor"]
    return Case(tensors("inputs"), tensors("weights"), tensors("outputs"), constructor)


def attention_sizes(config: dict) -> dict[str, int]:
    """The sizes of a published attention block, by our names."""
    return {
        "dim": config["dim"],
        "heads": config["heads"],
        "dim_head": config["dim_head"],
        "ff_mult": config["ff_mult"],
    }


def perceiver_sizes(config: dict) -> dict[str, int]:
    sizes = attention_sizes(config)
    return sizes | {"token_width": config["k_v_dim"], "depth": config["depth"], "latents": config["num_latents"]}


def assert_close(got: Tensor | None, want: Tensor, tolerance: float, what: str = "") -> None:
    assert got is not None and got.shape == want.shape, what
    got, want = got.detach(), want.detach()
    error = float((got - want).abs().max() / want.abs().max())
    assert error <= tolerance, f"{what}: error {error:.1e} above {tolerance:.0e}"


def assert_loss(got: Tensor, want: Tensor) -> None:
    error = abs(got.item() - want.item())
    assert error <= LOSS, f"loss: error {error:.1e} above {LOSS:.0e}"


def assert_gradients(got: dict[str, Tensor | None], case: Case, tolerance: float, prefix: str = "grad/") -> None:
    """Every stored gradient under `prefix` is among those in `got` and equal."""
    stored = {key.removeprefix(prefix): value for key, value in case.outputs.items() if key.startswith(prefix)}
    assert stored
    for key, want in stored.items():
        assert_close(got[key], want, tolerance, key)


def gradients(module: torch.nn.Module) -> dict[str, Tensor | None]:
    return {key: parameter.grad for key, parameter in module.named_parameters()}
