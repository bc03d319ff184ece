"""Generative models by name: `hf:` a model of Hugging Face, `endpoint:` a server that speaks OpenAI's protocol."""

from __future__ import annotations

import re
from pathlib import Path

from paxion.asking.model import Answerer
from paxion.records import PaxionError, unknown_name

SCHEMES = {
    "hf": "a hub id, with @revision or without, or a folder; options frames, dtype",
    "endpoint": "a URL; options model, frames, key_env, parallel, timeout",
}
OPTIONS = ("frames", "dtype")
DTYPES = {"bfloat16": "bf16", "float16": "fp16", "fp32": "float32"}


def load_answerer(name: str, device: str = "cpu") -> Answerer:
    """The model of a name such as "hf:Qwen/Qwen2.5-VL-3B-Instruct,frames=8,dtype=bf16" or
    "endpoint:http://localhost:8000/v1,model=mine". Raises PaxionError, one line, for a name that cannot be meant.
    """
    scheme, sign, rest = name.partition(":")
    if not sign or scheme not in SCHEMES:
        raise unknown_name("generative model", scheme, [f"{known}:" for known in SCHEMES])
    if scheme == "endpoint":
        from paxion.backbones.endpoint import load_endpoint

        return load_endpoint(rest)
    options: dict[str, str] = {}
    while not Path(rest).is_dir() and (found := re.fullmatch(r"(.*),([a-z_]+)=([^,]*)", rest, re.DOTALL)):
        if found[2] not in OPTIONS:
            raise unknown_name("option of a hf: model", found[2], OPTIONS)
        if found[2] in options:
            raise PaxionError(f"got {found[2]} twice in {name!r}, expected it once")
        rest, options = found[1], {found[2]: found[3], **options}
    frames = options.get("frames", "8")
    if not frames.isdigit() or not int(frames):
        raise PaxionError(f"got frames={frames} in {name!r}, expected a whole number of at least 1")
    from paxion.backbones.generative import load_generative

    dtype = options.get("dtype", "float32")
    return load_generative(rest, int(frames), DTYPES.get(dtype, dtype), device)
