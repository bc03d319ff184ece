"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paxion.records import PaxionError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; rename it to `path` when the block ends well.

    The temporary file is removed when the block fails. An OSError (no permission, disk full, a file where a folder is
    needed) becomes a PaxionError that names the path.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        temporary.chmod(0o644)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise PaxionError(
            f"cannot write {path}: {error.strerror or error}; give a folder that can be written and has space"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` through `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8 through `replacing`."""
    write_bytes(path, text.encode("utf-8"))


def make_folder(path: Path) -> None:
    """Make the folder `path` and its parents; a PaxionError says why when it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PaxionError(f"cannot make folder {path}: {error.strerror or error}; give another folder") from error


def unreadable(path: Path, error: OSError) -> PaxionError:
    """The error for a file that cannot be read now: what is in it may well be whole."""
    reason = error.strerror or error
    return PaxionError(f"cannot read {path}: {reason}; nothing is dropped: mend that, and run the same command again")
