"""What features depend on besides the clips: the specification of a store, and the keys of the clips in it."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paxion.backbones.base import Backbone
from paxion.backbones.reduced import kept_tokens
from paxion.features.numbers import check_dtype
from paxion.files import unreadable, write_text
from paxion.records import PaxionError, Sample
from paxion.video.transform import Transform

BLIND = "blind"
"""Key of the one grey clip."""
INDEX = "store.json"
LAYOUT = 2
"""Of the files in a store; a store of another layout has a folder of its own."""


@dataclass(frozen=True)
class StoreSpec:
    """What the features depend on besides the clips."""

    backbone: str
    revision: str
    sampler: str
    frames: int
    transform: Transform
    tokens: str = "all"
    """Which tokens of a frame are kept, see backbones/reduced.py."""
    per_frame: bool = False
    """The tokens of a frame depend on no other frame: those of a reordered clip are the reordered tokens."""
    dtype: str = "float16"
    """Precision of the tokens, see features/numbers.py."""

    @property
    def folder(self) -> str:
        """A folder name that no other specification shares."""
        digest = hashlib.sha256(json.dumps([LAYOUT, asdict(self)]).encode()).hexdigest()[:8]
        return f"{self.backbone.replace('/', '--').replace(':', '--')}-{self.revision}-{digest}"


def spec_of(backbone: Backbone, sampler: str = "midpoint", dtype: str = "float16") -> StoreSpec:
    """The specification of a backbone's features. Raises PaxionError for a dtype that a store cannot hold."""
    check_dtype(dtype)
    return StoreSpec(
        backbone.name,
        backbone.revision,
        sampler,
        backbone.frames,
        backbone.transform,
        kept_tokens(backbone),
        backbone.per_frame,
        dtype,
    )


def clip_key(video: Path, sample: Sample) -> str:
    """Identifies the clip of a sample: the file as it is now, and the window in it."""
    try:
        stat = video.stat()
        state = f"{stat.st_size}|{stat.st_mtime_ns}"
    except OSError:
        state = "missing"
    return hashlib.sha256(f"{video.resolve()}|{state}|{sample.start}|{sample.end}".encode()).hexdigest()[:20]


def variant(key: str, control: str) -> str:
    """The key of a clip that was encoded under a control."""
    return key if control == "none" else f"{key}#{control}"


def plain(spec: StoreSpec) -> dict[str, Any]:
    """A specification as JSON has it."""
    return dict(json.loads(json.dumps(asdict(spec))))


def write_spec(folder: Path, spec: StoreSpec) -> None:
    """Write the store.json of a folder, unless it has one."""
    if not (folder / INDEX).exists():
        write_text(folder / INDEX, json.dumps({"layout": LAYOUT, "spec": plain(spec)}, indent=1) + "\n")


def read_spec(folder: Path) -> dict[str, Any]:
    """What the store.json of a folder says. Raises PaxionError when it is damaged or of another layout.

    Also when it cannot be read now, with a message that does not call it damaged.
    """
    path = folder / INDEX
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        stored = json.loads(content)
        spec, layout = dict(stored["spec"]), int(stored.get("layout", 1))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PaxionError(
            f"{path} is damaged ({reason}); delete that file, and paxion features make writes it again"
        ) from None
    if layout != LAYOUT:
        raise PaxionError(
            f"{folder} has the files of another version of paxion (layout {layout}, expected {LAYOUT}): delete it, or "
            "give another folder"
        )
    return spec


def open_spec(folder: Path) -> StoreSpec:
    """The specification of the store in a folder. Raises PaxionError when its store.json is damaged."""
    stored = read_spec(folder)
    try:
        values = stored["transform"].items()
        transform: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values}
        spec = StoreSpec(**{**stored, "transform": Transform(**transform)})
        check_dtype(spec.dtype)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PaxionError(f"{folder / INDEX} is of no store of this version of paxion ({reason})") from None
    return spec


def store_folder(root: Path, spec: StoreSpec) -> Path:
    """Where the store of `spec` is: in a folder of its own under `root`, unless `root` is a store itself."""
    return root if (root / INDEX).exists() or root.name == spec.folder else root / spec.folder


def stores(root: Path) -> list[Path]:
    """The folders of the stores under `root`, or `root` itself where it is one. Raises PaxionError for no folder."""
    if not root.is_dir():
        raise PaxionError(f"got {root}, expected a folder of feature stores, as paxion features make fills")
    return [root] if (root / INDEX).exists() else sorted(path.parent for path in root.glob(f"*/{INDEX}"))


def differing(stored: dict[str, Any], spec: StoreSpec) -> str | None:
    """The fields in which a stored specification differs from `spec`; None where it does not."""
    got, expected = _flat(stored), _flat(plain(spec))
    wrong = {name: value for name, value in expected.items() if got.get(name) != value}
    return ", ".join(f"{name} (got {got.get(name)}, expected {value})" for name, value in wrong.items()) or None


def differences(root: Path, spec: StoreSpec) -> str | None:
    """A line on the stores under `root` that hold the same backbone's features made in another way; None without any.

    For messages of commands that need a store that is filled.
    """
    found = []
    for folder in stores(root) if root.is_dir() else []:
        with suppress(PaxionError):
            stored = read_spec(folder)
            fields = differing(stored, spec)
            if fields and stored.get("backbone") == spec.backbone:
                found.append(f"{folder.name} differs in {fields}")
    return f"{root} has other features of {spec.backbone}: {'; '.join(found)}" if found else None


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Fields by name, those of a field that has fields as `transform.size`."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
