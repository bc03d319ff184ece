"""The world's five-way questions: what they ask, and that texts alone do not answer them."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest

from paxion.records import Sample, Split
from paxion.world.actions import ACTIONS
from paxion.world.captions import vocabulary
from paxion.world.generate import Clip, WorldPlan, draw_split
from paxion.world.questions import POOLS
from paxion.world.scene import COLOURS, CONTAINER_SHAPES, SPRITE_SHAPES

OBJECT = re.compile(rf"\b({'|'.join(COLOURS)}) ({'|'.join((*SPRITE_SHAPES, *CONTAINER_SHAPES))})\b")
PLAN = WorldPlan(train=1050, val=210, test=1050)
PARTS: list[tuple[str, Split]] = [("A", "train"), ("A", "val"), ("A", "test"), ("B", "test")]
PATTERNS = {
    re.sub("{[xyz]}", "#", text): (action.name, forward, number)
    for action in ACTIONS
    for forward, texts in ((True, action.forward), (False, action.backward or ()))
    for number, text in enumerate(texts)
}


@cache
def clips(domain: str, split: Split) -> list[Clip]:
    return draw_split(PLAN, domain, split)


def patterns(sample: Sample) -> list[tuple[str, bool, int]]:
    """(action, forward, paraphrase) of each choice."""
    return [PATTERNS[OBJECT.sub("#", choice)] for choice in sample.choices or ()]


@pytest.mark.parametrize(("domain", "split"), PARTS)
def test_the_right_choice_is_the_caption_and_the_antonym_is_a_wrong_one(domain, split):
    for sample in (clip.sample for clip in clips(domain, split)):
        assert len(set(sample.choices)) == 5
        assert sample.choices[sample.answer] == sample.caption
        assert sample.antonym is None or sample.antonym in sample.choices
        assert sample.kind == ("DO" if sample.antonym is None else "TC")
        assert not set(sample.antonym_choices or ()) & set(sample.choices)
        assert {word for choice in sample.choices for word in choice.split()} <= set(vocabulary())


@pytest.mark.parametrize(("domain", "split"), PARTS)
def test_only_one_choice_is_true_of_the_clip(domain, split):
    """Wrong choices are other actions, or the same one with an object that cannot be seen."""
    foreign = 0
    for clip in clips(domain, split):
        sample = clip.sample
        said, right = patterns(sample), patterns(sample)[sample.answer]
        for number, choice in enumerate(sample.choices):
            named = {" ".join(found) for found in OBJECT.findall(choice)}
            unseen = named - clip.scene.bystanders
            assert number == sample.answer or said[number][:2] != right[:2] or unseen
            assert not (number == sample.answer and unseen)
            foreign += bool(unseen)
    assert foreign == pytest.approx(0.29 * len(clips(domain, split)), rel=0.15)


@pytest.mark.parametrize(("domain", "split"), PARTS)
def test_the_place_of_the_right_choice_is_uniform(domain, split):
    # Twins share their choices, so scenes are what is drawn.
    firsts = {clip.sample.group: clip.sample.answer for clip in clips(domain, split)}
    counts = Counter(firsts.values())
    expected = len(firsts) / 5
    # The 99.9th percentile of chi-squared with four degrees of freedom.
    assert sum((counts[place] - expected) ** 2 / expected for place in range(5)) < 18.5


@pytest.mark.parametrize(("domain", "split"), PARTS[1:])
def test_twins_are_asked_the_same_and_answer_differently(domain, split):
    groups: dict[str, list[Sample]] = {}
    for clip in clips(domain, split):
        groups.setdefault(clip.sample.group, []).append(clip.sample)
    pairs = [pair for pair in groups.values() if len(pair) == 2]
    assert len(pairs) > len(groups) // 2
    for one, other in pairs:
        assert (one.choices, one.antonym_choices, one.kind) == (other.choices, other.antonym_choices, other.kind)
        assert one.choices[one.answer] == other.antonym


def test_every_action_is_in_one_pool_and_its_choices_come_from_there():
    assert sorted(side[0].name for pool in POOLS for family in pool for side in family) == sorted(
        action.name for action in ACTIONS for _ in range(2 if action.backward else 1)
    )
    for clip in clips("A", "test"):
        pool = next(pool for pool in POOLS if any(clip.scene.action is side[0] for family in pool for side in family))
        known = {side[0].name for family in pool for side in family}
        assert {name for name, _, _ in patterns(clip.sample)} <= known


@pytest.mark.parametrize("domain", ["A", "B"])
def test_wrong_actions_are_as_frequent_as_right_ones(domain):
    """Each direction is four times as often wrong as right: knowing what is usually right is of no use."""
    right, wrong = Counter(), Counter()
    for clip in clips(domain, "test"):
        for place, (name, forward, _) in enumerate(patterns(clip.sample)):
            (right if place == clip.sample.answer else wrong)[name, forward] += 1
    assert len(right) == 39
    for side, count in right.items():
        assert 2.8 < wrong[side] / count < 5.6, side


def test_the_two_pairs_of_choices_cannot_be_told_apart():
    """Each pair is said in one paraphrase, and the right one is the more similar to the others half of the time."""
    credit = []
    for clip in clips("A", "test"):
        sample = clip.sample
        families = Counter((name, number) for name, _, number in patterns(sample))
        if sample.action == "hold" or sample.antonym is None:
            continue
        assert families[patterns(sample)[sample.answer][0], patterns(sample)[sample.answer][2]] >= 2
        words = [set(choice.split()) for choice in sample.choices]
        shared = [sum(len(own & other) / len(own | other) for other in words) for own in words]
        best = [place for place in range(5) if shared[place] >= max(shared) - 1e-9]
        credit.append((sample.answer in best) / len(best))
    assert sum(credit) / len(credit) == pytest.approx(0.25, abs=0.03)


def test_words_learnt_on_train_do_not_answer_the_test():
    """A bag of words and bigrams: how much more often each is in a right choice than in a wrong one."""
    right, wrong = Counter(), Counter()
    for clip in clips("A", "train"):
        for place, choice in enumerate(clip.sample.choices):
            (right if place == clip.sample.answer else wrong).update(grams(choice))
    for domain in ("A", "B"):
        found = [clip.sample for clip in clips(domain, "test")]
        hits = 0
        for sample in found:
            scores = [
                sum((4 * right[gram] + 1) / (wrong[gram] + 1) for gram in grams(choice)) / len(grams(choice))
                for choice in sample.choices
            ]
            hits += scores.index(max(scores)) == sample.answer
        # Chance is 0.2; the fifth choice, which has no opposite among the others, can be told: 0.25.
        assert hits / len(found) < 0.26


def grams(text: str) -> set[str]:
    words = text.split()
    return {*words, *(" ".join(pair) for pair in pairwise(words))}


def test_questions_are_drawn_beside_the_scenes():
    """More scenes change no question, another seed does."""
    again = draw_split(WorldPlan(train=21), "A", "train")
    assert [clip.sample for clip in again] == [
        clip.sample for clip in draw_split(WorldPlan(train=21, test=1), "A", "train")
    ]
    other = draw_split(WorldPlan(train=21, seed=1), "A", "train")
    assert [clip.sample.answer for clip in again] != [clip.sample.answer for clip in other]
