"""Models behind a server that speaks OpenAI's protocol: frames go as pictures, answers come as words."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import torch
from PIL import Image
from torch import Tensor

from paxion.asking.model import Failed, Likelihood
from paxion.records import PaxionError, unknown_name

OPTIONS = {
    "model": "what the server calls the model",
    "frames": "pictures of a clip",
    "key_env": "environment variable that holds the key",
    "parallel": "requests at a time",
    "timeout": "seconds that an answer may take",
    "retries": "times that a request is sent again",
}
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)
"""HTTP statuses that may be over soon."""
LONGEST_WAIT = 60.0
"""Seconds: no server is waited for longer between two requests, whatever it says."""
EXCERPT = 160
"""Characters of a server's message that are told."""


@dataclass(frozen=True)
class Endpoint:
    """An `asking.model.Answerer` behind a URL. It gives no likelihoods: the protocol has none for a given text."""

    url: str
    """Up to /v1; /chat/completions is added."""
    model: str
    frames: int = 8
    key: str | None = field(default=None, repr=False)
    """Sent with every request, and told nowhere."""
    parallel: int = 4
    timeout: float = 60.0
    """Seconds."""
    retries: int = 4
    pause: float = 1.0
    """Seconds before the first request that is sent again; twice as many before each further one."""
    scores_text: bool = False
    """The protocol scores no given text."""

    @property
    def name(self) -> str:
        """What results call it."""
        return self.model

    @property
    def revision(self) -> str:
        """What is known of it: the server. What runs there may change without notice."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}{':' + str(parts.port) if parts.port else ''}{parts.path}"

    def answer(self, clips: Sequence[Tensor | None], prompts: Sequence[str], tokens: int = 16) -> list[str | Failed]:
        """What the model answers at temperature 0, in at most `tokens` tokens; None: a prompt without pictures."""
        asked = list(zip(clips, prompts, strict=True))
        with ThreadPoolExecutor(max(1, self.parallel)) as pool:
            return list(pool.map(lambda one: self._answer(one[0], one[1], tokens), asked))

    def likelihood(
        self, clips: Sequence[Tensor | None], prompts: Sequence[str], continuations: Sequence[str]
    ) -> list[Likelihood | Failed]:
        """Failed throughout: see the class."""
        return [Failed("an endpoint gives no likelihood of a given text") for _ in continuations]

    def _answer(self, clip: Tensor | None, prompt: str, tokens: int) -> str | Failed:
        if clip is not None and (clip.ndim != 4 or clip.shape[-1] != 3 or not len(clip) or clip.dtype != torch.uint8):
            return Failed(f"got a clip of shape {tuple(clip.shape)} and {clip.dtype}, expected (T, H, W, 3) uint8")
        pictures = [] if clip is None else [{"type": "image_url", "image_url": {"url": _picture(f)}} for f in clip]
        content = [*pictures, {"type": "text", "text": prompt}]
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "seed": 0,
            "max_tokens": tokens,
        }
        said = self._post(json.dumps(body).encode())
        return said if isinstance(said, Failed) else _message(said)

    def _post(self, body: bytes) -> bytes | Failed:
        """The server's answer; what may pass is asked again, after a pause that the server may name."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(f"{self.url}/chat/completions", body, headers)
        reason = ""
        for attempt in range(self.retries + 1):
            wait = self.pause * 2**attempt
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    return bytes(response.read())
            except urllib.error.HTTPError as error:
                reason = self._told(f"status {error.code}", error)
                if error.code not in PASSING:
                    return Failed(reason)
                asked = error.headers.get("Retry-After", "")
                wait = float(asked) if re.fullmatch(r"\d+(\.\d+)?", asked) else wait
            except TimeoutError:
                reason = f"no answer in {self.timeout:g} s"
            except (OSError, ValueError) as error:
                # urllib wraps a time-out of the connection.
                inner = getattr(error, "reason", error)
                timed = isinstance(inner, TimeoutError)
                reason = f"no answer in {self.timeout:g} s" if timed else f"no connection: {self._clean(str(inner))}"
            if attempt < self.retries:
                time.sleep(min(wait, LONGEST_WAIT))
        return Failed(f"{reason}, after {self.retries + 1} requests")

    def _told(self, what: str, error: urllib.error.HTTPError) -> str:
        try:
            said = self._clean(error.read(10_000).decode(errors="replace"))
        except OSError:
            said = ""
        return f"{what}: {said}" if said else what

    def _clean(self, said: str) -> str:
        """A short line, without the key should a server repeat it."""
        said = " ".join(said.split())
        return (said.replace(self.key, "***") if self.key else said)[:EXCERPT]


def load_endpoint(spec: str) -> Endpoint:
    """The endpoint of "URL,model=NAME[,frames=8,key_env=OPENAI_API_KEY,parallel=4,timeout=60,retries=4]".

    The key is read from the environment; without one none is sent. Raises PaxionError, one line, for a URL that is none
    and options that cannot be meant.
    """
    options: dict[str, str] = {}
    rest = spec
    while found := re.fullmatch(r"(.*),([a-z_]+)=([^,]*)", rest, re.DOTALL):
        if found[2] not in OPTIONS:
            raise unknown_name("option of an endpoint", found[2], OPTIONS)
        if found[2] in options:
            raise PaxionError(f"got {found[2]} twice in {spec!r}, expected it once")
        rest, options = found[1], {found[2]: found[3], **options}
    parts = urlsplit(rest)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PaxionError(f"got the URL {rest!r}, expected one such as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query:
        raise PaxionError("got a URL with a user, a password or a query, expected none: give the key by key_env")
    if not options.get("model"):
        raise PaxionError(f"got no model for {rest}, expected what the server calls it: {rest},model=NAME")
    variable = options.get("key_env", "OPENAI_API_KEY")
    key = os.environ.get(variable)
    if "key_env" in options and not key:
        raise PaxionError(f"got key_env={variable}, but no such environment variable is set; set it to the key")
    return Endpoint(
        rest.rstrip("/"),
        options["model"],
        frames=_number("frames", options.get("frames", "8")),
        key=key,
        parallel=_number("parallel", options.get("parallel", "4")),
        timeout=float(_number("timeout", options.get("timeout", "60"))),
        retries=_number("retries", options.get("retries", "4")),
    )


def _number(name: str, text: str) -> int:
    least = 0 if name == "retries" else 1
    if not text.isdigit() or int(text) < least:
        raise PaxionError(f"got {name}={text} of an endpoint, expected a whole number of at least {least}")
    return int(text)


def _picture(frame: Tensor) -> str:
    """A frame (H, W, 3) as a data URL: PNG, which changes no pixel."""
    held = io.BytesIO()
    Image.fromarray(frame.numpy()).save(held, "PNG")
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()


def _message(said: bytes) -> str | Failed:
    """The text of the first choice."""
    try:
        content: Any = json.loads(said)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        excerpt = " ".join(said[:EXCERPT].decode(errors="replace").split())
        return Failed(f"the server's answer is no chat completion: {excerpt}")
    return content.strip() if isinstance(content, str) else Failed("the server's answer has no text")
