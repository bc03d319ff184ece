"""A model of the open_clip package as a backbone: a clip's vector is the mean of its frames' unit vectors."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from paxion.backbones import state
from paxion.backbones.base import Features, mean_of_frames, normalise
from paxion.records import PaxionError
from paxion.video.transform import Interpolation, Transform

FRAMES, MODEL = 8, "ViT-B-32"
RESIZE: dict[str, Literal["short", "exact"]] = {"shortest": "short", "squash": "exact"}


class OpenClipBackbone(nn.Module):
    """A model of open_clip; keeps the `Backbone` contract of backbones/base.py. Widths are measured on a black frame.

    Tokens are the output of the vision tower's last block, where the model gives it; else there are none, and P is 0.
    """

    per_frame = True
    revision = "unknown"

    def __init__(self, name: str, model: Any, tokenizer: Any, transform: Transform, frames: int) -> None:
        super().__init__()
        self.name, self.model, self.tokenizer = name, model, tokenizer
        self.transform, self.frames = transform, frames
        self._told_of_cut = False
        self._gives_tokens = False
        with torch.inference_mode():
            black = torch.zeros(1, 3, transform.size, transform.size)
            vector = model.encode_image(black)
            self._gives_tokens = hasattr(model.visual, "forward_intermediates") and self._tokens_fit(black, vector)
            tokens = self._look(black)[1]
        self.dim: int = vector.shape[-1]
        self.tokens_per_frame, self.token_width = (0, 0) if tokens is None else tokens.shape[1:]
        self.projection = _projection(model.visual, self.token_width, self.dim)

    def _tokens_fit(self, frame: Tensor, vector: Tensor) -> bool:
        """Whether the call that gives tokens gives the vector of `encode_image` too."""
        try:
            again, tokens = self._look_deeper(frame)
        except (AssertionError, KeyError, TypeError, NotImplementedError):  # towers differ in what they offer
            return False
        # CoCa's encode_image gives unit vectors whatever it is asked for.
        same = again.shape == vector.shape and torch.allclose(normalise(again), normalise(vector), atol=1e-4)
        return same and tokens.ndim == 3

    def _look(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._look_deeper(frames) if self._gives_tokens else (self.model.encode_image(frames), None)

    def _look_deeper(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (N, D) and tokens (N, P, C) with one pass through the tower."""
        seen = self.model.visual.forward_intermediates(
            frames, indices=1, output_fmt="NLC", output_extra_tokens=True, normalize_intermediates=False
        )
        before = seen.get("image_intermediates_prefix") or [frames.new_empty(0)]
        parts = [part for part in (before[-1], seen["image_intermediates"][-1]) if part.numel()]
        return seen["image_features"], torch.cat(parts, 1)

    def encode_video(self, video: Tensor) -> Features:
        """Clips (B, T, 3, size, size), of any T, to features in the model's precision."""
        clips, frames = video.shape[:2]
        vectors, tokens = self._look(video.flatten(0, 1).to(next(self.model.parameters()).dtype))
        tokens = None if tokens is None else tokens.view(clips, frames, *tokens.shape[1:])
        return mean_of_frames(vectors, tokens, frames)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors (K, D). Warns, once, of texts as long as the model reads or longer: they are cut."""
        weight = next(self.model.parameters())
        if not texts:
            return torch.empty(0, self.dim, dtype=weight.dtype, device=weight.device)
        numbers = self.tokenizer(list(texts))
        if not self._told_of_cut:
            # Tokenizers of this package cut without a word: a text is full when one more word changes nothing.
            full = (numbers == self.tokenizer([f"{text} a" for text in texts])).all(1).nonzero().flatten().tolist()
            if full:
                self._told_of_cut = True
                head = f"{self.name} reads {numbers.shape[1]} tokens and cuts what is longer"
                warnings.warn(f"{head}, first of all {texts[full[0]][:80]!r}; this is said once", stacklevel=2)
        vectors = self.model.encode_text(numbers.to(weight.device))
        return normalise(vectors.float()).to(vectors.dtype)


def _projection(tower: Any, width: int, dim: int) -> nn.Linear | None:
    """The tower's matrix (C, D) as a linear map, if it has one."""
    matrix = getattr(tower, "proj", None)
    if not isinstance(matrix, Tensor) or tuple(matrix.shape) != (width, dim):
        return None
    linear = nn.Linear(width, dim, bias=False)
    linear.weight = nn.Parameter(matrix.detach().T.contiguous())
    return linear


def load_open_clip(path: str, *, frames: int | None = None) -> OpenClipBackbone:
    """The frozen open_clip model, float32, in eval mode.

    path: MODEL/PRETRAINED, as open_clip lists them (ViT-B-32/laion2b_s34b_b79k); MODEL/FILE, with two slashes when the
    file's path is absolute; or what open_clip itself names with hf-hub: or local-dir:. frames: 8 by default.

    Raises PaxionError without the package, for a name that it does not know, and for weights that do not fit.
    """
    try:
        import open_clip
    except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch raises a RuntimeError
        reason = str(error).splitlines()[0]
        raise PaxionError(
            f"open_clip cannot be imported ({reason}); install it, with a torchvision that fits torch: "
            "pip install 'paxion[openclip]'"
        ) from None
    model_name, file = path, None
    weights: str | None = None
    if not path.startswith(("hf-hub:", "local-dir:")):
        model_name, _, weights = path.partition("/")
        if model_name not in open_clip.list_models():
            near = ", ".join(get_close_matches(model_name, open_clip.list_models(), cutoff=0.4))
            raise PaxionError(
                f"unknown open_clip model {model_name!r}; give one that it lists, such as {near or MODEL}"
            )
        if weights not in open_clip.list_pretrained_tags_by_model(model_name):
            file = Path(weights).expanduser()
            if not file.is_file():
                tags = ", ".join(open_clip.list_pretrained_tags_by_model(model_name)) or "none"
                raise PaxionError(f"no checkpoint at {file}; give a file, or a name of {model_name}'s weights: {tags}")
            weights = str(file)
    try:
        model = open_clip.create_model(model_name, pretrained=weights, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(model_name)
    except Exception as error:  # whatever open_clip and what it calls may raise
        if file is not None:
            state.read_file(file)  # says it better when the file is at fault
        raise PaxionError(f"cannot load open-clip:{path}: {_reason(error)}") from error
    for key, value in model.named_parameters():
        if not torch.isfinite(value).all():
            raise PaxionError(f"open-clip:{path}: key {key!r} holds numbers that are not finite; download it again")
    transform = transform_of(open_clip.get_model_preprocess_cfg(model), path)
    name = path if file is None else f"{model_name}/{file.name}"
    backbone = OpenClipBackbone(f"open-clip:{name}", model.eval(), tokenizer, transform, frames or FRAMES)
    backbone.revision = _digest(model)
    return backbone.eval().requires_grad_(False)


def _reason(error: Exception) -> str:
    """The first line of an error, or the first key that torch says does not fit."""
    lines = [line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if not lines[0].startswith("Error(s) in loading state_dict") or len(lines) == 1:
        return lines[0]
    return lines[1] if lines[1].startswith("size mismatch") else lines[1].split(",")[0]


def _digest(model: nn.Module) -> str:
    """Twelve hexadecimal digits of the weights themselves, wherever open_clip found them."""
    total = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()[:12]


def transform_of(settings: dict[str, Any], path: str) -> Transform:
    """open_clip's own preprocessing as a Transform. Raises PaxionError where that cannot be expressed."""
    size = settings["size"]
    height, width = (size, size) if isinstance(size, int) else size
    mode = settings.get("resize_mode") or "shortest"
    if height != width or mode not in RESIZE:
        raise PaxionError(f"open-clip:{path} asks for {height} x {width} pixels, {mode!r}, which paxion does not do")
    # What it calls random is so in training only.
    method: Interpolation = "bilinear" if settings.get("interpolation") == "bilinear" else "bicubic"
    return Transform(height, tuple(settings["mean"]), tuple(settings["std"]), RESIZE[mode], None, method, "even")
