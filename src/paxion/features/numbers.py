"""How features lie on disk: which parts a clip has, and how the numbers of each are held.

    part      numbers                     shape per clip
    pooled    float32                     (D,)
    tokens    as the store's dtype        (T, P, C)
    vectors   float16, else float32       (T, D)
    scales    float16, int8 stores only   (T, P)

dtype of a store:
    float16    the default: 11 bits
    bfloat16   8 bits, the range of float32; kept as uint16, which .npy can hold
    int8       round(x / scale), with scale = (largest |x| of the token) / 127, rounded up to float16: no number is off
               by more than scale / 2
    float32    as the backbone gave them
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paxion.backbones.base import Features
from paxion.records import PaxionError, unknown_name

PARTS = ("pooled", "tokens", "vectors", "scales")
DTYPES = ("float16", "bfloat16", "int8", "float32")


@dataclass(frozen=True)
class Number:
    """A kind of number: what .npy calls it, and what torch does."""

    disk: str
    memory: torch.dtype


NUMBERS = {
    "float32": Number("<f4", torch.float32),
    "float16": Number("<f2", torch.float16),
    "bfloat16": Number("<u2", torch.bfloat16),
    "int8": Number("|i1", torch.int8),
}


def check_dtype(dtype: str) -> None:
    """Raise PaxionError for a dtype that a store cannot hold."""
    if dtype not in DTYPES:
        raise unknown_name("dtype of a feature store", dtype, DTYPES)


def number(part: str, dtype: str) -> Number:
    """What a part of a store of `dtype` is made of."""
    vectors = "float16" if dtype == "float16" else "float32"
    return NUMBERS[{"pooled": "float32", "tokens": dtype, "vectors": vectors, "scales": "float16"}[part]]


def encoded(features: Features, dtype: str, source: str) -> dict[str, Tensor]:
    """The parts of B clips as they lie on disk, on the CPU.

    source: whose features these are, for the message. Raises PaxionError for numbers that `dtype` cannot hold.
    """
    given = {"pooled": features.pooled, "tokens": features.tokens, "vectors": features.frame_vectors}
    parts: dict[str, Tensor] = {}
    for name, values in given.items():
        if values is None:
            continue
        values = values.detach().cpu()
        if name == "tokens" and dtype == "int8":
            parts["tokens"], held = quantised(values.float())
            parts["scales"] = held
        else:
            parts[name] = held = values.to(number(name, dtype).memory).contiguous()
        if not torch.isfinite(held).all():
            if not torch.isfinite(values).all():
                raise PaxionError(f"got {name} of {source} with nan or inf, expected finite ones; check its weights")
            most = float(values.abs().max())
            raise PaxionError(
                f"got {name} of {source} up to {most:.3g}, beyond {dtype}, expected finite ones there; check its "
                "weights, or take dtype bfloat16"
            )
    return parts


def decoded(parts: dict[str, Tensor]) -> Features:
    """The features of B clips from their parts. Tokens of int8 become float32; others stay as they are."""
    tokens = parts.get("tokens")
    if tokens is not None and "scales" in parts:
        tokens = tokens.float().mul_(parts["scales"].float()[..., None])
    return Features(parts["pooled"], tokens, parts.get("vectors"))


def quantised(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (..., C) float32 as int8, and the scale of each (...) float16, by which they are multiplied to go back."""
    exact = tokens.abs().amax(-1).double() / 127
    scales = exact.half()
    # Rounded up (the next number has the next bits), so that no number falls outside -127 .. 127.
    above = (scales.view(torch.int16) + 1).view(torch.float16)
    scales = torch.where(scales.double() < exact, above, scales)
    return (tokens / scales.float().clamp_min(1e-30)[..., None]).round().to(torch.int8), scales


def array(values: Tensor) -> NDArray[np.generic]:
    """The same bytes as an array that .npy can hold."""
    return (values.view(torch.int16) if values.dtype == torch.bfloat16 else values).numpy()
