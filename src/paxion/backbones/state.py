"""Reading the weights of published checkpoints: nothing is unpickled, nothing is loaded that does not fit exactly."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from paxion.records import PaxionError


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
            raise _unreadable(path, error) from None
        raise PaxionError(
            f"{path} holds {code[1]}, which is code and not weights, and was not run; if you trust where it comes "
            "from, load it yourself and save its dictionary of tensors again with torch.save"
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
    """The tensors of a checkpoint, or of the dictionary under the key `within`. Raises PaxionError for other values."""
    if within is not None:
        inner = content.get(within)
        if not isinstance(inner, Mapping):
            raise PaxionError(f"{path}: missing key {within!r}, expected a dictionary of tensors under it")
        content = inner
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise PaxionError(f"{path}: key {key!r} holds {type(value).__name__}, expected a tensor")
    return dict(content)


def under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


@torch.no_grad()
def load_exactly(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    """Copy a state into `wanted`, a model's own tensors by their names in the file (a `state_dict()` will do).

    No key may be missing, none left over, every shape right and every number finite. Numbers are converted to the
    model's precision. Raises PaxionError that names the file and the first offending key.
    """
    for name, value in wanted.items():
        if name not in state:
            raise PaxionError(f"{path}: missing key {name!r}, expected {tuple(value.shape)}; is it another model's?")
        got = state[name]
        if got.shape != value.shape:
            raise PaxionError(
                f"{path}: key {name!r} has shape {tuple(got.shape)}, expected {tuple(value.shape)}; "
                "is it another model's?"
            )
        if not torch.isfinite(got).all():
            raise PaxionError(f"{path}: key {name!r} holds numbers that are not finite; download the file again")
    for name in state:
        if name not in wanted:
            raise PaxionError(f"{path}: unexpected key {name!r}; is it another model's?")
    for name, value in wanted.items():
        value.copy_(state[name])


def digest(*paths: Path) -> str:
    """Twelve hexadecimal digits that tell one set of weight files from another: the start of a SHA-256."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:12]
