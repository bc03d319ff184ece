"""Published checkpoints to adapter folders and back: the same numbers, or one line that names the file and the key."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from paxion.backbones import clip_vip, internvideo, singularity
from paxion.backbones.base import Features
from paxion.backbones.beit import BeitConfig
from paxion.backbones.bert import BertConfig
from paxion.backbones.clip_text import TextConfig
from paxion.backbones.clip_vip import ClipVip, ClipVipConfig
from paxion.backbones.internvideo import InternVideo, InternVideoConfig
from paxion.backbones.singularity import Singularity, SingularityConfig
from paxion.backbones.world import WorldBackbone
from paxion.patching.beginning import beginning
from paxion.patching.checkpoint import adapter_backbone, load_adapter, save_adapter
from paxion.patching.data import training_data
from paxion.patching.exchange import export_official, import_official
from paxion.patching.fuser import FuserConfig
from paxion.patching.model import PatchedEncoder, PatchedModel
from paxion.patching.official import model_to_official
from paxion.patching.patcher import PatcherConfig
from paxion.patching.recipes import RECIPES
from paxion.patching.train import train
from paxion.records import PaxionError
from paxion.video.transform import Transform

KINDS = ["xattn", "gated_xattn", "xattn_v2", "side_tuning"]


def drawn(model: PatchedModel) -> PatchedModel:
    """Every part away from its start, and one temperature, as in published files."""
    torch.manual_seed(5)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    if model.fuser is not None:
        model.fuser.temperature.data = model.patcher.temperature.data.clone()
    return model.eval()


def patcher_model(backbone: WorldBackbone, kind: str | None = None, **changes) -> PatchedModel:
    sizes = backbone.dim, backbone.token_width
    config = PatcherConfig(*sizes, backbone.frames, backbone.tokens_per_frame, heads=2, latents=5)
    fuser = None if kind is None else FuserConfig(kind, *sizes, heads=2, raw_pooled=True)
    return drawn(PatchedModel(replace(config, **changes), fuser))


def transformer_model(backbone: WorldBackbone) -> PatchedModel:
    return drawn(beginning(RECIPES["kp-transformer"], backbone))


def write(path: Path, state: dict[str, Tensor], **rest: object) -> Path:
    torch.save({"model": state, **rest}, path)
    return path


def some_features(backbone: WorldBackbone) -> Features:
    torch.manual_seed(2)
    tokens = torch.randn(3, backbone.frames, backbone.tokens_per_frame, backbone.token_width)
    return Features(3 * torch.randn(3, backbone.dim), tokens)


def same(one: PatchedModel, other: PatchedModel) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def every_model(backbone: WorldBackbone) -> dict[str, PatchedModel]:
    return {
        "patcher": patcher_model(backbone),
        "deep": patcher_model(backbone, depth=2, ff_mult=3, latents=2),
        "no temporal embedding": patcher_model(backbone, temporal_embedding=False),
        **{kind: patcher_model(backbone, kind) for kind in KINDS},
        "transformer": transformer_model(backbone),
    }


@pytest.mark.parametrize("which", ["patcher", "deep", "no temporal embedding", *KINDS, "transformer"])
def test_import_gives_the_published_numbers_and_export_the_same_file(tiny_backbone, tmp_path, which):
    model = every_model(tiny_backbone)[which]
    path = write(tmp_path / "best.pth", model_to_official(model), epoch=3, optimizer={"lr": 1.0}, scaler=None)
    import_official(path, tiny_backbone, tmp_path / "a", source="world")
    loaded = load_adapter(tmp_path / "a", tiny_backbone)
    assert loaded.name == "best" and same(loaded.model, model)
    assert loaded.model.patcher.config == model.patcher.config
    features = some_features(tiny_backbone)
    assert torch.equal(loaded.encode_clips(features), PatchedEncoder("a", tiny_backbone, model).encode_clips(features))

    export_official(tmp_path / "a", tmp_path / "again.pth")
    written = torch.load(tmp_path / "again.pth", weights_only=True)["model"]
    published = model_to_official(model)
    assert written.keys() == published.keys()
    assert all(torch.equal(written[key], value) for key, value in published.items())
    import_official(tmp_path / "again.pth", tiny_backbone, tmp_path / "b")
    assert load_file(tmp_path / "b/adapter.safetensors").keys() == load_file(tmp_path / "a/adapter.safetensors").keys()
    assert same(load_adapter(tmp_path / "b", tiny_backbone).model, model)


def test_the_sizes_of_a_published_file_are_found(tmp_path):
    with torch.device("meta"):
        backbone = InternVideo(InternVideoConfig(), lambda texts: torch.zeros(len(texts), 77, dtype=torch.long))
    config = PatcherConfig(768, 1024, 8, 257)
    path = write(tmp_path / "p.pth", model_to_official(PatchedModel(config, FuserConfig("xattn", 768, 1024))))
    import_official(path, backbone, tmp_path / "a")
    model = load_adapter(tmp_path / "a", backbone).model
    assert model.patcher.config == config
    assert model.fuser.config == FuserConfig("xattn", 768, 1024, raw_pooled=True)


def test_an_imported_fuser_is_trained_on(tiny_backbone, tiny_features, tiny_samples, tmp_path):
    path = write(tmp_path / "f.pth", model_to_official(patcher_model(tiny_backbone, "xattn")))
    import_official(path, tiny_backbone, tmp_path / "a")
    start = load_adapter(tmp_path / "a", tiny_backbone).model
    data = training_data(tiny_backbone, tiny_features.store, tiny_features.keys, tiny_samples[:32])
    recipe = replace(RECIPES["fuser"], epochs=1, batch=16, warmup=1)
    model = train(recipe, tiny_backbone, data, tmp_path / "b", start=start)
    assert model.fuser.config == start.fuser.config and model.fuser.config.raw_pooled
    assert not torch.equal(model.fuser.temperature, start.fuser.temperature)
    save_adapter(tmp_path / "b", "b", model, tiny_backbone, recipe, {})
    export_official(tmp_path / "b", tmp_path / "again.pth")


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_the_fuser_is_found(tiny_backbone, tmp_path, kind):
    path = write(tmp_path / "f.pth", model_to_official(patcher_model(tiny_backbone, kind)))
    import_official(path, tiny_backbone, tmp_path / "a")
    config = load_adapter(tmp_path / "a", tiny_backbone).model.fuser.config
    assert config.kind == kind and config.raw_pooled


def test_the_card_says_where_it_comes_from(tiny_backbone, tmp_path):
    path = write(tmp_path / "best.pth", model_to_official(patcher_model(tiny_backbone)), epoch=1)
    told = import_official(path, tiny_backbone, tmp_path / "a", name="ego4d", source="world")
    card = json.loads((tmp_path / "a/adapter.json").read_text())
    assert card["name"] == "ego4d" and card["recipe"] is None and card["provenance"] == {"imported": told}
    assert told["file"] == "best.pth" and told["epoch"] == 1 and told["backbone"] == "not in the file"
    assert len(told["digest"]) == 12
    assert adapter_backbone(tmp_path / "a") == "world"


def test_a_flat_state_a_safetensors_file_and_the_old_spelling_are_understood(tiny_backbone, tmp_path):
    model = patcher_model(tiny_backbone)
    state = model_to_official(model)
    torch.save(state, tmp_path / "flat.pth")
    save_file(state, tmp_path / "flat.safetensors")
    old = {key.replace("vision_perceiver", "knowledge_perceiver"): value for key, value in state.items()}
    write(tmp_path / "old.pth", old)
    for name in ("flat.pth", "flat.safetensors", "old.pth"):
        import_official(tmp_path / name, tiny_backbone, tmp_path / "a")
        assert same(load_adapter(tmp_path / "a", tiny_backbone).model, model)


def test_heads_and_pooling_cannot_be_told_and_can_be_given(tiny_backbone, tmp_path):
    path = write(tmp_path / "p.pth", model_to_official(patcher_model(tiny_backbone, "xattn", heads=3, dim_head=8)))
    with pytest.raises(PaxionError, match=r"p\.pth: key 'knowledge_fuser.*to_q\.weight' has 128 rows, .* heads 3"):
        import_official(path, tiny_backbone, tmp_path / "a", heads=3)
    path = write(tmp_path / "p.pth", model_to_official(patcher_model(tiny_backbone, heads=3, dim_head=8)))
    with pytest.raises(
        PaxionError, match=r"p\.pth: key 'vision_.*to_q\.weight' has 24 rows, .*give the number of heads"
    ):
        import_official(path, tiny_backbone, tmp_path / "a")
    import_official(path, tiny_backbone, tmp_path / "a", heads=3, pooled=True)
    config = load_adapter(tmp_path / "a", tiny_backbone).model.patcher.config
    assert (config.heads, config.dim_head, config.pooled) == (3, 8, True)
    path = write(tmp_path / "t.pth", model_to_official(transformer_model(tiny_backbone)))
    import_official(path, tiny_backbone, tmp_path / "t", heads=4)
    assert load_adapter(tmp_path / "t", tiny_backbone).model.patcher.config.heads == 4
    with pytest.raises(PaxionError, match="got heads 5, expected a divisor of the token width 32"):
        import_official(path, tiny_backbone, tmp_path / "t", heads=5)


def test_a_transformers_projection_is_the_backbones(tiny_backbone, tmp_path):
    path = write(tmp_path / "t.pth", model_to_official(transformer_model(tiny_backbone)))
    import_official(path, tiny_backbone, tmp_path / "t")
    loaded = load_adapter(tmp_path / "t", tiny_backbone).model.patcher
    assert torch.equal(loaded.projection.weight, tiny_backbone.projection.weight)
    assert not any("projection" in key for key in torch.load(path, weights_only=True)["model"])


def test_a_transformer_without_a_projection_for_it_is_said(tiny_backbone, tmp_path):
    class Bare(WorldBackbone):
        projection = None

    path = write(tmp_path / "t.pth", model_to_official(transformer_model(tiny_backbone)))
    with pytest.raises(PaxionError, match=r"t\.pth is a KP-Transformer, which needs a backbone with a projection"):
        import_official(path, Bare(tiny_backbone.config), tmp_path / "t")


FIRST = "vision_perceiver.layers.0.0.norm_media.weight"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temp": None}, r"missing key 'temp', expected \(\)"),
        ({"vision_perceiver.latents": None}, r"missing key 'vision_perceiver\.latents'"),
        ({FIRST: None}, rf"missing key '{FIRST}', expected \(32,\)"),
        ({FIRST: torch.ones(31)}, rf"key '{FIRST}' has shape \(31,\), expected \(32,\)"),
        ({"vision_perceiver.latents": torch.ones(5)}, r"'vision_perceiver\.latents' has shape \(5,\), expected 2 dim"),
        ({"vision_perceiver.latents": torch.ones(0, 16)}, r"has shape \(0, 16\), expected 2 dimensions"),
        ({"vision_perceiver.layers.0.1.1.weight": torch.ones(33, 16)}, r"1\.1\.weight' has 33 rows, .* joint width 16"),
        (
            {"temporal_embedding": torch.ones(8, 32)},
            "'temporal_embedding' is for 8 frames, got a backbone with 9; load it with frames=8",
        ),
        ({"temporal_embedding": torch.ones(9, 30)}, r"'temporal_embedding' has shape \(9, 30\), expected \(9, 32\)"),
        ({"temp": torch.tensor(float("nan"))}, "key 'temp' holds numbers that are not finite"),
        ({"itm_head.weight": torch.ones(1)}, r"unexpected key 'itm_head\.weight'"),
        ({"vision_perceiver.layers.0.9.weight": torch.ones(1)}, r"unexpected key 'vision_perceiver\.layers\.0\.9"),
        ({"vision_perceiver.layers.7.0.to_q.weight": torch.ones(1)}, r"unexpected key 'vision_perceiver\.layers\.7"),
        ({"knowledge_fuser.attn.norm_q.weight": torch.ones(16)}, r"missing key 'knowledge_fuser\.attn\.to_q\.weight'"),
        ({"vision_adaptor.x": torch.ones(1)}, r"missing key 'vision_adaptor\.transformer_encoder\.layers\.0\.linear1"),
        (
            {"text_perceiver.latents": torch.ones(5, 16)},
            r"key 'text_perceiver\.latents' is of a model that also adapts",
        ),
        ({"epoch": 3}, "key 'epoch' holds int, expected a tensor"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(tiny_backbone, tmp_path, changes, message):
    state = model_to_official(patcher_model(tiny_backbone)) | changes
    path = write(tmp_path / "best.pth", {key: value for key, value in state.items() if value is not None})
    with pytest.raises(PaxionError, match=message) as error:
        import_official(path, tiny_backbone, tmp_path / "a")
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("kind", "key", "message"),
    [
        ("gated_xattn", "knowledge_fuser.ff_gate", r"missing key 'knowledge_fuser\.ff_gate', expected \(1,\)"),
        ("xattn", "knowledge_fuser.attn.norm_kv.bias", r"missing key 'knowledge_fuser\.attn\.norm_kv\.bias'"),
        ("xattn_v2", "knowledge_fuser.ff.1.weight", r"missing key 'knowledge_fuser\.ff\.1\.weight'"),
    ],
)
def test_a_fuser_that_lacks_a_key_is_said(tiny_backbone, tmp_path, kind, key, message):
    state = model_to_official(patcher_model(tiny_backbone, kind))
    del state[key]
    with pytest.raises(PaxionError, match=message):
        import_official(write(tmp_path / "f.pth", state), tiny_backbone, tmp_path / "a")


class Runs:
    """Would write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("case", ["missing", "empty", "cut", "text", "code", "a list"])
def test_files_that_are_no_checkpoints_are_said(tiny_backbone, tmp_path, case):
    path, trace = tmp_path / "best.pth", tmp_path / "trace"
    state = model_to_official(patcher_model(tiny_backbone))
    if case == "cut":
        write(path, state)
        path.write_bytes(path.read_bytes()[:-5000])
    elif case == "code":
        torch.save({"model": state, "config": Runs(trace)}, path)
    elif case == "a list":
        torch.save([1, 2], path)
    elif case != "missing":
        path.write_bytes(b"" if case == "empty" else b"no checkpoint " * 50)
    with pytest.raises(PaxionError) as error:
        import_official(path, tiny_backbone, tmp_path / "a")
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert not trace.exists() and not (tmp_path / "a").exists()


def published(which: str):
    """A tiny backbone, and its weights as they stand in a whole model."""
    text = TextConfig(16, 1, 2, 16, 16)
    if which == "internvideo":
        backbone = InternVideo(InternVideoConfig(text, 32, 4, 2, 8, 16), len, 4)
        state = internvideo.published_state
    elif which == "clip-vip":
        backbone = ClipVip(ClipVipConfig(text, 32, 1, 2, 32, 8, 16), len, 4)
        state = clip_vip.published_state
    else:
        vision, words = BeitConfig(32, 1, 2, 32, 8, 2), BertConfig(16, 1, 2, 16, 20, 8)
        backbone = Singularity(SingularityConfig(vision, words, 16, 1), len, 4, Transform(16))
        state = singularity.published_state
    torch.manual_seed(1)
    for parameter in backbone.parameters():
        parameter.data = 0.2 * torch.randn_like(parameter)
    prefix = "vl_backbone.clipmodel." if which == "clip-vip" else "vl_backbone."
    return backbone.eval(), {prefix + key: value.clone() for key, value in state(backbone).items()}


@pytest.mark.parametrize(
    ("which", "key"),
    [
        ("internvideo", "vl_backbone.visual.transformer.resblocks.1.mlp.c_fc.weight"),
        ("clip-vip", "vl_backbone.clipmodel.vision_model.encoder.layers.0.self_attn.v_proj.weight"),
        ("singularity", "vl_backbone.vision_proj.weight"),
    ],
)
def test_the_backbone_in_the_file_must_be_the_given_one(tmp_path, which, key):
    backbone, whole = published(which)
    whole |= model_to_official(patcher_model(backbone))
    whole["vl_backbone.itm_head.weight"] = torch.ones(1)  # The file may hold heads that are not read.
    told = import_official(write(tmp_path / "a.pth", whole), backbone, tmp_path / "a")
    assert told["backbone"] == "equal"

    for changed in (whole[key] + 1e-6, whole[key][1:]):
        path = write(tmp_path / "b.pth", whole | {key: changed})
        with pytest.raises(PaxionError, match=rf"b\.pth: key '{key}' is not the same in the given {which}") as error:
            import_official(path, backbone, tmp_path / "b")
        assert "\n" not in str(error.value)
    del whole[key]
    with pytest.raises(PaxionError, match=rf"b\.pth: key '{key}' is missing, but is in the given {which}"):
        import_official(write(tmp_path / "b.pth", whole), backbone, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_backbone_in_the_file_that_cannot_be_compared_is_told(tiny_backbone, tmp_path):
    state = model_to_official(patcher_model(tiny_backbone)) | {"vl_backbone.visual_proj": torch.ones(32, 16)}
    told = import_official(write(tmp_path / "a.pth", state), tiny_backbone, tmp_path / "a")
    assert told["backbone"] == "not compared"


@pytest.mark.parametrize(
    ("recipe", "changes", "part"),
    [
        ("patcher", {}, "a spatial embedding"),
        ("patcher", {"spatial_embedding": False}, "difference tokens"),
        ("patcher-vtc", {"fuser": "xattn"}, r"a fuser that reads vectors of length sqrt\(D\)"),
        ("patcher-vtc", {"fuser": "gated_xattn"}, r"a fuser that reads vectors of length sqrt\(D\)"),
    ],
)
def test_what_published_models_do_not_have_is_not_exported(tiny_backbone, tmp_path, recipe, changes, part):
    recipe = replace(RECIPES[recipe], **changes)
    save_adapter(tmp_path / "a", "a", beginning(recipe, tiny_backbone), tiny_backbone, recipe, {})
    with pytest.raises(PaxionError, match=rf"/a has {part}, which published models do not have") as error:
        export_official(tmp_path / "a", tmp_path / "out.pth")
    assert "\n" not in str(error.value) and not (tmp_path / "out.pth").exists()


def test_a_learned_projection_is_not_exported(tiny_backbone, tmp_path):
    recipe = RECIPES["kp-transformer"]
    sizes = tiny_backbone.dim, tiny_backbone.token_width, tiny_backbone.frames, tiny_backbone.tokens_per_frame
    save_adapter(tmp_path / "a", "a", PatchedModel(recipe.patcher_config(*sizes)), tiny_backbone, recipe, {})
    with pytest.raises(PaxionError, match="/a has a learned projection"):
        export_official(tmp_path / "a", tmp_path / "out.pth")


@pytest.mark.parametrize("recipe", ["patcher-dvdm", "patcher-pooled", "kp-transformer"])
def test_what_was_trained_here_by_the_papers_recipes_can_be_exported(tiny_backbone, tmp_path, recipe):
    model = beginning(RECIPES[recipe], tiny_backbone)
    save_adapter(tmp_path / "a", "a", model, tiny_backbone, RECIPES[recipe], {})
    export_official(tmp_path / "a", tmp_path / "out.pth")
    heads = getattr(model.patcher.config, "heads", None)
    import_official(tmp_path / "out.pth", tiny_backbone, tmp_path / "b", heads=heads, pooled="pooled" in recipe)
    again = load_adapter(tmp_path / "b", tiny_backbone).model
    assert same(again, model) and again.patcher.config == model.patcher.config


def test_a_trained_fuser_is_exported_with_its_temperature(tiny_backbone, tmp_path):
    model = patcher_model(tiny_backbone, "xattn")
    model.patcher.temperature.data.fill_(0.5)
    model.fuser.temperature.data.fill_(0.25)
    save_adapter(tmp_path / "a", "a", model, tiny_backbone, None, {})
    export_official(tmp_path / "a", tmp_path / "out.pth")
    assert torch.load(tmp_path / "out.pth", weights_only=True)["model"]["temp"] == 0.25
    import_official(tmp_path / "out.pth", tiny_backbone, tmp_path / "b")
    features = some_features(tiny_backbone)
    want = PatchedEncoder("a", tiny_backbone, model).encode_clips(features)
    assert torch.equal(load_adapter(tmp_path / "b", tiny_backbone).encode_clips(features), want)


def test_export_refuses_a_folder_that_is_no_adapter_and_a_place_that_cannot_be_written(tiny_backbone, tmp_path):
    with pytest.raises(PaxionError, match="is no adapter"):
        export_official(tmp_path, tmp_path / "out.pth")
    recipe = RECIPES["patcher-dvdm"]
    save_adapter(tmp_path / "a", "a", beginning(recipe, tiny_backbone), tiny_backbone, recipe, {})
    with pytest.raises(PaxionError, match="cannot write"):
        export_official(tmp_path / "a", tmp_path / "a/adapter.json/out.pth")
