"""Locks between processes: on open files, so that the kernel lets go of them when a process dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from paxion.files import unreadable
from paxion.records import PaxionError


def locked(path: Path) -> int | None:
    """The open, locked file of a path, made if there is none; None when another has locked it. Close it to let go."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        # Who had locked it may have removed it between our opening and locking.
        with suppress(FileNotFoundError):
            if os.fstat(file).st_ino == path.stat().st_ino:
                return file
        os.close(file)


def held(path: Path) -> bool:
    """Whether the file of a path is locked. Raises PaxionError when it cannot be opened."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(file)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other is in here. Raises PaxionError when the file of the lock cannot be made."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise PaxionError(f"cannot write {path}: {error.strerror or error}; give another folder") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
