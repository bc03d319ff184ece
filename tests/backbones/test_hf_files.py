"""What is refused when a Hugging Face model is read from a folder or from the hub's cache, and what is not run."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tiny_hf import DIM, SIZE, write_tiny
from torch import Tensor

from paxion.backbones.hf_files import one_line
from paxion.backbones.hugging_face import HuggingFaceBackbone, load_hugging_face
from paxion.backbones.load import load_backbone
from paxion.records import PaxionError

KEY = "vision_model.encoder.layers.1.mlp.fc1.weight"
TEXTS = ["a person opens the door", "a door"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny("clip", tmp_path_factory.mktemp("hf") / "clip")


@pytest.fixture
def copy(clip: Path, tmp_path: Path) -> Path:
    """A folder to spoil."""
    return Path(shutil.copytree(clip, tmp_path / "model"))


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def save_weights(folder: Path, weights: dict[str, Tensor]) -> None:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def refused(folder: Path | str, match: str) -> None:
    with pytest.raises(PaxionError, match=match) as caught:
        load_hugging_face(str(folder))
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_are_refused(copy: Path) -> None:
    weights = weights_of(copy)
    save_weights(copy, {name: value for name, value in weights.items() if name != KEY})
    refused(copy, rf"model\.safetensors: missing key '{KEY}'")
    save_weights(copy, {**weights, KEY: torch.zeros(2, 3)})
    refused(copy, rf"model\.safetensors: key '{KEY}' has shape \(2, 3\), expected \(48, 32\)")
    save_weights(copy, {**weights, "vision_model.extra": torch.zeros(2)})
    refused(copy, r"model\.safetensors: unexpected key 'vision_model\.extra'")
    save_weights(copy, {**weights, KEY: torch.full((48, 32), torch.nan)})
    refused(copy, rf"model\.safetensors: key '{KEY}' holds numbers that are not finite")
    save_weights(copy, {**weights, "text_model.embeddings.position_ids": torch.arange(77)[None]})
    assert load_hugging_face(str(copy)).dim == DIM


def test_truncated_weights_are_refused(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(copy, r"model\.safetensors is no checkpoint, or is truncated")
    path.write_bytes(b"")
    refused(copy, r"model\.safetensors is no checkpoint, or is truncated")
    path.unlink()
    refused(copy, r"has no weights \(model\.safetensors\)")


class Trap:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_pickled_weights_are_read_and_pickled_code_is_not_run(copy: Path, tmp_path: Path) -> None:
    expected = load_hugging_face(str(copy))
    weights = weights_of(copy)
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    again = load_hugging_face(str(copy))
    video = torch.randn(1, 2, 3, SIZE, SIZE)
    assert torch.equal(again.encode_video(video).pooled, expected.encode_video(video).pooled)
    trap = tmp_path / "sprung"
    torch.save({**weights, "trap": Trap(trap)}, copy / "pytorch_model.bin")
    refused(copy, r"pytorch_model\.bin holds .*, which is code and not weights, and was not run")
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(trap), protocol=2))
    refused(copy, r"pytorch_model\.bin")
    assert not trap.exists()


def test_weights_in_several_files(copy: Path) -> None:
    expected = load_hugging_face(str(copy))
    weights = weights_of(copy)
    (copy / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, copy / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    again = load_hugging_face(str(copy))
    assert again.revision not in ("", expected.revision)
    assert torch.equal(again.encode_texts(TEXTS), expected.encode_texts(TEXTS))
    second = copy / "model-00002-of-00002.safetensors"
    whole = second.read_bytes()
    second.write_bytes(whole[: len(whole) // 2])
    refused(copy, r"model-00002-of-00002\.safetensors is no checkpoint, or is truncated")
    second.unlink()
    refused(copy, r"no checkpoint at .*model-00002-of-00002\.safetensors, which model\.safetensors\.index\.json names")


def test_an_index_that_names_no_files(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    refused(copy, r"model\.safetensors\.index\.json names no files")


def test_one_line() -> None:
    """The useful half of a message is often its second sentence or line."""
    for error, said in (
        (ValueError("Unrecognized model. Should have\n  a `model_type` key."), "Unrecognized model. Should have a"),
        (KeyError("size"), "KeyError: 'size'"),
        (ValueError(), "ValueError"),
    ):
        with pytest.raises(PaxionError, match=f"^cannot read it: {said}"), one_line("cannot read it"):
            raise error
    with pytest.raises(PaxionError) as caught, one_line("cannot read it"):
        raise ValueError("many words " * 99)
    assert 150 < len(str(caught.value)) < 250


def test_a_tokenizer_with_more_words_than_the_model(copy: Path) -> None:
    tokenizer = hf.AutoTokenizer.from_pretrained(copy)
    size = len(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<extra_id_0>"]})  # no caption holds it
    tokenizer.save_pretrained(copy)
    backbone = load_hugging_face(str(copy))
    with pytest.raises(PaxionError, match=rf"text 'a <extra_id_0>' .* token {size}, expected less than {size}"):
        backbone.encode_texts(["a door", "a <extra_id_0>"])
    tokenizer.add_tokens(["zeppelin", "zither"])
    tokenizer.save_pretrained(copy)
    refused(copy, rf"the tokenizer of .*model gives tokens up to {size + 2} \('zither'\), expected less than {size}")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "config.json"])
def test_the_revision_of_a_folder_is_of_all_that_is_read(copy: Path, name: str) -> None:
    before = load_hugging_face(str(copy))
    (copy / name).write_text((copy / name).read_text() + "\n")
    assert load_hugging_face(str(copy)).revision != before.revision
    (copy / "README.md").write_text("not read")
    moved = copy.rename(copy.with_name("moved"))
    (moved / name).write_text((moved / name).read_text()[:-1])
    after = load_hugging_face(str(moved))
    assert after.revision == before.revision
    assert after.pinned is not None and load_hugging_face(after.pinned).revision == before.revision


def test_folders_that_lack_something(copy: Path, tmp_path: Path) -> None:
    (copy / "preprocessor_config.json").rename(tmp_path / "processor")
    refused(copy, r"model has no image processor \(preprocessor_config\.json\)")
    (tmp_path / "processor").rename(copy / "preprocessor_config.json")
    (copy / "tokenizer.json").rename(tmp_path / "tokenizer")
    refused(copy, r"model has no tokenizer \(tokenizer\.json\)")
    (tmp_path / "tokenizer").rename(copy / "tokenizer.json")
    (copy / "config.json").write_text("{}")
    refused(copy, "cannot read the configuration of .*model: .*Should have a `model_type` key")
    (copy / "config.json").unlink()
    refused(copy, r"model has no config\.json")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"empty has no config\.json")
    refused(tmp_path / "nowhere", "no folder at .*nowhere")


def test_a_processor_of_another_size_is_refused(copy: Path) -> None:
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    larger = {"size": {"shortest_edge": 40}, "crop_size": {"height": 40, "width": 40}}
    (copy / "preprocessor_config.json").write_text(json.dumps({**settings, **larger}))
    refused(copy, "cannot encode a clip and a text as its own configuration says: .*40")


def test_a_video_processor_of_another_size_is_refused(tmp_path: Path) -> None:
    folder = write_tiny("xclip", tmp_path / "model")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "size": 40, "crop_size": 40}))
    refused(folder, "cannot encode a clip and a text as its own configuration says: .*40")


def test_a_model_that_is_no_dual_encoder(copy: Path) -> None:
    hf.BertModel(
        hf.BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=9)
    ).save_pretrained(copy)
    refused(copy, r"holds a bert model, which does not have get_text_features and get_image_features")


def test_code_of_the_folder_is_not_run(copy: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    code = f"from pathlib import Path\nPath({str(trap)!r}).touch()\nclass Mine: ...\n"
    (copy / "mine.py").write_text(code)
    config = json.loads((copy / "config.json").read_text())
    mine = {"AutoConfig": "mine.Mine", "AutoModel": "mine.Mine"}
    (copy / "config.json").write_text(json.dumps({**config, "auto_map": mine}))
    assert load_hugging_face(str(copy)).dim == DIM  # the library's own class, for a type that it knows
    (copy / "config.json").write_text(json.dumps({**config, "auto_map": mine, "model_type": "mine"}))
    refused(copy, "cannot read the configuration of .*model: .*paxion never runs")
    assert not trap.exists()


def test_a_folder_with_an_at_sign(clip: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clip, tmp_path / "clip@home"))
    assert load_hugging_face(str(folder)).name == "hf:clip@home"


@pytest.fixture
def cache(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the hub's cache looks like after a download of maker/tiny, without the network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    commit, repository = "0123456789abcdef0123456789abcdef01234567", tmp_path / "models--maker--tiny"
    shutil.copytree(clip, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    for name in ("main", "v1"):
        (repository / "refs" / name).write_text(commit)
    return repository


@pytest.mark.parametrize("name", ["maker/tiny", "maker/tiny@v1", "maker/tiny@0123456789abcdef0123456789abcdef01234567"])
def test_an_id_in_the_cache_is_read_offline(cache: Path, clip: Path, name: str) -> None:
    backbone = load_backbone(f"hf:{name}")
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert isinstance(backbone, HuggingFaceBackbone)
    assert (backbone.name, backbone.revision, backbone.pinned) == ("hf:maker/tiny", commit, f"maker/tiny@{commit}")
    assert torch.equal(backbone.encode_texts(TEXTS), load_hugging_face(str(clip)).encode_texts(TEXTS))


@pytest.mark.parametrize("name", ["maker/other", "maker/tiny@v2", "other"])
def test_an_id_that_is_not_in_the_cache(cache: Path, name: str) -> None:
    repository = name.partition("@")[0]
    refused(
        name, f"no folder at {name}, and {repository}.* is not in the cache of the Hugging Face hub.*HF_HUB_OFFLINE"
    )
