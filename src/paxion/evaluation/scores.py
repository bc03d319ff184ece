"""Scores of many clips against many texts, a tile at a time: no more than a tile is held, however large the gallery."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from paxion.evaluation.clips import Stack
from paxion.evaluation.methods import Known, Mix, highest, joined, known, mixed
from paxion.records import PaxionError
from paxion.similarity import late_interaction, paired_similarity

CLIPS = 512
"""Clips of a tile."""
PRODUCTS = 2**23
"""Dot products of a tile (float32: 34 MB); a step takes a few times as much."""
ENTRIES = 2**21
"""Scores of a tile."""

Queries = Literal["clips", "texts"]
"""What asks. Its candidates are the other ones."""


@dataclass(frozen=True)
class Scores:
    """The scores of B clips against K texts, under a method where there is a backbone beside the model."""

    video: Tensor
    """(N, Q, D), one entry a sample, in memory or mapped."""
    text: Tensor
    """(K, D)"""
    ids: Sequence[str]
    """(B,) what to call a clip in an error."""
    clips: Tensor | None = None
    """(B,) which of the N are the clips. None: all of them."""
    mix: Mix | None = None
    beside: Tensor | None = None
    """(K, D) the backbone's vectors of the texts."""

    @property
    def places(self) -> Tensor:
        """(B,) where the clips are among the N."""
        return torch.arange(len(self.video)) if self.clips is None else self.clips

    def tiles(self, queries: Queries, given: Known) -> Iterator[tuple[slice, slice, Tensor]]:
        """Every score once: a slice of the clips, one of the texts and their scores (b, k). given: from `survey`.

        Raises PaxionError for a similarity that is not finite.
        """
        for clips, texts, model, other in self._tiles():
            if self.mix is None or other is None:
                yield clips, texts, model
            else:
                part = clips if queries == "clips" else texts
                yield clips, texts, joined(self.mix, model, other, _of(given, part, queries))

    def pairs(self, clip: Tensor, text: Tensor, queries: Queries, given: Known) -> Tensor:
        """The scores (M,) of clip[i] with text[i], both (M,) with clips in ascending order. given: from `survey`."""
        found = []
        for part in torch.split(torch.arange(len(clip)), CLIPS):
            rows, columns = clip[part], text[part]
            places = rows if self.clips is None else self.clips[rows]
            model = paired_similarity(self.video[places].float(), self.text[columns])
            self._require_finite(model[:, None], lambda i, rows=rows: int(rows[i]))  # type: ignore[misc]
            if self.mix is not None and self.beside is not None:
                other = paired_similarity(self.mix.video[places].float(), self.beside[columns])
                of_each = tuple(all_of.flatten()[rows if queries == "clips" else columns] for all_of in given)
                model = joined(self.mix, model, other, of_each)
            found.append(model)
        return torch.cat(found) if found else torch.zeros(0)

    def table(self, queries: Queries) -> Tensor:
        """All scores (B, K), which lie in a file where they are many."""
        stack, row = Stack(len(self.ids)), []
        for _, texts, tile in self.tiles(queries, self.survey(queries)):
            row.append(tile)
            if texts.stop >= len(self.text):
                stack.add(torch.cat(row, 1))
                row = []
        return stack.whole()

    def survey(self, queries: Queries) -> Known:
        """What the method must know of all candidates of every query, (B, 1) or (1, K) each. A pass of its own."""
        if self.mix is None or self.mix.method.kind in ("plain", "score-sum"):
            return ()
        dim = 1 if queries == "clips" else 0
        count = len(self.ids) if queries == "clips" else len(self.text)
        if self.mix.method.kind == "softmax-sum":
            sums = torch.full((2, count), -torch.inf)
            for clips, texts, model, other in self._tiles():
                assert other is not None
                part = clips if queries == "clips" else texts
                here = torch.stack([each.squeeze(dim) for each in known(self.mix, model, other, dim)])
                sums[:, part] = torch.logaddexp(sums[:, part], here)
            return tuple(each.unsqueeze(dim) for each in sums)
        top = min(self.mix.method.top, len(self.text) if queries == "clips" else len(self.ids))
        best = torch.full((count, top), -torch.inf)
        for clips, texts, _, other in self._tiles():
            assert other is not None
            part = clips if queries == "clips" else texts
            best[part] = highest(torch.cat([best[part], other if dim else other.T], 1), top, 1)
        return (best.amin(1).unsqueeze(dim),)

    def _tiles(self) -> Iterator[tuple[slice, slice, Tensor, Tensor | None]]:
        vectors = self.video.shape[1] if self.mix is None else max(self.video.shape[1], self.mix.video.shape[1])
        step = max(1, min(PRODUCTS // (CLIPS * vectors), ENTRIES // CLIPS))
        for start in range(0, len(self.ids), CLIPS):
            clips = slice(start, min(start + CLIPS, len(self.ids)))
            places = clips if self.clips is None else self.clips[clips]
            video = self.video[places].float()
            other = None if self.mix is None else self.mix.video[places].float()
            for first in range(0, len(self.text), step):
                texts = slice(first, min(first + step, len(self.text)))
                model = late_interaction(video, self.text[texts])
                self._require_finite(model, lambda i, start=start: start + i)  # type: ignore[misc]
                beside = None
                if other is not None and self.beside is not None:
                    beside = late_interaction(other, self.beside[texts])
                    self._require_finite(beside, lambda i, start=start: start + i)  # type: ignore[misc]
                yield clips, texts, model, beside

    def _require_finite(self, scores: Tensor, place: Callable[[int], int]) -> None:
        # One sum tells; to look at every number would take as long as to rank it.
        if not math.isfinite(float(scores.sum())):
            broken = (~torch.isfinite(scores).all(1)).nonzero()[:, 0].tolist()
            require_finite(scores[broken], [self.ids[place(i)] for i in broken])


def choice_scores(
    video: Tensor, text: Tensor, ids: Sequence[str], mix: Mix | None = None, other: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """The scores (B, K) of B clips, each with K texts of its own.

    video: (B, Q, D). text: (B, K, D). other: the same of the backbone beside it.
    Raises PaxionError for a similarity that is not finite.
    """
    model = _choices(video, text)
    require_finite(model, ids)
    if mix is None or other is None:
        return model
    beside = _choices(*other)
    require_finite(beside, ids)
    return mixed(mix, model, beside)


def require_finite(scores: Tensor, ids: Sequence[str]) -> None:
    """Raise PaxionError naming the first id (one a row of `scores`) with a similarity that is NaN or infinite."""
    broken = ~torch.isfinite(scores).flatten(1).all(1)
    if broken.any():
        first = int(broken.nonzero()[0])
        bad = scores[first].flatten()
        value = bad[~torch.isfinite(bad)][0].item()
        raise PaxionError(
            f'sample "{ids[first]}": got a similarity of {value}, expected a finite number; '
            "check the clip and its features, and the checkpoint for NaN"
        )


def _choices(video: Tensor, text: Tensor) -> Tensor:
    return torch.einsum("bqd,bkd->bkq", video.float(), text.float()).amax(2)


def _of(given: Known, part: slice, queries: Queries) -> Known:
    return tuple(each[part] if queries == "clips" else each[:, part] for each in given)
