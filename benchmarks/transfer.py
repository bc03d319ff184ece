"""Does what is learned in one domain hold in another, up to real robot clips? Writes the tables of docs/transfer.md.

    paxion world make --out runs/transfer/world --train 300 --test 90 --size 224
    paxion world metaworld --out runs/transfer/metaworld
    python benchmarks/transfer.py DROID --domains drawn=runs/transfer/world/manifest.jsonl \
        metaworld=runs/transfer/metaworld/manifest.jsonl

DROID: a folder of clips with index.csv (columns file, caption, scene). `paxion build` makes its foils. It is tested in
folds of whole scenes: a model that was trained on DROID is tested on the fold that it has not seen, and all others on
the same folds, so that every gallery is of one fold. Frames and texts are those of real_encoders.py, encoded once; each
training set has its own map from frames to texts (align_encoders.py). A training that is there is read, not repeated.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor, nn

from align_encoders import fit_map
from paxion.backbones.base import BackboneEncoder, Encoder, Features, mean_of_frames, text_vectors
from paxion.backbones.load import load_backbone
from paxion.evaluation.evaluate import evaluate
from paxion.features.extract import extract
from paxion.features.store import FeatureStore, StoreSpec
from paxion.files import make_folder, write_text
from paxion.manifest import read_manifest
from paxion.patching.data import training_data
from paxion.patching.model import PatchedEncoder
from paxion.patching.recipes import RECIPES
from paxion.patching.train import train
from paxion.records import PROBES, PaxionError, Row, Sample
from real_encoders import TEXT, RealEncoders, unmapped, untrained_map
from transfer_tables import tables

FRAMES = f"python:{Path(__file__).with_name('real_encoders.py')}:unmapped,dtype=bf16,tokens=pool2"
CONTROLS = ("none", "shuffled", "first", "middle", "last", "blind")
"""Of models of seed 0; of other seeds, none."""
OPPOSITE = "antonym said"
DROID = "droid"
TASKS = (*PROBES, "text_to_video", "video_to_text")
Tests = dict[str, list[list[Sample]]]
"""By name: parts that are tested one by one (the folds of DROID; one part elsewhere)."""


@dataclass(frozen=True)
class Study:
    droid: Annotated[Path, tyro.conf.Positional]
    domains: tuple[str, ...] = ()
    """NAME=MANIFEST: trained on the train split, tested on each source of the test split."""
    recipes: tuple[str, ...] = ("patcher-vtc", "patcher-dvdm", "patcher", "patcher-last-frame")
    seeds: tuple[int, ...] = (0, 1)
    """Of the trainings; the folds and the clips are the same for all."""
    steps: int = 60
    """Of every training, about: small sets are seen more often."""
    folds: int = 5
    most: tuple[int, int] = (240, 120)
    """Clips of a domain that are trained on, and of each source that are tested, drawn by seed 0."""
    out: Path = Path("runs/transfer")
    store: Path = Path("runs/transfer/features")


@dataclass(frozen=True)
class Domain:
    """Clips to train on and clips to test on, with their features."""

    train: list[Sample]
    tests: Tests
    store: FeatureStore
    keys: dict[str, str]


@dataclass(frozen=True)
class Training:
    """One training set and what its models are tested on."""

    folder: str
    name: str
    clips: list[Sample]
    home: Domain
    tests: Tests


@dataclass(frozen=True)
class Mapped:
    """The frozen encoders with a map, as a backbone whose clips are encoded already: `Backbone` but for pixels."""

    encoders: RealEncoders
    map: nn.Linear
    revision: str
    tokens_per_frame: int
    name: str = "lite0-minilm"
    dim: int = TEXT
    per_frame: bool = True

    @property
    def token_width(self) -> int:
        return self.encoders.token_width

    @property
    def frames(self) -> int:
        return self.encoders.frames

    @property
    def transform(self) -> object:
        return self.encoders.transform

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """(K, D); each text is encoded once in the whole study, alone or in any company."""
        new = [text for text in dict.fromkeys(texts) if text not in TEXTS]
        TEXTS.update(text_vectors(self.encoders, new))
        return torch.stack([TEXTS[text] for text in texts])


TEXTS: dict[str, Tensor] = {}
Model = tuple[Encoder, Mapped]


@dataclass(frozen=True)
class MappedSource:
    """A store of frames in their own space, read as the features of a mapped backbone (`FeatureSource`)."""

    store: FeatureStore
    map: nn.Linear
    reorderable = True

    @property
    def spec(self) -> StoreSpec:
        return self.store.spec

    def prefetch(self, keys: Sequence[str]) -> None:
        self.store.prefetch(keys)

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        found = self.store.read(keys, control, seeds)
        vectors = self.map(found.frame_vectors.float().flatten(0, 1))
        return mean_of_frames(vectors, found.tokens, self.spec.frames)


def drawn(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many of the samples, in an order that depends on nothing but seed 0."""
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0)).tolist()
    return [samples[place] for place in order[:most]]


def folds_of(samples: Sequence[Sample], folds: int) -> list[list[Sample]]:
    """Samples in folds of whole groups of about one size: the largest groups first, each to the emptiest fold.

    Raises PaxionError for fewer groups than folds.
    """
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.group, []).append(sample)
    if len(groups) < folds or folds < 2:
        raise PaxionError(f"got {folds} folds of {len(groups)} groups, expected 2 or more, and no more than groups")
    parts: list[list[Sample]] = [[] for _ in range(folds)]
    for name in sorted(groups, key=lambda name: (-len(groups[name]), name)):
        min(parts, key=len).extend(groups[name])
    return parts


def build(study: Study) -> Path:
    """The manifest of DROID with its foils, made by `paxion build`."""
    folder = study.out / DROID
    if not (folder / "manifest.jsonl").exists():
        columns = ("video", "file", "caption", "caption", "group", "scene")
        command = ["build", str(study.droid / "index.csv"), "--videos", str(study.droid), "--out", str(folder)]
        command += ["--split", "test", "--tagger", "rules", "--columns", *columns]
        subprocess.run([sys.executable, "-m", "paxion", *command], check=True, stdout=sys.stderr)
    return folder / "manifest.jsonl"


def domains(study: Study) -> Iterator[tuple[str, Domain]]:
    """All domains, DROID last; every clip is encoded that is not in the store yet."""
    backbone = load_backbone(FRAMES)
    named = [domain.partition("=") for domain in study.domains]
    for name, manifest in [*((name, Path(path)) for name, _, path in named), (DROID, build(study))]:
        samples = read_manifest(manifest)
        if name == DROID:
            chosen, tests = samples, {DROID: folds_of(samples, study.folds)}
        else:
            chosen = drawn([sample for sample in samples if sample.split == "train"], study.most[0])
            test = [sample for sample in samples if sample.split == "test"]
            sources = dict.fromkeys(sample.source or name for sample in test)
            tests = {s: [drawn([t for t in test if (t.source or name) == s], study.most[1])] for s in sources}
        wanted = {sample.id: sample for sample in [*chosen, *(t for p in tests.values() for f in p for t in f)]}
        found = extract(backbone, manifest, list(wanted.values()), study.store, workers=0)
        for sample, why in found.missed.items():
            print(f"  {name}: {sample} cannot be read: {why}", file=sys.stderr)
        yield name, Domain(chosen, tests, found.store, found.keys)


def trainings(all_domains: Mapping[str, Domain]) -> Iterator[Training]:
    """All training sets: the folds of DROID first, then every domain, tested on what it has not seen."""
    everything = {test: parts for domain in all_domains.values() for test, parts in domain.tests.items()}
    for number, part in enumerate(everything[DROID]):
        rest = [sample for other in everything[DROID] if other is not part for sample in other]
        yield Training(f"{DROID}-fold-{number}", DROID, rest, all_domains[DROID], {DROID: [part]})
    for name, domain in all_domains.items():
        unseen = {test: parts for test, parts in everything.items() if name != DROID or test != DROID}
        yield Training(name, name, domain.train, domain, unseen)


def models(study: Study, frozen: RealEncoders, training: Training) -> Iterator[tuple[str, int, Callable[[], Model]]]:
    """What is tested of a training set: the name, the seed, and what makes it (training it, unless that is done)."""
    home = training.home
    chosen = [sample for sample in training.clips if sample.id in home.keys]
    read = home.store.read([home.keys[sample.id] for sample in chosen])
    untrained = Mapped(frozen, untrained_map().requires_grad_(False), "untrained", read.tokens.shape[2])
    texts = untrained.encode_texts([sample.caption for sample in chosen])
    linear = fit_map(read.frame_vectors.float(), texts)
    fitted = replace(untrained, map=linear, revision=f"fitted-{training.folder}")

    def patched(recipe: str, seed: int) -> Model:
        kind, place = RECIPES[recipe], study.out / "trained" / training.folder / f"{recipe}-{seed}"
        data = training_data(fitted, MappedSource(home.store, linear), home.keys, chosen)
        epochs = max(1, round(study.steps / max(1, len(chosen) // kind.batch)))
        kind = replace(kind, epochs=epochs, precision="bf16")
        return PatchedEncoder(recipe, fitted, train(kind, fitted, data, place, seed=seed, save_every=1e9)), fitted

    yield "untrained map", 0, lambda: (BackboneEncoder("untrained map", untrained), untrained)
    yield "backbone", 0, lambda: (BackboneEncoder("backbone", fitted), fitted)
    for recipe in study.recipes:
        for seed in study.seeds:
            yield recipe, seed, partial(patched, recipe, seed)


def tested(encoder: Encoder, backbone: Mapped, home: Domain, part: Sequence[Sample], data: str, seed: int) -> list[Row]:
    """The rows of a model on some clips; under OPPOSITE, each clip is said to show its antonym."""
    source = MappedSource(home.store, backbone.map)
    controls = CONTROLS if seed == 0 else CONTROLS[:1]
    rows = evaluate(encoder, source, home.keys, part, data=data, tasks=TASKS, controls=controls, seed=seed).rows
    return rows + opposite(encoder, source, home, part, data, seed)


def opposite(
    encoder: Encoder, source: MappedSource, home: Domain, part: Sequence[Sample], data: str, seed: int
) -> list[Row]:
    """Reversal rows of clips that are given their antonym as caption.

    A model that reads the caption prefers the reversed clip, so it is right less often than by chance; one that has
    learned how clips run in general is right as often as with the caption.
    """
    said = [replace(s, caption=s.antonym) for s in part if s.antonym and s.reversible is not False]
    rows = evaluate(encoder, source, home.keys, said, data=data, tasks=("reversal",), seed=seed).rows if said else []
    return [replace(row, control=OPPOSITE) for row in rows]


def run(study: Study) -> tuple[list[Row], dict[str, list[Sample]]]:
    """The rows of all models on all test sets (`Row.data` is "TRAINED ON > TESTED ON"), and the clips by test set."""
    frozen, all_domains = unmapped(), dict(domains(study))
    where = {id(s): domain for domain in all_domains.values() for p in domain.tests.values() for f in p for s in f}
    rows: list[Row] = []
    for training in trainings(all_domains):
        for name, seed, make in models(study, frozen, training):
            file = study.out / "rows" / training.folder / f"{name}-{seed}.jsonl"
            if not file.exists():
                started = time.process_time()
                encoder, backbone = make()
                found = []
                for test, part in [(test, part) for test, parts in training.tests.items() for part in parts]:
                    found += tested(encoder, backbone, where[id(part[0])], part, f"{training.name} > {test}", seed)
                make_folder(file.parent)
                write_text(file, "".join(json.dumps(asdict(row)) + "\n" for row in found))
                print(f"  {file}: {time.process_time() - started:.1f} s", file=sys.stderr, flush=True)
            rows += [Row(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    return rows, {test: [s for p in parts for s in p] for d in all_domains.values() for test, parts in d.tests.items()}


def main() -> None:
    """Run the study and print the tables."""
    study = tyro.cli(Study, description=__doc__)
    started = time.process_time()
    rows, tests = run(study)
    closed = {sample.id for sample in read_manifest(study.out / DROID / "closed.jsonl")}
    for line in tables(rows, tests, Mapped(unmapped(), untrained_map(), "", 0), closed):
        print(line)
    print(f"\n{time.process_time() - started:.0f} s of processor time")


if __name__ == "__main__":
    main()
