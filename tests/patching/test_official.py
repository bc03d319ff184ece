"""Published checkpoint names to ours and back."""

import dataclasses
import json

import pytest
import torch
from golden import SHARED
from test_patcher import SMALL

from paxion.patching.fuser import FuserConfig, KnowledgeFuser
from paxion.patching.official import fuser_from_official, fuser_to_official, patcher_from_official, patcher_to_official
from paxion.patching.patcher import KnowledgePatcher
from paxion.records import PaxionError

BACKBONE = {"vl_backbone.visual_proj": torch.zeros(1)}


def published():
    return patcher_to_official(KnowledgePatcher(SMALL).state_dict())


@pytest.mark.parametrize("changes", [{}, {"depth": 2}, {"temporal_embedding": False}])
def test_patcher_makes_the_round_trip(changes):
    patcher = KnowledgePatcher(dataclasses.replace(SMALL, **changes))
    state = patcher.state_dict()
    back = patcher_from_official(patcher_to_official(state))
    patcher.load_state_dict(back)
    assert all(torch.equal(back[key], value) for key, value in state.items())


@pytest.mark.parametrize("kind", ["xattn", "gated_xattn", "xattn_v2", "side_tuning"])
def test_fuser_makes_the_round_trip(kind):
    fuser = KnowledgeFuser(FuserConfig(kind, dim=12, token_width=10, heads=3, dim_head=4))
    state = fuser.state_dict()
    back = fuser_from_official(fuser_to_official(state))
    fuser.load_state_dict(back)
    assert all(torch.equal(back[key], value) for key, value in state.items())


def test_one_checkpoint_serves_patcher_and_fuser():
    fuser = KnowledgeFuser(FuserConfig("xattn", dim=12, token_width=10, heads=3, dim_head=4))
    whole = BACKBONE | published() | fuser_to_official(fuser.state_dict())
    KnowledgePatcher(SMALL).load_state_dict(patcher_from_official(whole))
    fuser.load_state_dict(fuser_from_official(whole))


def test_names_of_a_patcher_are_the_published_ones():
    assert sorted(published()) == sorted(
        [
            "temp",
            "temporal_embedding",
            "vision_perceiver.latents",
            "vision_perceiver.layers.0.0.norm_latents.bias",
            "vision_perceiver.layers.0.0.norm_latents.weight",
            "vision_perceiver.layers.0.0.norm_media.bias",
            "vision_perceiver.layers.0.0.norm_media.weight",
            "vision_perceiver.layers.0.0.to_kv.weight",
            "vision_perceiver.layers.0.0.to_out.weight",
            "vision_perceiver.layers.0.0.to_q.weight",
            "vision_perceiver.layers.0.1.0.bias",
            "vision_perceiver.layers.0.1.0.weight",
            "vision_perceiver.layers.0.1.1.weight",
            "vision_perceiver.layers.0.1.3.weight",
            "vision_perceiver.norm.bias",
            "vision_perceiver.norm.weight",
        ]
    )


@pytest.mark.skipif(not SHARED.is_dir(), reason="the golden data is not beside the repository")
def test_keys_and_shapes_of_a_published_checkpoint_fit():
    shapes = json.loads((SHARED / "official_checkpoint_keys.json").read_text())
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    config = dataclasses.replace(
        SMALL, dim=768, token_width=1024, frames=8, tokens_per_frame=257, heads=8, dim_head=64, latents=16
    )
    want = KnowledgePatcher(config).state_dict()
    assert {key: value.shape for key, value in patcher_from_official(state).items()} == {
        key: value.shape for key, value in want.items()
    }


def test_old_spelling_is_understood():
    state = published()
    old = {key.replace("vision_perceiver.", "knowledge_perceiver."): value for key, value in state.items()}
    assert patcher_from_official(old).keys() == patcher_from_official(state).keys()


def test_missing_and_unknown_keys_are_named():
    state = published()
    del state["temp"]
    with pytest.raises(PaxionError, match=r"missing: temp; unknown: text_perceiver\.latents"):
        patcher_from_official(state | {"text_perceiver.latents": torch.zeros(1)})
    with pytest.raises(PaxionError, match=r"missing: .*knowledge_fuser\.attn\.to_q\.weight"):
        fuser_from_official(published())


def test_a_hole_in_the_layers_is_named():
    state = patcher_to_official(KnowledgePatcher(dataclasses.replace(SMALL, depth=2)).state_dict())
    state = {key: value for key, value in state.items() if ".layers.0." not in key}
    with pytest.raises(PaxionError, match=r"missing: vision_perceiver\.layers\.0\.0\.norm_latents\.bias"):
        patcher_from_official(state)


def test_what_is_ours_has_no_published_name():
    patcher = KnowledgePatcher(dataclasses.replace(SMALL, difference_tokens=True))
    with pytest.raises(PaxionError, match=r"unknown: difference\.0\.bias, difference\.0\.weight"):
        patcher_to_official(patcher.state_dict())
