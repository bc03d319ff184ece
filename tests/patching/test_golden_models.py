"""Whole published models against their golden numbers: imported from a file, then from features and from pixels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden import (
    FORWARD,
    GRADIENT,
    SHARED,
    Case,
    assert_close,
    assert_gradients,
    assert_loss,
    cases,
    gradients,
    load,
)
from torch import Tensor

from paxion.backbones.base import Features, normalise
from paxion.backbones.clip_text import TextConfig
from paxion.backbones.internvideo import InternVideo, InternVideoConfig, published_state
from paxion.backbones.published import Checkpoint
from paxion.backbones.world import WorldBackbone, WorldConfig
from paxion.features.store import FeatureStore, StoreSpec
from paxion.patching.checkpoint import load_adapter
from paxion.patching.data import TrainingData, training_data
from paxion.patching.exchange import import_official
from paxion.patching.model import PatchedModel
from paxion.patching.objectives import action_temporal_matching, contrastive, multiple_choice
from paxion.patching.official import fuser_to_official, patcher_to_official, transformer_to_official
from paxion.patching.patcher import KnowledgePatcher
from paxion.patching.recipes import Recipe
from paxion.patching.step import losses
from paxion.records import Sample


def dense(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Large embedding tables are stored by the rows that the texts use; the others are zero."""
    whole = {key: value for key, value in weights.items() if "#" not in key}
    for key in weights:
        if key.endswith("#rows"):
            name = key.removesuffix("#rows")
            whole[name] = torch.zeros(weights[f"{name}#shape"].tolist())
            whole[name][weights[key]] = weights[f"{name}#values"]
    return whole


def imported(weights: dict[str, Tensor], backbone, folder: Path, heads: int) -> tuple[PatchedModel, dict]:
    """The model of a published file with these weights, to be trained on, and what the import said."""
    torch.save({"model": weights, "optimizer": {}, "epoch": 0, "scaler": None}, folder / "checkpoint_best.pth")
    told = import_official(folder / "checkpoint_best.pth", backbone, folder / "adapter", heads=heads)
    return load_adapter(folder / "adapter", backbone).model.requires_grad_(), told


def named_gradients(model: PatchedModel) -> dict[str, Tensor | None]:
    """By their published names; the one temperature is that in use."""
    to_official = patcher_to_official if isinstance(model.patcher, KnowledgePatcher) else transformer_to_official
    named = to_official(gradients(model.patcher))
    return named if model.fuser is None else named | fuser_to_official(gradients(model.fuser))


def heads_of(case: Case) -> int:
    return case.constructor["vision_perceiver_config"]["heads"]


# From the stored features of the frozen backbone.


@cases("e_patcher_vtc_atm", "e_patcher_vtc_vac_atm", "e_patcher_vtc_vac_atm_filtered", "e_fuser_xattn")
def test_an_imported_model_equals_the_published_one_on_its_features(case, tmp_path):
    case = load(case)
    want, heads = case.outputs, heads_of(case)
    tokens = want["raw_visual_embeddings_pbfd"].permute(1, 2, 0, 3)
    # Any backbone of the same sizes: its features are given.
    backbone = WorldBackbone(WorldConfig((), size=64, frames=4, width=32, heads=2, dim=24))
    model, told = imported(dense(case.weights), backbone, tmp_path, heads)
    assert told["backbone"] in ("not compared", "not in the file")

    features = Features(want["raw_visual_feat"], tokens)
    video, backwards = model(features), model(Features(want["raw_visual_feat"], tokens.flip(1)))
    shape = video.shape
    assert_close(video, normalise(want["encode_video"]).view(shape), FORWARD)
    # The pooled vector is InternVideo's own: it changes when the clip is reversed, and is not stored for that.
    if model.fuser is None:
        assert_close(model.patcher(tokens), want["encode_video"], FORWARD)
        assert_close(backwards, normalise(want["encode_video_reversed"]), FORWARD)
    else:
        latents = model.patcher(tokens)
        assert_close(model.fuser(want["raw_visual_feat"], latents)[:, 0], want["encode_video"], FORWARD)
    if "video_action_contrastive" in case.constructor["objectives"]:
        return  # The antonyms' vectors are not stored: see the test from pixels.
    text = normalise(want["raw_text_feat"])
    total = contrastive(video, text, model.temperature)
    assert_loss(total, want["losses/video_text_contrastive"])
    if "losses/action_temporal_matching" in want:
        matching = 0.4 * action_temporal_matching(video, backwards, text, model.temperature)
        assert_loss(matching, want["losses/action_temporal_matching"])
        total = total + matching
    assert_loss(total, want["total_loss"])
    total.backward()
    assert_gradients(named_gradients(model), case, GRADIENT)


def test_unit_vectors_for_the_pooled_ones_would_be_seen(tmp_path):
    """What raw_pooled is for: the published fuser at another length of the pooled vector is another model."""
    folder = Path(__file__).parent / "golden/e_fuser_xattn"
    case = load(folder)
    backbone = WorldBackbone(WorldConfig((), size=64, frames=4, width=32, heads=2, dim=24))
    model, _ = imported(dense(case.weights), backbone, tmp_path, heads_of(case))
    tokens = case.outputs["raw_visual_embeddings_pbfd"].permute(1, 2, 0, 3)
    unit = model(Features(normalise(case.outputs["raw_visual_feat"]), tokens))[:, 0]
    assert (unit - normalise(case.outputs["encode_video"])).abs().max() > 1e-2


# From pixels and token ids, through our InternVideo.

PLAIN = Recipe()

absent = pytest.mark.skipif(not SHARED.is_dir(), reason="the golden data is not beside the repository")


def internvideo(case: Case, meta: dict, weights: dict[str, Tensor]) -> InternVideo:
    """The tiny InternVideo of a case. Its texts are those of the case, by their stored ids."""
    vision, whole = meta["backbone"]["vision"], meta["backbone"]["video_intern"]
    width = whole["transformer_width"]
    text = TextConfig(width, whole["transformer_layers"], whole["transformer_heads"], 4 * width, whole["embed_dim"])
    config = InternVideoConfig(
        text, vision["width"], vision["layers"], vision["heads"], vision["patch_size"], vision["input_resolution"]
    )
    ids = {}
    for texts, stored in (("texts", "text_ids"), ("antonyms", "antonym_ids"), ("choices", "choice_ids")):
        if stored in case.inputs:
            flat = [text for entry in meta[texts] for text in ([entry] if isinstance(entry, str) else entry)]
            ids |= dict(zip(flat, case.inputs[stored].flatten(0, -2), strict=True))
    frames = case.inputs["video_input"].shape[1]
    model = InternVideo(config, lambda texts: torch.stack([ids[text] for text in texts]).long(), frames)
    own = {key: value for key, value in weights.items() if key.startswith("vl_backbone.")}
    Checkpoint(Path("weights"), "vl_backbone.", own).fill(published_state(model))
    return model.eval().requires_grad_(False)


def end_to_end(name: str, folder: Path) -> tuple[Case, dict, InternVideo, PatchedModel]:
    """A case, its description, its backbone, and its model imported from a whole published file."""
    case, meta = load(SHARED / name), json.loads((SHARED / name / "case.json").read_text())
    weights = dense(case.weights)
    backbone = internvideo(case, meta, weights)
    heads = case.constructor["vision_adaptor"][2] if "vision_adaptor" in case.constructor else heads_of(case)
    model, told = imported(weights, backbone, folder, heads)
    assert told["backbone"] == "equal"
    return case, meta, backbone, model


def stored(backbone: InternVideo, case: Case, meta: dict, folder: Path, recipe: Recipe = PLAIN) -> TrainingData:
    """The clips, their reversals and texts of a case as training rows, in single precision."""
    video = case.inputs["video_input"]
    keys = [f"clip{row}" for row in range(len(video))]
    spec = StoreSpec(backbone.name, backbone.revision, "midpoint", backbone.frames, backbone.transform, dtype="float32")
    store = FeatureStore(folder, spec)
    store.append(keys, backbone.encode_video(video), {})
    store.append([f"{key}#reversed" for key in keys], backbone.encode_video(video.flip(1)), {})
    flags = meta.get("state_change_flags") or [None] * len(keys)
    antonyms = meta.get("antonyms") or [None] * len(keys)
    texts = meta.get("texts") or [choices[0] for choices in meta["choices"]]
    samples = [
        Sample(key, "v.mp4", caption, "train", key, antonym=antonym, salient=None if flag is None else bool(flag))
        for key, caption, antonym, flag in zip(keys, texts, antonyms, flags, strict=True)
    ]
    if "choices" in meta:
        asked = zip(samples, meta["choices"], case.inputs["answer"].tolist(), strict=True)
        samples = [replace(s, question="what?", choices=tuple(texts), answer=answer) for s, texts, answer in asked]
    return training_data(backbone, store, {key: key for key in keys}, samples, recipe)


PATCHERS = {
    "e_patcher_vtc_atm": Recipe(atm=0.4),
    "e_patcher_vtc_vac_atm": Recipe(vac=True, atm=0.4),
    "e_patcher_vtc_vac_atm_filtered": Recipe(vac=True, atm=0.4),
    "e_fuser_xattn": Recipe(fuser="xattn", joint=False, raw_pooled=True),
}


@absent
@pytest.mark.parametrize("name", PATCHERS)
def test_the_losses_of_training_equal_the_published_ones(name, tmp_path):
    case, meta, backbone, model = end_to_end(name, tmp_path)
    data, want, recipe = stored(backbone, case, meta, tmp_path), case.outputs, PATCHERS[name]
    features = data.source.read(data.keys)
    assert_close(features.pooled, want["raw_visual_feat"], FORWARD)
    assert_close(features.tokens, want["raw_visual_embeddings_pbfd"].permute(1, 2, 0, 3), FORWARD)
    assert_close(data.texts[data.captions], normalise(want["raw_text_feat"]), FORWARD)
    for control, stored_as in (("none", "encode_video"), ("reversed", "encode_video_reversed")):
        got = model(data.source.read(data.keys, control))
        assert_close(got, normalise(want[stored_as]).view(got.shape), FORWARD, stored_as)

    parts = losses(model, recipe, data, torch.arange(len(data)))
    vtc = parts["vtc+vac" if recipe.vac else "vtc"]
    assert_loss(vtc, want["losses/video_text_contrastive"])
    if recipe.atm:
        assert_loss(parts["atm"], want["losses/action_temporal_matching"])
    total = torch.stack(list(parts.values())).sum()
    assert_loss(total, want["total_loss"])
    total.backward()
    assert_gradients(named_gradients(model), case, GRADIENT)


QUESTIONS = Recipe(task="questions", question_text="{choice}", protocol="paper")


@absent
@pytest.mark.parametrize(
    ("name", "recipe"),
    [("e_mcqa_patcher", QUESTIONS), ("e_mcqa_fuser_xattn", replace(QUESTIONS, fuser="xattn", raw_pooled=True))],
)
def test_the_choice_among_answers_equals_the_published_one(name, recipe, tmp_path):
    case, meta, backbone, model = end_to_end(name, tmp_path)
    choices = torch.stack([backbone.encode_texts(texts) for texts in meta["choices"]])
    video = model(backbone.encode_video(case.inputs["video_input"]))
    logits = torch.einsum("bqd,bkd->bqk", video, choices).amax(1) / model.temperature
    assert_close(logits, case.outputs["logits"], FORWARD)
    assert_loss(multiple_choice(video, choices, case.inputs["answer"], model.temperature), case.outputs["total_loss"])
    data = stored(backbone, case, meta, tmp_path, recipe)
    (loss,) = losses(model, recipe, data, torch.arange(len(data))).values()
    assert_loss(loss, case.outputs["total_loss"])
    loss.backward()
    assert_gradients(named_gradients(model), case, GRADIENT)


@absent
def test_the_transformer_equals_the_published_one(tmp_path):
    case, meta, backbone, model = end_to_end("e_baseline_simple_transformer_patcher", tmp_path)
    data, want = stored(backbone, case, meta, tmp_path), case.outputs
    tokens = data.source.read(data.keys).tokens
    assert_close(model.patcher.layer(tokens.flatten(1, 2)), want["video_embeddings"], FORWARD)
    assert_close(model.patcher(tokens)[:, 0], want["video_feat"], FORWARD)
    assert_close(data.texts[data.captions], normalise(want["text_feat"]), FORWARD)
    (loss,) = losses(model, Recipe(architecture="transformer"), data, torch.arange(4)).values()
    assert_loss(loss, want["total_loss"])
    loss.backward()
    assert_gradients(named_gradients(model), case, GRADIENT)
