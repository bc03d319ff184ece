"""One epoch of patcher training at the scale of Something-Something v2, and its roofline, measured in the same run.

    python benchmarks/epoch.py --device cuda --precision bf16                       (162,475 clips, B/32: 8 x 50 x 768)
    python benchmarks/epoch.py --device cuda --precision bf16 --extraction          (InternVideo L/14 itself)
    python benchmarks/epoch.py --size small --clips 4000 --batch 256                (a minute on a CPU)

The epoch is `paxion.patching.train.train` as users run it: VTC + VAC + ATM on a patcher of the paper's sizes, reading,
noting the loss and writing checkpoints included. --source store reads a store on disk in float16 (in the page cache,
as it has just been written), --source memory takes tokens that lie on the device. Either holds --distinct random clips,
which the epoch goes through again and again: of 162,475 clips the tokens would take 100 GB.

The roofline is max(FLOPs / rate, bytes / bandwidth): both counted here, and both rates measured on the device. For R
queries of all heads (heads x Q), N tokens of width C, D joint width, I = heads x width of a head, B clips in a batch:

multiply-adds a clip, for it and its reversal, forward and backward
    8 R N C              a code per token (dropout): forward one product of queries and tokens for both directions and
                         two mixtures; backward two products, one mixture for both, two for the code's gradient
    2 · 3 · Q (C I + I D + 4 D²)    values, output and feed-forward of each direction, thrice: forward, and backward
                         to inputs and to weights
    3 · 3 B Q D          late interaction with B captions and B antonyms, and of a caption with B clips, thrice
bytes a clip, when every product is one kernel with what is done to single numbers merged into it
    4 N C b              tokens of b bytes, read once by each of: products, mixtures, and both backward
    8 · 2 R N · 4        scores: written, kept, read by the mixtures; read backward, two gradients written and read, one
                         of them twice
from the host, with --source store
    N C · 2              over the link, whose speed is measured too; it runs beside the rest

FLOPs of InternVideo a clip of T frames of n = 257 tokens: T L (24 n C² + 4 n² C) for its L blocks, 2 T (n - 1) · 3 p² C
for patches of side p, and for each of its 4 extractors T n (4 C² + 4 C) + 54 T (n - 1) C. Extraction is given prepared
pixels on the device: decoding is not in it.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from backbones import filled, no_texts
from paxion.backbones.base import Features, normalise
from paxion.backbones.clip_text import TextConfig
from paxion.backbones.internvideo import InternVideo, InternVideoConfig
from paxion.backbones.load import DTYPES
from paxion.features.encoding import encode
from paxion.features.source import FeatureSource
from paxion.features.spec import StoreSpec, spec_of
from paxion.features.store import FeatureStore
from paxion.patching.data import TrainingData
from paxion.patching.recipes import Recipe
from paxion.patching.train import train
from paxion.video.transform import Transform

CLIPS = 162_475
"""What the Something-Something training set has after filtering."""
WARM_UP = 5
"""Steps before which a step's time is not counted as steady."""


@dataclass(frozen=True)
class Sizes:
    """A per-frame backbone as training sees it; nothing runs it."""

    name: str
    dim: int
    token_width: int
    tokens_per_frame: int
    frames: int = 8
    revision: str = "random"
    transform: Transform = field(default_factory=lambda: Transform(224))
    per_frame: bool = True

    @property
    def places(self) -> int:
        """N"""
        return self.frames * self.tokens_per_frame


SIZES = {"B/32": Sizes("b32", 512, 768, 50), "L/14": Sizes("l14", 768, 1024, 257), "small": Sizes("small", 64, 96, 10)}
TOWERS = {
    "large": InternVideoConfig(),
    "small": InternVideoConfig(TextConfig(32, 1, 1, 64, 32), 64, 3, 2, 14, 56, 2),
}


class Resident:
    """A source whose tokens lie on the device."""

    reorderable = False

    def __init__(self, spec: StoreSpec, features: Features) -> None:
        self.spec, self.features = spec, features

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        rows = torch.tensor([int(key) for key in keys], device=self.features.pooled.device)
        assert self.features.tokens is not None
        return Features(self.features.pooled[rows], self.features.tokens[rows])

    def prefetch(self, keys: Sequence[str]) -> None:
        pass


def source(given: argparse.Namespace, sizes: Sizes, folder: Path) -> FeatureSource:
    shape = (sizes.frames, sizes.tokens_per_frame, sizes.token_width)
    if given.source == "memory":
        kind = torch.float16 if given.device == "cuda" else torch.float32
        tokens = torch.empty(given.distinct, *shape, dtype=kind, device=given.device)
        for row in range(0, given.distinct, 512):
            tokens[row : row + 512].normal_()
        return Resident(spec_of(sizes), Features(torch.zeros(given.distinct, sizes.dim, device=given.device), tokens))
    store = FeatureStore(folder / "store", spec_of(sizes))
    for row in range(0, given.distinct, 128):
        keys = [str(each) for each in range(row, min(row + 128, given.distinct))]
        store.append(keys, Features(torch.zeros(len(keys), sizes.dim), torch.randn(len(keys), *shape)), {})
    return store


def training(given: argparse.Namespace, sizes: Sizes, features: FeatureSource) -> TrainingData:
    texts = torch.cat([torch.zeros(1, sizes.dim), normalise(torch.randn(2 * given.clips, sizes.dim))])
    captions, antonyms = torch.arange(1, len(texts)).chunk(2)
    yes = torch.ones(given.clips, dtype=torch.bool)
    names = [str(row % given.distinct) for row in range(given.clips)]
    none = torch.zeros(given.clips, dtype=torch.long)
    templates = torch.zeros(0, sizes.dim)
    return TrainingData(features, names, names, texts, captions, antonyms, yes, templates, [[]], none, digest="")


def epoch(given: argparse.Namespace) -> None:
    sizes = SIZES[given.size]
    recipe = Recipe(
        vac=True, atm=0.4, latents=16, heads=8, dim_head=64, epochs=1, batch=given.batch, rate=1e-4,
        precision=given.precision,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        data = training(given, sizes, source(given, sizes, Path(folder)))
        times: list[float] = []
        train(recipe, sizes, data, Path(folder) / "run", device=given.device,
              advance=lambda done, steps: times.append(time.perf_counter()))  # fmt: skip
    steps = [after - before for before, after in pairwise(times)]
    whole, clips = sum(steps), len(steps) * given.batch
    steady = statistics.median(steps[WARM_UP:] or steps) * len(steps)
    kind = DTYPES[given.precision]
    speeds = [matmul_rate(given.device, kind), bandwidth(given.device)]
    needs = [flops(recipe, sizes) * clips / speeds[0], moved(recipe, sizes, kind) * clips / speeds[1]]
    print(f"measured: {speeds[0] / 1e12:.2f} TFLOP/s in {given.precision}, {speeds[1] / 1e9:.0f} GB/s of memory")
    print(f"epoch of {clips:,} clips ({len(steps)} steps), {given.source}: {whole:.1f} s ({steady:.1f} s when steady)")
    print(f"counted: {flops(recipe, sizes) * clips / 1e12:.1f} TFLOP = {needs[0]:.2f} s, "
          f"{moved(recipe, sizes, kind) * clips / 1e9:.0f} GB = {needs[1]:.2f} s")  # fmt: skip
    roof = max(needs)
    if given.device == "cuda" and given.source == "store":
        speed = link()
        crossing = 2 * sizes.places * sizes.token_width * clips / speed
        print(f"from the host: {crossing:.2f} s over a link of {speed / 1e9:.0f} GB/s")
        roof = max(roof, crossing)
    print(f"roofline {roof:.2f} s: {roof / whole:.0%} of it is reached, {roof / steady:.0%} when steady")


def flops(recipe: Recipe, sizes: Sizes) -> float:
    """A clip and its reversal, forward and backward; see the module docstring."""
    queries, inner, latents = recipe.heads * recipe.latents, recipe.heads * recipe.dim_head, recipe.latents
    width, dim = sizes.token_width, sizes.dim
    attention = 8 * queries * sizes.places * width
    head = 2 * 3 * latents * (width * inner + inner * dim + 4 * dim**2)
    contrast = 3 * 3 * recipe.batch * latents * dim
    return 2.0 * (attention + head + contrast)


def moved(recipe: Recipe, sizes: Sizes, kind: torch.dtype) -> float:
    """Bytes to and from the device's memory for the same."""
    tokens = 4 * sizes.places * sizes.token_width * kind.itemsize
    return tokens + 8 * 2 * recipe.heads * recipe.latents * sizes.places * 4


def extraction(given: argparse.Namespace) -> None:
    config = TOWERS["small" if given.size == "small" else "large"]
    kind = DTYPES[given.precision]
    backbone = filled(InternVideo(config, no_texts), given.device, kind)
    backbone.transform = Transform(config.size)
    if given.compile:
        backbone.encode_video = torch.compile(backbone.encode_video)
    pixels = torch.randint(0, 256, (given.batch, 8, 3, config.size, config.size), dtype=torch.uint8)
    pixels = pixels.to(given.device)
    seconds = timed(lambda: encode(backbone, pixels, given.device), given.device, 10)
    rate = matmul_rate(given.device, kind)
    work = given.batch * tower_flops(config)
    print(f"InternVideo, {config.layers} blocks of {config.width}, {given.precision}, batch {given.batch}")
    print(f"{given.batch / seconds:.1f} clips/s of {work / given.batch / 1e9:.1f} GFLOP each")
    print(f"{work / seconds / 1e12:.2f} of {rate / 1e12:.2f} TFLOP/s measured: {work / seconds / rate:.0%}")


def tower_flops(config: InternVideoConfig, frames: int = 8) -> float:
    """A clip through the video tower; see the module docstring."""
    places, width = (config.size // config.patch) ** 2, config.width
    tokens = places + 1
    blocks = frames * config.layers * (24 * tokens * width**2 + 4 * tokens**2 * width)
    patches = 2 * frames * places * 3 * config.patch**2 * width
    extractor = frames * tokens * (4 * width**2 + 4 * width) + 54 * frames * places * width
    return float(blocks + patches + config.extractors * extractor)


def timed(work: Callable[[], object], device: str, repeats: int) -> float:
    """Median seconds."""
    seconds = []
    for number in range(repeats + 3):
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        if number >= 3:
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def matmul_rate(device: str, kind: torch.dtype) -> float:
    """FLOP a second of one large product, a typical size for the device."""
    side = 8192 if device == "cuda" else 1024
    one, two = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    return 2 * side**3 / timed(lambda: one @ two, device, 20)


def bandwidth(device: str) -> float:
    """Bytes a second read and written by a copy that is too large for any cache."""
    size = 2**31 if device == "cuda" else 2**28
    one, two = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * size / timed(lambda: two.copy_(one), device, 10)


def link() -> float:
    """Bytes a second from page-locked memory of the host to the GPU."""
    here = torch.zeros(2**30, dtype=torch.uint8, pin_memory=True)
    there: Tensor = torch.zeros(2**30, dtype=torch.uint8, device="cuda")
    return 2**30 / timed(lambda: there.copy_(here, non_blocking=True), "cuda", 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="B/32")
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--distinct", type=int, default=16_384, help="clips that the source holds")
    parser.add_argument("--source", choices=("store", "memory"), default="store")
    parser.add_argument("--batch", type=int, help="default: 1024, and 64 for --extraction")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path, help="where the store is written; default: a temporary folder")
    parser.add_argument("--extraction", action="store_true", help="the backbone instead of an epoch")
    parser.add_argument("--compile", action="store_true", help="torch.compile the backbone")
    given = parser.parse_args()
    given.distinct = min(given.distinct, given.clips)
    given.batch = given.batch or (64 if given.extraction else 1024)
    where = torch.cuda.get_device_name() if given.device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{where}, {platform.machine()}, torch {torch.__version__}, sizes of {given.size}")
    (extraction if given.extraction else epoch)(given)


if __name__ == "__main__":
    main()
