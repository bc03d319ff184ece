"""What the world says: actions, paraphrases, antonyms, templates and foils that text alone cannot tell apart."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from paxion.evaluation.text_only import text_only_scores
from paxion.records import Sample, Split
from paxion.world.actions import ACTIONS
from paxion.world.captions import Saying, label, say, vocabulary
from paxion.world.generate import Clip, WorldPlan, draw_scene, draw_split
from paxion.world.scene import COLOURS, CONTAINER_SHAPES, DOMAINS, SPRITE_SHAPES

OBJECT = re.compile(rf"\b({'|'.join(COLOURS)}) ({'|'.join((*SPRITE_SHAPES, *CONTAINER_SHAPES))})\b")
ROLES = re.compile("{([xyz])}")
PLAN = WorldPlan(train=600, val=210, test=300)
PARTS: list[tuple[str, Split]] = [("A", "train"), ("A", "val"), ("A", "test"), ("B", "test")]


@cache
def clips(domain: str, split: Split) -> list[Clip]:
    return draw_split(PLAN, domain, split)


def samples(domain: str, split: Split) -> list[Sample]:
    return [clip.sample for clip in clips(domain, split)]


def named_first(clip: Clip) -> str:
    saying = clip.scene.saying
    return str(getattr(saying.cast, saying.role).words)


def test_there_are_seventeen_reversals_one_other_opposite_and_three_timeless_actions():
    reversible = [action for action in ACTIONS if action.reversible]
    opposed = [action.name for action in ACTIONS if action.backward and not action.reversible]
    timeless = [action.name for action in ACTIONS if not action.backward]
    assert len(reversible) >= 17
    assert opposed == ["quick-slow"]
    assert len(timeless) >= 3
    assert len({action.name for action in ACTIONS}) == len(ACTIONS)


def test_each_direction_is_said_in_three_ways_and_no_text_is_said_of_two_actions():
    patterns = [texts for action in ACTIONS for texts in (action.forward, action.backward) if texts]
    assert {len(texts) for texts in patterns} == {3}
    everything = [text for texts in patterns for text in texts]
    assert len(set(everything)) == len(everything)
    # Blanked too: templates are the texts of video-to-action retrieval.
    assert len({ROLES.sub("something", text) for text in everything}) == len(everything)


@pytest.mark.parametrize("action", [action for action in ACTIONS if action.backward], ids=lambda action: action.name)
def test_a_caption_and_its_antonym_name_the_same_things(action):
    for forward, backward in zip(action.forward, action.backward, strict=True):
        assert set(ROLES.findall(forward)) == set(ROLES.findall(backward))
        # A twin keeps its partner's foil, so the thing that is replaced must be the same one.
        assert ROLES.findall(forward)[0] == ROLES.findall(backward)[0]


def test_the_antonym_of_the_antonym_is_the_caption():
    cast = draw_scene(0, "A", "test", 0).cast
    for action in ACTIONS:
        for paraphrase in range(3):
            there, back = (say(action, forward, paraphrase, cast) for forward in (True, False))
            assert there.antonym == (back.caption if action.backward else None)
            assert back.antonym == (there.caption if action.backward else None)
    labels = [
        label(action, forward) for action in ACTIONS for forward in ((True, False) if action.backward else (True,))
    ]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(("domain", "split"), PARTS)
def test_a_template_is_the_caption_without_its_objects(domain, split):
    for sample in samples(domain, split):
        assert sample.template == OBJECT.sub("something", sample.caption)
        assert "something" in sample.template
        assert sample.verb == sample.caption.split()[0]


@pytest.mark.parametrize(("domain", "split"), PARTS)
def test_captions_name_what_their_domain_shows(domain, split):
    for clip in clips(domain, split):
        shapes = {shape for _, shape in OBJECT.findall(clip.sample.caption)}
        assert shapes <= {*DOMAINS[domain].sprites, *CONTAINER_SHAPES}
        things = clip.scene.cast.x, clip.scene.cast.y, clip.scene.cast.z
        assert len({thing.shape for thing in things}) == len({thing.colour for thing in things}) == 3


def test_every_word_is_in_the_vocabulary():
    words = {
        word
        for domain, split in PARTS
        for sample in samples(domain, split)
        for text in (sample.caption, sample.antonym, sample.replaced, sample.template)
        if text
        for word in text.split()
    }
    assert words <= set(vocabulary())
    assert len(set(vocabulary())) == len(vocabulary())
    # And it is not padded: but for shapes and colours that may not have been drawn, all of it is used.
    assert set(vocabulary()) - words <= {*COLOURS, *SPRITE_SHAPES, *CONTAINER_SHAPES}


@pytest.mark.parametrize(("domain", "split"), PARTS)
def test_a_foil_changes_shape_and_colour_of_one_object_to_ones_not_named(domain, split):
    for sample in samples(domain, split):
        caption, foil = sample.caption.split(), sample.replaced.split()
        changed = [i for i, (word, other) in enumerate(zip(caption, foil, strict=True)) if word != other]
        assert len(changed) == 2, sample
        assert changed[1] == changed[0] + 1
        colour, shape = foil[changed[0]], foil[changed[1]]
        assert OBJECT.fullmatch(f"{colour} {shape}")
        assert not {colour, shape} & set(caption), sample
        # A box is never replaced by a star: that could be told without looking.
        assert (shape in CONTAINER_SHAPES) == (caption[changed[1]] in CONTAINER_SHAPES)


def swaps(domain: str, split: Split) -> Counter[tuple[str, str]]:
    """(object named, object in the foil) of every scene; a twin counts with its partner."""
    scenes = {clip.sample.group: clip for clip in clips(domain, split)}
    found: Counter[tuple[str, str]] = Counter()
    for clip in scenes.values():
        own = named_first(clip)
        other = next(words for words in _objects(clip.sample.replaced) if words not in _objects(clip.sample.caption))
        found[own, other] += 1
    return found


def _objects(text: str | None) -> list[str]:
    return [" ".join(found) for found in OBJECT.findall(text or "")]


@pytest.mark.parametrize(("domain", "split"), PARTS)
def test_nearly_every_foil_is_paid_back(domain, split):
    found = swaps(domain, split)
    alone = sum(max(0, count - found[other, own]) for (own, other), count in found.items())
    assert sum(found.values()) >= 210
    assert alone <= 0.03 * sum(found.values())


@pytest.mark.parametrize(("domain", "split"), [part for part in PARTS if part[1] != "train"])
def test_captions_and_antonyms_are_closed_under_swapping(domain, split):
    pairs = Counter((s.caption, s.antonym) for s in samples(domain, split) if s.antonym)
    assert pairs == Counter({(antonym, caption): count for (caption, antonym), count in pairs.items()})
    assert sum(pairs.values()) > len(samples(domain, split)) // 2


@pytest.mark.parametrize("domain", ["A", "B"])
def test_no_text_only_scorer_tells_antonyms(domain):
    scores = text_only_scores(samples("A", "train"), samples(domain, "test"), "antonym")
    assert {"text:bag-of-words", "text:bigrams", "text:unigram"} < {score.model for score in scores}
    assert {score.value for score in scores} == {0.5}


@pytest.mark.parametrize("domain", ["A", "B"])
def test_no_text_only_scorer_tells_replaced_objects(domain):
    for score in text_only_scores(samples("A", "train"), samples(domain, "test"), "replaced"):
        assert score.value == pytest.approx(0.5, abs=0.06), score.model


def test_the_probe_would_find_foils_that_text_gives_away():
    """The two tests above can fail: with objects drawn at random from a few names the regression wins."""
    train, test = samples("A", "train"), samples("A", "test")

    def given_away(rows: list[Sample]) -> list[Sample]:
        return [
            Sample(s.id, s.video, s.caption, s.split, s.group, replaced=OBJECT.sub("red star", s.caption, count=1))
            for s in rows
            if not {"red", "star"} & set(s.caption.split())
        ]

    (best,) = [s for s in text_only_scores(given_away(train), given_away(test), "replaced") if s.model == "text:best"]
    assert best.value > 0.9


def test_the_first_thing_named_is_the_one_replaced():
    cast = draw_scene(0, "A", "test", 0).cast
    assert Saying("sliding {y} over {x}", None, cast).role == "y"
    assert Saying("opening {z}", None, cast).role == "z"
    assert Saying("a {x}, a {y}", None, cast).replaced("red cup") == f"a red cup, a {cast.y.words}"
