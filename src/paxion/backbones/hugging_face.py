"""Any dual encoder of Hugging Face transformers as a backbone: one adapter, which asks a model what it offers.

`get_image_features` makes a frame encoder, whose clip vector is the mean of its frames' unit vectors (CLIP, SigLIP,
MetaCLIP 2, AltCLIP, BLIP, ...); `get_video_features` a video encoder, used as it is (X-CLIP, VideoPrism).

X-CLIP: its two encoders are used, not the part that rewrites the texts for each video: no dual encoder could.
SigLIP 2 NaFlex: gets square frames of as many patches as it takes, like its processor makes of square frames; a frame
of another shape is scaled to a square, where the processor would keep its proportions.
"""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from paxion.backbones.base import Features, mean_of_frames, normalise
from paxion.backbones.hf_files import VOCABULARIES, fetch, folder_digest, load_model, one_line, quiet, weight_files
from paxion.backbones.hf_transform import patches, read_transform
from paxion.records import PaxionError
from paxion.video.transform import Transform

FRAMES = 8
"""Where the model does not fix the number."""
PADDED, PADDED_LENGTH = ("siglip", "siglip2", "videoprism", "align", "tipsv2"), 64
"""Families trained on texts padded on the right to a fixed length; others are padded to the longest text."""
PLAIN = ("siglip", "siglip2")
"""Families trained on lower-case texts and without a mask of the padding; not all their tokenizers lower the case."""


class HuggingFaceBackbone(nn.Module):
    """A dual encoder of transformers; keeps the `Backbone` contract of backbones/base.py.

    `dim`, `token_width` and `tokens_per_frame` are measured on a black clip; the last two are 0 when the vision
    tower's hidden states cannot be told apart by frame, and then there are no tokens.
    """

    revision = "unknown"
    pinned: str | None = None
    """What to give `load_hugging_face` to read these weights again: a folder, or an id with the commit."""

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        transform: Transform,
        frames: int,
        patch: int | None = None,
        layer: int = -1,
    ) -> None:
        """Wrap a loaded model. patch: side of a patch, for a model that takes patches; layer: -1 is the tower's output.

        Raises PaxionError for a layer that the model does not have, and for a model without a joint space.
        """
        super().__init__()
        self.name, self.model, self.tokenizer, self.transform = name, model, tokenizer, transform
        self.frames, self.patch, self.layer = frames, patch, layer
        self.whole_clips = hasattr(model, "get_video_features")
        self.per_frame = not self.whole_clips
        self._look: Callable[..., Any] = model.get_video_features if self.whole_clips else model.get_image_features
        self._fixed = fixed_frames(model.config) if self.whole_clips else None
        family = model.config.model_type
        self._lower = family in PLAIN
        self._padding = "max_length" if family in PADDED else "longest"
        self._vocabulary = _vocabulary(model.config)
        self._length = _text_length(model.config, tokenizer)
        self._text_inputs = set(inspect.signature(model.get_text_features).parameters)
        self._text_inputs -= {"attention_mask"} if family in PLAIN else set()
        self._told_of_cut = False
        self._measure()

    @torch.inference_mode()
    def _measure(self) -> None:
        shape = (1, self.frames if self.whole_clips else 1, 3, self.transform.size, self.transform.size)
        seen = self._look_without_numbers(shape) if self.whole_clips else None
        seen = seen or self.encode_video(torch.zeros(shape))
        self.dim: int = seen.pooled.shape[-1]
        self.tokens_per_frame, self.token_width = (0, 0) if seen.tokens is None else seen.tokens.shape[2:]
        width = self._embed(["a"]).shape[-1]
        if width != self.dim:
            raise PaxionError(f"{self.name} has no joint space: clips have width {self.dim} and texts {width}")
        # With as many patches as frames, (B * P, T, C) of a layer over time would pass for (B * T, P, C).
        mixed = self.whole_clips and self.tokens_per_frame == self.frames
        if self.layer != -1 and (seen.tokens is None or mixed):
            raise PaxionError(f"layer {self.layer} of {self.name} cannot be told apart by frame; take the last, -1")

    def _look_without_numbers(self, shape: tuple[int, ...]) -> Features | None:
        """Features of the right shapes on torch's meta device; None where the model cannot run there.

        A whole clip takes a large one half a minute on a CPU.
        """
        look = self._look
        try:
            with torch.device("meta"):
                self._look = getattr(type(self.model)(copy.deepcopy(self.model.config)), look.__name__)
                return self.encode_video(torch.zeros(shape))
        except Exception:  # some compute with numbers on the way; and what is wrong is said by the model itself
            return None
        finally:
            self._look = look

    @property
    def projection(self) -> nn.Linear | None:
        """From token width C to joint width D, where the model has one on its vision tower."""
        found = getattr(self.model, "visual_projection", None)
        fits = isinstance(found, nn.Linear) and (found.in_features, found.out_features) == (self.token_width, self.dim)
        return found if fits else None

    def encode_video(self, video: Tensor) -> Features:
        """Clips (B, T, 3, size, size) to features, in the model's precision.

        A video encoder's `pooled` is as the model gives it, and there are no frame vectors. Raises PaxionError for a T
        other than the model's fixed one.
        """
        clips, frames = video.shape[:2]
        if self._fixed not in (None, frames):
            raise PaxionError(f"got clips of {frames} frames, expected {self._fixed}: {self.name} takes no other")
        video = video.to(self.model.dtype)
        if self.patch:
            output = self._look(**patches(video.flatten(0, 1), self.patch))
        else:
            output = self._look(video if self.whole_clips else video.flatten(0, 1))
        pooled = getattr(output, "pooler_output", output)
        if isinstance(pooled, Tensor) and pooled.ndim == 3 and pooled.shape[1] == 1:
            pooled = pooled[:, 0]  # the one vector of an attention pooling
        if not isinstance(pooled, Tensor) or pooled.ndim != 2:
            raise PaxionError(f"{self.name} gives no vector for a clip, so it is no dual encoder; give another model")
        tokens = None if isinstance(output, Tensor) else by_frame(self._states(output), clips, frames)
        return Features(pooled, tokens) if self.whole_clips else mean_of_frames(pooled, tokens, frames)

    def _states(self, tower: Any) -> Tensor:
        """The vision tower's hidden states at the chosen layer."""
        if self.layer == -1:
            return tower.last_hidden_state  # type: ignore[no-any-return]
        layers = getattr(tower, "hidden_states", None)
        if not layers:
            raise PaxionError(f"{self.name} gives the last layer only, with transformers {transformers.__version__}")
        if not -len(layers) <= self.layer < len(layers):
            raise PaxionError(f"got layer {self.layer}, expected one of {-len(layers)} .. {len(layers) - 1}")
        return layers[self.layer]  # type: ignore[no-any-return]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors (K, D). Warns, once, of texts that are longer than the model reads and are cut."""
        if not texts:
            return torch.empty(0, self.dim, dtype=self.model.dtype, device=self.model.device)
        vectors = self._embed([text.lower() for text in texts] if self._lower else list(texts))
        return normalise(vectors.float()).to(vectors.dtype)

    def _embed(self, texts: list[str]) -> Tensor:
        if not self._told_of_cut:
            whole = self.tokenizer(texts, verbose=False)["input_ids"]
            cut = [text for text, ids in zip(texts, whole, strict=True) if len(ids) > self._length]
            if cut:
                self._told_of_cut = True
                head = f"{self.name} reads {self._length} tokens and cuts what is longer"
                warnings.warn(f"{head}, first of all {cut[0][:80]!r}; this is said once", stacklevel=3)
        encoded = self.tokenizer(
            texts, padding=self._padding, truncation=True, max_length=self._length, return_tensors="pt"
        )
        largest = encoded["input_ids"].amax(1).tolist()
        for text, number in zip(texts, largest, strict=True):
            if number >= self._vocabulary:
                said = f"got text {text[:80]!r} with token {number}, expected less than {self._vocabulary}"
                raise PaxionError(f"{said}: {self.name} has no more")
        inputs = {name: value.to(self.model.device) for name, value in encoded.items() if name in self._text_inputs}
        output = self.model.get_text_features(**inputs)
        return getattr(output, "pooler_output", output)  # type: ignore[no-any-return]


def fixed_frames(config: Any) -> int | None:
    """The number of frames that a video model's configuration fixes, if it does."""
    found = getattr(getattr(config, "vision_config", config), "num_frames", None)
    return None if found is None else int(found)


def _text_length(config: Any, tokenizer: Any) -> int:
    """The most tokens of a text: the model's positions, the tokenizer's limit or the trained length, if less."""
    positions = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
    trained = PADDED_LENGTH if config.model_type in PADDED else None
    return min(length for length in (positions, tokenizer.model_max_length, trained) if length)


def _vocabulary(config: Any) -> float:
    """The number of tokens that the text embedding has; infinite where the configuration does not say."""
    return getattr(getattr(config, "text_config", config), "vocab_size", None) or float("inf")


def _check_vocabulary(config: Any, tokenizer: Any, folder: Path) -> None:
    """Raise PaxionError for a tokenizer whose words the text embedding does not reach.

    Markers such as <extra_id_0> may lie beyond it: no caption holds them.
    """
    size = _vocabulary(config)
    beyond = [(number, word) for word, number in tokenizer.get_vocab().items() if number >= size]
    special = set(tokenizer.all_special_ids)
    words = [pair for pair in beyond if pair[0] not in special and not re.fullmatch(r"▁?<.*>", pair[1])]
    if words:
        number, word = max(words)
        said = f"the tokenizer of {folder} gives tokens up to {number} ({word!r}), expected less than {size}"
        raise PaxionError(f"{said}, the model's text embedding; save the model's own tokenizer to it")


def by_frame(states: Tensor, clips: int, frames: int) -> Tensor | None:
    """Hidden states as tokens (B, T, P, C); None when they do not say which frame they belong to.

    states: (B * T, P, C), a map (B * T, C, height, width), or (B, T * P, C) frame after frame.
    """
    if states.ndim == 4:
        states = states.flatten(2).transpose(1, 2)
    if states.ndim != 3 or len(states) not in (clips, clips * frames) or states.shape[:2].numel() % (clips * frames):
        return None
    return states.reshape(clips, frames, -1, states.shape[-1])


def load_hugging_face(path: str, *, frames: int | None = None, layer: int | None = None) -> HuggingFaceBackbone:
    """The frozen dual encoder of a hub id, with @revision or without, or of a local folder; float32, in eval mode.

    A folder is read without the network, and so is an id in the cache when HF_HUB_OFFLINE is set. Code that comes with
    a model is never run and nothing is unpickled.

    frames: a model that fixes the number allows no other, the default otherwise is 8; layer: which hidden states of the
    vision tower are the tokens, counted as the model does (0 is its embeddings); -1, the default, is its output.

    Raises PaxionError for a folder or id that cannot be read, a model that is no dual encoder, and weights that are
    truncated, missing, left over, of another shape or not finite: such a model would be random in part.
    """
    folder, revision = fetch(path)
    if not (folder / "config.json").is_file():
        raise PaxionError(f"{folder} has no config.json; give a folder as save_pretrained writes it, or a model's id")
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise PaxionError(f"{folder} has no tokenizer ({VOCABULARIES[0]}); save the model's tokenizer to it")
    files = weight_files(folder)
    with one_line(f"cannot read the configuration of {folder}"), quiet():
        config = transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    kind = transformers.MODEL_MAPPING.get(type(config), None)
    if not hasattr(kind, "get_text_features") or not (
        hasattr(kind, "get_image_features") or hasattr(kind, "get_video_features")
    ):
        raise PaxionError(
            f"{folder} holds a {config.model_type} model, which does not have get_text_features and "
            "get_image_features or get_video_features; give a dual encoder such as CLIP"
        )
    if layer not in (None, -1):
        getattr(config, "vision_config", config).output_hidden_states = True
    fixed = fixed_frames(config) if hasattr(kind, "get_video_features") else None
    if fixed and frames not in (None, fixed):
        raise PaxionError(f"got frames={frames}, expected {fixed}: {path} reads clips of exactly {fixed} frames")
    with quiet():
        transform, patch = read_transform(folder)
        with one_line(f"cannot read the tokenizer of {folder}"):
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                str(folder), config=config, local_files_only=True, trust_remote_code=False
            )
        if config.model_type in PADDED and "padding_side" not in tokenizer.init_kwargs:
            tokenizer.padding_side = "right"  # SigLIP 2's class would pad on the left, where it is not told
        model = load_model(folder, files, config)
        _check_vocabulary(config, tokenizer, folder)
    own = path.partition("@")[0] if revision else folder.resolve().name
    with one_line(f"{folder} cannot encode a clip and a text as its own configuration says"):
        backbone = HuggingFaceBackbone(
            f"hf:{own}", model, tokenizer, transform, fixed or frames or FRAMES, patch, -1 if layer is None else layer
        )
    backbone.pinned = f"{own}@{revision}" if revision else str(folder.resolve())
    backbone.revision = revision or folder_digest(folder, files)
    if backbone.layer != -1:
        backbone.revision += f"-layer{backbone.layer}"
    return backbone.eval().requires_grad_(False)
