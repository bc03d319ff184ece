"""Reading the weights of published checkpoints: nothing is unpickled, nothing is loaded that does not fit exactly."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from paxion.records import PaxionError

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
"""What weights are kept in."""


def read_file(path: Path) -> dict[str, Any]:
    """What a checkpoint holds at its top level: a .safetensors file, or one written by `torch.save`.

    Raises PaxionError for a file that is missing, truncated, no checkpoint, or that holds code.
    """
    if not path.is_file():
        raise PaxionError(f"no checkpoint at {path}; give the path of a downloaded file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code is None:
            raise _unreadable(path, ValueError("torch cannot read it as weights")) from None
        raise PaxionError(
            f"{path} holds {code[1]}, which is code and not weights, and was not run; if you trust where it comes "
            'from, save the weights alone: torch.save({"model": torch.load(F, weights_only=False)["model"]}, G), '
            "which runs the code in F"
        ) from None
    except Exception as error:  # damaged bytes make the readers fail in any way
        raise _unreadable(path, error) from None
    if not isinstance(found, Mapping):
        raise PaxionError(f"{path} holds {type(found).__name__}, expected a dictionary of tensors")
    return dict(found)


def _unreadable(path: Path, error: Exception) -> PaxionError:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return PaxionError(f"{path} is no checkpoint, or is truncated ({reason}); download it again")


def tensors(content: Mapping[str, Any], path: Path, within: str | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint, or of the dictionary under the key `within`.

    Raises PaxionError for keys that are no text and for values that are no tensors, or none that are plain and dense.
    """
    if within is not None:
        inner = content.get(within)
        if not isinstance(inner, Mapping):
            raise PaxionError(f"{path}: missing key {within!r}, expected a dictionary of tensors under it")
        content = inner
    for key, value in content.items():
        if not isinstance(key, str):
            raise PaxionError(f"{path}: a key is of type {type(key).__name__}, expected text; is it a checkpoint?")
        if not isinstance(value, Tensor):
            raise PaxionError(f"{path}: key {key!r} holds {type(value).__name__}, expected a tensor")
        if (kind := _kind(value)) is not None:
            raise PaxionError(f"{path}: key {key!r} is {kind}, expected a plain dense one; save it as such")
    return dict(content)


def _kind(value: Tensor) -> str | None:
    """What a tensor is, if not a plain dense one with all its numbers in the file."""
    if value.is_nested:
        return "a nested tensor"
    if value.layout != torch.strided:
        return f"a {str(value.layout).removeprefix('torch.')} tensor"
    if value.is_quantized:
        return "a quantized tensor"
    if value.is_meta:
        return "a meta tensor, without numbers"
    # A few bytes can be called a tensor of any size, which the model would then be built with.
    if value.untyped_storage().nbytes() < value.numel() * value.element_size():
        return f"an expanded tensor of shape {tuple(value.shape)}, most of it not in the file"
    return None


def under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def check_names(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    """Whether a state has the names, the shapes and the types of `wanted`, which may be without memory (meta).

    Raises PaxionError that names the file and the first offending key.
    """
    for name, value in wanted.items():
        if name not in state:
            raise PaxionError(f"{path}: missing key {name!r}, expected {tuple(value.shape)}; is it another model's?")
        got = state[name]
        check_type(got, name, path, FLOATS if value.is_floating_point() else (value.dtype,))
        if got.shape != value.shape:
            raise PaxionError(
                f"{path}: key {name!r} has shape {tuple(got.shape)}, expected {tuple(value.shape)}; "
                "is it another model's?"
            )
    for name in state:
        if name not in wanted:
            raise PaxionError(f"{path}: unexpected key {name!r}; is it another model's?")


def check_type(value: Tensor, name: str, path: Path, types: Sequence[torch.dtype] = FLOATS) -> None:
    """Raises PaxionError that names the file and the key, unless a tensor has one of the types."""
    if value.dtype not in types:
        got, *expected = (str(dtype).removeprefix("torch.") for dtype in (value.dtype, *types))
        raise PaxionError(
            f"{path}: key {name!r} is of type {got}, expected {' or '.join(expected)}; is it another model's?"
        )


@torch.no_grad()
def load_exactly(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    """Copy a state into `wanted`, a model's own tensors by their names in the file (a `state_dict()` will do).

    No key may be missing, none left over, every shape and type right, and every number finite in the model's
    precision, to which it is converted. Otherwise nothing is copied.

    Raises PaxionError that names the file and the first offending key.
    """
    check_names(wanted, state, path)
    for name, value in wanted.items():
        if not torch.isfinite(state[name].to(value.dtype)).all():
            raise PaxionError(f"{path}: key {name!r} holds numbers that are not finite; download the file again")
    for name, value in wanted.items():
        value.copy_(state[name])


def digest_of(weights: Mapping[str, Tensor]) -> str:
    """Twelve hexadecimal digits that tell one set of weights from another, whatever file they come from.

    The start of a SHA-256 of their names, shapes and numbers in float32.
    """
    total = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().float().cpu().contiguous()
        total.update(f"{name} {tuple(value.shape)} ".encode())
        total.update(value.numpy().data)
    return total.hexdigest()[:12]


def digest(*paths: Path) -> str:
    """Twelve hexadecimal digits that tell one set of weight files from another: the start of a SHA-256."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:12]
