"""Words and word pairs of many texts, counted once: sparse matrices that every text-only scorer shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
START, END = "<", ">"
"""The neighbours of the first and of the last word. No word of a text is spelled like them."""


def words(text: str) -> list[str]:
    """Lower-case words of a text; punctuation is dropped."""
    return re.findall(r"[\w']+", text.lower())


def ngrams(text: str, longest: int) -> list[str]:
    """Word n-grams of a text, n from 1 to `longest`; from two on they see the start and the end of the text."""
    single = words(text)
    framed = [START, *single, END]
    longer = [" ".join(framed[i : i + size]) for size in range(2, longest + 1) for i in range(len(framed) - size + 1)]
    return single + longer


@dataclass(frozen=True, slots=True)
class Sparse:
    """A sparse matrix (N, F), as its entries in the order of their rows."""

    row: Ints
    column: Ints
    value: Floats
    shape: tuple[int, int]

    def times(self, weights: Floats) -> Floats:
        """The matrix times weights (F,), a vector (N,)."""
        return np.asarray(np.bincount(self.row, self.value * weights[self.column], self.shape[0]), dtype=np.float64)

    def back(self, weights: Floats) -> Floats:
        """The transposed matrix times weights (N,), a vector (F,)."""
        return np.asarray(np.bincount(self.column, self.value * weights[self.row], self.shape[1]), dtype=np.float64)

    def rows(self, chosen: NDArray[np.bool_]) -> Sparse:
        """The matrix of the chosen rows (N,) only."""
        kept = chosen[self.row]
        place = np.cumsum(chosen) - 1
        return Sparse(place[self.row[kept]], self.column[kept], self.value[kept], (int(chosen.sum()), self.shape[1]))


@dataclass(frozen=True, slots=True)
class Sides:
    """How often each of F features (words, n-grams) occurs in N captions and in their foils."""

    names: tuple[str, ...]
    caption: Sparse
    foil: Sparse
    difference: Sparse
    """Caption minus foil. What both say, neither is told by."""


def count_sides(captions: Sequence[str], foils: Sequence[str], longest: int) -> Sides:
    """Count the n-grams of up to `longest` words in N captions and N foils."""
    columns: dict[str, int] = {}
    known: dict[str, list[int]] = {}

    def indices(text: str) -> list[int]:
        if text not in known:
            known[text] = [columns.setdefault(gram, len(columns)) for gram in ngrams(text, longest)]
        return known[text]

    sides = [[indices(text) for text in texts] for texts in (captions, foils)]
    caption, foil = (_sparse(side, len(columns)) for side in sides)
    both = np.concatenate([caption.value, -foil.value])
    row, column = (np.concatenate(parts) for parts in ((caption.row, foil.row), (caption.column, foil.column)))
    return Sides(tuple(columns), caption, foil, _merged(row, column, both, caption.shape))


def _sparse(lists: Iterable[list[int]], width: int) -> Sparse:
    lists = list(lists)
    lengths = np.array([len(found) for found in lists], dtype=np.int64)
    column = np.array([index for found in lists for index in found], dtype=np.int64)
    row = np.repeat(np.arange(len(lists)), lengths)
    return _merged(row, column, np.ones(len(row)), (len(lists), width))


def _merged(row: Ints, column: Ints, value: Floats, shape: tuple[int, int]) -> Sparse:
    """Entries of one place added up; those that cancel are left out."""
    width = max(1, shape[1])
    places, index = np.unique(row * width + column, return_inverse=True)
    added = np.bincount(index, value, len(places)) if len(places) else np.zeros(0)
    kept = added != 0
    return Sparse(places[kept] // width, places[kept] % width, added[kept], shape)
