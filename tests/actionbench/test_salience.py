"""Salience against the rule written out as loops, on features of the tiny world, and where it must refuse."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from paxion.actionbench.salience import Marked, Thresholds, calibrated, mark_salience, salience_numbers
from paxion.backbones.base import Features
from paxion.backbones.world import WorldBackbone
from paxion.features.extract import Extracted
from paxion.features.store import FeatureStore, spec_of
from paxion.records import PaxionError, Sample


def by_loops(frames: list[list[float]], text: list[float]) -> tuple[float, float]:
    """The published rule for one clip, in plain Python."""

    def unit(vector: list[float]) -> list[float]:
        length = math.sqrt(sum(x * x for x in vector))
        return [x / length for x in vector]

    def dot(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    units, text, half = [unit(frame) for frame in frames], unit(text), len(frames) // 2
    first, second = units[:half], units[len(units) - half :]
    start, end = (statistics.fmean(dot(f, text) for f in part) for part in (first, second))
    return abs(start - end), statistics.fmean(dot(f, g) for f in first for g in second)


@pytest.mark.parametrize("frames", [2, 3, 8, 9])
def test_numbers_are_those_of_the_rule_written_out(frames: int) -> None:
    generator = torch.Generator().manual_seed(frames)
    vectors, texts = torch.randn(5, frames, 4, generator=generator), torch.randn(5, 4, generator=generator)
    changes, similarities = salience_numbers(vectors, texts)
    for row in range(5):
        expected = by_loops(vectors[row].tolist(), texts[row].tolist())
        assert (changes[row].item(), similarities[row].item()) == pytest.approx(expected, abs=1e-6)


def test_the_middle_frame_of_an_odd_number_says_nothing() -> None:
    vectors, text = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0)), torch.ones(1, 4)
    other = vectors.clone()
    other[:, 2] = torch.tensor([9.0, -9.0, 0.0, 1.0])
    assert [n.item() for n in salience_numbers(vectors, text)] == [n.item() for n in salience_numbers(other, text)]


def test_a_still_clip_changes_nothing() -> None:
    changes, similarities = salience_numbers(torch.ones(1, 8, 3), torch.tensor([[1.0, 0.0, 0.0]]))
    assert changes.item() == pytest.approx(0, abs=1e-12)
    assert similarities.item() == pytest.approx(1)


def test_one_frame_is_refused() -> None:
    with pytest.raises(PaxionError, match="got clips of 1 frame, expected two or more"):
        salience_numbers(torch.ones(1, 1, 3), torch.ones(1, 3))


def written(backbone: WorldBackbone, root: Path, clips: dict[str, Tensor | None]) -> tuple[list[Sample], Extracted]:
    """Samples whose clips have these frame vectors (T, D); None: could not be read."""
    store = FeatureStore(root, spec_of(backbone))
    present = {name: vectors for name, vectors in clips.items() if vectors is not None}
    stacked = torch.stack(list(present.values()))
    pooled = torch.zeros(len(stacked), stacked.shape[-1])
    store.append(list(present), Features(pooled, None, stacked.half()), {})
    samples = [Sample(name, f"{name}.mp4", "a red ball moves left", "train", name, salient=True) for name in clips]
    missed = {name: "broken" for name in clips if name not in present}
    return samples, Extracted(store, {name: name for name in present}, missed)


def turning(angle: float, backbone: WorldBackbone) -> Tensor:
    """A clip whose second half is turned by an angle, towards the caption's vector."""
    text = backbone.encode_texts(["a red ball moves left"])[0].float()
    side = torch.eye(len(text))[0] - text[0] * text
    side = side / side.norm()
    end = math.cos(angle) * side + math.sin(angle) * text
    frames = backbone.frames
    return torch.stack([side] * (frames // 2) + [end] * (frames - frames // 2))


def marked(backbone: WorldBackbone, root: Path, angles: dict[str, float | None], **options: object) -> Marked:
    clips = {name: None if angle is None else turning(angle, backbone) for name, angle in angles.items()}
    samples, extracted = written(backbone, root, clips)
    return mark_salience(samples, extracted, backbone, **options)  # type: ignore[arg-type]


def test_still_and_changing_clips_are_told_apart(tiny_backbone: WorldBackbone, tmp_path: Path) -> None:
    result = marked(tiny_backbone, tmp_path, {"still": 0.0, "little": 0.1, "much": 0.8})
    assert [sample.salient for sample in result.samples] == [False, False, True]
    assert result.salient == 1 and result.missed == 0 and result.thresholds == Thresholds(0.003, 0.95)
    much = result.samples[2]
    assert much.text_change == pytest.approx(math.sin(0.8), abs=2e-3)
    assert much.state_similarity == pytest.approx(math.cos(0.8), abs=2e-3)


def test_a_missing_clip_is_unknown_and_counted(tiny_backbone: WorldBackbone, tmp_path: Path) -> None:
    result = marked(tiny_backbone, tmp_path, {"much": 0.8, "missing": None})
    missing = result.samples[1]
    assert (missing.salient, missing.text_change, missing.state_similarity) == (None, None, None)
    assert result.missed == 1


def test_batches_change_nothing(
    tiny_backbone: WorldBackbone, tiny_samples: list[Sample], tiny_features: Extracted
) -> None:
    whole = mark_salience(tiny_samples, tiny_features, tiny_backbone)
    ticks: list[int] = []
    parts = mark_salience(tiny_samples, tiny_features, tiny_backbone, batch=7, tick=ticks.append)
    assert sum(ticks) == len(tiny_samples)
    for one, other in zip(whole.samples, parts.samples, strict=True):
        assert one.salient == other.salient
        assert one.text_change == pytest.approx(other.text_change, abs=1e-6)


def test_real_features_give_the_numbers_of_the_rule(
    tiny_backbone: WorldBackbone, tiny_samples: list[Sample], tiny_features: Extracted
) -> None:
    some = tiny_samples[:6]
    result = mark_salience(some, tiny_features, tiny_backbone)
    for sample in result.samples:
        vectors = tiny_features.store.read([tiny_features.keys[sample.id]]).frame_vectors
        assert vectors is not None
        text = tiny_backbone.encode_texts([sample.caption])[0]
        expected = by_loops(vectors[0].float().tolist(), text.float().tolist())
        assert (sample.text_change, sample.state_similarity) == pytest.approx(expected, abs=1e-5)
        assert replace(sample, text_change=None, state_similarity=None, salient=None) == replace(
            next(s for s in some if s.id == sample.id), salient=None
        )


def test_real_clips_held_still_are_not_salient(
    tiny_backbone: WorldBackbone, tiny_samples: list[Sample], tiny_features: Extracted
) -> None:
    keys = [tiny_features.keys[sample.id] for sample in tiny_samples]
    texts = tiny_backbone.encode_texts([sample.caption for sample in tiny_samples])
    moving, still = (tiny_features.store.read(keys, control).frame_vectors for control in ("none", "middle"))
    assert moving is not None and still is not None
    changes, similarities = salience_numbers(still, texts)
    assert changes.max() < 1e-9 and similarities.min() > 1 - 1e-9
    changes, similarities = salience_numbers(moving, texts)
    assert (changes > 0).float().mean() > 0.9 and (similarities < 1).float().mean() > 0.9


@pytest.mark.parametrize(("quantile", "kept"), [((0.5, 1.0), 2), ((1.0, 0.25), 1), ((1.0, 1.0), 4), ((0.0, 1.0), 0)])
def test_quantiles_keep_that_share(
    tiny_backbone: WorldBackbone, tmp_path: Path, quantile: tuple[float, float], kept: int
) -> None:
    result = marked(tiny_backbone, tmp_path, {"a": 0.1, "b": 0.3, "c": 0.5, "d": 0.7}, quantile=quantile)
    assert result.salient == kept
    # What was calibrated gives the same when it is given.
    again = marked(
        tiny_backbone, tmp_path / "again", {"a": 0.1, "b": 0.3, "c": 0.5, "d": 0.7}, thresholds=result.thresholds
    )
    assert again.samples == result.samples


def test_ties_at_the_border_are_not_kept() -> None:
    numbers = [(0.1, 0.9), (0.2, 0.5), (0.2, 0.5), (0.3, 0.1)]
    assert calibrated(numbers, (0.5, 0.5)) == Thresholds(0.2, 0.5)


def test_what_cannot_be_had_is_refused(tiny_backbone: WorldBackbone, tmp_path: Path) -> None:
    with pytest.raises(PaxionError, match="got thresholds and quantiles, expected one"):
        marked(tiny_backbone, tmp_path / "1", {"a": 0.1}, thresholds=Thresholds(), quantile=(0.5, 0.5))
    with pytest.raises(PaxionError, match=r"got quantiles 2 and 0\.5, expected shares"):
        marked(tiny_backbone, tmp_path / "2", {"a": 0.1}, quantile=(2.0, 0.5))
    with pytest.raises(PaxionError, match="got no clip with features"):
        mark_salience(
            [], Extracted(FeatureStore(tmp_path, spec_of(tiny_backbone)), {}, {}), tiny_backbone, quantile=(1, 1)
        )


def test_a_backbone_without_frame_vectors_is_refused(tiny_backbone: WorldBackbone, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, spec_of(tiny_backbone))
    store.append(["a"], Features(torch.ones(1, 16), torch.ones(1, tiny_backbone.frames, 2, 4)), {})
    sample = Sample("a", "a.mp4", "a red ball moves left", "train", "a")
    with pytest.raises(PaxionError, match="without a vector for each frame, expected a per-frame one"):
        mark_salience([sample], Extracted(store, {"a": "a"}, {}), tiny_backbone)


def test_numbers_that_are_not_finite_are_refused(tiny_backbone: WorldBackbone, tmp_path: Path) -> None:
    samples, extracted = written(tiny_backbone, tmp_path, {"a": turning(0.5, tiny_backbone)})
    # The store refuses such features when it writes them; a damaged file may hold them all the same.
    [path] = extracted.store.folder.glob("*.vectors.npy")
    content = bytearray(path.read_bytes())
    content[-2:] = b"\x00\x7e"  # float16 NaN
    path.write_bytes(bytes(content))
    extracted = replace(extracted, store=FeatureStore(tmp_path, spec_of(tiny_backbone)))
    with pytest.raises(PaxionError, match="got similarities of a that are not finite"):
        mark_salience(samples, extracted, tiny_backbone)
