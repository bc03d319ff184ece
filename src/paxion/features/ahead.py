"""Reading ahead: while a step runs, a thread reads what the next one will ask for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType

import torch
from torch import Tensor

from paxion.backbones.base import Features
from paxion.features.source import FeatureSource
from paxion.features.spec import StoreSpec


class ReadAhead:
    """A feature source in front of another one, which one thread reads: what it gives does not change.

    A context manager. `expect` names the clips of the next step; under which controls they are read is known from the
    steps before. Memory: the features of two steps.
    """

    def __init__(self, source: FeatureSource, device: torch.device | None = None) -> None:
        """device: where the features go; what was read lies where a GPU can fetch it while it computes."""
        self.source = source
        self._pinned = device is not None and device.type == "cuda"
        # A thread begins with the first GPU, whichever its process uses.
        begin = partial(torch.cuda.set_device, device) if self._pinned else None
        self._thread = ThreadPoolExecutor(1, "reader", begin)
        self._now: set[tuple[str, ...]] = set()
        self._next: set[tuple[str, ...]] = set()
        self._controls: list[str] = []
        self._ahead: dict[tuple[str, tuple[str, ...]], Future[Features]] = {}

    def __enter__(self) -> ReadAhead:
        """Ready to read."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the read that is under way; drop the others."""
        self._thread.shutdown(cancel_futures=True)

    @property
    def spec(self) -> StoreSpec:
        """What made the features."""
        return self.source.spec

    @property
    def reorderable(self) -> bool:
        """As the source."""
        return self.source.reorderable

    def expect(self, batches: Sequence[Sequence[str]]) -> None:
        """Begin to read what the next step will ask for, batch by batch.

        What was expected before is what is asked for now; what was expected before that is dropped.
        """
        for key in [key for key in self._ahead if key[1] not in self._next]:
            self._ahead.pop(key).cancel()
        self._now, self._next = self._next, {tuple(keys) for keys in batches}
        for keys in self._next:
            self.source.prefetch(keys)  # the thread may still be busy with the clips of this step
        for control in self._controls:
            self._begin(control)

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        """As the source; returns at once what was read ahead."""
        wanted = tuple(keys)
        if seeds is not None:
            return self._thread.submit(self._read, wanted, control, seeds).result()
        # By the thread too: a source is read by one at a time.
        ahead = self._ahead.pop((control, wanted), None) or self._thread.submit(self._read, wanted, control, None)
        if control not in self._controls and wanted in self._now:
            self._controls.append(control)
            self._begin(control)
        return ahead.result()

    def _begin(self, control: str) -> None:
        for keys in self._next:
            if (control, keys) not in self._ahead:
                self._ahead[control, keys] = self._thread.submit(self._read, keys, control, None)

    def prefetch(self, keys: Sequence[str]) -> None:
        """As the source."""
        self.source.prefetch(keys)

    def _read(self, keys: Sequence[str], control: str, seeds: Sequence[str] | None) -> Features:
        features = self.source.read(keys, control, seeds)
        if not self._pinned or features.pooled.is_cuda:
            return features
        return Features(features.pooled.pin_memory(), _pin(features.tokens), _pin(features.frame_vectors))


def _pin(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.pin_memory()
