"""Evaluation from real clips through a trained-size patcher: what test_evaluate.py, on toy encoders, leaves out."""

from __future__ import annotations

from dataclasses import replace

import torch

from paxion.backbones.base import BackboneEncoder
from paxion.evaluation.evaluate import evaluate
from paxion.features.extract import extract
from paxion.patching.model import PatchedEncoder, PatchedModel
from paxion.patching.recipes import RECIPES


def split(samples):
    return [sample for sample in samples if sample.split == "test" and sample.source == "world-A"]


def test_broken_files_are_counted_and_in_no_n(tiny_backbone, tiny_manifest, tiny_samples, tmp_path):
    tests = split(tiny_samples)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    samples = [replace(tests[0], video=str(tmp_path / "broken.mp4")), replace(tests[1], video="none.mp4"), *tests[2:10]]
    found = extract(tiny_backbone, tiny_manifest, samples, tmp_path / "store")
    result = evaluate(BackboneEncoder("backbone", tiny_backbone), found.store, found.keys, samples, data="A")
    (miss,) = [miss for miss in result.missed if "cannot be read" in miss.reason]
    assert (miss.count, miss.examples) == (2, (tests[0].id, tests[1].id))
    assert miss.task == "all"
    assert not {row.id for row in result.rows} & set(miss.examples)
    assert {score.n for score in result.scores if score.metric == "R@1" and score.task == "video_to_text"} == {8}


def test_clips_without_a_template_are_missed_by_retrieval_of_actions(tiny_backbone, tiny_features, tiny_samples):
    tests = split(tiny_samples)
    samples = [replace(sample, template=None) for sample in tests[:3]] + tests[3:]
    result = evaluate(
        BackboneEncoder("backbone", tiny_backbone), tiny_features.store, tiny_features.keys, samples,
        data="A", tasks=("video_to_action",),
    )  # fmt: skip
    assert [(miss.task, miss.reason, miss.count) for miss in result.missed] == [("video_to_action", "no template", 3)]


def test_a_patcher_in_the_dark_says_the_same_of_every_clip(tiny_backbone, tiny_features, tiny_samples):
    torch.manual_seed(1)
    sizes = tiny_backbone.dim, tiny_backbone.token_width, tiny_backbone.frames, tiny_backbone.tokens_per_frame
    model = PatchedModel(RECIPES["patcher"].patcher_config(*sizes))
    patched, tests = PatchedEncoder("patcher", tiny_backbone, model.eval()), split(tiny_samples)
    ids = [sample.id for sample in tests]
    moved = dict(zip(ids, (tiny_features.keys[name] for name in (*ids[1:], ids[0])), strict=True))

    def rows(keys, control):
        return evaluate(
            patched, tiny_features.store, keys, tests, data="A", tasks=("antonym", "object"), controls=(control,)
        ).rows

    assert rows(tiny_features.keys, "blind") == rows(moved, "blind")
    assert rows(tiny_features.keys, "none") != rows(moved, "none")
