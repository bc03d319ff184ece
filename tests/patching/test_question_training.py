"""Training on questions: which rows it takes, what it computes, what it says, and that it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from trainings import log, same

from paxion.evaluation.evaluate import evaluate
from paxion.evaluation.settings import Settings
from paxion.patching.beginning import beginning
from paxion.patching.data import TrainingData, training_data
from paxion.patching.model import PatchedEncoder
from paxion.patching.recipes import RECIPES, Recipe
from paxion.patching.rows import usable
from paxion.patching.step import losses
from paxion.patching.train import train
from paxion.patching.validation import validation
from paxion.records import PaxionError, Sample

ASKED = replace(RECIPES["patcher-questions"], epochs=2, batch=16, warmup=1)
FUSER = replace(RECIPES["fuser-questions"], epochs=1, batch=16, warmup=1)


@pytest.fixture(scope="module")
def samples(tiny_samples) -> list[Sample]:
    """Clips asked what they show: their caption is the right one of five choices, in any place."""
    rows = [sample for sample in tiny_samples if sample.source == "world-A"][:60]
    asked = []
    for number, sample in enumerate(rows):
        others = [other.caption for other in rows if other.caption != sample.caption]
        choices = [others[(7 * number + step) % len(others)] for step in range(4)]
        choices.insert(number % 5, sample.caption)
        antonyms = ("held still", "held up", "held down")[: number % 4] or None
        extra = {"choices": tuple(choices), "answer": number % 5, "antonym_choices": antonyms}
        asked.append(replace(sample, question="what is it?", kind="CW" if number % 2 else "TN", **extra))
    return asked


@pytest.fixture(scope="module")
def rows(tiny_backbone, tiny_features, samples):
    def make(recipe: Recipe, chosen: list[Sample] = samples[:48]) -> TrainingData:
        return training_data(tiny_backbone, tiny_features.store, tiny_features.keys, chosen, recipe)

    return make


@pytest.mark.parametrize("protocol", ["default", "paper"])
@pytest.mark.parametrize("vac", [False, True])
def test_the_loss_is_the_cross_entropy_over_the_choices_of_each_clip(tiny_backbone, rows, samples, vac, protocol):
    """Ten-way with VAC: the antonyms that there are, then the wrong answers again, the right one in its own place."""
    spoiled = [replace(s, antonym_choices=(s.caption, "held up")) if s.answer == 2 else s for s in samples[:8]]
    recipe = replace(ASKED, vac=vac, atm=0.0, protocol=protocol, question_text="{question}? {choice}")
    data, model = rows(recipe, spoiled), beginning(recipe, tiny_backbone).eval()
    (loss,) = losses(model, recipe, data, torch.arange(8)).values()
    total = 0.0
    for sample in spoiled:
        (video,) = model(data.source.read([data.keys[data.ids.index(sample.id)]]))
        right, antonyms = sample.choices[sample.answer], list(sample.antonym_choices or ())
        if protocol == "default":  # here and there, the antonym of a wrong answer is the right one
            antonyms = [text for text in antonyms if text != right]
        wrong = [choice for choice in sample.choices if choice != right]
        texts = [*sample.choices, *([*antonyms, *wrong, *wrong][:5] if vac else [])]
        text = tiny_backbone.encode_texts([f"what is it? {choice}" for choice in texts])
        logits = (text @ video.T).amax(1) / model.temperature
        total += F.cross_entropy(logits, torch.tensor(sample.answer), label_smoothing=0.1).item() / len(spoiled)
    assert loss.item() == pytest.approx(total, abs=1e-5)


def test_a_text_is_kept_once(rows, samples):
    data = rows(replace(ASKED, atm=0.0), samples[:8])
    said = {text for sample in samples[:8] for text in (*sample.choices, *(sample.antonym_choices or ()))}
    assert len(data.texts) == 1 + len(said) and not data.texts[0].any()
    assert not data.captions.any() and not data.has_antonym.any()  # nothing reads them
    assert data.questions.choices.shape == data.questions.further.shape == (8, 5)


def test_several_questions_about_one_clip(tiny_backbone, tiny_features, samples):
    twice = [*samples[:4], *(replace(s, id=f"{s.id}-b", answer=(s.answer + 1) % 5) for s in samples[:4])]
    keys = {s.id: tiny_features.keys[s.id.removesuffix("-b")] for s in twice}
    data = training_data(tiny_backbone, tiny_features.store, keys, twice, ASKED)
    assert data.keys[:4] == data.keys[4:] and len(data) == 8
    parts = losses(beginning(ASKED, tiny_backbone), ASKED, data, torch.arange(8))
    assert all(part.isfinite() for part in parts.values())


def test_other_objectives_go_with_it_where_the_rows_have_what_they_need(tiny_backbone, rows):
    recipe = replace(ASKED, vac=False, antonym_pair=1.0, template=1.0)
    data = rows(recipe)
    parts = losses(beginning(recipe, tiny_backbone), recipe, data, torch.arange(8))
    assert list(parts) == ["choice", "atm", "antonym_pair", "template"]
    assert data.captions.all() and data.has_antonym.any()


def test_rows_that_cannot_be_asked_are_left_out_and_counted(tiny_backbone, rows, samples, tmp_path):
    spoiled = list(samples[:20])
    spoiled[1] = replace(spoiled[1], question=None, choices=None, answer=None)
    spoiled[2] = replace(spoiled[2], choices=spoiled[2].choices[:4], answer=0)
    spoiled[3] = replace(spoiled[3], answer=None)
    spoiled[4] = replace(spoiled[4], antonym_choices=("a",) * 6)
    fitting, left_out = usable(ASKED, spoiled)
    assert [s.id for s in fitting] == [s.id for s in (spoiled[0], *spoiled[5:])]
    assert left_out == {
        "no question": 1,
        "a question with 4 choices, not 5 as most": 1,
        "a question without an answer": 1,
        "a question with more antonyms than choices": 1,
    }
    assert len(usable(replace(ASKED, vac=False), spoiled)[0]) == 17
    told: list[str] = []
    train(replace(ASKED, epochs=1), tiny_backbone, rows(ASKED, spoiled), tmp_path, tell=told.append)
    assert "1 rows are not trained on: a question with 4 choices, not 5 as most" in told


def test_rows_without_questions_are_one_line(rows, tiny_samples):
    without = [replace(s, question=None, choices=None, answer=None) for s in tiny_samples[:9]]
    with pytest.raises(
        PaxionError, match=r"got 0 of 9 rows with a question, .* expected at least 2 .*; 9: no question"
    ):
        rows(ASKED, without)


def test_it_learns_the_answers_and_validation_says_so(tiny_backbone, tiny_features, rows, samples, tmp_path):
    recipe = replace(ASKED, epochs=25, validate=25, rate=1e-2, token_noise=0.0, atm=0.0)
    # Trained and validated on the same clips: this is about what is computed.
    given = validation(tiny_backbone, tiny_features.store, tiny_features.keys, samples[:48], recipe)
    model = train(recipe, tiny_backbone, rows(recipe), tmp_path, validation=given)
    first, line = log(tmp_path)[0], log(tmp_path)[-1]
    assert line["choice+vac"] < first["choice+vac"] - 0.3
    assert "val_loss" in line and "val_antonym" not in line and line["val_questions"] > 0.4
    scores = evaluate(
        PatchedEncoder("p", tiny_backbone, model), tiny_features.store, tiny_features.keys, samples[:48], data="val",
        tasks=("questions",), settings=Settings(question_text=recipe.question_text),
    ).scores  # fmt: skip
    (value,) = [score.value for score in scores if score.task == "questions"]
    assert line["val_questions"] == pytest.approx(value)


@pytest.mark.parametrize("kind", ["xattn", "side_tuning"])
def test_a_fuser_is_trained_on_the_choices_alone(tiny_backbone, rows, tmp_path, kind):
    start = train(replace(ASKED, epochs=1), tiny_backbone, rows(ASKED), tmp_path / "patcher")
    recipe = replace(FUSER, fuser=kind, atm=0.0)
    data = rows(recipe)
    assert data.questions.further.shape == (48, 0)
    fused = train(recipe, tiny_backbone, data, tmp_path / "fuser", start=start)
    assert fused.fuser.config.kind == kind and not same(fused, beginning(recipe, tiny_backbone, start))
    assert set(log(tmp_path / "fuser")[0]) >= {"choice"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task": "questions", "vac": True, "fuser": "xattn"}, "got vac for a fuser on questions"),
        ({"task": "questions", "texts": "template"}, "got texts 'template' for questions, expected caption"),
        ({"task": "question"}, "got task 'question', expected captions or questions"),
        ({"question_text": "{question}"}, "expected a text with {choice}"),
        ({"question_text": "{question.__class__} {choice}"}, "expected a text with {choice}"),
    ],
)
def test_what_makes_no_sense_of_questions_is_refused(change, says):
    with pytest.raises(PaxionError, match=says):
        Recipe(**change)


def test_a_text_of_a_choice_that_is_not_finite_is_named(tiny_backbone, rows, tmp_path):
    data = rows(ASKED)
    texts = torch.cat([data.texts, torch.full_like(data.texts[:1], torch.nan)])
    choices = data.questions.choices.clone()
    choices[11, 3] = len(data.texts)
    bad = replace(data, texts=texts, questions=replace(data.questions, choices=choices))
    with pytest.raises(PaxionError, match=f"the text vectors of clip {data.ids[11]} are not finite"):
        train(ASKED, tiny_backbone, bad, tmp_path)
