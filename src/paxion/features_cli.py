"""The subcommands about feature stores: features make, status, verify, prune. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class MakeFeatures:
    """Compute a frozen backbone's features of every clip of a manifest, once."""

    manifest: Annotated[Path, tyro.conf.Positional]
    """JSONL file, one captioned clip a line."""
    backbone: str = "world"
    """A name such as hf:openai/clip-vit-base-patch32; paxion models lists what there is. With tokens=pool2 or
    tokens=every2 after a comma, fewer tokens are kept."""
    store: Path = Path("features")
    """Folder of the feature stores; what depends on backbone, sampler and dtype has a folder of its own in it."""
    sampler: str = "midpoint"
    """Which frames are taken: midpoint, endpoints, or paper."""
    dtype: str = "float16"
    """How tokens are kept: float16, bfloat16, int8 (half the size) or float32."""
    controls: tuple[str, ...] | None = None
    """What clips are encoded under besides as they are, where that cannot be derived when reading. Default: reversed,
    for a backbone that does not work frame by frame."""
    batch: int = 32
    """Clips in a pass of the backbone."""
    shard: int | None = None
    """Clips in a file of the store, which one process fills. Default: about 64 MB of them, 16 to 512."""
    workers: int | None = None
    """Decoding processes of each process. Default: by the cores; 0: it decodes itself."""
    engine: Literal["local", "ray"] = "local"
    """local: this machine, all of it under torchrun --nproc_per_node N -m paxion; ray: several machines that see the
    same files, through Ray Data (extra: ray)."""
    address: str = "auto"
    """With ray: auto (the cluster that this machine belongs to), local (one on this machine, for this run), or
    HOST:PORT."""
    actors: int | None = None
    """With ray: processes that encode. Default: one for each GPU, or else for every two cores."""
    actor_cpus: float | None = None
    """With ray: cores of each of them, less in all than there are. Default: shared evenly."""


@dataclass(frozen=True)
class FeaturesStatus:
    """Say what feature stores hold: what made them, how many clips, which are missing, how large they are."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("features")
    """A store, or a folder of stores."""
    missed: bool = False
    """List every clip that could not be read, with the reason."""


@dataclass(frozen=True)
class VerifyFeatures:
    """Read every file of feature stores and name those that are not as they were written; exit 1 if there are any."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("features")
    """A store, or a folder of stores."""
    repair: bool = False
    """Drop what is damaged, so that the next paxion features make encodes it again."""


@dataclass(frozen=True)
class PruneFeatures:
    """Remove what nobody needs from feature stores: what killed processes left, and clips of no manifest that is given.

    Nothing is removed but files with a store's own names, and nothing that another process is writing.
    """

    folder: Annotated[Path, tyro.conf.Positional] = Path("features")
    """A store, or a folder of stores."""
    manifest: tuple[Path, ...] = ()
    """Keep only shards with clips of these manifests. Default: all complete shards are kept."""
    dry_run: bool = False
    """Only say what would be removed."""


@dataclass(frozen=True)
class FeaturesCommand:
    """Compute features once (`paxion features make`, or just `paxion features MANIFEST`), and look after the store."""

    what: (
        Annotated[MakeFeatures, tyro.conf.subcommand("make")]
        | Annotated[FeaturesStatus, tyro.conf.subcommand("status")]
        | Annotated[VerifyFeatures, tyro.conf.subcommand("verify")]
        | Annotated[PruneFeatures, tyro.conf.subcommand("prune")]
    )


FEATURES_FUNCTIONS: dict[type, str] = {
    MakeFeatures: "make",
    FeaturesStatus: "status",
    VerifyFeatures: "verify",
    PruneFeatures: "prune",
}
"""The function of features_commands.py behind each subcommand; its arguments are the fields."""
