"""Extraction through Ray: the same files as without it, also when an actor dies, and errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_extract_kill import sums

from paxion.features.cluster import Cluster, extract_on_cluster, read, share, written
from paxion.features.extract import Extracted
from paxion.features.jobs import Job, Piece
from paxion.records import PaxionError

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'paxion[ray]'")


@pytest.fixture(scope="module")
def made(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cluster")
    script = Path(__file__).parent / "cluster_extraction.py"
    ran = subprocess.run([sys.executable, script, tiny_manifest, out], capture_output=True, text=True, timeout=150)
    assert ran.returncode == 0, ran.stderr
    return out


def passes(out: Path) -> list[int]:
    """How many passes each process did."""
    return [len(path.read_text().split()) for path in (out / "log").iterdir()]


@needs_ray
def test_the_files_are_the_same_as_without_a_cluster(made):
    assert sums(made / "ray") == sums(made / "plain")


@needs_ray
def test_an_actor_that_dies_is_replaced_and_only_its_batch_is_encoded_again(made):
    assert not (made / "mine").exists()
    assert sums(made / "lost") == sums(made / "plain")
    assert 3 in passes(made) and len(passes(made)) >= 5  # alone, two and two, and one in its place
    each = max(passes(made))  # of the process that did all of the first, with the one grey clip of all three
    assert sum(passes(made)) == 3 * (each - 2) + 1


def test_without_ray_the_extra_is_named(tiny_features: Extracted, tiny_backbone, tiny_manifest, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PaxionError, match=r"pip install 'paxion\[ray\]'"):
        extract_on_cluster(tiny_backbone, tiny_manifest, [], tiny_features.store.folder, name="world")


def test_torchrun_is_refused(tiny_features: Extracted, tiny_backbone, tiny_manifest, monkeypatch):
    for name, value in (
        ("RANK", "0"),
        ("WORLD_SIZE", "2"),
        ("LOCAL_RANK", "0"),
        ("MASTER_ADDR", "a"),
        ("MASTER_PORT", "1"),
    ):
        monkeypatch.setenv(name, value)
    with pytest.raises(PaxionError, match="start the command without it"):
        extract_on_cluster(tiny_backbone, tiny_manifest, [], tiny_features.store.folder, name="world")


@needs_ray
def test_without_a_cluster_it_is_said_how_to_name_one(tiny_backbone, tiny_manifest, tiny_samples, tmp_path):
    with pytest.raises(PaxionError, match=r"no Ray cluster at nowhere .*--address local") as caught:
        extract_on_cluster(
            tiny_backbone, tiny_manifest, tiny_samples, tmp_path, name="world", cluster=Cluster("nowhere")
        )
    assert "\n" not in str(caught.value)


@given(st.integers(1, 512), st.integers(1, 64))
def test_a_core_is_left_for_ray(cores, actors):
    assert 0 < share(cores, actors) * actors <= max(1, cores - 1) + 1e-9
    assert share(cores, actors) < 1 or share(cores, actors).is_integer()


@given(st.lists(st.tuples(st.text(), st.none() | st.floats(0, 1e6), st.booleans()), max_size=4), st.booleans())
def test_pieces_cross_as_text(rows, pooled):
    jobs = [Job(key, Path("/videos") / "ü.mp4", start, start, ("none", "last")[two:]) for key, start, two in rows]
    assert read(written([Piece(tuple(jobs), pooled)])) == [Piece(tuple(jobs), pooled)]
