"""What retrieval in a large gallery takes: memory and time, beside the plain way that holds every similarity.

    python benchmarks/gallery.py [--clips 100000] [--captions 20000] [--vectors 16] [--dim 256] [--actions 174]
                                 [--plain 4000] [--threads 2]

The clips are made up as they are read: `--vectors` random unit vectors each, one of them a little nearer to the clip's
caption and action. Each task is evaluated in a process of its own, which prints its seconds and the most anonymous
memory (RssAnon) that it held; pages of the temporary file that the vectors lie in are not among it, since the system
may drop them. Then the same with `--plain` clips, both ways: the plain way makes the whole matrix and sorts it, and
R@1, 5 and 10 must be equal.
"""

from __future__ import annotations

import argparse
import multiprocessing
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from paxion.backbones.base import Features, normalise
from paxion.evaluation.evaluate import evaluate
from paxion.features.spec import StoreSpec
from paxion.records import Sample
from paxion.video.transform import Transform

TASKS = ("text_to_video", "video_to_text", "video_to_action")


@dataclass(frozen=True)
class Sizes:
    clips: int
    captions: int
    vectors: int
    dim: int
    actions: int


def drawn(name: str, rows: int, dim: int) -> Tensor:
    seed = 3 * int(name[1:]) + "vct".index(name[0])
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class MadeUp:
    """A source and an encoder at once: a clip's key is its number."""

    sizes: Sizes
    name: str = "made-up"
    reorderable: bool = False

    @property
    def spec(self) -> StoreSpec:
        return StoreSpec("made-up", "1", "midpoint", 8, Transform(224))

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        return Features(torch.tensor([[int(key)] for key in keys]))

    def prefetch(self, keys: Sequence[str]) -> None: ...

    def encode_clips(self, features: Features) -> Tensor:
        found = []
        for number in features.pooled[:, 0].tolist():
            clip = drawn(f"v{number}", self.sizes.vectors, self.sizes.dim)
            said = (f"c{number % self.sizes.captions}", f"t{number % self.sizes.actions}")
            clip[0] += 0.35 * sum(drawn(text, 1, self.sizes.dim)[0] for text in said)
            found.append(clip)
        return normalise(torch.stack(found))

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return normalise(torch.cat([drawn(text, 1, self.sizes.dim) for text in texts]))


def samples_of(sizes: Sizes) -> list[Sample]:
    return [
        Sample(str(i), "v", f"c{i % sizes.captions}", "test", str(i), template=f"t{i % sizes.actions}")
        for i in range(sizes.clips)
    ]


def anonymous() -> float:
    """Megabytes of anonymous memory of this process."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) / 1024


def measured(task: str, sizes: Sizes, plain: bool, threads: int, answer) -> None:
    torch.set_num_threads(threads)
    made, samples = MadeUp(sizes), samples_of(sizes)
    before, peak, done = anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    keys = {sample.id: sample.id for sample in samples}
    values = whole(task, made, samples) if plain else tiled(task, made, samples, keys)
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    answer.send((seconds, before, max(peak[0], anonymous()), values))


def tiled(task: str, made: MadeUp, samples: list[Sample], keys: dict[str, str]) -> dict[str, float]:
    found = evaluate(made, made, keys, samples, data="made-up", tasks=(task,))
    return {score.metric: score.value for score in found.scores}


def whole(task: str, made: MadeUp, samples: list[Sample]) -> dict[str, float]:
    """R@k from the whole matrix, sorted."""
    said = [sample.template if task == "video_to_action" else sample.caption for sample in samples]
    names = list(dict.fromkeys(said))
    label = torch.tensor([int(name[1:]) for name in said])
    index = torch.tensor([int(name[1:]) for name in names])
    video = torch.cat([made.encode_clips(made.read([sample.id for sample in samples]))])
    scores = torch.einsum("bqd,kd->bqk", video, made.encode_texts(names)).amax(1)
    right = label[:, None] == index
    if task == "text_to_video":
        scores, right = scores.T, right.T
    place = right.gather(1, scores.argsort(1, descending=True)).int().argmax(1)
    return {f"R@{k}": (place < k).double().mean().item() for k in (1, 5, 10)}


def ran(task: str, sizes: Sizes, plain: bool, threads: int) -> tuple[float, float, float, dict[str, float]]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=measured, args=(task, sizes, plain, threads, there))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in vars(Sizes(100_000, 20_000, 16, 256, 174)).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--plain", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=2)
    given = vars(parser.parse_args())
    plain, threads = given.pop("plain"), given.pop("threads")
    large = Sizes(**given)
    small = Sizes(**{**given, "clips": plain, "captions": min(plain, large.captions)})
    print(f"{'':34}{'seconds':>9}{'MB before':>11}{'MB at most':>12}   recall", flush=True)
    for task in TASKS:
        found = {}
        for way, sizes in (("tiles", large), ("tiles", small), ("whole matrix", small)):
            seconds, before, most, values = ran(task, sizes, way != "tiles", threads)
            found[way] = values
            recall = " ".join(f"{k} {value:.4f}" for k, value in values.items())
            label = f"{task:16}{sizes.clips:>7} {way}"
            print(f"{label:34}{seconds:9.1f}{before:11.0f}{most:12.0f}   {recall}", flush=True)
        for metric, value in found["whole matrix"].items():
            # Similarities within 1e-5 are ties, worth a share; a sort gives all or nothing.
            assert abs(found["tiles"][metric] - value) < 5e-4, (task, metric, found)
    print("recalls of tiles and of the whole matrix are equal")


if __name__ == "__main__":
    main()
