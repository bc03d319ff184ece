"""Parameters and multiply-adds: against the published counts, formulas worked by hand, and sizes known elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from paxion.backbones.catalogue import CATALOGUE, Known
from paxion.backbones.skeletons import CONFIGURATIONS, OURS, skeleton
from paxion.patching.cost import backbone_costs, costs, measured, patching_costs
from paxion.patching.lora import Lora
from paxion.patching.patcher import KnowledgePatcher, PatcherConfig
from paxion.patching.recipes import RECIPES
from paxion.records import PaxionError

BY_NAME = {known.name: known for known in CATALOGUE}
INTERNVIDEO, CLIP_VIP, SINGULARITY = (
    "internvideo:InternVideo-MM-L-14.ckpt",
    "clip-vip:pretrain_clipvip_base_32.pt",
    "singularity:singularity_temporal_17m.pth",
)
PUBLISHED = {
    INTERNVIDEO: (4_221_441, 3_936_768, 8_399_873),
    CLIP_VIP: (2_378_241, 2_100_224, 3_940_097),
    SINGULARITY: (1_324_033, 787_968, 3_940_097),
}
"""Parameters of patcher, fuser and KP-Transformer in the paper's three settings."""
PAPER = RECIPES["paper-dvdm"]


@pytest.fixture(scope="module")
def found():
    return {name: {cost.part: cost for cost in costs(skeleton(name), name, PAPER)} for name in PUBLISHED}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(found, name):
    parts = found[name]
    patcher, fuser, transformer = PUBLISHED[name]
    assert parts["patcher, plain"].parameters == parts["patcher, absorbed"].parameters == patcher
    assert parts["fuser xattn"].parameters == fuser
    assert parts["fuser gated_xattn"].parameters == fuser + 2
    assert parts["side-tuning"].parameters == 1
    assert parts["kp-transformer"].parameters == transformer


def test_multiply_adds_are_the_published_ones(found):
    """Which were worked out by hand, in round numbers, for 8 frames."""
    parts = found[INTERNVIDEO]
    assert parts["patcher, plain"].macs / 1e9 == pytest.approx(2.24, abs=0.005)
    assert parts["kp-transformer"].macs / 1e9 == pytest.approx(25.9, abs=0.05)
    assert parts["vision tower"].macs / 1e9 == pytest.approx(650, rel=0.03)
    clip = backbone_costs(skeleton("hf:openai/clip-vit-large-patch14"), "")[0]
    assert clip.macs / 1e9 == pytest.approx(650, rel=0.005)


def by_hand(known: Known, latents: int = 16, heads: int = 8, head: int = 64) -> dict[str, int]:
    """The multiply-adds of each matrix product, for one clip."""
    n, c, d, inner = known.frames * known.tokens_per_frame, known.token_width, known.dim, heads * head
    network = 2 * latents * d * 2 * d
    ends = 2 * latents * d * inner
    plain = n * c * 2 * inner + 2 * heads * latents * n * head + ends + network
    # Keys go into the queries and values come out of the mixtures; a frame's code is read apart from its tokens:
    # by the queries, in each token's variance, and in the mixtures.
    rows, frames = heads * latents, known.frames
    absorbed = 2 * rows * n * c + 2 * rows * head * c + ends + network
    codes = 2 * rows * frames * c + n * c + rows * n
    layer = n * c * 3 * c + n * c * c + 2 * n * n * c + 2 * n * c * (2048 if c >= 1024 else 1024)
    fuser = 2 * d * inner + 2 * latents * heads * d + 2 * inner * d + 2 * d * 2 * d
    return {
        "patcher, plain": plain,
        "patcher, absorbed": absorbed + codes,
        "kp-transformer": layer + c * d,
        "fuser xattn": fuser,
        "fuser gated_xattn": fuser,
        "side-tuning": 0,
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_multiply_adds_are_those_of_formulas(found, name):
    for part, expected in by_hand(BY_NAME[name]).items():
        assert found[name][part].macs == expected, part


def test_a_vision_transformer_by_hand():
    """CLIP B/32: patches, then 12 blocks of 4 maps, attention over 50 tokens and two layers of 4 times the width."""
    width, tokens, frames = 768, 50, 8
    block = tokens * width * (4 * width + 2 * 4 * width) + 2 * tokens * tokens * width
    expected = frames * (49 * 3 * 32 * 32 * width + 12 * block + width * 512)
    vision, _ = backbone_costs(skeleton("hf:openai/clip-vit-base-patch32"), "")
    assert vision.macs == expected


KNOWN = {
    "hf:openai/clip-vit-base-patch32": 151_277_313,
    "hf:openai/clip-vit-base-patch16": 149_620_737,
    "hf:openai/clip-vit-large-patch14": 427_616_513,
    "hf:google/siglip-base-patch16-224": 203_155_970,
    "hf:google/siglip2-base-patch16-224": 375_187_970,
}
"""Parameters of the files on the hub, temperature (and SigLIP's bias) included."""


@pytest.mark.parametrize("name", KNOWN)
def test_towers_add_up_to_the_models_on_the_hub(name):
    towers = sum(cost.parameters for cost in backbone_costs(skeleton(name), name))
    assert towers == KNOWN[name] - (2 if "siglip" in name else 1)


def test_every_model_of_the_catalogue_has_a_skeleton_of_its_sizes():
    assert {"world", *OURS, *CONFIGURATIONS} == set(BY_NAME)
    naflex = skeleton("hf:google/siglip2-base-patch16-naflex")
    vision, text = backbone_costs(naflex, "")
    assert naflex.encode_video(torch.zeros(1, 2, 3, 256, 256, device="meta")).pooled.shape == (1, 768)
    assert vision.parameters > 85e6 and vision.macs > 8 * 256 * 85e6 and text.macs > 0
    with pytest.raises(PaxionError, match="unknown model of the catalogue 'hf:openai/clip'"):
        skeleton("hf:openai/clip")


def test_a_low_rank_update_is_counted_by_its_matrices(tiny_backbone):
    (lora,) = [cost for cost in patching_costs(tiny_backbone, "", PAPER, Lora(rank=4)) if cost.part.startswith("lora")]
    width = 32
    per_block = 4 * ((width + 3 * width) + (width + width) + 2 * (width + 3 * width))
    assert (lora.parameters, lora.macs, lora.part) == (1 + 2 * per_block, 0, "lora, rank 4")


def test_the_sizes_are_the_recipes(tiny_backbone):
    parts = {cost.part: cost for cost in patching_costs(tiny_backbone, "", RECIPES["patcher"], Lora())}
    recipe = RECIPES["patcher"]
    model = KnowledgePatcher(recipe.patcher_config(16, 32, 9, 17))
    assert parts["patcher, absorbed"].parameters == sum(value.numel() for value in model.parameters())
    assert "patcher, plain" not in parts  # with difference tokens there is no textbook form


def test_what_is_read_is_counted_once_wherever_it_is_read():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(3, 5), nn.Linear(7, 7)
            self.scale = nn.Parameter(torch.ones(5))

        def forward(self, x):
            return (self.used(x) + x @ self.used.weight.T) * self.scale

    model = Two().requires_grad_(False)
    assert measured(lambda: model(torch.zeros(2, 3))) == (3 * 5 + 5 + 5, 2 * (2 * 3 * 5))


def test_attention_is_counted_however_torch_would_run_it():
    query = torch.zeros(1, 2, 10, 4)
    attend = nn.functional.scaled_dot_product_attention
    assert measured(lambda: attend(query, query, query)) == (0, 2 * 2 * 10 * 10 * 4)


def test_the_plain_patcher_is_the_larger_one_at_any_published_size():
    for known in CATALOGUE[1:6]:
        hand = by_hand(known)
        assert hand["patcher, absorbed"] < hand["patcher, plain"] < hand["kp-transformer"]
    assert PatcherConfig(768, 1024, 8, 257).latents == PAPER.latents
