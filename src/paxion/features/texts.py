"""The text features of a store: each distinct string is encoded once.

    texts-<name>.npy     (K, D) float32
    texts-<name>.json    the K strings, and the crc32 of the .npy; written last

The name is a digest of the strings. Files whose sums are wrong count as not there, and are written again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paxion.backbones.base import Backbone, Encoder, text_vectors
from paxion.features.locks import alone
from paxion.features.shards import NAME, DamageError, named, sum_of
from paxion.features.spec import write_spec
from paxion.features.store import FeatureStore
from paxion.files import unreadable, write_bytes, write_text
from paxion.records import PaxionError

PREFIX, LOCK = "texts-", "texts.lock"
KEPT = 64
"""Batches that are encoded before they are written: what a killed process loses at most."""


@dataclass(frozen=True)
class Texts:
    """One file of text features, and the strings that it is about."""

    path: Path
    strings: list[str]
    crc32: int

    def vectors(self) -> Tensor:
        """(K, D). Raises DamageError when the file is missing or damaged, and PaxionError when it cannot be read."""
        try:
            if sum_of(self.path) != self.crc32:
                raise ValueError("its sum is wrong")
            vectors = torch.from_numpy(np.load(self.path, allow_pickle=False))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise DamageError(f"{self.path.name}: {error.strerror}") from None
        except OSError as error:
            raise unreadable(self.path, error) from error
        except (ValueError, TypeError, EOFError) as error:
            raise DamageError(f"{self.path.name}: {error}") from None
        if vectors.dtype != torch.float32 or vectors.ndim != 2 or len(vectors) != len(self.strings):
            raise DamageError(f"{self.path.name}: got {tuple(vectors.shape)} for {len(self.strings)} strings")
        if not torch.isfinite(vectors).all():
            raise DamageError(f"{self.path.name}: got nan or inf, expected finite numbers")
        return vectors


def text_features(
    store: FeatureStore, backbone: Backbone | Encoder, texts: Iterable[str], batch: int = 256
) -> dict[str, Tensor]:
    """The vector (D,) of every distinct text, float32 on the CPU, as `backbones.base.text_vectors` gives it.

    Those that the store has are read; the others are encoded, `batch` at a time, and kept there. Of several processes
    one encodes, and the others wait for it. Raises PaxionError for vectors that are not finite: none of those are kept.
    """
    distinct = list(dict.fromkeys(texts))
    vectors = _read(store.folder, distinct)
    if len(vectors) < len(distinct):
        write_spec(store.folder, store.spec)
        with alone(store.folder / LOCK):
            vectors |= _read(store.folder, [text for text in distinct if text not in vectors])
            absent = [text for text in distinct if text not in vectors]
            for start in range(0, len(absent), KEPT * batch):
                found = text_vectors(backbone, absent[start : start + KEPT * batch], batch)
                _check_finite(found, store.spec.backbone)
                write_texts(store.folder, list(found), torch.stack(list(found.values())))
                vectors |= found
    return {text: vectors[text] for text in distinct}


def write_texts(folder: Path, strings: Sequence[str], vectors: Tensor) -> None:
    """Write one file of text features (K, D)."""
    path = folder / f"{_stem(strings)}.npy"
    data = io.BytesIO()
    np.save(data, vectors.numpy())
    write_bytes(path, data.getvalue())
    write_text(path.with_suffix(".json"), json.dumps({"crc32": sum_of(path), "texts": list(strings)}))


def text_files(folder: Path) -> list[Path]:
    """The .json of every file of text features in a folder."""
    return named(folder, rf"{PREFIX}{NAME}\.json")


def read_texts(path: Path) -> Texts:
    """What the .json of a file of text features says. Raises DamageError, and PaxionError when it cannot be read."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DamageError(f"{path.name}: {error.strerror}") from None
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        stored = json.loads(content)
        strings, crc32 = list(stored["texts"]), int(stored["crc32"])
        if not all(isinstance(text, str) for text in strings):
            raise TypeError("got texts that are no strings")
        if _stem(strings) != path.stem:
            raise ValueError("its texts are not those of its name")
        return Texts(path.with_suffix(".npy"), strings, crc32)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DamageError(" ".join(f"{path.name}: {type(error).__name__}: {error}".split())) from None


def _read(folder: Path, wanted: Sequence[str]) -> dict[str, Tensor]:
    """The vectors of those texts that are there, each in memory of its own file's."""
    left, vectors = set(wanted), dict[str, Tensor]()
    for path in text_files(folder):
        try:
            texts = read_texts(path)
            rows = [row for row, text in enumerate(texts.strings) if text in left]
            if rows:
                found = texts.vectors()[rows]
                vectors.update(zip((texts.strings[row] for row in rows), found, strict=True))
                left.difference_update(vectors)
        except DamageError:
            continue  # encoded again
    return vectors


def _stem(strings: Sequence[str]) -> str:
    return f"{PREFIX}{hashlib.sha256(json.dumps(strings).encode()).hexdigest()[:16]}"


def _check_finite(vectors: dict[str, Tensor], source: str) -> None:
    wrong = [text for text, vector in vectors.items() if not torch.isfinite(vector).all()]
    if wrong:
        raise PaxionError(
            f"got text vectors of {source} with nan or inf ({len(wrong)}, the first of {wrong[0][:80]!r}), expected "
            "finite ones; check its weights"
        )
