"""How long it takes to read random clips from a feature store, beside the plain ways, in the same process.

    python benchmarks/store_reads.py [--folder /tmp/store_reads] [--gigabytes 1] [--rounds 15] [--shards 3000]

Writes clips of 8 x 50 x 768 tokens (CLIP-ViP B/32) and their vectors, and reads batches of 32 of them: first cold (the
pages of the files are dropped from memory before each read), then warm (the same batch again). Each round draws a batch
and reads it in every way, in turn; the table has the medians over the rounds. Then the same for each dtype of a store.
At last it opens a store of many shards of 512 clips.

    store              FeatureStore.read: advice for all rows, then one read a row into the tensor
    store, prefetched  the same 100 ms after FeatureStore.prefetch, as in training
    memmap             np.load(mmap_mode="r") of each shard, rows by fancy index
    safetensors        a file a shard, rows by get_slice

Nothing is left in the folder.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from paxion.backbones.base import Features
from paxion.features.numbers import DTYPES
from paxion.features.store import FeatureStore, StoreSpec
from paxion.video.transform import Transform

SHAPE, WIDTH, SHARD, BATCH = (8, 50, 768), 512, 128, 32
SPEC = StoreSpec("made-up", "1", "midpoint", SHAPE[0], Transform(224))
Read = Callable[[list[int]], Tensor]


def keys_of(clips: int) -> list[list[str]]:
    names = [f"{number:020d}" for number in range(clips)]
    return [names[start : start + SHARD] for start in range(0, clips, SHARD)]


def write(folder: Path, clips: int, spec: StoreSpec) -> FeatureStore:
    store, generator = FeatureStore(folder, spec), torch.Generator().manual_seed(0)
    for keys in keys_of(clips):
        tokens = torch.randn(len(keys), *SHAPE, generator=generator)
        store.append(keys, Features(torch.randn(len(keys), WIDTH, generator=generator), tokens), {})
    return store


def write_safetensors(folder: Path, store: FeatureStore, clips: int) -> None:
    for number, keys in enumerate(keys_of(clips)):
        tokens = store.read(keys).tokens
        assert tokens is not None
        save_file({"tokens": tokens}, folder / f"{number}.safetensors")


def plain_ways(folder: Path, store: FeatureStore, clips: int) -> dict[str, Read]:
    """Reading without a store. Files are opened each time: a file that is mapped keeps its pages."""
    from paxion.features.shards import part_file, shard_name

    arrays = [part_file(store.folder, shard_name(keys), "tokens") for keys in keys_of(clips)]
    files = [folder / f"{number}.safetensors" for number in range(len(arrays))]

    def memmap(rows: list[int]) -> Tensor:
        out = torch.empty(len(rows), *SHAPE, dtype=torch.float16)
        for shard, places in by_shard(rows):
            found = np.load(arrays[shard], mmap_mode="r")[[rows[place] % SHARD for place in places]]
            out[places] = torch.from_numpy(found)
        return out

    def safetensors(rows: list[int]) -> Tensor:
        out = torch.empty(len(rows), *SHAPE, dtype=torch.float16)
        for shard, places in by_shard(rows):
            with safe_open(files[shard], framework="pt") as file:
                tokens = file.get_slice("tokens")
                for place in places:
                    out[place] = tokens[rows[place] % SHARD]
        return out

    return {"memmap": memmap, "safetensors": safetensors}


def by_shard(rows: list[int]) -> Iterator[tuple[int, list[int]]]:
    for shard in sorted({row // SHARD for row in rows}):
        yield shard, [place for place, row in enumerate(rows) if row // SHARD == shard]


def drop(paths: list[Path]) -> None:
    """Out of memory with the pages of these files."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def seconds(read: Read, rows: list[int]) -> tuple[float, Tensor]:
    begun = time.perf_counter()
    found = read(rows)
    return time.perf_counter() - begun, found


def compare(ways: dict[str, Read], paths: list[Path], clips: int, rounds: int, size: float) -> None:
    """Print the median over rounds of each way, cold and warm. size: bytes of a clip on disk."""
    cold: dict[str, list[float]] = {name: [] for name in ways}
    warm: dict[str, list[float]] = {name: [] for name in ways}
    draw, names = random.Random(1), list(ways)
    for number in range(rounds + 1):
        rows, expected = draw.sample(range(clips), BATCH), None
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            drop(paths)
            first, found = seconds(ways[name], rows)
            second, _ = seconds(ways[name], rows)
            if number:  # the first round only warms up
                cold[name].append(first)
                warm[name].append(second)
            expected = found if expected is None else expected
            assert torch.equal(found, expected), name
    size *= BATCH / 1e6
    print(f"{'':<20}{'cold ms':>9}{'warm ms':>9}{'cold MB/s':>11}{'warm MB/s':>11}{'cold / store':>14}")
    for name in ways:
        one, two = (statistics.median(times[name]) for times in (cold, warm))
        times_as_long = statistics.median(a / b for a, b in zip(cold[name], cold[names[0]], strict=True))
        print(f"{name:<20}{one * 1e3:9.1f}{two * 1e3:9.1f}{size / one:11.0f}{size / two:11.0f}{times_as_long:14.1f}")


def size_of(store: FeatureStore) -> float:
    """Bytes of a clip on disk."""
    return sum(path.stat().st_size for path in store.folder.iterdir()) / len(store)


def of_store(store: FeatureStore, clips: int) -> dict[str, Read]:
    names = [key for keys in keys_of(clips) for key in keys]

    def read(rows: list[int]) -> Tensor:
        tokens = store.read([names[row] for row in rows]).tokens
        assert tokens is not None
        return tokens

    return {"store": read}


def prefetched(store: FeatureStore, clips: int, paths: list[Path], rounds: int) -> None:
    """Print how long `prefetch` itself takes on a cold disk, and the read 100 ms later."""
    names, draw = [key for keys in keys_of(clips) for key in keys], random.Random(2)
    calls, reads = [], []
    for _ in range(rounds):
        keys = [names[row] for row in draw.sample(range(clips), BATCH)]
        drop(paths)
        begun = time.perf_counter()
        store.prefetch(keys)
        calls.append(time.perf_counter() - begun)
        time.sleep(0.1)
        begun = time.perf_counter()
        store.read(keys)
        reads.append(time.perf_counter() - begun)
    call, read = (statistics.median(times) * 1e3 for times in (calls, reads))
    print(f"store, prefetched: {call:.1f} ms for the call on a cold disk, {read:.1f} ms for the read 100 ms later")


def opening(folder: Path, shards: int) -> None:
    """Print how long a store of many shards takes to open, and one process's look for new ones."""
    store = FeatureStore(folder, replace(SPEC, backbone="many"))
    pooled = torch.zeros(512, 4)
    begun = time.perf_counter()
    for shard in range(shards):
        store.append([f"{shard:010d}{row:010d}" for row in range(512)], Features(pooled, pooled.view(512, 1, 2, 2)), {})
    wrote = time.perf_counter() - begun
    times, looks, spec = [], [], store.spec
    for _ in range(5):
        del store  # freeing it is not opening
        begun = time.perf_counter()
        store = FeatureStore(folder, spec)
        times.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        store.refresh()
        looks.append(time.perf_counter() - begun)
    assert len(store) == 512 * shards
    print(
        f"{shards} shards, {len(store):,} clips: {statistics.median(times):.2f} s to open, "
        f"{statistics.median(looks) * 1e3:.0f} ms to refresh, {wrote / shards * 1e3:.0f} ms to write each"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/store_reads"))
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--shards", type=int, default=3000)
    options = parser.parse_args()
    clips = max(2 * BATCH, int(options.gigabytes * 1e9 / (2 * np.prod(SHAPE))))
    if options.folder.exists():
        raise SystemExit(f"{options.folder} exists: give a folder that is not there, it is removed at the end")
    options.folder.mkdir(parents=True)
    try:
        store = write(options.folder, clips, SPEC)
        write_safetensors(options.folder, store, clips)
        os.sync()
        paths = [path for path in options.folder.rglob("*") if path.is_file()]
        print(f"{clips} clips of {' x '.join(map(str, SHAPE))} float16, batches of {BATCH}\n")
        compare(
            of_store(store, clips) | plain_ways(options.folder, store, clips),
            paths,
            clips,
            options.rounds,
            size_of(store),
        )
        print()
        prefetched(store, clips, paths, options.rounds)
        exact = torch.randn(SHARD, *SHAPE, generator=torch.Generator().manual_seed(0))
        for dtype in DTYPES:
            store = write(options.folder, clips, replace(SPEC, dtype=dtype))
            os.sync()
            found = store.read(keys_of(clips)[0]).tokens
            assert found is not None
            error = float((found.float() - exact).abs().max())
            size = size_of(store)
            print(f"\n{dtype}: {size / 1e3:.0f} kB a clip, off by {error:.1e} at most")
            paths = list(store.folder.iterdir())
            compare(of_store(store, clips), paths, clips, options.rounds, size)
            shutil.rmtree(store.folder)
        print()
        opening(options.folder, options.shards)
    finally:
        shutil.rmtree(options.folder)


if __name__ == "__main__":
    main()
