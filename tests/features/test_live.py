"""Features without a store: the numbers of a store, no clip substituted, and no more work or memory than promised."""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from neighbour import NeighbourBackbone
from torch import Tensor

from paxion.backbones.base import Features, normalise
from paxion.features import live
from paxion.features.extract import Extracted, extract
from paxion.features.jobs import job_of
from paxion.features.live import LiveFeatures, OnTheFly, on_the_fly, store_bytes, what_a_store_would_save
from paxion.manifest import video_path, write_manifest
from paxion.patching.data import training_data
from paxion.patching.model import PatchedModel
from paxion.patching.recipes import Recipe
from paxion.patching.step import losses
from paxion.patching.train import train
from paxion.patching.validation import validation
from paxion.records import PaxionError, Sample
from paxion.video.controls import CONTROLS

ORDERS = [control for control in CONTROLS if control not in ("none", "blind")]


class AloneBackbone(NeighbourBackbone):
    """Tokens are the frames' own, as InternVideo's are, and pooled depends on their order: no frame vectors."""

    name = "test/alone"
    per_frame = True

    def encode_video(self, video: Tensor) -> Features:
        still = super().encode_video(video.flatten(0, 1)[:, None].expand(-1, 9, -1, -1, -1)).tokens
        tokens = still[:, 0].unflatten(0, video.shape[:2])
        return Features(normalise(tokens.mean(2).flatten(1) @ self.pool), tokens)


@pytest.fixture(params=["world", "neighbour", "alone"])
def backbone(request, tiny_backbone):
    return {"world": tiny_backbone, "neighbour": NeighbourBackbone(), "alone": AloneBackbone()}[request.param]


@pytest.fixture
def copied(tiny_manifest: Path, tiny_samples: list[Sample], tmp_path: Path) -> tuple[Path, list[Sample]]:
    """Twelve samples of the tiny world with files of their own."""
    samples = tiny_samples[:12]
    for sample in samples:
        target = tmp_path / "world" / sample.video
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video_path(tiny_manifest, sample), target)
    write_manifest(tmp_path / "world" / "manifest.jsonl", samples)
    return tmp_path / "world" / "manifest.jsonl", samples


def both_ways(backbone, manifest: Path, samples: list[Sample], root: Path) -> tuple[OnTheFly, Extracted]:
    stored = extract(backbone, manifest, samples, root, dtype="float32", controls=ORDERS, workers=0)
    return on_the_fly(backbone, manifest, samples, root / "clips.json", workers=0), stored


def assert_same(found: Features, expected: Features, atol: float) -> None:
    torch.testing.assert_close(found.pooled, expected.pooled, rtol=0, atol=atol)
    torch.testing.assert_close(found.tokens, expected.tokens, rtol=0, atol=atol)


def passes(backbone) -> list[int]:
    """Has every pass of a backbone written down: the clips in it."""
    counts: list[int] = []
    encode = backbone.encode_video

    def counted(video: Tensor) -> Features:
        counts.append(len(video))
        return encode(video)

    backbone.encode_video = counted
    return counts


def test_every_control_is_what_a_store_gives(backbone, tiny_manifest, tiny_samples, tmp_path):
    samples = tiny_samples[:7]
    found, stored = both_ways(backbone, tiny_manifest, samples, tmp_path)
    assert found.keys == stored.keys and found.missed == {}
    assert found.source.spec == stored.store.spec
    assert found.source.reorderable == stored.store.reorderable == (backbone.name == "world")
    keys = list(found.keys.values())
    atol = 0.0 if found.source.reorderable else 1e-6  # there the controls were encoded in other batches
    for control in CONTROLS:
        assert_same(found.source.read(keys, control), stored.store.read(keys, control), atol)
    assert_same(found.source.read(keys[::-1] + keys[:1]), stored.store.read(keys[::-1] + keys[:1]), 1e-6)


def test_the_shuffled_order_follows_the_seeds(tiny_backbone, tiny_manifest, tiny_samples, tmp_path):
    found, stored = both_ways(tiny_backbone, tiny_manifest, tiny_samples[:3], tmp_path)
    keys, orders = list(found.keys.values()), []
    for seeds in (["a", "b", "c"], ["d", "e", "f"]):
        shuffled = found.source.read(keys, "shuffled", seeds)
        assert_same(shuffled, stored.store.read(keys, "shuffled", seeds), 0.0)
        orders.append(shuffled.tokens)
    assert not torch.equal(*orders)


def test_a_step_has_the_losses_and_gradients_that_it_has_from_a_store(backbone, tiny_manifest, tiny_samples, tmp_path):
    samples = tiny_samples[:8]
    found, stored = both_ways(backbone, tiny_manifest, samples, tmp_path)
    recipe = Recipe(vac=True, atm=0.4, token_noise=0.5, latents=4, heads=2, dim_head=8)
    sizes = backbone.dim, backbone.token_width, backbone.frames, backbone.tokens_per_frame
    told = []
    for source in (found.source, stored.store):
        data = training_data(backbone, source, found.keys, samples)
        torch.manual_seed(0)
        model = PatchedModel(recipe.patcher_config(*sizes))
        total = torch.stack(list(losses(model, recipe, data, torch.tensor([5, 1, 2, 7])).values())).sum()
        total.backward()
        gradients = [value.grad for value in model.parameters() if value.grad is not None]
        told.append([total.detach(), *gradients])
    assert len(told[0]) > 5
    torch.testing.assert_close(told[0], told[1], rtol=1e-5, atol=1e-6)


def test_a_training_ends_with_the_weights_that_it_has_from_a_store(tiny_manifest, tiny_samples, tmp_path):
    """Clips are decoded in other processes and read ahead in a thread, and the validation reads in between."""
    backbone, samples, told = NeighbourBackbone(), tiny_samples[:16], []
    recipe = Recipe(vac=True, atm=0.4, latents=4, heads=2, dim_head=8, epochs=2, batch=4, validate=1)
    stored = extract(backbone, tiny_manifest, samples, tmp_path, dtype="float32", workers=0)
    found = on_the_fly(backbone, tiny_manifest, samples, tmp_path / "clips.json", workers=1)
    with found.source:
        for name, source in (("live", found.source), ("stored", stored.store)):
            data = training_data(backbone, source, found.keys, samples[:12])
            given = validation(backbone, source, found.keys, samples[12:])
            model = train(recipe, backbone, data, tmp_path / name, validation=given)
            told.append(dict(model.named_parameters()))
            told[-1] |= {
                f"{row}": torch.tensor(line["val_reversal"]) for row, line in enumerate(lines(tmp_path / name))
            }
    torch.testing.assert_close(told[0], told[1], rtol=1e-5, atol=1e-6)


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_a_step_runs_a_per_frame_backbone_once_per_clip(tiny_manifest, tiny_samples, tmp_path):
    """Its reversed clips have the reversed tokens; of another backbone they take a pass of their own."""
    samples, recipe = tiny_samples[:8], Recipe(vac=True, atm=0.4, latents=4, heads=2, dim_head=8)
    for kind, expected in ((AloneBackbone, [4]), (NeighbourBackbone, [4, 4])):
        backbone = kind()
        found = on_the_fly(backbone, tiny_manifest, samples, tmp_path / "clips.json", workers=0)
        data = training_data(backbone, found.source, found.keys, samples)
        assert not found.source.reorderable  # found out with a pass of the grey clip, once
        counts = passes(backbone)
        losses(PatchedModel(recipe.patcher_config(6, 8, 9, 4)), recipe, data, torch.arange(4))
        assert counts == expected


def test_the_reversals_of_what_was_read_are_not_decoded_again(backbone, copied, tmp_path):
    manifest, samples = copied
    found, counts = on_the_fly(backbone, manifest, samples, tmp_path / "clips.json", workers=0), passes(backbone)
    keys = list(found.keys.values())
    try:
        found.source.read(keys)
        before = len(counts)
        shutil.rmtree(manifest.parent)
        turned = found.source.read(keys, "reversed")
        assert counts[before:] == ([] if found.source.reorderable else [12])
        assert turned.tokens.shape[:2] == (12, 9)
    finally:
        del backbone.encode_video


def test_a_clip_that_cannot_be_read_is_told_before_and_no_other_stands_for_it(backbone, copied, tmp_path):
    manifest, samples = copied
    broken, missing, hollow = (video_path(manifest, samples[number]) for number in (2, 5, 7))
    broken.write_bytes(b"this is not a video" * 100)
    missing.unlink()
    content = hollow.read_bytes()  # packets of zeros, whose list is whole: nothing but decoding tells
    begin, end = sorted((content.index(b"mdat") + 4, content.index(b"moov") - 4))
    assert end - begin > 500
    hollow.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
    ticks: list[int] = []
    found = on_the_fly(backbone, manifest, samples, tmp_path / "clips.json", workers=0, tick=ticks.append)
    stored = extract(backbone, manifest, samples, tmp_path / "s", dtype="float32", workers=0)
    assert sum(ticks) == len(samples)
    assert found.missed == stored.missed
    assert set(found.missed) == {samples[number].id for number in (2, 5, 7)}
    assert set(found.keys) == {sample.id for sample in samples} - set(found.missed)
    keys = list(found.keys.values())
    assert_same(found.source.read(keys), stored.store.read(keys), 1e-6)
    lost = job_of(manifest, samples[2]).key
    assert lost not in found.source
    with pytest.raises(PaxionError, match="1 of 2 clips are not in the source"):
        found.source.read([keys[0], lost])


def test_a_clip_that_is_gone_meanwhile_ends_the_run_by_its_name(tiny_backbone, copied, tmp_path):
    manifest, samples = copied
    found = on_the_fly(tiny_backbone, manifest, samples, tmp_path / "clips.json", workers=0)
    gone = video_path(manifest, samples[3])
    keys = list(found.keys.values())
    content = gone.read_bytes(), gone.stat().st_mtime_ns
    gone.unlink()
    for _ in range(2):
        with pytest.raises(PaxionError, match=f"{gone.name}: the file changed, appeared or vanished"):
            found.source.read(keys)
    gone.write_bytes(content[0])
    os.utime(gone, ns=(content[1], content[1]))
    assert len(found.source.read(keys).pooled) == len(keys)


def test_no_clips_are_refused_in_a_line(tiny_backbone):
    source = LiveFeatures(tiny_backbone, [], workers=0)
    with pytest.raises(PaxionError, match="got no clips to read"):
        source.read([])
    with pytest.raises(PaxionError, match="got no clips to read"):
        what_a_store_would_save(source, 0, 3, "paxion features make")


def test_samples_of_one_clip_share_it_and_windows_do_not(tiny_backbone, tiny_manifest, tiny_samples, tmp_path):
    whole, window = tiny_samples[0], replace(tiny_samples[0], id="b", end=0.5)
    again = replace(window, id="c")
    found = on_the_fly(tiny_backbone, tiny_manifest, [whole, window, again], tmp_path / "clips.json", workers=0)
    assert found.keys["b"] == found.keys["c"] != found.keys[whole.id]
    tokens = found.source.read(list(found.keys.values())).tokens
    assert torch.equal(tokens[1], tokens[2]) and not torch.equal(tokens[0], tokens[1])


def test_decoding_ahead_changes_no_number_and_holds_no_more_than_promised(copied, tmp_path, monkeypatch):
    """Any order of reading and prefetching, in processes: the same features, and the pixels of so many clips."""
    manifest, samples = copied
    monkeypatch.setattr(live, "HELD", 6)
    monkeypatch.setattr(live, "BATCH", 4)
    backbone, draw = NeighbourBackbone(), random.Random(0)
    plain = on_the_fly(backbone, manifest, samples, tmp_path / "clips.json", workers=0)
    keys = list(plain.keys.values())
    expected = {control: plain.source.read(keys, control).tokens for control in ("none", "reversed")}
    with on_the_fly(backbone, manifest, samples, tmp_path / "clips.json", workers=2).source as source:
        largest = 0
        for _ in range(40):
            rows = draw.sample(range(12), draw.randint(1, 7))
            chosen = [keys[row] for row in rows]
            if draw.random() < 0.5:
                source.prefetch(chosen)
            else:
                largest = max(largest, len(chosen))
                for control in ("none", "reversed"):
                    found = source.read(chosen, control).tokens
                    torch.testing.assert_close(found, expected[control][rows], rtol=0, atol=1e-6)
            assert sum(map(len, source._groups)) <= max(6, 2 * largest) + 3
        # What was asked for and never read is let go in time, and what was decoded ahead needs its files no more.
        for _ in range(live.PATIENCE):
            source.read(keys[4:8])
        source.prefetch(keys[:4])
        source._groups[tuple(keys[:4])].decoded()
        shutil.rmtree(manifest.parent)
        torch.testing.assert_close(source.read(keys[:4]).tokens, expected["none"][:4], rtol=0, atol=1e-6)


def test_workers_below_zero_are_refused(tiny_backbone):
    with pytest.raises(PaxionError, match="got -1 workers"):
        LiveFeatures(tiny_backbone, [], workers=-1)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_the_size_of_a_store_is_what_it_would_take(backbone, tiny_manifest, tiny_samples, tmp_path, dtype):
    samples = tiny_samples[:16]
    found = on_the_fly(backbone, tiny_manifest, samples, tmp_path / "clips.json", workers=0)
    rest = range(store_bytes(found.source, 1, both=False, dtype=dtype) + 2000)  # the grey clip, and heads of files
    store = extract(backbone, tiny_manifest, samples, tmp_path, dtype=dtype, workers=0).store
    taken = sum(path.stat().st_size for path in store.folder.glob("*.npy"))
    assert taken - store_bytes(found.source, 16, dtype=dtype) in rest
    alone = extract(backbone, tiny_manifest, samples, tmp_path / "alone", dtype=dtype, workers=0, controls=()).store
    taken = sum(path.stat().st_size for path in alone.folder.glob("*.npy"))
    assert taken - store_bytes(found.source, 16, both=False, dtype=dtype) in rest


def test_what_a_store_would_save_is_said_in_a_line(tiny_manifest, tiny_samples, tmp_path):
    backbone = NeighbourBackbone()
    source = on_the_fly(backbone, tiny_manifest, tiny_samples[:2], tmp_path / "clips.json", workers=0).source
    assert 0 < source.seconds_a_clip() < 5
    source.seconds_a_clip = lambda: 0.25
    command = "paxion features clips.jsonl"
    line = what_a_store_would_save(source, 1200, 5, command)
    # Two passes of 0.25 s for each clip; tokens of 9 x 4 x 8 x 2 bytes and 6 x 4 of pooled, also for the reversals.
    assert line == (
        "each epoch encodes 1,200 clips again (about 10.0 min); a store would take 1.4 MB and save 40.0 min over 5 "
        "epochs: paxion features clips.jsonl"
    )
    assert "(about 5.0 min); a store would take 720 kB and save" in what_a_store_would_save(
        source, 1200, 2, command, both=False
    )
    assert what_a_store_would_save(source, 1200, 1, command).startswith("the epoch encodes 1,200 clips (about 10.0 min")
