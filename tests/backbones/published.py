"""Published backbones without their weights: numbers that follow from the parameters' names, and files like theirs.

The golden outputs were made once by the published code on these numbers. Some are shipped in tests/backbones/golden;
the others are read from ../shared/golden beside the repository, if it is there.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from paxion.backbones.tokenizers import MERGES
from paxion.records import PaxionError

SHIPPED = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[3] / "shared" / "golden"
absent = pytest.mark.skipif(not SHARED.is_dir(), reason="the golden data is not beside the repository")

FORWARD = 5e-6
"""Largest error allowed, relative to the largest number of the tensor."""


def outputs(case: str) -> dict[str, Tensor]:
    """What the published code gives."""
    return _read(case, "outputs")


def inputs(case: str) -> dict[str, Tensor]:
    """What it was given, less the videos: see `video`."""
    return _read(case, "inputs")


def _read(case: str, name: str) -> dict[str, Tensor]:
    shipped = SHIPPED / case / f"{name}.safetensors"
    return load_file(shipped if shipped.is_file() else SHARED / case / shipped.name)


def shapes(case: str) -> dict[str, list[int]]:
    """The names and shapes of a published state."""
    return json.loads((SHARED / case / "keys.json").read_text())


def assert_close(got: Tensor, want: Tensor, tolerance: float = FORWARD) -> None:
    assert got.shape == want.shape
    error = float((got.detach() - want).abs().max() / want.abs().max())
    assert error <= tolerance, f"error {error:.1e} above {tolerance:.0e}"


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in -1 .. 1 that follow from a name: splitmix64, whose seed is the start of the name's SHA-256."""
    size, step = math.prod(shape), 1 << 15
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    increment = 0x9E3779B97F4A7C15
    steps = np.arange(1, step + 1, dtype=np.uint64) * np.uint64(increment)
    state, shifted = np.empty_like(steps), np.empty_like(steps)
    numbers = np.empty(size)
    for begin in range(0, size, step):
        # In place, and in pieces that the cache holds: half a billion numbers are made for the largest model.
        count = min(step, size - begin)
        state, shifted = state[:count], shifted[:count]
        np.add(steps[:count], np.uint64((seed + begin * increment) % 2**64), out=state)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            np.right_shift(state, np.uint64(shift), out=shifted)
            state ^= shifted
            if factor != 1:
                state *= np.uint64(factor)
        np.right_shift(state, np.uint64(40), out=state)
        numbers[begin : begin + count] = state
    numbers *= 2 / 2**24
    numbers -= 1
    return numbers.reshape(shape)


def fill(state: Mapping[str, Tensor], prefix: str) -> None:
    """Write the numbers of their names into the tensors of a published state, in the scale of trained weights."""
    for name, value in state.items():
        if not value.is_floating_point():
            continue
        shape, last = tuple(value.shape), name.rpartition(".")[2]
        if last in ("logit_scale", "temp") and value.numel() == 1:
            number = np.asarray({"logit_scale": 2.6592600345611572, "temp": 0.07}[last])
        elif len(shape) >= 2:
            number = uniform(prefix + name, shape)
            number *= math.sqrt(3 / math.prod(shape[1:]))
        else:
            number = uniform(prefix + name, shape)
            scale = 0.5 if shape in ((), (1,)) else 0.1
            number = 1 + 0.1 * number if last == "weight" else scale * number
        value.detach().copy_(torch.from_numpy(np.asarray(number, np.float32).reshape(shape)))


def video(name: str, shape: tuple[int, ...]) -> Tensor:
    """Noise of unit variance."""
    return torch.from_numpy((uniform(name, shape) * math.sqrt(3)).astype(np.float32))


def clip_vocabulary(folder: Path) -> Path:
    """A table of merges as long as CLIP's, of no sense: every text is spelled letter by letter, or nearly so."""
    signs = [chr(code) for code in (*range(ord("a"), ord("z") + 1), *range(174, 324))]
    pairs = [f"{first} {last}{end}" for end in ("</w>", "") for first in signs for last in signs]
    path = folder / "merges.txt"
    path.write_text("\n".join(["#version: 0.2", *pairs[:MERGES]]) + "\n", encoding="utf-8")
    return path


def synthetic(state: Mapping[str, Tensor] | Mapping[str, list[int]], dtype: torch.dtype = torch.float16) -> dict:
    """A state of small random numbers with the names and shapes of another; all tensors share their memory, so that
    the file of a large model is small.
    """
    sizes = {name: torch.Size(getattr(value, "shape", value)) for name, value in state.items()}
    pool = (torch.randn(max(size.numel() for size in sizes.values())) * 0.02).to(dtype)
    return {name: pool[: size.numel()].view(size) for name, size in sizes.items()}


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def assert_refused(load: Callable[[str], object], path: Path, reason: str) -> None:
    """A file is refused with one line that names it and, by a regular expression, says why."""
    with pytest.raises(PaxionError, match=reason) as caught:
        load(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
