"""What table, verdict and page say of models that are not those of the quickstart."""

import html
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from paxion.patching.recipes import RECIPES
from paxion.records import Row
from paxion.report import choose_examples, print_table, render_page, verdict
from paxion.report.roles import GLOSSES, roles_of
from paxion.report.trust import trust

CLIP, XCLIP = "hf:m/clip", "hf:m/xclip"
TRAINING = ("the patch was trained on", "training run", "settings were chosen", "Small networks", "trained on whole")


def models_on(**adapters):
    """The provenance of two backbones, and of adapters by name on the backbone given."""
    on = {name: {"backbone": name, "adapter": False} for name in (CLIP, XCLIP)}
    return {"models_on": on | {name: {"backbone": base, "adapter": True} for name, base in adapters.items()}}


ALONE = {"models_on": {"backbone": {"backbone": CLIP, "adapter": False}}}


def page(scores, provenance, examples=()):
    source = render_page(scores=scores, provenance=provenance, examples=examples)
    source = re.sub(r"<style>.*?</style>", "", source, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", source)).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r"\s+", " ", text)


def table(scores, provenance):
    console = Console(file=io.StringIO(), width=120)
    print_table(console, scores, provenance)
    return console.file.getvalue()


@pytest.fixture
def two(make_score):
    """Two backbones under every control; the first ties on reversal."""
    scores = []
    for model, antonym, reversal in ((CLIP, 0.50, 0.50), (XCLIP, 0.80, 0.70)):
        scores.append(make_score(model, "antonym", antonym))
        scores.append(make_score(model, "reversal", reversal, ties=800 if model == CLIP else 0))
        scores.append(make_score(model, "object", 0.95))
        for control in ("shuffled", "last", "middle", "first", "blind"):
            scores.append(make_score(model, "antonym", 0.51, control=control))
    return scores


def test_every_backbone_has_its_sentence(two):
    text = verdict(two, models_on())
    assert f"{CLIP} tells objects apart (95.0 %) but not actions: 50.0 % on antonyms" in text
    assert f"{XCLIP} tells actions apart in part: 80.0 % on antonyms" in text
    assert "not scored" not in text and "The backbone" not in text


def test_nothing_is_said_of_training_where_nothing_was_patched(two, make_score):
    one = [make_score("backbone", task, 0.5) for task in ("antonym", "reversal", "object")]
    for scores, provenance in ((two, models_on()), (one, ALONE), (one, {})):
        said = page(scores, provenance) + table(scores, provenance)
        assert not [phrase for phrase in TRAINING if phrase in said]
    assert "None was patched" in page(two, models_on()) and "It was not patched" in page(one, ALONE)


def test_what_is_said_of_training_stays_where_a_model_is_patched(make_scores):
    said = page(make_scores(), {}) + table(make_scores(), {})
    assert all(phrase in said for phrase in TRAINING)


def test_controls_of_several_backbones_are_found(two):
    points = trust(two, models_on())
    assert f"Controls: on world-A antonyms {CLIP} has 50.0 % with the whole clip." in " ".join(points)
    assert f"Controls: on world-A antonyms {XCLIP} has 80.0 %" in " ".join(points)
    text = page(two, models_on())
    assert "No control was run" not in text and "part of the clip taken away, world-A" in text


def test_controls_on_other_questions_are_not_denied(make_score):
    scores = [make_score("backbone", "reversal", 0.5), make_score("backbone", "reversal", 0.5, control="blind")]
    assert "No control was run" not in page(scores, ALONE)
    retrieval = [make_score("backbone", "text_to_video", 0.2, control=control) for control in ("none", "last")]
    assert "No control was run" not in page(retrieval, ALONE)


def test_ties_of_any_backbone_are_said(two):
    points = " ".join(trust(two, models_on()))
    assert f"on 800 of 800 reversal choices in world-A {CLIP} scores both" in points
    assert f"choices in world-A {XCLIP}" not in points


def test_examples_of_several_backbones(two, make_world):
    samples, rows = make_world()
    names = {"backbone": CLIP, "patcher": XCLIP}
    rows = [replace(row, model=names[row.model]) for row in rows if row.model in names]
    blank = np.zeros((2, 8, 8, 3), np.uint8)
    examples = choose_examples(rows, samples, lambda *_: blank, provenance=models_on())
    assert {score.model for score in examples[0].scores} == {CLIP, XCLIP}
    text = page(two, models_on(), examples)
    assert "No clips were given" not in text and f"{CLIP}: not right" in text and "the patch" not in text


def test_examples_compare_an_adapter_with_its_own_backbone(make_world, make_score):
    samples, rows = make_world()
    names = {"backbone": XCLIP, "patcher": "imported"}
    rows = [replace(row, model=names[row.model]) for row in rows if row.model in names]
    rows += [Row(r.id, r.group, CLIP, r.data, r.task, "none", 0, 1.0, 0.0, 1.0) for r in rows if r.model == XCLIP]
    examples = choose_examples(
        rows, samples, lambda *_: np.zeros((2, 8, 8, 3), np.uint8), provenance=models_on(imported=XCLIP)
    )
    credits = [{score.model: score.credit for score in example.scores} for example in examples[:4]]
    assert all(credit[XCLIP] == 0 and credit["imported"] == 1 for credit in credits)
    scores = [make_score(model, "antonym", 0.6) for model in (CLIP, XCLIP, "imported")]
    assert "Mended by the patch" in page(scores, models_on(imported=XCLIP), examples)


def test_a_lone_adapter_of_any_name_is_judged_beside_its_own_backbone(two, make_score):
    scores = [*two, make_score("imported", "antonym", 0.9), make_score("imported", "reversal", 0.9)]
    text = verdict(scores, models_on(imported=CLIP))
    assert "The patched model (imported) reaches 90.0 % on antonyms and 90.0 % on reversal." in text
    failed = [*two, make_score("imported", "antonym", 0.8), make_score("imported", "reversal", 0.7)]
    assert f"no clear difference from {XCLIP}" in verdict(failed, models_on(imported=XCLIP))


def test_patched_models_that_are_passed_over_are_named(two, make_score):
    scores = [*two, *(make_score(name, "antonym", 0.9) for name in ("a", "b"))]
    assert "the table has them: a, b." in verdict(scores, models_on(a=CLIP, b=CLIP))


def test_every_recipe_is_described_and_other_models_truly(two, make_score):
    assert set(GLOSSES) > set(RECIPES)
    scores = [*two, make_score("imported", "antonym", 0.9), make_score("patcher-pooled", "antonym", 0.9)]
    text = page(scores, models_on(imported=CLIP, **{"patcher-pooled": XCLIP}))
    assert "given by the user" not in text and f"an adapter on {CLIP}" in text and "mean of its latents" in text
    lone = roles_of(["backbone", "patcher-dvdm"]).gloss("patcher-dvdm")
    assert lone.startswith("Knowledge Patcher"), "the same as what?"


def test_objects_that_the_backbone_cannot_tell_are_not_kept(make_score):
    def scores(fused):
        values = {"backbone": (0.5, 0.492), "fuser": (0.8, fused)}
        return [make_score(m, t, v) for m, pair in values.items() for t, v in zip(("antonym", "object"), pair)]  # noqa: B905

    text = verdict(scores(0.482))
    assert "keeps" not in text and "not clearly different on objects (48.2 %, backbone 49.2 %)" in text
    assert "loses" not in verdict(scores(0.3)) and "is worse on objects" in verdict(scores(0.3))


def test_controlled_scores_alone(make_score):
    scores = [make_score("backbone", task, 0.5, control="last") for task in ("antonym", "reversal")]
    assert verdict(scores, ALONE).startswith("Only controlled scores were made (last)")
    assert "not scored" not in verdict(scores, ALONE)
    assert "No control was run" not in page(scores, ALONE)


def test_too_few_clips_are_said(make_score):
    wide = {"n": 6, "low": 0.13, "high": 0.87}
    few = [make_score("backbone", task, 0.5, **wide) for task in ("antonym", "object")]
    tied = make_score("backbone", "reversal", 0.5, low=0.5, high=0.5, n=6)
    text = verdict(few, ALONE)
    assert "too few to tell how well the backbone does: 50.0 % ± 37.0 on antonyms and 50.0 % ± 37.0 on objects" in text
    assert "neither" not in text
    text = verdict([*few, tied], ALONE)
    assert "does not tell actions apart: 50.0 % on reversal" in text and "too few" in text
    patched = [make_score("patcher", "antonym", 0.67, n=6, low=0.25, high=0.92)]
    text = verdict([*few, *patched])
    assert "too few to tell whether the patch helped" in text and "did not help" not in text


def test_long_names_are_cut_in_the_plot_of_controls(two, make_score):
    long = "hf:/very/long/folder/of/somebody/model"
    scores = [replace(score, model=long) if score.model == XCLIP else score for score in two]
    provenance = {"models_on": {name: {"backbone": name, "adapter": False} for name in (CLIP, long)}}
    source = render_page(scores=scores, provenance=provenance)
    assert 'id="controls-narrow' in source and f">{long}</text>" not in source
