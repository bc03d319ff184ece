"""One training step of a patcher: as published, on the fly and from the store, in CPU seconds on one thread.

    python benchmarks/train_step.py [--only B/32] [--rounds 5] [--our-backbone]

A step is VTC + VAC + ATM (the paper's weights), backward and AdamW, for a patcher of the paper's sizes (16 latents, 8
heads of 64, dropout on the temporal code), 8 frames of 224 x 224 pixels. CLIP-ViP B/32 in batches of 4; InternVideo
L/14, whose tokens are the frames' own, in batches of 2. Backbones have the published sizes and random weights.

published    what the published code does in every step: the frozen backbone on the clips and once more on the reversed
             clips, the text tower on captions and antonyms, and a patcher that computes every key and value and reads
             each direction by itself. The backbone is the plain one of benchmarks/backbones.py, attention as published;
             with --our-backbone it is ours, so that nothing of the ratio is owed to a faster backbone
on the fly   no store: our backbone in every step, once where the reversed clip's tokens are the flipped ones, texts
             encoded before, and our patcher
store        a store on disk in float16: random rows of it, texts encoded before, and our patcher
store, bf16  the same, the patcher under autocast to bfloat16

All that use a backbone are given decoded, prepared pixels: decoding is not counted, for nobody. The store's files are
in the page cache. The ways take turns; shown are medians, and the median of the ratios within each turn.

A whole run of E epochs as published is set against extraction (backbone passes, texts and writing the store, each once;
measured in the same turns) and E epochs from the store.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backbones import filled, plain_clip_vip, plain_internvideo
from paxion.backbones.base import Features, normalise, text_vectors
from paxion.backbones.clip_vip import ClipVip, ClipVipConfig
from paxion.backbones.internvideo import InternVideo, InternVideoConfig
from paxion.backbones.tokenizers import clip_tokenizer
from paxion.features.store import FeatureStore, spec_of, variant
from paxion.patching.data import TrainingData
from paxion.patching.model import PatchedModel
from paxion.patching.objectives import action_temporal_matching, contrastive
from paxion.patching.patcher import PatcherConfig
from paxion.patching.plain import plain_patcher
from paxion.patching.recipes import Recipe
from paxion.patching.step import losses

RECIPE = Recipe(vac=True, atm=0.4, latents=16, heads=8, dim_head=64, rate=1e-5)
EPOCHS = (1, 5, 20)
VERBS = ("pushing", "pulling", "lifting", "dropping", "opening", "closing", "covering", "turning")
THINGS = ("a book", "the red cup on the table", "a small box with a lid", "the drawer of the kitchen cabinet")
CAPTIONS = [f"{verb} {thing} from left to right" for thing in THINGS for verb in VERBS]
ANTONYMS = [f"{verb} {thing} from right to left" for thing in THINGS for verb in VERBS[1:] + VERBS[:1]]


@dataclass(frozen=True)
class Case:
    """A backbone, and how the published code used it."""

    make: Callable[[], nn.Module]
    plain: Callable[[nn.Module, Tensor], Features]
    batch: int
    context: int
    """Length that texts are padded to; 0: that of the longest."""
    rows: int
    """Clips in the store."""


CASES = {
    "B/32": Case(lambda: ClipVip(ClipVipConfig(), clip_tokenizer()), plain_clip_vip, 4, 0, 256),
    "L/14": Case(
        lambda: InternVideo(InternVideoConfig(), clip_tokenizer(openai=True)), plain_internvideo, 2, 77, 96
    ),
}  # fmt: skip


class Given:
    """A source that encodes clips whose pixels are at hand: what features/live.py does once they are decoded."""

    reorderable = False

    def __init__(self, backbone: nn.Module, video: Tensor) -> None:
        self.backbone, self.video, self.spec = backbone, video, spec_of(backbone, dtype="float32")

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        video = self.video[: len(keys)]
        with torch.no_grad():
            return self.backbone.encode_video(video.flip(1) if control == "reversed" else video)

    def prefetch(self, keys: Sequence[str]) -> None:
        pass


class Bench:
    """The ways to make a step, each with a patcher and an optimiser of its own."""

    def __init__(self, case: Case, folder: Path, our_backbone: bool) -> None:
        self.case, self.our_backbone = case, our_backbone
        self.backbone = filled(case.make(), "cpu", torch.float32)
        self.video = torch.randn(case.batch, self.backbone.frames, 3, 224, 224)
        self.store = FeatureStore(folder / "store", spec_of(self.backbone))
        self.scratch = FeatureStore(folder / "scratch", spec_of(self.backbone))
        self.written = 0
        keys = [f"clip{row}" for row in range(case.rows)]
        for begin in range(0, case.rows, 32):
            self.write(self.store, keys[begin : begin + 32], self.random_features)
        vectors = text_vectors(self.backbone, [*CAPTIONS, *ANTONYMS])
        chosen = [row % len(CAPTIONS) for row in range(case.rows)]
        self.from_store = TrainingData(
            source=self.store, ids=keys, keys=keys,
            texts=torch.stack([torch.zeros(self.backbone.dim), *(vectors[text] for text in (*CAPTIONS, *ANTONYMS))]),
            captions=torch.tensor(chosen) + 1, antonyms=torch.tensor(chosen) + 1 + len(CAPTIONS),
            salient=torch.ones(case.rows, dtype=torch.bool),
            templates=torch.zeros(0, self.backbone.dim), said=[[]],
            actions=torch.zeros(case.rows, dtype=torch.long),
            digest="",
        )  # fmt: skip
        self.on_the_fly = TrainingData(**{**vars(self.from_store), "source": Given(self.backbone, self.video)})
        self.models = {way: self.model(way) for way in ("published", "on the fly", "store", "store, bf16")}

    def model(self, way: str) -> tuple[PatchedModel, torch.optim.Optimizer]:
        torch.manual_seed(0)
        one = self.backbone
        config = RECIPE.patcher_config(one.dim, one.token_width, one.frames, one.tokens_per_frame)
        assert isinstance(config, PatcherConfig) and config.temporal_dropout == 0.1
        model = PatchedModel(config)
        options = {"lr": RECIPE.rate, "weight_decay": RECIPE.weight_decay, "fused": way != "published"}
        return model, torch.optim.AdamW(model.parameters(), **options)

    def random_features(self, clips: int) -> Features:
        one = self.backbone
        tokens = torch.randn(clips, one.frames, one.tokens_per_frame, one.token_width)
        return Features(normalise(torch.randn(clips, one.dim)), tokens)

    def write(self, store: FeatureStore, keys: list[str], features: Callable[[int], Features]) -> None:
        """Write clips and, where it takes a pass of its own, what is needed of their reversals."""
        store.append(keys, features(len(keys)), {})
        if not self.backbone.per_frame:
            store.append([variant(key, "reversed") for key in keys], features(len(keys)), {})

    def rows(self) -> Tensor:
        return torch.randperm(self.case.rows)[: self.case.batch]

    def published(self) -> None:
        model, optimiser = self.models["published"]
        rows = [int(row) % len(CAPTIONS) for row in self.rows()]
        with torch.no_grad():
            encode = self.backbone.encode_video if self.our_backbone else lambda v: self.case.plain(self.backbone, v)
            clips, backwards = encode(self.video).tokens, encode(self.video.flip(1)).tokens
            text, antonym = (self.texts([texts[row] for row in rows]) for texts in (CAPTIONS, ANTONYMS))
        forward, reverse = (normalise(plain_patcher(model.patcher, tokens)) for tokens in (clips, backwards))
        loss = contrastive(forward, text, model.temperature, antonym=antonym)
        loss = loss + RECIPE.atm * action_temporal_matching(forward, reverse, text, model.temperature)
        descend(loss, optimiser)

    def texts(self, texts: list[str]) -> Tensor:
        ids = self.backbone.tokenize(texts)
        return normalise(self.backbone.text(F.pad(ids, (0, max(0, self.case.context - ids.shape[1])))))

    def ours(self, way: str, data: TrainingData, precision: str = "float32") -> None:
        model, optimiser = self.models[way]
        rows, after = self.rows(), self.rows()
        data.source.prefetch([data.keys[row] for row in after.tolist()])
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            parts = losses(model, RECIPE, data, rows)
        descend(torch.stack(list(parts.values())).sum(), optimiser)

    def extraction(self) -> None:
        """What has to be done once for a batch of clips before it can be trained on from the store."""
        self.written += 1
        keys = [f"clip{row} of {self.written}" for row in range(self.case.batch)]
        turns = iter((self.video, self.video.flip(1)))
        with torch.no_grad():
            self.write(self.scratch, keys, lambda _: self.backbone.encode_video(next(turns)))
        text_vectors(self.backbone, [*CAPTIONS[: self.case.batch], *ANTONYMS[: self.case.batch]])

    def ways(self) -> dict[str, Callable[[], None]]:
        return {
            "published": self.published,
            "on the fly": lambda: self.ours("on the fly", self.on_the_fly),
            "store": lambda: self.ours("store", self.from_store),
            "store, bf16": lambda: self.ours("store, bf16", self.from_store, "bf16"),
            "extraction": self.extraction,
        }


def descend(loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def cpu_seconds(way: Callable[[], None], repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        way()
    return (time.process_time() - began) / repeats


def show(name: str, bench: Bench, rounds: int) -> None:
    ways = bench.ways()
    repeats = {way: 5 if way.startswith("store") else 1 for way in ways}
    for way, repeat in repeats.items():
        if repeat > 1:
            ways[way]()
    turns = [{way: cpu_seconds(step, repeats[way]) for way, step in ways.items()} for _ in range(rounds)]
    print(f"\n{name}, batch {bench.case.batch}, median of {rounds} turns")
    print(f"{'':14}{'CPU s a step':>13}{'faster':>10}")
    for way in ways:
        seconds = statistics.median(turn[way] for turn in turns)
        ratio = statistics.median(turn["published"] / turn[way] for turn in turns)
        print(f"{way:14}{seconds:13.4f}" + (f"{ratio:9.1f}x" if way != "extraction" else "    once a clip"))
    for way in ("store", "store, bf16"):
        whole = [
            statistics.median(e * turn["published"] / (turn["extraction"] + e * turn[way]) for turn in turns)
            for e in EPOCHS
        ]
        told = ", ".join(f"{ratio:.1f}x in {e} epoch{'s'[: e > 1]}" for e, ratio in zip(EPOCHS, whole, strict=True))
        print(f"whole run with extraction, {way}: {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--our-backbone", action="store_true", help="the published way with our backbone's code")
    parser.add_argument("--folder", type=Path, help="where the stores are written; default: a temporary folder")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()}, one thread, torch {torch.__version__}")
    for name in given.only:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            show(name, Bench(CASES[name], Path(folder), given.our_backbone), given.rounds)


if __name__ == "__main__":
    main()
