"""The shipped backbone's architecture keeps the Backbone contract: blind to order, frame by frame, unit vectors."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from paxion.backbones.base import BackboneEncoder, Features, text_vectors
from paxion.backbones.world import PADDING, WorldBackbone, WorldConfig, load_world, read_card, save_world
from paxion.records import PaxionError

TEXTS = ["moving red star up", "opening blue box", "circling pink ring clockwise with cyan heart"]


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return torch.randn(3, 9, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def close(one, other, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=tolerance)


def test_shapes_are_those_declared(tiny_backbone: WorldBackbone, clips):
    b, found = tiny_backbone, tiny_backbone.encode_video(clips)
    assert found.pooled.shape == (3, b.dim)
    assert found.tokens is not None and found.frame_vectors is not None
    assert found.tokens.shape == (3, b.frames, b.tokens_per_frame, b.token_width)
    assert found.frame_vectors.shape == (3, b.frames, b.dim)
    assert clips.shape == (3, b.frames, 3, b.transform.size, b.transform.size)
    assert b.encode_texts(TEXTS).shape == (3, b.dim)


def test_it_is_blind_to_the_order_of_frames(tiny_backbone, clips):
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    pooled = tiny_backbone.encode_video(clips).pooled
    close(tiny_backbone.encode_video(clips.flip(1)).pooled, pooled)
    close(tiny_backbone.encode_video(clips[:, order]).pooled, pooled)
    assert (pooled[0] - pooled[1]).abs().max() > 1e-4  # Not because it is blind to everything.


def test_tokens_of_a_frame_depend_on_no_other_frame(tiny_backbone, clips):
    assert tiny_backbone.per_frame
    there, back = tiny_backbone.encode_video(clips), tiny_backbone.encode_video(clips.flip(1))
    close(back.tokens, there.tokens.flip(1), 1e-5)
    close(back.frame_vectors, there.frame_vectors.flip(1), 1e-5)
    changed = clips.clone()
    changed[:, 4] = 0
    after = tiny_backbone.encode_video(changed)
    others = [0, 1, 2, 3, 5, 6, 7, 8]
    close(after.tokens[:, others], there.tokens[:, others], 1e-5)
    assert (after.tokens[:, 4] - there.tokens[:, 4]).abs().max() > 0.1


def test_pooled_is_the_mean_of_the_frame_vectors(tiny_backbone, clips):
    found = tiny_backbone.encode_video(clips)
    close(torch.nn.functional.normalize(found.frame_vectors.mean(1), dim=-1), found.pooled)


@pytest.mark.parametrize("order", [list(range(8, -1, -1)), [0] * 9, [3, 1, 4, 1, 5, 8, 2, 6, 5]])
def test_reordered_features_are_those_of_the_reordered_clip(tiny_backbone, clips, order):
    derived = tiny_backbone.encode_video(clips).reordered(torch.tensor(order))
    encoded = tiny_backbone.encode_video(clips[:, order])
    for one, other in zip(vars(derived).values(), vars(encoded).values(), strict=True):
        close(one, other, 1e-5)


def test_each_clip_may_have_an_order_of_its_own(tiny_backbone, clips):
    orders = torch.stack([torch.randperm(9, generator=torch.Generator().manual_seed(n)) for n in range(3)])
    found = tiny_backbone.encode_video(clips)
    together = found.reordered(orders)
    for row in range(3):
        assert torch.equal(together.tokens[row], found.tokens[row, orders[row]])


def test_features_without_frame_vectors_refuse_to_be_reordered():
    with pytest.raises(ValueError, match="encode the reordered clip"):
        Features(torch.zeros(2, 4), torch.zeros(2, 9, 5, 8)).reordered(torch.arange(9))


def test_the_batch_does_not_matter(tiny_backbone, clips):
    together = tiny_backbone.encode_video(clips)
    for row in range(3):
        close(tiny_backbone.encode_video(clips[row : row + 1]).pooled[0], together.pooled[row])
    texts = tiny_backbone.encode_texts(TEXTS)
    for row, text in enumerate(TEXTS):
        close(tiny_backbone.encode_texts([text])[0], texts[row])
        # Nor does how long its neighbours are, although texts are padded.
        close(tiny_backbone.encode_texts([" ".join(["red"] * 16), text])[1], texts[row])


def test_it_is_deterministic(tiny_backbone, clips):
    assert torch.equal(tiny_backbone.encode_video(clips).pooled, tiny_backbone.encode_video(clips).pooled)
    assert torch.equal(tiny_backbone.encode_texts(TEXTS), tiny_backbone.encode_texts(TEXTS))


def test_vectors_have_unit_length(tiny_backbone, clips):
    close(tiny_backbone.encode_video(clips).pooled.norm(dim=-1), torch.ones(3))
    close(tiny_backbone.encode_texts(TEXTS).norm(dim=-1), torch.ones(3))
    encoder = BackboneEncoder("backbone", tiny_backbone)
    vectors = encoder.encode_clips(Features(5 * tiny_backbone.encode_video(clips).pooled))
    assert vectors.shape == (3, 1, tiny_backbone.dim)
    close(vectors.norm(dim=-1), torch.ones(3, 1))


def test_texts_are_told_apart_by_words_and_their_order(tiny_backbone):
    texts = ["putting red star on top of blue ring", "putting blue ring on top of red star", "opening blue box"]
    vectors = tiny_backbone.encode_texts(texts)
    assert (vectors @ vectors.T).fill_diagonal_(-1).max() < 1 - 1e-4


def test_case_and_spaces_do_not_matter_but_unknown_words_do(tiny_backbone):
    one, same, unknown, other = tiny_backbone.encode_texts(
        ["opening blue box", "  Opening  BLUE box ", "opening blue zebra", "opening blue aardvark"]
    )
    close(one, same)
    close(unknown, other)  # All unknown words are one.
    assert (one - unknown).abs().max() > 1e-3
    assert torch.isfinite(unknown).all()


def test_an_empty_text_is_finite_and_spoils_no_other(tiny_backbone):
    vectors = tiny_backbone.encode_texts(["", TEXTS[0]])
    assert torch.isfinite(vectors).all()
    close(vectors[1], tiny_backbone.encode_texts([TEXTS[0]])[0])


def test_padding_takes_no_part(tiny_backbone):
    changed = copy.deepcopy(tiny_backbone)
    with torch.no_grad():
        changed.word.weight[PADDING] += 5
    assert torch.equal(changed.encode_texts(TEXTS), tiny_backbone.encode_texts(TEXTS))


def test_a_long_text_is_cut_after_its_last_word(tiny_backbone):
    longest = tiny_backbone.config.words
    words = [*(["red", "blue"] * longest)]
    cut, whole = tiny_backbone.encode_texts([" ".join(words[:longest]), " ".join(words)])
    assert torch.equal(cut, whole)


def test_text_vectors_encodes_each_text_once(tiny_backbone):
    found = text_vectors(tiny_backbone, [*TEXTS, *TEXTS], batch=2)
    assert list(found) == TEXTS
    for text, vector in found.items():
        close(vector, tiny_backbone.encode_texts([text])[0])


def test_weights_survive_the_file(tiny_backbone, clips, tmp_path: Path):
    path = tmp_path / "world.safetensors"
    save_world(tiny_backbone, path, {"seed": 3})
    loaded = load_world(path)
    assert read_card(path) == {"seed": 3}
    assert loaded.config == tiny_backbone.config
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    for name, value in loaded.state_dict().items():
        close(value, tiny_backbone.state_dict()[name], 2e-3)  # Half precision.
    close(loaded.encode_video(clips).pooled, tiny_backbone.encode_video(clips).pooled, 5e-3)
    close(loaded.encode_texts(TEXTS), tiny_backbone.encode_texts(TEXTS), 5e-3)


def test_saving_what_was_loaded_changes_nothing(tiny_backbone, tmp_path: Path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_world(tiny_backbone, first, {})
    save_world(load_world(first), second, {})
    assert all(torch.equal(value, load_file(second)[name]) for name, value in load_file(first).items())


def test_the_revision_follows_the_weights(tiny_backbone, tmp_path: Path):
    torch.manual_seed(1)
    other = WorldBackbone(tiny_backbone.config)
    for name, model in (("a", tiny_backbone), ("b", other)):
        save_world(model, tmp_path / name, {})
    first, again, second = (load_world(tmp_path / name).revision for name in "aab")
    assert first == again != second
    assert "untrained" not in (first, second)


def config_json(model: WorldBackbone, **changes) -> str:
    return json.dumps({**vars(model.config), **changes})


@pytest.mark.parametrize(
    "kind", ["missing", "text", "folder", "foreign", "no json", "other field", "other size", "cut"]
)
def test_a_wrong_file_is_said_in_one_line(tiny_backbone, tmp_path: Path, kind):
    path = tmp_path / "weights.safetensors"
    tensors = {"weight": torch.zeros(2)}
    match kind:
        case "text":
            path.write_text("no weights in here")
        case "folder":
            path.mkdir()
        case "foreign":
            save_file(tensors, path)
        case "no json":
            save_file(tensors, path, metadata={"config": "{"})
        case "other field":
            save_file(tensors, path, metadata={"config": config_json(tiny_backbone, depth=3)})
        case "other size":
            save_world(tiny_backbone, path, {})
            save_file(load_file(path), path, metadata={"config": config_json(tiny_backbone, width=64)})
        case "cut":
            save_world(tiny_backbone, path, {})
            path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(PaxionError) as caught:
        load_world(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_follow_the_configuration():
    model = WorldBackbone(WorldConfig(("red",), size=32, frames=5, width=16, heads=2, dim=8)).eval()
    found = model.encode_video(torch.zeros(2, 5, 3, 32, 32))
    assert found.tokens.shape == (2, 5, 5, 16) == (2, model.frames, model.tokens_per_frame, model.token_width)
