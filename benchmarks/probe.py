"""Three probes of a per-frame backbone: each clip encoded once, against clip by clip as published.

    python benchmarks/probe.py [--clips 1000] [--limit]

Clips of the world in H.264, of which 8 frames are taken; a CLIP of Hugging Face with random weights, smaller than the
published one (6 layers of width 384), so that the plain way ends in minutes; 7 x 7 patches a frame, as B/32 has.

plain  every probe by itself, one clip after the other: decode, encode the clip, for the reversal probe its reversal
       too, and encode the texts of the question
ours   features into a new store; the reversal from the features of the frames; every text once; then the three probes.
       By default a process decodes beside the encoding and 32 clips are encoded at a time; where encoding on few cores
       takes much longer than decoding, `--workers 0 --batch 4` of `paxion probe` is faster. Both are shown.

Both must give the same answers, and the same similarities to 1e-4. Seconds are of the wall clock, in one run, the plain
way first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paxion.backbones.base import BackboneEncoder, normalise
from paxion.backbones.load import load_backbone
from paxion.evaluation.evaluate import evaluate
from paxion.features.extract import extract
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.records import PROBES, Sample
from paxion.video.decode import read_clip
from paxion.video.transform import prepare
from paxion.world.generate import WorldPlan, write_world

PROMISED = 3.5
OURS: dict[str, dict[str, Any]] = {"ours": {}, "ours, --workers 0 --batch 4": {"workers": 0, "batch": 4}}


def main() -> None:
    """Write clips and weights, go both ways, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--limit", action="store_true", help="fail where the promise is not kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        manifest = write_world(folder / "world", WorldPlan(0, 0, given.clips * 3 // 10 + 40, 0, 112))
        asked = [s for s in read_manifest(manifest) if s.antonym and s.replaced and s.reversible is not False]
        write_manifest(manifest, asked[: given.clips])
        samples = read_manifest(manifest)
        backbone = load_backbone(f"hf:{clip_folder(folder / 'clip')},frames=8", "cpu")
        counted = count(backbone)
        began = time.perf_counter()
        expected = plain(backbone, manifest, samples)
        seconds = {"plain": time.perf_counter() - began}
        calls = {"plain": dict(counted)}
        worst = 0.0
        for way, options in OURS.items():
            counted.update(clips=0, texts=0)
            began = time.perf_counter()
            extracted = extract(backbone, manifest, samples, folder / way, **options)
            encoder = BackboneEncoder("clip", backbone)
            found = evaluate(encoder, extracted.store, extracted.keys, samples, data="world", tasks=PROBES)
            seconds[way] = time.perf_counter() - began
            calls[way] = dict(counted)
            # One more clip is grey: what the control `blind` shows.
            assert calls[way]["clips"] in (len(samples), len(samples) + 1), calls
            rows = {(row.task, row.id): (row.right, row.wrong) for row in found.rows}
            assert rows.keys() == expected.keys()
            worst = max(worst, *(abs(a - b) for key in rows for a, b in zip(rows[key], expected[key], strict=True)))
    assert calls["plain"]["clips"] == 4 * len(samples), calls
    assert worst < 1e-4, worst
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {len(samples)} clips, largest difference {worst:.1e}")
    print("| | seconds | clips encoded | texts encoded | faster |\n|---|---:|---:|---:|---:|")
    for way in seconds:
        faster = seconds["plain"] / seconds[way]
        print(f"| {way} | {seconds[way]:.1f} | {calls[way]['clips']} | {calls[way]['texts']} | {faster:.1f} x |")
    faster = seconds["plain"] / min(seconds[way] for way in OURS)
    if given.limit and faster < PROMISED:
        sys.exit(f"promised are {PROMISED} x")


def plain(backbone: Any, manifest: Path, samples: list[Sample]) -> dict[tuple[str, str], tuple[float, float]]:
    """The two similarities of every question, asked one by one."""
    found = {}
    with torch.inference_mode():
        for task in PROBES:
            for sample in samples:
                clip = read_clip(
                    video_path(manifest, sample), "midpoint", backbone.frames, sample.start, sample.end
                ).frames
                if task == "reversal":
                    (text,) = backbone.encode_texts([sample.caption])
                    scores = [_vector(backbone, shown) @ normalise(text) for shown in (clip, clip.flip(0))]
                else:
                    foil = sample.antonym if task == "antonym" else sample.replaced
                    vector = _vector(backbone, clip)
                    texts = [backbone.encode_texts([text])[0] for text in (sample.caption, foil)]
                    scores = [vector @ normalise(text) for text in texts]
                found[task, sample.id] = float(scores[0]), float(scores[1])
    return found


def _vector(backbone: Any, clip: Tensor) -> Tensor:
    return normalise(backbone.encode_video(prepare(clip, backbone.transform)[None]).pooled[0])


def count(backbone: Any) -> dict[str, int]:
    """Counts of the clips and texts that a backbone encodes from now on."""
    counted = {"clips": 0, "texts": 0}
    video, texts = backbone.encode_video, backbone.encode_texts

    def encode_video(clips: Tensor, *rest: Any, **options: Any) -> Any:
        counted["clips"] += len(clips)
        return video(clips, *rest, **options)

    def encode_texts(given: Any) -> Any:
        counted["texts"] += len(given)
        return texts(given)

    backbone.encode_video, backbone.encode_texts = encode_video, encode_texts
    return counted


def clip_folder(folder: Path) -> Path:
    """A CLIP with random weights and a vocabulary of letters."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizerFast

    torch.manual_seed(0)
    size = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 6}
    letters = [end for letter in "abcdefghijklmnopqrstuvwxyz" for end in (letter, f"{letter}</w>")]
    vocabulary = {name: place for place, name in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    text = {**size, "vocab_size": len(vocabulary), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = CLIPConfig(
        text_config=text, vision_config={**size, "image_size": 112, "patch_size": 16}, projection_dim=256
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 112}, crop_size={"height": 112, "width": 112}).save_pretrained(folder)
    CLIPTokenizerFast(vocab=vocabulary, merges=[], unk_token="<|endoftext|>").save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
