"""A disk that is full stops extraction with what is kept, and the same command goes on when there is space."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from neighbour import NeighbourBackbone

from paxion.features.extract import extract
from paxion.features.store import FeatureStore, spec_of
from paxion.records import PaxionError


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A folder with little space."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def small_files() -> Iterator[None]:
    """Files cannot grow beyond 3000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


OPTIONS = {"batch": 4, "shard": 16, "workers": 0}


def test_a_full_disk_is_said_with_what_is_kept(tiny_manifest, tiny_samples, tmp_path):
    backbone, ticks, full = NeighbourBackbone(), list[int](), tmp_path / "full"
    with small_disk(full):
        with pytest.raises(PaxionError, match="No space left on device") as caught:
            extract(backbone, tiny_manifest, tiny_samples, full, **OPTIONS, tick=ticks.append)
        kept = sum(ticks)
        assert 16 < kept < len(tiny_samples)
        assert str(caught.value).startswith(f"cannot write {full}/")
        assert "make space or give another folder" in str(caught.value)
        assert str(caught.value).endswith(f"in all, {kept} of {len(tiny_samples)} clips are kept")
        assert "\n" not in str(caught.value)
        store = FeatureStore(full, spec_of(backbone))
        assert len(store) >= 1 + 2 * 16 and store.damaged == {}
        subprocess.run(["mount", "-o", "remount,size=2m", full], check=True)
        before, ticks[:] = ticks[:], []
        extract(backbone, tiny_manifest, tiny_samples, full, **OPTIONS, tick=ticks.append)
        assert sum(ticks) == len(tiny_samples) and len(ticks) < len(before) + len(tiny_samples) / 4


def test_files_that_cannot_grow_are_said(tiny_manifest, tiny_samples, tmp_path):
    backbone = NeighbourBackbone()
    with (
        small_files(),
        pytest.raises(PaxionError, match=r"File too large.*; in all, 0 of 138 clips are kept$") as caught,
    ):
        extract(backbone, tiny_manifest, tiny_samples, tmp_path, **OPTIONS)
    assert "\n" not in str(caught.value)
    assert len(extract(backbone, tiny_manifest, tiny_samples, tmp_path, **OPTIONS).keys) == len(tiny_samples)
