"""A backbone from a Python file of the user's: `python:my_backbone.py`, see docs/backbones.md."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, cast

from torch import nn

from paxion.backbones.base import Backbone
from paxion.backbones.state import digest
from paxion.records import PaxionError

FUNCTION = "backbone"


def load_own(path: str) -> Backbone:
    """What the function of a file returns; the file is run.

    path: FILE.py, whose function `backbone` is called without arguments, or FILE.py:FUNCTION.

    Raises PaxionError when there is no such file or function, or when either raises.
    """
    name, _, function = path.partition(".py:")
    file = Path(f"{name}.py" if function else name)
    function = function or FUNCTION
    module_name = f"paxion_backbone_{file.stem}"
    spec = importlib.util.spec_from_file_location(module_name, file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise PaxionError(f"no Python file at {file}; give python:FILE.py or python:FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look themselves up there
    sys.path.append(str(file.parent.resolve()))  # what lies beside the file can be imported
    try:
        spec.loader.exec_module(module)
        made = getattr(module, function, None)
        model: Any = made() if callable(made) else None
    except PaxionError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise PaxionError(f"{file} failed with {type(error).__name__}: {reason}; mend it and run again") from None
    if model is None:
        raise PaxionError(f"{file} has no function {function}() that returns a backbone; see docs/backbones.md")
    missing = [name for name in (*Backbone.__annotations__, "encode_video", "encode_texts") if not hasattr(model, name)]
    if missing:
        raise PaxionError(f"the backbone of {file} lacks {', '.join(missing)}; see docs/backbones.md")
    try:
        model.revision = f"{model.revision}-{digest(file)}"
    except AttributeError:
        raise PaxionError(
            f"the backbone of {file} cannot be given a revision; make it a class that is not frozen"
        ) from None
    return cast(Backbone, model.eval().requires_grad_(False) if isinstance(model, nn.Module) else model)
