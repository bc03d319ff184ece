"""What cannot be read now is not damaged: it is said, and nothing is dropped. Files of other names are the user's."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from neighbour import NeighbourBackbone
from toy_store import NAMES, SPEC, contents, filled

from paxion.features.prune import useless
from paxion.features.shards import sealed, shard_name
from paxion.features.store import FeatureStore
from paxion.features.texts import text_features
from paxion.features.upkeep import repair, status, verify
from paxion.records import PaxionError

SECOND = shard_name(NAMES[4:])


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    made, _ = filled(tmp_path)
    text_features(made, NeighbourBackbone(), ["a", "b", "c"])
    return made


def unreadable(path: Path) -> None:
    """A link to itself: unlike permissions, it stops root too."""
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("suffix", ["json", "tokens.npy"])
def test_a_shard_that_cannot_be_read_is_said_and_stays(tmp_path, store, suffix):
    path = store.folder / f"shard-{SECOND}.{suffix}"
    unreadable(path)
    names = sorted(store.folder.iterdir())
    asks = [lambda: FeatureStore(tmp_path, SPEC), lambda: list(verify(store.folder))]
    if suffix == "json":
        asks += [lambda: useless(store.folder, [])]
    else:
        asks += [lambda: store.read(NAMES)]
    for ask in asks:
        with pytest.raises(PaxionError, match=rf"cannot read {path}: Too many levels of symbolic links") as caught:
            ask()
        assert "damaged" not in str(caught.value) and "\n" not in str(caught.value)
    (error,) = status(store.folder)
    assert isinstance(error, PaxionError) and sorted(store.folder.iterdir()) == names


@pytest.mark.parametrize("suffix", ["json", "npy"])
def test_texts_that_cannot_be_read_are_said_and_stay(store, suffix):
    (path,) = store.folder.glob(f"texts-*.{suffix}")
    unreadable(path)
    for ask in (lambda: text_features(store, NeighbourBackbone(), ["a"]), lambda: list(verify(store.folder))):
        with pytest.raises(PaxionError, match=f"cannot read {path}: Too many levels"):
            ask()
    assert path.is_symlink()


def test_too_many_open_files_are_no_damage(tmp_path, store):
    before, limits = contents(store.folder), resource.getrlimit(resource.RLIMIT_NOFILE)
    again = FeatureStore(tmp_path, SPEC)
    again._known.clear()
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        for ask in (lambda: FeatureStore(tmp_path, SPEC), lambda: list(verify(store.folder)), again.refresh):
            with pytest.raises(PaxionError, match=r"cannot read .*Too many open files") as caught:
                ask()
            assert "delete" not in str(caught.value)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert again.damaged == {} and contents(store.folder) == before


def test_any_bit_of_what_a_shard_says_is_found(tmp_path, store):
    path = store.folder / f"shard-{SECOND}.json"
    content = path.read_bytes()
    for place in range(len(content)):
        data = bytearray(content)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        assert list(FeatureStore(tmp_path, SPEC).damaged) == [SECOND]
    path.write_bytes(content)
    assert FeatureStore(tmp_path, SPEC).damaged == {}


@pytest.mark.parametrize("content", [b"[" * 100_000, sealed(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")])
def test_a_deep_json_is_damage(tmp_path, store, content):
    (store.folder / f"shard-{SECOND}.json").write_bytes(content)
    assert list(FeatureStore(tmp_path, SPEC).damaged) == [SECOND]


def test_files_of_other_names_are_the_users_own(tmp_path, store):
    own = ["shard-notes.json", "shard-mine.journal", "texts-of-mine.json", "texts-of-mine.npy", "shard-.json"]
    for name in own:
        (store.folder / name).write_text("mine")
    folders = [f"shard-{'0' * 16}.json", f"texts-{'0' * 16}.json", f"texts-{'1' * 16}.npy", f"shard-{'1' * 16}.journal"]
    for name in folders:
        (store.folder / name).mkdir()
        os.utime(store.folder / name, (0, 0))
    names = sorted(store.folder.iterdir())
    assert list(verify(store.folder)) == [] and useless(store.folder, []) == []
    (one,) = status(store.folder)
    assert (one.shards, one.texts, one.unfinished, one.damaged) == (3, 3, 0, {})
    again = FeatureStore(tmp_path, SPEC)
    assert again.unfinished() == [] and len(again.read(NAMES).pooled) == 10
    text_features(again, NeighbourBackbone(), ["a", "d"])
    assert set(names) < set(store.folder.iterdir())


def test_a_folder_in_the_place_of_a_part_stays(store):
    path = store.folder / f"shard-{SECOND}.tokens.npy"
    path.unlink()
    path.mkdir()
    (damage,) = verify(store.folder)
    assert path.name in damage.what and repair(store.folder, damage) and path.is_dir()
    assert list(verify(store.folder)) == []
