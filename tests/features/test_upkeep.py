"""Looking after stores: what they hold is told, damage is found wherever it is, and only what nobody needs goes."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from neighbour import NeighbourBackbone
from toy_store import NAMES, SPEC, contents, features, filled, part, with_dtype

from paxion.features.extract import extract
from paxion.features.prune import remove, useless
from paxion.features.shards import shard_name
from paxion.features.store import FeatureStore, spec_of, variant
from paxion.features.texts import text_features
from paxion.features.upkeep import Status, repair, status, verify
from paxion.manifest import video_path, write_manifest
from paxion.records import PaxionError

SECOND = shard_name(NAMES[4:])


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    """Ten clips, the grey one, two variants, a miss, three texts."""
    made, _ = filled(tmp_path)
    made.append([variant(name, "reversed") for name in NAMES[:2]], features(2), {"lost": "no file"})
    text_features(made, NeighbourBackbone(), ["a", "b", "c"])
    return made


def test_status_tells_what_is_there(tmp_path, store):
    filled(tmp_path, with_dtype("int8"))
    with FeatureStore(tmp_path, SPEC).writer(["x", "y"]) as writer:
        writer.write([0], features(1))
        (one,) = [one for one in status(tmp_path) if isinstance(one, Status) and one.spec == SPEC]
        assert (one.unfinished, one.writing) == (1, 1)
    one, other = sorted(status(tmp_path), key=lambda one: one.spec.dtype)
    assert (one.spec, other.spec) == (SPEC, with_dtype("int8"))
    assert (one.clips, one.variants, one.texts, one.shards) == (10, 2, 3, 4)
    assert one.missed == {"lost": "no file"} and (one.unfinished, one.writing) == (1, 0)
    assert one.bytes == sum(path.stat().st_size for path in store.folder.iterdir())
    (store.folder / f"shard-{SECOND}.tokens.npy").unlink()
    (one,) = status(store.folder)
    assert one.clips == 4 and list(one.damaged) == [SECOND]


def test_status_of_what_cannot_be_read(tmp_path, store):
    (store.folder / "store.json").write_text("{")
    filled(tmp_path, with_dtype("int8"))
    found = list(status(tmp_path))
    assert len(found) == 2 and sum(isinstance(one, PaxionError) and "is damaged" in str(one) for one in found) == 1
    assert list(status(store.folder.parent / store.folder.name)) != []
    with pytest.raises(PaxionError, match="expected a folder of feature stores"):
        list(status(tmp_path / "none"))


def test_a_whole_store_is_verified_and_stays_as_it_is(store):
    before, ticks = contents(store.folder), []
    assert list(verify(store.folder, ticks.append)) == []
    assert sum(ticks) == sum(len(content) for name, content in before.items() if name.endswith(".npy"))
    assert contents(store.folder) == before


def test_any_byte_that_is_wrong_is_found_and_mended(tmp_path, store):
    """Each file in turn, one bit at a random place."""
    before, draw = contents(store.folder), random.Random(0)
    whole = features(11)
    for name, content in before.items():
        if name in ("store.json", "texts.lock"):
            continue
        for _ in range(3):
            data = bytearray(content)
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(7)
            (store.folder / name).write_bytes(data)
            found = list(verify(store.folder))
            (damage,) = found
            assert name.split(".")[0] in damage.what
            assert repair(store.folder, damage) and list(verify(store.folder)) == []
            again = FeatureStore(tmp_path, SPEC)
            again.append(["blind"], part(whole, [0]), {})
            again.append(NAMES[:4], part(whole, slice(1, 5)), {})
            again.append(NAMES[4:], part(whole, slice(5, 11)), {})
            again.append([variant(key, "reversed") for key in NAMES[:2]], features(2), {"lost": "no file"})
            text_features(again, NeighbourBackbone(), ["a", "b", "c"])
            assert contents(store.folder) == before
        (store.folder / name).write_bytes(content)


def test_two_shards_that_changed_places_are_found(store):
    one, other = (store.folder / f"shard-{shard_name(names)}.json" for names in (NAMES[:4], NAMES[4:]))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert len(list(verify(store.folder))) == 2


def test_a_shard_that_is_being_written_is_not_dropped(tmp_path, store):
    (store.folder / f"shard-{SECOND}.tokens.npy").write_bytes(b"")
    (damage,) = verify(store.folder)
    with FeatureStore(tmp_path, SPEC).writer(NAMES[4:]):
        assert not repair(store.folder, damage)
    assert repair(store.folder, damage)


@pytest.fixture
def real(tiny_backbone, tiny_manifest, tiny_samples, tmp_path) -> tuple[FeatureStore, list[Path]]:
    """Twelve real clips in three shards, and the manifests of the clips of each."""
    samples, manifests = tiny_samples[:12], []
    for number in range(3):
        part_ = samples[4 * number : 4 * number + 4]
        extracted = extract(tiny_backbone, tiny_manifest, part_, tmp_path / "f", workers=0)
        manifests.append(tiny_manifest.parent / f"{tmp_path.name}-{number}.jsonl")
        write_manifest(manifests[-1], part_)
    return extracted.store, manifests


def test_prune_keeps_every_shard_with_a_clip_that_is_wanted(real, tiny_backbone, tmp_path):
    store, manifests = real
    assert useless(store.folder, []) == [] and useless(store.folder, manifests) == []
    before = contents(store.folder)
    (one,) = useless(store.folder, manifests[:2])
    assert one.bytes == sum(path.stat().st_size for path in one.files) and len(one.files) == 4
    assert contents(store.folder) == before  # Nothing has happened yet.
    assert remove(store.folder, one)
    assert set(before) - set(contents(store.folder)) == {path.name for path in one.files}
    left = FeatureStore(tmp_path / "f", spec_of(tiny_backbone))
    assert len(left) == 9 and "blind" in left and left.damaged == {}


def test_prune_removes_what_killed_processes_left_and_nothing_else(real, tiny_backbone, tmp_path):
    store, _ = real
    before = contents(store.folder)
    with store.writer(["x", "y"]) as writer:
        writer.write([0], part(store.read(["blind"]), [0]))
        assert useless(store.folder, []) == []  # It is being written.
    ours = [".shard-0123456789abcdef-abcd_123.json", "texts-0123456789abcdef.npy", "shard-0123456789abcdef.tokens.npy"]
    others = [
        "notes.txt", "shard-of-mine.npy", "shard-0123456789abcdef.tokens.npy.bak", "texts-x.npy", ".shard-x.json",
        "shard-0123456789ABCDEF.pooled.npy", "shard-0123456789abcdef.other.npy",
    ]  # fmt: skip
    for name in (*ours, *others):
        (store.folder / name).write_text("x")
    young = [".store-abcdefgh.json"]
    (store.folder / young[0]).write_text("x")
    for name in ours:
        os.utime(store.folder / name, (time.time() - 7200,) * 2)
    (store.folder / "folder").mkdir()
    found = useless(store.folder, [])
    named = {path.name for one in found for path in one.files}
    assert named == {*ours, *(p.name for p in store.folder.glob(f"shard-{shard_name(['x', 'y'])}.*"))}
    assert all(remove(store.folder, one) for one in found)
    (store.folder / "folder").rmdir()
    assert set(contents(store.folder)) == {*before, *others, *young}


def test_work_on_clips_that_are_wanted_is_kept(real, tiny_manifest, tiny_samples, tmp_path):
    store, manifests = real
    other = tiny_manifest.parent / f"{tmp_path.name}-other.jsonl"
    write_manifest(other, tiny_samples[20:24])
    keys = [key for key in store if key != "blind"][:2]
    with store.writer([keys[0], "gone"]) as writer:
        writer.write([0], part(store.read(["blind"]), [0]))
    assert useless(store.folder, manifests) == []
    assert len(useless(store.folder, [other])) == 4
    assert [one.why for one in useless(store.folder, [])] == ["begun and not finished"]


def test_a_disk_that_is_not_mounted_does_not_cost_its_features(real, tiny_manifest, tiny_samples, tmp_path):
    """A clip is known by its file: without it, its features would look like those of no manifest."""
    store, manifests = real
    path = video_path(tiny_manifest, tiny_samples[0])
    away = path.with_suffix(".away")
    path.rename(away)
    try:
        with pytest.raises(PaxionError, match=r"got 1 clips without their video .*mount or restore"):
            useless(store.folder, manifests)
        assert useless(store.folder, manifests[1:]) != []
    finally:
        away.rename(path)
