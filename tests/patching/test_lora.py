"""LoRA: what is trained and what is not, what the folder holds, and what it cannot do."""

from __future__ import annotations

import copy
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from trainings import killed_after, log

from paxion.backbones.base import Features
from paxion.backbones.low_rank import CARD, WEIGHTS, LowRankEncoder, linear_layers, low_rank, read_low_rank
from paxion.evaluation.evaluate import evaluate
from paxion.features.extract import extract
from paxion.features.jobs import job_of
from paxion.features.pixels import Pixels
from paxion.features.spec import spec_of
from paxion.patching.data import training_data
from paxion.patching.lora import Lora, check_trainable, chosen_layers, inject, save_low_rank
from paxion.patching.lora_training import LoraStep, PixelFeatures, retold, train_lora
from paxion.patching.recipes import RECIPES
from paxion.records import PaxionError

pytest.importorskip("peft", reason="needs the extra lora")

SHORT = replace(RECIPES["patcher-dvdm"], epochs=4, batch=16, warmup=2, rate=3e-3)
SMALL = Lora(rank=4, alpha=8.0)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pixels(tiny_backbone, tiny_manifest, tiny_samples):
    jobs = [job_of(tiny_manifest, sample) for sample in tiny_samples if sample.source == "world-A"][:48]
    with Pixels(jobs, spec_of(tiny_backbone), memory=1e9, workers=0) as pixels:
        yield pixels


@pytest.fixture
def backbone(tiny_backbone):
    return copy.deepcopy(tiny_backbone)


@pytest.fixture(scope="module")
def trained(tiny_backbone, data, pixels, tmp_path_factory) -> tuple[Path, torch.nn.Module]:
    """A folder, and the backbone with peft's layers in it."""
    backbone, folder = copy.deepcopy(tiny_backbone), tmp_path_factory.mktemp("lora")
    model, told = train_lora(SHORT, SMALL, backbone, data, pixels, folder)
    save_low_rank(folder, model, backbone, SMALL, SHORT, told, "world")
    return folder, backbone


def clips(seed: int = 0, frames: int = 9, size: int = 64) -> torch.Tensor:
    return torch.randn(3, frames, 3, size, size, generator=torch.Generator().manual_seed(seed))


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def test_fresh_matrices_change_nothing_and_are_all_that_is_trained(tiny_backbone, backbone):
    model = inject(backbone, SMALL, seed=0)
    seen = backbone.encode_video(clips())
    assert torch.equal(seen.pooled, tiny_backbone.encode_video(clips()).pooled)
    seen.pooled.square().sum().backward()
    ours = {id(value) for value in model.values}
    assert {id(value) for value in backbone.parameters() if value.requires_grad} == ours
    assert {id(value) for value in backbone.parameters() if value.grad is not None} == ours
    assert len(model.values) == 2 * len(model.layers) == 2 * 8
    assert all(name.startswith("frame_blocks.") for name in model.layers)


def test_the_first_matrices_follow_from_the_seed(tiny_backbone):
    one, same, other = (inject(copy.deepcopy(tiny_backbone), SMALL, seed).named() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_loss_falls(trained):
    lines = log(trained[0])
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["vtc+vac"] < lines[0]["vtc+vac"] - 0.1
    card = json.loads((trained[0] / CARD).read_text())
    cost = card["provenance"]["cost"]
    assert cost["steps"] == 12 and cost["seconds"] > 0 and cost["cpu_seconds"] > 0
    assert cost["trainable"] == 1 + sum(value.numel() for value in load_file(trained[0] / WEIGHTS).values())


def test_the_folder_gives_what_was_trained_by_the_formula(tiny_backbone, trained):
    folder, with_peft = trained
    merged = low_rank(folder, copy.deepcopy(tiny_backbone))
    torch.testing.assert_close(
        merged.encode_video(clips()).pooled, with_peft.encode_video(clips()).pooled, rtol=0, atol=1e-5
    )
    assert torch.equal(merged.encode_texts(["red star"]), tiny_backbone.encode_texts(["red star"]))
    matrices, card = load_file(folder / WEIGHTS), json.loads((folder / CARD).read_text())
    scale = card["alpha"] / card["rank"]
    before, after = weights(tiny_backbone), weights(merged)
    for name, value in after.items():
        layer = name.removesuffix(".weight")
        if layer in card["layers"] and name.endswith(".weight"):
            update = torch.einsum("or,ri->oi", matrices[f"{layer}.B"].double(), matrices[f"{layer}.A"].double())
            torch.testing.assert_close(value.double(), before[name].double() + scale * update, rtol=0, atol=1e-6)
            assert not torch.equal(value, before[name])
        else:
            assert torch.equal(value, before[name]), name
    assert merged.revision == card["revision"] != tiny_backbone.revision
    assert (folder / WEIGHTS).stat().st_size < 30_000


def test_an_order_blind_backbone_stays_blind(tiny_backbone, trained, tiny_manifest, tiny_samples, tmp_path):
    merged = low_rank(trained[0], copy.deepcopy(tiny_backbone))
    rows = [sample for sample in tiny_samples if sample.split == "test" and sample.source == "world-A"][:20]
    found = extract(merged, tiny_manifest, rows, tmp_path, workers=0)
    encoder = LowRankEncoder("lora", merged, "world")
    (score,) = evaluate(encoder, found.store, found.keys, rows, data="w", tasks=("reversal",)).scores
    assert score.value == 0.5 and score.ties == score.n > 0
    # And training told so: the choice between a clip and its reversal is a coin's, before and after.
    coin = 0.4 * math.log(2)
    assert all(line["atm"] == pytest.approx(coin, abs=1e-5) for line in log(trained[0]))


def test_it_is_said_that_order_cannot_be_learned(backbone, data, pixels, tmp_path):
    told: list[str] = []
    train_lora(replace(SHORT, epochs=1), SMALL, backbone, data, pixels, tmp_path, tell=told.append)
    assert told == [
        f"{backbone.name} gives a clip and its reversal the same vector whatever its weights, so ATM trains nothing; a "
        "patcher can tell them apart"
    ]


class Ordered(torch.nn.Module):
    """A backbone that sees order: its vector is read from the frames in their places."""

    name, revision, per_frame, frames, dim = "ordered", "1", False, 9, 16
    token_width = tokens_per_frame = 0

    def __init__(self, tiny) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tiny, self.transform = tiny, tiny.transform
        self.mix, self.out = torch.nn.Linear(9 * 16, 32), torch.nn.Linear(32, 16)

    def encode_video(self, video):
        frames = self.tiny.encode_video(video).frame_vectors
        return Features(self.out(self.mix(frames.flatten(1)).tanh()))

    def encode_texts(self, texts):
        return self.tiny.encode_texts(texts)


@pytest.fixture
def ordered(backbone):
    return Ordered(backbone).eval().requires_grad_(False)


def test_a_backbone_that_sees_order_is_trained_on_it(ordered, tiny_features, tiny_samples, pixels, tmp_path):
    samples = [sample for sample in tiny_samples if sample.source == "world-A"][:48]
    data = training_data(ordered, tiny_features.store, tiny_features.keys, samples)
    train_lora(replace(SHORT, epochs=6, rate=1e-2), SMALL, ordered, data, pixels, tmp_path)
    lines = log(tmp_path)
    assert lines[-1]["atm"] < lines[0]["atm"] - 0.01


@pytest.mark.parametrize("name", ["ordered", "backbone"])
def test_a_reversed_clip_is_the_flipped_pixels(name, request, pixels, data):
    model, straight = request.getfixturevalue(name), pixels.read(data.keys[:3])
    inject(model, SMALL, 0)
    source = PixelFeatures(model, pixels, CPU)
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (model.transform.mean, model.transform.std))
    for control, shown in (("reversed", straight.flip(1)), ("last", straight[:, -1:].expand_as(straight))):
        found = source.read(data.keys[:3], control)
        expected = model.encode_video((shown / 255 - mean) / std).pooled
        torch.testing.assert_close(found.pooled, expected, rtol=0, atol=1e-5)
        assert found.pooled.requires_grad


@pytest.mark.parametrize("epoch", [1, 4])
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tiny_backbone, trained, data, pixels, tmp_path, epoch):
    with pytest.raises(KeyboardInterrupt):
        train_lora(SHORT, SMALL, copy.deepcopy(tiny_backbone), data, pixels, tmp_path, tick=killed_after(epoch))
    torch.rand(7)
    model, told = train_lora(SHORT, SMALL, copy.deepcopy(tiny_backbone), data, pixels, tmp_path)
    whole = load_file(trained[0] / WEIGHTS)
    assert all(torch.equal(value, whole[name]) for name, value in model.named().items())
    assert [line["epoch"] for line in log(tmp_path)] == [1, 2, 3, 4]
    assert told["cost"]["steps"] == 12


@pytest.mark.parametrize("step", [1, 5, 12])
def test_a_run_that_is_told_to_stop_keeps_the_step(tiny_backbone, trained, data, pixels, tmp_path, step):
    def stop(done: int, of: int) -> None:
        if done == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_lora(SHORT, SMALL, copy.deepcopy(tiny_backbone), data, pixels, tmp_path, advance=stop, save_every=0)
    seen: list[int] = []
    model, _ = train_lora(
        SHORT, SMALL, copy.deepcopy(tiny_backbone), data, pixels, tmp_path, advance=lambda done, of: seen.append(done)
    )
    assert seen[0] == step
    whole = load_file(trained[0] / WEIGHTS)
    assert all(torch.equal(value, whole[name]) for name, value in model.named().items())


def test_two_trainings_are_never_mixed(backbone, trained, data, pixels):
    with pytest.raises(PaxionError, match=r"another training \(other rank: got 4, expected 8, alpha: "):
        train_lora(SHORT, Lora(), backbone, data, pixels, trained[0])


def test_a_loss_that_is_no_number_names_step_and_clips(backbone, data, pixels, tmp_path):
    wild = replace(SHORT, rate=1e30, warmup=0)
    with pytest.raises(PaxionError, match=r"the loss became \w+ in step \d of 12 .*lower the rate .*failed.json"):
        train_lora(wild, SMALL, backbone, data, pixels, tmp_path)
    found = json.loads((tmp_path / "failed.json").read_text())
    assert len(found["ids"]) == 16 and set(found["ids"]) <= set(data.ids) and not found["not_finite"]["features"]


def test_both_towers_are_trained_when_asked(tiny_backbone, backbone, data, pixels, tmp_path):
    both = replace(SMALL, towers="both")
    model, told = train_lora(replace(SHORT, epochs=2, template=1.0), both, backbone, data, pixels, tmp_path)
    assert {name.partition(".")[0] for name in model.layers} == {"frame_blocks", "text_blocks"}
    save_low_rank(tmp_path, model, backbone, both, SHORT, told, None)
    merged = low_rank(tmp_path, copy.deepcopy(tiny_backbone))
    texts = ["red star up", "opening blue box"]
    torch.testing.assert_close(merged.encode_texts(texts), backbone.encode_texts(texts), rtol=0, atol=1e-5)
    assert not torch.allclose(merged.encode_texts(texts), tiny_backbone.encode_texts(texts), atol=1e-4)


def test_texts_encoded_anew_are_those_of_the_rows(backbone, data):
    inject(backbone, replace(SMALL, towers="both"), 0)
    rows = torch.tensor([3, 0, 7])
    found = retold(data, backbone, rows, templates=True)
    for of in (data.captions, data.antonyms):
        torch.testing.assert_close(found.texts[of[rows]], data.texts[of[rows]], rtol=0, atol=1e-6)
    torch.testing.assert_close(found.templates, data.templates, rtol=0, atol=1e-6)
    assert found.texts.requires_grad and not found.texts[0].any()


def test_the_losses_are_those_of_a_patcher_on_pooled_vectors(backbone, data, pixels):
    from paxion.patching.objectives import antonym_pair, contrastive

    model = inject(backbone, SMALL, 0)
    source = PixelFeatures(backbone, pixels, CPU)
    recipe = replace(SHORT, atm=0.0, antonym_pair=0.5)
    found = LoraStep(model, recipe, replace(data, source=source), CPU, None)([0, 1, 2, 3], 0)
    pooled = model(source.read(data.keys[:4]))
    text, antonym = data.texts[data.captions[:4]], data.texts[data.antonyms[:4]]
    given = {"has_antonym": data.antonyms[:4] > 0}
    expected = contrastive(pooled, text, 0.07, antonym=antonym, **given)
    torch.testing.assert_close(found["vtc+vac"], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(found["antonym_pair"], 0.5 * antonym_pair(pooled, text, antonym, 0.07, **given))


def test_targets_are_chosen_by_how_their_names_end(backbone):
    def chosen(*targets, towers="vision"):
        return chosen_layers(backbone, Lora(targets=targets, towers=towers))

    assert chosen("qkv") == ["frame_blocks.0.qkv", "frame_blocks.1.qkv"]
    assert chosen("frame_blocks.1.mlp.0", "frame_out") == ["frame_blocks.1.mlp.0", "frame_out"]
    assert chosen("qkv", towers="both") == [*chosen("qkv"), "text_blocks.0.qkv"]
    auto = chosen("auto", towers="both")
    assert "frame_out" not in auto and "text_out" not in auto and len(auto) == 12
    with pytest.raises(PaxionError, match=r"got target 'q_proj', expected auto or .* world: qkv, out, mlp\.0, mlp\.2"):
        chosen("qkv", "q_proj")
    with pytest.raises(PaxionError, match="expected auto alone"):
        chosen("auto", "qkv")


@pytest.mark.parametrize(
    ("fields", "says"),
    [({"rank": 0}, "rank 0"), ({"rank": 5000}, "rank 5000"), ({"alpha": 0}, "alpha 0"), ({"alpha": math.nan}, "alpha"),
     ({"towers": "text"}, "towers 'text'"), ({"targets": ()}, "no targets")],
)  # fmt: skip
def test_sizes_of_no_sense_are_refused(fields, says):
    with pytest.raises(PaxionError, match=says):
        Lora(**fields)


def test_a_backbone_that_holds_its_model_is_reached_and_one_that_holds_none_is_not(tiny_backbone, backbone):
    class Plain:
        def __init__(self, model) -> None:
            for name in ("name", "revision", "dim", "token_width", "tokens_per_frame", "frames", "transform"):
                setattr(self, name, getattr(backbone, name))
            self.per_frame, self.held = True, model
            self.encode_video, self.encode_texts = backbone.encode_video, backbone.encode_texts

    plain = Plain(backbone)
    model = inject(plain, SMALL, 0)
    assert all(name.startswith("held.frame_blocks.") for name in model.layers)
    assert plain.encode_video(clips()).pooled.requires_grad
    with pytest.raises(PaxionError, match="world holds no torch module"):
        inject(Plain(None), SMALL, 0)


def test_a_backbone_that_stops_gradients_is_refused(ordered):
    forward = ordered.encode_video
    ordered.encode_video = lambda video: Features(forward(video).pooled.detach())
    with pytest.raises(PaxionError, match="encode_video of ordered lets no gradient through"):
        inject(ordered, SMALL, 0)


def test_peft_is_asked_for_by_its_extra(backbone, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(PaxionError, match=r"LoRA needs; pip install 'paxion\[lora\]'"):
        inject(backbone, SMALL, 0)


@pytest.mark.parametrize("option", ["dtype=bf16", "compile=yes", "tokens=pool2"])
def test_what_cannot_be_trained_is_refused_by_its_name(option):
    with pytest.raises(PaxionError, match=f"got {option} for LoRA, expected world without it"):
        check_trainable(f"world,{option}")
    check_trainable("world,dtype=float32")


@pytest.mark.parametrize(
    ("recipe", "says"),
    [(replace(SHORT, validate=1), "validate"), (RECIPES["fuser"], "with the fuser xattn"),
     (replace(SHORT, batch=64, accumulate=40), "multiple")],
)  # fmt: skip
def test_recipes_that_do_not_fit_are_refused(backbone, data, pixels, tmp_path, recipe, says):
    with pytest.raises(PaxionError, match=says):
        train_lora(recipe, SMALL, backbone, data, pixels, tmp_path)


def damaged(folder: Path, out: Path, card=None, tensors=None) -> Path:
    told, state = json.loads((folder / CARD).read_text()), load_file(folder / WEIGHTS)
    for change, what in ((card, told), (tensors, state)):
        if change is not None:
            change(what)
    (out / CARD).write_text(json.dumps(told))
    save_file(state, out / WEIGHTS)
    return out


FIRST = "frame_blocks.0.qkv"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"card": lambda card: card["backbone"].update(revision="other")}, "was trained on world other, got world"),
        (
            {"card": lambda card: card["backbone"].update(frames=8)},
            "frames 8, got 9; load it with frames=8",
        ),
        ({"card": lambda card: card.update(rank=8)}, rf"key '{FIRST}\.A' has shape \(4, 32\), expected \(8, 32\)"),
        ({"card": lambda card: card.update(rank=0)}, "is no LoRA folder .*rank is 0"),
        ({"card": lambda card: card.update(alpha="8")}, "is no LoRA folder .*alpha"),
        ({"card": lambda card: card.update(layers=[])}, "is no LoRA folder .*layers"),
        ({"card": lambda card: card["layers"].append("frame_blocks.7.qkv")}, "updates the layer 'frame_blocks.7.qkv'"),
        ({"tensors": lambda state: state.pop(f"{FIRST}.B")}, rf"missing key '{FIRST}\.B'"),
        ({"tensors": lambda state: state.update(more=torch.zeros(1))}, "unexpected key 'more'"),
        ({"tensors": lambda state: state[f"{FIRST}.A"].fill_(math.nan)}, "not finite"),
    ],
)
def test_what_does_not_fit_exactly_is_refused_and_changes_nothing(trained, backbone, tmp_path, change, says):
    before = weights(backbone)
    with pytest.raises(PaxionError, match=says):
        low_rank(damaged(trained[0], tmp_path, **change), backbone)
    assert all(torch.equal(value, before[name]) for name, value in weights(backbone).items())


def test_half_precision_is_refused_where_an_update_would_be_lost(trained, backbone):
    with pytest.raises(PaxionError, match="in half precision, in which an update is lost"):
        low_rank(trained[0], backbone.to(torch.bfloat16))


def test_the_card_tells_the_frames_and_the_layers(trained, tiny_backbone):
    told = read_low_rank(trained[0])
    assert (told.rank, told.alpha, told.sampler, told.source) == (4, 8.0, "midpoint", "world")
    assert set(told.layers) <= linear_layers(tiny_backbone).keys()
