"""The command line: one dataclass per subcommand, heavy imports inside the functions that need them."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from paxion.data_cli import DATA_FUNCTIONS, Audit, Build, Human, Salience
from paxion.model_cli import MODEL_FUNCTIONS, Check, Export, Import, Models, Probe
from paxion.records import PaxionError

ManifestPath = Annotated[Path, tyro.conf.Positional]


@dataclass(frozen=True)
class Quickstart:
    """Run the whole experiment on the embedded world and write report.html, results.json and samples.jsonl.

    Renders clips of moving shapes, probes the small backbone that ships with the package, trains Knowledge Patchers and
    Fusers on it, and probes them all. About five minutes on two cores. An interrupted run goes on where it stopped.
    """

    out: Path = Path("runs/quickstart")
    """Folder of the run."""
    seed: int = 0
    """Decides the scenes and the training."""
    patcher_seed: int | None = None
    """Seed of the training alone. Default: the seed."""
    backbone: str = "world"
    """`world`, or `world:PATH` for weights made by paxion world pretrain."""
    train: int = 4000
    """Training scenes."""
    test: int = 600
    """Test scenes in each domain."""
    epochs: float = 1.0
    """Multiplies every recipe's epochs: 0.25 is a quick look."""
    data: Path | None = None
    """Folder of the clips and features, to share them between runs. Default: the folder of the run."""


@dataclass(frozen=True)
class Make:
    """Render captioned clips of moving shapes to MP4 files, with a manifest."""

    out: Path = Path("world")
    """Folder to write to."""
    seed: int = 0
    """Decides every pixel before encoding."""
    train: int = 4000
    """Scenes of domain A to train on, a clip each."""
    val: int = 300
    """Scenes of domain A for choices of recipe, both directions of each."""
    test: int = 600
    """Test scenes in each of domains A and B, both directions of each."""
    size: int = 64
    """Side of the picture in pixels, even."""


@dataclass(frozen=True)
class Pretrain:
    """Train the small order-blind backbone that ships with the package; about five minutes on two cores."""

    out: Path = Path("world-backbone.safetensors")
    """File to write."""
    seed: int = 0
    scenes: int = 12000
    steps: int = 1600


@dataclass(frozen=True)
class World:
    """Make a world of captioned clips (`paxion world make`, or just `paxion world`), or train its backbone."""

    what: Annotated[Make, tyro.conf.subcommand("make")] | Annotated[Pretrain, tyro.conf.subcommand("pretrain")] = field(
        default_factory=Make
    )


@dataclass(frozen=True)
class Validate:
    """Check a manifest line by line: what is wrong, in which field, and what was expected."""

    manifest: ManifestPath
    """JSONL file, one captioned clip a line."""
    check_files: bool = False
    """Also check that every video file exists."""


@dataclass(frozen=True)
class FeaturesCommand:
    """Compute a frozen backbone's features of every clip of a manifest, once."""

    manifest: ManifestPath
    """JSONL file, one captioned clip a line."""
    backbone: str = "world"
    """A name such as hf:openai/clip-vit-base-patch32; paxion models lists what there is."""
    store: Path = Path("features")
    """Folder of the feature store."""
    workers: int | None = None
    """Decoding processes. Default: one for every two cores."""


@dataclass(frozen=True)
class Change:
    """Changes to the recipe; what is not given stays as the recipe has it."""

    vac: bool | None = None
    """Antonyms of the batch as further wrong texts."""
    atm: float | None = None
    """Weight of action-temporal matching: clip against its reversal."""
    antonym_pair: float | None = None
    """Weight of the choice between caption and antonym."""
    template: float | None = None
    """Weight of the choice among templates."""
    difference_tokens: bool | None = None
    """Tokens of how the clip changes."""
    spatial_embedding: bool | None = None
    """A learned vector per place in the frame."""
    token_noise: float | None = None
    """Standard deviation of noise on the tokens."""
    latents: int | None = None
    """Q, vectors of a clip; the paper's patcher has 16."""
    heads: int | None = None
    """Attention heads; the paper's patcher has 8."""
    dim_head: int | None = None
    """Width of a head; the paper's patcher has 64."""
    epochs: int | None = None
    """Times that every clip is seen."""
    batch: int | None = None
    """Clips in a step; the others are the wrong answers of each."""
    rate: float | None = None
    """Learning rate after the warm-up."""


@dataclass(frozen=True)
class Patch:
    """Train a Knowledge Patcher on the train split of a manifest."""

    manifest: ManifestPath
    out: Path = Path("runs/patcher")
    """Folder of the adapter, its log and its checkpoint."""
    recipe: str = "patcher"
    """What is trained, on which objectives: patcher (our default), patcher-dvdm (the paper's objectives), patcher-vtc
    (no action objectives), or the baselines patcher-vtc-differences, patcher-last-frame, patcher-pooled and
    kp-transformer."""
    backbone: str | None = None
    """A name such as hf:openai/clip-vit-base-patch32; paxion models lists what there is. Default: what --start was
    trained on, else world."""
    start: Path | None = None
    """Adapter to go on from (KP-FT in the paper). It keeps its sizes; the recipe says how it is trained on."""
    store: Path = Path("features")
    """Folder of the feature store, filled where it lacks clips."""
    seed: int = 0
    """Decides the first weights and the order of the clips."""
    change: Change = field(default_factory=Change)


@dataclass(frozen=True)
class Fuse:
    """Train a Knowledge Fuser on top of a trained patcher."""

    manifest: ManifestPath
    patcher: Path
    """Folder made by paxion patch."""
    out: Path = Path("runs/fuser")
    recipe: str = "fuser"
    """fuser (cross-attention) or side-tuning (a learned weighted sum)."""
    backbone: str | None = None
    """Default: what the patcher was trained on."""
    store: Path = Path("features")
    """Folder of the feature store, filled where it lacks clips."""
    seed: int = 0
    """Decides the first weights and the order of the clips."""
    change: Change = field(default_factory=Change)


@dataclass(frozen=True)
class Report:
    """Write the page of a run again from its results.json."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""


Command = (
    Annotated[Quickstart, tyro.conf.subcommand("quickstart")]
    | Annotated[World, tyro.conf.subcommand("world")]
    | Annotated[Build, tyro.conf.subcommand("build")]
    | Annotated[Validate, tyro.conf.subcommand("validate")]
    | Annotated[Audit, tyro.conf.subcommand("audit")]
    | Annotated[Salience, tyro.conf.subcommand("salience")]
    | Annotated[Human, tyro.conf.subcommand("human")]
    | Annotated[FeaturesCommand, tyro.conf.subcommand("features")]
    | Annotated[Patch, tyro.conf.subcommand("patch")]
    | Annotated[Fuse, tyro.conf.subcommand("fuse")]
    | Annotated[Probe, tyro.conf.subcommand("probe")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Import, tyro.conf.subcommand("import")]
    | Annotated[Export, tyro.conf.subcommand("export")]
)


OWN_FUNCTIONS: dict[type, str] = {
    Quickstart: "run_quickstart",
    Make: "make_world",
    Pretrain: "pretrain_world",
    Validate: "validate",
    FeaturesCommand: "features",
    Patch: "patch",
    Fuse: "fuse",
    Report: "report",
}
"""The function of commands.py behind each subcommand; its arguments are the fields."""
FUNCTIONS = {
    "paxion.commands": OWN_FUNCTIONS,
    "paxion.data_commands": DATA_FUNCTIONS,
    "paxion.model_commands": MODEL_FUNCTIONS,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; exits 0 when all is well, 1 on an error of the run, 2 on bad usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["world"] and given[1:2] not in (["make"], ["pretrain"], ["-h"], ["--help"]):
        given.insert(1, "make")
    if given in (["--version"], ["-V"]):
        from paxion import __version__

        print(__version__)
        return 0
    if sum(re.match("--models?(=|$)", argument) is not None for argument in given) > 1:
        print("paxion: give --models once, with all names after it: --models backbone runs/patcher", file=sys.stderr)
        return 2
    command: Any = tyro.cli(
        Command,
        prog="paxion",
        description="Find out whether a video-language model understands actions, and patch it if it does not.",
        args=given or ["--help"],
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    if isinstance(command, World | Human):
        command = command.what
    from rich.console import Console

    module = next(name for name, functions in FUNCTIONS.items() if type(command) in functions)
    function = getattr(importlib.import_module(module), FUNCTIONS[module][type(command)])
    try:
        settings = {part.name: getattr(command, part.name) for part in fields(command)}
        for name in ("seed", "patcher_seed"):
            seed = settings.get(name)
            if seed is not None and not 0 <= seed < 2**32:
                raise PaxionError(f"got {name.replace('_', ' ')} {seed}, expected 0 or more, below 2**32")
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return int(function(Console(), **settings))
    except PaxionError as error:
        print(f"paxion: {error}", file=sys.stderr)
    except OSError as error:
        what = error.strerror or str(error)
        print(f"paxion: {what}: {error.filename or 'a file could not be read or written'}", file=sys.stderr)
    except KeyboardInterrupt:
        print("paxion: interrupted; the same command goes on where it stopped", file=sys.stderr)
    return 1


def _warn(
    message: Warning | str, category: object, filename: str, lineno: int, file: object = None, line: object = None
) -> None:
    """Print a warning as a person can read it: without the line of source that raised it."""
    print(f"paxion: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
