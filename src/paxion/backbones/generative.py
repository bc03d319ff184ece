"""Models of Hugging Face that write about pictures: what they answer, and how likely they find a text.

A clip goes in as its frames, one picture each, in order: every such model takes several pictures, and transformers'
video processors need torchvision, which paxion does without.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor

from paxion.asking.model import Failed, Likelihood
from paxion.backbones.hf_files import fetch, folder_digest, one_line, quiet, weight_files
from paxion.records import PaxionError

T = TypeVar("T")
LONGEST = 160
"""Characters of a reason."""


class GenerativeModel:
    """An `asking.model.Answerer` from a model and its processor."""

    scores_text = True

    def __init__(self, name: str, revision: str, model: Any, processor: Any, frames: int, device: str) -> None:
        self.name, self.revision, self.frames = name, revision, frames
        self.model, self.processor, self.device = model, processor, device
        self._keep = "logits_to_keep" in inspect.signature(model.forward).parameters

    def answer(self, clips: Sequence[Tensor | None], prompts: Sequence[str], tokens: int = 16) -> list[str | Failed]:
        """What the model writes, greedily, in at most `tokens` tokens; special tokens are left out."""
        asked = list(zip(clips, prompts, strict=True))
        return _each(asked, lambda part: self._answers(part, tokens), _shape)

    def likelihood(
        self, clips: Sequence[Tensor | None], prompts: Sequence[str], continuations: Sequence[str]
    ) -> list[Likelihood | Failed]:
        """The log-probability of each continuation as the answer to its prompt, over its own tokens.

        The continuation is cut into tokens by itself and put behind the prompt, so that no token belongs to both.
        """
        asked = list(zip(clips, prompts, continuations, strict=True))
        return _each(asked, self._likelihoods, _shape)

    def _answers(self, asked: Sequence[tuple[Tensor | None, str]], tokens: int) -> list[str | Failed]:
        given = self._inputs([clip for clip, _ in asked], [prompt for _, prompt in asked], "left")
        with torch.inference_mode():
            written = self.model.generate(**given, max_new_tokens=tokens, do_sample=False)
        new = written[:, given["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.tokenizer.batch_decode(new, skip_special_tokens=True)]

    def _likelihoods(self, asked: Sequence[tuple[Tensor | None, str, str]]) -> list[Likelihood | Failed]:
        given = self._inputs([clip for clip, _, _ in asked], [prompt for _, prompt, _ in asked], "right")
        tokenizer = self.processor.tokenizer
        said = [tokenizer(text, add_special_tokens=False)["input_ids"] for _, _, text in asked]
        if empty := [text for (_, _, text), ids in zip(asked, said, strict=True) if not ids]:
            raise ValueError(f"got the text {empty[0]!r}, which has no tokens")
        given, starts = _continued(given, said, tokenizer.pad_token_id or 0)
        first = min(starts) - 1
        width = given["input_ids"].shape[1]
        kept = {"logits_to_keep": width - first} if self._keep else {}
        with torch.inference_mode():
            logits = self.model(**given, use_cache=False, **kept).logits
        # Of models that do not know logits_to_keep, all places come back.
        first = width - logits.shape[1]
        found: list[Likelihood | Failed] = []
        for row, start, ids in zip(logits, starts, said, strict=True):
            places = row[start - 1 - first : start - 1 - first + len(ids)].float().log_softmax(-1)
            total = float(places.gather(1, torch.tensor(ids, device=places.device)[:, None]).sum())
            finite = total == total and abs(total) != float("inf")
            found.append(Likelihood(total, len(ids)) if finite else Failed("the model gave no finite likelihood"))
        return found

    def _inputs(self, clips: Sequence[Tensor | None], prompts: Sequence[str], side: str) -> dict[str, Any]:
        """What the model reads, on its device: prompts with their pictures, padded on one side."""
        texts = [
            self._prompt(0 if clip is None else len(clip), prompt) for clip, prompt in zip(clips, prompts, strict=True)
        ]
        pictures = [[Image.fromarray(frame.numpy()) for frame in clip] for clip in clips if clip is not None]
        options: dict[str, Any] = {"images": pictures} if pictures else {}
        given = self.processor(text=texts, return_tensors="pt", padding=True, padding_side=side, **options)
        kind = next(self.model.parameters()).dtype
        return {
            name: value.to(self.device, kind) if value.is_floating_point() else value.to(self.device)
            for name, value in given.items()
        }

    def _prompt(self, pictures: int, prompt: str) -> str:
        """The prompt in the model's own chat, the pictures first; without a chat template, pictures, a line feed, and
        the prompt.
        """
        template = getattr(self.processor, "chat_template", None) or self.processor.tokenizer.chat_template
        if template:
            content = [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": prompt}]
            chat = [{"role": "user", "content": content}]
            return str(
                self.processor.apply_chat_template(
                    chat, chat_template=template, add_generation_prompt=True, tokenize=False
                )
            )
        token = getattr(self.processor, "image_token", None)
        if pictures and not token:
            raise ValueError("the model has neither a chat template nor an image token")
        return f"{str(token) * pictures}\n{prompt}\n" if pictures else f"{prompt}\n"


def load_generative(path: str, frames: int = 8, dtype: str = "float32", device: str = "cpu") -> GenerativeModel:
    """A model of a hub id, with @revision or without, or of a local folder, in eval mode.

    frames: pictures of a clip. Raises PaxionError, one line, where there is none or it cannot be loaded: only models
    that transformers itself has are, from safetensors or with `weights_only`.
    """
    kinds = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if dtype not in kinds:
        raise PaxionError(f"got dtype {dtype!r}, expected one of {', '.join(kinds)}")
    folder, commit = fetch(path)
    files = weight_files(folder)
    from transformers import AutoModelForImageTextToText

    with quiet(), one_line(f"cannot load {path} as a model that writes about pictures"):
        processor = load_processor(folder)
        model, report = AutoModelForImageTextToText.from_pretrained(
            str(folder), dtype=kinds[dtype], local_files_only=True, trust_remote_code=False, weights_only=True,
            use_safetensors=files[0].suffix == ".safetensors", output_loading_info=True,
        )  # fmt: skip
    if report["missing_keys"]:
        key = sorted(report["missing_keys"])[0]
        raise PaxionError(
            f"{path}: {len(report['missing_keys'])} keys are missing, the first {key!r}; is it all there?"
        )
    name = path.partition("@")[0] if commit else folder.resolve().name
    revision = (commit or folder_digest(folder, files)) + ("" if dtype == "float32" else f"-{dtype}")
    return GenerativeModel(name, revision, model.eval().to(device), processor, frames, device)


def load_processor(folder: Path) -> Any:
    """A model's processor, with Pillow's image processor, and without a video processor: nothing is given to one."""
    from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, processing_utils
    from transformers.models.auto import processing_auto

    told = {"local_files_only": True, "trust_remote_code": False}
    pictures = AutoImageProcessor.from_pretrained(str(folder), **told)
    # Pictures are frames: cut into pieces each, they would be many times as many.
    for option in ("do_image_splitting", "crop_to_patches"):
        if hasattr(pictures, option):
            setattr(pictures, option, False)
    tokenizer = AutoTokenizer.from_pretrained(str(folder), **told)
    config = AutoConfig.from_pretrained(str(folder), **told)
    settings, _ = processing_utils.ProcessorMixin.get_processor_dict(str(folder), local_files_only=True)
    kind = settings.get("processor_class") or processing_auto.PROCESSOR_MAPPING_NAMES.get(config.model_type)
    if kind is None:
        raise PaxionError(f"a {config.model_type} model has no processor of pictures and texts")
    import transformers

    known = getattr(transformers, str(kind))
    parts = {"image_processor": pictures, "tokenizer": tokenizer, "video_processor": None}
    takes = inspect.signature(known.__init__).parameters
    options = {name: value for name, value in settings.items() if name in takes and name not in parts}
    options |= {"chat_template": settings.get("chat_template") or tokenizer.chat_template}
    # The class would insist on a video processor.
    unchecked = type(known.__name__, (known,), {"check_argument_for_proper_class": lambda *_: None})
    return unchecked(**{name: part for name, part in parts.items() if name in takes}, **options)


def _continued(
    given: Mapping[str, Tensor], said: Sequence[Sequence[int]], padding: int
) -> tuple[dict[str, Any], list[int]]:
    """Prompts that are padded on the right with the tokens of a text behind each, and where that begins.

    Everything that is said of each token of the prompts is said of the new ones too: 1 of the mask, else 0.
    """
    shape, mask = given["input_ids"].shape, given["attention_mask"]
    starts = mask.sum(1).tolist()
    width = max(start + len(ids) for start, ids in zip(starts, said, strict=True))
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value.shape != shape:
            found[name] = value
            continue
        longer = value.new_full((shape[0], width), padding if name == "input_ids" else 0)
        for row, (start, ids) in enumerate(zip(starts, said, strict=True)):
            longer[row, :start] = value[row, :start]
            if name in ("input_ids", "attention_mask"):
                new = value.new_tensor(ids) if name == "input_ids" else 1
                longer[row, start : start + len(ids)] = new
        found[name] = longer
    return found, starts


def _each(asked: Sequence[T], batch: Callable[[Sequence[T]], list[Any]], shape: Callable[[T], object]) -> list[Any]:
    """The results of all that is asked, those of one shape together; one by one where that fails."""
    found: list[Any] = [None] * len(asked)
    alike: dict[object, list[int]] = {}
    for place, one in enumerate(asked):
        kind = shape(one)
        if isinstance(kind, Failed):
            found[place] = kind
        else:
            alike.setdefault(kind, []).append(place)
    for places in alike.values():
        try:
            results = batch([asked[place] for place in places])
        except Exception:
            results = [_alone(asked[place], batch) for place in places]
        for place, result in zip(places, results, strict=True):
            found[place] = result
    return found


def _alone(one: T, batch: Callable[[Sequence[T]], list[Any]]) -> Any:
    try:
        return batch([one])[0]
    except Exception as error:  # whatever the model and its processor may raise: the run goes on
        said = " ".join(str(error).split())[:LONGEST]
        return Failed(f"{type(error).__name__}: {said}" if said else type(error).__name__)


def _shape(asked: Sequence[Any]) -> object:
    """What has to be alike in a batch: how many pictures, and how large."""
    clip = asked[0]
    if clip is None:
        return None
    if clip.ndim != 4 or clip.shape[-1] != 3 or not clip.numel() or clip.dtype != torch.uint8:
        return Failed(f"got a clip of shape {tuple(clip.shape)} and {clip.dtype}, expected (T, H, W, 3) uint8")
    return tuple(clip.shape)
