from dataclasses import replace

from paxion.report.table import main_table
from paxion.report.trust import trust
from paxion.report.verdict import verdict


def test_ignorant_backbone_and_a_patch_that_works(make_scores):
    text = verdict(make_scores())
    assert "tells objects apart (95.1 %) but not actions: 50.2 % on antonyms and 50.0 % on reversal" in text
    assert "The patched model reaches 84.3 % on antonyms and 90.7 % on reversal." in text
    assert "72.4 % on antonyms when it sees only the last frame" in text
    assert "The fuser keeps objects (94.8 %, backbone 95.1 %)" in text
    assert "1.6 times as often as the backbone (19.4 % against 11.8 %)" in text
    assert "On world-B" in text and "75.2 % on antonyms and 81.6 % on reversal: a clear gain" in text


def test_backbone_that_knows_actions(make_score):
    scores = [make_score("backbone", t, v) for t, v in (("antonym", 0.91), ("reversal", 0.88), ("object", 0.95))]
    text = verdict(scores)
    assert "already tells actions apart: 91.0 % on antonyms and 88.0 % on reversal" in text
    assert "but not actions" not in text
    assert "No control was run" in text


def test_patch_that_fails(make_score):
    accuracies = {"backbone": (0.50, 0.50, 0.95), "patcher": (0.52, 0.51, 0.90), "fuser": (0.50, 0.50, 0.70)}
    scores = [
        make_score(model, task, value)
        for model, values in accuracies.items()
        for task, value in zip(("antonym", "reversal", "object"), values, strict=True)
    ]
    text = verdict(scores)
    assert "The patch did not help: 52.0 % on antonyms and 51.0 % on reversal" in text
    assert "reaches" not in text
    assert "The fuser loses some of the objects (70.0 %" in text


def test_patch_that_helps_on_one_question_and_harms_on_the_other(make_score):
    scores = [
        make_score("backbone", "antonym", 0.5), make_score("backbone", "reversal", 0.5),
        make_score("patcher", "antonym", 0.4), make_score("patcher", "reversal", 0.8),
    ]  # fmt: skip
    text = verdict(scores)
    assert "clearly worse on antonyms (40.0 %, backbone 50.0 %) and clearly better on reversal (80.0 %" in text


def test_control_as_good_as_the_clip_takes_the_claim_back(make_scores):
    scores = [replace(s, value=0.84, low=0.82, high=0.86) if s.control == "last" else s for s in make_scores()]
    text = verdict(scores)
    assert "it does as well when it sees only the last frame (84.0 % on antonyms)" in text
    assert "no evidence" in text


def test_texts_that_give_the_answer_away_take_the_claim_back(make_scores):
    scores = [
        replace(s, value=0.85, low=0.83, high=0.87) if (s.model, s.task) == ("text:best", "antonym") else s
        for s in make_scores()
    ]
    assert "sees no clip, has 85.0 % on antonyms" in verdict(scores)
    assert any("The texts give something away on antonym" in point for point in trust(scores, {}))


def test_backbone_blind_to_everything_and_above_guessing_by_a_hair(make_score):
    blind = [make_score("backbone", task, 0.5) for task in ("antonym", "reversal", "object")]
    assert "neither objects (50.0 %) nor actions" in verdict(blind)
    hair = [make_score("backbone", "antonym", 0.55), make_score("backbone", "object", 0.95)]
    assert "but hardly actions: 55.0 %" in verdict(hair)
    half = [make_score("backbone", "antonym", 0.67), make_score("backbone", "object", 0.95)]
    assert "in part: 67.0 %" in verdict(half)


def test_missing_pieces_are_said(make_score):
    assert verdict([]) == "Nothing was scored."
    assert "was not scored on actions" in verdict([make_score("patcher", "antonym", 0.8)])
    assert "no backbone to compare it with" in verdict([make_score("patcher", "antonym", 0.8)])
    points = " ".join(trust([make_score("backbone", "antonym", 0.5, data="kitchen")], {}))
    assert "No control was run" in points and "No model that reads the texts alone" in points
    assert "hard text negatives" not in points, "true of the world's backbone only"


def test_trust_follows_the_data(make_scores):
    points = " ".join(trust(make_scores(), {"backbone": {"name": "world", "antonym_cosine": 0.314}}))
    for expected in (
        "800 in world-A", "One training run (seed 0)", "51.3 % on antonym (world-A)", "do not give the answer away",
        "at most 72.4 %, when it sees only the last frame", "on 800 of 800 reversal choices", "0.31)",
        "hard text negatives", "No choice was made on the test clips",
    ):  # fmt: skip
        assert expected in points
    assert "3 training runs (seeds 0, 1, 2)" in " ".join(trust(make_scores(seeds=(0, 1, 2)), {}))
    assert "mean cosine" not in " ".join(trust(make_scores(), {}))


def test_what_matching_captions_alone_reaches_is_said(make_score):
    def scores(plain, width):
        bounds = {"low": plain - width, "high": plain + width}
        ours = [make_score(m, t, v) for t in ("antonym", "reversal") for m, v in (("backbone", 0.5), ("patcher", 0.9))]
        return ours + [replace(make_score("patcher-vtc", t, plain), **bounds) for t in ("antonym", "reversal")]

    assert "(patcher-vtc) has 60.0 % on antonyms and 60.0 % on reversal: clearly less." in verdict(scores(0.6, 0.02))
    assert "has 88.0 % on antonyms and 88.0 % on reversal: not clearly different." in verdict(scores(0.88, 0.05))
    assert "captions only" not in verdict([score for score in scores(0.6, 0.02) if score.model != "patcher-vtc"])


def test_what_last_frames_alone_teach_is_said_and_is_no_row_of_the_tables(make_score):
    scores = [make_score(m, "antonym", v) for m, v in (("backbone", 0.5), ("patcher", 0.9))]
    scores.append(replace(make_score("patcher-last-frame", "antonym", 0.76), control="last"))
    assert "on last frames alone (patcher-last-frame) has 76.0 % on antonyms." in verdict(scores)
    assert any("has 76.0 % on antonyms. That much can be learned" in point for point in trust(scores, {}))
    assert [row.model for row in main_table(scores, scores[0].data)] == ["backbone", "patcher"]
