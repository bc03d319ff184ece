"""Rows that have a caption and a question: the question is no reason to make no foils of the caption."""

from __future__ import annotations

from paxion.actionbench.build import BuildPlan, build, with_foils
from paxion.manifest import read_manifest
from paxion.records import Sample

ROW = Sample("1", "1.mp4", "opening a red box", "test", "1", question="what is happening", answer=0)


def test_a_caption_beside_a_question_gets_its_foils():
    made = with_foils(ROW, None)
    assert (made.antonym, made.verb) == ("closing a red box", "open")
    # The caption of NExT-QA is the question with its answer.
    asked = with_foils(
        Sample("1", "1.mp4", "what is happening? opening a box", "test", "1", question=ROW.question), None
    )
    assert asked.antonym is None and asked.antonym_note == "a question: its choices are the foils"


def test_building_from_a_world_keeps_its_foils_and_questions(tiny_manifest, tmp_path):
    build(BuildPlan((tiny_manifest,), tmp_path))
    fields = (
        "id",
        "caption",
        "antonym",
        "replaced",
        "template",
        "question",
        "choices",
        "answer",
        "kind",
        "antonym_choices",
    )
    for before, after in zip(read_manifest(tiny_manifest), read_manifest(tmp_path / "manifest.jsonl"), strict=True):
        for field in fields:
            if getattr(before, field) is not None:
                assert getattr(before, field) == getattr(after, field)
        assert after.antonym_note != "a question: its choices are the foils"
