"""Pretraining: reproducible, on scenes of its own, and a text loss in which antonyms are negatives."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from paxion.backbones.world import WorldBackbone
from paxion.world.captions import TEMPLATE_WORD
from paxion.world.generate import FRAMES, WorldPlan, draw_scene, draw_world
from paxion.world.pretrain import PretrainPlan, pretrain, render_frames, text_loss
from paxion.world.render import render

PLAN = PretrainPlan(scenes=42, steps=4, batch=16)
SCALE = torch.tensor(10.0)


@pytest.fixture(scope="module")
def trained() -> tuple[WorldBackbone, list[dict[str, float]], dict[str, object]]:
    ticks: list[dict[str, float]] = []
    model, card = pretrain(PLAN, ticks.append)
    return model, ticks, card


def test_it_runs_and_says_how(trained):
    model, ticks, card = trained
    assert [tick["step"] for tick in ticks] == [1, 2, 3, 4]
    assert all(math.isfinite(value) for tick in ticks for value in tick.values())
    assert card["plan"]["scenes"] == PLAN.scenes
    assert card["losses"] == ticks[-1]
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_seed_decides_the_weights(trained):
    weights = trained[0].state_dict()
    again, _ = pretrain(PLAN)
    assert all(torch.equal(value, weights[name]) for name, value in again.state_dict().items())
    other, _ = pretrain(replace(PLAN, seed=1, steps=1))
    assert not torch.equal(other.state_dict()["frame_out.weight"], weights["frame_out.weight"])


def test_it_moves_every_weight(trained):
    torch.manual_seed(PLAN.seed)
    untrained = WorldBackbone(trained[0].config).state_dict()
    moved = {name for name, value in trained[0].state_dict().items() if not torch.equal(value, untrained[name])}
    assert moved == set(untrained)


def test_frames_and_texts_are_those_of_the_scenes():
    ticks: list[int] = []
    frames, texts = render_frames(replace(PLAN, scenes=21), ticks.append)
    assert sum(ticks) == 21
    for number in range(21):
        scene = draw_scene(0, "A", "pretrain", number)
        clip = render(scene.picture, list(range(FRAMES)))
        assert all(any(torch.equal(frame, of) for of in clip) for frame in frames[number])
        captions, opposites, templates = texts[number][:3], texts[number][3:6], texts[number][6:]
        assert scene.saying.caption == captions[scene.paraphrase]
        assert len(set(captions)) == 3
        assert opposites[scene.paraphrase] == (scene.saying.antonym or scene.saying.caption)
        assert (opposites == captions) == (scene.saying.antonym is None)
        assert all(TEMPLATE_WORD in text for text in templates)
        assert not any(TEMPLATE_WORD in text for text in captions + opposites)


def test_pretraining_scenes_are_in_no_split():
    own = {draw_scene(0, "A", "pretrain", number).picture.noise_seed for number in range(200)}
    world = {clip.scene.picture.noise_seed for clip in draw_world(WorldPlan(train=200, val=100, test=100))}
    assert not own & world


def words(model: WorldBackbone, *texts: str) -> torch.Tensor:
    return model.words_of(texts)


def by_hand(model, anchors, paraphrases, antonyms, opposed) -> float:
    """The loss with loops: the paraphrase against the other paraphrases and the antonyms of those that have one."""
    own, wrong = model.text_forward(paraphrases), model.text_forward(antonyms)
    total = 0.0
    for i, anchor in enumerate(anchors):
        logits = [SCALE * anchor @ vector for vector in own]
        logits += [SCALE * anchor @ vector for vector, has in zip(wrong, opposed, strict=True) if has]
        total -= (logits[i] - torch.stack(logits).logsumexp(0)).item()
    return total / len(anchors)


def test_the_text_loss_by_hand(tiny_backbone):
    model = tiny_backbone
    anchors = model.encode_texts(["moving red star up", "opening blue box", "holding pink ring"])
    near = words(model, "raising red star", "unsealing blue box", "showing pink ring")
    far = words(model, "moving red star down", "closing blue box", "holding pink ring")
    for opposed in ([True, True, False], [False, False, False], [True, True, True]):
        loss = text_loss(model, anchors, near, far, torch.tensor(opposed), SCALE)
        assert loss.item() == pytest.approx(by_hand(model, anchors, near, far, opposed), rel=1e-5)


def test_an_antonym_is_a_negative_exactly_when_there_is_one(tiny_backbone):
    """An antonym that lies on the anchor itself costs most; without an opposite the same text costs nothing."""
    model = tiny_backbone
    texts = ["moving red star up", "opening blue box"]
    anchors, near = model.encode_texts(texts), words(model, "raising red star", "unsealing blue box")
    on_anchor, elsewhere = words(model, *texts), words(model, "poking cyan ring with pink heart", "dimming white cross")
    yes, no = torch.tensor([True, True]), torch.tensor([False, False])
    losses = {
        (name, has): text_loss(model, anchors, near, antonyms, opposed, SCALE).item()
        for name, antonyms in (("on", on_anchor), ("off", elsewhere))
        for has, opposed in (("yes", yes), ("no", no))
    }
    assert losses["on", "no"] == losses["off", "no"]
    assert losses["on", "yes"] > losses["off", "yes"] > losses["off", "no"]


def test_the_same_caption_twice_in_a_batch_is_not_its_own_negative(tiny_backbone):
    model = tiny_backbone
    anchors = model.encode_texts(["opening blue box", "opening blue box"])
    near = words(model, "unsealing blue box", "unsealing blue box")
    loss = text_loss(model, anchors, near, near, torch.tensor([False, False]), SCALE)
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
