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

from paxion.ask_cli import ASK_FUNCTIONS, Ask
from paxion.compare_cli import COMPARE_FUNCTIONS, Compare
from paxion.data_cli import DATA_FUNCTIONS, Audit, Build, Human, Salience
from paxion.evaluate_cli import EVALUATE_FUNCTIONS, Evaluate, Probe
from paxion.experiment_cli import EXPERIMENT_FUNCTIONS, RunExperiment
from paxion.export_cli import EXPORT_FUNCTIONS, ExportCommand
from paxion.features_cli import FEATURES_FUNCTIONS, FeaturesCommand
from paxion.formats_cli import FORMATS_FUNCTIONS, Formats
from paxion.inspect_cli import INSPECT_FUNCTIONS, Inspect, Score
from paxion.lora_cli import LORA_FUNCTIONS, TrainLora
from paxion.metaworld_cli import METAWORLD_FUNCTIONS, Metaworld
from paxion.model_cli import MODEL_FUNCTIONS, Check, Import, Models
from paxion.processes import this_process
from paxion.records import PaxionError
from paxion.rescore_cli import RESCORE_FUNCTIONS, Rescore
from paxion.training_cli import TRAINING_FUNCTIONS, Fuse, Patch

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
    """Make a world of captioned clips (`paxion world make`, or just `paxion world`), write it in published formats, or
    train its backbone.
    """

    what: (
        Annotated[Make, tyro.conf.subcommand("make")]
        | Annotated[Pretrain, tyro.conf.subcommand("pretrain")]
        | Annotated[Formats, tyro.conf.subcommand("formats")]
        | Annotated[Metaworld, tyro.conf.subcommand("metaworld")]
    ) = field(default_factory=Make)


@dataclass(frozen=True)
class Validate:
    """Check a manifest line by line: what is wrong, in which field, and what was expected."""

    manifest: ManifestPath
    """JSONL file, one captioned clip a line."""
    check_files: bool = False
    """Also check that every video file exists."""


@dataclass(frozen=True)
class Report:
    """Write the page of a run again, or one page for several runs that were asked the same, with their comparison."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of runs; the first model of the first one is the baseline."""
    out: Path | None = None
    """File to write. Default: report.html in the run's folder, or here for several runs."""
    clips: int | None = None
    """How many clips to show at most; 50 stay below 3 MB. Default: about a dozen."""


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
    | Annotated[TrainLora, tyro.conf.subcommand("lora")]
    | Annotated[Probe, tyro.conf.subcommand("probe")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[RunExperiment, tyro.conf.subcommand("experiment")]
    | Annotated[Ask, tyro.conf.subcommand("ask")]
    | Annotated[Rescore, tyro.conf.subcommand("rescore")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[Score, tyro.conf.subcommand("score")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Import, tyro.conf.subcommand("import")]
    | Annotated[ExportCommand, tyro.conf.subcommand("export")]
)


OWN_FUNCTIONS: dict[type, str] = {
    Quickstart: "run_quickstart",
    Make: "make_world",
    Pretrain: "pretrain_world",
    Validate: "validate",
    Report: "report",
}
"""The function of commands.py behind each subcommand; its arguments are the fields."""
FUNCTIONS = {
    "paxion.commands": OWN_FUNCTIONS,
    "paxion.ask_commands": ASK_FUNCTIONS,
    "paxion.compare_commands": COMPARE_FUNCTIONS,
    "paxion.data_commands": DATA_FUNCTIONS,
    "paxion.experiment_commands": EXPERIMENT_FUNCTIONS,
    "paxion.evaluate_commands": EVALUATE_FUNCTIONS,
    "paxion.export_commands": EXPORT_FUNCTIONS,
    "paxion.features_commands": FEATURES_FUNCTIONS,
    "paxion.formats_commands": FORMATS_FUNCTIONS,
    "paxion.inspect_commands": INSPECT_FUNCTIONS,
    "paxion.lora_commands": LORA_FUNCTIONS,
    "paxion.metaworld_commands": METAWORLD_FUNCTIONS,
    "paxion.model_commands": MODEL_FUNCTIONS,
    "paxion.rescore_commands": RESCORE_FUNCTIONS,
    "paxion.training_commands": TRAINING_FUNCTIONS,
}

WORLD, FEATURES = ("make", "pretrain", "formats", "metaworld"), ("make", "status", "verify", "prune")
EXPORT = ("adapter", "lmms-eval", "vlmevalkit", "dataset")
"""The subcommands of subcommands whose first may be left out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; exits 0 when all is well, 1 on an error of the run, 2 on bad usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for name, known in (("world", WORLD), ("features", FEATURES), ("export", EXPORT)):
        if given[:1] == [name] and given[1:2] not in ([part] for part in (*known, "-h", "--help")):
            given.insert(1, known[0])
    if given in (["--version"], ["-V"]):
        from paxion import __version__

        print(__version__)
        return 0
    if given[:1] != ["score"] and sum(re.match("--models?(=|$)", argument) is not None for argument in given) > 1:
        print("paxion: give --models once, with all names after it: --models backbone runs/patcher", file=sys.stderr)
        return 2
    command: Any = tyro.cli(
        Command,
        prog="paxion",
        description="Find out whether a video-language model understands actions, and patch it if it does not.",
        args=given or ["--help"],
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    if isinstance(command, World | Human | FeaturesCommand | ExportCommand):
        command = command.what
    module = next(name for name, functions in FUNCTIONS.items() if type(command) in functions)
    try:
        from rich.console import Console

        function = getattr(importlib.import_module(module), FUNCTIONS[module][type(command)])
        settings = {part.name: getattr(command, part.name) for part in fields(command)}
        for name in ("seed", "patcher_seed"):
            seed = settings.get(name)
            if seed is not None and not 0 <= seed < 2**32:
                raise PaxionError(f"got {name.replace('_', ' ')} {seed}, expected 0 or more, below 2**32")
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return int(function(Console(quiet=not this_process().main), **settings))
    except PaxionError as error:
        sys.stderr.write(f"paxion: {error}\n")  # at once: other processes write too
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
