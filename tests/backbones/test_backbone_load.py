"""From names to backbones, and what the weights that ship with the package promise."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from paxion.backbones.base import Backbone
from paxion.backbones.load import load_backbone
from paxion.backbones.world import SHIPPED, UNKNOWN, WorldBackbone, load_world, read_card, save_world
from paxion.records import PaxionError
from paxion.world.actions import ACTIONS
from paxion.world.captions import blank, vocabulary
from paxion.world.generate import FRAMES, WorldPlan, draw_split


@pytest.fixture(scope="module")
def shipped() -> WorldBackbone:
    if not SHIPPED.exists():
        pytest.skip(f"no weights ship with this checkout: {SHIPPED} is absent")
    return load_world()


def cosine(model: WorldBackbone, one: str, other: str) -> float:
    first, second = model.encode_texts([one, other])
    return float(first @ second)


@pytest.mark.parametrize("name", ["wrold", "World", "worlds", "wrold:some/path"])
def test_a_name_that_is_nearly_right_is_guessed(name):
    with pytest.raises(PaxionError, match=r"did you mean 'world'\?"):
        load_backbone(name)


@pytest.mark.parametrize("name", ["resnet", "", ":path"])
def test_a_name_that_is_far_off_gets_the_list_and_no_guess(name):
    with pytest.raises(PaxionError, match="give one of world") as caught:
        load_backbone(name)
    assert "did you mean" not in str(caught.value)


def test_a_path_after_the_colon_is_read(tiny_backbone, tmp_path: Path):
    path = tmp_path / "a: b.safetensors"  # Only the first colon counts.
    save_world(tiny_backbone, path, {})
    loaded = load_backbone(f"world:{path}")
    assert (loaded.dim, loaded.token_width) == (tiny_backbone.dim, tiny_backbone.token_width)
    with pytest.raises(PaxionError, match="nowhere"):
        load_backbone(f"world:{tmp_path / 'nowhere'}")


def test_everything_that_the_protocol_names_is_there(tiny_backbone):
    for name in (*Backbone.__annotations__, "encode_video", "encode_texts"):
        assert getattr(tiny_backbone, name) is not None, name


@pytest.mark.parametrize(
    "text", ["Opening blue box.", "opening, blue box!", '"opening blue box"', "opening\tblue\nbox"]
)
def test_punctuation_and_case_do_not_make_a_word_unknown(tiny_backbone, text):
    assert torch.equal(tiny_backbone.words_of([text]), tiny_backbone.words_of(["opening blue box"]))


def test_no_texts_give_no_vectors(tiny_backbone):
    assert tiny_backbone.encode_texts([]).shape == (0, tiny_backbone.dim)


@pytest.mark.parametrize("change", [{"width": -1}, {"width": "wide"}, {"vocabulary": None}, {"vocabulary": "abc"}])
def test_a_configuration_that_makes_no_sense_is_said(tiny_backbone, tmp_path: Path, change):
    config = json.dumps({**asdict(tiny_backbone.config), **change})
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata={"config": config})
    with pytest.raises(PaxionError, match="world backbone"):
        load_world(path)


def test_the_shipped_weights_are_the_default_and_fit_the_world(shipped):
    default = load_backbone("world")
    assert default.revision == shipped.revision
    assert (default.frames, default.transform.size) == (FRAMES, WorldPlan().size)
    assert read_card()["plan"]
    assert SHIPPED.stat().st_size < 5_000_000
    assert all(torch.isfinite(value).all() for value in shipped.state_dict().values())


def test_the_shipped_weights_know_every_word_of_the_world(shipped):
    assert (shipped.words_of(vocabulary())[:, 0] != UNKNOWN).all()
    longest = max(clip.sample.caption.count(" ") + 1 for clip in draw_split(WorldPlan(test=63), "B", "test"))
    assert longest <= shipped.config.words


def test_the_shipped_weights_read_the_order_of_words(shipped):
    """The two texts hold the same words: a bag of words gives them one vector."""
    there, back = "pushing red star from left to right", "pushing red star from right to left"
    assert sorted(there.split()) == sorted(back.split())
    assert cosine(shipped, there, back) < 0.9
    assert cosine(shipped, there, "sliding red star to the right") > cosine(
        shipped, back, "sliding red star to the right"
    )
    assert cosine(shipped, back, "moving red star leftwards") > cosine(shipped, there, "moving red star leftwards")


def test_the_shipped_weights_tell_an_antonym_from_a_paraphrase(shipped):
    wrong = []
    for action in [action for action in ACTIONS if action.backward]:
        there = shipped.encode_texts([blank(text) for text in action.forward])
        back = shipped.encode_texts([blank(text) for text in action.backward])
        if min((there @ there.T).min(), (back @ back.T).min()) <= (there @ back.T).max():
            wrong.append(action.name)
    assert len(wrong) <= 1, wrong


def test_the_shipped_weights_see_objects_and_are_blind_to_direction(shipped):
    """The object probe is nearly solved, which shows that they see; a clip and its twin get the same vector."""
    clips = [clip for clip in draw_split(WorldPlan(test=84), "A", "test") if clip.sample.reversible]
    assert len(clips) == 2 * 68
    video = torch.stack([clip.frames(shipped.transform.size) for clip in clips]).permute(0, 1, 4, 2, 3).float() / 255
    pooled = shipped.encode_video((video - 0.5) / 0.25).pooled
    torch.testing.assert_close(pooled[::2], pooled[1::2], rtol=0, atol=1e-5)
    caption, replaced = (
        shipped.encode_texts([getattr(clip.sample, field) for clip in clips]) for field in ("caption", "replaced")
    )
    right, wrong = (pooled * caption).sum(1), (pooled * replaced).sum(1)
    assert (right > wrong).float().mean() > 0.85
    # One direction of each pair is liked better, whatever is shown: an accuracy of exactly one half on antonyms.
    antonym = shipped.encode_texts([clip.sample.antonym for clip in clips])
    margin = right - (pooled * antonym).sum(1)
    torch.testing.assert_close(margin[::2], -margin[1::2], rtol=0, atol=1e-5)
