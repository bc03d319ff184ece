"""Readers for the golden cases of scoring: numbers made once with the published code.

What is shipped in tests/evaluation/golden are the inputs, the metrics and, of the probes, the probabilities of four
models; the rest is read from ../shared/golden beside the repository, if it is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

SHIPPED = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[3] / "shared" / "golden"


@dataclass
class Golden:
    inputs: dict[str, Tensor]
    weights: dict[str, Tensor]
    outputs: dict[str, Tensor]
    """Empty where they are not shipped."""
    results: dict[str, dict[str, float]]
    v2t_targets: list[list[int]]
    t2v_targets: list[list[int]]


def golden(name: str):
    """Parametrise `folder` over the shipped and the shared copy of a case."""
    absent = pytest.mark.skipif(not SHARED.is_dir(), reason="the golden data is not beside the repository")
    copies = [pytest.param(SHIPPED / name, id="shipped"), pytest.param(SHARED / name, id="shared", marks=absent)]
    return pytest.mark.parametrize("folder", copies)


def read(folder: Path) -> Golden:
    def tensors(name: str) -> dict[str, Tensor]:
        path = folder / f"{name}.safetensors"
        return load_file(path) if path.exists() else {}

    case = json.loads((folder / "case.json").read_text())

    def targets(name: str) -> list[list[int]]:
        found = case.get(name, [])
        return [found[str(i)] for i in range(len(found))] if isinstance(found, dict) else found

    return Golden(
        tensors("inputs"), tensors("weights"), tensors("outputs"), case["results"],
        targets("v2t_targets"), targets("t2v_targets"),
    )  # fmt: skip
