"""Calling a model: each request once, what the cache knows never again, and a failure costs its own request only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from torch import Tensor

from paxion.asking.cache import Cache, digest
from paxion.asking.clips import Clip, clip_key
from paxion.asking.items import Outcome, Request
from paxion.asking.model import Answerer, Failed
from paxion.records import PaxionError

TOKENS = 16
"""Tokens that a model may say at most: enough for a letter, or yes or no, and a few words around it."""
Loaded = tuple[Request, Tensor | None]
"""A request with the pixels that are shown."""


def answered(
    answerer: Answerer,
    requests: Iterable[Request],
    cache: Cache,
    read: Callable[[Clip], Tensor | str],
    *,
    sampler: str = "midpoint",
    batch: int = 8,
    tick: Callable[[int], object] = lambda _: None,
) -> dict[Request, Outcome]:
    """The outcome of every request, from the cache or the model; a failure is an outcome too and is not kept.

    Requests are ordered by clip, so that each clip is decoded once, and asked `batch` at a time. tick is called with
    the number of requests done, first with those that the cache knew.
    Raises PaxionError when the cache cannot be written, and what the model raises as one (a wrong address, say).
    """
    found: dict[Request, Outcome] = {}
    todo: dict[Clip | None, list[Request]] = {}
    keys: dict[Request, str] = {}
    clips: dict[Clip, str] = {}
    for request in dict.fromkeys(requests):
        keys[request] = key = _key(answerer, request, sampler, clips)
        known = cache.get(key)
        if known is not None:
            found[request] = known
        else:
            todo.setdefault(request.view.clip, []).append(request)
    tick(len(found))
    # Kept apart: what a model says and how likely it finds a text are different calls.
    waiting: dict[bool, list[Loaded]] = {True: [], False: []}
    for loaded in _loaded(todo, read):
        request, pixels = loaded
        if isinstance(pixels, str):
            found[request] = Failed(f"clip cannot be read ({pixels})")
            tick(1)
            continue
        queue = waiting[request.continuation is None]
        queue.append((request, pixels))
        if len(queue) >= batch:
            _ask(answerer, queue, keys, cache, found)
            tick(len(queue))
            queue.clear()
    for queue in waiting.values():
        if queue:
            _ask(answerer, queue, keys, cache, found)
            tick(len(queue))
    return found


def _loaded(
    todo: dict[Clip | None, list[Request]], read: Callable[[Clip], Tensor | str]
) -> Iterator[tuple[Request, Tensor | str | None]]:
    for clip, requests in todo.items():
        frames = None if clip is None else read(clip)
        for request in requests:
            shown = frames if frames is None or isinstance(frames, str) else frames[list(request.view.order)]
            yield request, shown


def _ask(
    answerer: Answerer, loaded: Sequence[Loaded], keys: dict[Request, str], cache: Cache, found: dict[Request, Outcome]
) -> None:
    outcomes = [
        _usable(request, outcome) for (request, _), outcome in zip(loaded, _outcomes(answerer, loaded), strict=True)
    ]
    for (request, _), outcome in zip(loaded, outcomes, strict=True):
        found[request] = outcome
    cache.add(
        (keys[request], outcome)
        for (request, _), outcome in zip(loaded, outcomes, strict=True)
        if not isinstance(outcome, Failed)
    )


def _outcomes(answerer: Answerer, loaded: Sequence[Loaded]) -> list[Outcome]:
    try:
        return _called(answerer, loaded)
    except PaxionError:
        raise
    except Exception as error:  # whatever a model raises is the failure of one request, found by asking one by one
        if len(loaded) > 1:
            return [outcome for one in loaded for outcome in _outcomes(answerer, [one])]
        reason = (str(error).splitlines() or [""])[0]
        return [Failed(f"{type(error).__name__}: {reason}")]


def _called(answerer: Answerer, loaded: Sequence[Loaded]) -> list[Outcome]:
    clips, prompts = [pixels for _, pixels in loaded], [request.prompt for request, _ in loaded]
    texts = [request.continuation for request, _ in loaded if request.continuation is not None]
    outcomes: list[Outcome] = []
    outcomes += answerer.likelihood(clips, prompts, texts) if texts else answerer.answer(clips, prompts, TOKENS)
    if len(outcomes) != len(loaded):
        raise PaxionError(f"got {len(outcomes)} answers of {answerer.name} to {len(loaded)} prompts, expected as many")
    return outcomes


def _usable(request: Request, outcome: Outcome) -> Outcome:
    """The outcome, or why it is none: what is no finite number is no likelihood."""
    if isinstance(outcome, Failed) or (request.continuation is None and isinstance(outcome, str)):
        return outcome
    if request.continuation is None or isinstance(outcome, str):
        return Failed(f"got a {type(outcome).__name__} of the model, expected the other kind of answer")
    if not (math.isfinite(outcome.total) and outcome.tokens > 0):
        return Failed(f"the log-likelihood is {outcome.total} of {outcome.tokens} tokens, expected a finite number")
    return outcome


def _key(answerer: Answerer, request: Request, sampler: str, clips: dict[Clip, str]) -> str:
    """What the answer depends on. Without a clip it depends on the words alone."""
    clip = request.view.clip
    if clip is not None and clip not in clips:
        clips[clip] = clip_key(clip)
    shown = None if clip is None else [clips[clip], sampler, answerer.frames, list(request.view.order)]
    tokens = TOKENS if request.continuation is None else None
    return digest(answerer.name, answerer.revision, shown, request.prompt, request.continuation, tokens)
