"""The pixels of clips, for a backbone that is trained itself: decoded once where they fit in memory, else ahead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from paxion.features.decoding import Decoded, Frames, check_workers, decoders
from paxion.features.jobs import Job
from paxion.features.spec import StoreSpec
from paxion.records import PaxionError


class Pixels:
    """Clips by their keys as a backbone takes them, uint8; a context manager.

    Those that are read first are kept until `memory` bytes are full; the others are decoded anew whenever they are
    read, in other processes where `expect` has named them before. What is given does not depend on either.
    """

    def __init__(
        self, clips: Iterable[Job], spec: StoreSpec, *, memory: float, workers: int | None = None, device: str = "cpu"
    ) -> None:
        """clips: those that can be read. memory: bytes. workers: decoding processes, see `check_workers`."""
        if not memory >= 0:
            raise PaxionError(f"got {memory} bytes of memory for pixels, expected 0 or more")
        self.spec, self.memory = spec, memory
        self._clips = {job.key: job for job in clips}
        self._workers = check_workers(workers, device)
        self._open = ExitStack()
        self._decode = self._open.enter_context(decoders(self._workers))
        self._kept: dict[str, Frames] = {}
        self._ahead: dict[tuple[str, ...], tuple[list[str], Decoded]] = {}
        self._now: set[tuple[str, ...]] = set()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the decoding processes."""
        self._open.close()

    @property
    def kept(self) -> int:
        """How many clips are in memory."""
        return len(self._kept)

    def expect(self, batches: Sequence[Sequence[str]]) -> None:
        """Begin to decode what is read next, batch by batch; what was expected two calls ago is dropped."""
        coming = {tuple(keys) for keys in batches}
        self._ahead = {keys: decoded for keys, decoded in self._ahead.items() if keys in self._now | coming}
        self._now = coming
        for keys in coming - self._ahead.keys() if self._workers else ():
            if absent := self._absent(keys, self._kept):
                self._ahead[keys] = absent, self._begin(absent)

    def read(self, keys: Sequence[str]) -> Tensor:
        """(B, T, 3, size, size) uint8. Raises PaxionError for a clip that cannot be read any more."""
        found = dict(self._kept)
        ahead = self._ahead.pop(tuple(keys), None)
        if ahead is not None:
            self._take(*ahead, found)
        if absent := self._absent(keys, found):
            self._take(absent, self._begin(absent), found)
        return torch.stack([torch.from_numpy(found[key]) for key in keys])

    def _begin(self, keys: Sequence[str]) -> Decoded:
        return self._decode([self._clips[key] for key in keys], self.spec)

    def _take(self, keys: Sequence[str], decoded: Decoded, found: dict[str, Frames]) -> None:
        for key, clip in zip(keys, decoded(), strict=True):
            if isinstance(clip, str):
                raise PaxionError(f"{clip}; it could be read before: has {self._clips[key].video} changed?")
            found[key] = clip
            if key not in self._kept and (self.kept + 1) * clip.nbytes <= self.memory:
                self._kept[key] = clip

    def _absent(self, keys: Sequence[str], there: Mapping[str, Frames]) -> list[str]:
        return list(dict.fromkeys(key for key in keys if key not in there))
