"""What holds for every reader of published checkpoints: revisions, hostile files, options, half precision."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from published import assert_refused, clip_vocabulary, synthetic
from test_clip_vip import FILED as CLIP_VIP
from test_clip_vip import named as clip_vip_names
from test_clip_vip import on_meta as clip_vip_on_meta
from test_internvideo import FILED as INTERNVIDEO
from test_internvideo import on_meta as internvideo_on_meta
from test_singularity import WORDS, tiny_state
from torch import Tensor

from paxion.backbones import internvideo
from paxion.backbones.beit import TABLE, resize_table
from paxion.backbones.clip_vip import load_clip_vip
from paxion.backbones.internvideo import load_internvideo
from paxion.backbones.load import load_backbone
from paxion.backbones.singularity import load_singularity
from paxion.backbones.tokenizers import bert_tokenizer, clip_tokenizer
from paxion.records import PaxionError

State = dict[str, Tensor]


@dataclass(frozen=True)
class Kind:
    scheme: str
    load: Callable[..., torch.nn.Module]
    state: Callable[[], State]
    matrix: str
    places: str
    """What says how many places or moments there are."""


def internvideo_state() -> State:
    state = synthetic(internvideo.published_state(internvideo_on_meta(INTERNVIDEO)), torch.float32)
    return {f"clip.{name}": value for name, value in state.items()}


KINDS = (
    Kind("internvideo", load_internvideo, internvideo_state, "clip.visual_proj", "clip.visual.positional_embedding"),
    Kind(
        "clip-vip",
        load_clip_vip,
        lambda: synthetic(clip_vip_names(clip_vip_on_meta(CLIP_VIP)), torch.float32),
        "clipmodel.text_projection.weight",
        "clipmodel.vision_model.embeddings.temporal_embedding",
    ),
    Kind("singularity", load_singularity, tiny_state, "text_proj.weight", "temporal_embeddings"),
)
EACH = pytest.mark.parametrize("kind", KINDS, ids=[kind.scheme for kind in KINDS])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the vocabularies beside the checkpoint."""
    clip_vocabulary(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    return tmp_path


def save(content: object, path: Path) -> str:
    torch.save(content, path)
    return str(path)


@EACH
def test_a_revision_names_the_weights_and_not_the_file(kind, folder):
    torch.manual_seed(0)
    state = kind.state()
    bare = {name.removeprefix("clip."): value for name, value in state.items()}
    first = kind.load(save({"state_dict": state, "epoch": 3}, folder / "one.pt")).revision
    whole = {f"vl_backbone.{name}": value for name, value in bare.items()} | {"other": torch.ones(2)}
    assert kind.load(save({"model": whole}, folder / "two.pt")).revision == first
    assert re.fullmatch("[0-9a-f]{12}", first)
    changed = state | {kind.matrix: state[kind.matrix] + 0.01}
    assert kind.load(save({"state_dict": changed}, folder / "three.pt")).revision != first


def test_both_layouts_of_singularity_have_one_revision(folder):
    state = tiny_state()
    bert = {name.replace("text_encoder.", "text_encoder.bert."): value for name, value in state.items()}
    paths = save(state, folder / "one.pt"), save({"model": bert}, folder / "two.pt")
    one, two = (load_singularity(path).revision for path in paths)
    assert one == two


@EACH
@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_text_vectors_have_unit_length_in_any_precision(kind, dtype, folder):
    path = save(kind.state(), folder / "weights.pt")
    vectors = load_backbone(f"{kind.scheme}:{path},dtype={dtype}").encode_texts(["the door", "a knife", "opens"])
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3), rtol=0, atol=1e-5)


UNFIT = {
    "int64": lambda value: value.long(),
    "bool": lambda value: value > 0,
    "complex64": lambda value: value.to(torch.complex64),
    "float8_e4m3fn": lambda value: value.to(torch.float8_e4m3fn),
    "sparse": lambda value: value.to_sparse(),
    "sparse_csr": lambda value: value.to_sparse_csr(),
    "meta": lambda value: value.to("meta"),
    "not finite": lambda value: torch.full_like(value, 1e300, dtype=torch.float64),
    "expand": lambda value: torch.zeros(1).expand(value.shape),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@EACH
@pytest.mark.parametrize("unfit", UNFIT)
def test_what_is_no_plain_dense_number_is_refused_by_its_key(kind, unfit, folder):
    state = kind.state()
    save(state | {kind.matrix: UNFIT[unfit](state[kind.matrix])}, folder / "weights.pt")
    assert_refused(kind.load, folder / "weights.pt", f"key '{re.escape(kind.matrix)}' .*{unfit}")


@EACH
def test_a_giant_that_takes_no_room_in_the_file_is_refused_before_it_takes_room(kind, folder):
    state = kind.state()
    shape = [10**7 if size == max(state[kind.places].shape[:2]) else size for size in state[kind.places].shape]
    save(state | {kind.places: torch.zeros([1] * len(shape)).expand(shape)}, folder / "weights.pt")
    assert_refused(kind.load, folder / "weights.pt", f"key '{re.escape(kind.places)}' .*expand")


@pytest.mark.parametrize(
    ("kind", "vector"),
    [
        (KINDS[0], "clip.visual.class_embedding"),
        (KINDS[1], "clipmodel.vision_model.embeddings.class_embedding"),
    ],
    ids=["internvideo", "clip-vip"],
)
def test_names_and_shapes_are_compared_before_the_model_takes_room(kind, vector, folder):
    # A model of this width has layers of terabytes.
    save(kind.state() | {vector: torch.zeros(640_000)}, folder / "weights.pt")
    assert_refused(kind.load, folder / "weights.pt", r"key .* has shape .*, expected \(.*640000.*\)")


def test_more_extractors_than_layers_are_refused(folder):
    state = synthetic(internvideo.published_state(internvideo_on_meta(replace(INTERNVIDEO, layers=3, extractors=3))))
    kept = {f"clip.{name}": value for name, value in state.items() if "visual.transformer.resblocks.2." not in name}
    save(kept, folder / "weights.pt")
    assert_refused(load_internvideo, folder / "weights.pt", "3 layers under 'clip.visual.transformer.dpe', expected")


@EACH
def test_keys_and_moments_of_no_sense_are_refused(kind, folder):
    state, path = kind.state(), folder / "weights.pt"
    save(state | {3: torch.ones(1)}, path)
    assert_refused(kind.load, path, "a key is of type int, expected text")
    save(state | {kind.places: state[kind.places][:0]}, path)
    assert_refused(kind.load, path, f"'{re.escape(kind.places)}' has shape .*none empty")


@EACH
@pytest.mark.parametrize("option", [{"frames": 0}, {"frames": 1025}, {"size": 8192}, {"size": 0}, {"size": 20}])
def test_frames_and_sizes_of_no_sense_are_refused(kind, option, folder):
    path = save(kind.state(), folder / "weights.pt")
    ((name, value),) = option.items()
    with pytest.raises(PaxionError, match=f"^got {name}={value}, expected .*(1024|4096)") as caught:
        kind.load(path, **option)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS[:2], ids=["internvideo", "clip-vip"])
def test_each_model_has_its_own_tokenizer_and_the_vocabulary_beside_it(kind, folder):
    model = kind.load(save(kind.state(), folder / "weights.pt"))
    texts = ["don\u2019t open", "<|endoftext|> &amp;"]
    other = partial(clip_tokenizer, str(folder / "merges.txt"))
    assert torch.equal(model.tokenize(texts), other(openai=kind.scheme == "internvideo")(texts))
    wrong = other(openai=kind.scheme != "internvideo")(texts)
    assert model.tokenize(texts).shape != wrong.shape


def test_singularity_has_a_tokenizer_as_long_as_its_table(folder):
    model = load_singularity(save(tiny_state(), folder / "weights.pt"))
    assert torch.equal(
        model.tokenize(["the " * 99])[0],
        bert_tokenizer(str(folder / "vocab.txt"), length=64, separator=False)(["the " * 99])[0],
    )


@pytest.mark.parametrize("grid", [1, 2])
def test_a_table_of_few_offsets_cannot_be_resized(grid):
    with pytest.raises(PaxionError, match=f"trained on {grid} . {grid} patches, expected at least 3 . 3"):
        resize_table(torch.zeros((2 * grid - 1) ** 2 + 3, 2), 4)


CROSS = "text_encoder.encoder.layer.{}.crossattention.{}"


@pytest.mark.parametrize("layer", [0, 1, 2, 99, 10**9, "9" * 5000])
def test_a_stray_key_does_not_move_where_texts_end_and_fusion_begins(layer, folder):
    stray = CROSS.format(layer, "stray.weight")
    kept = {CROSS.format(number, "self.key.bias"): torch.ones(1) for number in (3, 4)}
    more = {CROSS.format(4, "self.query.weight"): torch.ones(1)}
    path = folder / "weights.pt"
    save(tiny_state() | kept | more, path)
    assert load_singularity(str(path)).config.text.layers == 3
    save(tiny_state() | kept | more | {stray: torch.ones(1)}, path)
    assert_refused(load_singularity, path, re.escape(repr(stray)))


def test_one_stray_key_against_one_layer_that_fuses_is_the_stray_one(folder):
    stray = CROSS.format(1, "stray.weight")
    save({stray: torch.ones(1)} | tiny_state(), folder / "weights.pt")
    assert_refused(load_singularity, folder / "weights.pt", re.escape(repr(stray)))


@pytest.mark.parametrize("first", [0, 99])
def test_the_first_layer_that_fuses_is_one_of_those_there_are_and_not_the_first(first, folder):
    state = {name: value for name, value in tiny_state().items() if "crossattention" not in name}
    key = CROSS.format(first, "self.query.weight")
    save(state | {key: torch.ones(1)}, folder / "weights.pt")
    assert_refused(load_singularity, folder / "weights.pt", re.escape(repr(key)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (KINDS[0], KINDS[0].places),
        (KINDS[1], "clipmodel.vision_model.embeddings.position_embedding.weight"),
        (KINDS[2], f"vision_encoder.encoder.layer.1.{TABLE}"),
    ],
    ids=["internvideo", "clip-vip", "singularity"],
)
def test_what_is_fitted_to_a_size_is_refused_by_its_type_before(kind, name, folder):
    state = kind.state()
    save(state | {name: state[name].to(torch.complex64)}, folder / "weights.pt")
    assert_refused(partial(kind.load, size=48), folder / "weights.pt", f"{re.escape(repr(name))} .*complex64")
