import random
from dataclasses import replace

import pytest
import torch

from paxion.evaluation.text_only import text_only_scores
from paxion.records import PaxionError, Sample

NAMES = ["longest", "shortest", "unigram", "bag-of-words", "bigrams", "embedding", "best"]


def pairs(n: int, verbs: list[tuple[str, str]], seed: int, split: str = "train") -> list[Sample]:
    """Captions over 30 objects with their antonyms: the first verb of a pair in the caption, the second in the foil."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        (verb, foil), thing = draw.choice(verbs), f"object{draw.randrange(30)}"
        rows.append(
            Sample(f"{split}{i}", "v", f"{verb} the {thing}", split, f"{split}{i // 2}", antonym=f"{foil} the {thing}")
        )
    return rows


def both_ways(samples: list[Sample]) -> list[Sample]:
    return samples + [
        replace(s, id=s.id + "r", caption=s.antonym, antonym=s.caption) for s in samples if s.antonym is not None
    ]


def encoded(*samples: Sample) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    words = sorted({word for s in samples for text in (s.caption, s.antonym) for word in text.split()})
    vector = {word: torch.randn(16, generator=generator) for word in words}
    return {text: sum(vector[w] for w in text.split()) for s in samples for text in (s.caption, s.antonym)}


def values(train, test, vectors=None):
    return {s.model.removeprefix("text:"): s.value for s in text_only_scores(train, test, "antonym", vectors)}


def test_a_verb_that_is_always_the_foil_is_found_out():
    train, test = (
        pairs(400, [("opening", "closing"), ("lifting", "dropping")], 0),
        pairs(100, [("opening", "closing"), ("lifting", "dropping")], 1, "test"),
    )
    found = values(train, test, encoded(*train, *test))
    assert list(found) == NAMES
    assert {name: found[name] for name in NAMES[2:]} == dict.fromkeys(NAMES[2:], 1.0)


def test_length_alone_is_found_out():
    test = pairs(50, [("x", "xxxx")], 0, "test")
    assert values([], test) == {"longest": 0.0, "shortest": 1.0, "best": 1.0}


def test_balanced_pairs_give_chance():
    verbs = [("opening", "closing"), ("closing", "opening"), ("lifting", "pouring"), ("pouring", "lifting")]
    train, test = pairs(800, verbs, 0), pairs(600, verbs, 1, "test")
    found = values(train, test, encoded(*train, *test))
    for name in NAMES:
        assert found[name] == pytest.approx(0.5, abs=0.08), name


def test_a_closed_set_gives_exactly_chance():
    """Every (caption, foil) comes with (foil, caption): whatever the scorer, it wins once and loses once."""
    train = pairs(200, [("opening", "closing"), ("lifting", "dropping")], 0)
    test = both_ways(pairs(60, [("opening", "closing"), ("lifting", "dropping")], 1, "test"))
    assert values(train, test, encoded(*train, *test)) == dict.fromkeys(NAMES, 0.5)


def test_a_closed_train_set_teaches_nothing():
    train = both_ways(pairs(100, [("opening", "closing")], 0))
    (score,) = [s for s in text_only_scores(train, pairs(40, [("opening", "closing")], 1)) if "bag" in s.model]
    assert (score.value, score.ties) == (0.5, 40)


def test_word_order_is_seen_by_bigrams_only():
    def row(i: int, split: str) -> Sample:
        caption, foil = f"from a{i % 7} to b{i % 5} now", f"to a{i % 7} from b{i % 5} now"
        return Sample(f"{split}{i}", "v", caption, split, f"{split}{i}", antonym=foil)

    found = values([row(i, "train") for i in range(70)], [row(i, "test") for i in range(35)])
    assert (found["bag-of-words"], found["bigrams"]) == (0.5, 1.0)


def test_results_are_the_same_twice_and_carry_their_names():
    train, test = (
        pairs(300, [("opening", "closing"), ("closing", "lifting")], 0),
        pairs(50, [("opening", "lifting")], 1),
    )
    test = [replace(s, source="world-A") for s in test]
    first, second = text_only_scores(train, test), text_only_scores(train, test)
    assert first == second
    assert {(s.data, s.task, s.metric, s.control, s.n) for s in first} == {
        ("world-A", "antonym", "accuracy", "none", 50)
    }
    assert max(s.value for s in first[:-1]) == first[-1].value


def test_replaced_is_the_object_probe():
    test = [
        Sample("a", "v", "lifting a cup", "test", "g", replaced="lifting a box"),
        Sample("b", "v", "c", "test", "g"),
    ]
    scores = text_only_scores(test, test, "replaced", data="mine")
    assert {(s.task, s.data, s.n) for s in scores} == {("object", "mine", 1)}
    assert text_only_scores(test, test, "antonym") == []


def test_a_text_without_a_vector_is_named():
    train = pairs(10, [("opening", "closing")], 0)
    with pytest.raises(PaxionError, match="no vector for the text"):
        text_only_scores(train, train, "antonym", {"x": torch.ones(3)})
