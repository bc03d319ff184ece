"""The files of a Hugging Face model: finding or fetching them, and loading weights that fit exactly or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from paxion.backbones import state
from paxion.records import PaxionError

CONFIGURATION = ("*.json", "*.txt", "*.model")
VOCABULARIES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
READ = (
    "config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    *VOCABULARIES,
)
"""What says, beside the weights, which numbers a clip and a text become."""
SAFE = ("model.safetensors", "model-*-of-*.safetensors")
PICKLED = ("pytorch_model.bin", "pytorch_model-*-of-*.bin")
LINE = 200
"""Characters of what a library says: whole messages of transformers are pages."""


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Say whatever a library raises as a PaxionError of one short line: its exceptions have no common base."""
    try:
        yield
    except PaxionError:
        raise
    except Exception as error:
        raise PaxionError(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())
    if "custom code" in said:  # the library advises to run it
        return "it needs code that comes with it, which paxion never runs; give a model that transformers itself has"
    if " " not in said:
        said = f"{type(error).__name__}: {said}"
    return said[:LINE].rstrip(".: ") + (" ..." if len(said) > LINE else "")


def fetch(path: str) -> tuple[Path, str | None]:
    """The folder of a model, and the commit when it came from the hub. Weights that need unpickling come second."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder, None
    name, _, revision = path.partition("@")
    if not re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", name):
        raise PaxionError(f"no folder at {path}; give one, or a model's id such as openai/clip-vit-base-patch32")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    def get(*patterns: str) -> Path:
        # From a snapshot and not by id: transformers would ask for pickled weights to be converted, over the network.
        found = snapshot_download(
            name,
            revision=revision or None,
            allow_patterns=[*CONFIGURATION, *patterns],
            ignore_patterns=["*/*"],
            local_files_only=constants.HF_HUB_OFFLINE,
        )
        return Path(found)

    with one_line(f"no folder at {path}, and no such model from the Hugging Face hub"):
        try:
            folder = get(*SAFE)
            if not any(next(folder.glob(pattern), None) for pattern in SAFE):
                folder = get(*PICKLED)
        except LocalEntryNotFoundError as error:
            offline = "HF_HUB_OFFLINE forbids to fetch it" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
            raise PaxionError(
                f"no folder at {path}, and {path} is not in the cache of the Hugging Face hub, at least not all of it: "
                f"{offline}"
            ) from error
    return folder, folder.name


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a model's weights: safetensors if there are any.

    Raises PaxionError if there are none, or when one that the index names is missing.
    """
    for whole in (SAFE[0], PICKLED[0]):
        index = folder / f"{whole}.index.json"
        if (folder / whole).is_file():
            return [folder / whole]
        if index.is_file():
            with one_line(f"{index} is no index of weight files"):
                files = sorted(
                    folder / name for name in set(json.loads(index.read_text("utf-8"))["weight_map"].values())
                )
            if not files:
                raise PaxionError(f"{index} names no files; download it again")
            for file in files:
                if not file.is_file():
                    raise PaxionError(f"no checkpoint at {file}, which {index.name} names; download it again")
            return files
    raise PaxionError(f"{folder} has no weights ({SAFE[0]}); download the model again")


def folder_digest(folder: Path, weights: list[Path]) -> str:
    """Twelve hexadecimal digits of all that says what a clip and a text become: weights, settings and tokenizer."""
    return state.digest(*weights, *(folder / name for name in sorted(READ) if (folder / name).is_file()))


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' warnings and progress bars: what matters of them is raised."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load_model(folder: Path, files: list[Path], config: Any) -> Any:
    """The model, float32, when its weights fit exactly: transformers would draw at random what is missing."""
    what = files[0] if len(files) == 1 else folder
    from transformers import AutoModel

    try:
        model, report = AutoModel.from_pretrained(
            str(folder),
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            use_safetensors=files[0].suffix == ".safetensors",
            ignore_mismatched_sizes=True,  # to be told of them
            output_loading_info=True,
        )
    except Exception as error:  # whatever the library and what it calls may raise
        for file in files:
            state.read_file(file)  # says which file it is, and why
        with one_line(f"cannot load {what}"):
            raise error
    for key, got, expected in sorted(report["mismatched_keys"]):
        said = f"has shape {tuple(got)}, expected {tuple(expected)}"
        raise PaxionError(f"{what}: key {key!r} {said}; is it another model's?")
    for key in sorted(report["missing_keys"]):
        raise PaxionError(
            f"{what}: missing key {key!r}, which a {config.model_type} model needs; is it another model's?"
        )
    for key in sorted(report["unexpected_keys"]):
        if not key.endswith("position_ids"):  # numbers 0, 1, 2, ... that older versions saved
            raise PaxionError(f"{what}: unexpected key {key!r}; is it another model's?")
    for key, value in model.named_parameters():
        if not torch.isfinite(value).all():
            raise PaxionError(f"{what}: key {key!r} holds numbers that are not finite; download the file again")
    return model
